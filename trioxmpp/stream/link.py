"""One XML stream's worth of a session: its control channel, its three tasks, and how they end.

State that a broken link must not leave behind is an attribute of a `Link`, or a local of one of its tasks. So there is
nothing to reset when a session goes on: its next link is a new object, and a new cancel scope.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from .. import xml
from ..errors import StreamNegotiationFailure
from ..protocol import sm
from .bare import bare
from .outbound.channels import Control, ControlChannel
from .session import SessionState
from .xmlstream import XmlStream

__all__ = ["Link", "SMNegotiation"]

_logger = logging.getLogger(__name__)

Task = Callable[[], Awaitable[None]]


class SMNegotiation:
    """The time between ``<enable/>`` and its answer."""

    def __init__(self) -> None:
        self._settled = trio.Event()
        self._error: Exception | None = None

    async def wait(self) -> None:
        """Wait until the server has agreed. Raises the reason if it refused, or if the link ended first."""
        await self._settled.wait()
        if self._error is not None:
            raise self._error

    def settle(self, error: Exception | None = None) -> None:
        """The answer is here, or will never come. The first call counts."""
        if not self._settled.is_set():
            self._error = error
            self._settled.set()


class Link:
    """A session while it has an XML stream.

    None of its tasks raises into the nursery: the first failure becomes `cause` and ends the others, so that there is
    never more than one exception to report.
    """

    def __init__(self, session: SessionState, xmlstream: XmlStream, logger: logging.Logger = _logger) -> None:
        self._logger = logger
        self.session = session
        self.xmlstream = xmlstream
        self.control: ControlChannel = ControlChannel(session.doorbell)
        self.negotiation_scope: trio.CancelScope = trio.CancelScope()
        self.cause: Exception | None = None
        """Why the link ended, if it was neither stopped nor closed before."""
        self.stopped: bool = False
        """stop() was called: nothing more is written, nothing more is processed."""
        self.closing: bool = False
        """The stream is being closed properly."""
        self.gave_up: bool = False
        """The server did not close its side in time."""
        self.live: bool = False
        """Whether the three tasks are running."""
        self.ended: trio.Event = trio.Event()
        self._scope = trio.CancelScope()
        self._sm_negotiation: SMNegotiation | None = None

    @property
    def over(self) -> bool:
        """Whether nothing of a stanza may be written any more."""
        return self.stopped or self.cause is not None

    async def run(self, reader: Task, writer: Task, watchdog: Task, started: Callable[[], None]) -> None:
        """Run the three tasks until one of them ends the link. Cancelling ends it."""
        self.live = True
        footers = trio.Event()

        async def read() -> None:
            try:
                await reader()
            except Exception as exc:
                if not self.closing:
                    raise
                self._logger.debug("ignored, since the stream is being closed: %r", exc)
            await footers.wait()
            self._scope.cancel(reason="both sides have closed the stream")

        async def write() -> None:
            await writer()
            footers.set()

        try:
            with bare(), self._scope:
                async with trio.open_nursery() as nursery:
                    for task in (read, write, watchdog):
                        nursery.start_soon(self._guarded, task)
                    started()
        finally:
            self.live = False
            self._end_sm_negotiation()

    async def _guarded(self, task: Task) -> None:
        try:
            await task()
        except Exception as exc:
            self.fail(exc)

    @property
    def cause_of_end(self) -> Exception | None:
        """Why the link ended; None if the stream was closed."""
        if self.cause is None and not self.closing:
            return ConnectionAbortedError("the stream was stopped")
        return self.cause

    def fail(self, cause: Exception) -> None:
        """End because of `cause`. The first cause counts, and none that comes after stop() or close()."""
        if self.cause is None and not self.stopped and not self.closing:
            self.cause = cause
        self._scope.cancel(reason=f"the stream has failed: {cause}")

    def stop(self) -> None:
        """End, at once and quietly."""
        self.stopped = True
        self._cancel("stop() was called")

    def give_up(self) -> None:
        """End, though the server has not closed its side."""
        self.gave_up = True
        self._cancel("the server did not close its side of the stream in time")

    def _cancel(self, reason: str) -> None:
        self.negotiation_scope.cancel(reason=reason)
        self._scope.cancel(reason=reason)

    def close(self) -> None:
        """Write a last ack and the footer, wait for the server's footer, and end."""
        self.closing = True
        if self.live:
            self.control.send_nowait(Control.FOOTER)
        else:
            self.negotiation_scope.cancel(reason="close() was called")

    def enable_sm(self, request: str) -> SMNegotiation:
        """Ask the server to manage the stream. RuntimeError if that is being negotiated already."""
        if self._sm_negotiation is not None:
            raise RuntimeError("stream management is being negotiated already")
        self._sm_negotiation = SMNegotiation()
        self.control.send_nowait(Control.ENABLE, request)
        return self._sm_negotiation

    def sm_enabled(self, element: xml.Element) -> None:
        """The server agreed. The next element of the same segment is counted already (XEP-0198 §3)."""
        negotiation = self._answered()
        if negotiation is not None:
            self.session.sm = sm.StreamManagement(sm.parse_enabled(element))
            negotiation.settle()

    def sm_failed(self, element: xml.Element) -> None:
        """The server refused."""
        negotiation = self._answered()
        if negotiation is not None:
            failed = sm.parse_failed(element)
            negotiation.settle(StreamNegotiationFailure(f"stream management was refused: {failed.condition}"))

    def _answered(self) -> SMNegotiation | None:
        negotiation, self._sm_negotiation = self._sm_negotiation, None
        if negotiation is None:
            self._logger.warning("the server answers a request for stream management that we did not make")
        else:
            self.control.send_nowait(Control.ANSWERED)
        return negotiation

    def _end_sm_negotiation(self) -> None:
        negotiation, self._sm_negotiation = self._sm_negotiation, None
        if negotiation is not None:
            negotiation.settle(self.cause or ConnectionError("the stream was stopped"))
