"""XEP-0045: Multi-User Chat: the elements of occupants, owners and administrators of a room."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Final

from ... import xml
from ...jid import JID
from ..stanza import Get, Set
from .forms import DataForm

__all__ = [
    "Admin",
    "AdminItem",
    "AdminQuery",
    "AdminSet",
    "Affiliation",
    "Continue",
    "Decline",
    "Destroy",
    "Destroyed",
    "History",
    "Invite",
    "Item",
    "Join",
    "Occupant",
    "Owner",
    "OwnerQuery",
    "OwnerSet",
    "Role",
    "Status",
]

NS: Final = "http://jabber.org/protocol/muc"
_USER: Final = f"{NS}#user"
_ADMIN: Final = f"{NS}#admin"
_OWNER: Final = f"{NS}#owner"


class Affiliation(enum.StrEnum):
    """The long-lived association of an account with a room (§5.2)."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    OUTCAST = "outcast"
    NONE = "none"


class Role(enum.StrEnum):
    """The temporary position of an occupant in a room (§5.1)."""

    MODERATOR = "moderator"
    PARTICIPANT = "participant"
    VISITOR = "visitor"
    NONE = "none"


@xml.element(NS, "history")
class History:
    """Limits for the messages that a room sends to a new occupant (§7.2.14). ``maxchars=0`` asks for none."""

    maxchars: int | None = xml.attr(default=None, codec=xml.integer(0))
    maxstanzas: int | None = xml.attr(default=None, codec=xml.integer(0))
    seconds: int | None = xml.attr(default=None, codec=xml.integer(0))
    since: datetime | None = xml.attr(default=None)


@xml.element(NS, "x")
class Join:
    """Marks a presence as a request to enter the room (§7.2)."""

    password: str | None = xml.child_text(default=None, repr=False)
    history: History | None = xml.child(default=None)


@xml.structure
class _Item:
    affiliation: Affiliation | str | None = xml.attr(default=None)
    role: Role | str | None = xml.attr(default=None)
    jid: JID | None = xml.attr(default=None, codec=xml.lenient(JID))
    nick: str | None = xml.attr(default=None)
    actor_jid: JID | None = xml.attr("jid", inside="actor", default=None, codec=xml.lenient(JID))
    actor_nick: str | None = xml.attr("nick", inside="actor", default=None)
    reason: str | None = xml.child_text(default=None)


@xml.element(_USER, "continue")
class Continue:
    """The room continues a chat, of this thread if it had one (§7.9)."""

    thread: str | None = xml.attr(default=None)


@xml.element(_USER, "item")
class Item(_Item):
    """An occupant: affiliation, role, the real address where the room shows it, and who changed them (§5).

    `continue_` refers to the chat that became a room (§7.9).
    """

    continue_: Continue | None = xml.child(default=None)


@xml.element(_USER, "status")
class Status:
    """A status code, 100 to 999 (§15.6)."""

    code: int = xml.attr(codec=xml.integer(0, 999))


@xml.element(_USER, "invite")
class Invite:
    """An invitation that the room passes on: `to` from the inviter, `from_` to the invitee (§7.8.2)."""

    to: JID | None = xml.attr(default=None)
    from_: JID | None = xml.attr(default=None)
    reason: str | None = xml.child_text(default=None)
    continue_: Continue | None = xml.child(default=None)


@xml.element(_USER, "decline")
class Decline:
    """A refusal of an invitation, which the room passes on (§7.8.2)."""

    to: JID | None = xml.attr(default=None)
    from_: JID | None = xml.attr(default=None)
    reason: str | None = xml.child_text(default=None)


@xml.structure
class _Destroy:
    jid: JID | None = xml.attr(default=None, codec=xml.lenient(JID))
    reason: str | None = xml.child_text(default=None)
    password: str | None = xml.child_text(default=None, repr=False)


@xml.element(_USER, "destroy")
class Destroyed(_Destroy):
    """The room was destroyed; `jid` is the room to use instead (§10.9)."""


@xml.element(_OWNER, "destroy")
class Destroy(_Destroy):
    """Destroys a room; `jid` is the room to use instead (§10.9)."""


@xml.element(_USER, "x")
class Occupant:
    """The element that a room adds to a presence or message of an occupant, or to an invitation (§7).

    Only a room may send it: a sender inside or outside of it can forge the element in a message.
    """

    items: tuple[Item, ...] = xml.children(lenient=True)
    statuses: tuple[Status, ...] = xml.children(lenient=True)
    invites: tuple[Invite, ...] = xml.children(lenient=True)
    declines: tuple[Decline, ...] = xml.children(lenient=True)
    destroy: Destroyed | None = xml.child(default=None)
    password: str | None = xml.child_text(default=None, repr=False)
    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def item(self) -> Item | None:
        """The first item, the only one of a presence."""
        return self.items[0] if self.items else None

    @property
    def codes(self) -> frozenset[int]:
        """The status codes."""
        return frozenset(status.code for status in self.statuses)


@xml.element(_ADMIN, "item")
class AdminItem(_Item):
    """An affiliation or role to look up or to change (§8, §9)."""


@xml.structure
class _Admin:
    items: tuple[AdminItem, ...] = xml.children(lenient=True)


@xml.element(_ADMIN, "query")
class Admin(_Admin):
    """The accounts or occupants with the requested affiliation or role (§9.5)."""


@xml.element(_ADMIN, "query")
class AdminQuery(_Admin, Get[Admin]):
    """Asks for all accounts with an affiliation, or all occupants with a role (§9.5)."""


@xml.element(_ADMIN, "query")
class AdminSet(_Admin, Set[None]):
    """Changes affiliations and roles (§8, §9)."""


@xml.structure
class _Owner:
    form: DataForm | None = xml.child(default=None)
    destroy: Destroy | None = xml.child(default=None)


@xml.element(_OWNER, "query")
class Owner(_Owner):
    """The configuration form of a room (§10.2)."""


@xml.element(_OWNER, "query")
class OwnerQuery(Get[Owner]):
    """Asks for the configuration form of a room (§10.2)."""


@xml.element(_OWNER, "query")
class OwnerSet(_Owner, Set[None]):
    """Submits or cancels the configuration of a room (§10.1, §10.2), or destroys it (§10.9)."""
