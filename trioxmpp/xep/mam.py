"""XEP-0313: Message Archive Management, with the preferences of XEP-0441: the archive of our account, or of a room.

`open_pages` reads many pages, forwards or backwards, and asks for the next one while the application has this one.
`trioxmpp.client.archive_page` reads one. To follow an archive over sessions and restarts use `trioxmpp.im.timeline`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import trio

from ..client import ArchivePage, Client, archive_page
from ..errors import StanzaError
from ..jid import JID
from ..protocol import ns
from ..protocol.elements.mam import (
    Default,
    Metadata,
    MetadataQuery,
    Preferences,
    PreferencesQuery,
    SetPreferences,
)
from ..protocol.elements.rsm import Page

__all__ = ["Pages", "get_metadata", "get_preferences", "has_archive", "open_pages", "set_preferences"]

#: The messages that a query asks for, and the pages that one series reads at most.
PAGE = 250
MAX_PAGES = 10_000


class Pages:
    """The pages of one series, as an asynchronous iterator; `open_pages` gives one. Leaving its block stops it."""

    def __init__(self, client: Client, archive: JID | None, backwards: bool, size: int, limit: int) -> None:
        self._client = client
        self._archive = archive
        self._backwards = backwards
        self._size = size
        self._limit = limit
        # One page waits here, and one in the task that has read it.
        self._send, self._receive = trio.open_memory_channel[ArchivePage](1)
        self._failure: Exception | None = None

    def __aiter__(self) -> Pages:
        return self

    async def __anext__(self) -> ArchivePage:
        """Return the next page, which is not empty. Raises what the query for it raised. Cancelling loses none."""
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            if self._failure is not None:
                raise self._failure from None
            raise StopAsyncIteration from None

    async def read(self, edge: str | None, with_: JID | None, start: datetime | None, end: datetime | None) -> None:
        """Read page after page, from the message with the id `edge` on. The iterator raises what fails."""
        async with self._send:
            try:
                await self._read(edge, with_, start, end)
            except (StanzaError, TimeoutError, ConnectionError) as exc:
                self._failure = exc

    async def _read(self, edge: str | None, with_: JID | None, start: datetime | None, end: datetime | None) -> None:
        for _ in range(self._limit):
            question = Page(max=self._size, before=edge or "") if self._backwards else Page(max=self._size, after=edge)
            # Each turn of the scheduler before the question leaves makes the way to a far archive longer.
            if not self._client.established:
                await self._client.wait_established()
            session = self._client.session
            if session is None:
                continue  # it was lost again
            try:
                answer = await archive_page(session, question, archive=self._archive, with_=with_, start=start, end=end)
            except ConnectionError:
                if session.ended is None:
                    raise
                continue  # go on in the next session, with the same page
            if answer.results or answer.malformed:
                await self._hand_over(answer)
            before, edge = edge, answer.first if self._backwards else answer.last
            if is_last(answer, before, edge):
                return
        raise StanzaError(f"the archive has more than {self._limit} pages")

    async def _hand_over(self, answer: ArchivePage) -> None:
        """Give a page to the application; wait if it has not taken the one before. No checkpoint if it has."""
        try:
            self._send.send_nowait(answer)
        except trio.WouldBlock:
            await self._send.send(answer)


def is_last(answer: ArchivePage, before: str | None, edge: str | None) -> bool:
    """Return whether no page follows this one, which led from the id `before` to the id `edge`.

    An archive may never say that it is complete: an empty page, or one that leads nowhere, is the last one as well.
    """
    return (answer.fin.complete and not answer.cut) or not answer.results or edge is None or edge == before


@asynccontextmanager
async def open_pages(
    client: Client,
    *,
    archive: JID | str | None = None,
    with_: JID | str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    after: str | None = None,
    before: str | None = None,
    backwards: bool = False,
    size: int = PAGE,
    limit: int = MAX_PAGES,
) -> AsyncIterator[Pages]:
    """A block that gives an iterator over the pages of an archive; two pages at most wait for the application.

    `archive` is the address of a room, or None for the archive of our account. `with_`, `start` and `end` narrow the
    messages down. Forwards the pages begin `after` the message with this id, or with the first one. With `backwards`,
    they begin before the message with the id `before`, or with the last one; the messages within a page are always in
    the order of the archive. `size` is the number of messages that a page shall have; a server may give fewer.

    A link or session that is lost in between costs nothing: the series goes on behind the last page. Iterating raises
    `XMPPError` if the archive refuses, also for an id that it does not know, and StanzaError after `limit` pages.
    Leaving the block, or cancelling, stops the series. ValueError for an end that does not fit the direction.
    """
    if (before if not backwards else after) is not None:
        raise ValueError("pages begin after a message or, backwards, before one")
    pages = Pages(client, _jid(archive), backwards, size, limit)
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pages.read, before if backwards else after, _jid(with_), start, end)
        try:
            yield pages
        except BaseException as exc:  # noqa: ASYNC103  (raised below)
            failure = exc  # it leaves bare, not in a group
        nursery.cancel_scope.cancel(reason="the block of open_pages was left")
    if failure is not None:
        raise failure


async def has_archive(client: Client, archive: JID | str | None = None) -> bool:
    """Return whether our account, or a room, has an archive. Raises as `Client.send`; cancelling changes nothing."""
    return await client.disco.has(_jid(archive) or client.jid.bare, ns.MAM)


async def get_metadata(client: Client, archive: JID | str | None = None) -> Metadata:
    """Return the ids and times of the first and the last message of an archive (XEP-0313 §5).

    Raises `XMPPError` where the server does not have that, as ejabberd; else as `Client.send`. Cancelling is safe.
    """
    return await client.request(MetadataQuery(), to=_jid(archive) or client.jid.bare)


async def get_preferences(client: Client) -> Preferences:
    """Return which messages of our account are archived (XEP-0441 §2). Raises as `Client.send`; cancelling is safe."""
    return await client.request(PreferencesQuery(), to=client.jid.bare)


async def set_preferences(
    client: Client,
    default: Default,
    *,
    always: tuple[JID | str, ...] = (),
    never: tuple[JID | str, ...] = (),
) -> Preferences:
    """Say which messages of our account shall be archived; return what applies now (XEP-0441 §2).

    The lists replace those of before. Raises as `Client.send`. If cancelled, they may be set all the same.
    """
    wanted = SetPreferences(default=default, always=_jids(always), never=_jids(never))
    return await client.request(wanted, to=client.jid.bare)


def _jids(addresses: tuple[JID | str, ...]) -> tuple[JID, ...]:
    return tuple(JID.parse(each) if isinstance(each, str) else each for each in addresses)


def _jid(address: JID | str | None) -> JID | None:
    return JID.parse(address) if isinstance(address, str) else address
