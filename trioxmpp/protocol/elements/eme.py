"""XEP-0380: Explicit Message Encryption."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Encryption"]

NS: Final = "urn:xmpp:eme:0"


@xml.element(NS, "encryption")
class Encryption:
    """The message is encrypted by the method of this namespace (§3)."""

    namespace: str = xml.attr()
    name: str | None = xml.attr(default=None)
