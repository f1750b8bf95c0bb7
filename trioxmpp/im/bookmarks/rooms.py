"""The rooms that are bookmarked with autojoin: we are in them, and follow the bookmarks (XEP-0402 §4)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from ...client import Client, Signal, supervised
from ...errors import StanzaError
from ...jid import JID
from ...record import record
from ...xep.muc import Room, open_room
from .book import Bookmarks
from .bookmark import Bookmark

__all__ = ["BookmarkedRooms", "RoomClosed", "RoomOpened", "RoomRefused", "open_bookmarked_rooms"]

_logger = logging.getLogger(__name__)

#: Rooms that are entered, and how many of them at a time.
LIMIT = 100
AT_ONCE = 10


@record
class RoomOpened:
    """We are in a room that is bookmarked."""

    room: Room


@record
class RoomClosed:
    """We have left a room: its bookmark was removed, or does not say autojoin any more."""

    jid: JID


@record
class RoomRefused:
    """A room does not let us in, or has put us out for good. It is tried again when its bookmark changes."""

    jid: JID
    error: Exception


RoomChange = RoomOpened | RoomClosed | RoomRefused


class _Stay:
    """One room that we enter, or are in."""

    def __init__(self, bookmark: Bookmark) -> None:
        self.bookmark = bookmark
        self.scope = trio.CancelScope()
        self.is_over = False
        """Whether the room has refused us, or put us out."""

    def fits(self, bookmark: Bookmark) -> bool:
        """Return whether the stay may go on: what a bookmark calls the room is not the business of the room."""
        if self.is_over:
            return self.bookmark == bookmark
        return (self.bookmark.nick, self.bookmark.password) == (bookmark.nick, bookmark.password)


class BookmarkedRooms(Mapping[JID, Room]):
    """The rooms that we are in, by their bare JIDs. `open_bookmarked_rooms` gives one."""

    def __init__(self, client: Client, bookmarks: Bookmarks, nick: str, limit: int, at_once: int) -> None:
        self.on_change: Signal[RoomChange] = Signal()
        """Emitted when a room was entered or left, or has refused us."""
        self._client = client
        self._bookmarks = bookmarks
        self._nick = nick
        self._limit = limit
        self._entering = trio.CapacityLimiter(at_once)
        self._rooms: dict[JID, Room] = {}
        self._stays: dict[JID, _Stay] = {}
        self._changed = trio.Event()

    def __getitem__(self, jid: JID) -> Room:
        return self._rooms[jid]

    def __iter__(self) -> Iterator[JID]:
        return iter(self._rooms)

    def __len__(self) -> int:
        return len(self._rooms)

    def wake(self, change: object) -> None:
        """Note that the bookmarks have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Be in the rooms that the bookmarks name, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                self._follow(nursery)
                await self._changed.wait()

    def _follow(self, nursery: trio.Nursery) -> None:
        wanted = [bookmark for bookmark in self._bookmarks.values() if bookmark.autojoin]
        if len(wanted) > self._limit:
            _logger.warning("%d rooms are bookmarked with autojoin: only %d are entered", len(wanted), self._limit)
        rooms = {bookmark.jid: bookmark for bookmark in wanted[: self._limit]}
        for jid, stay in [*self._stays.items()]:
            if jid not in rooms or not stay.fits(rooms[jid]):
                stay.scope.cancel(reason="the bookmark says so")
                del self._stays[jid]
        for jid, bookmark in rooms.items():
            if jid not in self._stays:
                self._stays[jid] = stay = _Stay(bookmark)
                nursery.start_soon(self._stay, stay)

    async def _stay(self, stay: _Stay) -> None:
        jid = stay.bookmark.jid
        try:
            with stay.scope:
                await self._be_there(stay.bookmark)
        except (StanzaError, ValueError) as exc:
            stay.is_over = True
            _logger.info("%s does not let us in: %s", jid, exc)
            self.on_change.emit(RoomRefused(jid, exc))
        except ConnectionError as exc:
            _logger.debug("%s: there is no session any more: %s", jid, exc)

    async def _be_there(self, bookmark: Bookmark) -> None:
        """Enter a room, a few at a time, and be in it until cancelled."""
        entered = None
        try:
            async with AsyncExitStack() as stack:
                async with self._entering:
                    block = open_room(
                        self._client, bookmark.jid, bookmark.nick or self._nick, password=bookmark.password
                    )
                    entered = await stack.enter_async_context(block)
                self._rooms[bookmark.jid] = entered
                self.on_change.emit(RoomOpened(entered))
                await trio.sleep_forever()
        finally:
            if entered is not None and self._rooms.get(bookmark.jid) is entered:
                del self._rooms[bookmark.jid]
                self.on_change.emit(RoomClosed(bookmark.jid))


@asynccontextmanager
async def open_bookmarked_rooms(
    client: Client, bookmarks: Bookmarks, *, nick: str, limit: int = LIMIT, at_once: int = AT_ONCE
) -> AsyncIterator[BookmarkedRooms]:
    """A block during which we are in the rooms that are bookmarked with autojoin.

    A bookmark that another client adds opens a room, and one that it removes closes one. `nick` is for bookmarks that
    name none. At most `limit` rooms are entered, `at_once` of them at a time. A room that refuses us holds up no other:
    see `RoomRefused` in `BookmarkedRooms.on_change`.

    Entering does not wait for the rooms. Leaving the block, and cancelling, leaves the rooms, and changes no bookmark.
    """
    rooms = BookmarkedRooms(client, bookmarks, nick, limit, at_once)
    try:
        with bookmarks.on_change.context_connect(rooms.wake):
            async with supervised(client, rooms.run, name="open_bookmarked_rooms"):
                yield rooms
    finally:
        rooms.on_change.close()
