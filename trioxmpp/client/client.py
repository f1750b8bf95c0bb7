"""The object that an application holds: it sends stanzas, makes requests, and gets stanzas that arrive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar, cast

import trio

from ..errors import SessionLost, StanzaCondition, XMPPCancelError
from ..jid import JID
from ..protocol.elements.version import Version
from ..protocol.sasl import Credentials
from ..protocol.stanza import IQ, Get, IQType, Message, MessageType, Presence, PresenceType, Question, Set
from ..stream.ids import new_id
from ..stream.inbound.dispatch import Dispatcher
from ..stream.inbound.inbox import DEFAULT_CAPACITY, Subscription
from ..stream.inbound.requests import Handler, Request
from ..stream.inbound.stages import Stage
from ..stream.negotiation.credentials import CredentialsLike
from ..stream.outbound.token import OnStateChange, StanzaToken
from ..stream.signal import Signal
from ..stream.stanzastream import StanzaStream
from .counters import Counters, Figures
from .disco import Disco
from .events import Event, Suspended
from .journal.durable import DurableMessage
from .journal.journal import Restored, SessionJournal
from .notes import Notebook, Notes
from .offers import DEFAULT_IDENTITY, Offers
from .session import Session
from .shared import Shared
from .standing import Standing, StreamByHand
from .steps import Prepare, Step, prepared_session
from .supervisor import Supervisor

__all__ = ["Client"]

R = TypeVar("R")


class Client:
    """Sends and receives stanzas on a `StanzaStream`.

    `connect` makes one that looks after its stream, too. On a stream that you run yourself, ``Client(stream)`` is all
    there is to it.
    """

    def __init__(
        self,
        stream: StanzaStream,
        jid: JID | None = None,
        *,
        supervisor: Supervisor | None = None,
        events: Signal[Event] | None = None,
        offers: Offers | None = None,
        notebook: Notebook | None = None,
    ) -> None:
        self.stream = stream
        self.messages: Dispatcher[Message, MessageType] = stream.messages
        self.presences: Dispatcher[Presence, PresenceType] = stream.presences
        self.on_message: Signal[Message] = stream.on_message_received
        self.on_presence: Signal[Presence] = stream.on_presence_received
        self.on_event: Signal[Event] = Signal() if events is None else events
        self._jid = jid
        self._supervisor = supervisor
        self._standing: Standing = supervisor or StreamByHand(stream.core, jid)
        self._notebook = notebook or Notebook(None)
        self.offers: Offers = offers or Offers(DEFAULT_IDENTITY, Version(name="trioxmpp"))
        """Our features and identities: ``with client.offers(feature):``."""
        self.disco: Disco = Disco(self._wait_session)
        """The features and identities of others, remembered for as long as the session."""
        self.on_event.connect(self.disco.hear)
        self._figures = Figures(stream.core, self.on_event, None if supervisor is None else supervisor.reconnector)
        self.shared: Shared[Client] = Shared(self)
        """Things that services of this client share: ``with client.shared(make) as hub:``."""

    # --- where it stands

    @property
    def jid(self) -> JID:
        """Our full JID, as the server bound it for the newest session, also while services set that up."""
        jid = (None if self._supervisor is None else self._supervisor.jid) or self._jid
        if jid is None:
            raise RuntimeError("this client was not told its address")
        return jid

    @property
    def session(self) -> Session | None:
        """The session of now; None while there is none that can be used.

        A function that prepares a session (`each_session`) can use it before the application can.
        """
        session = self._standing.session or prepared_session()
        return session if session is not None and session.ended is None else None

    @property
    def established(self) -> bool:
        """Whether stanzas can be enqueued: there is a session, with or without a link."""
        return self.session is not None

    @property
    def linked(self) -> bool:
        """Whether there is a session, and it has a link."""
        return (session := self.session) is not None and session.linked

    @property
    def suspended(self) -> Suspended | None:
        """How things stand while there is no link: the event, as of the last attempt that failed. None otherwise."""
        return None if self._supervisor is None else self._supervisor.reconnector.suspended

    def counters(self) -> Counters:
        """Return the figures of this client for monitoring, as they are now.

        They are read from counts that exist anyway, and cost nothing until this is called. May be called in any thread,
        since it changes nothing; in another one, the figures may be of moments that differ a little.
        """
        return self._figures.now(linked=self.linked)

    async def wait_established(self) -> None:
        """Wait until there is a session. Raises ConnectionError if there will be none any more.

        Cancelling changes nothing.
        """
        await self._wait_session()
        await trio.lowlevel.checkpoint()

    async def wait_linked(self) -> None:
        """Wait until there is a session with a link. Raises ConnectionError if there will be none any more.

        Cancelling changes nothing.
        """
        while True:
            session = await self._wait_session()
            try:
                await session.wait_linked()
            except SessionLost:
                await trio.lowlevel.checkpoint()
                continue
            return

    async def _wait_session(self) -> Session:
        while (session := self.session) is None:
            if self._standing.ended is not None:
                await trio.lowlevel.checkpoint()
                raise self._standing.ended
            await self._standing.changed.park()
        return session

    # --- sending

    def enqueue(self, stanza: Message | Presence | IQ, *, on_state_change: OnStateChange | None = None) -> StanzaToken:
        """Have `stanza` sent, after everything that was enqueued before it; returns at once.

        A stanza without an id gets one. ``await token`` waits for the outcome; `on_state_change` is called with the
        token and each of its states. The reply to a request that is enqueued is ignored: `send` waits for one.

        Raises ValueError, and sends nothing, if the stanza is not valid or larger than the server takes
        (`StanzaTooLarge`), `OutboxFull` while 16 MiB wait to be sent and acknowledged, and
        ConnectionError if there is no session.
        """
        session = self._standing.session or self.session
        if session is None:
            raise self._standing.ended or ConnectionError("there is no session at the moment")
        return session.enqueue(stanza, on_state_change=on_state_change)

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

        While there is no session it waits for one. Raises ConnectionError if there will be none, `SessionLost` if a
        request has no reply when its session is lost, and what ``await token`` raises. Cancelling retracts what was not
        sent yet; a late reply is ignored.
        """
        if on_reply is not None and not (isinstance(stanza, IQ) and stanza.type.is_request):
            raise ValueError("only a request has a reply that on_reply could be called with")
        session = await self._wait_session()
        return await session.send(stanza, timeout=timeout, on_reply=on_reply)

    async def request(
        self, payload: Get[R] | Set[R], *, to: JID | str | None = None, timeout: float | None = None
    ) -> R:
        """Ask `to` (None: our own account) and return the answer: ``Get[R]`` and ``Set[R]`` give an ``R``.

        Raises as `send` does, and may be cancelled as that.
        """
        iq = IQ.request(payload, to=to, from_=self.stream.core.router.domain)
        return cast(R, await self.send(iq, timeout=timeout))

    async def drain(self) -> None:
        """Wait until everything that is enqueued now is settled, one way or the other.

        Without a link that may take until there is one again. Cancelling touches no stanza.
        """
        await trio.lowlevel.checkpoint()
        if (journal := self._journal) is not None:
            await journal.outbox.wait_reconciled()
        for token in self.stream.core.session.unsettled():
            if not token.state.is_final:
                await token.wait()

    # --- what outlives the process: needs connect(store=...)

    @property
    def _journal(self) -> SessionJournal | None:
        return None if self._supervisor is None else self._supervisor.journal

    @property
    def durable(self) -> bool:
        """Whether there is a store, so that `post` can be used."""
        return self._journal is not None

    async def post(self, message: Message) -> DurableMessage:
        """Have `message` sent, and survive: it is written down before this returns, and kept until the server has it.

        It is sent in this session or, if that ends before the server has acknowledged it, in the next one, also in
        another process, always with the same id: what the server says that it never had is sent once more. If it does
        not say, its archive is asked first (XEP-0313); if that does not have it either, or there is none, it is sent
        once more, and then the recipient may get it twice, and can tell by the id (which is in an ``<origin-id/>``,
        too, XEP-0359). While there is no session it waits, as it does while the archive is asked what became of one
        before it. ``await posted`` waits until the server has it.

        Needs ``connect(store=...)``, RuntimeError otherwise. Raises ValueError if the message is not valid or larger
        than the server takes (`StanzaTooLarge`), and `StoreError` if it cannot be written down. If cancelled, it may be
        sent all the same. A message for which the server ends one stream after the other fails with `StanzaRefused`.
        """
        from ..protocol.elements.stanza_ids import OriginId  # few need it

        journal = self._journal
        if journal is None:
            raise RuntimeError("what is posted must survive: connect(store=...) says where to keep it")
        message.validate()
        self.stream.core.session.check_size(message)
        message.id = message.id or new_id()
        if message.get(OriginId) is None:
            message.payloads.append(OriginId(id=message.id))
        return await journal.post(message, self.stream.core.session, ready=self.established)

    @property
    def posted(self) -> tuple[DurableMessage, ...]:
        """The posted messages, of this process and of earlier ones, that the server does not have yet, in order."""
        return () if self._journal is None else self._journal.outbox.posted

    @property
    def restored(self) -> Restored | None:
        """The session that the store held when we connected; None if there was no session in it."""
        return None if self._journal is None else self._journal.restored

    async def suspend(self) -> None:
        """Leave the session to another process: write all down, and drop the link without a word.

        Stanzas that are not acknowledged yet, and those that are still queued, go with it. The client is of no more use
        here; what it raises from now on says so. Without a session that can be resumed, only what was posted stays.
        RuntimeError without ``connect(store=...)``. If cancelled, it is suspended all the same.
        """
        if self._supervisor is None or self._supervisor.journal is None:
            raise RuntimeError("there is nowhere to leave the session: connect(store=...) says where")
        await self._supervisor.suspend()

    # --- the link

    @property
    def _connected(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("this client does not log in: its stream is run by hand")
        return self._supervisor

    @property
    def active(self) -> bool:
        """Whether a person is looking, as `set_active` was told last."""
        return self._supervisor is None or self._supervisor.client_state.active

    def set_active(self, active: bool) -> None:
        """Let the server know whether a person is looking (XEP-0352): if not, it may hold back what can wait.

        It holds for every link to come, of this session and the next ones. Only a server that offers it is told.
        Returns at once. RuntimeError on a client that `connect` has not made.
        """
        self._connected.client_state.set_active(active)

    async def forget_token(self) -> None:
        """Log out for good: forget the token that logs in without the password, and have the server forget it (FAST).

        The session goes on. A repair of its link uses the credentials again, and asks for no other token. The server is
        told on a link of its own, in `connect_timeout` seconds at most; nothing is said if there is no token. When this
        returns, the token is of no use any more. If it raises ConnectionError, or is cancelled, it is forgotten here,
        but the server may not have heard of it: at worst the token is good until it expires, for its holder.
        `StoreError` if the store cannot be told; RuntimeError on a client that `connect` has not made.
        """
        await self._connected.forget_token()

    async def use_credentials(self, credentials: CredentialsLike | str) -> None:
        """Log in with this password, or these credentials, or those that a function returns, from now on.

        The token and the keys that belong to the old ones are forgotten, here and in the store. The session goes on.
        `StoreError` if the store cannot be told; RuntimeError on a client that `connect` has not made. Cancelling may
        leave the old token in the store.
        """
        if isinstance(credentials, str):
            credentials = Credentials.of(self.jid, credentials)
        await self._connected.use_credentials(credentials)

    async def end_by(self, payload: Set[Any], *, to: JID | str | None = None, patience: float = 5.0) -> None:
        """Make a request upon which the server ends the stream (XEP-0077 §3.2): the client is over afterwards.

        Nothing is repaired, and no error leaves the block of `connect`. If the server grants the request but does not
        end the stream within `patience` seconds, the client does. Raises as `request`; after an `XMPPError` the client
        is as it was. A link that breaks before the answer ends the client, too, and it cannot be known what became of
        the request. RuntimeError on a client that `connect` has not made. Cancelling may leave the request with the
        server.
        """
        await self._connected.end_by(lambda: self.request(payload, to=to), patience)

    def network_changed(self, patience: float = 5.0) -> None:
        """Find out at once whether the link is still good: the machine has another network now, or has slept.

        The server is asked for a sign of life; if none comes within `patience` seconds, the link is given up and
        replaced. Without a link, an attempt to get one begins at once. Returns at once.
        """
        self.stream.check_link(patience)
        if self._supervisor is not None:
            self._supervisor.reconnector.hurry(afresh=True)

    def reconnect_now(self) -> None:
        """If there is no link, do not wait for the next attempt any longer: a person wants it now. Returns at once."""
        if self._supervisor is not None:
            self._supervisor.reconnector.hurry(afresh=False)

    # --- what happens, and what is to be so

    def events(self, *, capacity: float = DEFAULT_CAPACITY) -> Subscription[Event]:
        """``async with`` block that gives an inbox of events; it ends when the client has ended."""
        return self.on_event.subscribe(capacity)

    def each_session(self, step: Step, prepare: Prepare) -> AbstractAsyncContextManager[None]:
        """A block during which `prepare` sets up each session: the one of now, and each later one.

        ``prepare(session)`` is an async function, or gives an async context manager: that is entered, and left when the
        session is over, before Destroyed is told, in reverse order. All functions of one `step` run at once, the steps
        in order; the application waits for `Step.PRESENCE`. A session that is resumed keeps what was set up: nothing
        runs. For one that another process began (``session.adopted``) all runs.

        An exception of `prepare` in the session of now leaves the block. Later it is told as a `Trouble` event, and
        `prepare` is tried again, with growing delays, while the session lasts. Without a session nothing runs before
        there is one. Cancelling cancels what is being prepared.
        """
        return self._standing.each_session(step, prepare)

    def maintain(self, apply: Callable[[Client], Awaitable[object]]) -> AbstractAsyncContextManager[None]:
        """A block during which each session is brought into a desired state by ``apply(client)``.

        The same as `each_session` with `Step.PRESENCE`.
        """
        return self.each_session(Step.PRESENCE, _applied(self, apply))

    # --- what services need

    def has(self, namespace: str) -> bool:
        """Return whether the server offers a stream feature of this namespace. False without a session."""
        session = self.session
        return session is not None and any(tag.startswith(f"{{{namespace}}}") for tag in session.features.tags)

    def notes(self, kind: str) -> Notes:
        """Return the notes of one kind: small values by key, kept between processes if there is a store."""
        return self._notebook.of_kind(kind)

    def claim(
        self, jid: JID | str, on_message: Callable[[Message], object], on_presence: Callable[[Presence], object]
    ) -> AbstractContextManager[None]:
        """``with`` block during which all messages and presences from the bare `jid` go to these functions.

        They are called in order of arrival, behind stages and filters. No slot or subscription sees these stanzas. An
        exception in them is logged. ValueError if `jid` is claimed already.
        """
        address = JID.parse(jid) if isinstance(jid, str) else jid
        return self.stream.core.router.claims.claim(address, on_message, on_presence)

    def claimed(self, jid: JID) -> bool:
        """Return whether a service has claimed the bare JID of `jid`."""
        claims = self.stream.core.router.claims
        return bool(claims.messages) and jid in claims  # to look an address up takes longer than to see that none is

    def at_stage(
        self,
        stage: Stage,
        *,
        message: Callable[[Message], Message | None] | None = None,
        presence: Callable[[Presence], Presence | None] | None = None,
    ) -> AbstractContextManager[None]:
        """``with`` block during which these functions see each inbound message and presence at `stage`.

        A function returns the stanza, or another one, or None if it took the stanza for itself. An exception in it
        drops the stanza and is logged (see `Stage` for the order). A stanza that a function takes counts as handled.
        """
        return self.stream.core.router.at_stage(stage, message, presence)

    def answer(
        self,
        payload_cls: type[Question[R]],
        handler: Callable[[IQ], R | Awaitable[R]],
        *,
        from_: Callable[[JID], bool] | None = None,
    ) -> AbstractContextManager[None]:
        """``with`` block during which ``handler(iq)`` answers requests of this class; the class knows its IQ type.

        A plain function is called by the reader, in order of arrival; an async function runs in a task of its own. With
        `from_`, a request is only answered if ``from_(sender)`` is true, else with *service-unavailable*, as if it were
        not known. `own_account` of this client is such a function: the server, in our own name. ValueError if the slot
        is taken.
        """
        answering = handler if from_ is None else _guarded(self, handler, from_)
        return self.iq_handler(payload_cls.IQ_TYPE, payload_cls, answering)

    def iq_handler(
        self, type_: IQType, payload_cls: type[Any], handler: Handler, *, with_send_reply: bool = False
    ) -> AbstractContextManager[None]:
        """``with`` block during which a handler answers requests; see `StanzaStream.register_iq_request_handler`.

        It takes any class of payload. Where that is a ``Get[R]`` or a ``Set[R]``, `answer` checks more.
        """
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

    def own_account(self, sender: JID) -> bool:
        """Return whether `sender` is the bare JID of our account, in whose name the server pushes (RFC 6121 §2.1.6)."""
        return sender == self.jid.bare


def _guarded(client: Client, handler: Callable[[IQ], Any], may_ask: Callable[[JID], bool]) -> Callable[[IQ], Any]:
    """Return a handler that only answers those who may ask."""

    def guarded(iq: IQ) -> Any:
        if not may_ask(iq.from_ or client.jid.bare):
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        return handler(iq)

    return guarded


def _applied(client: Client, apply: Callable[[Client], Awaitable[object]]) -> Prepare:
    """Return a function that prepares a session by ``apply(client)``, under the same name."""

    def prepare(session: Session) -> Awaitable[object]:
        return apply(client)

    prepare.__qualname__ = getattr(apply, "__qualname__", "maintain")
    return prepare
