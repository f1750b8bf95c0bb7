"""Where the server keeps bookmarks: what its account says decides, and the likeliest place is read meanwhile.

To ask first would cost a round trip more before the first presence. So the items of XEP-0402 are fetched along with
the question. On a server that keeps a list, they are ignored, and the list is fetched next. The place that was found
is that of all later sessions.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

import trio

from ...client import Client, Session, Step, bare, supervised
from ...errors import XMPPError
from ...protocol.elements import bookmarks
from .bookmark import Bookmark
from .stores import ListStore, NativeStore, PrivateStore, Store, Tell

__all__ = ["keeping_place"]

COMPAT: Final = f"{bookmarks.NS}#compat"
CONVERSION: Final = "urn:xmpp:bookmarks-conversion:0"


class _Place:
    """The place of one client's bookmarks, once it is known."""

    def __init__(self, client: Client, limit: int, tell: Tell, use: Callable[[Store], None]) -> None:
        self._client = client
        self._limit = limit
        self._tell = tell
        self._use = use
        self._native = NativeStore(client, limit, self._tell_native)
        self._list: Store | None = None
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
        refusal: XMPPError | None = None

        async def fetch_items() -> None:
            nonlocal refusal
            try:
                await self._native.fetch()
            except XMPPError as exc:  # perhaps there are no such nodes: the features tell
                refusal = exc

        features: frozenset[str] = frozenset()
        with bare() as inside:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fetch_items)
                with inside:
                    features = await self._features()
        if COMPAT not in features:
            await self._find_list(CONVERSION in features)
            return
        if refusal is not None:
            raise refusal
        self._take(self._native)
        self._native.tell_all()

    async def _features(self) -> frozenset[str]:
        try:
            return (await self._client.disco.info(self._client.jid.bare)).features
        except XMPPError:
            return frozenset()

    async def _find_list(self, is_node: bool) -> None:
        if self._list is None:
            self._list = (ListStore if is_node else PrivateStore)(self._client, self._limit, self._tell)
            self._list_found.set()
        await self._list_followed.wait()
        await self._list.fetch()
        self._take(self._list)

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
