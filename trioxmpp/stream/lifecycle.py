"""The scopes of a stanza stream: sessions, and the incarnations in them.

What survives a broken link is in the `Session`; what does not is in the `Incarnation`. So resuming is starting a new
incarnation of the same session, and "reset" is putting a new session in the place of one that is over.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from .. import xml
from ..errors import DestructionRequested, StreamError, StreamTimeout
from ..protocol import sm
from .bare import bare
from .ending import END_OF_RUN, EndedBy, Management
from .incarnation import Incarnation
from .reader import Reader
from .resumption import ResumptionRefused, negotiate_resumption
from .router import Router
from .session import Journal, Session, closed_session
from .signal import Signal
from .token import StanzaState, StanzaToken
from .watchdog import LivenessKnobs, Watchdog
from .writer import Writer
from .xmlstream import XmlStream

__all__ = ["Lifecycle"]

#: Seconds that a proper close may take, and that it may still take once it is cancelled.
CLOSE_TIMEOUT = 15.0
CLOSE_GRACE = 2.0


class Lifecycle:
    """Runs, resumes, stops and closes a stanza stream; `StanzaStream` documents what each means to its user."""

    def __init__(self, knobs: LivenessKnobs, ack_after: int, logger: logging.Logger) -> None:
        self.session = Session()
        self.journal: Journal | None = None
        """Where what is to outlive the process is written down, if it is."""
        self.undelivered: tuple[StanzaToken, ...] = ()
        """What was not delivered when the last session ended."""
        self.on_session_ending: Signal[Exception] = Signal()
        """The session is about to be destroyed; nothing of it is settled yet."""
        self.on_failure: Signal[Exception] = Signal()
        self.on_stream_destroyed: Signal[Exception] = Signal()
        self.on_stream_established: Signal[()] = Signal()
        self._knobs = knobs
        self._ack_after = ack_after
        self._logger = logger
        self._incarnation: Incarnation | None = None
        self._runner: trio.lowlevel.Task | None = None
        self._handlers: trio.Nursery | None = None

    @property
    def running(self) -> bool:
        """Whether there is an incarnation."""
        return self._incarnation is not None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """A block with a nursery for handlers, at whose end the stream is closed."""
        if self._handlers is not None:
            raise RuntimeError("this stream is an open block already")
        with bare() as inside:
            async with trio.open_nursery() as nursery:
                self._handlers = nursery
                try:
                    with inside:
                        yield
                except BaseException:
                    with trio.CancelScope(shield=True):
                        await self.close(CLOSE_GRACE)
                    raise
                else:
                    await self.aclose()
                finally:
                    self._handlers = None
                    nursery.cancel_scope.cancel(reason="the block of the stanza stream was left")

    def start_handler(self, function: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start a handler where it may outlive the incarnation: in our block, or beside the task that runs us."""
        nursery = self._handlers
        if nursery is None:
            assert self._runner is not None
            nursery = self._runner.parent_nursery
        assert nursery is not None
        nursery.start_soon(function, *args)

    async def run(
        self, xmlstream: XmlStream, router: Router, started: Callable[[], None], managed: sm.Enabled | None = None
    ) -> None:
        """Run a session on a bound XML stream."""
        incarnation = self._attach(xmlstream)
        if self.session.sm is not None:
            # Bound afresh: what the server knew of the old session is of no use any more.
            self._destroy(ConnectionError("a new session was started in place of the old one"))
        if self.session.ended is not None:
            self.session = Session(journal=self.journal)
        incarnation.session = self.session
        if managed is not None:
            self.session.sm = sm.StreamManagement(managed)
        if not self.session.established:
            self.session.established = True
            self.on_stream_established.emit()
        await self._live(incarnation, router, started)

    async def resume(
        self, xmlstream: XmlStream, router: Router, started: Callable[[], None], answer: xml.Element | None = None
    ) -> None:
        """Go on with the session on an XML stream that is authenticated but not bound."""
        if self.session.sm is None:
            raise RuntimeError("stream management is not enabled: there is nothing to resume")
        if not self.session.resumable:
            raise RuntimeError("the server does not let this session be resumed")
        incarnation = self._attach(xmlstream)
        try:
            with incarnation.negotiation_scope:
                await negotiate_resumption(self.session, xmlstream, answer)
        except ResumptionRefused as refusal:
            self._detach(incarnation)
            self._destroy(refusal, unacked=refusal.unacked)
            raise
        except BaseException:
            self._detach(incarnation)
            raise
        if incarnation.stopped or incarnation.closing:
            xmlstream.closed = True  # in the middle of something: of no use to anybody
            await self._end(incarnation)
            return
        await self._live(incarnation, router, started)

    async def resumption(self) -> sm.Resume | None:
        """What to say to go on with the session, when it is said by somebody else; None if there is none.

        It has to be said: what it tells of our count is settled here.
        """
        management = self.session.sm
        if management is None or management.granted.id is None or not management.resumable:
            await trio.lowlevel.checkpoint()
            return None
        return sm.Resume(h=await self.session.resuming(), previd=management.granted.id)

    def stop(self) -> None:
        """End the incarnation, if there is one."""
        if self._incarnation is not None:
            self._incarnation.stop()

    async def wait_ended(self) -> None:
        """Wait until there is no incarnation. Cancelling stops the waiting."""
        if self._incarnation is None:
            await trio.lowlevel.checkpoint()
        else:
            await self._incarnation.ended.wait()

    async def aclose(self) -> None:
        """End incarnation and session, properly if possible, soon if cancelled."""
        try:
            await self.close(CLOSE_TIMEOUT)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self.close(CLOSE_GRACE)
            raise

    async def close(self, patience: float) -> None:
        """Like `aclose`, in `patience` seconds and a second for closing the transport. Cancelling gives up at once."""
        incarnation = self._incarnation
        if incarnation is not None:
            incarnation.close()
            with trio.move_on_after(patience) as limit:
                await incarnation.ended.wait()
            if limit.cancelled_caught:
                incarnation.give_up()
                await incarnation.ended.wait()
        if not self.running and self.session.ended is None:
            # There was no incarnation, or it was just ending in a way that leaves the session alive.
            self._destroy(DestructionRequested("close() called"))
            self.session = closed_session()
        if incarnation is None:
            await trio.lowlevel.checkpoint()

    def abandon(self, reason: Exception) -> None:
        """End the session for good, as `reason` says, though there is no link on which it could be closed."""
        self._destroy(reason)
        self.session = Session(ended=reason)

    async def start_sm(self, resume: bool, max: int | None) -> None:
        """Negotiate stream management on the running stream."""
        if self._incarnation is None or not self._incarnation.live:
            raise RuntimeError("the stream is not running")
        if self.session.sm is not None:
            raise RuntimeError("stream management is already enabled")
        await self._incarnation.enable_sm(sm.enable(resume=resume and max != 0, max=max)).wait()

    def stop_sm(self, reason: Exception | None = None) -> None:
        """Forget about stream management, and so about the session, because of `reason`."""
        if self.running:
            raise RuntimeError("stream management cannot be stopped while the stream is running")
        if self.session.sm is None:
            raise RuntimeError("stream management is not enabled")
        self._destroy(reason or ConnectionError("stream management disabled"))

    def _attach(self, xmlstream: XmlStream) -> Incarnation:
        if self._incarnation is not None:
            raise RuntimeError("the stream is already running")
        self._runner = trio.lowlevel.current_task()
        self._incarnation = Incarnation(self.session, xmlstream)
        return self._incarnation

    def _detach(self, incarnation: Incarnation) -> None:
        self._incarnation = self._runner = None
        incarnation.ended.set()

    async def _live(self, incarnation: Incarnation, router: Router, started: Callable[[], None]) -> None:
        def ask() -> None:
            """Have the server say something."""
            if incarnation.session.sm is not None:
                incarnation.session.outbox.want_ack = True
                incarnation.session.outbox.wake()
            else:
                incarnation.session.ping(router.local_jid())

        reader = Reader(incarnation, router)
        writer = Writer(incarnation, router, self._ack_after)
        watchdog = Watchdog(incarnation.xmlstream, self._knobs, ask)
        try:
            await incarnation.run(reader.run, writer.run, watchdog.run, started)
        finally:
            with trio.CancelScope(shield=True):
                failure = await self._end(incarnation)
        if failure is not None:
            raise failure

    async def _end(self, incarnation: Incarnation) -> Exception | None:
        """Do what `END_OF_RUN` says, and return the failure if it was one.

        Takes a second or two at most: every farewell is bounded.
        """
        cause, xmlstream = incarnation.cause, incarnation.xmlstream
        ended_by = EndedBy.of(closing=incarnation.closing, cause=cause)
        management = Management.of(self.session)
        effect = END_OF_RUN[ended_by, management]
        try:
            if effect.destroy:
                text = "close() called" if incarnation.closing else "stop() called, and the stream is not resumable"
                self._destroy(DestructionRequested(text) if cause is None else cause)
                if incarnation.closing:
                    self.session = closed_session()
            if ended_by is EndedBy.FAILURE:
                ours = cause if isinstance(cause, StreamError) and cause.by_us else None
                # Our footer would end a session that can be resumed, unless it answers the server's (RFC 6120 §4.4).
                unwanted = management is Management.RESUMABLE and ours is None and not xmlstream.footer_received
                hopeless = isinstance(cause, StreamTimeout) or unwanted
                if not hopeless:
                    await xmlstream.say_goodbye(ours)
            if ended_by is EndedBy.CLOSE:
                if incarnation.gave_up:
                    await xmlstream.aclose()
                else:
                    await xmlstream.close_gracefully()
            elif ended_by is EndedBy.FAILURE or xmlstream.closed:
                await xmlstream.aclose()
        finally:
            self._detach(incarnation)  # whatever happens: there are those who wait for it
        if not effect.report:
            return None
        assert cause is not None
        self._logger.info("the stream has failed: %s", cause)
        self.on_failure.emit(cause)
        return cause

    def _destroy(self, reason: Exception, *, unacked: StanzaState = StanzaState.SENT_WITHOUT_SM) -> None:
        """The session is over; a new one takes its place."""
        self.on_session_ending.emit(reason)
        session, self.session = self.session, Session(journal=self.journal)
        unsettled = session.unsettled()
        session.end(reason, unacked=unacked)
        if session.established or unsettled:
            self.undelivered = tuple(unsettled)
        if session.established:
            self.on_stream_destroyed.emit(reason)
