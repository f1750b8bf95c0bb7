"""The endpoint that worked last goes first in the next process, too; but never past what that one was told."""

from __future__ import annotations

from types import SimpleNamespace

import dns.name
import dns.resolver
import pytest
import trio

import trioxmpp
from trioxmpp import JID, Login, MemoryStore, StoredSession
from trioxmpp.testing import open_server
from trioxmpp.testing.network import Network
from trioxmpp.transport.endpoint import Endpoint

A, B, HOLE = "192.0.2.1", "192.0.2.2", "192.0.2.66"


class Records:
    """A resolver: the targets of the SRV records for STARTTLS, the best first; None: it never answers."""

    def __init__(self, *targets: str) -> None:
        self.targets: tuple[str, ...] | None = targets

    async def resolve(self, qname, rdtype, *, backend):
        await trio.lowlevel.checkpoint()
        if self.targets is None:
            await trio.sleep_forever()
        if qname.startswith("_xmpps-"):
            raise dns.resolver.NXDOMAIN
        return [
            SimpleNamespace(priority=priority, weight=0, target=dns.name.from_text(target), port=5222)
            for priority, target in enumerate(self.targets)
        ]


@pytest.fixture
async def server(autojump_clock):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    async with open_server(starttls="required") as server:
        server.policy.sasl2 = True
        yield server


@pytest.fixture
async def network(server):
    network = Network()
    network.names |= {"a.test": [A], "b.test": [B], "hole.test": [HOLE]}
    network.answers |= {(A, 5222): server.endpoint, (B, 5222): server.endpoint}
    network.begin()
    return network


async def attempts(network: Network, server, store: MemoryStore, records: Records, **options) -> list[str]:
    """Where a process with that store tries to connect to."""
    before = len(network.attempts)
    tls = server.client_tls_context()
    async with trioxmpp.connect(
        "romeo@example.test", "secret", store=store, resolver=records, tls=tls, **options
    ) as client:
        assert client.established
    return [address for _, address, _ in network.attempts[before:]]


async def test_the_way_that_worked_last_waits_neither_for_the_dns_nor_for_a_black_hole(autojump_clock, network, server):
    store, records = MemoryStore(), Records("hole.test.", "a.test.")
    assert await attempts(network, server, store, records) == [HOLE, A]
    records.targets = None
    assert await attempts(network, server, store, records) == [A]
    assert store.ticket.login.endpoint == Endpoint("xmpp", "a.test", 5222)


async def test_the_way_that_worked_last_may_have_moved_since(autojump_clock, network, server):
    store = MemoryStore()
    assert await attempts(network, server, store, Records("a.test.")) == [A]
    network.names["a.test"] = [HOLE]
    assert await attempts(network, server, store, Records("b.test.")) == [HOLE, B]
    assert await attempts(network, server, store, Records("b.test.")) == [B]


async def test_among_endpoints_that_are_given_it_goes_first(autojump_clock, network, server):
    store, given = MemoryStore(), ["xmpp://hole.test", "xmpp://a.test"]
    assert await attempts(network, server, store, Records(), endpoint=given) == [HOLE, A]
    assert await attempts(network, server, store, Records(), endpoint=given) == [A]


async def test_one_that_is_not_given_any_more_is_not_tried(autojump_clock, network, server):
    store = MemoryStore()
    assert await attempts(network, server, store, Records("a.test.")) == [A]
    assert await attempts(network, server, store, Records("a.test."), endpoint="xmpp://b.test") == [B]
    assert await attempts(network, server, store, Records("a.test.")) == [A]


async def test_without_tls_the_store_says_nothing_about_the_way(autojump_clock, network, server):
    store = MemoryStore()
    assert await attempts(network, server, store, Records("a.test.")) == [A]
    assert await attempts(network, server, store, Records("b.test."), allow_plaintext=True) == [B]


async def test_a_websocket_that_was_given_once_is_not_tried_by_a_client_that_gives_no_endpoint(
    autojump_clock, network, server
):
    """Its certificate was for its own host, not for the domain: the program vouched for the endpoint by giving it."""
    stored = StoredSession(
        JID.parse("romeo@example.test"), 0.0, login=Login(endpoint=Endpoint("wss", "a.test", 443, "/ws"))
    )
    assert await attempts(network, server, MemoryStore(stored), Records("b.test.")) == [B]
