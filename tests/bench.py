"""A bench: a test of a service, written once, on the embedded server and on real ones.

    @on_every_bench(accounts=2)
    async def test_a_message_arrives(bench):
        romeo, juliet = bench.clients
        ...

The embedded server plays two dialects, in virtual time; ``TRIOXMPP_BENCHES=dialects`` makes that all six. Prosody and
ejabberd, as they are installed, run in real time, and only if ``TRIOXMPP_BENCHES`` names them (``prosody,ejabberd``): a
test there takes seconds. ``servers`` names all real ones, the newer ones of `tests.e2e.kinds` included. A test that
needs what not every server has says so, and is skipped elsewhere with a reason::

    bench.has("moderation")

The accounts are new for each test; the first is ``bench.names[0]``. Clients have one resource each, ``bench``.
"""

from __future__ import annotations

import itertools
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.e2e.kinds import KINDS
from trioxmpp import Client, Presence, PresenceType
from trioxmpp.protocol.elements.extdisco import Service
from trioxmpp.protocol.elements.roster import RosterQuery
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.testing.servers import RealServer
from trioxmpp.xep.administration import add_user

#: Seconds that a test may take in real time, and in virtual time.
REAL_LIMIT, VIRTUAL_LIMIT = 60.0, 86400.0

#: The accounts of a real server; each test takes new ones.
GUESTS = {f"guest{number}": f"masque-{number}" for number in range(600)}

#: The account of the administrator of each server, and its password.
ADMINISTRATOR, ADMINISTRATOR_PASSWORD = "escalus", "friar"

#: The external services of each server.
EXTERNAL = (
    Service(host="turn.example.test", type="stun", port=3478, transport="udp"),
    Service(host="turn.example.test", type="turn", port=3478, transport="udp", restricted=True),
)

#: The features that a test may ask for and that some servers lack.
FEATURES: dict[str, Callable[[Dialect], bool]] = {
    "moderation": lambda dialect: bool(dialect.moderation),
    "occupant ids": lambda dialect: dialect.occupant_ids,
    "mediated invitations": lambda dialect: dialect.mediated_invitations,
    "archive metadata": lambda dialect: dialect.archive_extended,
    "item pages": lambda dialect: dialect.pages_items,
    "max_items": lambda dialect: "max_items" in dialect.node_options,
    "pre-created rooms locked": lambda dialect: dialect.new_room_locked,
}
#: Features that `trioxmpp.testing.servers` switches on in no version, and abilities that only the embedded server has.
NOT_ON_REAL_SERVERS = {
    "forgery": "a real server does not forge",
    "faults": "a real server has no faults to be planned",
}


@dataclass(frozen=True)
class Kind:
    """One place where the tests run."""

    label: str
    dialect: Dialect | None = None
    """The dialect of the embedded server; None for a real server."""

    @property
    def virtual(self) -> bool:
        """Whether time is virtual there."""
        return self.dialect is not None

    def clock(self) -> trio.abc.Clock | None:
        """The clock to run with; None for that of the machine."""
        return trio.testing.MockClock(autojump_threshold=0) if self.virtual else None


EMBEDDED = (
    Kind("embedded-prosody", Dialect.PROSODY_13),
    Kind("embedded-ejabberd", Dialect.EJABBERD_26),
)
OLDER = (
    Kind("embedded-prosody-0.12", Dialect.PROSODY_0_12),
    Kind("embedded-prosody-13.0.1", Dialect.PROSODY_13_0_1),
    Kind("embedded-ejabberd-23", Dialect.EJABBERD_23),
    Kind("embedded-ejabberd-24", Dialect.EJABBERD_24),
)


def kinds() -> list[Kind]:
    """The places that this run is about."""
    wanted = [name for name in os.environ.get("TRIOXMPP_BENCHES", "").split(",") if name]
    unknown = [name for name in wanted if name not in (*KINDS, "dialects", "servers")]
    assert not unknown, f"TRIOXMPP_BENCHES names {unknown}; there are {list(KINDS)}, dialects and servers"
    real = [Kind(name) for name in KINDS if name in wanted or "servers" in wanted]
    return [*EMBEDDED, *(OLDER if "dialects" in wanted else ()), *real]


