"""The three places where a server may keep bookmarks. A client uses one of them (XEP-0402 §5, XEP-0048 §3, XEP-0411).

- Items of a node, one for each bookmark (XEP-0402), where the server keeps the older places in step (``#compat``): two
  clients that change two bookmarks at once do not disturb each other.
- A list in one item of a node (XEP-0048), where the server keeps private storage in step (XEP-0411).
- A list in private storage (XEP-0049), of whose changes no client hears.

A list is read anew before each change, and once more behind it: if another client has written its own list in between,
the change is made again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import trio

from ... import xml
from ...client import Client
from ...jid import JID
from ...protocol.elements import bookmark_storage, bookmarks
from ...protocol.elements.private import PrivateQuery, SetPrivate
from ...record import replace
from ...xep.pep import Mirror, mirrored
from ...xep.pubsub import CURRENT, PRIVATE, Item, Node, Published, fetch_item, publish, retract
from .bookmark import Bookmark, room_of

__all__ = ["ListStore", "NativeStore", "PrivateStore", "Store", "Tell", "read_list", "read_private"]

NATIVE: Final = Node(bookmarks.NS, bookmarks.Conference, multi=True, options=PRIVATE)
LIST: Final = Node(bookmark_storage.NS, bookmark_storage.Storage, options=PRIVATE)

#: How often a list is written when other clients write theirs at the same time.
ATTEMPTS = 10

#: Gets all bookmarks after each change that the store has heard of.
Tell = Callable[[Iterable[Bookmark]], None]


class Store(ABC):
    """A place for bookmarks. `limit` bounds how many are kept."""

    def __init__(self, client: Client, limit: int, tell: Tell) -> None:
        self.client = client
        self.limit = limit
        self.tell = tell

    @abstractmethod
    def following(self) -> AbstractAsyncContextManager[None]:
        """A block during which all bookmarks are told of after each change by another client, once they are fetched."""

    @abstractmethod
    async def fetch(self) -> None:
        """Read all bookmarks anew, and tell of them. Raises `XMPPError`, and what `Client.send` raises."""

    @abstractmethod
    async def current(self, jid: JID) -> Bookmark | None:
        """Return the bookmark of a room as the server has it now."""

    @abstractmethod
    async def put(self, bookmark: Bookmark) -> None:
        """Add a bookmark, or replace that of the same room."""

    @abstractmethod
    async def remove(self, jid: JID) -> None:
        """Remove the bookmark of a room. Nothing happens if there is none."""


class NativeStore(Store):
    """Items of a node (XEP-0402)."""

    def __init__(self, client: Client, limit: int, tell: Tell) -> None:
        super().__init__(client, limit, tell)
        self._mirror: Mirror[bookmarks.Conference] | None = None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """See `Store.following`."""
        async with mirrored(self.client, NATIVE, step=None, limit=self.limit) as mirror:
            self._mirror = mirror
            with mirror.on_change.context_connect(lambda change: self.tell_all()):
                yield

    async def fetch(self) -> None:
        """See `Store.fetch`."""
        assert self._mirror is not None, "it follows"
        await self._mirror.fetch()
        self.tell_all()

    def tell_all(self) -> None:
        """Tell of all bookmarks as they were fetched."""
        assert self._mirror is not None, "it follows"
        self.tell(_of_items(self._mirror))

    async def current(self, jid: JID) -> Bookmark | None:
        """See `Store.current`."""
        item = await fetch_item(self.client, NATIVE, str(jid))
        return None if item is None or item.payload is None else Bookmark.of_native(jid, item.payload)

    async def put(self, bookmark: Bookmark) -> None:
        """See `Store.put`."""
        await publish(self.client, NATIVE, bookmark.native(), id=str(bookmark.jid))

    async def remove(self, jid: JID) -> None:
        """See `Store.remove`."""
        await retract(self.client, NATIVE, str(jid), missing_ok=True)


def _of_items(mirror: Mirror[bookmarks.Conference]) -> list[Bookmark]:
    """Return the bookmarks of all items whose id is a room; others are skipped (XEP-0402 §3.2)."""
    found = []
    for id, item in mirror.items():
        room = room_of(id)
        if room is not None and item.payload is not None:
            found.append(Bookmark.of_native(room, item.payload))
    return found


class ListStore(Store):
    """A list in an item of a node (XEP-0048)."""

    def __init__(self, client: Client, limit: int, tell: Tell) -> None:
        super().__init__(client, limit, tell)
        self._turn = trio.Lock()
        self._mirror: Mirror[bookmark_storage.Storage] | None = None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """See `Store.following`."""
        async with mirrored(self.client, LIST, step=None, limit=1) as mirror:
            self._mirror = mirror
            with mirror.on_change.context_connect(lambda change: self._tell_mirror(mirror)):
                yield

    async def fetch(self) -> None:
        """See `Store.fetch`."""
        assert self._mirror is not None, "it follows"
        await self._mirror.fetch()
        self._tell_mirror(self._mirror)

    def begin_with(self, storage: bookmark_storage.Storage) -> None:
        """Tell of the list that was just read."""
        assert self._mirror is not None, "it follows"
        self._mirror.apply(Published(self._mirror.owner, LIST.name, CURRENT, storage))

    def _tell_mirror(self, mirror: Mirror[bookmark_storage.Storage]) -> None:
        items: list[Item[bookmark_storage.Storage]] = [*mirror.values()]
        self._tell_list(items[0].payload if items else None)

    async def current(self, jid: JID) -> Bookmark | None:
        """See `Store.current`."""
        return _in_list(await self.read(), jid)

    async def put(self, bookmark: Bookmark) -> None:
        """See `Store.put`. Raises RuntimeError if other clients undo the change again and again."""

        def changed(storage: bookmark_storage.Storage) -> bookmark_storage.Storage:
            new, found = [], False
            for conference in storage.conferences:
                if conference.jid.bare != bookmark.jid:
                    new.append(conference)
                elif not found:
                    new.append(bookmark.listed())
                    found = True
            return replace(storage, conferences=tuple(new if found else [*new, bookmark.listed()]))

        await self._write(changed, lambda storage: _in_list(storage, bookmark.jid) == _listed(bookmark))

    async def remove(self, jid: JID) -> None:
        """See `Store.remove`. Raises RuntimeError if other clients undo the change again and again."""

        def changed(storage: bookmark_storage.Storage) -> bookmark_storage.Storage:
            return replace(storage, conferences=tuple([each for each in storage.conferences if each.jid.bare != jid]))

        await self._write(changed, lambda storage: _in_list(storage, jid) is None)

    async def read(self) -> bookmark_storage.Storage:
        """Return the list as the server has it now."""
        return await read_list(self.client)

    async def write(self, storage: bookmark_storage.Storage) -> None:
        """Replace the list."""
        await publish(self.client, LIST, storage)

    async def _write(
        self,
        changed: Callable[[bookmark_storage.Storage], bookmark_storage.Storage],
        is_done: Callable[[bookmark_storage.Storage], bool],
    ) -> None:
        async with self._turn:
            storage = await self.read()
            for _ in range(ATTEMPTS):
                if is_done(storage):
                    self._tell_list(storage)
                    return
                await self.write(changed(storage))
                storage = await self.read()
        raise RuntimeError("other clients undo the change of a bookmark again and again")

    def _tell_list(self, storage: bookmark_storage.Storage | None) -> None:
        conferences = () if storage is None else storage.conferences[: self.limit]
        self.tell([Bookmark.of_listed(each) for each in conferences if each.jid.local is not None])


class PrivateStore(ListStore):
    """A list in private storage (XEP-0049)."""

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """See `Store.following`. Only a new session shows what other clients have changed."""
        yield

    async def fetch(self) -> None:
        """See `Store.fetch`."""
        self._tell_list(await self.read())

    def begin_with(self, storage: bookmark_storage.Storage) -> None:
        """See `ListStore.begin_with`."""
        self._tell_list(storage)

    async def read(self) -> bookmark_storage.Storage:
        """Return the list as the server has it now."""
        return await read_private(self.client)

    async def write(self, storage: bookmark_storage.Storage) -> None:
        """Replace the list."""
        await self.client.request(SetPrivate(payload=xml.Payload(storage)))


async def read_list(client: Client) -> bookmark_storage.Storage:
    """Return the list in a node as the server has it now. Raises as `fetch_item`; may be cancelled."""
    item = await fetch_item(client, LIST)
    return bookmark_storage.Storage() if item is None or item.payload is None else item.payload


async def read_private(client: Client) -> bookmark_storage.Storage:
    """Return the list in private storage as the server has it now. Raises as `Client.request`; may be cancelled."""
    answer = await client.request(PrivateQuery(payload=xml.Payload(bookmark_storage.Storage())))
    found = None if answer.payload is None else answer.payload.get(bookmark_storage.Storage)
    return bookmark_storage.Storage() if found is None else found


def _in_list(storage: bookmark_storage.Storage, jid: JID) -> Bookmark | None:
    found = (each for each in storage.conferences if each.jid.bare == jid)
    conference = next(found, None)
    return None if conference is None else Bookmark.of_listed(conference)


def _listed(bookmark: Bookmark) -> Bookmark:
    """Return what a list can keep of a bookmark."""
    return Bookmark.of_listed(bookmark.listed())
