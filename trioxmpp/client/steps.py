"""How a session is set up: services prepare it in ordered steps, before the application may use it.

A service registers a function by `Client.each_session`. In each new session the steps run in order; within a step all
functions run at once, so that their requests leave in one batch. The application waits until `Step.PRESENCE` is done;
what comes later goes on behind it. A session that this process resumes keeps what was set up, so no step runs. One that
another process began is *adopted*: the server knows what this process does not, so all steps run.

A function that fails does not hold up the others: its exception is told as a `Trouble` event, and it is tried again,
with growing delays, while the session lasts. A step has a deadline; then the next one begins, and what is late goes on.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import trio

from ..stream.bare import bare
from .events import Trouble
from .policy import ReconnectPolicy
from .session import Session

__all__ = ["STEP_DEADLINE", "Prepare", "Step", "Steps", "prepared_session", "preparing"]

_logger = logging.getLogger(__name__)

#: Seconds after which a step is left behind.
STEP_DEADLINE = 30.0

#: Seconds that the blocks of a session that is over may take to end.
LEAVE_DEADLINE = 5.0

Prepare = Callable[[Session], Awaitable[object] | AbstractAsyncContextManager[Any]]


class Step(enum.IntEnum):
    """The order in which a session is set up."""

    SYNC = 10
    """The state that the server keeps for us: roster, block list, features."""
    PRESENCE = 20
    """The first presence. The application waits for this step and no longer."""
    JOIN = 30
    """Rooms."""
    CATCH_UP = 40
    """Archives."""


#: The session that the present task sets up. It may use the client while the application still has to wait.
_preparing: ContextVar[Session | None] = ContextVar("trioxmpp_preparing", default=None)


def prepared_session() -> Session | None:
    """Return the session that the present task, or a task that it was started from, sets up."""
    return _preparing.get()


@contextmanager
def preparing(session: Session | None) -> Iterator[None]:
    """During the block the present task sets up `session`: it may use the client before the application does."""
    token = _preparing.set(session)
    try:
        yield
    finally:
        _preparing.reset(token)


class _Preparation:
    """One function in one session."""

    def __init__(self, registration: _Registration, session: Session) -> None:
        self.registration = registration
        self.session = session
        self.scope = trio.CancelScope()
        self.done = trio.Event()
        """Set when it has prepared the session, or has failed for the first time."""
        self.left = trio.Event()
        self.failure: Exception | None = None

    async def run(self, is_first: bool) -> None:
        """Prepare the session, and hold the block open until the session is over.

        With `is_first`, a failure at first ends this, and is kept for the caller to raise.
        """
        delays = ReconnectPolicy().delays()
        try:
            with self.scope, preparing(self.session):
                for delay in delays:
                    if await self._attempt(is_first):
                        break
                    await trio.sleep(delay)
        finally:
            self.done.set()
            self.left.set()

    async def _attempt(self, is_first: bool) -> bool:
        """Prepare once; return whether nothing is left to do."""
        try:
            result = self.registration.prepare(self.session)
            if isinstance(result, AbstractAsyncContextManager):
                async with result:
                    self.done.set()
                    await trio.sleep_forever()
            await result
        except Exception as exc:
            if self.session.ended is not None:
                return True
            if is_first and not self.done.is_set():
                self.failure = exc
                return True
            self.done.set()
            self.registration.tell_trouble(exc)
            return False
        return True


class _Registration:
    """One function that prepares each session, while the block that registered it runs."""

    def __init__(self, step: Step, prepare: Prepare, nursery: trio.Nursery, emit: Callable[[Trouble], None]) -> None:
        self.step = step
        self.prepare = prepare
        self._nursery = nursery
        self._emit = emit

    @property
    def name(self) -> str:
        """The name of the service, for the log."""
        function = self.prepare
        return str(getattr(function, "__qualname__", None) or type(function).__qualname__)

    def begin(self, session: Session, *, is_first: bool) -> _Preparation:
        """Start to prepare `session` in a task. `is_first`: the caller raises what fails at first."""
        preparation = _Preparation(self, session)
        self._nursery.start_soon(preparation.run, is_first)
        return preparation

    def tell_trouble(self, exc: Exception) -> None:
        """Report a failure that heals."""
        _logger.warning("%s could not set up the session, and will try again: %s", self.name, exc, exc_info=exc)
        self._emit(Trouble(self.name, exc))


class Steps:
    """All functions that prepare the sessions of one client."""

    def __init__(self, emit: Callable[[Trouble], None]) -> None:
        self._emit = emit
        self._registrations: list[_Registration] = []
        self._session: Session | None = None
        """The session that is being, or has been, prepared."""
        self._reached: Step | None = None
        """The last step that has begun in it."""
        self._preparations: list[_Preparation] = []
        self._changed = trio.lowlevel.ParkingLot()
        """Tasks wait here for the turn of their function."""
        self._gathering = True
        """Whether the services of the first session are still being entered."""

    @asynccontextmanager
    async def each_session(self, step: Step, prepare: Prepare) -> AsyncIterator[None]:
        """See `Client.each_session`."""
        with bare() as inside:
            async with trio.open_nursery() as nursery:
                registration = _Registration(step, prepare, nursery, self._emit)
                self._registrations.append(registration)
                try:
                    await self._prepare_now(registration)
                    with inside:
                        yield
                finally:
                    self._registrations.remove(registration)
                    self._preparations = [each for each in self._preparations if each.registration is not registration]
                    nursery.cancel_scope.cancel(reason="the block of each_session was left")

    async def _prepare_now(self, registration: _Registration) -> None:
        """Prepare the session of now, unless its turn is still to come; raise what fails."""
        session = self._session
        if session is None or session.ended is not None or self._gathering:
            await trio.lowlevel.checkpoint()
            return
        if self._reached is None or registration.step > self._reached:
            # The steps will come to it. Not to wait for that would let this block begin unprepared.
            preparation = await self._turn_of(registration, session)
        else:
            preparation = self._begin(registration, session, is_first=True)
        if preparation is None:
            return
        await preparation.done.wait()
        if preparation.failure is not None:
            raise preparation.failure

    async def _turn_of(self, registration: _Registration, session: Session) -> _Preparation | None:
        while session.ended is None and session is self._session:
            for preparation in self._preparations:
                if preparation.registration is registration:
                    return preparation
            await self._changed.park()
        return None

    def _begin(self, registration: _Registration, session: Session, *, is_first: bool) -> _Preparation:
        preparation = registration.begin(session, is_first=is_first)
        self._preparations.append(preparation)
        return preparation

    def adopt_unprepared(self, session: Session) -> None:
        """There is a session that no step prepares: one on a stream that is run by hand."""
        if self._session is not session:
            self._session, self._reached, self._gathering = session, Step.CATCH_UP, False

    def gather(self, session: Session) -> None:
        """A session begins. Functions that are registered from now on get their turn with the steps."""
        self._session, self._reached = session, None

    async def prepare(self, session: Session, steps: tuple[Step, ...], *, deadline: float = STEP_DEADLINE) -> None:
        """Run these steps in `session`, one after the other. Raises what fails in the very first session."""
        is_first = self._gathering
        for step in steps:
            self._reached, self._gathering = step, False
            begun = [
                self._begin(registration, session, is_first=is_first)
                for registration in list(self._registrations)
                if registration.step == step
            ]
            self._changed.unpark_all()
            if not begun:
                continue
            with trio.move_on_after(deadline):
                for preparation in begun:
                    await preparation.done.wait()
            for preparation in begun:
                if preparation.failure is not None:
                    raise preparation.failure
                if not preparation.done.is_set():
                    _logger.warning("%s is late in setting up the session", preparation.registration.name)

    async def leave(self, session: Session) -> None:
        """`session` is over: end the blocks that were entered for it, in reverse order."""
        if session is not self._session:
            return
        preparations, self._preparations, self._session = self._preparations, [], None
        self._changed.unpark_all()
        with trio.move_on_after(LEAVE_DEADLINE, shield=True):
            for preparation in reversed(preparations):
                preparation.scope.cancel(reason="the session is over")
                await preparation.left.wait()
