"""XEP-0292: vCard4 Over XMPP, the XML form of vCard 4.0 (RFC 6351), as far as a chat client shows it."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["NS", "Email", "FullName", "Impp", "Nickname", "Note", "Photo", "Role", "Title", "Url", "VCard4"]

NS: Final = "urn:ietf:params:xml:ns:vcard-4.0"


@xml.structure
class _Text:
    text: str | None = xml.child_text(default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.structure
class _Uri:
    uri: str | None = xml.child_text(default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "fn")
class FullName(_Text):
    """The name as it is shown (RFC 6350 §6.2.1)."""


@xml.element(NS, "nickname")
class Nickname(_Text):
    """A nickname (RFC 6350 §6.2.3)."""


@xml.element(NS, "photo")
class Photo(_Uri):
    """A picture by its URI, which a client should not fetch by itself (RFC 6350 §6.2.4)."""


@xml.element(NS, "email")
class Email(_Text):
    """An address for electronic mail (RFC 6350 §6.4.2)."""


@xml.element(NS, "impp")
class Impp(_Uri):
    """An address for instant messaging, such as ``xmpp:juliet@example.org`` (RFC 6350 §6.4.3)."""


@xml.element(NS, "title")
class Title(_Text):
    """A position or job (RFC 6350 §6.6.1)."""


@xml.element(NS, "role")
class Role(_Text):
    """A function (RFC 6350 §6.6.2)."""


@xml.element(NS, "note")
class Note(_Text):
    """A comment (RFC 6350 §6.7.2)."""


@xml.element(NS, "url")
class Url(_Uri):
    """A web page (RFC 6350 §6.7.8)."""


@xml.element(NS, "vcard")
class VCard4:
    """A card (XEP-0292 §3). `others` are all further properties, which survive a change."""

    full_names: tuple[FullName, ...] = xml.children(lenient=True)
    nicknames: tuple[Nickname, ...] = xml.children(lenient=True)
    photos: tuple[Photo, ...] = xml.children(lenient=True)
    emails: tuple[Email, ...] = xml.children(lenient=True)
    addresses: tuple[Impp, ...] = xml.children(lenient=True)
    titles: tuple[Title, ...] = xml.children(lenient=True)
    roles: tuple[Role, ...] = xml.children(lenient=True)
    notes: tuple[Note, ...] = xml.children(lenient=True)
    urls: tuple[Url, ...] = xml.children(lenient=True)
    others: tuple[xml.Element, ...] = xml.rest()