class Bench:
    """A server, and clients that are connected to it."""

    def __init__(self, label: str, dialect: Dialect, domain: str, accounts: dict[str, str], options: dict[str, Any]):
        self.label = label
        self.dialect = dialect
        """The dialect of the server, which for a real one follows from its version."""
        self.domain = domain
        self.accounts = accounts
        """The passwords by user name."""
        self.names = [*accounts]
        self.clients: list[Client] = []
        """One connected client for each account, in that order."""
        self.server: Server | None = None
        """The embedded server; None on a real one. See `embedded`."""
        self.endpoint: Any = options["endpoint"]
        """Where to connect to."""
        self.tls: ssl.SSLContext | None = options.get("tls")
        """A context that trusts the real server; None for the embedded one."""
        self._options = options
        self._rooms = itertools.count()

    def has(self, feature: str) -> None:
        """Skip the test, with a reason, if this server does not have a feature. KeyError for one that is unknown."""
        if feature in NOT_ON_REAL_SERVERS:
            if self.server is None:
                pytest.skip(f"{self.label}: {NOT_ON_REAL_SERVERS[feature]}")
        elif not FEATURES[feature](self.dialect):
            pytest.skip(f"{self.dialect.name} does not have {feature}")

    def embedded(self) -> Server:
        """Return the embedded server, whose faults can be planned. On a real one, skip the test with a reason."""
        self.has("faults")
        assert self.server is not None
        return self.server

    async def needs(self, feature: str, of: str, module: str) -> None:
        """Skip the test if a real server does not say that `of` has a feature: it has no such module."""
        if not await self.clients[0].disco.has(of, feature):
            pytest.skip(f"{self.label} has no module {module}")

    def connect_administrator(self) -> AbstractAsyncContextManager[Client]:
        """`trioxmpp.connect` for the administrator of the server, to be entered by the test."""
        return trioxmpp.connect(f"{ADMINISTRATOR}@{self.domain}/bench", ADMINISTRATOR_PASSWORD, **self._options)

    async def add_account(self) -> int:
        """Add an account that has no client, as the administrator does; return its number."""
        name = f"new{secrets.token_hex(6)}"
        async with self.connect_administrator() as admin:
            await add_user(admin, f"{name}@{self.domain}", "secret")
        self.names.append(name)
        self.accounts[name] = "secret"
        return len(self.names) - 1

    @property
    def is_real_prosody(self) -> bool:
        """Whether this is a Prosody, of whichever version, and not its dialect of the embedded server."""
        return self.server is None and self.dialect.software == "Prosody"

    def jid(self, number: int) -> str:
        """The bare JID of an account."""
        return f"{self.names[number]}@{self.domain}"

    def room(self) -> str:
        """The JID of a room that does not exist yet."""
        return f"room{next(self._rooms)}-{self.names[0]}@conference.{self.domain}"

    async def add_contacts(self, one: int, other: int) -> None:
        """Let two accounts see each other's presence, in the way of users: requests, approvals, presence of both."""
        for number in (one, other):
            await self.clients[number].request(RosterQuery())
            await self.clients[number].send(Presence())
        for asker, asked in ((one, other), (other, one)):
            requester, approver = self.clients[asker], self.clients[asked]
            async with approver.presences.subscribe(PresenceType.SUBSCRIBE) as requests:
                await requester.send(Presence(to=self.jid(asked), type=PresenceType.SUBSCRIBE))
                await requests.receive()
            async with requester.presences.subscribe(PresenceType.SUBSCRIBED) as answers:
                await approver.send(Presence(to=self.jid(asker), type=PresenceType.SUBSCRIBED))
                await answers.receive()

    def connect(self, number: int, resource: str = "bench", **options: Any) -> AbstractAsyncContextManager[Client]:
        """`trioxmpp.connect` for an account, to be entered by the test."""
        jid, password = f"{self.jid(number)}/{resource}", self.accounts[self.names[number]]
        return trioxmpp.connect(jid, password, **{**self._options, **options})


# --- the embedded server


