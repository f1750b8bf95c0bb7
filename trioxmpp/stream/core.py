"""The inside of a `StanzaStream`: one session after the other, each on one link after the other.

The state that survives a broken link is in the `SessionState`, all other state in the `Link`. So resuming is starting
another link of the same session, and a reset is putting a new session in the place of one that is over.

`StanzaStream` is the face of this for applications. The client floor uses this inner door: it has to know what the end
of a link meant before the tasks of the application do.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import trio

from .. import xml
from ..errors import DestructionRequested, StreamError, StreamTimeout
from ..jid import JID
from ..protocol import sm
from .bare import bare
from .home import Home
from .inbound.handled import LIMIT
from .inbound.reader import Reader
from .inbound.router import Router
from .link import LIVE, EndedBy, Link, SMNegotiation
from .liveness import Alarm, LivenessSettings, Watchdog
from .negotiation.resumption import ResumptionRefused, negotiate_resumption
from .outbound.channels import Control
from .outbound.token import StanzaState, StanzaToken
from .outbound.unconfirmed import Unconfirmed
from .outbound.writer import Writer
from .session import Journal, SessionState, closed_session
from .signal import Signal
from .tally import StreamCounts, Tally
from .xmlstream import XmlStream

__all__ = ["END_OF_RUN", "Effect", "Management", "StreamCore"]

#: Seconds that a proper close may take, and that it may still take once it is cancelled.
CLOSE_TIMEOUT = 15.0
CLOSE_GRACE = 2.0

#: The share of that time in which what is queued is written before the footer.
FLUSH_SHARE = 0.75


class Management(enum.Enum):
    """The promise that XEP-0198 makes for a session."""

    NONE = "stream management is off"
    NOT_RESUMABLE = "stream management is on, but not resumable"
    RESUMABLE = "the session can be resumed"

    @classmethod
    def of(cls, session: SessionState) -> Management:
        """How `session` is managed."""
        if session.sm is None:
            return cls.NONE
        return cls.RESUMABLE if session.sm.resumable else cls.NOT_RESUMABLE


class Effect(NamedTuple):
    """The consequences of the end of a link."""

    destroy: bool
    """The session is over: tokens settle, waiters get an error, handlers are cancelled."""
    report: bool
    """It is a failure: `run` raises it and on_failure tells of it."""


#: The meaning of the end of a link, by its event and by how the session was managed (S051 of the seed's map).
END_OF_RUN: dict[tuple[EndedBy, Management], Effect] = {
    (EndedBy.STOP, Management.NONE): Effect(destroy=True, report=False),
    (EndedBy.STOP, Management.NOT_RESUMABLE): Effect(destroy=True, report=False),
    (EndedBy.STOP, Management.RESUMABLE): Effect(destroy=False, report=False),
    (EndedBy.FAILURE, Management.NONE): Effect(destroy=True, report=True),
    (EndedBy.FAILURE, Management.NOT_RESUMABLE): Effect(destroy=True, report=True),
    (EndedBy.FAILURE, Management.RESUMABLE): Effect(destroy=False, report=True),
    (EndedBy.CLOSE, Management.NONE): Effect(destroy=True, report=False),
    (EndedBy.CLOSE, Management.NOT_RESUMABLE): Effect(destroy=True, report=False),
    (EndedBy.CLOSE, Management.RESUMABLE): Effect(destroy=True, report=False),
}


def _ignore(*args: object) -> None:
    """Do nothing."""


class StreamCore:
    """Runs, resumes, stops and closes a stanza stream; `StanzaStream` documents what each means to its user."""

    def __init__(
        self,
        local_jid: JID | None,
        liveness: LivenessSettings,
        ack_after: int,
        logger: logging.Logger,
        journal: Journal | None = None,
        session: SessionState | None = None,
        nursery: trio.Nursery | None = None,
        max_unhandled: int = LIMIT,
        server: JID | None = None,
    ) -> None:
        self._max_unhandled = max_unhandled
        self.home: Home = Home()
        """The thread of the stream."""
        self.server = server
        """The server of a component, which is asked for signs of life; None if we are a client."""
        self._journal = journal
        self.session: SessionState = session or self._new_session()
        self.link: Link | None = None
        self.undelivered: tuple[StanzaToken, ...] = ()
        """The tokens of the stanzas that were not delivered when the last session ended."""
        self.router: Router = Router(local_jid, self.start_handler, logger, None if server is None else local_jid)
        self.liveness = liveness
        self.alarm: Alarm = Alarm()
        self._tally = Tally(self.router.losses)
        self.on_failure: Signal[Exception] = Signal(logger=logger)
        self.on_stream_destroyed: Signal[Exception] = Signal(logger=logger)
        self.on_stream_established: Signal[()] = Signal(logger=logger)
        self.link_changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        """Tasks wait here for a link to begin or to end, or for the session to be over."""
        self._ack_after = ack_after
        self._logger = logger
        self._handlers = nursery

    @property
    def running(self) -> bool:
        """Whether there is a link."""
        return self.link is not None

    def counts(self) -> StreamCounts:
        """Return the counts of all links and sessions so far."""
        return self._tally.now(self.session, None if self.link is None else self.link.xmlstream)

    # --- where handlers run

    @contextmanager
    def handlers_in(self, nursery: trio.Nursery) -> Iterator[None]:
        """While the block runs, async handlers of requests are tasks of `nursery`."""
        before, self._handlers = self._handlers, nursery
        try:
            yield
        finally:
            self._handlers = before

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """A block with a nursery for handlers, at whose end the stream is closed."""
        with bare() as inside:
            async with trio.open_nursery() as nursery:
                with self.handlers_in(nursery):
                    try:
                        with inside:
                            yield
                    except BaseException:
                        with trio.CancelScope(shield=True):
                            await self.close(CLOSE_GRACE, flush=True)
                        raise
                    else:
                        await self.aclose()
                    finally:
                        nursery.cancel_scope.cancel(reason="the block of the stanza stream was left")

    def start_handler(self, function: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start a handler, which outlives the link. RuntimeError if there is no nursery for it."""
        if self._handlers is None:
            raise RuntimeError(
                "an async handler needs a nursery: run the stream in its block (async with stream), or give it one "
                "(StanzaStream(..., nursery=nursery))"
            )
        self._handlers.start_soon(function, *args)

    # --- links

    async def run(self, xmlstream: XmlStream, started: Callable[[], None], managed: sm.Enabled | None = None) -> None:
        """Run a session on a bound XML stream, and raise what made the link fail."""
        await self._run(self.bound(xmlstream, managed), started)

    async def resume(
        self, xmlstream: XmlStream, started: Callable[[], None], answer: xml.Element | None = None
    ) -> None:
        """Go on with the session on an XML stream that is not bound, and raise what made the link fail."""
        try:
            link = await self.resumed(xmlstream, answer)
        except ResumptionRefused as refusal:
            self.destroy(refusal, unacked=refusal.unacked)
            raise
        if link is not None:
            await self._run(link, started)

    async def _run(self, link: Link, started: Callable[[], None]) -> None:
        await self.live(link, started=started)
        if link.cause is not None:
            raise link.cause

    def bound(self, xmlstream: XmlStream, managed: sm.Enabled | None = None) -> Link:
        """Attach an XML stream that is bound: of a new session, or of an unmanaged one that has not begun."""
        self._check_idle()
        if self.session.sm is not None:
            # Bound afresh: what the server knew of the old session is of no use any more.
            self.destroy(ConnectionError("a new session was started in place of the old one"))
        if self.session.ended is not None:
            self.session = self._new_session()
        if managed is not None:
            self.session.manage(sm.StreamManagement(managed))
        link = self._attach(xmlstream)
        if not self.session.established:
            self.session.established = True
            self.on_stream_established.emit()
        return link

    async def resumed(self, xmlstream: XmlStream, answer: xml.Element | None = None) -> Link | None:
        """Attach an XML stream on which the server goes on with the session; None if stopped or closed meanwhile.

        Raises ResumptionRefused if the server refuses: then the session is to be destroyed. Any other exception leaves
        the session as it was.
        """
        if self.session.sm is None:
            raise RuntimeError("stream management is not enabled: there is nothing to resume")
        if not self.session.resumable:
            raise RuntimeError("the server does not let this session be resumed")
        self._check_idle()
        link = self._attach(xmlstream)
        try:
            with link.doing():
                await negotiate_resumption(self.session, xmlstream, answer)
        except BaseException:
            self._detach(link)
            raise
        if link.over:
            xmlstream.closed = True  # in the middle of something: of no use any more
            await self._end(link, _ignore)
            return None
        return link

    async def live(
        self,
        link: Link,
        *,
        started: Callable[[], None] = _ignore,
        ending: Callable[[Exception], object] = _ignore,
    ) -> None:
        """Run the three tasks of a link until it ends, and do what its end means; `link.cause` tells why it failed.

        `started` is called when they run. `ending` is called with the reason if the session ends with the link, before
        any task learns of that. Cancelling is stopping.
        """

        def ask() -> None:
            """Have the server say something."""
            if link.session.sm is not None:
                link.control.send_nowait(Control.WANT_ACK)
            else:
                link.control.send_nowait(Control.PING, link.session.pings.request(self.router.local_jid, self.server))

        def speak() -> None:
            """Say something: white space, where that is no element (RFC 6120 §4.6.1, RFC 7395 §3.7)."""
            if link.xmlstream.transport.is_message_based:
                ask()
            else:
                link.control.send_nowait(Control.KEEPALIVE)

        self._tally.link_begins()
        writer = Writer(link, self.router, self._ack_after, ask, self._logger)
        reader = Reader(link, self.router, writer, self._logger)
        watchdog = Watchdog(link.xmlstream, self.liveness, self.alarm, ask, speak)

        def begun() -> None:
            started()
            self.link_changed.unpark_all()

        try:
            await link.run(reader.run, writer.run, watchdog.run, begun)
        finally:
            with trio.CancelScope(shield=True):
                await self._end(link, ending)

    def stop(self) -> None:
        """End the link, if there is one."""
        self.home.check()
        if self.link is not None:
            self.link.stop()

    async def wait_ended(self) -> None:
        """Wait until there is no link. Cancelling stops the waiting."""
        if self.link is None:
            await trio.lowlevel.checkpoint()
        else:
            await self._wait_ended(self.link)

    async def _wait_ended(self, link: Link) -> None:
        while self.link is link:
            await self.link_changed.park()

    # --- stream management

    async def start_sm(self, resume: bool, max: int | None) -> None:
        """Negotiate stream management on the running stream."""
        await self.ask_for_sm(resume, max).wait()

    def ask_for_sm(self, resume: bool, max: int | None, *, ahead: bool = False) -> SMNegotiation:
        """Ask the server to manage the running stream; return what tells of the answer. `ahead`: see `Link`."""
        if self.link is None or self.link.state is not LIVE:
            raise RuntimeError("the stream is not running")
        if self.session.sm is not None:
            raise RuntimeError("stream management is already enabled")
        return self.link.enable_sm(sm.enable(resume=resume and max != 0, max=max), ahead=ahead)

    def stop_sm(self) -> None:
        """Forget about stream management, and so about the session."""
        self.home.check()
        if self.running:
            raise RuntimeError("stream management cannot be stopped while the stream is running")
        if self.session.sm is None:
            raise RuntimeError("stream management is not enabled")
        self.destroy(ConnectionError("stream management disabled"))

    # --- ends

    async def aclose(self) -> None:
        """End link and session, properly if possible, soon if cancelled."""
        try:
            await self.close(CLOSE_TIMEOUT)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self.close(CLOSE_GRACE)
            raise

    async def close(self, patience: float, *, flush: bool = False) -> None:
        """Like `aclose`, in `patience` seconds and a second for closing the transport. Cancelling gives up at once.

        With `flush` what is queued is written first, in three quarters of that time at most.
        """
        link = self.link
        if link is not None:
            began = trio.current_time()
            if flush and link.state is LIVE:
                with trio.move_on_after(patience * FLUSH_SHARE):
                    await link.session.outgoing.wait_drained()
            link.close()
            with trio.move_on_at(began + patience) as limit:
                await self._wait_ended(link)
            if limit.cancelled_caught:
                link.stop()
                await self._wait_ended(link)
        if not self.running and self.session.ended is None:
            # There was no link, or it was just ending in a way that leaves the session alive.
            self.destroy(DestructionRequested("close() called"))
            self.session = closed_session()
        if link is None:
            await trio.lowlevel.checkpoint()

    def abandon(self, reason: Exception) -> None:
        """End the session for good because of `reason`; there is no link on which it could be closed."""
        self.destroy(reason)
        self.session = SessionState(ended=reason)

    def destroy(self, reason: Exception, *, unacked: StanzaState = StanzaState.SENT_WITHOUT_SM) -> None:
        """End the session; a new one takes its place."""
        session, self.session = self.session, self._new_session()
        self._tally.session_ends(session)
        undelivered = session.undelivered()
        session.end(reason, unacked=unacked)
        if session.established or undelivered:
            self.undelivered = tuple(undelivered)
        if session.established:
            self.on_stream_destroyed.emit(reason)
        self.link_changed.unpark_all()

    def _new_session(self) -> SessionState:
        return SessionState(journal=self._journal, unconfirmed=None if self.server is None else Unconfirmed())

    def _check_idle(self) -> None:
        if self.link is not None:
            raise RuntimeError("the stream is already running")

    def _attach(self, xmlstream: XmlStream) -> Link:
        self.home.enter()
        max_bytes = None if xmlstream.limits is None else xmlstream.limits.max_bytes
        self.session.begins_link(self.home, max_bytes, self._max_unhandled)
        self.link = Link(self.session, xmlstream, self._logger)
        return self.link

    def _detach(self, link: Link) -> None:
        self.link = None
        self._tally.link_ends(link.xmlstream)
        self.link_changed.unpark_all()

    async def _end(self, link: Link, ending: Callable[[Exception], object]) -> None:
        """Do what `END_OF_RUN` says. Takes a second or two at most: every farewell is bounded."""
        cause, xmlstream, ended_by = link.cause, link.xmlstream, link.ended_by
        management = Management.of(link.session)
        effect = END_OF_RUN[ended_by, management]
        try:
            if effect.destroy:
                text = (
                    "stop() called, and the stream is not resumable" if ended_by is EndedBy.STOP else "close() called"
                )
                reason = DestructionRequested(text) if cause is None else cause
                if xmlstream.footer_received and link.session.outgoing.unconfirmed is not None:
                    link.session.outgoing.unconfirmed.clear()
                ending(reason)
                self.destroy(reason)
                if ended_by is EndedBy.CLOSE:
                    self.session = closed_session()
            if ended_by is EndedBy.FAILURE:
                ours = cause if isinstance(cause, StreamError) and cause.by_us else None
                # Our footer would end a session that can be resumed, unless it answers the server's (RFC 6120 §4.4).
                unwanted = management is Management.RESUMABLE and ours is None and not xmlstream.footer_received
                hopeless = isinstance(cause, StreamTimeout) or unwanted
                if not hopeless:
                    await xmlstream.say_goodbye(ours)
            if ended_by is EndedBy.CLOSE and xmlstream.footer_received:
                await xmlstream.close_gracefully()
            elif ended_by is not EndedBy.STOP or xmlstream.closed:
                await xmlstream.aclose()
        finally:
            self._detach(link)  # in any case: tasks wait for it
        if effect.report:
            assert cause is not None
            self._logger.info("the stream has failed: %s", cause)
            self.on_failure.emit(cause)
