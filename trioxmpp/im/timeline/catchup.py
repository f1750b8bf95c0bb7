"""How a timeline reads what it has missed, in each session.

The archive is asked for what follows the position of the cursor. If the answer shows that the archive does not know the
position any more, it is asked by time instead, from a little before; what was given already is passed over. If even
that begins later than the cursor, something is missing for good, which a `Gap` tells.

One look is not enough. ejabberd decides which sessions get a message when the message arrives, and archives it later,
in the process of one of them. A session that becomes available in between, and reads the archive, has the message
neither live nor from there, and no copy (XEP-0280) either. So the archive is read on once more a little later.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import trio

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

#: The archive is read on once more this many times at most.
LOOKS = 12

#: The number of the newest messages that are looked at after many live ones.
NEWEST = 20


class CatchUp:
    """Reads the archive in one session, or in one stay in a room: `occasion` tells one from the other.

    `since` is where to begin if there is no position; None: now. `look_again` is the number of seconds after which the
    archive is read on once more; None: never.
    """

    def __init__(
        self,
        client: Client,
        session: Session,
        ledger: Ledger,
        since: datetime | None,
        pages: int,
        look_again: float | None = None,
        occasion: object = None,
    ) -> None:
        self._client = client
        self._session = session
        self._ledger = ledger
        self._since = since
        self._pages = pages
        self._look_again = look_again
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
            await self._watch()

    async def _watch(self) -> None:
        """Wait until something may be missing. Meanwhile find what is late, and let the cursor follow.

        It follows after many live messages, and again a little later, in case the archive did not have them yet.
        """
        ledger, place, due, looks = self._ledger, self._ledger.read, self._later(), LOOKS
        while True:
            with trio.move_on_at(due) as waiting:
                await ledger.attention.wait()
            if ledger.is_holding:
                return
            ledger.rearm()
            if not waiting.cancelled_caught:
                due = min(due, self._later())
            elif looks and not await self._find_late(place):
                due, looks = self._later(), looks - 1
                continue
            else:
                due, looks = math.inf, 0
            if ledger.is_behind and not await self._follow():
                return

    def _later(self) -> float:
        return math.inf if self._look_again is None else trio.current_time() + self._look_again

    async def _follow(self) -> bool:
        """Let the cursor move to the end of the archive. Return False if the archive has what was not given."""
        ledger = self._ledger
        page = await self._ask(Page(max=NEWEST, before=""))
        newest = ledger.behind(page.results)
        if not ledger.has_had(newest):
            ledger.hold()
            return False
        end = _end_of(page.results, page.fin.complete) if newest else None
        if end is not None:
            ledger.skip(end)
            ledger.settle()
        return True

    async def _find_late(self, place: Position | None) -> bool:
        """Give what is behind `place` and was not given, up to a page's worth of known messages.

        Return whether nothing more is to be expected there. That is so once the archive has messages that were given
        live, and has nothing new before them.
        """
        is_written, is_new, known = not self._ledger.is_behind, False, 0
        before = frozenset(() if place is None else place.tail)
        for _ in range(self._pages):
            page, first = (None, 0) if place is None or known >= PAGE else await self._page_at(place)
            if page is None and place is not None and known < PAGE and place.tail[:1] == (FIRST,):
                page = await self._ask(Page(max=PAGE))  # a whole page of late ones is in front of the known ones
            if page is None:
                break
            behind = [result for result in page.results[first:] if result.id not in before]
            given = self._ledger.late(behind)
            is_written, is_new = is_written or given < len(behind), is_new or given > 0
            known = 0 if given else known + len(page.results)
            place = None if page.fin.complete else _end_of(page.results[-2:], False)
        return is_written and not is_new

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
                    ledger.skip(Position((), max(now(), self._since + SLACK)))
            else:
                await self._begin_at_the_end()
            if ledger.release():
                ledger.settle()
                return

    async def _begin_at_the_end(self) -> None:
        """Begin with what comes from now on: behind the newest message that is from before."""
        newest, is_whole = await self._before_arrivals()
        # In an archive without any other message we are at the beginning, whatever its clock says later.
        end = _end_of(newest, is_whole) or Position((FIRST,) if is_whole else (), now())
        await self._ledger.begin_at(end)

    async def _before_arrivals(self) -> tuple[Sequence[Result], bool]:
        """Return the newest messages of the archive without those that have arrived as live ones.

        And return whether the archive begins with them. Most live messages wait, and are known.
        """
        ledger = self._ledger
        page = await self._ask(Page(max=2 + min(ledger.holds, PAGE), before=""))
        known = [result for result in page.results if not ledger.is_held(result)]
        if ledger.dropped or not known:
            return await self._before_many(page)
        return known, page.fin.complete

    async def _before_many(self, page: ArchivePage) -> tuple[Sequence[Result], bool]:
        """Return the last two messages in front of all that have arrived, and whether the archive begins with them.

        That takes more than `page` if many wait, or if some were dropped behind those that wait. The archive need not
        have the first that waits: so no more are passed over than have arrived.
        """
        ledger, passed, is_found = self._ledger, 0, False
        for _ in range(self._pages):
            results, is_first = page.results, page.fin.complete or not page.results
            place = next((place for place, result in enumerate(results) if ledger.is_held(result)), None)
            if place is None and is_found:
                place = len(results)
            if is_first or (place or 0) >= 2:  # one message tells no place
                found = results[: place or 0]
                return found[-2:], is_first and len(found) <= 2
            passed += len(results)
            if passed >= ledger.holds + ledger.dropped + PAGE:
                break
            is_found = is_found or place is not None
            behind = results[place or 0] if place != len(results) else results[0]
            page = await self._ask(Page(max=PAGE, before=behind.id or page.first))
        return page.results[:2], False

    async def _read_on(self, position: Position) -> None:
        """Read what follows `position`."""
        page, place = await self._page_at(position)
        if page is not None:
            await self._read_pages(page, None, skipped=place)
            return
        _logger.info("the archive does not know our position; going on by time")
        start = position.stamp - SLACK
        page = await self._ask_from(start)
        known = _place_of(position, page.results)
        if known is not None:
            await self._read_pages(page, start, skipped=known)
            return
        first = page.results[0] if page.results else None
        if position.tail and self._is_gap(position, first):
            self._ledger.tell(Gap(position.stamp, None if first is None else stamp_of(first)))
        # Messages that the archive has lost mark no place in it any more.
        self._ledger.skip(Position((), position.stamp))
        await self._read_pages(page, start)
        await self._find_what_time_hides(position)

    async def _page_at(self, position: Position) -> tuple[ArchivePage | None, int]:
        """Return the page in which the tail of `position` is, and where; no page if the archive does not know it."""
        if position.tail == (FIRST,):
            return await self._ask(Page(max=PAGE)), 0
        if len(position.tail) < 2:
            return None, 0
        page = await self._ask_after(position.tail[0])
        place = None if page is None else _place_of(position, page.results)
        return (None, 0) if place is None else (page, place)

    async def _find_what_time_hides(self, position: Position) -> None:
        """Tell of a gap if the newest messages were not found by time: the archive had another clock for them."""
        newest, _ = await self._before_arrivals()
        if not self._ledger.has_had(newest):
            self._ledger.tell(Gap(position.stamp, stamp_of(newest[0])))
            self._ledger.archived(newest)

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
    ids = [result.id for result in results if result.id is not None]
    return Position((FIRST, *ids) if is_whole else tuple(ids), stamp_of(results[-1])) if ids else None


def _place_of(position: Position, results: Sequence[Result]) -> int | None:
    """Return the index of the first of `results` that follows a position or is in its tail; None if it has none of it.

    Messages before the tail are from a server that has answered with the beginning of the archive.
    """
    places = [place for place, result in enumerate(results) if result.id in position.tail]
    return None if not places else 0 if position.tail[0] == FIRST else places[0]
