"""Where the server keeps bookmarks: what its account says decides, and each place is read meanwhile.

To ask first would cost a round trip more before the first presence. So the items of XEP-0402 and both lists are read
along with the question, and what comes from the other places is not used. The place that was found is that of all
later sessions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Generic, TypeVar

import trio

from ...client import Client, Session, Step, bare, supervised
from ...errors import StanzaError, XMPPError
from ...protocol.elements import bookmark_storage, bookmarks
from .bookmark import Bookmark
from .stores import ListStore, NativeStore, PrivateStore, Store, Tell, read_list, read_private

__all__ = ["keeping_place"]

COMPAT: Final = f"{bookmarks.NS}#compat"
CONVERSION: Final = "urn:xmpp:bookmarks-conversion:0"


T = TypeVar("T")


class _Reading(Generic[T]):
    """One place that is read, although it may be the wrong one: an error counts only if it is the right one."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._values: list[T] = []
        self._error: StanzaError | None = None
        self._done = trio.Event()

    async def run(self) -> None:
        """Read the place."""
        try:
            self._values.append(await self._read())
        except StanzaError as exc:
            self._error = exc
        self._done.set()

    async def result(self) -> T:
        """Wait until the place is read; return what is there, or raise the error. Cancelling changes nothing."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._values[0]


class _Place:
    """The place of one client's bookmarks, once it is known."""

    def __init__(self, client: Client, limit: int, tell: Tell, use: Callable[[Store], None]) -> None:
        self._client = client
        self._limit = limit
        self._tell = tell
        self._use = use
        self._native = NativeStore(client, limit, self._tell_native)
        self._list: ListStore | None = None
        self._found: Store | None = None
        self._list_found = trio.Event()
        self._list_followed = trio.Event()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """A block during which the bookmarks are fetched in each session, and followed."""
        async with (
            self._native.following(),
            supervised(self._client, self._follow_list, name="bookmarks"),
            self._client.each_session(Step.SYNC, self._fetch),
        ):
            yield

    async def _fetch(self, session: Session) -> None:
        if self._found is None:
            await self._find()
        else:
            await self._found.fetch()

    async def _find(self) -> None:
        """Ask where the bookmarks are, and take them from there."""
        native: _Reading[None] = _Reading(self._native.fetch)
        node: _Reading[bookmark_storage.Storage] = _Reading(partial(read_list, self._client))
        private: _Reading[bookmark_storage.Storage] = _Reading(partial(read_private, self._client))
        with bare() as inside:
            async with trio.open_nursery() as nursery:
                for run in (native.run, node.run, private.run):
                    nursery.start_soon(run)
                with inside:
                    features = await self._features()
                    if COMPAT in features:
                        await native.result()
                        self._take(self._native)
                        self._native.tell_all()
                    elif CONVERSION in features:
                        await self._take_list(ListStore, await node.result())
                    else:
                        await self._take_list(PrivateStore, await private.result())
                    nursery.cancel_scope.cancel(reason="the bookmarks are elsewhere")

    async def _features(self) -> frozenset[str]:
        try:
            return (await self._client.disco.info(self._client.jid.bare)).features
        except XMPPError:
            return frozenset()

    async def _take_list(self, kind: type[ListStore], storage: bookmark_storage.Storage) -> None:
        if self._list is None:
            self._list = kind(self._client, self._limit, self._tell)
            self._list_found.set()
        await self._list_followed.wait()
        self._take(self._list)
        self._list.begin_with(storage)

    def _take(self, store: Store) -> None:
        self._found = store
        self._use(store)

    def _tell_native(self, found: Iterable[Bookmark]) -> None:
        if self._found is self._native:
            self._tell(found)

    async def _follow_list(self) -> None:
        await self._list_found.wait()
        assert self._list is not None
        async with self._list.following():
            self._list_followed.set()
            await trio.sleep_forever()


@asynccontextmanager
async def keeping_place(
    client: Client, limit: int, tell: Callable[[Iterable[Bookmark]], None], use: Callable[[Store], None]
) -> AsyncIterator[None]:
    """A block during which at most `limit` bookmarks are fetched in each session, and followed.

    `tell` gets all of them after each change, and `use` the place to change them in, once it is known. Entering raises
    what asking raises, for the session of now; later failures are `Trouble` events. Cancelling leaves nothing behind.
    """
    async with _Place(client, limit, tell, use).kept():
        yield
