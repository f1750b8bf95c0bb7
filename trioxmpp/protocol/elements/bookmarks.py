"""XEP-0402: PEP Native Bookmarks."""

from __future__ import annotations

from typing import Final

from ... import xml
from .bookmark_storage import AUTOJOIN

__all__ = ["NS", "Conference"]

#: The name of the node, and the namespace. The id of an item is the bare JID of the room (§3.2).
NS: Final = "urn:xmpp:bookmarks:1"


@xml.element(NS, "conference")
class Conference:
    """The bookmark of a room (§3.1).

    `extensions` belong to other specifications. A client that changes a bookmark keeps them (§3.3).
    """

    autojoin: bool = xml.attr(default=False, codec=AUTOJOIN)
    name: str | None = xml.attr(default=None)
    nick: str | None = xml.child_text(default=None)
    password: str | None = xml.child_text(default=None, repr=False)
    extensions: xml.Payloads = xml.any_children(inside="extensions")
    others: tuple[xml.Element, ...] = xml.rest()
