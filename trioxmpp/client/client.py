"""What an application holds: sends stanzas, makes requests, and gets what arrives."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, TypeVar, cast

import trio

from .. import xml
from ..errors import ElementError, ErroneousStanza
from ..jid import JID
from ..protocol.stanza import IQ, Get, IQType, Message, Presence, Set, response_type
from ..stream.bare import bare
from ..stream.ids import new_id
from ..stream.inbox import DEFAULT_CAPACITY, Inbox, Subscription
from ..stream.requests import Handler, Request
from ..stream.signal import Signal
from ..stream.stanzastream import StanzaStream
from ..stream.token import StanzaState, StanzaToken
from .desired import Desired
from .events import Established, Event, Suspended
from .outliving import Outliving
from .repair import Repair

__all__ = ["Client"]

logger = logging.getLogger(__name__)

R = TypeVar("R")

_ON_ITS_WAY = frozenset({StanzaState.SENT, StanzaState.ACKED})


class Client(Outliving):
    """Sends and receives stanzas on a `StanzaStream`.

    `connect` makes one that looks after its stream, too. On a stream that you run yourself, ``Client(stream)`` is all
    there is to it.
    """

    def __init__(self, stream: StanzaStream, jid: JID | None = None) -> None:
        self.stream = stream
        self.messages = stream.messages
        self.presences = stream.presences
        self.on_message = stream.on_message_received
        self.on_presence = stream.on_presence_received
        self.on_event: Signal[Event] = Signal()
        self._jid = jid
        self._state = ClientState()
        self._desired = Desired(stream)

    @property
    def jid(self) -> JID:
        """Our full JID, as the server bound it."""
        if self._jid is None:
            raise RuntimeError("nobody told this client its address")
        return self._jid

    @property
    def established(self) -> bool:
        """Whether stanzas can be enqueued: there is a session, be it that it has no link just now."""
        return self._state.ready and self.stream.established

    @property
    def suspended(self) -> Suspended | None:
        """How things stand while there is no link: the event, as of the last attempt that has failed. Else None."""
        return None if self._state.repair is None else self._state.repair.suspended

    @property
    def active(self) -> bool:
        """Whether somebody is looking, as `set_active` was told last."""
        return self._desired.active

    def set_active(self, active: bool) -> None:
        """Let the server know whether somebody is looking (XEP-0352): if not, it may hold back what can wait.

        It holds for every link to come, of this session and the next ones, until it is said otherwise. Only a server
        that wants to know is told, on a client that `connect` has made. Returns at once.
        """
        self._desired.set_active(active)

    async def forget_token(self) -> None:
        """Log out for good: forget the token that logs in without the password, and have the server forget it (FAST).

        The session goes on. A repair of its link uses the credentials again, and asks for no other token. The server is
        told on a link of its own, in `connect_timeout` seconds at most; nothing is said if there is no token. When this
        returns, the token is of no use to anybody. If it raises ConnectionError, or is cancelled, it is forgotten here;
        whether the server has heard of it, nobody knows: at worst the token is good until it expires, for whoever has
        got hold of it. `StoreError` if the store cannot be told; RuntimeError on a client that `connect` has not made.
        """
        if self._state.forget_token is None:
            raise RuntimeError("this client does not log in: somebody else runs its stream")
        await self._state.forget_token()

    def network_changed(self, patience: float = 5.0) -> None:
        """The machine has another network now, or has slept: find out at once whether the link is still good.

        The server is asked for a sign of life; if none comes within `patience` seconds, the link is given up and
        replaced. Without a link, an attempt to get one begins at once. Returns at once.
        """
        self.stream.check_link(patience)
        self._state.hurry(afresh=True)

    def reconnect_now(self) -> None:
        """If there is no link, do not wait for the next attempt any longer: a person wants it now. Returns at once."""
        self._state.hurry(afresh=False)

    def enqueue(
        self,
        stanza: Message | Presence | IQ,
        *,
        on_state_change: Callable[[StanzaToken, StanzaState], object] | None = None,
    ) -> StanzaToken:
        """Have `stanza` sent, after everything that was enqueued before it; returns at once.

        A stanza without an id gets one. ``await token`` waits for the outcome; `on_state_change` is called with the
        token and each of its states. Raises ValueError, and sends nothing, if the stanza is not valid, and
        ConnectionError if there is no session.
        """
        session = self.stream._session
        if session.ended is not None:
            raise session.ended
        if not (self._state.ready and session.established):
            raise self._state.ended or ConnectionError("there is no session at the moment")
        stanza.validate()
        return session.enqueue(stanza, StanzaToken(stanza, on_state_change=on_state_change))

    async def send(
        self,
        stanza: Message | Presence | IQ,
        *,
        timeout: float | None = None,
        on_reply: Callable[[IQ], Awaitable[Any] | None] | None = None,
    ) -> Any:
        """Send `stanza` and wait until it was sent; with stream management, until the server has it. Returns None.

        If a session is lost with the stanza in flight, and the server does not say whether it had it, this returns as
        well: what became of it cannot be known. To tell the two apart use `enqueue`, and look at the token's state.

        A *request* (an IQ of type get or set) waits for its reply instead, and returns the payload of the result: as
        an object if the request's class says which (``Get[R]``), else as XML, or None if it is empty. An error reply
        is raised as `XMPPError`, a reply that cannot be understood as `ErroneousStanza`; `timeout` is for how many
        seconds to wait, once the request was written, before TimeoutError is raised. `on_reply` is called with the
        reply, in order of arrival with all other stanzas; if it returns an awaitable, that is what is awaited and
        returned.

        While there is no session it waits for one. Raises ConnectionError if there will be none, and what ``await
        token`` raises. Cancelling retracts what was not sent yet; a late reply is ignored.
        """
        is_request = isinstance(stanza, IQ) and stanza.type.is_request
        if on_reply is not None and not is_request:
            raise ValueError("only a request has a reply that on_reply could be called with")
        await self._wait_established()
        if is_request:
            return await self._send_request(cast(IQ, stanza), timeout, on_reply)
        await self.enqueue(stanza)
        return None

    async def _send_request(
        self, iq: IQ, timeout: float | None, on_reply: Callable[[IQ], Awaitable[Any] | None] | None
    ) -> Any:
        outcome: Awaitable[Any] | None = None

        def deliver(reply: IQ) -> None:
            nonlocal outcome
            if on_reply is not None:
                outcome = on_reply(reply)

        iq.validate()
        iq.id = iq.id or new_id()
        written = None if timeout is None else trio.Event()
        session = self.stream._session
        with session.replies.expect(iq.to, iq.id, self.stream.local_jid, deliver) as waiter:
            token = self.enqueue(iq)

            def changed(state: StanzaState) -> None:
                if written is not None:
                    written.set()
                if state not in _ON_ITS_WAY and token.exception is not None:
                    waiter.fail(token.exception)

            token._watch(changed)
            try:
                if timeout is not None and written is not None:
                    await written.wait()
                    with trio.move_on_after(timeout):
                        await waiter.wait_settled()
                    if not waiter.settled:
                        raise TimeoutError(f"no reply to {iq!r} within {timeout:g} seconds")
                await waiter.wait_settled()
            except trio.Cancelled:
                token._retract()
                if inspect.iscoroutine(outcome):
                    outcome.close()  # the reply came, but nobody is there any more to await what on_reply made of it
                raise
        if outcome is not None and inspect.isawaitable(outcome):
            return await outcome
        return _result(iq, waiter.result())

    async def request(
        self, payload: Get[R] | Set[R], *, to: JID | str | None = None, timeout: float | None = None
    ) -> R:
        """Ask `to` (None: our own account) and return the answer: ``Get[R]`` and ``Set[R]`` give an ``R``.

        Raises as `send` does, and may be cancelled as that.
        """
        return cast(R, await self.send(IQ(type=payload.IQ_TYPE, to=to, payload=payload), timeout=timeout))

    async def drain(self) -> None:
        """Wait until everything that is enqueued now is settled, one way or the other.

        Without a link that may take until there is one again. Cancelling touches no stanza.
        """
        await self._answered()
        for token in self.stream._session.unsettled():
            if not token.state.is_final:
                await token.wait()

    def events(self, *, capacity: float = DEFAULT_CAPACITY) -> Subscription[Event]:
        """``async with`` block that gives an inbox of Established, Suspended, Resumed and Destroyed events."""
        return self.on_event.subscribe(capacity)

    @asynccontextmanager
    async def maintain(self, apply: Callable[[Client], Awaitable[object]]) -> AsyncIterator[None]:
        """A block during which each session is brought into a desired state: ``apply(client)`` runs now, and again
        whenever there is a new session.

        What it raises now leaves the block. Later on it is logged: the session stays as it is. Cancelling cancels it.
        """

        async with self.events() as events:
            await apply(self)
            with bare() as inside:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_apply_again, self, apply, events)
                    with inside:
                        yield
                    nursery.cancel_scope.cancel(reason="the state is no longer desired")

    def iq_handler(
        self, type_: IQType, payload_cls: type[Any], handler: Handler, *, with_send_reply: bool = False
    ) -> AbstractContextManager[None]:
        """``with`` block during which `handler` answers requests; see `StanzaStream.register_iq_request_handler`."""
        return self.stream.iq_handler(type_, payload_cls, handler, with_send_reply=with_send_reply)

    def on_iq(
        self, type_: IQType, payload_cls: type[Any], *, with_send_reply: bool = False
    ) -> Callable[[Handler], Handler]:
        """Decorator that registers a handler for requests."""
        return self.stream.on_iq(type_, payload_cls, with_send_reply=with_send_reply)

    def iq_requests(
        self, type_: IQType, payload_cls: type[Any], *, capacity: float = DEFAULT_CAPACITY
    ) -> Subscription[Request]:
        """``async with`` block that gives an inbox of requests, each to be answered by ``request.reply(...)``."""
        return self.stream.iq_requests(type_, payload_cls, capacity=capacity)

    async def wait_established(self) -> None:
        """Wait until there is a session. Raises ConnectionError if there will be none any more."""
        await self._wait_established()
        await trio.lowlevel.checkpoint()

    async def _wait_established(self) -> None:
        while not self.established:
            if self._state.ended is not None or self._state.ready:
                await trio.lowlevel.checkpoint()
                raise self._state.ended or self.stream._session.ended or ConnectionError("the stream is not running")
            await self._state.changed.park()


class ClientState:
    """Whether there is, or will be, a session; `connect` keeps it up to date."""

    def __init__(self) -> None:
        self.changed = trio.lowlevel.ParkingLot()
        self.ready = True
        """False while a new session is prepared."""
        self.ended: Exception | None = None
        """Why there will never be a session again."""
        self.repair: Repair | None = None
        """What looks after the link, if anything does."""
        self.forget_token: Callable[[], Awaitable[None]] | None = None
        """Logs out for good, if anything logs in."""

    def hurry(self, *, afresh: bool) -> None:
        """See `Repair.hurry`."""
        if self.repair is not None:
            self.repair.hurry(afresh)

    def set_ready(self, ready: bool) -> None:
        """A session can be used, or cannot any more."""
        self.ready = ready
        self.changed.unpark_all()

    def end(self, reason: Exception) -> None:
        """There will be no session any more."""
        self.ended = reason
        self.set_ready(False)


async def _apply_again(client: Client, apply: Callable[[Client], Awaitable[object]], events: Inbox[Event]) -> None:
    async for event in events:
        if isinstance(event, Established):
            try:
                await apply(client)
            except Exception:
                logger.exception("could not bring the new session into its desired state")


def _result(request: IQ, reply: IQ) -> Any:
    """The answer in `reply`, read as the request's class says."""
    payload = reply.payload
    try:
        answer, optional = response_type(type(request.payload))
    except TypeError:
        return payload
    if answer is None or (payload is None and optional):
        return None
    if payload is None:
        raise ErroneousStanza(f"the result is empty, though {answer.__name__} was due", reply)
    try:
        return xml.parse(answer, payload)
    except ElementError as exc:
        raise ErroneousStanza(f"the result is not what was asked for: {exc}", reply) from exc
