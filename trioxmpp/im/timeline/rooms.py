"""All messages of a room, once each, in order: what was missed, from its archive, then what comes.

A stay in a room may end while the session goes on: a kick, a service that restarts, an eviction in silence. So here
each stay has its catching up, and not each session. From the moment at which a stay ends, live messages are held until
the archive was read. A room without an archive sends its history with the join, which takes the place of the archive.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import trio

from ...client import supervised
from ...protocol.elements.retraction import Moderated, Retract
from ...protocol.stanza import Message, MessageType
from ...xep.muc import MessageModerated, Room, RoomEntry, RoomEvent, RoomGone, RoomMessage, RoomSource
from .archives import RoomArchive, entry_in_room
from .catchup import CatchUp
from .cursor import Cursor
from .entry import Entry, Source
from .giving import SAVE_AFTER, Giving, end_with
from .history import History
from .ledger import Ledger

__all__ = ["RoomTimeline", "open_room_timeline"]


class RoomTimeline(Giving):
    """The messages of a room, as an asynchronous iterator of `Entry`, as for an account.

    A moderation is an entry, too, of which the room is the sender. Private messages are entries of the
    timeline of the account.
    """

    def __init__(self, room: Room, ledger: Ledger, since: datetime | None, pages: int) -> None:
        super().__init__(ledger)
        self._books = ledger
        self.room = room
        self._archive = ledger.archive
        self._since = since
        self._pages = pages
        self._absences = room.absences
        self._stay = trio.CancelScope()

    def before(self, entry: Entry | None = None, *, size: int = 50) -> History:
        """Return an asynchronous iterator backwards over the messages of the room before `entry`; None: over all.

        Each page is a tuple of at most `size` entries, the oldest first. Iterating raises as `archive_page`, also where
        the room has no archive.
        """
        return History(self.room.client, self._archive, None, entry, size)

    def take(self, event: RoomEvent) -> None:
        """Note an event of the room, in the task that reads."""
        if self._absences != self.room.absences:
            self._begin_stay()
        if isinstance(event, RoomMessage):
            self._books.arrived(event.entry.message, Source.LIVE, event.entry)
        elif isinstance(event, MessageModerated):
            entry = _moderation(self.room, event)
            self._books.arrived(entry.message, Source.LIVE, entry)

    def _begin_stay(self) -> None:
        """Messages that come from now on belong to another stay, and follow those that were missed before it."""
        self._absences = self.room.absences
        self._books.hold()
        self._stay.cancel(reason="the stay in the room is over")

    async def follow(self) -> None:
        """Catch up in each stay, until the room is gone for good."""
        while True:
            try:
                await self.room.wait_joined()
            except RoomGone as gone:
                self._books.queue.close(gone)
                return
            if self._absences != self.room.absences:
                self._begin_stay()
            with trio.CancelScope() as self._stay:
                await self._catch_up()

    async def _catch_up(self) -> None:
        room, ledger = self.room, self._books
        is_first = ledger.read is None and self._since is None
        if not room.has_archive or is_first:
            ledger.past(entry_in_room(heard) for heard in room.history)
        ledger.found_archive(room.has_archive)
        session = room.client.session
        if not room.has_archive or session is None:
            await trio.sleep_forever()
        else:
            work = CatchUp(room.client, session, ledger, self._since, self._pages, occasion=self._absences)
            await work.begin()
            await work.run()


@asynccontextmanager
async def open_room_timeline(
    room: Room,
    *,
    since: datetime | None = None,
    pages: int = 10_000,
    held: int = 10_000,
    capacity: int = 10_000,
    save_after: float = SAVE_AFTER,
) -> AsyncIterator[RoomTimeline]:
    """A block that gives all messages of a room, once each, the oldest first: inside of the block of `open_room`.

    At first it begins at `since`, or else with the history that the room has sent with the join
    (``open_room(history=...)``). Later it goes on where the application was, also in another process if the client has
    a store. With ``open_room(history=FROM_ARCHIVE)`` a room that has an archive sends no history. A room without one
    gives what it sends: `NoArchive` tells, and something may be missing. The other arguments are those of
    `open_timeline`.

    Raises `StoreError` if the notes cannot be read or written. Later trouble with the archive is told by `Trouble`
    events, and healed. Iterating ends with the client, and raises `RoomGone` once we can be in the room no more.
    Cancelling, or leaving the block, undoes everything.
    """
    archive = RoomArchive(room)
    cursor = Cursor(room.client.notes("mam"), str(archive.owner))
    ledger = Ledger(archive, cursor, capacity=capacity, held=held)
    timeline = RoomTimeline(room, ledger, since, pages)
    name = f"timeline of {room.jid}"
    with room.listen(timeline.take):
        await ledger.resume()
        try:
            async with (
                supervised(room.client, lambda: cursor.keep_saved(save_after), name=name),
                supervised(room.client, lambda: end_with(room.client, ledger), name=name),
                supervised(room.client, timeline.follow, name=name),
            ):
                yield timeline
                ledger.finish()
        finally:
            ledger.queue.close()
            await cursor.save_at_last()  # noqa: ASYNC102  (it shields, and bounds, what it does)


def _moderation(room: Room, event: MessageModerated) -> RoomEntry:
    """Return the words of the room that tell that a moderator has retracted a message."""
    retract = Retract(id=event.id, moderated=Moderated(by=event.by), reason=event.reason)
    message = Message(from_=room.jid, type=MessageType.GROUPCHAT, payloads=[retract])
    return RoomEntry(message, RoomSource.LIVE, room.jid, None, None, None, False, datetime.now(UTC), None)
