"""RFC 6121 §3: the accounts whose presence we are subscribed to, one set for all services of a client.

A service that only wants to know them asks for the roster once a session, however many of its blocks run. While the
application has the roster open (`trioxmpp.im.roster`), that one tells, and there is no other request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio

from ..client import Client, Session, Stage
from ..jid import JID
from ..protocol.elements.roster import RosterQuery, Subscription
from ..protocol.stanza import Presence, PresenceType

__all__ = ["SubscribedContacts"]

_SUBSCRIBED = (Subscription.TO, Subscription.BOTH)


class _Contact(Protocol):
    @property
    def jid(self) -> JID:
        """Its bare JID."""
        ...

    @property
    def is_seen(self) -> bool:
        """Whether we are subscribed to its presence."""
        ...


class _Roster(Protocol):
    def __iter__(self) -> Iterator[_Contact]: ...

    def get(self, jid: JID) -> _Contact | None:
        """Return the contact that has this address."""
        ...


class SubscribedContacts:
    """The accounts whose presence we are subscribed to. ``with client.shared(SubscribedContacts.of)`` gives them."""

    def __init__(self) -> None:
        self._jids: set[JID] = set()
        self._rosters: list[_Roster] = []
        """The rosters that are open."""
        self._read_in: Session | None = None
        """The session in which the roster was read last."""
        self._is_wanted = False
        """Whether a block has asked for the roster: without one, nothing is noted of a roster that is closed."""
        self._turn = trio.Lock()

    @classmethod
    @contextmanager
    def of(cls, client: Client) -> Iterator[SubscribedContacts]:
        """``with`` block during which approved subscriptions are noted; see `Client.shared`."""
        contacts = cls()
        with client.at_stage(Stage.EVENT, presence=contacts.take):
            yield contacts

    def __contains__(self, jid: JID) -> bool:
        if not self._rosters:
            return jid in self._jids
        contact = self._rosters[-1].get(jid)
        return contact is not None and contact.is_seen

    @contextmanager
    def told_by(self, roster: _Roster) -> Iterator[None]:
        """``with`` block during which `roster` tells which contacts these are."""
        self._rosters.append(roster)
        try:
            yield
        finally:
            if self._is_wanted:
                self._jids = {contact.jid for contact in roster if contact.is_seen}
            self._rosters.remove(roster)

    async def fetch(self, session: Session) -> None:
        """Read the roster in `session`, unless that is done, or an open roster tells.

        Raises as `Session.request`. If cancelled, another block that needs it reads it.
        """
        self._is_wanted = True
        async with self._turn:
            if self._rosters or self._read_in is session:
                return
            answer = await session.request(RosterQuery())
            if answer is not None:
                self._jids = {item.jid.bare for item in answer.items if item.subscription in _SUBSCRIBED}
            self._read_in = session

    def take(self, presence: Presence) -> Presence:
        """Note that a contact has approved a subscription; the server passes it on only if we asked (RFC 6121 §3.1)."""
        if presence.type is PresenceType.SUBSCRIBED and presence.from_ is not None:
            self._jids.add(presence.from_.bare)
        elif presence.type is PresenceType.UNSUBSCRIBED and presence.from_ is not None:
            self._jids.discard(presence.from_.bare)
        return presence
