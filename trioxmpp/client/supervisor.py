"""Keeps a stanza stream connected: dials, resumes or binds, and does it again when the link breaks."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ..errors import (
    AuthenticationFailure,
    DestructionRequested,
    SessionLost,
    StreamCondition,
    StreamError,
    StreamNegotiationFailure,
)
from ..protocol.features import StreamFeatures
from ..stream.bare import bare
from ..stream.negotiate import bind
from ..stream.resumption import ResumptionRefused
from ..stream.xmlstream import XmlStream
from .client import Client
from .dial import Dialler
from .events import Destroyed, Established, Event, Resumed, Suspended
from .policy import ReconnectPolicy, SMPolicy

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

Start = Callable[..., Awaitable[None]]


class Supervisor:
    """The background task of `connect`. Whatever ends it for good, it raises."""

    def __init__(
        self, client: Client, dialler: Dialler, sm: SMPolicy | None, reconnect: ReconnectPolicy | None
    ) -> None:
        self._client = client
        self._stream = client.stream
        self._dialler = dialler
        self._sm = sm
        self._reconnect = reconnect
        self._destroyed: Exception | None = None
        self._started: Callable[[], None] | None = None
        self._stream.on_stream_destroyed.connect(self._stream_destroyed)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report that there is a session when there is; end without an error when the client was closed."""
        self._started = task_status.started
        delays = None if self._reconnect is None else self._reconnect.delays()
        while True:
            since = trio.current_time()
            cause = await self._one_link()
            if cause is None:
                return
            self._report_loss(cause)
            if self._reconnect is None or delays is None or _is_hopeless(cause):
                raise cause
            if self._destroyed is not None and not self._reconnect.renew:
                raise self._session_lost(cause)
            if trio.current_time() - since >= self._reconnect.stable:
                delays = self._reconnect.delays()
            delay = next(delays)
            logger.info("the link is broken (%s); next attempt in %.1f s", cause, delay)
            await trio.sleep(delay)

    async def _one_link(self) -> Exception | None:
        """One attempt and the link that comes of it, if any: what ended it, or None if we did."""
        try:
            xmlstream, features = await self._dialler.dial(self._location())
        except ConnectionError as exc:
            if self._started is not None:
                raise
            return exc
        try:
            return await self._on(xmlstream, features)
        finally:
            with trio.CancelScope(shield=True):
                await xmlstream.aclose()

    def _location(self) -> tuple[str, int | None] | None:
        """Where the server prefers us to resume, if there is something to resume."""
        return self._stream.sm_location if self._stream.sm_enabled else None

    async def _on(self, xmlstream: XmlStream, features: StreamFeatures) -> Exception | None:
        if self._stream.sm_enabled and not features.sm:
            self._stream.stop_sm()
        if self._stream.sm_enabled:
            try:
                return await self._incarnation(self._stream.resume, xmlstream, self._resumed)
            except ResumptionRefused as refusal:
                if xmlstream.closed:
                    return refusal
                if self._reconnect is not None and not self._reconnect.renew:
                    raise self._session_lost(refusal) from refusal
            except ConnectionError as exc:
                return exc
        try:
            jid = await self._dialler.within_deadline(bind, xmlstream, features, self._dialler.resource)
        except ConnectionError as exc:
            if self._started is not None or isinstance(exc, StreamNegotiationFailure):
                raise
            return exc
        self._client._jid = jid
        self._stream.local_jid = jid.bare
        self._report_destroyed()

        async def bound() -> None:
            await self._enable_sm(features)
            self._established()

        return await self._incarnation(self._stream.run, xmlstream, bound)

    async def _incarnation(
        self, start: Start, xmlstream: XmlStream, ready: Callable[[], Awaitable[None]]
    ) -> Exception | None:
        """Let the stream live on `xmlstream`; call `ready` when it does. What `start` raises before that is raised."""
        ended_with: Exception | None = None

        async def live(*, task_status: trio.TaskStatus[None]) -> None:
            nonlocal ended_with
            is_live = False

            class Status:
                def started(self, value: Any = None) -> None:
                    nonlocal is_live
                    is_live = True
                    task_status.started()

            try:
                await start(xmlstream, task_status=Status())
            except Exception as exc:
                if not is_live:
                    raise
                ended_with = exc

        with bare():
            async with trio.open_nursery() as nursery:
                await nursery.start(live)
                try:
                    await ready()
                except ConnectionError:
                    logger.debug("the link broke before it could be used")  # and `live` knows why
        return ended_with

    async def _enable_sm(self, features: StreamFeatures) -> None:
        if self._sm is None or not features.sm:
            return
        try:
            await self._stream.start_sm(resume=self._sm.resume, max=self._sm.max)
        except StreamNegotiationFailure as exc:
            logger.warning("going on without stream management: %s", exc)

    def _established(self) -> None:
        self._client._state.set_ready(True)
        self._emit(Established(self._client.jid))
        if self._started is not None:
            self._started()
            self._started = None

    async def _resumed(self) -> None:
        self._emit(Resumed())
        await trio.lowlevel.checkpoint()

    def _stream_destroyed(self, reason: Exception) -> None:
        self._client._state.set_ready(False)
        self._destroyed = reason

    def is_fatal(self, cause: Exception) -> bool:
        """Whether the end of a session for this reason is the end of the client."""
        if self._reconnect is None or not self._reconnect.renew:
            return True
        return _is_hopeless(cause)

    def _report_loss(self, cause: Exception) -> None:
        if self._client._state.ready or self._destroyed is not None:
            self._emit(Suspended(cause))
        self._report_destroyed()

    def _report_destroyed(self) -> None:
        """Tell, after Suspended, that the session is over."""
        if self._destroyed is not None:
            reason, self._destroyed = self._destroyed, None
            self._emit(Destroyed(reason, self._stream.undelivered))

    def _session_lost(self, cause: Exception) -> SessionLost:
        lost = SessionLost(f"the session is lost: {cause}", self._stream.undelivered)
        lost.__cause__ = cause
        return lost

    def _emit(self, event: Event) -> None:
        logger.info("%s: %s", self._client._jid, event)
        self._client.on_event.emit(event)


def _is_hopeless(cause: Exception) -> bool:
    """Whether trying again cannot help, or would only throw somebody else out."""
    if isinstance(cause, StreamError):
        return cause.condition is StreamCondition.CONFLICT
    return not isinstance(cause, ConnectionError) or isinstance(cause, (AuthenticationFailure, DestructionRequested))
