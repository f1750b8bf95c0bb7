"""The book of presences: the available resources of contacts, of our own account and of a few strangers."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, overload

import trio

from ...client import Client, Signal, Subscription
from ...jid import JID
from ...protocol.elements.delay import Delay
from ...protocol.elements.idle import Idle
from ...protocol.stanza import Presence, PresenceShow, PresenceType
from ...record import field, record
from ..blocking import Blocked, Blocklist, Unblocked
from ..roster import Roster

__all__ = ["PER_CONTACT", "STRANGERS", "Available", "Gone", "Presences", "ResourcePresence"]

#: How many resources of one contact are kept, and how many of all that are not contacts.
PER_CONTACT: Final = 64
STRANGERS: Final = 1_000

#: How many characters of the texts of one presence are kept.
MAX_STATUS: Final = 4_096

_MUC: Final = frozenset(f"{{http://jabber.org/protocol/{name}}}x" for name in ("muc", "muc#user"))


@record
class ResourcePresence:
    """The presence of one available resource, without its extensions.

    `statuses` are its texts by language, and `status` the one in the language of the presence. `when` is the time at
    which it was sent, as far as a server says so (XEP-0203), else at which it came. `idle_since` is the time of the
    last activity of a person, if the client tells that (XEP-0319).
    """

    jid: JID
    show: PresenceShow | None = None
    status: str | None = None
    statuses: dict[str, str] = field(default_factory=dict, hash=False)
    priority: int = 0
    when: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)
    idle_since: datetime | None = None


@record
class Available:
    """A resource is available, or has changed its presence. `before`: what was known of it. `stanza`: as it came."""

    presence: ResourcePresence
    before: ResourcePresence | None
    stanza: Presence = field(compare=False)


@record
class Gone:
    """A resource is not available any more. Its last `status` may say why.

    `stanza` is the presence that says so; None if our session is over, if the address was blocked, or if it had to make
    room.
    """

    presence: ResourcePresence
    status: str | None = None
    stanza: Presence | None = field(default=None, compare=False)


class Presences:
    """The available resources, by address. `open_presence` gives one of these."""

    def __init__(
        self,
        client: Client,
        roster: Roster | None = None,
        blocklist: Blocklist | None = None,
        *,
        per_contact: int = PER_CONTACT,
        strangers: int = STRANGERS,
    ) -> None:
        self.on_change: Signal[Available | Gone] = Signal()
        """Emitted for each change."""
        self._client = client
        self._roster = roster
        self._blocklist = blocklist
        self._per_contact = per_contact
        self._max_strangers = strangers
        self._book: dict[JID, OrderedDict[JID, ResourcePresence]] = {}
        """By bare JID, then by the JID that sent it, the newest last."""
        self._strangers: OrderedDict[JID, None] = OrderedDict()
        self._changed = trio.lowlevel.ParkingLot()

    # --- looking

    def __iter__(self) -> Iterator[JID]:
        """Iterate over the bare JIDs of which a resource is available."""
        return iter([*self._book])

    def __len__(self) -> int:
        return len(self._book)

    def __contains__(self, jid: object) -> bool:
        """Return whether this resource, or any resource of this bare JID, is available."""
        if not isinstance(jid, JID | str):
            return False
        jid = _parsed(jid)
        return jid in self._book.get(jid.bare, ()) or jid in self._book

    def get(self, jid: JID | str) -> ResourcePresence | None:
        """Return the presence of this very resource, or None."""
        jid = _parsed(jid)
        resources = self._book.get(jid.bare)
        return None if resources is None else resources.get(jid)

    def of(self, jid: JID | str) -> list[ResourcePresence]:
        """Return the presences of all resources of `jid`, the best first: the highest priority, then the latest."""
        resources = self._book.get(_parsed(jid).bare)
        if resources is None:
            return []
        order = {presence.jid: number for number, presence in enumerate(resources.values())}
        return sorted(resources.values(), key=lambda one: (one.priority, one.when, order[one.jid]), reverse=True)

    def best(self, jid: JID | str) -> ResourcePresence | None:
        """Return the presence of the best resource of `jid`, or None if none is available."""
        return next(iter(self.of(jid)), None)

    @property
    def ours(self) -> list[ResourcePresence]:
        """The other resources of our own account, the best first."""
        return self.of(self._client.jid)

    def changes(self, *, capacity: float = 10_000) -> Subscription[Available | Gone]:
        """``async with`` block that gives an inbox of changes, from now on."""
        return self.on_change.subscribe(capacity)

    @overload
    async def wait(self, jid: JID | str) -> ResourcePresence: ...

    @overload
    async def wait(
        self, jid: JID | str, condition: Callable[[ResourcePresence | None], Any]
    ) -> ResourcePresence | None: ...

    async def wait(
        self,
        jid: JID | str,
        condition: Callable[[ResourcePresence | None], Any] = lambda presence: presence is not None,
    ) -> ResourcePresence | None:
        """Wait until ``condition(best)`` is true, and return the best presence of `jid`; None if there is none.

        The default waits until `jid` is available. Cancelling changes nothing.
        """
        await trio.lowlevel.checkpoint()
        while not condition(best := self.best(jid)):
            await self._changed.park()
        return best

    # --- what arrives

    def seen(self, presence: Presence) -> Presence:
        """Note an inbound presence; it goes on to others as it is.

        An error says nothing of presence: it may come from a server that could not deliver ours. The presences of a
        room are about its occupants; they belong to the service that claimed the room, or to none.
        """
        kind, sender = presence.type, presence.from_
        if (kind is PresenceType.AVAILABLE or kind is PresenceType.UNAVAILABLE) and sender is not None:
            if sender == self._client.jid or self._client.claimed(sender) or _is_of_room(presence):
                return presence
            if kind is PresenceType.UNAVAILABLE:
                self._left(sender, presence)
            elif self._blocklist is None or not self._blocklist.blocks(sender):
                self._came(sender, presence)
        return presence

    def _came(self, sender: JID, stanza: Presence) -> None:
        resources = self._book.setdefault(sender.bare, OrderedDict())
        before = resources.get(sender)
        resources[sender] = presence = _described(sender, stanza, self._client.jid)
        resources.move_to_end(sender)
        self.on_change.emit(Available(presence, before, stanza))
        if len(resources) > self._per_contact:
            self._drop(next(iter(resources)))
        self._make_room(sender)
        self._changed.unpark_all()

    def _make_room(self, newest: JID) -> None:
        """Let the oldest resources of strangers go. One stranger may have many."""
        if newest in self._strangers:
            self._strangers.move_to_end(newest)
        elif not self._is_known(newest.bare):
            self._strangers[newest] = None
        while len(self._strangers) > self._max_strangers:
            oldest, _ = self._strangers.popitem(last=False)
            if not self._is_known(oldest.bare):  # it may have become a contact meanwhile
                self._drop(oldest)

    def _is_known(self, jid: JID) -> bool:
        return jid == self._client.jid.bare or (self._roster is not None and jid in self._roster)

    def _left(self, sender: JID, stanza: Presence) -> None:
        if sender.is_bare:
            self._drop_all(sender, stanza)
        else:
            self._drop(sender, stanza)

    def _drop(self, jid: JID, stanza: Presence | None = None) -> None:
        resources = self._book.get(jid.bare)
        presence = None if resources is None else resources.pop(jid, None)
        if not resources:
            self._book.pop(jid.bare, None)
        self._strangers.pop(jid, None)
        if presence is not None:
            status = None if stanza is None else stanza.status
            self.on_change.emit(Gone(presence, status and status[:MAX_STATUS], stanza))
            self._changed.unpark_all()

    def _drop_all(self, bare: JID, stanza: Presence | None = None) -> None:
        for jid in [*self._book.get(bare, ())]:
            self._drop(jid, stanza)

    # --- what else ends a presence

    def clear(self) -> None:
        """Forget all others: our session is over."""
        for bare in self:
            self._drop_all(bare)

    def blocked(self, event: Blocked | Unblocked) -> None:
        """Addresses were blocked: we get no presence from them any more."""
        if isinstance(event, Blocked) and self._blocklist is not None:
            for jid in itertools.chain.from_iterable([[*resources] for resources in self._book.values()]):
                if self._blocklist.blocks(jid):
                    self._drop(jid)


def _parsed(jid: JID | str) -> JID:
    return JID.parse(jid) if isinstance(jid, str) else jid


def _is_of_room(presence: Presence) -> bool:
    return any(getattr(payload, "tag", None) in _MUC for payload in presence.payloads)


def _described(sender: JID, stanza: Presence, us: JID) -> ResourcePresence:
    """Return what is kept of a presence. The stanza itself may be large."""
    now = datetime.now(UTC)
    delay, idle = stanza.get(Delay), stanza.get(Idle)
    when = now if delay is None or not _may_delay(delay.from_, sender, us) else min(now, _aware(delay.stamp))
    statuses, room = {}, MAX_STATUS
    for lang, text in stanza.statuses.items():
        if room > 0:
            statuses[lang[:64]] = text[:room]
            room -= len(text) + 64
    status = stanza.status
    return ResourcePresence(
        sender,
        stanza.show,
        status and status[:MAX_STATUS],
        statuses,
        stanza.priority,
        when,
        None if idle is None else _aware(idle.since),
    )


def _may_delay(delayer: JID | None, sender: JID, us: JID) -> bool:
    """Return whether an entity may stamp a presence of `sender` (XEP-0203): the sender, its server, or ours."""
    if delayer is None or delayer.bare == sender.bare:
        return True
    return delayer.local is None and delayer.is_bare and delayer.domain in (sender.domain, us.domain)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
