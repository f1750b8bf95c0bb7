"""XEP-0359: Unique and Stable Stanza IDs, as far as the client gives its own."""

from __future__ import annotations

from ... import xml
from .. import ns

__all__ = ["OriginId"]


@xml.element(ns.SID, "origin-id")
class OriginId:
    """The id that the sender gave the message: it is kept where that in the attribute may not be."""

    id: str = xml.attr()
