"""Servers for the tests in this folder: the embedded one, over TCP, and real ones, each started once and shared.

A test that takes `venue` runs against every kind of server, by one interface. A server that
it kills or pauses is mended before the next test. A test that needs other settings takes `open_venue`:
``async with open_venue(sm_timeout=1) as venue``.

`real_server` and `server_kind` are for tests of the real servers alone. Which of them there are, `kinds.py` says.
"""

from __future__ import annotations

import itertools
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio

import trioxmpp
from tests.e2e.kinds import KINDS, Kind
from trioxmpp import Client, Event, Liveness, Message, MessageType, ReconnectPolicy, StanzaToken
from trioxmpp.testing import Faults, Server, open_server
from trioxmpp.testing.servers import RealServer, Relay, open_relay

EMBEDDED = "embedded"
ACCOUNTS = {"romeo": "montague", "juliet": "capulet", **{f"guest{n}": f"masque-{n}" for n in range(200)}}

#: Seconds that an event may take. A later one counts as missing.
PATIENCE = 20.0


#: The largest number of real servers that run at the same time: those of ejabberd are large.
CROWD = 8


def kind_of(label: str) -> Kind:
    """That kind of server. One that is missing skips the test, but not where the change is judged."""
    kind = KINDS[label]
    if not kind.installed:
        missing = f"{kind.name} is not installed; as root: make servers"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return kind


# --- real servers, by themselves


class RealServers:
    """Those that were started, by kind and settings. They serve one test after the other."""

    def __init__(self) -> None:
        self._servers: dict[object, RealServer] = {}
        self._users: dict[RealServer, str] = {}

    def get(self, name: str, **settings: Any) -> RealServer:
        """One such server, which has to be started, unless it runs already."""
        key = name, *settings.items()
        server = self._servers.pop(key, None)
        if server is None or not server.directory.exists():  # as after a start that was cancelled
            server = kind_of(name)(accounts=ACCOUNTS, **settings)
        self._servers[key] = server  # the last to be closed
        while len(self._servers) > CROWD:
            self._servers.pop(next(iter(self._servers))).close()
        server.resume_process()
        self._users[server] = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        return server

    def of(self, test: pytest.Item) -> list[RealServer]:
        """Those that this test was the last to use."""
        return [server for server, user in self._users.items() if user == test.nodeid and server.directory.exists()]

    def close(self) -> None:
        for server in self._servers.values():
            server.close()


REAL_SERVERS = pytest.StashKey[RealServers]()


@pytest.fixture(scope="session")
def real_servers(request: pytest.FixtureRequest) -> Iterator[RealServers]:
    servers = request.config.stash[REAL_SERVERS] = RealServers()
    yield servers
    servers.close()


@pytest.fixture(scope="session", params=list(KINDS))
def server_kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of real server in turn."""
    return kind_of(request.param)


@pytest.fixture
def real_server(server_kind: Kind, real_servers: RealServers) -> RealServer:
    """A server that runs, whatever the test before did to it."""
    server = real_servers.get(server_kind.label)
    trio.run(server.start)
    return server


# --- every kind of server, by one interface


class EmbeddedServer:
    """The embedded server in the clothes of a `RealServer`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.domain = server.domain
        self.accounts = ACCOUNTS
        self.endpoint = server.starttls_endpoint
        self.tls_endpoint = server.tls_endpoint
        self.port = int(self.endpoint.rpartition(":")[2])
        self.ssl_context = server.client_tls_context

    async def restart(self) -> None:
        """Crash, and be back after a moment."""
        await self._server.crash()
        await trio.sleep(0.3)
        await self._server.restart()

    async def shutdown(self) -> None:
        await self._server.shut_down()

    async def start(self) -> None:
        if self._server.down:
            await self._server.restart()

    def pause(self) -> None:
        """Hang. Not as hard as a process that is stopped: the connections of now will not be heard of again."""
        self._server.faults = Faults(silent=True)
        for link in self._server.links:
            link.stall()

    def resume_process(self) -> None:
        self._server.faults = Faults()


class Person:
    """A user who is connected: the events of the session, and the messages that arrived, in order."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.got: list[str | None] = []
        self.events: list[Event] = []
        self._changes = trio.lowlevel.ParkingLot()
        client.on_message.connect(self._message)
        client.on_event.connect(self._event)

    def _message(self, message: Message) -> None:
        if message.type is MessageType.CHAT:
            self.got.append(message.body)
        self._changes.unpark_all()

    def _event(self, event: Event) -> None:
        self.events.append(event)
        self._changes.unpark_all()

    @property
    def story(self) -> list[type[Event]]:
        """The events of the session since the user connected."""
        return [type(event) for event in self.events]

    def writes(self, other: Person, body: str) -> StanzaToken:
        return self.client.enqueue(Message(to=other.client.jid, type=MessageType.CHAT, body=body))

    async def until(self, predicate: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait until something is true of what they read, or of what happened to them."""
        with trio.move_on_after(patience):
            while not predicate():
                await self._changes.park()
        assert predicate(), f"it did not happen in time; {self.story}, {len(self.got)} messages: {self.got[-5:]}"

    async def reads(self, *bodies: str) -> None:
        """Wait until that many messages have come, and find that all that have come are these."""
        await self.until(lambda: len(self.got) >= len(bodies))
        assert self.got == list(bodies)

    async def lives_through(self, *story: type[Event]) -> None:
        """Wait until so much has happened, and find that it is this that happened."""
        await self.until(lambda: len(self.story) >= len(story))
        assert self.story == list(story)


