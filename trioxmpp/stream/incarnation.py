"""One XML stream's worth of a session: reader, writer and watchdog, and how they end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from .. import xml
from ..errors import StreamNegotiationFailure
from ..protocol import sm
from .bare import bare
from .session import Session
from .xmlstream import XmlStream

__all__ = ["Incarnation", "SMNegotiation"]

logger = logging.getLogger(__name__)

Task = Callable[[], Awaitable[None]]


class SMNegotiation:
    """The time between ``<enable/>`` and its answer."""

    def __init__(self) -> None:
        self._settled = trio.Event()
        self._error: Exception | None = None

    async def wait(self) -> None:
        """Wait for the answer; raise the reason if it is not the one that we want."""
        await self._settled.wait()
        if self._error is not None:
            raise self._error

    def settle(self, error: Exception | None = None) -> None:
        """The answer is here, or never will be."""
        if not self._settled.is_set():
            self._error = error
            self._settled.set()


class Incarnation:
    """A session while it has a link.

    None of its tasks raises into the nursery: the first failure becomes `cause` and ends the others, so that there is
    never more than one exception to report.
    """

    def __init__(self, session: Session, xmlstream: XmlStream) -> None:
        self.session = session
        self.xmlstream = xmlstream
        self.negotiation_scope = trio.CancelScope()
        self.scope = trio.CancelScope()
        self.cause: Exception | None = None
        """Why it ended, if nobody had stopped or closed it before."""
        self.stopped = False
        """Somebody called stop(): nothing more is written, nothing more is processed."""
        self.over = False
        """It was stopped, or has failed: nothing of a stanza may be written any more."""
        self.closing = False
        """The stream is being closed properly."""
        self.gave_up = False
        """The server did not close its side in time."""
        self.live = False
        """Whether its tasks are running: it has got beyond its negotiation, and has not ended."""
        self.ended = trio.Event()
        self._sm_negotiation: SMNegotiation | None = None

    async def run(self, reader: Task, writer: Task, watchdog: Task, started: Callable[[], None]) -> None:
        """Run the three tasks until one of them ends the incarnation."""
        self.live = True
        self.session.outbox.new_link()
        goodbyes = trio.Event()

        async def read() -> None:
            try:
                await reader()
            except Exception as exc:
                if not self.closing:
                    raise
                logger.debug("ignored, since the stream is being closed: %r", exc)
            await goodbyes.wait()
            self.scope.cancel(reason="both sides have closed the stream")

        async def write() -> None:
            await writer()
            goodbyes.set()

        try:
            with bare(), self.scope:
                async with trio.open_nursery() as nursery:
                    for task in (read, write, watchdog):
                        nursery.start_soon(self._guarded, task)
                    started()
        finally:
            self.live = False
            self._sm_ended()

    async def _guarded(self, task: Task) -> None:
        try:
            await task()
        except Exception as exc:
            self.fail(exc)

    def fail(self, cause: Exception) -> None:
        """End because of `cause`. The first one counts, and none that comes after stop() or close()."""
        if self.cause is None and not self.stopped and not self.closing:
            self.cause = cause
            self.over = True
        self.scope.cancel(reason=f"the stream has failed: {cause}")

    def stop(self) -> None:
        """End, at once and quietly."""
        self.stopped = self.over = True
        self._cancel("stop() was called")

    def give_up(self) -> None:
        """End, though the server has not closed its side."""
        self.gave_up = True
        self._cancel("the server did not close its side of the stream in time")

    def _cancel(self, reason: str) -> None:
        self.negotiation_scope.cancel(reason=reason)
        self.scope.cancel(reason=reason)

    def close(self) -> None:
        """Write a last ack and the footer, wait for the server's footer, and end."""
        self.closing = True
        if self.live:
            self.session.outbox.footer = True
            self.session.outbox.wake()
        else:
            self.negotiation_scope.cancel(reason="close() was called")

    def enable_sm(self, request: str) -> SMNegotiation:
        """Ask the server to manage the stream. RuntimeError if we are asking already."""
        if self._sm_negotiation is not None:
            raise RuntimeError("stream management is being negotiated already")
        self._sm_negotiation = SMNegotiation()
        self.session.outbox.enable = request
        self.session.outbox.wake()
        return self._sm_negotiation

    def sm_enabled(self, element: xml.Element) -> None:
        """The server agreed. The next element of the same segment is counted already (XEP-0198 §3)."""
        negotiation = self._take_negotiation()
        if negotiation is not None:
            self.session.sm = sm.StreamManagement(sm.parse_enabled(element))
            negotiation.settle()

    def sm_failed(self, element: xml.Element) -> None:
        """The server refused."""
        negotiation = self._take_negotiation()
        if negotiation is not None:
            failed = sm.parse_failed(element)
            negotiation.settle(StreamNegotiationFailure(f"stream management was refused: {failed.condition}"))

    def _take_negotiation(self) -> SMNegotiation | None:
        negotiation, self._sm_negotiation = self._sm_negotiation, None
        if negotiation is None:
            logger.warning("the server answers a request for stream management that we did not make")
        else:
            self.session.outbox.gated = False
            self.session.outbox.wake()
        return negotiation

    def _sm_ended(self) -> None:
        negotiation, self._sm_negotiation = self._sm_negotiation, None
        if negotiation is not None:
            negotiation.settle(self.cause or ConnectionError("the stream was stopped"))
