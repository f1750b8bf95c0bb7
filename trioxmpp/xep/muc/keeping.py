"""One task that keeps us in a room: it joins, watches, asks, and joins again, for as long as the block lasts.

    no session -> joining -> in the room -> lost -> joining ...

A stay is lost with its session, by a farewell of the room, or in silence: the service has restarted, or has given up
our server, and no stanza tells. So after a silence we send a ping to ourselves by way of the room (XEP-0410); it comes
back only if we are there. Nothing but a final refusal ends the loop: then it raises `RoomGone`, which leaves the block.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NoReturn

import trio

from ...client import Client, Event, Resumed, Session, Suspended, Trouble
from ...errors import StanzaCondition
from .entering import Entrance, Terms
from .events import RoomBack
from .hearing import Hearing
from .occupancy import Occupancy
from .outcome import Outcome
from .problems import GoneReason, JoinProblem, JoinRefused, LossCause, RoomGone, RoomLost
from .watching import Watch

__all__ = ["Keeper"]

_logger = logging.getLogger(__name__)

_FINAL = {
    JoinProblem.BANNED: GoneReason.BANNED,
    JoinProblem.MEMBERS_ONLY: GoneReason.MEMBERSHIP,
    JoinProblem.VANISHED: GoneReason.VANISHED,
}
#: Problems with the room itself: final unless we may create it.
_NO_ROOM = frozenset({JoinProblem.NO_ROOM, JoinProblem.LOCKED})


class Keeper:
    """Keeps `client` in the room of `occupancy`, which it enters by `entrance`."""

    def __init__(
        self, client: Client, occupancy: Occupancy, hearing: Hearing, entrance: Entrance, terms: Terms
    ) -> None:
        self.first: Outcome[None] = Outcome()
        """How the first attempt to enter ended."""
        self.left: bool = False
        """Whether the block was left."""
        self.session: Session | None = client.session
        """The session in which we are, or try to be, in the room."""
        self._client = client
        self._occupancy = occupancy
        self._hearing = hearing
        self._entrance = entrance
        self._watch = Watch(occupancy, hearing, entrance, terms)
        self._may_create = bool(terms.create)
        self._rejoin = terms.rejoin
        self._tried = trio.Event()
        """Set when an attempt in the session of now has ended, one way or the other."""
        self._is_lost = False
        """Whether `RoomLost` was told, and `RoomBack` was not."""
        self._suspended_at: float | None = None

    @asynccontextmanager
    async def in_session(self, session: Session) -> AsyncIterator[None]:
        """A block that is one session: it begins when we are in the room, or the first attempt has failed."""
        if self.session is not session:
            self.session, self._tried = session, trio.Event()
            self._occupancy.news.unpark_all()
        try:
            await self._tried.wait()
            yield
        finally:
            # The block may also be left while the session goes on: then `leave` has something to do.
            if self.session is session and session.ended is not None:
                self.session = None
                self._entrance.forgotten()
                self._occupancy.end(RoomLost(self._occupancy.room, LossCause.SESSION))

    async def leave(self, deadline: float) -> None:
        """Leave the room, and wait for its farewell for `deadline` seconds; nothing happens if we are not there."""
        session, self.session, self.left = self.session, None, True
        self._occupancy.news.unpark_all()
        if session is None or session is not self._client.session or not self._entrance.is_announced:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        farewell = self._occupancy.leave()
        was_in = self._occupancy.joined
        self._entrance.farewell(session)
        with trio.CancelScope(shield=True), trio.move_on_after(deadline):
            if was_in:
                await farewell.wait()

    def on_event(self, event: Event) -> None:
        """Hear of the link: after a long break it has to be asked whether we are still in the room."""
        if isinstance(event, Suspended):
            self._suspended_at = trio.current_time() if self._suspended_at is None else self._suspended_at
        elif isinstance(event, Resumed) and self._suspended_at is not None:
            if trio.current_time() - self._suspended_at > self._rejoin.long_break and self._occupancy.joined:
                self._occupancy.doubt()
            self._suspended_at = None

    async def follow_config(self) -> None:
        """Ask the room anew what it is after its configuration was changed, once a second at most."""
        known = self._hearing.config_changes
        while True:
            while known == self._hearing.config_changes or self.session is None:
                await self._occupancy.news.park()
            known = self._hearing.config_changes
            await self._entrance.describe(self.session)
            await trio.sleep(1.0)

    # --- the loop

    async def run(self) -> None:
        """Be in the room, one stay after the other. Raises `RoomGone`; returns if the first attempt is refused."""
        delays = self._rejoin.delays()
        while True:
            session = await self._wait_session()
            entered_at: float | None = None
            try:
                await self._enter(session)
                entered_at = trio.current_time()
                await self._watch.run(session)
                continue
            except JoinRefused as refusal:
                if not self._occupancy.has_been_in:
                    self.first.fail(refusal)
                    self._has_tried(session)
                    return
                self._lose(RoomLost(self._occupancy.room, LossCause.NOT_IN_ROOM, refusal.text))
                delay = self._after_refusal(refusal, delays)
            except (RoomLost, RoomGone) as loss:
                if entered_at is not None and trio.current_time() - entered_at >= self._rejoin.stable:
                    delays = self._rejoin.delays()
                    self._occupancy.settled_down()
                delay = self._after_loss(session, loss, delays)
            except ConnectionError as exc:
                _logger.debug("%s waits for the next session: %s", self._occupancy.room, exc)
                self._lose(RoomLost(self._occupancy.room, LossCause.SESSION))
                delay = self._rejoin.initial
            self._has_tried(session)
            await self._pause(session, delay)

    async def _wait_session(self) -> Session:
        while self.session is None or self.session.ended is not None:
            await self._occupancy.news.park()
        return self.session

    async def _pause(self, session: Session, delay: float) -> None:
        """Wait for `delay` seconds, or until the session is over."""
        with trio.move_on_after(delay):
            while self.session is session:
                await self._occupancy.news.park()

    def _has_tried(self, session: Session) -> None:
        if self.session is session:
            self._tried.set()

    def _after_refusal(self, refusal: JoinRefused, delays: Iterator[float]) -> float:
        """Return the delay before the next attempt. Raises `RoomGone` unless there is to be one."""
        reason = _FINAL.get(refusal.reason)
        if refusal.reason in _NO_ROOM and not self._may_create:
            is_gone = refusal.condition is StanzaCondition.GONE
            reason = GoneReason.DESTROYED if is_gone else GoneReason.VANISHED
        if reason is not None:
            self._end(RoomGone(self._occupancy.room, reason, refusal.text, alternate=refusal.alternate))
        _logger.warning("%s cannot be entered again, and will be tried again: %s", self._occupancy.room, refusal)
        self._client.on_event.emit(Trouble(f"open_room {self._occupancy.room}", refusal))
        if refusal.reason is JoinProblem.NICK_TAKEN:
            return 0.0 if self._entrance.nick_taken() else next(delays)
        return next(delays)

    def _after_loss(self, session: Session, loss: RoomLost | RoomGone, delays: Iterator[float]) -> float:
        """Return the delay before the next attempt. Raises `RoomGone` unless there is to be one."""
        if isinstance(loss, RoomGone):
            if loss.reason is GoneReason.TOO_BIG:
                self._entrance.farewell(session)
            self._end(loss)
        if loss.cause is LossCause.DISORDER and self._occupancy.is_first_disorder:
            return 0.0
        self._lose(loss)
        if loss.cause is LossCause.SESSION:
            return 0.0
        after_kick = self._rejoin.after_kick if loss.cause is LossCause.KICKED else None
        return next(delays) if after_kick is None else after_kick

    def _lose(self, loss: RoomLost) -> None:
        self._hearing.reflections.lost(loss)
        if self._occupancy.has_been_in and not self._is_lost:
            self._is_lost = True
            self._occupancy.events.emit(loss)

    def _end(self, gone: RoomGone) -> NoReturn:
        """Raise `gone`, once all tasks that wait know of it."""
        self._occupancy.end(gone)
        self._hearing.reflections.lost(gone)
        self._entrance.forgotten()
        self._tried.set()
        raise gone

    async def _enter(self, session: Session) -> None:
        """Enter the room, and tell those who wait for it."""
        await self._entrance.enter(session)
        self._has_tried(session)
        self.first.set(None)
        if self._is_lost:
            self._is_lost = False
            self._occupancy.events.emit(RoomBack(str(self._occupancy.nick), tuple(self._hearing.history)))
