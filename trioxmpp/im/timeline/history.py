"""A conversation backwards, page by page, as a person scrolls up."""

from __future__ import annotations

from datetime import timedelta

from ...client import Client, Session, archive_page
from ...errors import SessionLost
from ...jid import JID
from ...protocol.elements.rsm import Page
from ...xep.mam import is_last
from .archives import Archive
from .entry import Entry
from .ledger import entry_of_result

__all__ = ["History"]


class History:
    """The pages before an entry, as an asynchronous iterator: each is a tuple, the oldest first, and not empty.

    A page is asked for when the application wants it. An iterator that is left leaves nothing behind.
    """

    def __init__(self, client: Client, archive: Archive, peer: JID | None, entry: Entry | None, size: int) -> None:
        self._client = client
        self._archive = archive
        self._peer = peer
        self._size = size
        self._edge = None if entry is None else entry.archive_id
        # Some servers answer an id that they do not know with the newest page: the time keeps that away.
        self._end = None if entry is None else entry.sent + timedelta(seconds=1)
        self._known = None if entry is None else archive.fingerprint(entry.message)
        self._ended = False

    def __aiter__(self) -> History:
        return self

    async def __anext__(self) -> tuple[Entry, ...]:
        """Return the next page. Raises as `archive_page`; cancelling loses none."""
        while not self._ended:
            question = Page(max=self._size, before=self._edge or "")
            page = await archive_page(
                await self._session(), question, archive=self._archive.address, with_=self._peer, end=self._end
            )
            before, self._edge = self._edge, page.first
            self._ended = is_last(page, before, self._edge)
            read = [entry_of_result(self._archive, each) for each in page.results]
            entries = tuple(entry for entry in read if entry is not None and not self._is_known(entry))
            if entries:
                return entries
        raise StopAsyncIteration

    def _is_known(self, entry: Entry) -> bool:
        """Return whether this is the entry before which the history ends."""
        return self._known is not None and self._archive.fingerprint(entry.message) == self._known

    async def _session(self) -> Session:
        await self._client.wait_established()
        session = self._client.session
        if session is None:
            raise SessionLost("the session was lost")
        return session
