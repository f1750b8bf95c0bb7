"""An XMPP server inside the test: in memory or on loopback, with a plan of what goes wrong."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import trio

from ... import xml
from ...errors import StreamCondition, StreamError
from ...jid import JID
from ...stream.bare import bare
from ...transport.base import Transport
from ...transport.channelbinding import server_end_point
from ...transport.endpoint import Endpoint
from ...transport.tcp import StreamTransport
from ..clock import hold_clock_for_threads
from ..faults import Faults
from ..memory import MemoryStream, memory_link
from .account import Account
from .acknowledgements import Delivery
from .certificates import Authority
from .conversation import Conversation
from .link import Link
from .policy import Certificate, Policy, StartTLS
from .router import ServerRouter
from .session import ServerSession
from .sessions import Sessions

__all__ = ["Accepted", "Server", "open_server"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """One entry of `Server.log`: a stanza, as it was passed on, and the full JID of who sent it."""

    jid: str
    stanza: xml.Element


class Server:
    """An XMPP server for clients of one domain; `open_server` makes one.

    It logs in, binds, routes messages, presence and IQs between its accounts, keeps messages for who is offline, and
    all of them if its policy says so, and manages streams (XEP-0198) with a queue that is really kept, resumed, and
    expires. It does not federate, and stores nothing beyond its block. All times are trio's, so that under a
    `trio.testing.MockClock` an outage of ten minutes takes none; but those in the archive are everybody's.
    """

    def __init__(self, domain: str, nursery: trio.Nursery, policy: Policy) -> None:
        self.domain = domain
        self.policy = policy
        self.faults = Faults()
        """What goes wrong on links to come."""
        self.links: list[Link] = []
        """Those that are open, the newest at the end."""
        self.link_count = 0
        """How many there ever were."""
        self.log: deque[Accepted] = deque(maxlen=policy.history)
        """What was accepted from anybody, oldest first; not more than `Policy.history`."""
        self.down = False
        """Whether it has crashed, or was shut down."""
        self._nursery = nursery
        self._accounts: dict[str, Account] = {}
        self.accounts: Mapping[str, Account] = MappingProxyType(self._accounts)
        """By user name."""
        self.sessions = Sessions(policy, nursery, self._session_ended, self._changed)
        """Those that exist, linked or hibernating, by full JID: ``server.sessions["romeo@example.test/orchard"]``."""
        self._router = ServerRouter(domain, self.accounts, self.sessions, policy)
        self._plans: deque[Faults] = deque()
        self._parked: list[trio.abc.Stream] = []
        self._changes = trio.lowlevel.ParkingLot()
        self._authority: Authority | None = None
        self._ports: tuple[str, int, int] | None = None
        self._listening = trio.CancelScope()
        self._listeners = 0

    # --- accounts

    def add_account(self, name: str, password: str) -> Account:
        """A new account, or an old one with another password."""
        jid = str(JID(name, self.domain, None))
        local = jid.rpartition("@")[0]
        if local in self._accounts:
            self._accounts[local].change_password(password)
        else:
            self._accounts[local] = Account(jid, password, self.policy.history)
        return self._accounts[local]

    def add_contacts(self, one: str, other: str) -> None:
        """Let two accounts see each other's presence from now on, and stand in each other's roster."""
        accounts = self._accounts[one], self._accounts[other]
        accounts[0].contacts.add(accounts[1].jid)
        accounts[1].contacts.add(accounts[0].jid)

    # --- how to get there

    async def endpoint(self, *, capacity: float = float("inf")) -> trio.abc.Stream:
        """A new link in memory: ``connect(..., endpoint=server.endpoint)`` calls this for each attempt.

        `capacity` bounds how many bytes may be under way in each direction. Raises ConnectionRefusedError while the
        server is down.
        """
        return await self.link(capacity=capacity)

    async def link(
        self, *, capacity: float = float("inf"), direct_tls: bool = False, websocket: bool = False
    ) -> MemoryStream:
        """Return the client's end of a new link in memory, as `endpoint` does.

        The server expects TLS on it at once if `direct_tls`, and then a WebSocket handshake if `websocket`.
        """
        await trio.lowlevel.checkpoint()
        if self.down:
            raise ConnectionRefusedError("the server is down")
        ours, theirs = memory_link(capacity)
        starttls = "none" if direct_tls or websocket else self.policy.starttls or "none"
        serve = partial(self._serve, ours, starttls, direct_tls=direct_tls, websocket=websocket)
        self._nursery.start_soon(serve)
        return theirs

    async def websocket_endpoint(self, *, capacity: float = float("inf")) -> Transport:
        """Like `endpoint`, but it is a WebSocket (RFC 7395): ``connect(..., endpoint=server.websocket_endpoint)``.

        What `Faults` and `Link` say of bytes is about those of XML, as they would be over TCP, or else on the wire.
        """
        from ...transport.websocket import open_websocket  # few need it

        stream = StreamTransport(await self.link(capacity=capacity, websocket=True))
        return await open_websocket(self._nursery, stream, Endpoint("ws", self.domain, 80, "/xmpp-websocket"))

    async def listen(self, host: str = "127.0.0.1", port: int = 0, tls_port: int = 0) -> int:
        """Listen on TCP too: with STARTTLS on `port` and with TLS from the first byte on `tls_port`.

        Returns the number of the former; 0 stands for any that is free. Raises OSError.
        """
        plain = await trio.open_tcp_listeners(port, host=host)
        try:
            direct = await trio.open_tcp_listeners(tls_port, host=host)
        except BaseException:
            for listener in plain:
                listener.socket.close()
            raise
        self._ports = host, plain[0].socket.getsockname()[1], direct[0].socket.getsockname()[1]
        self._listening = trio.CancelScope()
        self.prepare_tls()
        await self._nursery.start(self._accept, plain, direct, self._listening)
        return self._ports[1]

    @property
    def starttls_endpoint(self) -> str:
        """Where it listens for STARTTLS: ``xmpp://127.0.0.1:PORT``. RuntimeError before `listen`."""
        host, port, _ = self._where()
        return f"xmpp://{host}:{port}"

    @property
    def tls_endpoint(self) -> str:
        """Where it listens for TLS: ``xmpps://127.0.0.1:PORT``. RuntimeError before `listen`."""
        host, _, port = self._where()
        return f"xmpps://{host}:{port}"

    def _where(self) -> tuple[str, int, int]:
        if self._ports is None:
            raise RuntimeError("the server does not listen; await server.listen()")
        return self._ports

    def client_tls_context(self, *addresses: str) -> ssl.SSLContext:
        """What a client needs to trust this server. Needs `trustme`, the extra ``trioxmpp[testing]``.

        `addresses` are those of a client certificate, for a login by EXTERNAL.
        """
        return self.authority.client_context(*addresses)

    def prepare_tls(self) -> None:
        """Create the server's certificate, which takes some time."""
        self.tls_context()

    def tls_context(self) -> ssl.SSLContext:
        """The server's own, with the certificate that `Policy.certificate` asks for."""
        return self.authority.server_context(self.policy.certificate)

    def end_point(self) -> bytes | None:
        """What that certificate binds a login to (``tls-server-end-point``, RFC 5929)."""
        if self._authority is None:
            return None
        return server_end_point(self._authority.certificate(self.policy.certificate))

    @property
    def authority(self) -> Authority:
        """Who has issued its certificate."""
        if self._authority is None:
            self._authority = Authority(self.domain)
        return self._authority

    # --- what happens to it

    def plan(self, faults: Faults) -> None:
        """Have the next link go wrong in this way, the one after it as the next call of `plan` says, and so on."""
        self._plans.append(faults)

    async def crash(self) -> None:
        """Die: every link is reset, every session forgotten, and nobody is let in until `restart`.

        Accounts and offline messages are still there afterwards.
        """
        self._go_down()
        for session in list(self.sessions.values()):
            self.sessions.forget(session)
        for link in list(self.links):
            link.reset()
        for account in self._accounts.values():
            account.forget()
        await self.until(lambda: not self._listeners)

    async def shut_down(self) -> None:
        """Go in peace: every stream ends with *system-shutdown*, every session is over but its count remembered."""
        self._go_down()
        farewell = StreamError(StreamCondition.SYSTEM_SHUTDOWN, by_us=True)
        for session in list(self.sessions.values()):
            self.sessions.end(session, farewell)
        for link in list(self.links):
            link.end(farewell)
        await self.until(lambda: not self.links and not self._listeners)

    def _go_down(self) -> None:
        self.down = True
        self._listening.cancel()

    async def restart(self) -> None:
        """Come back after `crash` or `shut_down`, on the same ports. Raises OSError if somebody else took them."""
        await trio.lowlevel.checkpoint()
        self.down = False
        if self._ports is not None:
            await self.listen(*self._ports)

    def expire(self, jid: str) -> None:
        """Let the time of a session run out now. Its client is told what was handled when it wants to resume it."""
        self.sessions.end(self.sessions[jid])

    def forget(self, jid: str) -> None:
        """Lose a session, as if it had never been; a link that it has is reset. KeyError if there is none."""
        self.sessions.forget(self.sessions[jid])

    async def until(self, predicate: Callable[[], Any]) -> None:
        """Wait until something is true of links, sessions or what was accepted.

        ``await server.until(lambda: len(server.log) == 3)``. Cancelling is safe.
        """
        await trio.lowlevel.checkpoint()
        while not predicate():
            await self._changes.park()

    # --- for its parts

    def accepted(self, session: ServerSession, stanza: xml.Element) -> None:
        """A stanza has come in: it is counted, noted down, and sent where it belongs."""
        session.count(stanza)
        self.log.append(Accepted(session.jid, stanza))
        self._router.route(session, stanza)
        self._changed()

    def _session_ended(self, session: ServerSession, unacked: Sequence[Delivery]) -> None:
        self._router.session_ended(session, unacked)

    def _changed(self) -> None:
        self._changes.unpark_all()

    async def _accept(
        self,
        plain: list[trio.SocketListener],
        direct: list[trio.SocketListener],
        scope: trio.CancelScope,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        starttls = self.policy.starttls or "required"
        self._listeners += 1
        with scope:
            async with trio.open_nursery() as nursery:
                for listeners, direct_tls in ((plain, False), (direct, True)):
                    serve = partial(self.serve_listeners, direct_tls=direct_tls)
                    await nursery.start(serve, listeners, starttls)
                task_status.started()
        self._listeners -= 1
        self._changed()

    async def serve_listeners(
        self,
        listeners: list[trio.SocketListener],
        starttls: StartTLS,
        *,
        direct_tls: bool = False,
        websocket: bool = False,
        task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve the clients that connect to `listeners`, until cancelled; their links end with the server's block."""
        handler = partial(self._serve, starttls=starttls, direct_tls=direct_tls, websocket=websocket)
        await trio.serve_listeners(handler, listeners, handler_nursery=self._nursery, task_status=task_status)

    async def _serve(self, stream: MemoryStream | trio.SocketStream, starttls: StartTLS, **kind: bool) -> None:
        faults = self._plans.popleft() if self._plans else self.faults
        link = Link(stream, faults, on_lost=self._link_lost, park=self._parked.append, **kind)
        self.links.append(link)
        if self.down:
            link.reset()
            return
        self.link_count += 1
        self._changed()
        await link.run(Conversation(self, link, starttls).run)

    def _link_lost(self, link: Link) -> None:
        if link.closed:
            self.links.remove(link)
        self.sessions.link_lost(link)

    async def _close(self) -> None:
        for link in list(self.links):
            link.close()
        for stream in self._parked:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def open_server(
    domain: str = "example.test",
    accounts: Mapping[str, str] | None = None,
    *,
    hibernation: float = 300.0,
    sm: bool = True,
    starttls: StartTLS | None = None,
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"),
    channel_bindings: tuple[str, ...] | None = ("tls-server-end-point",),
    prove_offer: bool = True,
    session_required: bool = False,
    resume_h_in_failed: bool = True,
    ack_requests: bool = True,
    location: str | None = None,
    certificate: Certificate = "valid",
    history: int = 10_000,
) -> AsyncIterator[Server]:
    """A block during which there is an XMPP server; gives a `Server`.

        async with open_server(accounts={"romeo": "secret"}) as server:
            async with trioxmpp.connect(
                "romeo@example.test", "secret", endpoint=server.endpoint, allow_plaintext=True
            ) as client:
                ...
                server.sessions[str(client.jid)].link.reset()

    `accounts` are passwords by user name; the default is romeo and juliet, whose password is ``secret``. What else
    may be said is told in `Policy`. Nothing listens on a network until `Server.listen` is called.

    Leaving the block ends everything at once, without farewell. What the body raises leaves as it is. Under a
    `trio.testing.MockClock`, time stands still while a thread is at work (`hold_clock_for_threads`).
    """
    policy = Policy(
        hibernation=hibernation,
        sm=sm,
        starttls=starttls,
        mechanisms=mechanisms,
        channel_bindings=channel_bindings,
        prove_offer=prove_offer,
        session_required=session_required,
        resume_h_in_failed=resume_h_in_failed,
        ack_requests=ack_requests,
        location=location,
        certificate=certificate,
        history=history,
    )
    hold_clock_for_threads()
    with bare() as inside:
        async with trio.open_nursery() as nursery:
            server = Server(domain, nursery, policy)
            for name, password in ({"romeo": "secret", "juliet": "secret"} if accounts is None else accounts).items():
                server.add_account(name, password)
            try:
                with inside:
                    yield server
            finally:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await server._close()
