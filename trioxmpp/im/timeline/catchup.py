"""How a timeline reads what it has missed, in each session.

The archive is asked for what follows the position of the cursor. If the answer shows that the archive does not know the
position any more, it is asked by time instead, from a little before; what was given already is passed over. If even
that begins later than the cursor, something is missing for good, which a `Gap` tells.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ...client import ArchivePage, Client, Session, archive_page
from ...errors import StanzaCondition, StanzaError, XMPPError
from ...protocol import ns
from ...protocol.elements.mam import Result
from ...protocol.elements.rsm import Page
from ...xep.mam import PAGE, is_last, open_pages
from .cursor import Position
from .entry import Gap
from .ledger import Ledger, stamp_of

__all__ = ["CatchUp"]

_logger = logging.getLogger(__name__)

#: Two clocks, or the clocks of two machines behind one server, differ by less than this, as a rule.
SLACK = timedelta(minutes=5)


class CatchUp:
    """Reads the archive in one session. `since` is where to begin if there is no position; None: now."""

    def __init__(self, client: Client, session: Session, ledger: Ledger, since: datetime | None, pages: int) -> None:
        self._client = client
        self._session = session
        self._ledger = ledger
        self._since = since
        self._pages = pages

    async def find_archive(self) -> bool:
        """Return whether there is an archive. If there is none, live messages need not wait."""
        try:
            info = await self._client.disco.info(self._ledger.account, fresh=True)
        except XMPPError:
            self._ledger.found_archive(False)
        except BaseException:
            self._ledger.release_anyway()
            raise
        else:
            self._ledger.found_archive(ns.MAM in info.features)
        return self._ledger.has_archive

    async def begin(self) -> None:
        """At the very first start, find out where the archive ends: what comes from now on is not to be missed.

        An archive that is broken is left to `run`, which tries again.
        """
        if self._ledger.read is None and self._since is None:
            try:
                await self._begin_at_the_end()
            except (StanzaError, TimeoutError) as exc:
                _logger.warning("the archive does not say where it ends: %s", exc)

    async def run(self) -> None:
        """Catch up, and again whenever the ledger asks for it, until cancelled.

        Raises what the archive raises; then what was held is given all the same, since the application must not wait
        for an archive that is broken. The missing messages come when the next attempt succeeds.
        """
        while True:
            self._ledger.rearm()
            try:
                await self._catch_up()
            except (StanzaError, TimeoutError):
                self._ledger.release_anyway()
                raise
            self._ledger.tell_caught_up(self._session)
            await self._wait_for_a_hole()

    async def _wait_for_a_hole(self) -> None:
        """Wait until something may be missing. Now and then let the cursor move to the end of the archive."""
        ledger = self._ledger
        while True:
            await ledger.attention.wait()
            if ledger.is_holding:
                return
            ledger.rearm()
            page = await archive_page(self._session, Page(max=2, before=""))
            if not ledger.has_had(page.results):
                ledger.hold()
                return
            end = _end_of(page.results)
            if end is not None:
                ledger.skip(end)
                ledger.settle()

    async def _catch_up(self) -> None:
        """Read what was missed, and then give what was held meanwhile."""
        ledger = self._ledger
        ledger.hold()
        while True:
            await ledger.wait_room()
            if ledger.read is not None:
                await self._read_on(ledger.read)
            elif self._since is not None:
                await self._read_pages(await self._ask(self._since), self._since)
                if ledger.read is None:
                    ledger.skip(Position(None, None, max(datetime.now(UTC), self._since + SLACK)))
            else:
                await self._begin_at_the_end()
            if ledger.release():
                ledger.settle()
                return

    async def _begin_at_the_end(self) -> None:
        """Begin with what comes from now on: behind the newest message that has not arrived as a live one."""
        ledger = self._ledger
        page = await archive_page(self._session, Page(max=2 + min(ledger.holds, PAGE), before=""))
        end = _end_of([result for result in page.results if not ledger.is_held(result)])
        # Without any message there is no place in the archive, but there is one in time.
        await ledger.begin_at(end or Position(None, None, datetime.now(UTC)))

    async def _read_on(self, position: Position) -> None:
        """Read what follows `position`."""
        if position.anchor is not None:
            page = await self._ask_after(position.anchor)
            if page is not None and page.results and page.results[0].id == position.last:
                await self._read_pages(page, None, skipped=1)
                return
            _logger.info("the archive does not know our position any more; going on by time")
        start = position.stamp - SLACK
        page = await self._ask(start)
        ids = [result.id for result in page.results]
        if position.last is not None and position.last in ids:
            await self._read_pages(page, start, skipped=ids.index(position.last) + 1)
            return
        first = page.results[0] if ids else None
        if position.last is not None and self._is_gap(position, first):
            self._ledger.tell(Gap(position.stamp, None if first is None else stamp_of(first)))
        # A message that the archive has lost marks no place in it any more.
        self._ledger.skip(Position(None, None, position.stamp))
        await self._read_pages(page, start)

    def _is_gap(self, position: Position, first: Result | None) -> bool:
        """Return whether the archive, which begins with `first`, no longer has what followed `position`."""
        return first is None or (stamp_of(first) > position.stamp and not self._ledger.has_had([first]))

    async def _ask(self, start: datetime) -> ArchivePage:
        return await archive_page(self._session, Page(max=PAGE), start=start)

    async def _ask_after(self, anchor: str) -> ArchivePage | None:
        """Return the page behind a message; None if the archive says that it does not know it."""
        try:
            return await archive_page(self._session, Page(max=PAGE, after=anchor))
        except XMPPError as exc:
            if exc.condition is not StanzaCondition.ITEM_NOT_FOUND:
                raise
            return None

    async def _read_pages(self, page: ArchivePage, start: datetime | None, *, skipped: int = 0) -> None:
        """Give `page`, without the messages that are `skipped`, and all pages behind it."""
        ledger = self._ledger
        ledger.archived(page.results[skipped:])
        ledger.count_malformed(page.malformed)
        if is_last(page, None, page.last):
            return
        async with open_pages(self._client, after=page.last, start=start, limit=self._pages) as pages:
            async for following in pages:
                await ledger.wait_room()
                ledger.archived(following.results)
                ledger.count_malformed(following.malformed)


def _end_of(results: Sequence[Result]) -> Position | None:
    """Return the place behind the last two messages of an archive, if there are any."""
    ids = [result.id for result in results if result.id is not None]
    if not ids:
        return None
    return Position(ids[-2] if len(ids) > 1 else None, ids[-1], stamp_of(results[-1]))
