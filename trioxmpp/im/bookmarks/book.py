"""The bookmarks of our account: a mapping by room that follows all our clients, and the verbs that change them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ...client import Client, Signal, Subscription
from ...jid import JID
from ...record import replace
from .bookmark import Bookmark, BookmarkChange, BookmarkRemoved, BookmarkSet
from .place import keeping_place
from .stores import Store

__all__ = ["Bookmarks", "open_bookmarks"]

#: Bookmarks that are kept.
LIMIT = 10_000


class Bookmarks(Mapping[JID, Bookmark]):
    """The bookmarks by the bare JID of the room. `open_bookmarks` gives one."""

    def __init__(self) -> None:
        self.on_change: Signal[BookmarkChange] = Signal()
        """Emitted after each change, by this client or another one."""
        self._bookmarks: dict[JID, Bookmark] = {}
        self._store: Store | None = None

    def __getitem__(self, jid: JID | str) -> Bookmark:
        return self._bookmarks[_room(jid)]

    def __iter__(self) -> Iterator[JID]:
        return iter(self._bookmarks)

    def __len__(self) -> int:
        return len(self._bookmarks)

    def __contains__(self, jid: object) -> bool:
        return isinstance(jid, JID | str) and _room(jid) in self._bookmarks

    def changes(self, *, capacity: float = 10_000) -> Subscription[BookmarkChange]:
        """``async with`` block that gives an inbox of `BookmarkSet` and `BookmarkRemoved`."""
        return self.on_change.subscribe(capacity)

    async def put(self, bookmark: Bookmark) -> None:
        """Add a bookmark, or replace that of the same room as a whole; to change some of it, see `change`.

        Raises ValueError if its address is not that of a room, `NodeMismatch` if the server cannot keep it private,
        ``XMPPError`` if the server refuses, and what `Client.send` raises. If cancelled, it may be there all the same.
        """
        if not bookmark.jid.is_bare or bookmark.jid.local is None:
            raise ValueError(f"{bookmark.jid} is not the address of a room")
        await self._open_store().put(bookmark)
        self._set(bookmark)

    async def change(self, jid: JID | str, **changes: Any) -> Bookmark:
        """Change some fields of a bookmark, as the server has it now, and return it; add it if there is none.

        All else survives: extensions, and children that nothing here knows. `changes` are fields of `Bookmark`.
        Raises, and may be cancelled, as `put`; TypeError for a field that there is not.
        """
        room = _room(jid)
        current = await self._open_store().current(room)
        changed = replace(Bookmark(room) if current is None else current, **changes)
        await self.put(changed)
        return changed

    async def remove(self, jid: JID | str) -> None:
        """Remove the bookmark of a room, if there is one. Raises, and may be cancelled, as `put`."""
        room = _room(jid)
        await self._open_store().remove(room)
        self._remove(room)

    # --- for the store

    def use(self, store: Store) -> None:
        """Change bookmarks there from now on."""
        self._store = store

    def learn(self, bookmarks: Iterable[Bookmark]) -> None:
        """Take over all bookmarks as they are now, and tell of what differs."""
        new = {bookmark.jid: bookmark for bookmark in bookmarks}
        for jid in [jid for jid in self._bookmarks if jid not in new]:
            self._remove(jid)
        for bookmark in new.values():
            self._set(bookmark)

    def _open_store(self) -> Store:
        if self._store is None:
            raise RuntimeError("no session was set up yet: the place of the bookmarks is not known")
        return self._store

    def _set(self, bookmark: Bookmark) -> None:
        before = self._bookmarks.get(bookmark.jid)
        self._bookmarks[bookmark.jid] = bookmark
        if bookmark != before:
            self.on_change.emit(BookmarkSet(bookmark, before))

    def _remove(self, jid: JID) -> None:
        before = self._bookmarks.pop(jid, None)
        if before is not None:
            self.on_change.emit(BookmarkRemoved(before))


def _room(jid: JID | str) -> JID:
    return JID.parse(jid) if isinstance(jid, str) else jid


@asynccontextmanager
async def open_bookmarks(client: Client, *, limit: int = LIMIT) -> AsyncIterator[Bookmarks]:
    """A block during which we know our bookmarks: read in each session, and kept by events.

    They are where the server keeps them for all clients: as items (XEP-0402), or as a list (XEP-0048, XEP-0049). At
    most `limit` are kept. Changes by other clients are heard of while the client has presence with capabilities.

    Entering waits for a session, and raises what asking raises in it; later failures are `Trouble` events. As one of
    the `services` of `connect`, it is entered before the first session is set up, and there are no bookmarks until
    then. Cancelling leaves nothing behind. Leaving changes no bookmark.
    """
    bookmarks = Bookmarks()
    await client.wait_established()
    try:
        async with keeping_place(client, limit, bookmarks.learn, bookmarks.use):
            yield bookmarks
    finally:
        bookmarks.on_change.close()
