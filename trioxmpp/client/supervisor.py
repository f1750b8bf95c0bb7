"""Keeps a stanza stream connected: dials, resumes or binds, and does it again when the link breaks."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from ..errors import SessionLost, StreamNegotiationFailure
from ..protocol.features import StreamFeatures
from ..protocol.sm import Enable, Enabled, Failed
from ..stream.bare import bare
from ..stream.negotiate import bind
from ..stream.resumption import ResumptionRefused
from ..stream.sasl2 import Wish
from ..stream.xmlstream import XmlStream
from .client import Client
from .dial import Dialler
from .events import Destroyed, Established, Event, Resumed
from .forgetting import forget_token
from .policy import Cause, GiveUp, ReconnectPolicy, SMPolicy
from .repair import Repair
from .store.recorder import Recorder

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

#: With a store, messages that nobody wants yet wait for somebody for so many seconds from the first link on.
CLAIM_TIME = 60.0

Start = Callable[..., Awaitable[None]]


class _Status:
    """Passes on that something has started, and remembers it."""

    def __init__(self, status: trio.TaskStatus[None]) -> None:
        self._status = status
        self.has_started = False

    def started(self, value: Any = None) -> None:
        self.has_started = True
        self._status.started()


class Supervisor:
    """The background task of `connect`. Whatever ends it for good, it raises."""

    def __init__(
        self,
        client: Client,
        dialler: Dialler,
        sm: SMPolicy | None,
        reconnect: ReconnectPolicy | None,
        recorder: Recorder | None = None,
    ) -> None:
        self._client = client
        self._stream = client.stream
        self._dialler = dialler
        self._sm = sm
        self._reconnect = reconnect
        self._recorder = recorder
        self._destroyed: Destroyed | None = None
        self._repair = client._state.repair = Repair(dialler, reconnect)
        self._started: Callable[[], None] | None = None
        dialler.wish = self._wish
        client._state.forget_token = partial(forget_token, dialler)
        self._stream.on_stream_destroyed.connect(self._stream_destroyed)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report that there is a session when there is; end without an error when the client was closed."""
        self._started = task_status.started
        while True:
            cause = await self._one_link()
            if cause is None:
                return
            stuck = self._repair.stuck(self._stream, cause)
            if stuck is not None:
                self._stream._lifecycle.stop_sm(stuck)
            decision, was_linked = self._repair.failed(cause, is_first=self.is_first)
            lost = self._destroyed
            if was_linked and self._repair.suspended is not None:
                self._emit(self._repair.suspended)
            self._report_destroyed()
            if isinstance(decision, GiveUp):
                raise cause
            if lost is not None and self._ends_with_its_session:
                raise SessionLost(f"the session is lost: {cause}", lost.undelivered) from cause
            await self._repair.wait(decision)

    @property
    def is_first(self) -> bool:
        """Whether there never was a session: who connects is there to decide what to do."""
        return self._started is not None

    async def _one_link(self) -> Exception | None:
        """One attempt and the link that comes of it, if any: what ended it, or None if we did, for good."""
        with bare():
            async with trio.open_nursery() as nursery:  # where a WebSocket lives, and lets nothing out
                try:
                    ended_with = await self._linked(nursery)
                finally:
                    nursery.cancel_scope.cancel(reason="the link has ended")
        return ended_with

    async def _linked(self, nursery: trio.Nursery) -> Exception | None:
        try:
            xmlstream, features = await self._repair.dial(nursery, self._location())
        except ConnectionError as exc:
            return exc
        try:
            return await self._on(xmlstream, features)
        except ConnectionError as exc:
            return exc
        finally:
            with trio.CancelScope(shield=True):
                await xmlstream.aclose()

    def _location(self) -> tuple[str, int | None] | None:
        """Where the server prefers us to resume, if there is something to resume."""
        return self._stream.sm_location if self._stream.sm_enabled else None

    async def _wish(self) -> Wish:
        """What is to come of the next login, if the server can do it in the same breath."""
        policy = self._sm
        resume = policy is not None and policy.resume and policy.max != 0
        return Wish(
            resume=await self._stream._lifecycle.resumption(),
            bind=self._dialler.resource is None,
            enable=None if policy is None else Enable(resume=resume, max=policy.max if resume else None),
            carbons=self._client._desired.carbons,
            inactive=not self._client._desired.active,
        )

    async def _on(self, xmlstream: XmlStream, features: StreamFeatures) -> Exception | None:
        """Resume or bind, and live."""
        settled = features.settled
        if settled.resumed and not self._stream.sm_enabled:
            return ConnectionAbortedError("the session was given up while it was being resumed")
        if self._stream.sm_enabled:
            try:
                if settled.resumption is not None or (features.sm and settled.jid is None):
                    resume = partial(self._stream.resume, answer=settled.resumption)
                    return await self._incarnation(resume, xmlstream, partial(self._resumed, features))
                self._stream.stop_sm()
            except ResumptionRefused as refusal:
                if xmlstream.closed or self._ends_with_its_session:
                    return refusal
            if self._recorder is not None and self.is_first:
                self._recorder.not_resumed()
            if self._ends_with_its_session:
                return StreamNegotiationFailure("the server does not offer stream management any more")
        jid = settled.jid
        if jid is None:
            jid = await self._dialler.within_deadline(bind, xmlstream, features, self._dialler.resource)
        self._client._jid = jid
        self._stream.local_jid = jid.bare
        if self._recorder is not None:
            self._recorder.jid = jid
        self._report_destroyed()

        async def bound() -> None:
            await self._enable_sm(features)
            if self._recorder is not None:
                await self._recorder.established()
            self._client._desired.begins(features)
            self._established()

        managed = settled.managed if isinstance(settled.managed, Enabled) else None
        return await self._incarnation(partial(self._stream.run, managed=managed), xmlstream, bound)

    async def _incarnation(
        self, start: Start, xmlstream: XmlStream, ready: Callable[[], Awaitable[None]]
    ) -> Exception | None:
        """Let the stream live on `xmlstream`; call `ready` when it does. What `start` raises before that is raised."""
        ended_with: Exception | None = None

        async def live(*, task_status: trio.TaskStatus[None]) -> None:
            nonlocal ended_with
            status = _Status(task_status)
            try:
                await start(xmlstream, task_status=status)
            except Exception as exc:
                if not status.has_started:
                    raise
                ended_with = exc

        with bare():
            async with trio.open_nursery() as nursery:
                await self._dialler.within_deadline(nursery.start, live)
                try:
                    await ready()
                except ConnectionError as exc:  # before it could be used; if it broke, `live` knows why
                    self._stream.stop()
                    failure = exc
                else:
                    failure = ConnectionAbortedError("the stream was stopped")
        if ended_with is None and self._stream._session.ended is not None:
            return None  # it was closed
        return ended_with or failure

    async def _enable_sm(self, features: StreamFeatures) -> None:
        answer = features.settled.managed
        if isinstance(answer, Failed):
            logger.warning("going on without stream management: it was refused: %s", answer.condition)
        if self._sm is None or not features.sm or answer is not None:
            return
        try:
            await self._dialler.within_deadline(self._start_sm, self._sm)
        except StreamNegotiationFailure as exc:
            logger.warning("going on without stream management: %s", exc)

    async def _start_sm(self, policy: SMPolicy) -> None:
        await self._stream.start_sm(resume=policy.resume, max=policy.max)

    def _established(self) -> None:
        self._repair.linked(self._stream, resumed=False)
        self._client._state.set_ready(True)
        self._emit(Established(self._client.jid))
        self._reconcile()
        self._report_started()

    def _report_started(self) -> None:
        if self._started is not None:
            if self._recorder is not None:
                self._stream._lifecycle.start_handler(self._let_go)
            self._started()
            self._started = None

    def _reconcile(self) -> None:
        """If some of what was posted is in doubt, ask for it."""
        if self._recorder is not None and self._recorder.questioning:
            from .reconciling import reconcile  # few need it

            self._stream._lifecycle.start_handler(reconcile, self._client, self._recorder)

    async def _let_go(self) -> None:
        await trio.sleep(CLAIM_TIME)
        self._client.messages.let_go()

    async def _resumed(self, features: StreamFeatures) -> None:
        self._repair.linked(self._stream, resumed=True)
        self._client._desired.resumed(features, of_another=self.is_first)
        if self._recorder is not None and self.is_first:  # it is the session of another process
            self._client._jid = self._recorder.jid
            self._client._state.set_ready(True)
            self._reconcile()
        if self._recorder is not None:
            await self._recorder.logged_in()
        self._emit(Resumed())
        self._report_started()
        await trio.lowlevel.checkpoint()

    def _stream_destroyed(self, reason: Exception) -> None:
        if self._client._state.ready:  # it has been told of
            self._client._state.set_ready(False)
            self._destroyed = Destroyed(reason, self._stream.undelivered)

    @property
    def _ends_with_its_session(self) -> bool:
        # If it is that of a process which is gone, who connects may as well have a new one.
        return not self.is_first and self._cannot_renew

    @property
    def _cannot_renew(self) -> bool:
        return self._reconnect is None or not self._reconnect.renew

    def is_fatal(self, cause: Exception) -> bool:
        """Whether the end of a session for this reason is the end of the client."""
        return self._ends_with_its_session or Cause.of(cause).is_hopeless

    def abandon(self, cause: Exception) -> None:
        """There will be no link any more: tell whoever waits for something of the session, and that it is over."""
        self._stream._lifecycle.abandon(cause)
        self._report_destroyed()

    def _report_destroyed(self) -> None:
        """Tell, after Suspended, that the session is over."""
        if self._destroyed is not None:
            event, self._destroyed = self._destroyed, None
            self._emit(event)

    def _emit(self, event: Event) -> None:
        logger.info("%s: %s", self._client._jid, event)
        self._client.on_event.emit(event)
