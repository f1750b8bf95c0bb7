"""XEP-0334: Message Processing Hints."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["NoCopy", "NoPermanentStore", "NoStore", "Store"]

NS: Final = "urn:xmpp:hints"


@xml.element(NS, "no-permanent-store")
class NoPermanentStore:
    """The message should not be archived; it may be kept until the recipient is online (§4.1)."""


@xml.element(NS, "no-store")
class NoStore:
    """The message should not be kept at all (§4.2)."""


@xml.element(NS, "no-copy")
class NoCopy:
    """The message should not be copied to other resources (§4.3)."""


@xml.element(NS, "store")
class Store:
    """The message should be archived, though a server would not archive it otherwise (§4.4)."""
