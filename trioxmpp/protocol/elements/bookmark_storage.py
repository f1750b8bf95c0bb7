"""XEP-0048: Bookmarks, the form before XEP-0402."""

from __future__ import annotations

from typing import Final

from ... import xml
from ...jid import JID

__all__ = ["AUTOJOIN", "NS", "Conference", "Storage", "Url"]

#: The name of the node, and the namespace.
NS: Final = "storage:bookmarks"

#: A boolean; any text that is not true is false, since one careless client must not hide a bookmark from the others.
AUTOJOIN: Final = xml.Codec(lambda text: text.strip() in ("1", "true"), lambda value: "true" if value else "false")


@xml.element(NS, "conference")
class Conference:
    """The bookmark of a room (§2.1)."""

    jid: JID = xml.attr()
    name: str | None = xml.attr(default=None)
    autojoin: bool = xml.attr(default=False, codec=AUTOJOIN)
    nick: str | None = xml.child_text(default=None)
    password: str | None = xml.child_text(default=None, repr=False)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "url")
class Url:
    """The bookmark of a web page (§2.2)."""

    url: str = xml.attr()
    name: str | None = xml.attr(default=None)


@xml.element(NS, "storage")
class Storage:
    """All bookmarks of the account, which are read and written together (§3)."""

    conferences: tuple[Conference, ...] = xml.children(lenient=True)
    urls: tuple[Url, ...] = xml.children(lenient=True)
    others: tuple[xml.Element, ...] = xml.rest()
