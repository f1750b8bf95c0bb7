"""One XML stream's worth of a session: its control channel, its three tasks, and how they end.

State that a broken link must not leave behind is an attribute of a `Link`, or a local of one of its tasks. So there is
nothing to reset when a session goes on: its next link is a new object, and a new cancel scope.

A link has one `state` at a time, and goes through the states in one direction::

    BEGUN -> LIVE -> CLOSING -> STOPPED        close(), and the server closes its side, or is too slow
                  -> FAILED                    a task failed, or the watchdog gave up
       ...        -> STOPPED                   stop(), at any time

`end` is what brought it there: the first event counts, whatever the tasks raise while they end.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio

from .. import xml
from ..errors import StreamNegotiationFailure
from ..protocol import sm
from .bare import bare
from .outbound.channels import Control, ControlChannel
from .session import SessionState
from .xmlstream import XmlStream

__all__ = ["CLOSING", "LIVE", "OVER", "STOPPED", "EndedBy", "Link", "LinkState", "SMNegotiation"]

_logger = logging.getLogger(__name__)

Task = Callable[[], Awaitable[None]]


class LinkState(enum.Enum):
    """The states of a link, by what it may do."""

    # There is one of each, and the hash of its name, which is the default, costs much more.
    if not TYPE_CHECKING:  # checkers take an alias for a field
        __hash__ = object.__hash__

    BEGUN = "its tasks do not run yet; a resumption may be negotiated on it"
    LIVE = "reader, writer and watchdog run"
    CLOSING = "they run, but no stanza is written any more: our footer is, and that of the server is awaited"
    FAILED = "nothing is written any more; what was read before is still processed"
    STOPPED = "nothing is written or processed any more"


#: The usual ones. Before Python 3.12 it takes five times as long to look up a member of an enum as a global name.
LIVE: Final = LinkState.LIVE
CLOSING: Final = LinkState.CLOSING
STOPPED: Final = LinkState.STOPPED

#: The states in which nothing of a stanza may be written any more.
OVER: Final = frozenset({LinkState.FAILED, LinkState.STOPPED})


class EndedBy(enum.Enum):
    """The event that ended a link."""

    STOP = "stop() was called"
    FAILURE = "the stream failed"
    CLOSE = "close() was called"


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
        self.state: LinkState = LinkState.BEGUN
        self.end: EndedBy | Exception | None = None
        """The first event that ends the link, or began to: for a failure, its cause."""
        self._scope: trio.CancelScope | None = None
        """That of what the link does: of the negotiation of a resumption, and then of its tasks."""
        self._sm_negotiation: SMNegotiation | None = None

    @property
    def over(self) -> bool:
        """Whether nothing of a stanza may be written any more."""
        return self.state in OVER

    @property
    def cause(self) -> Exception | None:
        """Why the link failed; None if it was neither stopped nor closed before."""
        return self.end if isinstance(self.end, Exception) else None

    @property
    def ended_by(self) -> EndedBy:
        """The event that ended the link. A task that cancels `run` stops it."""
        if isinstance(self.end, Exception):
            return EndedBy.FAILURE
        return self.end or EndedBy.STOP

    @property
    def cause_of_end(self) -> Exception | None:
        """Why the link ended; None if the stream was closed."""
        if self.ended_by is EndedBy.STOP:
            return ConnectionAbortedError("the stream was stopped")
        return self.cause

    # --- what the link does

    @contextmanager
    def doing(self) -> Iterator[None]:
        """A block that the end of the link cancels, at once if it has ended already."""
        with trio.CancelScope() as self._scope:
            if self.over:
                self._cancel("the stream has ended")
            yield

    async def run(self, reader: Task, writer: Task, watchdog: Task, started: Callable[[], None]) -> None:
        """Run the three tasks until one of them ends the link. Cancelling ends it."""
        footer = trio.Event()
        if not self.over:
            self.state = LIVE
        try:
            with bare():
                async with trio.open_nursery() as nursery:
                    self._scope = nursery.cancel_scope
                    if self.over:
                        self._cancel("the stream has ended")
                    nursery.start_soon(self._read, reader, footer)
                    nursery.start_soon(self._write, writer, footer)
                    nursery.start_soon(self._watch, watchdog)
                    started()
        finally:
            self.stop()
            self._end_sm_negotiation()

    async def _read(self, reader: Task, footer: trio.Event) -> None:
        try:
            await reader()
        except Exception as exc:
            if self.end is not EndedBy.CLOSE:
                self.fail(exc)
                return
            self._logger.debug("ignored, since the stream is being closed: %r", exc)
        await footer.wait()
        self._cancel("both sides have closed the stream")

    async def _write(self, writer: Task, footer: trio.Event) -> None:
        try:
            await writer()
            footer.set()
        except Exception as exc:
            self.fail(exc)

    async def _watch(self, watchdog: Task) -> None:
        try:
            await watchdog()
        except Exception as exc:
            self.fail(exc)

    # --- its end

    def fail(self, cause: Exception) -> None:
        """End because of `cause`, unless the link is ending already."""
        if self.end is None:
            self.state, self.end = LinkState.FAILED, cause
        self._cancel(f"the stream has failed: {cause}")

    def stop(self) -> None:
        """End, at once and quietly."""
        self.state, self.end = STOPPED, self.end or EndedBy.STOP
        self._cancel("stop() was called")

    def close(self) -> None:
        """Write a last ack and the footer, wait for the server's footer, and end."""
        was_live = self.state is LIVE
        self.end = self.end or EndedBy.CLOSE
        if was_live:
            self.state = CLOSING
            self.control.send_nowait(Control.FOOTER)
        elif self.state is LinkState.BEGUN:
            self.stop()

    def _cancel(self, reason: str) -> None:
        if self._scope is not None:
            self._scope.cancel(reason=reason)

    # --- stream management

    def enable_sm(self, request: str, *, ahead: bool = False) -> SMNegotiation:
        """Ask the server to manage the stream. RuntimeError if that is being negotiated already.

        No stanza is written before the answer is here. With `ahead` stanzas go on, and count if the server agrees.
        """
        if self._sm_negotiation is not None:
            raise RuntimeError("stream management is being negotiated already")
        self._sm_negotiation = SMNegotiation()
        self.control.send_nowait(Control.ENABLE_AHEAD if ahead else Control.ENABLE, request)
        return self._sm_negotiation

    def sm_enabled(self, element: xml.Element) -> None:
        """The server agreed. The next element of the same segment is counted already (XEP-0198 §3)."""
        negotiation = self._answered()
        if negotiation is not None:
            self.session.answered(sm.parse_enabled(element))
            negotiation.settle()

    def sm_failed(self, element: xml.Element) -> None:
        """The server refused."""
        negotiation = self._answered()
        if negotiation is not None:
            failed = sm.parse_failed(element)
            self.session.answered(None)
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
