"""XEP-0115: Entity Capabilities, and XEP-0390: Entity Capabilities 2.0."""

from __future__ import annotations

from typing import Final

from ... import xml
from .hashes import Hash

__all__ = ["Caps", "Caps2"]

NS: Final = "http://jabber.org/protocol/caps"
NS_2: Final = "urn:xmpp:caps"


@xml.element(NS, "c")
class Caps:
    """A hash of the identities and features of the sender (XEP-0115 §4). Versions before 1.4 have no `hash`."""

    node: str = xml.attr()
    ver: str = xml.attr()
    hash: str | None = xml.attr(default=None)
    ext: str | None = xml.attr(default=None)


@xml.element(NS_2, "c")
class Caps2:
    """Hashes of the identities and features of the sender (XEP-0390 §4)."""

    hashes: tuple[Hash, ...] = xml.children(lenient=True)
