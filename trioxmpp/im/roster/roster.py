"""The roster of our account, and the block during which it is known."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

import trio

from ...client import Client, Session, Signal, Slices, Stage, Step, Subscription, Trouble, supervised
from ...errors import StanzaCondition, XMPPCancelError, XMPPModifyError, XMPPWaitError
from ...jid import JID
from ...protocol.elements.nick import Nick
from ...protocol.elements.roster import PRE_APPROVAL, VERSIONING, Item, RosterQuery, RosterSet
from ...protocol.stanza import IQ, IQType, Presence, PresenceType
from ...xep.subscribed import SubscribedContacts
from .answer import RosterAnswer, read_roster
from .contact import (
    Contact,
    ContactAdded,
    ContactChanged,
    ContactRemoved,
    RequestWithdrawn,
    RosterEvent,
    SubscriptionRequested,
    SubscriptionState,
)
from .remembered import RememberedRoster

__all__ = ["Roster", "open_roster"]

_logger = logging.getLogger(__name__)

#: How many contacts are kept, and how many requests that wait for an answer.
LIMIT = 50_000
REQUESTS = 1_000

#: How many characters of the text of a request are kept.
REQUEST_TEXT = 1_000

#: Seconds for which a verb waits for the push behind the result. A server need not push what changes nothing.
PUSH_TIMEOUT = 5.0


class _Unchanged(Enum):
    UNCHANGED = "as it is"


UNCHANGED: Final = _Unchanged.UNCHANGED


class Roster:
    """Our contacts: ``roster["juliet@example.org"]``, ``for contact in roster``. `open_roster` gives one."""

    def __init__(self, client: Client, limit: int = LIMIT, requests: int = REQUESTS) -> None:
        self.on_event: Signal[RosterEvent] = Signal()
        """Emitted when a contact has changed, and for requests to us."""
        self.version: str | None = None
        """The version of the contacts; None if the server has no versions."""
        self._client = client
        self._limit = limit
        self._max_requests = requests
        self._contacts: dict[JID, Contact] = {}
        self._requests: dict[JID, SubscriptionRequested] = {}
        self._remembered = RememberedRoster(client.notes("roster"), self._tell)
        self._changed = trio.lowlevel.ParkingLot()
        self._expected: dict[JID, set[trio.Event]] = {}
        """The events of verbs that wait for a push of this contact."""
        self._early: list[tuple[Item, str | None]] | None = None
        """The pushes that have come since the roster was asked for; None while it is not."""
        self._is_full = False
        self._session: Session | None = None
        """The session that was last brought up to date, or is."""

    # --- looking

    def __iter__(self) -> Iterator[Contact]:
        return iter([*self._contacts.values()])

    def __len__(self) -> int:
        return len(self._contacts)

    def __contains__(self, jid: object) -> bool:
        return isinstance(jid, JID | str) and self.get(jid) is not None

    def __getitem__(self, jid: JID | str) -> Contact:
        contact = self.get(jid)
        if contact is None:
            raise KeyError(str(jid))
        return contact

    def get(self, jid: JID | str) -> Contact | None:
        """Return the contact that has this address, or for a full JID its bare JID; None if there is none."""
        jid = _parsed(jid)
        return self._contacts.get(jid) or self._contacts.get(jid.bare)

    def groups(self) -> dict[str, list[Contact]]:
        """Return the contacts by the groups that they are in. A contact may be in several, or in none."""
        groups: dict[str, list[Contact]] = {}
        for contact in self:
            for group in contact.groups:
                groups.setdefault(group, []).append(contact)
        return groups

    @property
    def requests(self) -> Mapping[JID, SubscriptionRequested]:
        """The requests to see our presence that wait for an answer, the oldest first."""
        return MappingProxyType(self._requests)

    def changes(self, *, capacity: float = 10_000) -> Subscription[RosterEvent]:
        """``async with`` block that gives an inbox of events, from now on."""
        return self.on_event.subscribe(capacity)

    async def wait(self, jid: JID | str, condition: Callable[[Contact | None], Any]) -> Contact | None:
        """Wait until ``condition(contact)`` is true, and return the contact, or None without one. May be cancelled."""
        await trio.lowlevel.checkpoint()
        while not condition(contact := self.get(jid)):
            await self._changed.park()
        return contact

    # --- changing contacts (§2.3 to §2.5)

    async def put(
        self,
        jid: JID | str,
        *,
        name: str | _Unchanged | None = UNCHANGED,
        groups: Iterable[str] | _Unchanged = UNCHANGED,
    ) -> None:
        """Add a contact, or give it another name or other groups; what is not given stays as it is.

        This asks for no subscription. Returns when the roster has it. Raises as `Client.request`: if the server refuses
        it, the roster is unchanged. If cancelled, it may happen all the same.
        """
        jid = _parsed(jid).bare
        known = self._contacts.get(jid) or Contact(jid)
        chosen = known.name if name is UNCHANGED else name
        chosen_groups = known.groups if groups is UNCHANGED else frozenset(groups)
        await self._set(Item(jid=jid, name=chosen, groups=tuple(sorted(chosen_groups))))

    async def remove(self, jid: JID | str) -> None:
        """Remove a contact, and end its subscriptions in both directions (§2.5). Raises, and is cancelled, as `put`."""
        await self._set(Item(jid=_parsed(jid), subscription=SubscriptionState.REMOVE))

    async def _set(self, item: Item) -> None:
        with self._expecting(item.jid) as pushed:
            await self._client.request(RosterSet(items=(item,)))
            with trio.move_on_after(PUSH_TIMEOUT):
                await pushed.wait()

    @contextmanager
    def _expecting(self, jid: JID) -> Iterator[trio.Event]:
        event = trio.Event()
        events = self._expected.setdefault(jid, set())
        events.add(event)
        try:
            yield event
        finally:
            events.discard(event)
            if not events:
                self._expected.pop(jid, None)

    # --- subscriptions (§3)

    async def subscribe(self, jid: JID | str, *, text: str | None = None, nick: str | None = None) -> None:
        """Ask a contact to let us see its presence (§3.1). Its answer is a change of the contact.

        Like the other verbs below it returns when the server has it, raises as `Client.send`, and may be cancelled as
        that.
        """
        payloads = () if nick is None else (Nick(nick=nick),)
        await self._send(jid, PresenceType.SUBSCRIBE, text, payloads)

    async def unsubscribe(self, jid: JID | str) -> None:
        """See the presence of a contact no longer (§3.3), or withdraw the request to see it. Raises as `subscribe`."""
        await self._send(jid, PresenceType.UNSUBSCRIBE)

    async def approve(self, jid: JID | str) -> None:
        """Let the contact that asked see our presence (§3.1.4). Raises, and may be cancelled, as `subscribe`."""
        await self._send(jid, PresenceType.SUBSCRIBED)
        self._requests.pop(_parsed(jid).bare, None)

    async def deny(self, jid: JID | str) -> None:
        """Refuse the request of `jid` to see our presence (§3.1.4). Raises, and may be cancelled, as `subscribe`."""
        await self._send(jid, PresenceType.UNSUBSCRIBED)
        self._requests.pop(_parsed(jid).bare, None)

    async def cancel(self, jid: JID | str) -> None:
        """Let a contact see our presence no longer (§3.2), or take back that its request will be approved.

        Raises, and may be cancelled, as `subscribe`.
        """
        await self.deny(jid)

    async def preapprove(self, jid: JID | str) -> None:
        """Have the request that `jid` may make approved at once (§3.4).

        Raises `XMPPCancelError` (*feature-not-implemented*) if the server does not offer that: it might take this for
        the answer to a request.
        """
        await self._client.wait_established()
        session = self._client.session
        if session is not None and PRE_APPROVAL not in session.features.tags:
            raise XMPPCancelError(StanzaCondition.FEATURE_NOT_IMPLEMENTED, "the server does not offer pre-approval")
        await self._send(jid, PresenceType.SUBSCRIBED)

    async def _send(
        self, jid: JID | str, type: PresenceType, text: str | None = None, payloads: Iterable[Any] = ()
    ) -> None:
        await self._client.send(Presence(to=_parsed(jid).bare, type=type, status=text, payloads=payloads))

    # --- the server's side

    async def restore(self) -> None:
        """Begin with the contacts of the notes. Raises `StoreError`."""
        self.version, contacts = await self._remembered.load()
        self._contacts = {contact.jid: contact for contact in contacts[: self._limit]}
        if len(contacts) > self._limit:
            self.version = None

    async def remember(self) -> None:
        """Write changes down as they come, until cancelled."""
        await self._remembered.run()

    async def finish(self) -> None:
        """Write down what has not been yet."""
        await self._remembered.finish()

    async def fetch(self, session: Session) -> None:
        """Bring the roster up to date in a new session (§2.2, §2.6)."""
        if session is not self._session and not session.adopted:
            self._requests.clear()  # the server repeats those that wait
        self._session = session
        version = (self.version or "") if VERSIONING in session.features.tags else None
        self._early = []
        try:
            question = IQ(type=IQType.GET, payload=RosterQuery(ver=version))
            answer: RosterAnswer | None = await session.send(question, on_reply=read_roster)
            if answer is not None:
                await self._replace(answer)
            elif version is None:
                await self._replace(RosterAnswer(None, {}))
            early = self._early
        finally:
            self._early = None
        for item, version_then in early:
            self._apply(item, version_then)

    def pushed(self, iq: IQ) -> None:
        """Take a push of our account (§2.1.6)."""
        push: Any = iq.payload
        if len(push.items) != 1:
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST, "a push has one item (RFC 6121 §2.1.6)")
        if self._early is None:
            self._apply(push.items[0], push.ver)
        else:
            # Until the answer is read, the version stays: what is between it and the push is still to come.
            self._early.append((push.items[0], push.ver))
            self._apply(push.items[0], self.version)

    def _apply(self, item: Item, version: str | None) -> None:
        removed = item.subscription is SubscriptionState.REMOVE
        self._put(item.jid, None if removed else Contact.of(item))
        self._reached(version)
        for event in self._expected.get(item.jid, ()):
            event.set()

    async def _replace(self, answer: RosterAnswer) -> None:
        """Take over all contacts, in slices. If cancelled, the version stays: the next session does the rest."""
        contacts = answer.contacts
        self._is_full = self._is_full and len(contacts) > self._limit
        async for gone in Slices(self._contacts.keys() - contacts.keys()):
            for jid in gone:
                self._put(jid, None)
        async for part in Slices(contacts.items()):
            for jid, contact in part:
                self._put(jid, contact)
        self._reached(answer.version)
        for events in self._expected.values():
            for event in events:
                event.set()

    def _reached(self, version: str | None) -> None:
        # A roster that is not kept as a whole has no version: the next session has to read all of it.
        self.version = None if self._is_full else version
        self._remembered.reached(self.version)
        self._changed.unpark_all()

    def _put(self, jid: JID, contact: Contact | None) -> None:
        before = self._contacts.get(jid)
        if contact == before:
            return
        if contact is None:
            assert before is not None
            del self._contacts[jid]
            self.on_event.emit(ContactRemoved(before))
        elif before is None and len(self._contacts) >= self._limit:
            if not self._is_full:
                self._is_full = True
                text = f"the roster has more than {self._limit} contacts"
                self._tell(XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, text))
            return
        else:
            self._contacts[jid] = contact
            self.on_event.emit(ContactAdded(contact) if before is None else ContactChanged(contact, before))
            if contact.sees_us:
                self._withdraw(jid)
        self._remembered.changed(jid, contact)

    def _tell(self, problem: Exception) -> None:
        _logger.warning("the roster: %s", problem)
        self._client.on_event.emit(Trouble("open_roster", problem))

    # --- requests to us (§3.1.3)

    def seen(self, presence: Presence) -> Presence:
        """Note a request to see our presence, and that one is withdrawn. The presence goes on to others as it is."""
        if presence.type is PresenceType.SUBSCRIBE:
            self._requested(presence)
        elif presence.type is PresenceType.UNSUBSCRIBE and presence.from_ is not None:
            self._withdraw(presence.from_.bare)
        return presence

    def _requested(self, presence: Presence) -> None:
        jid = presence.from_ and presence.from_.bare
        if jid is None or jid in self._requests or jid == self._client.jid.bare:
            return
        nick = presence.get(Nick)
        text, name = presence.status, None if nick is None else nick.nick
        request = SubscriptionRequested(jid, text and text[:REQUEST_TEXT], name and name[:REQUEST_TEXT])
        while len(self._requests) >= self._max_requests:
            del self._requests[next(iter(self._requests))]
        self._requests[jid] = request
        self.on_event.emit(request)

    def _withdraw(self, jid: JID) -> None:
        if self._requests.pop(jid, None) is not None:
            self.on_event.emit(RequestWithdrawn(jid))


def _parsed(jid: JID | str) -> JID:
    return JID.parse(jid) if isinstance(jid, str) else jid


@asynccontextmanager
async def open_roster(client: Client, *, limit: int = LIMIT, requests: int = REQUESTS) -> AsyncIterator[Roster]:
    """A block during which our roster is known; gives the `Roster`.

    It is brought up to date in each session before the first presence is sent, and follows the pushes of our own
    account. Contacts are kept in the notes of the client. At most `limit` of them are kept, and `requests` requests to
    see our presence, the newest; a roster with more contacts is told as `Trouble`, once.

    Raises what the server answers, as `Client.request`, and `StoreError`. Cancelling while entering leaves nothing
    behind.
    """
    roster = Roster(client, limit, requests)
    await roster.restore()
    with (
        client.answer(RosterSet, roster.pushed, from_=client.own_account),
        client.at_stage(Stage.NOTICE, presence=roster.seen),
        client.shared(SubscribedContacts.of) as subscribed,
        subscribed.told_by(roster),
    ):
        try:
            async with (
                client.each_session(Step.SYNC, roster.fetch),
                supervised(client, roster.remember, name="open_roster"),
            ):
                yield roster
        finally:
            await roster.finish()  # noqa: ASYNC102  (it shields, and bounds, its writing)
