"""The books of a timeline: the live messages that wait, the order of all that is to be given, and the duplicates.

A message comes from the stream (`arrived`), or from the archive (`archived`). While the timeline catches up, the live
ones are *held*: they follow what was missed. All that is to be given goes into one queue, in its order: entries, places
to which the cursor moves once all before them is done, and events.

Two bounds keep a slow application from filling the memory. If too many messages are held, the tail is dropped, since
the archive has it; the archive is read once more. If too much waits in the queue, the timeline begins to hold again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import trio

from ...client import Inbox, Signal
from ...errors import InboxOverflow
from ...protocol.elements.mam import Result
from ...protocol.stanza import Message
from ...xep.mam import PAGE
from ...xep.muc import RoomEntry
from .archives import Archive, Arrival
from .cursor import TRAIL, Cursor, Position, Trail
from .duplicates import KEYS, Keys, Seen
from .entry import CaughtUp, Entry, NoArchive, Source, TimelineEvent
from .held import Held

__all__ = ["CERTAIN_EVERY", "Ledger", "Outcome", "entry_of_result", "stamp_of"]

#: After this many live messages the archive is asked for its newest ids, so that the cursor can move.
CERTAIN_EVERY = 400

#: How many messages are remembered that this client has sent, and that are no entries.
LEFT_OUT = 1_000

#: An archive is read on when at most this many entries wait.
LOW = 250


class Outcome(NamedTuple):
    """One item of the queue: an entry and its keys, an event, and where the cursor moves when all before is done."""

    entry: Entry | None = None
    event: TimelineEvent | None = None
    position: Position | None = None
    keys: Keys | None = None


class Ledger:
    """The books of one timeline."""

    def __init__(self, archive: Archive, cursor: Cursor, *, capacity: int, held: int) -> None:
        self.archive = archive
        self.cursor = cursor
        self.read: Position | None = None
        """The place up to which the archive was read."""
        self.has_archive: bool = True
        """Whether there is an archive, which gives ids, as far as that is known."""
        self._before: frozenset[str] = frozenset()
        """The archive ids of messages before the place where we began, which the archive shows once more."""
        self.on_event: Signal[TimelineEvent] = Signal()
        self.attention: trio.Event = trio.Event()
        """Set when the archive is to be asked again: messages were dropped, or many came since it was read."""
        self.malformed: int = 0
        self.duplicates: int = 0
        self.queue: Inbox[Outcome] = Inbox(math.inf)
        self._told_at: object = None
        """The occasion at which `CaughtUp` was told last."""
        # The archive may show once more all that waited for the application, or was given to it since the cursor moved.
        # Between the end of the archive and a second look at it all messages are given that were held.
        self._seen = Seen(max(KEYS, 2 * (max(capacity, held) + CERTAIN_EVERY + PAGE)))
        self._left_out: Seen | None = None
        """The messages that this client has sent, and that are no entries, once there are any."""
        self._capacity = capacity
        self._max_held = held
        self._held: Held | None = Held(self._max_held)
        """The live messages that wait until the timeline has caught up; None while none has to wait."""
        self._since_certain = 0
        self._in_hand: Outcome | None = None
        self._room = trio.lowlevel.ParkingLot()

    async def resume(self) -> None:
        """Go on where the cursor is, which is loaded. Raises `StoreError`. Cancelling leaves it unloaded."""
        self._seen.restore(await self.cursor.load())
        if self.cursor.position is not None:
            self.skip(self.cursor.position)

    # --- live messages

    def arrived(self, message: Message, source: Source, heard: RoomEntry | None = None) -> None:
        """Take a message of now; `heard` is what a room has believed of it."""
        arrival = Arrival(message, source, datetime.now(UTC), heard)
        if self._held is None:
            if len(self.queue) < self._capacity:
                self._give(arrival, *self._named(arrival))
                return
            if not self.has_archive:
                self.queue.close(InboxOverflow(f"more than {self._capacity} entries were waiting to be read"))
                return
            self._held = Held(self._max_held)
            self.attention.set()
        self._have_wait(arrival, self._held)

    def _have_wait(self, arrival: Arrival, held: Held) -> None:
        archive_id, keys = self._named(arrival)
        if held.merge(archive_id, keys):
            self.duplicates += 1
        else:
            held.add(arrival, archive_id, keys)

    def leave_out(self, message: Message) -> None:
        """Do not give what the archive has of `message`, which this client sends, and which is no entry."""
        if self._left_out is None:
            self._left_out = Seen(LEFT_OUT)
        self._left_out.add(*self._keys(message, None))

    def hold(self) -> None:
        """From now on live messages wait."""
        if self._held is None:
            self._held = Held(self._max_held)

    @property
    def is_holding(self) -> bool:
        """Whether live messages wait."""
        return self._held is not None

    @property
    def is_behind(self) -> bool:
        """Whether the application has finished with messages since the cursor moved."""
        return self._since_certain > 0

    def release(self) -> bool:
        """Give the live messages that were held. Return False if some were dropped, so that the archive must be read.

        Then later ones are held on.
        """
        is_cut = self.dropped > 0
        self.release_anyway()
        if is_cut and self.has_archive:
            self._held = Held(self._max_held)
            return False
        self._seen.caught_up()
        return True

    def release_anyway(self) -> None:
        """Give the live messages that were held, and hold no more, although something may be missing before them."""
        held, self._held = self._held, None
        for arrival, archive_id, keys in () if held is None else held.take_all():
            if self.has_archive:
                self._give(arrival, archive_id, keys)
            else:
                self._give(arrival, *self._named(arrival))

    def _named(self, arrival: Arrival) -> tuple[str | None, Keys]:
        """Return the id that the archive gave a live message, if that is believed, and its keys."""
        archive_id = self.archive.id_of(arrival) if self.has_archive else None
        return archive_id, self._keys(arrival.message, archive_id)

    def _give(self, arrival: Arrival, archive_id: str | None, keys: Keys) -> None:
        if self._seen.add(*keys):
            self._put(self.archive.live(arrival, archive_id), keys)
        else:
            self.duplicates += 1

    def _keys(self, message: Message, archive_id: str | None) -> Keys:
        key = None if archive_id is None else self.archive.key(message, archive_id)
        return key, self.archive.fingerprint(message)

    def _put(self, entry: Entry, keys: Keys) -> None:
        self.queue.put(Outcome(entry, None, None, keys))

    def past(self, entries: Iterable[Entry]) -> None:
        """Give what a room has sent of its history, as far as it is new."""
        for entry in entries:
            keys = self._keys(entry.message, entry.archive_id)
            if self._seen.add(*keys):
                self._put(entry, keys)

    # --- archived messages

    def archived(self, results: Sequence[Result]) -> None:
        """Give the messages of one page that are new, and move on behind the page."""
        now, trail = datetime.now(UTC), Trail(self.read)
        if results and results[0].id is not None:
            trail.rewind(results[0].id)
        for result in results:
            self._give_archived(result, stamp_of(result, now))
        for id, result in [(each.id, each) for each in results if each.id is not None][-TRAIL:]:
            trail.add(id, stamp_of(result, now))
        self.read = trail.position() or self.read
        self.settle()

    def late(self, results: Iterable[Result]) -> int:
        """Give those messages that the archive did not show when their place was read; return how many there were."""
        now = datetime.now(UTC)
        return sum([self._give_archived(result, stamp_of(result, now)) for result in results])

    def _give_archived(self, result: Result, stamp: datetime) -> bool:
        """Give an archived message if it is new; return whether it is."""
        id, message = result.id, result.forwarded.message
        if id is None or message is None:
            self.malformed += 1
            return False
        keys = self._keys(message, id)
        copy = self._take_copy(keys) if self._held else None
        is_old = id in self._before and copy is None
        is_left_out = self._left_out is not None and self._left_out.has(*keys)
        if not self._seen.add(*keys) or is_old or is_left_out:
            self.duplicates += 1
            return False
        entry = self.archive.archived(message, id, stamp)
        if entry is None:
            return False
        if copy is not None:
            # The server delivers it as well, so it was not missed, unless the server has kept it meanwhile: it is new,
            # and a receipt of it may be due.
            live = self.archive.live(copy, id)
            entry = entry if live.source is Source.OFFLINE else live
        self._put(entry, keys)
        return True

    def _take_copy(self, keys: Keys) -> Arrival | None:
        """Return the live copy of an archived message, which waits no more; None if there is none."""
        if self._held is None or (copy := self._held.copy_of(keys)) is None:
            return None
        self.duplicates += self._held.drop(keys)
        return copy.arrival

    @property
    def holds(self) -> int:
        """The number of live messages that wait."""
        return 0 if self._held is None else len(self._held)

    @property
    def dropped(self) -> int:
        """The number of live messages that were dropped, since too many waited: the archive has them."""
        return 0 if self._held is None else self._held.dropped

    def is_held(self, result: Result) -> bool:
        """Return whether an archived message is one of the live ones that wait."""
        message, id = result.forwarded.message, result.id
        if message is None or id is None or not self._held:
            return False
        return self._held.copy_of(self._keys(message, id)) is not None

    async def begin_at(self, position: Position) -> None:
        """Begin behind `position`, and write that down at once: what comes from now on is not to be missed."""
        self.skip(position)
        self.cursor.move(position)
        await self.cursor.save()

    def skip(self, position: Position) -> None:
        """Go on behind `position`, without giving anything that is before it."""
        self.read = position
        if position.tail:
            self._before = frozenset(position.tail)

    def settle(self) -> None:
        """Once all that is in the queue is done, the application is done with what was read of the archive."""
        if self.read is not None:
            self.queue.put(Outcome(position=self.read))

    def behind(self, results: Sequence[Result]) -> Sequence[Result]:
        """Return those of `results` that follow the place up to which the archive was read, or all of them."""
        last = None if self.read is None else self.read.tail[-1:]
        places = [place for place, result in enumerate(results) if last and result.id == last[0]]
        return results[places[-1] + 1 :] if places else results

    def has_had(self, results: Iterable[Result]) -> bool:
        """Return whether all these messages were given, or are left out."""
        return all(result.id is not None and self._has_had(result, result.id) for result in results)

    def _has_had(self, result: Result, id: str) -> bool:
        message = result.forwarded.message
        if message is None:
            return False
        return self._seen.has(*self._keys(message, id)) or self.archive.archived(message, id, stamp_of(result)) is None

    def found_archive(self, found: bool) -> None:
        """Learn whether there is an archive. If there is none, nothing needs to wait for it."""
        is_news = self.has_archive and not found
        self.has_archive = found
        if is_news:
            self.tell(NoArchive())
        if not found:
            self.release_anyway()

    def rearm(self) -> None:
        """Have `attention` set again when the archive is to be asked."""
        self.attention = trio.Event()

    def count_malformed(self, number: int) -> None:
        """Count archived messages that could not be read."""
        self.malformed += number

    def tell_caught_up(self, occasion: object) -> None:
        """Tell once in a session, or in a stay in a room, that all that was missed was given."""
        if self._told_at != occasion:
            self._told_at = occasion
            self.tell(CaughtUp())

    def tell(self, event: TimelineEvent) -> None:
        """Tell of an event when all that is in the queue is done."""
        self.queue.put(Outcome(event=event))

    async def wait_room(self) -> None:
        """Wait until there is room for another page. Cancelling changes nothing."""
        await trio.lowlevel.checkpoint()
        while len(self.queue) > LOW:
            await self._room.park()

    # --- the application

    async def next(self) -> Entry:
        """Finish with the entry that was given last, and return the next one. Cancelling loses none."""
        self.finish()
        while True:
            outcome = await self.queue.__anext__()
            if len(self.queue) <= LOW and self._room:
                self._room.unpark_all()
            if outcome.entry is not None:
                self._in_hand = outcome
                return outcome.entry
            if outcome.position is not None:
                self._since_certain = 0
                self.cursor.move(outcome.position)
            if outcome.event is not None:
                self.on_event.emit(outcome.event)

    def finish(self) -> None:
        """The application is done with the entry that it was given last."""
        outcome, self._in_hand = self._in_hand, None
        if outcome is None or outcome.keys is None:
            return
        self.cursor.finish(outcome.keys)
        self._since_certain += 1
        if not self._since_certain % CERTAIN_EVERY and self.has_archive:
            self.attention.set()


def entry_of_result(archive: Archive, result: Result) -> Entry | None:
    """Return the entry of an archived message; None if it cannot be read, or is left out."""
    message = result.forwarded.message
    return None if message is None else archive.archived(message, result.id, stamp_of(result))


def stamp_of(result: Result, now: datetime | None = None) -> datetime:
    """Return when an archived message was sent: never in the future, and `now` if the archive does not say."""
    now = datetime.now(UTC) if now is None else now
    delay = result.forwarded.delay
    if delay is None:
        return now
    stamp = delay.stamp  # it has a time zone, since it was parsed
    return stamp if stamp < now else now
