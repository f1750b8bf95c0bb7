"""A bookmark as a value, and its two forms on the wire (XEP-0402 §3.1, XEP-0048 §2.1)."""

from __future__ import annotations

from ... import xml
from ...jid import JID, JIDError
from ...protocol.elements import bookmark_storage, bookmarks
from ...record import field, record

__all__ = ["Bookmark", "BookmarkChange", "BookmarkRemoved", "BookmarkSet", "room_of"]


@record
class Bookmark:
    """The bookmark of a room. `autojoin`: clients enter the room by themselves.

    `extensions` belong to other specifications, and `others` are children that nothing here knows. Both are kept when a
    bookmark is changed.
    """

    jid: JID
    name: str | None = None
    autojoin: bool = False
    nick: str | None = None
    password: str | None = field(default=None, repr=False)
    extensions: xml.Payloads = field(default=xml.Payloads(), repr=False)
    others: tuple[xml.Element, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of_native(cls, jid: JID, element: bookmarks.Conference) -> Bookmark:
        """Return the bookmark that an item of XEP-0402 holds."""
        return cls(
            jid, element.name, element.autojoin, element.nick, element.password, element.extensions, element.others
        )

    @classmethod
    def of_listed(cls, element: bookmark_storage.Conference) -> Bookmark:
        """Return the bookmark that a list of XEP-0048 holds."""
        return cls(
            element.jid.bare, element.name, element.autojoin, element.nick, element.password, others=element.others
        )

    def native(self) -> bookmarks.Conference:
        """Return the payload of an item of XEP-0402."""
        return bookmarks.Conference(
            autojoin=self.autojoin,
            name=self.name,
            nick=self.nick,
            password=self.password,
            extensions=self.extensions,
            others=self.others,
        )

    def listed(self) -> bookmark_storage.Conference:
        """Return the element of a list of XEP-0048, which has no place for extensions."""
        return bookmark_storage.Conference(
            jid=self.jid,
            autojoin=self.autojoin,
            name=self.name,
            nick=self.nick,
            password=self.password,
            others=self.others,
        )


@record
class BookmarkSet:
    """A bookmark was added, or changed: then `before` is what it was."""

    bookmark: Bookmark
    before: Bookmark | None = None


@record
class BookmarkRemoved:
    """A bookmark was removed; this is what it was."""

    bookmark: Bookmark


BookmarkChange = BookmarkSet | BookmarkRemoved


def room_of(id: str) -> JID | None:
    """Return the room that an item id names (XEP-0402 §3.2), or None if it is no bare JID of a room."""
    try:
        jid = JID.parse(id)
    except JIDError:
        return None
    return jid if jid.is_bare and jid.local is not None else None
