"""XEP-0231: Bits of Binary."""

from __future__ import annotations

from typing import Final

from ... import xml
from ..stanza import Get

__all__ = ["BinaryData", "BinaryDataQuery"]

NS: Final = "urn:xmpp:bob"


@xml.element(NS, "data")
class BinaryData:
    """A small file, and the name that its content has (§2.2). `max_age`: seconds for which it may be kept."""

    cid: str = xml.attr()
    type: str | None = xml.attr(default=None)
    max_age: int | None = xml.attr("max-age", default=None, codec=xml.lenient(int))
    content: bytes = xml.text(repr=False)


@xml.element(NS, "data")
class BinaryDataQuery(Get[BinaryData]):
    """Asks for a small file (§3)."""

    cid: str = xml.attr()
