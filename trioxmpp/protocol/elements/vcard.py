"""XEP-0054: vcard-temp."""

from __future__ import annotations

from typing import Final

from ... import xml
from ..stanza import Get, Set

__all__ = ["Email", "Name", "Organization", "Photo", "SetVCard", "VCard", "VCardQuery"]

NS: Final = "vcard-temp"


@xml.element(NS, "N")
class Name:
    """The parts of a name."""

    family: str | None = xml.child_text("FAMILY", default=None)
    given: str | None = xml.child_text("GIVEN", default=None)
    middle: str | None = xml.child_text("MIDDLE", default=None)
    prefix: str | None = xml.child_text("PREFIX", default=None)
    suffix: str | None = xml.child_text("SUFFIX", default=None)


@xml.element(NS, "PHOTO")
class Photo:
    """A photo: its octets, or a URL, which a client should not fetch by itself."""

    type: str | None = xml.child_text("TYPE", default=None)
    data: bytes | None = xml.child_text("BINVAL", default=None, codec=xml.lenient(bytes))
    url: str | None = xml.child_text("EXTVAL", default=None)


@xml.element(NS, "ORG")
class Organization:
    """An organisation and its units."""

    name: str | None = xml.child_text("ORGNAME", default=None)
    units: tuple[str, ...] = xml.child_texts("ORGUNIT")


@xml.element(NS, "EMAIL")
class Email:
    """An address for electronic mail. The others say which kind, as in ``<HOME/>`` or ``<PREF/>``."""

    address: str | None = xml.child_text("USERID", default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.structure
class _VCard:
    full_name: str | None = xml.child_text("FN", default=None)
    name: Name | None = xml.child(default=None, lenient=True)
    nicknames: tuple[str, ...] = xml.child_texts("NICKNAME")
    photos: tuple[Photo, ...] = xml.children(lenient=True)
    birthday: str | None = xml.child_text("BDAY", default=None)
    emails: tuple[Email, ...] = xml.children(lenient=True)
    jids: tuple[str, ...] = xml.child_texts("JABBERID")
    titles: tuple[str, ...] = xml.child_texts("TITLE")
    roles: tuple[str, ...] = xml.child_texts("ROLE")
    organizations: tuple[Organization, ...] = xml.children(lenient=True)
    urls: tuple[str, ...] = xml.child_texts("URL")
    description: str | None = xml.child_text("DESC", default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "vCard")
class VCard(_VCard):
    """The card of a person. An empty one means that there is none, or no such account (§3.1)."""


@xml.element(NS, "vCard")
class VCardQuery(Get[VCard | None]):
    """Asks for the card of an account (§3.1, §3.3)."""


@xml.element(NS, "vCard")
class SetVCard(_VCard, Set[None]):
    """Replaces the card of the own account as a whole (§3.2)."""
