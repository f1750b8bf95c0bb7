"""Keeps a client connected: one session after the other, each on one link after the other.

There are two nested loops. One turn of the outer loop, `Supervisor._sessions`, is a session: it binds a resource, or
adopts the session of another process, and has the services set it up. One turn of the inner loop, `_links`, is a link:
reader, writer and watchdog, in a cancel scope of their own. When a link breaks, the session stays; resuming it is
another turn of the inner loop, which begins with a new link and a new scope. Nothing is reset: what belongs to a link
or a session is gone with it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn

import trio

from ..errors import DestructionRequested, SessionLost, StreamError
from ..jid import JID
from ..stream.bare import bare
from ..stream.core import StreamCore
from ..stream.link import Link
from ..stream.negotiation.credentials import CredentialsLike
from ..stream.negotiation.resumption import ResumptionRefused
from ..stream.signal import Signal
from .arrival import Arrival, LinkMaker, SessionOver, drop
from .clientstate import ClientStateIndication
from .dial import Connected, LinkDialler, account_dialler
from .events import Destroyed, Established, Event, Resumed, in_words
from .journal.journal import SessionJournal
from .logout import invalidate_token
from .policy import Cause, Decision, GiveUp, ReconnectPolicy, SMPolicy
from .reconnector import Reconnector
from .session import Session
from .standing import Phase
from .steps import Prepare, Step, Steps

__all__ = ["Supervisor"]

_logger = logging.getLogger(__name__)

#: Seconds for the last words when the block is left by an error or by cancellation.
GRACE = 2.0

#: Messages that nothing wants yet wait this many seconds from the beginning of a session on.
UNCLAIMED_FOR = 60.0


class Supervisor:
    """The background of `connect`. It owns where the client stands: the session of now, and why there is no other.

    `phase` tells how far the client has come. `ended` is why there will never be a session again.
    """

    def __init__(
        self,
        core: StreamCore,
        dialler: LinkDialler,
        journal: SessionJournal | None,
        sm: SMPolicy | None,
        reconnect: ReconnectPolicy | None,
        inline: tuple[Any, ...],
        events: Signal[Event],
    ) -> None:
        self.core = core
        self.journal = journal
        self.phase: Phase = Phase.ARRIVING
        self.ended: Exception | None = None
        self.changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        """Tasks wait here for these, or the session, to change."""
        self._session: Session | None = None
        """The session that Established or Resumed told of, and Destroyed did not."""
        self.body: trio.CancelScope = trio.CancelScope()
        """Around the application's block."""
        outbox = None if journal is None else journal.outbox
        self.reconnector: Reconnector = Reconnector(core, dialler, reconnect, outbox)
        self.client_state: ClientStateIndication = ClientStateIndication()
        self._maker = LinkMaker(
            core, dialler, journal, self.reconnector, sm, inline, self.client_state, self._session_ends
        )
        self._steps = Steps(self.emit)
        self._dialler = dialler
        self._reconnect = reconnect
        self._events = events
        self._task_status: trio.TaskStatus[Session] = trio.TASK_STATUS_IGNORED
        self._loops = trio.CancelScope()
        self.jid: JID | None = None
        """The full JID of the newest session, also while it is set up."""
        self._last_request_made = False
        """Whether the application has made a request upon which the server ends the stream."""

    @property
    def session(self) -> Session | None:
        """The session that the application may use; None while there is none, or it is being set up."""
        return self._session if self.ended is None else None

    @property
    def failure(self) -> Exception | None:
        """The error that ended the client; None if it was closed."""
        return None if isinstance(self.ended, DestructionRequested) else self.ended

    # --- from the block of `connect`

    async def run(
        self,
        websockets: trio.Nursery,
        background: trio.CancelScope,
        *,
        task_status: trio.TaskStatus[Session] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Live through sessions until closed, within `background`. Reports the first session: services may be entered.

        An error before that is raised; a later one cancels `body`, and is kept as `failure`.
        """
        self._websockets, self._task_status = websockets, task_status
        with background:
            try:
                with self._loops:
                    await self._sessions()
                if self._loops.cancelled_caught:
                    await self._keep()
                self._end(DestructionRequested("the stream was closed"))
            except Exception as exc:
                if self.phase is Phase.ARRIVING:
                    raise
                await self._keep()
                self._fail(exc)
            finally:
                if self.phase is Phase.ARRIVING:
                    with trio.move_on_after(GRACE, shield=True):
                        await self._keep()
                self._reach(Phase.LEFT)

    def services_entered(self) -> None:
        """The services of the first session are there: set it up."""
        self._reach(Phase.PREPARING)

    async def wait_first_session(self) -> None:
        """Wait until the application may use the first session. `body` is cancelled if that fails."""
        while not Phase.SERVING <= self.phase < Phase.LEFT:
            await self.changed.park()
        self._reach(Phase.BODY)

    def _reach(self, phase: Phase) -> None:
        if self.phase < phase:
            self.phase = phase
            self.changed.unpark_all()

    async def _wait(self, phase: Phase) -> None:
        while self.phase < phase:
            await self.changed.park()

    async def suspend(self) -> None:
        """End the link without a word, and leave the session for another process."""
        self._end(DestructionRequested("the session was suspended"))
        self.core.stop()
        self._loops.cancel(reason="the session was suspended")
        await self._wait(Phase.LEFT)

    async def close(self) -> None:
        """End everything, in `GRACE` seconds at most."""
        if self.body.cancel_called:
            with trio.move_on_after(GRACE):
                await self._wait(Phase.LEFT)  # the supervisor is about to say why it cancelled the body
        self._end(DestructionRequested("the client was closed"))
        try:
            await self.core.close(GRACE / 2, flush=True)
            self.core.router.close(self.failure)
            self._events.close(self.failure)
        finally:
            self.changed.unpark_all()

    async def end_by(self, request: Callable[[], Awaitable[object]], patience: float) -> None:
        """See `Client.end_by`."""
        dialler = account_dialler(self._dialler)
        self._last_request_made = True
        try:
            await request()
        except SessionLost as lost:
            reason = lost.__cause__
            if not isinstance(reason, StreamError) or reason.by_us:
                self._last_request_made = False
                raise
        except BaseException:
            self._last_request_made = False
            raise
        dialler.memory.forget_secrets()
        with trio.move_on_after(patience):
            await self._wait(Phase.LEFT)
        self.core.stop()
        await self._wait(Phase.LEFT)

    async def use_credentials(self, credentials: CredentialsLike) -> None:
        """See `Client.use_credentials`."""
        account_dialler(self._dialler).use_credentials(credentials)
        await self._maker.save_login()

    async def forget_token(self) -> None:
        """See `Client.forget_token`."""
        await invalidate_token(account_dialler(self._dialler), self._maker.save_login)

    def each_session(self, step: Step, prepare: Prepare) -> AbstractAsyncContextManager[None]:
        """See `Client.each_session`."""
        return self._steps.each_session(step, prepare)

    def emit(self, event: Event) -> None:
        """Tell of an event."""
        _logger.info("%s", in_words(event))
        self._events.emit(event)

    # --- the two loops

    async def _sessions(self) -> None:
        arrival = await self._arrive()
        while arrival is not None:  # one turn is one session
            try:
                await self._session_on(arrival)
            except SessionOver as over:
                arrival = None if over.cause is None else await self._arrive(over)

    async def _links(self, session: Session, link: Link) -> None:
        """Live on one link after the other, until SessionOver is raised."""
        while True:  # one turn is one link
            await self._live(link)
            link = await self._come_back(session, link)

    async def _session_on(self, arrival: Arrival) -> None:
        """One session: set up by its services, told of by events, with tasks that end with it."""
        with bare() as inside:
            async with trio.open_nursery() as nursery:
                session = Session(
                    self.core,
                    self.core.session,
                    arrival.jid,
                    arrival.login.features,
                    adopted=arrival.adopted,
                    begun=arrival.login.results.begun,
                    nursery=nursery,
                )
                self.jid = session.jid
                session.start_soon(self._begin, session, arrival)
                try:
                    with self.core.handlers_in(nursery), inside:
                        await self._links(session, arrival.link)
                except SessionOver:
                    await self._steps.leave(session)  # noqa: ASYNC120  (blocks end before Destroyed is told)
                    raise
                finally:
                    nursery.cancel_scope.cancel(reason="the session is over")
                    self.core.alarm.clear()
                    if session.ended is not None:
                        self._is_over(session)
        if session.failure is not None:
            raise session.failure

    async def _live(self, link: Link) -> None:
        """One link, until it ends."""
        try:
            await self.core.live(link, ending=self._session_ends)
        finally:
            with trio.CancelScope(shield=True):
                await link.xmlstream.aclose()

    async def _come_back(self, session: Session, link: Link) -> Link:
        """Get another link for `session`. Raises SessionOver if there will be none, or the cause if nothing helps."""
        cause = link.cause_of_end
        if self._last_request_made:
            self.core.abandon(cause or DestructionRequested("the server was asked to end the session"))
            cause = None
        while cause is not None:
            decision = self._failed(cause)
            if session.ended is not None and not self._was_closed:
                raise SessionOver(cause, decision=decision)
            await self.reconnector.wait(decision)
            try:
                return await self._resume(session, await self._maker.dial(self._websockets))
            except ConnectionError as exc:
                cause = None if self._was_closed else exc
        raise SessionOver(None)

    async def _resume(self, session: Session, connected: Connected) -> Link:
        """Resume `session` on a stream that is authenticated. Raises SessionOver if the server refuses."""
        try:
            link = await self._maker.resume(connected)
        except ResumptionRefused as refusal:
            if connected.xmlstream.closed:
                raise SessionOver(refusal, decision=self._failed(refusal)) from None
            raise SessionOver(refusal, connected=connected) from None
        except BaseException:
            await drop(connected)  # noqa: ASYNC102  (it shields)
            raise
        self.reconnector.linked(resumed=True)
        self.client_state.resumed(connected.login.features, link)
        session.start_soon(self._went_on, session)
        return link

    async def _settle(self, connected: Connected) -> Arrival:
        if self._was_closed:
            await drop(connected)
            raise ConnectionAbortedError("the stream was closed")
        return await self._maker.settle(connected, may_adopt=self.phase is Phase.ARRIVING)

    @property
    def _was_closed(self) -> bool:
        """Whether the application closed the stream: only then the session of now is over, and not replaced."""
        return self.core.session.ended is not None

    async def _arrive(self, over: SessionOver | None = None) -> Arrival | None:
        """Get to another session: on the stream that the end of the last one left, or on a new one.

        Return None if the stream was closed meanwhile.
        """
        connected = None if over is None else over.connected
        if over is not None and over.cause is not None and self._cannot_renew:
            await drop(connected)
            self._lost(over.cause)
        decision = None if over is None else over.decision
        while True:
            if decision is not None:
                await self.reconnector.wait(decision)
            try:
                connected = connected or await self._maker.dial(self._websockets)
                return await self._settle(connected)
            except ConnectionError as exc:
                if self._was_closed:
                    return None
                connected, decision = None, self._failed(exc)

    # --- the beginning of a session, and of each further link

    async def _begin(self, session: Session, arrival: Arrival) -> None:
        """Set up a session while its first link lives.

        The first requests of its services leave together with that for stream management.
        """
        agreed = trio.Event()
        negotiation = self._maker.begins(arrival)
        if negotiation is None:
            await self._maker.begun(arrival)
            agreed.set()
        else:
            session.start_soon(self._maker.agree, arrival, negotiation, agreed)
        await self._set_up(session, agreed)

    async def _set_up(self, session: Session, agreed: trio.Event) -> None:
        """Have the services set the session up; what comes after the first step waits until it has begun."""
        self._steps.gather(session)
        is_first = self.phase is Phase.ARRIVING
        if is_first:
            self._reach(Phase.ENTERING)
            self._task_status.started(session)
            await self._wait(Phase.PREPARING)
        await self._steps.prepare(session, (Step.SYNC,))
        if not agreed.is_set():
            await agreed.wait()
        await self._steps.prepare(session, (Step.PRESENCE,))
        if session.ended is not None:
            return
        self._session = session
        self._reach(Phase.SERVING)
        self.changed.unpark_all()
        self.emit(Resumed(session) if session.adopted else Established(session.jid, session))
        if is_first:
            await self._wait(Phase.BODY)
        self._admit(session)
        claimable_until = trio.current_time() + UNCLAIMED_FOR
        await self._steps.prepare(session, (Step.JOIN, Step.CATCH_UP))
        self.core.alarm.set(claimable_until, self.core.router.messages.drop_unclaimed)

    async def _went_on(self, session: Session) -> None:
        """The session was resumed, and its new link lives."""
        if self.journal is not None:
            await self.journal.logged_in(self.core.session, self._dialler.login)
        if session is self._session:
            self.emit(Resumed(session))

    def _admit(self, session: Session) -> None:
        """Have the durable messages sent; look up in the archive which have arrived, if that is not known."""
        if self.journal is None or not self.journal.outbox.is_reconciling(self.core.session):
            return
        self.journal.outbox.admit(self.core.session)
        if self.journal.outbox.is_reconciling(self.core.session):
            from .journal.reconcile import reconcile  # few need it

            session.start_soon(reconcile, session, self.core, self.journal.outbox)

    # --- ends

    def _failed(self, cause: Exception) -> Decision:
        """An attempt, or a link, has failed. Raises the cause if nothing is to be done about it."""
        failure = self.reconnector.failed(cause, is_first=self.phase < Phase.SERVING)
        if failure.stuck is not None and self.core.session.sm is not None:
            self._session_ends(failure.stuck)
            self.core.destroy(failure.stuck)
            if self.journal is not None and self.phase is Phase.ARRIVING:
                self.journal.not_resumed()
        if failure.was_linked and self.reconnector.suspended is not None and self._session is not None:
            self.emit(self.reconnector.suspended)
        if isinstance(failure.decision, GiveUp):
            raise cause
        return failure.decision

    def _session_ends(self, reason: Exception) -> None:
        """The session is about to be destroyed. Cancel the body first if that is the end of the client.

        So SessionLost leaves `connect` once, and not every task of the application.
        """
        if isinstance(reason, DestructionRequested) or self.phase is Phase.ARRIVING:
            return
        if self._cannot_renew or Cause.of(reason).is_hopeless:
            self.body.cancel(reason=f"the XMPP session has ended: {reason}")

    def _is_over(self, session: Session) -> None:
        """Tell, after Suspended, that the session is over."""
        if self._session is not session:
            return
        self._session = None
        self.changed.unpark_all()
        assert session.ended is not None
        if self.failure is not None or not self._was_closed:  # an application that closes the client knows
            self.emit(Destroyed(session.ended, self.core.undelivered))

    def _lost(self, cause: Exception) -> NoReturn:
        raise SessionLost(f"the session is lost: {cause}", self.core.undelivered) from cause

    @property
    def _cannot_renew(self) -> bool:
        # If the first session is one of a process that is gone, the application may as well have a new one.
        return self.phase is not Phase.ARRIVING and (self._reconnect is None or not self._reconnect.renew)

    def _fail(self, exc: Exception) -> None:
        """The client is over, because of `exc`."""
        self.body.cancel(reason=f"the XMPP session has ended: {exc}")
        self._end(exc)
        self.core.abandon(exc)
        if self._session is not None:
            self._is_over(self._session)

    def _end(self, reason: Exception) -> None:
        """There will be no session any more. A failure is a reason that stays."""
        if self.failure is None:
            self.ended = reason
        self.changed.unpark_all()

    async def _keep(self) -> None:
        """Leave what the store has: the server may still know the session."""
        if self.journal is not None:
            await self.journal.keep(self.core.session, self._dialler.login)
