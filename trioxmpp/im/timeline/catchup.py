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
from ...protocol.elements.mam import Result
from ...protocol.elements.rsm import Page
from ...xep.mam import PAGE, is_last, open_pages
from .cursor import FIRST, Position
from .entry import Gap
from .ledger import Ledger, stamp_of

__all__ = ["CatchUp"]

_logger = logging.getLogger(__name__)

#: Two clocks, or the clocks of two machines behind one server, differ by less than this, as a rule.
SLACK = timedelta(minutes=5)


class CatchUp:
    """Reads the archive in one session, or in one stay in a room: `occasion` tells one from the other.

    `since` is where to begin if there is no position; None: now.
    """

    def __init__(
        self,
        client: Client,
        session: Session,
        ledger: Ledger,
        since: datetime | None,
        pages: int,
        occasion: object = None,
    ) -> None:
        self._client = client
        self._session = session
        self._ledger = ledger
        self._since = since
        self._pages = pages
        self._occasion = session if occasion is None else occasion

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
            self._ledger.tell_caught_up(self._occasion)
            await self._wait_for_a_hole()

    async def _wait_for_a_hole(self) -> None:
        """Wait until something may be missing. Now and then let the cursor move to the end of the archive."""
        ledger = self._ledger
        while True:
            await ledger.attention.wait()
            if ledger.is_holding:
                return
            ledger.rearm()
            page = await self._ask(Page(max=2, before=""))
            if not ledger.has_had(page.results):
                ledger.hold()
                return
            end = _end_of(page.results, page.fin.complete)
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
                await self._read_pages(await self._ask_from(self._since), self._since)
                if ledger.read is None:
                    ledger.skip(Position(None, None, max(now(), self._since + SLACK)))
            else:
                await self._begin_at_the_end()
            if ledger.release():
                ledger.settle()
                return

    async def _begin_at_the_end(self) -> None:
        """Begin with what comes from now on: behind the newest message that has not arrived as a live one."""
        ledger = self._ledger
        page = await self._ask(Page(max=2 + min(ledger.holds, PAGE), before=""))
        known = [result for result in page.results if not ledger.is_held(result)]
        # In an archive without any other message we are at the beginning, whatever its clock says later.
        end = _end_of(known, page.fin.complete) or Position(None, FIRST if page.fin.complete else None, now())
        await ledger.begin_at(end)

    async def _read_on(self, position: Position) -> None:
        """Read what follows `position`."""
        if position.last == FIRST:
            await self._read_pages(await self._ask(Page(max=PAGE)), None)
            return
        if position.anchor is not None:
            page = await self._ask_after(position.anchor)
            if page is not None and page.results and page.results[0].id == position.last:
                await self._read_pages(page, None, skipped=1)
                return
            _logger.info("the archive does not know our position any more; going on by time")
        start = position.stamp - SLACK
        page = await self._ask_from(start)
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
        await self._find_what_time_hides(position)

    async def _find_what_time_hides(self, position: Position) -> None:
        """Tell of a gap if the newest messages were not found by time: the archive had another clock for them."""
        ledger = self._ledger
        page = await self._ask(Page(max=2 + min(ledger.holds, PAGE), before=""))
        newest = [result for result in page.results if not ledger.is_held(result)]
        if not ledger.has_had(newest):
            ledger.tell(Gap(position.stamp, stamp_of(newest[0])))
            ledger.archived(newest)

    def _is_gap(self, position: Position, first: Result | None) -> bool:
        """Return whether the archive, which begins with `first`, no longer has what followed `position`."""
        return first is None or (stamp_of(first) > position.stamp and not self._ledger.has_had([first]))

    async def _ask(self, page: Page, start: datetime | None = None) -> ArchivePage:
        return await archive_page(self._session, page, archive=self._ledger.archive.address, start=start)

    async def _ask_from(self, start: datetime) -> ArchivePage:
        return await self._ask(Page(max=PAGE), start)

    async def _ask_after(self, anchor: str) -> ArchivePage | None:
        """Return the page behind a message; None if the archive says that it does not know it."""
        if anchor == FIRST:
            return await self._ask(Page(max=PAGE))
        try:
            return await self._ask(Page(max=PAGE, after=anchor))
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
        archive = ledger.archive.address
        async with open_pages(self._client, archive=archive, after=page.last, start=start, limit=self._pages) as pages:
            async for following in pages:
                await ledger.wait_room()
                ledger.archived(following.results)
                ledger.count_malformed(following.malformed)


def now() -> datetime:
    """Return the time of now."""
    return datetime.now(UTC)


def _end_of(results: Sequence[Result], is_whole: bool) -> Position | None:
    """Return the place behind the last messages of an archive, if there are any; `is_whole`: these are all of it."""
    ids = [FIRST if is_whole else None, *(result.id for result in results if result.id is not None)]
    return Position(ids[-2], ids[-1], stamp_of(results[-1])) if len(ids) > 1 else None