@asynccontextmanager
async def _embedded(kind: Kind, count: int, settings: dict[str, Any]) -> AsyncIterator[Bench]:
    assert kind.dialect is not None
    accounts = {f"user{number}": "secret" for number in range(1, count + 1)}
    async with open_server(accounts=accounts, dialect=kind.dialect, rooms=True, archive=True, **settings) as server:
        server.upload.serve()
        server.pubsub.serve()
        server.add_account(ADMINISTRATOR, ADMINISTRATOR_PASSWORD)
        server.administration.serve(ADMINISTRATOR)
        server.external_services.serve(*EXTERNAL)
        server.push.serve()
        if kind.dialect.takes_reports:
            server.blocking.take_reports()
        options = {"endpoint": server.endpoint, "allow_plaintext": True}
        bench = Bench(kind.label, kind.dialect, server.domain, accounts, options)
        bench.server = server
        yield bench


# --- real servers


class _RealServers:
    """The servers that this run has started, one of each kind, and the accounts that no test has used."""

    def __init__(self) -> None:
        self._servers: dict[str, tuple[RealServer, Iterator[str]]] = {}

    def get(self, name: str, count: int) -> tuple[RealServer, dict[str, str]]:
        """A server, which has to be started unless it runs, and new accounts."""
        if name not in self._servers:
            self._servers[name] = start(name), iter(GUESTS)
        server, names = self._servers[name]
        chosen = [*itertools.islice(names, count)]
        if len(chosen) < count:
            self._servers.pop(name)[0].close()
            return self.get(name, count)
        return server, {guest: GUESTS[guest] for guest in chosen}

    def close(self) -> None:
        for server, _ in self._servers.values():
            server.close()


def start(name: str) -> RealServer:
    """Return a real server that has the accounts of the tests, and is not started."""
    accounts = {**GUESTS, ADMINISTRATOR: ADMINISTRATOR_PASSWORD}
    return KINDS[name](accounts=accounts, archive=True, administrators=[ADMINISTRATOR])


_REAL = pytest.StashKey[_RealServers]()


def _dialect_of(server: RealServer) -> Dialect:
    """The dialect that is known to be nearest to a version."""
    if server.name == "prosody":
        older = Dialect.PROSODY_13_0_1 if server.version == (13, 0, 1) else Dialect.PROSODY_13
        return Dialect.PROSODY_0_12 if server.version < (13,) else older
    years = {23: Dialect.EJABBERD_23, 24: Dialect.EJABBERD_24}
    return years.get(server.version[0], Dialect.EJABBERD_26)


@asynccontextmanager
async def _real(kind: Kind, count: int, config: pytest.Config) -> AsyncIterator[Bench]:
    if not KINDS[kind.label].installed:
        missing = f"{kind.label} is not installed; as root: make servers"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    servers = config.stash.get(_REAL, None)
    if servers is None:
        servers = config.stash[_REAL] = _RealServers()
        config.add_cleanup(servers.close)
    server, accounts = servers.get(kind.label, count)
    await server.start()
    options = {"endpoint": server.endpoint, "tls": server.ssl_context()}
    yield Bench(kind.label, _dialect_of(server), server.domain, accounts, options)


# --- tests

Test = Callable[[Bench], Awaitable[None]]


def on_every_bench(*, accounts: int = 3, **settings: Any) -> Callable[[Test], Callable[..., None]]:
    """Decorate a test that takes a `Bench`, so that it runs once for each place of `kinds`.

    Each of `accounts` has a client that is connected before the test begins. `settings` are those of the embedded
    server's policy; a real one does not have them.
    """

    def decorate(test: Test) -> Callable[..., None]:
        @pytest.mark.parametrize("bench_kind", kinds(), ids=lambda kind: kind.label)
        def run(bench_kind: Kind, request: pytest.FixtureRequest) -> None:
            async def main() -> None:
                with trio.fail_after(VIRTUAL_LIMIT if bench_kind.virtual else REAL_LIMIT):
                    async with AsyncExitStack() as stack:
                        opened = (
                            _embedded(bench_kind, accounts, settings)
                            if bench_kind.virtual
                            else _real(bench_kind, accounts, request.config)
                        )
                        bench = await stack.enter_async_context(opened)
                        for number in range(accounts):
                            bench.clients.append(await stack.enter_async_context(bench.connect(number)))
                        await test(bench)

            trio.run(main, clock=bench_kind.clock())

        run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
        return run

    return decorate


__all__ = ["Bench", "Kind", "kinds", "on_every_bench"]
