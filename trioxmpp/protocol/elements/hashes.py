"""XEP-0300: Use of Cryptographic Hash Functions in XMPP."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Hash"]

NS: Final = "urn:xmpp:hashes:2"


@xml.element(NS, "hash")
class Hash:
    """A hash value and the name of the function, for example ``sha-256`` (§2)."""

    algo: str = xml.attr()
    value: bytes = xml.text()
