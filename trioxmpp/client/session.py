"""One session as services and applications see it: what it is bound to, and requests that never leak into the next."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

import trio

from ..errors import DestructionRequested, SessionLost
from ..jid import JID
from ..protocol.features import StreamFeatures
from ..protocol.stanza import IQ, Get, Message, Presence, ReplyKey, Set, reply_key
from ..stream.core import StreamCore
from ..stream.ids import new_id
from ..stream.inbound.replies import ReplyWaiter
from ..stream.inbound.stages import Stage
from ..stream.link import LIVE
from ..stream.outbound.token import OnStateChange, OutgoingStanza, StanzaState, StanzaToken
from ..stream.session import SessionState
from .answers import read_answer

__all__ = ["Session"]

_logger = logging.getLogger(__name__)

R = TypeVar("R")

_ON_ITS_WAY = frozenset({StanzaState.SENT, StanzaState.ACKED})


class Session:
    """From binding a resource to the end of the session, over all links that it lives on.

    `jid` is the full JID that the server bound. `features` are the stream features, remembered when a resumption brings
    none. `adopted` tells whether another process began the session, and this one goes on with it: the server knows what
    that process has set up, and this one does not. `begun` holds the namespaces of the features that the session began
    with, since they were requested inline with the login (XEP-0386).

    A stanza that is enqueued here belongs to this session: once it is over, everything raises `SessionLost`. So does a
    request that waits for its reply then; if the application itself has closed the client, that is
    `DestructionRequested`.
    """

    def __init__(
        self,
        core: StreamCore,
        state: SessionState,
        jid: JID,
        features: StreamFeatures,
        *,
        adopted: bool = False,
        begun: frozenset[str] = frozenset(),
        nursery: trio.Nursery | None = None,
    ) -> None:
        self.jid = jid
        self.features = features
        self.adopted = adopted
        self.begun = begun
        self._core = core
        self._state = state
        self._nursery = nursery
        self._failure: Exception | None = None

    def __repr__(self) -> str:
        return f"<Session of {self.jid}{', which is over' if self.ended else ''}>"

    @property
    def ended(self) -> Exception | None:
        """Why the session is over; None while it is not."""
        return self._state.ended

    @property
    def failure(self) -> Exception | None:
        """The exception of the first task of this session that failed; None if none did."""
        return self._failure

    @property
    def linked(self) -> bool:
        """Whether the session has a link just now."""
        return self.ended is None and self._core.link is not None and self._core.link.state is LIVE

    @property
    def secure(self) -> bool:
        """Whether the session has a link just now, and TLS secures it."""
        return self.linked and self._core.link is not None and self._core.link.xmlstream.secure

    async def wait_linked(self) -> None:
        """Wait until the session has a link. Raises `SessionLost` once it is over. Cancelling changes nothing."""
        await trio.lowlevel.checkpoint()
        while not self.linked:
            if self.ended is not None:
                raise self._lost()
            await self._core.link_changed.park()

    def is_of(self, state: SessionState) -> bool:
        """Return whether this is the session with that state."""
        return self._state is state

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Start a task that ends with the session.

        An exception in it ends the client, and leaves the block of `connect` bare. A ConnectionError that the end of
        the session brought about is ignored. Raises RuntimeError if the stream of this session is run by hand.
        """
        if self._nursery is None:
            raise RuntimeError("connect() gives a session tasks; the stream of this one is run by hand")
        self._nursery.start_soon(self._run, function, args)

    async def _run(self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        try:
            await function(*args)
        except Exception as exc:
            if self.ended is not None and isinstance(exc, ConnectionError):
                _logger.debug("a task of a session that is over: %r", exc)
                return
            self._failure = self._failure or exc
            assert self._nursery is not None
            self._nursery.cancel_scope.cancel(reason=f"a task of the session has failed: {exc!r}")

    def enqueue(self, stanza: Message | Presence | IQ, *, on_state_change: OnStateChange | None = None) -> StanzaToken:
        """Have `stanza` sent in this session, after everything that was enqueued before it; returns at once.

        A stanza without an id gets one. ``await token`` waits for the outcome; `on_state_change` is called with the
        token and each of its states. The reply to a request that is enqueued is ignored: `send` waits for one.

        Raises ValueError, and sends nothing, if the stanza is not valid or larger than the server takes
        (`StanzaTooLarge`), `OutboxFull` while too much waits to be sent and acknowledged, and
        `SessionLost` if the session is over.
        """
        size = self._check(stanza)
        token = self._state.outgoing.put(stanza, size, on_state_change=on_state_change, needs_room=True)
        if isinstance(stanza, IQ) and stanza.type.is_request:
            self._state.replies.disregard(self._reply_key(stanza))
        return token

    def _check(self, stanza: Message | Presence | IQ) -> int:
        """Check that `stanza` can be enqueued, once there is room; return roughly its octets."""
        state, router = self._state, self._core.router
        if state.ended is not None:
            state.home.check()
            raise self._lost()
        size = state.check(stanza)
        if router.domain is not None:
            router.check_sender(stanza)
        return size

    async def send(
        self,
        stanza: Message | Presence | IQ,
        *,
        timeout: float | None = None,
        on_reply: Callable[[IQ], Awaitable[Any] | None] | None = None,
    ) -> Any:
        """Send `stanza` in this session, and wait until it was sent, or for the reply.

        Raises `SessionLost` if the session is over. Otherwise it raises, and may be cancelled, as `Client.send`.
        """
        if isinstance(stanza, IQ) and stanza.type.is_request:
            return await self._send_request(stanza, timeout, on_reply)
        if on_reply is not None:
            raise ValueError("only a request has a reply that on_reply could be called with")
        await self._state.outgoing.wait_for_room()
        await trio.lowlevel.checkpoint_if_cancelled()
        size = self._check(stanza)
        await self._state.outgoing.put(stanza, size, needs_room=True, at_once=True)
        return None

    async def request(
        self, payload: Get[R] | Set[R], *, to: JID | str | None = None, timeout: float | None = None
    ) -> R:
        """Ask `to` (None: our own account) and return the answer: ``Get[R]`` and ``Set[R]`` give an ``R``.

        Raises as `send` does, and may be cancelled as that.
        """
        iq = IQ.request(payload, to=to, from_=self._core.router.domain)
        return cast(R, await self.send(iq, timeout=timeout))

    async def _send_request(
        self, iq: IQ, timeout: float | None, on_reply: Callable[[IQ], Awaitable[Any] | None] | None
    ) -> Any:
        outcome: Awaitable[Any] | None = None

        def deliver(reply: IQ) -> None:
            nonlocal outcome
            if on_reply is not None:
                outcome = on_reply(reply)

        size = self._check(iq)
        await self._state.outgoing.wait_for_room()
        await trio.lowlevel.checkpoint_if_cancelled()
        iq.id = iq.id or new_id()
        written = None if timeout is None else trio.Event()
        with self._expect(iq, iq.id, deliver) as waiter:
            token = OutgoingStanza(iq, size=size)

            def changed(state: StanzaState) -> None:
                if written is not None:
                    written.set()
                if state not in _ON_ITS_WAY and token.exception is not None:
                    waiter.fail(token.exception)

            token.watch(changed)
            self._state.outgoing.put(iq, token=token, at_once=True)
            try:
                if timeout is not None and written is not None:
                    await written.wait()
                    await _settled_within(timeout, waiter, iq)
                await waiter.wait_settled()
            except trio.Cancelled:
                token.retract()
                if inspect.iscoroutine(outcome):
                    outcome.close()  # the reply came, but no task awaits any more what on_reply made of it
                raise
        if outcome is not None and inspect.isawaitable(outcome):
            return await outcome
        return read_answer(iq.payload, self._reply_of(waiter))

    def _reply_of(self, waiter: ReplyWaiter) -> IQ:
        """Return or raise as `ReplyWaiter.result` does; if the session was lost before the reply came, that is told."""
        try:
            return waiter.result()
        except ConnectionError as exc:
            if exc is self._state.replies.ended and not isinstance(exc, DestructionRequested | SessionLost):
                raise self._lost() from self.ended
            raise

    def _expect(self, iq: IQ, id: str, deliver: Callable[[IQ], None]) -> ReplyWaiter:
        router = self._core.router
        return self._state.replies.expect(iq.to, id, router.local_jid, deliver, own=router.own(iq.from_))

    def _reply_key(self, iq: IQ) -> ReplyKey:
        assert iq.id is not None
        router = self._core.router
        return reply_key(iq.to, iq.id, router.local_jid, router.own(iq.from_))

    def at_stage(self, stage: Stage, message: Callable[[Message], Message | None]) -> AbstractContextManager[None]:
        """``with`` block during which ``message(stanza)`` sees each inbound message; see `Client.at_stage`."""
        return self._core.router.at_stage(stage, message)

    def _lost(self) -> Exception:
        reason = self._state.ended
        if isinstance(reason, SessionLost):
            return reason
        error = SessionLost(f"the session is over: {reason}")
        error.__cause__ = reason
        return error


async def _settled_within(timeout: float, waiter: ReplyWaiter, iq: IQ) -> None:
    """Wait until `waiter` has a reply to `iq` or has failed. Raises TimeoutError after `timeout` seconds."""
    with trio.move_on_after(timeout):
        await waiter.wait_settled()
    if not waiter.settled:
        raise TimeoutError(f"no reply to {iq!r} within {timeout:g} seconds")
