"""The stanza stream as applications see it: it outlives its XML streams. The parts behind it are in `core`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import trio

from .. import xml
from ..jid import JID
from ..protocol.sm import Enabled, StreamManagement
from ..protocol.stanza import IQType, Message, MessageType, Presence, PresenceType
from .core import StreamCore
from .filters import AppFilter, Filter
from .inbound.dispatch import Dispatcher
from .inbound.handled import LIMIT
from .inbound.inbox import DEFAULT_CAPACITY, Subscription
from .inbound.replies import ReplyWaiter
from .inbound.requests import Handler, Request
from .liveness import Clocks, Liveness, LivenessSettings
from .outbound.channels import Sent
from .outbound.token import StanzaToken
from .outbound.writer import ACK_AFTER_STANZAS
from .session import Journal, SessionState
from .signal import Signal
from .xmlstream import XmlStream

__all__ = ["StanzaStream"]


class StanzaStream:
    """Sends and receives stanzas, whatever becomes of the XML stream underneath.

    It is inert until `run`: constructing it does nothing. `local_jid` is our bare JID, by which we recognise replies
    that the server sends in our own name. One stream can run on one XML stream after the other, as long as all of
    them are authenticated as the same JID; with stream management, `resume` goes on where the last one broke. A
    `Client` on it sends. With `server`, the stream is that of a component (XEP-0114): `local_jid` is the domain for
    which it speaks, and `server` the address that is asked for signs of life.

    As an ``async with`` block it gives async IQ handlers a nursery of their own, and closes the stream when it is
    left. Without the block they run in `nursery`; without that, too, a request for an async handler is answered with
    an error, and the log says why.

    All that the stream does is logged by the child ``StanzaStream`` of `logger`; the default is ``trioxmpp``. `clocks`
    are compared to find out that the machine has slept. `max_unhandled` is how many stanzas may wait behind one that an
    application with ``ack="manual"`` has not finished with, before the link is given up; servers end a session that has
    too many (`inbound.handled`).
    """

    def __init__(
        self,
        local_jid: JID | str | None = None,
        *,
        logger: logging.Logger | None = None,
        liveness: Liveness | None = None,
        ack_after: int = ACK_AFTER_STANZAS,
        journal: Journal | None = None,
        session: SessionState | None = None,
        nursery: trio.Nursery | None = None,
        clocks: Clocks | None = None,
        max_unhandled: int = LIMIT,
        server: JID | None = None,
    ) -> None:
        if max_unhandled < 1:
            raise ValueError("max_unhandled is the number of stanzas that may wait: one at least")
        jid = JID.parse(local_jid) if isinstance(local_jid, str) else local_jid
        own_logger = (logger or logging.getLogger("trioxmpp")).getChild("StanzaStream")
        settings = LivenessSettings(liveness or Liveness(), clocks)
        core = StreamCore(jid, settings, ack_after, own_logger, journal, session, nursery, max_unhandled, server)
        self.core: StreamCore = core
        """The parts behind the face; for the parts of this library that keep a stream running."""
        self._block: AbstractAsyncContextManager[None] | None = None

        router = core.router
        self.on_failure: Signal[Exception] = core.on_failure
        self.on_stream_established: Signal[()] = core.on_stream_established
        self.on_stream_destroyed: Signal[Exception] = core.on_stream_destroyed
        self.on_message_received: Signal[Message] = router.on_message_received
        self.on_presence_received: Signal[Presence] = router.on_presence_received
        self.messages: Dispatcher[Message, MessageType] = router.messages
        self.presences: Dispatcher[Presence, PresenceType] = router.presences
        self.service_inbound_message_filter: Filter[Message] = router.service_inbound_message_filter
        self.service_inbound_presence_filter: Filter[Presence] = router.service_inbound_presence_filter
        self.service_outbound_message_filter: Filter[Message] = router.service_outbound_message_filter
        self.service_outbound_presence_filter: Filter[Presence] = router.service_outbound_presence_filter
        self.app_inbound_message_filter: AppFilter[Message] = router.app_inbound_message_filter
        self.app_inbound_presence_filter: AppFilter[Presence] = router.app_inbound_presence_filter
        self.app_outbound_message_filter: AppFilter[Message] = router.app_outbound_message_filter
        self.app_outbound_presence_filter: AppFilter[Presence] = router.app_outbound_presence_filter

    @property
    def local_jid(self) -> JID | None:
        """Our bare JID, as far as it is known: by it we recognise replies that the server sends in our own name."""
        return self.core.router.local_jid

    @local_jid.setter
    def local_jid(self, value: JID | None) -> None:
        self.core.router.local_jid = value

    @property
    def running(self) -> bool:
        """Whether there is an XML stream. Still true right after `stop`, until all has really ended."""
        return self.core.running

    @property
    def undelivered(self) -> tuple[StanzaToken, ...]:
        """The tokens, in order, of what was enqueued in the last session that ended, and not delivered."""
        return self.core.undelivered

    @property
    def established(self) -> bool:
        """Whether there is a session, with or without a link."""
        return self.core.session.established

    async def run(
        self,
        xmlstream: XmlStream,
        *,
        managed: Enabled | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start, or continue without resuming, on an XML stream that is authenticated and bound.

        `managed` is what the server granted when stream management was enabled along with binding (XEP-0386); it
        counts from the first stanza.

        Reports that it has started before it processes anything. Returns after `stop` or `aclose`, and raises what
        made the stream fail: ConnectionError, or what a filter raised. RuntimeError if it is running already.
        Cancelling is stopping, and may cut a stanza in half: the XML stream is then of no more use.
        """
        await self.core.run(xmlstream, task_status.started, managed)

    async def resume(
        self,
        xmlstream: XmlStream,
        *,
        answer: xml.Element | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Go on with the session on an XML stream that is authenticated but not bound (XEP-0198 §5).

        `answer` is what the server said, if it was asked along with the login (XEP-0388).

        Reports that it has started when the server has agreed; from then on it is like `run`. Raises
        StreamNegotiationFailure if the server refused: then the session is over, and the XML stream is good for
        binding a new one. If the link breaks before the answer, the session is as it was and another attempt may
        succeed. RuntimeError if the stream is running, or there is no session to resume. Cancelling is stopping.
        """
        await self.core.resume(xmlstream, task_status.started, answer)

    def stop(self) -> None:
        """Stop, if running: not one more byte of a stanza is offered to the XML stream, which is left as it is.

        A session that can be resumed stays; any other is over. `running` stays true for a moment more: see
        `wait_stop`.
        """
        self.core.stop()

    async def wait_stop(self) -> None:
        """`stop`, and wait until all has ended. Raises nothing that made the stream fail: `run` does that.

        Cancelling stops the waiting, not the stopping.
        """
        self.stop()
        await self.core.wait_ended()

    async def aclose(self) -> None:
        """Close stream and session for good, until the next `run`. Stanzas that are still queued are not sent.

        With stream management a last acknowledgement is sent; then the stream is closed properly, in 15 seconds at
        most. No error can prevent that, and nothing is reported as a failure any more. If cancelled, it takes
        2 seconds more at most to do what can be done, and everything is closed all the same.
        """
        await self.core.aclose()

    # --- liveness

    @property
    def soft_timeout(self) -> float | None:
        """Seconds of silence after which the server is asked to say something; None: never.

        Settable at any time, also to a timedelta.
        """
        return self.core.liveness.soft_timeout

    @soft_timeout.setter
    def soft_timeout(self, value: float | timedelta | None) -> None:
        self.core.home.check()
        self.core.liveness.soft_timeout = value

    @property
    def round_trip_time(self) -> float | None:
        """Seconds that the server then has to say anything; None: for ever.

        Settable at any time, also to a timedelta. It has nothing to do with how long a request may take.
        """
        return self.core.liveness.round_trip_time

    @round_trip_time.setter
    def round_trip_time(self, value: float | timedelta | None) -> None:
        self.core.home.check()
        self.core.liveness.round_trip_time = value

    def check_link(self, patience: float = 5.0) -> None:
        """Ask the server at once for a sign of life; without one within `patience` seconds, the link is dead.

        For when there is reason to doubt it: the network has changed, the machine has slept. Returns at once, and does
        nothing if there is no link.
        """
        self.core.home.check()
        self.core.liveness.check_link(patience)

    # --- the state of stream management (XEP-0198), by the seed's names

    def _managed(self, name: str) -> StreamManagement[Sent]:
        management = self.core.session.sm
        if management is None:
            raise RuntimeError(f"{name}: stream management is not enabled")
        return management

    @property
    def sm_enabled(self) -> bool:
        """Whether stream management is on. While it is off, the other sm attributes raise RuntimeError."""
        return self.core.session.sm is not None

    @property
    def sm_outbound_base(self) -> int:
        """The last count of stanzas that the server reported."""
        return self._managed("sm_outbound_base").base

    @property
    def sm_inbound_ctr(self) -> int:
        """How many stanzas we handled, modulo 2**32."""
        return self._managed("sm_inbound_ctr").handled

    @property
    def sm_unacked_count(self) -> int:
        """How many stanzas are sent but not acknowledged."""
        return len(self._managed("sm_unacked_count").unacked)

    @property
    def sm_unacked_list(self) -> list[StanzaToken]:
        """A copy of the list of tokens that are not acknowledged yet."""
        return [token for token, _ in self._managed("sm_unacked_list").unacked]

    @property
    def sm_id(self) -> str | None:
        """The id by which the server knows the session, or None."""
        return self._managed("sm_id").granted.id

    @property
    def sm_max(self) -> int | None:
        """For how many seconds the server keeps a lost session, or None."""
        return self._managed("sm_max").granted.max

    @property
    def sm_location(self) -> tuple[str, int | None] | None:
        """Host and port (or None) where the server prefers us to resume, or None."""
        return self._managed("sm_location").granted.location

    @property
    def sm_resumable(self) -> bool:
        """Whether the server lets us resume the session."""
        return self._managed("sm_resumable").resumable

    # --- the block

    async def __aenter__(self) -> Self:
        """Open a nursery for handlers. If cancelled, nothing has begun."""
        await trio.lowlevel.checkpoint()
        if self._block is not None:
            raise RuntimeError("this stream is an open block already")
        self._block = self.core.opened()
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        block = self._block
        assert block is not None
        try:
            # It shields, and bounds, what it has to do when cancelled.
            return await block.__aexit__(exc_type, exc, traceback)  # noqa: ASYNC102
        finally:
            self._block = None

    async def start_sm(self, *, resume: bool = True, max: int | None = None) -> None:
        """Enable stream management on the running stream; `resume` asks that the session can be resumed.

        `max` is for how many seconds at most, as a wish; 0 is the same as ``resume=False``. Whether the server offers
        it at all is for the caller to know. Raises StreamNegotiationFailure if the server refuses (the stream goes
        on), what ended the stream if it ended first, and RuntimeError if the stream is not running or managed
        already. If cancelled, the request may be on its way, and succeed.
        """
        await self.core.start_sm(resume, max)

    def stop_sm(self) -> None:
        """Disable stream management, and end the session. RuntimeError if running, or if it is not enabled.

        Stanzas that were not acknowledged become SENT_WITHOUT_SM.
        """
        self.core.stop_sm()

    def register_iq_request_handler(
        self, type_: IQType, payload_cls: type[Any], handler: Handler, *, with_send_reply: bool = False
    ) -> None:
        """Have `handler` answer requests of this type with this very class of payload.

        A plain function is called by the reader, in order of arrival, and returns the payload of the result (None:
        empty) or an awaitable for it; an async function runs in a task of its own, in no particular order. An exception
        of it becomes an error: an `XMPPError` as it is, everything else *undefined-condition*, and nothing of its
        text is revealed. With `with_send_reply` it gets a second argument, ``send_reply(result=None)``, by which it
        may answer before it ends. Handlers are cancelled, and then do not answer, when the session is over.

        Raises ValueError if the slot is taken or `type_` is not a request, TypeError if it is not an IQType.
        """
        self.core.home.check()
        self.core.router.requests.register(type_, payload_cls, handler, with_send_reply=with_send_reply)

    def unregister_iq_request_handler(self, type_: IQType, payload_cls: type[Any]) -> None:
        """Free the slot; handlers that are running go on. KeyError if it is free."""
        self.core.home.check()
        self.core.router.requests.unregister(type_, payload_cls)

    def iq_handler(
        self, type_: IQType, payload_cls: type[Any], handler: Handler, *, with_send_reply: bool = False
    ) -> AbstractContextManager[None]:
        """``with`` block during which `handler` is registered."""
        return self.core.router.requests.handler(type_, payload_cls, handler, with_send_reply=with_send_reply)

    def on_iq(
        self, type_: IQType, payload_cls: type[Any], *, with_send_reply: bool = False
    ) -> Callable[[Handler], Handler]:
        """Decorator that registers a handler."""

        def register(handler: Handler) -> Handler:
            self.register_iq_request_handler(type_, payload_cls, handler, with_send_reply=with_send_reply)
            return handler

        return register

    def iq_requests(
        self, type_: IQType, payload_cls: type[Any], *, capacity: float = DEFAULT_CAPACITY
    ) -> Subscription[Request]:
        """``async with`` block that gives an inbox of `Request`, each to be answered by ``request.reply(...)``."""
        return self.core.router.requests.requests(type_, payload_cls, capacity=capacity)

    def expect_iq_response(self, from_: JID | str | None, id_: str) -> ReplyWaiter:
        """``with`` block that gives a waiter for the reply that has this sender and id. ValueError if there is one."""
        self.core.home.check()
        peer = JID.parse(from_) if isinstance(from_, str) else from_
        return self.core.session.replies.expect(peer, id_, self.local_jid)
