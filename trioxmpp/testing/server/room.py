"""The state of a room: its configuration, affiliations, occupants, subject and history (XEP-0045 §5, §10).

An affiliation belongs to an account and lasts; a role belongs to a stay. An occupant is an account in the room under
one nick, with one or more clients. Its id (XEP-0421) is the same whenever the account comes back.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ... import xml
from .archive import Archive

__all__ = ["ADMIN", "MUC", "OWNER", "USER", "Affiliation", "Occupant", "Role", "Room"]

MUC = "http://jabber.org/protocol/muc"
USER = f"{MUC}#user"
ADMIN = f"{MUC}#admin"
OWNER = f"{MUC}#owner"

Affiliation: TypeAlias = Literal["owner", "admin", "member", "none", "outcast"]
Role: TypeAlias = Literal["moderator", "participant", "visitor", "none"]

#: The messages that a room remembers for those who join, at most.
HISTORY = 20


@dataclass(slots=True, eq=False)
class Occupant:
    """An account in the room."""

    nick: str
    account: str
    """Its bare JID."""
    role: Role
    id: str
    """Its occupant id."""
    clients: dict[str, xml.Element] = field(default_factory=dict)
    """The presence of each of its clients, by full JID; the newest client at the end."""

    @property
    def newest(self) -> str:
        """The full JID of the client that joined last."""
        return next(reversed(self.clients))


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a room, and the time at which it was set."""

    text: str
    sender: str
    stamp: str


class Room:
    """One room. Its configuration is a form: values by field, without ``muc#roomconfig_``."""

    def __init__(self, jid: str, creator: str, *, locked: bool, history: int) -> None:
        self.jid = jid
        self.locked = locked
        """Whether only its creator may enter, until the room is configured (XEP-0045 §10.1)."""
        self.config: dict[str, str] = {
            "roomname": "",
            "roomdesc": "",
            "persistentroom": "0",
            "publicroom": "1",
            "membersonly": "0",
            "moderatedroom": "0",
            "passwordprotectedroom": "0",
            "roomsecret": "",
            "whois": "moderators",
            "changesubject": "0",
            "allowinvites": "0",
            "maxusers": "0",
        }
        self.affiliations: dict[str, tuple[Affiliation, str | None]] = {creator: ("owner", None)}
        """Affiliation and reason by bare JID; all others have "none"."""
        self.occupants: dict[str, Occupant] = {}
        """The occupants by nick."""
        self.nicks: dict[str, str] = {}
        """The nicks that accounts have registered (XEP-0045 §7.10), by bare JID."""
        self.subject: Subject | None = None
        self.history: deque[xml.Element] = deque(maxlen=HISTORY)
        self.archive: Archive = Archive(history)

    def is_set(self, name: str) -> bool:
        """Return whether a boolean field of the configuration is true."""
        return self.config[name] in ("1", "true")

    @property
    def anonymous(self) -> bool:
        """Whether only moderators see the real JIDs of occupants."""
        return self.config["whois"] == "moderators"

    def affiliation(self, account: str) -> Affiliation:
        """Return the affiliation of an account."""
        return self.affiliations.get(account, ("none", None))[0]

    def role_for(self, account: str) -> Role:
        """Return the role with which an account begins its stay (XEP-0045 §5.1.3)."""
        affiliation = self.affiliation(account)
        if affiliation in ("owner", "admin"):
            return "moderator"
        return "visitor" if affiliation == "none" and self.is_set("moderatedroom") else "participant"

    def occupant_of(self, client: str) -> Occupant | None:
        """Return the occupant that a client is part of."""
        return next((each for each in self.occupants.values() if client in each.clients), None)

    def sees_jids(self, client: str) -> bool:
        """Return whether a client may see the real JIDs of all occupants."""
        occupant = self.occupant_of(client)
        return not self.anonymous or (occupant is not None and occupant.role == "moderator")

    def clients(self) -> list[tuple[str, Occupant]]:
        """Return the full JIDs of all clients, each with its occupant."""
        return [(client, occupant) for occupant in self.occupants.values() for client in occupant.clients]

    def occupant_id(self, account: str) -> str:
        """Return the id of an account in this room: the same for each stay, another one in each room."""
        return hashlib.sha256(f"{self.jid} {account}".encode()).hexdigest()[:32]