class Venue:
    """A server that runs, and people who meet there."""

    def __init__(self, name: str, server: EmbeddedServer | RealServer, names: Iterator[str]) -> None:
        self.name = name
        self.server = server
        self.domain = server.domain
        self.endpoint = server.endpoint
        self.tls_endpoint = server.tls_endpoint
        self.tls: ssl.SSLContext = server.ssl_context()
        self._names = names

    def guest(self) -> str:
        """A user name that no client has used for a login yet."""
        return next(self._names)

    def password(self, user: str) -> str:
        return self.server.accounts[user]

    def connect(
        self, user: str | None = None, resource: str = "here", **options: Any
    ) -> AbstractAsyncContextManager[Client]:
        """`trioxmpp.connect` for this user, else for a new guest. A client that loses its link is back soon."""
        user = user or self.guest()
        defaults = {
            "endpoint": self.endpoint,
            "tls": self.tls,
            "reconnect": ReconnectPolicy(initial=0.05, maximum=0.3),
            "connect_timeout": PATIENCE,
        }
        return trioxmpp.connect(f"{user}@{self.domain}/{resource}", self.password(user), **{**defaults, **options})

    @asynccontextmanager
    async def person(self, user: str | None = None, **options: Any) -> AsyncIterator[Person]:
        async with self.connect(user, **options) as client:
            yield Person(client)

    async def gives_up_a_session(self) -> None:
        """Wait until one that lost its link just now cannot be resumed, if ``sm_timeout=1``."""
        # Prosody counts in whole seconds, and takes one more than it was told.
        await trio.sleep(2.5 if self.name.startswith("prosody") else 1.5)

    def relay(self) -> AbstractAsyncContextManager[Relay]:
        """A wire to this server that can be cut."""
        return open_relay("127.0.0.1", self.server.port)


@pytest.fixture(scope="session", params=[EMBEDDED, *KINDS])
def venue_name(request: pytest.FixtureRequest) -> str:
    """Each kind of server in turn, the embedded one included."""
    return str(request.param)


@pytest.fixture(scope="session")
def guests() -> Iterator[str]:
    return itertools.cycle(user for user in ACCOUNTS if user.startswith("guest"))


OpenVenue = Callable[..., AbstractAsyncContextManager[Venue]]


@pytest.fixture
def open_venue(venue_name: str, real_servers: RealServers, guests: Iterator[str]) -> OpenVenue:
    """Gives a block with a server of these settings. A real one is left for the next test that wants the same."""

    @asynccontextmanager
    async def open_venue(
        *, sm_timeout: int = 300, mechanisms: Sequence[str] | None = None, archive: bool = False
    ) -> AsyncIterator[Venue]:
        if venue_name == EMBEDDED:
            settings = {} if mechanisms is None else {"mechanisms": tuple(mechanisms)}
            async with open_server(accounts=ACCOUNTS, hibernation=sm_timeout, **settings) as embedded:
                embedded.policy.archive = archive
                await embedded.listen()
                yield Venue(venue_name, EmbeddedServer(embedded), guests)
        else:
            settings = {} if sm_timeout == 300 else {"sm_timeout": sm_timeout}
            if mechanisms is not None:
                settings["mechanisms"] = tuple(mechanisms)
            if archive:
                settings["archive"] = True
            server = real_servers.get(venue_name, **settings)
            await server.start()
            yield Venue(venue_name, server, guests)

    return open_venue


@pytest.fixture
async def venue(open_venue: OpenVenue) -> AsyncIterator[Venue]:
    """A server that runs, whatever the test before did to it."""
    async with open_venue() as venue:
        yield venue


@pytest.fixture
def impatient() -> dict[str, Any]:
    """Options of a client that soon notices a dead link. A busy machine may take a second to answer."""
    return {"liveness": Liveness(0.2, 1.0), "connect_timeout": 2.0}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cell(section, row): what it shows, in the table of docs/servers.md")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    servers = item.config.stash.get(REAL_SERVERS, None)
    if report.failed and servers is not None:
        report.sections += [(f"log of {server.name}", server.log[-6000:]) for server in servers.of(item)]
    return report
