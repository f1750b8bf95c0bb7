"""An XMPP server inside the test: in memory or on loopback, with planned faults."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypedDict, TypeVar

import trio

from ... import xml
from ...errors import StreamCondition, StreamError
from ...jid import JID
from ...protocol.stanza import IQ, Message, Presence, Question
from ...transport.base import Transport
from ...transport.endpoint import Endpoint
from ...transport.tcp import StreamTransport
from ..transcript import parse_script
from ..virtual.faults import Faults
from ..virtual.memory import MemoryStream, memory_link
from .account import Account
from .administration import Administration
from .blocking import Blocking
from .certificates import Authority
from .commands import Commands
from .components import Components
from .conversation import Conversation
from .dialect import Dialect
from .extservices import ExternalServices
from .link import Link
from .listening import Listening
from .parts import Parts
from .pep import Public
from .policy import Policy, StartTLS
from .post import Post
from .push import Push
from .rooms import Rooms
from .services import EVERYWHERE, AddressFeatures, At, Services
from .session import ServerSession
from .sessions import Sessions
from .upload import Upload

__all__ = ["Accepted", "Server", "ServerOptions"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Accepted:
    """One entry of `Server.log`: a stanza as it was routed, and the full JID of its sender."""

    jid: str
    stanza: xml.Element


class ServerOptions(TypedDict):
    """The options of `connect` for a link in memory to a `Server`."""

    endpoint: Callable[[], Awaitable[trio.abc.Stream]]
    allow_plaintext: bool


class Server:
    """An XMPP server for clients of one domain; `open_server` makes one.

    It logs clients in, binds, routes stanzas between its accounts, keeps messages for offline users, and manages
    streams (XEP-0198) with a queue that is kept, resumed, and expires. Beside that it has rosters, block lists,
    archives, personal nodes, rooms, and small services; see the modules of this folder. It does not federate, and
    stores nothing beyond its block. All timers are trio's, so that under a `trio.testing.MockClock` an outage of ten
    minutes takes no time; stamps in stanzas are those of the real clock.
    """

    def __init__(self, domain: str, nursery: trio.Nursery, policy: Policy, dialect: Dialect) -> None:
        self._changes = trio.lowlevel.ParkingLot()
        self.domain = domain
        self.policy = policy
        self.faults: Faults = Faults()
        """The faults of later links."""
        self.links: list[Link] = []
        """The open links, the newest at the end."""
        self.link_count: int = 0
        """The number of links that there ever were."""
        self.log: deque[Accepted] = deque(maxlen=policy.history)
        """The stanzas that were accepted from clients, oldest first; not more than `Policy.history`."""
        self.down: bool = False
        """Whether it has crashed, or was shut down."""
        self._nursery = nursery
        self._accounts: dict[str, Account] = {}
        self.accounts: Mapping[str, Account] = MappingProxyType(self._accounts)
        """The accounts by user name."""
        self.sessions: Sessions = Sessions(
            policy, nursery, lambda *ended: self._router.session_ended(*ended), self._changes.unpark_all
        )
        """The sessions, linked or hibernating, by full JID: ``server.sessions["romeo@example.test/orchard"]``."""
        self.dialect = dialect
        """The kind of server that it plays."""
        self.services: Services = Services(nursery, dialect)
        """The door for services; see `answer`."""
        self.features: AddressFeatures = self.services.features
        """The answers of disco#info: ``server.features.domain`` and ``server.features.account``."""
        self.post: Post = Post(domain, self.accounts, self.sessions, policy, dialect, self.services)
        """The way to the users of the domain, for services."""
        self.components: Components = Components(self.post)
        """The domains of components, and their links."""
        parts = Parts(self.post, policy.history, self.add_account, self.remove_account)
        self.rooms: Rooms = parts.rooms
        """Its rooms; ``serve()`` begins the service."""
        self.upload: Upload = parts.upload
        """Its upload service; ``serve()`` begins it."""
        self.pubsub: Public = parts.pubsub
        """Its publish-subscribe service; ``serve()`` begins it."""
        self.commands: Commands = parts.commands
        """Its ad-hoc commands."""
        self.administration: Administration = parts.administration
        """The commands for administrators (XEP-0133); ``serve("admin")`` offers them to a user."""
        self.external_services: ExternalServices = parts.external_services
        """Its external services (XEP-0215); ``serve(Service(...))`` announces them."""
        self.push: Push = parts.push
        """Its push notifications (XEP-0357); ``serve()`` offers them."""
        self.blocking: Blocking = parts.blocking
        """Its block lists (XEP-0191); ``take_reports()`` has it take reports with them (XEP-0377)."""
        self._router = parts.router
        self._listening = Listening(domain, policy, self.serve_listeners, self._changes.unpark_all)
        self._plans: deque[Faults] = deque()
        self._parked: list[trio.abc.Stream] = []

    # --- the door for services

    def answer(
        self,
        payload_cls: type[Question[R]],
        function: Callable[[IQ], R | Awaitable[R]],
        at: tuple[At, ...] = EVERYWHERE,
    ) -> None:
        """Have `function` answer requests with a payload of this class, which no client gets any more.

            server.answer(Query, lambda iq: Report(celsius=iq.payload.place == "Ulm" and 18 or 20))

        The class is a ``Get[...]`` or a ``Set[...]``. `function` gets the `IQ` and returns the payload of the result,
        None, or an awaitable for it; the `XMPPError` that it raises is the answer. `at` says which requests are meant:
        to the domain, to the sender's own account, to the accounts of others.
        """
        self.services.answer(payload_cls, function, at)

    def send(self, *stanzas: Message | Presence | IQ | str) -> None:
        """Bring these stanzas to their ``to``, in order, in the name of their ``from``: the server's, or another's.

        A string is XML, with any number of stanzas. Addresses that are not online get what they would get of a stanza.
        """
        for stanza in stanzas:
            for element in parse_script(stanza if isinstance(stanza, str) else stanza.serialise()):
                self.post.send(element)

    # --- accounts

    def add_account(self, name: str, password: str) -> Account:
        """Create an account, or give an old one another password. Raises JIDError for a name that cannot be."""
        jid = str(JID(name, self.domain, None))
        local = jid.rpartition("@")[0]
        if local in self._accounts:
            self._accounts[local].change_password(password)
        else:
            self._accounts[local] = Account(jid, password, self.policy.history)
        return self._accounts[local]

    def remove_account(self, name: str) -> None:
        """Forget an account. KeyError if there is none."""
        del self._accounts[name]

    def add_contacts(self, one: str, other: str) -> None:
        """Let two accounts see each other's presence from now on, and stand in each other's roster."""
        first, second = self._accounts[one], self._accounts[other]
        first.roster.add(second.jid)
        second.roster.add(first.jid)

    def add_component(self, domain: str, secret: str) -> None:
        """Let a component with this secret speak for a domain (XEP-0114)."""
        self.components.add(domain, secret)

    # --- endpoints

    @property
    def options(self) -> ServerOptions:
        """The options of `connect` for a link in memory, without TLS: ``connect(jid, password, **server.options)``."""
        return {"endpoint": self.endpoint, "allow_plaintext": True}

    async def endpoint(self, *, capacity: float = float("inf")) -> trio.abc.Stream:
        """Return a new link in memory: ``connect(..., endpoint=server.endpoint)`` calls this for each attempt.

        `capacity` bounds the bytes that are under way in each direction. Raises ConnectionRefusedError while the
        server is down.
        """
        return await self.link(capacity=capacity)

    async def link(
        self,
        *,
        capacity: float = float("inf"),
        direct_tls: bool = False,
        websocket: bool = False,
        component: bool = False,
    ) -> MemoryStream:
        """Return the client's end of a new link in memory, as `endpoint` does.

        The server expects TLS on it at once if `direct_tls`, and then a WebSocket handshake if `websocket`; or the
        stream of a component.
        """
        await trio.lowlevel.checkpoint()
        if self.down:
            raise ConnectionRefusedError("the server is down")
        ours, theirs = memory_link(capacity)
        starttls = "none" if direct_tls or websocket else self.policy.starttls or "none"
        kind = {"direct_tls": direct_tls, "websocket": websocket}
        serve = partial(self._serve, ours, starttls, component=component, **kind)
        self._nursery.start_soon(serve)
        return theirs

    async def component_endpoint(self) -> trio.abc.Stream:
        """Return a new link in memory for a component (XEP-0114); see `add_component`.

        Raises ConnectionRefusedError while the server is down.
        """
        return await self.link(component=True)

    async def websocket_endpoint(self, *, capacity: float = float("inf")) -> Transport:
        """Return a new WebSocket in memory (RFC 7395): ``connect(..., endpoint=server.websocket_endpoint)``.

        `Faults` and `Link` count bytes of XML as they would be over TCP, or bytes on the wire.
        """
        from ...transport.websocket import open_websocket  # few need it

        stream = StreamTransport(await self.link(capacity=capacity, websocket=True))
        return await open_websocket(self._nursery, stream, Endpoint("ws", self.domain, 80, "/xmpp-websocket"))

    async def listen(self, host: str = "127.0.0.1", port: int = 0, tls_port: int = 0) -> int:
        """Listen on TCP too: with STARTTLS on `port` and with TLS from the first byte on `tls_port`.

        Return the number of the former; 0 stands for any that is free. Raises OSError. If cancelled, nothing listens.
        """
        plain, direct = await self._listening.open(host, port, tls_port)
        self.tls_context()  # which takes some time to make
        await self._nursery.start(self._listening.run, plain, direct)
        return self._listening.place()[1]

    @property
    def starttls_endpoint(self) -> str:
        """The endpoint with STARTTLS: ``xmpp://127.0.0.1:PORT``. RuntimeError before `listen`."""
        host, port, _ = self._listening.place()
        return f"xmpp://{host}:{port}"

    @property
    def tls_endpoint(self) -> str:
        """The endpoint with direct TLS: ``xmpps://127.0.0.1:PORT``. RuntimeError before `listen`."""
        host, _, port = self._listening.place()
        return f"xmpps://{host}:{port}"

    def client_tls_context(self, *addresses: str) -> ssl.SSLContext:
        """Return a context that trusts this server. Needs `trustme`, the extra ``trioxmpp[testing]``.

        `addresses` are those of a client certificate, for a login by EXTERNAL.
        """
        return self.authority.client_context(*addresses)

    def tls_context(self) -> ssl.SSLContext:
        """Return the server's context, with the certificate that `Policy.certificate` asks for."""
        return self._listening.tls_context()

    def end_point(self) -> bytes | None:
        """Return the channel binding of that certificate (``tls-server-end-point``, RFC 5929)."""
        return self._listening.end_point()

    @property
    def authority(self) -> Authority:
        """The issuer of its certificates."""
        return self._listening.authority

    # --- faults of the server

    def plan(self, faults: Faults) -> None:
        """Give the next link these faults; the next call of `plan` is for the link after it, and so on."""
        self._plans.append(faults)

    async def crash(self) -> None:
        """Crash: reset all links, forget all sessions, and refuse connections until `restart`.

        Accounts and offline messages are still there afterwards.
        """
        self.down = True
        self._listening.close()
        for session in list(self.sessions.values()):
            self.sessions.forget(session)
        for link in list(self.links):
            link.reset()
        for account in self._accounts.values():
            account.forget()
        await self.until(lambda: not self._listening.active)

    async def shut_down(self) -> None:
        """Shut down in order: end all streams with *system-shutdown*, and all sessions; remember their counts."""
        self.down = True
        self._listening.close()
        farewell = StreamError(StreamCondition.SYSTEM_SHUTDOWN, by_us=True)
        for session in list(self.sessions.values()):
            self.sessions.end(session, farewell)
        for link in list(self.links):
            link.end(farewell)
        await self.until(lambda: not self.links and not self._listening.active)

    async def restart(self) -> None:
        """Come back after `crash` or `shut_down`, on the same ports. Raises OSError if they are taken."""
        await trio.lowlevel.checkpoint()
        self.down = False
        if self._listening.ports is not None:
            await self.listen(*self._listening.ports)

    def expire(self, jid: str) -> None:
        """Let a session expire now. A client that resumes it is told its count."""
        self.sessions.end(self.sessions[jid])

    def forget(self, jid: str) -> None:
        """Forget a session as if it had never existed; its link is reset. KeyError if there is none."""
        self.sessions.forget(self.sessions[jid])

    async def until(self, predicate: Callable[[], Any]) -> None:
        """Wait until a condition of links, sessions or accepted stanzas is true.

        ``await server.until(lambda: len(server.log) == 3)``. Cancelling is safe.
        """
        await trio.lowlevel.checkpoint()
        while not predicate():
            await self._changes.park()

    # --- for the parts of the server

    def accepted(self, session: ServerSession, stanza: xml.Element) -> None:
        """Count a stanza that came in, log it, and route it."""
        session.count(stanza)
        self.log.append(Accepted(session.jid, stanza))
        self._router.route(session, stanza)
        self._changes.unpark_all()

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

    async def _serve(
        self, stream: MemoryStream | trio.SocketStream, starttls: StartTLS, *, component: bool = False, **kind: bool
    ) -> None:
        faults = self._plans.popleft() if self._plans else self.faults
        link = Link(stream, faults, on_lost=self._link_lost, park=self._parked.append, **kind)
        self.links.append(link)
        if self.down:
            link.reset()
            return
        self.link_count += 1
        self._changes.unpark_all()
        conversation = partial(self.components.converse, link) if component else Conversation(self, link, starttls).run
        await link.run(conversation)

    def _link_lost(self, link: Link) -> None:
        if link.closed:
            self.links.remove(link)
        self.sessions.link_lost(link)

    async def close_links(self) -> None:
        """Close all links at once, without farewell. A checkpoint if any was swallowed; cancelling leaves some open."""
        for link in list(self.links):
            link.close()
        for stream in self._parked:
            await trio.aclose_forcefully(stream)
