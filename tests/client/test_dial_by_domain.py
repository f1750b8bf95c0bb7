"""From an address alone to a session: records, targets, addresses, and what a person is told if there is no way."""

from __future__ import annotations

import datetime
import ssl
from types import SimpleNamespace

import dns.name
import dns.resolver
import pytest
import trio
import trustme

import trioxmpp
from tests.records import Records
from trioxmpp import ConnectError, TLSFailure
from trioxmpp.errors import Stage
from trioxmpp.testing import memory_link, open_server
from trioxmpp.testing.network import Network


@pytest.fixture
async def network(autojump_clock):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    network = Network()
    network.names |= {"a.example.test": ["192.0.2.1"], "b.example.test": ["192.0.2.2"], "hole.test": ["192.0.2.66"]}
    network.begin()
    return network


@pytest.fixture
async def server(network):
    async with open_server(starttls="required") as server:
        yield server


def connect(resolver, **options):
    return trioxmpp.connect("romeo@example.test/orchard", "secret", resolver=resolver, **options)


async def test_a_black_hole_of_high_priority_does_not_keep_us(autojump_clock, network, server):
    records = Records(starttls=[(1, "hole.test.", 5222), (2, "a.example.test.", 5222)])
    network.answers["192.0.2.1", 5222] = server.endpoint
    began = trio.current_time()
    async with connect(records, tls=server.client_tls_context()) as client:
        assert client.established
        assert trio.current_time() - began < 0.3
    assert [address for _, address, _ in network.attempts] == ["192.0.2.66", "192.0.2.1"]


async def test_priorities_are_kept_across_both_kinds(autojump_clock, network, server):
    records = Records(starttls=[(2, "a.example.test.", 5222)], direct=[(1, "b.example.test.", 5223)])
    network.answers["192.0.2.1", 5222] = server.endpoint
    network.answers["192.0.2.2", 1] = server.endpoint
    async with connect(records, tls=server.client_tls_context()):
        pass
    assert [address for _, address, _ in network.attempts] == ["192.0.2.2", "192.0.2.1"]


async def test_without_records_it_is_the_domain_itself(autojump_clock, network, server):
    network.names["example.test"] = ["192.0.2.1"]
    network.answers["192.0.2.1", 5222] = server.endpoint
    async with connect(Records(), tls=server.client_tls_context()) as client:
        assert client.established


async def test_when_no_server_answers_the_words_of_the_dns_are_told_too(autojump_clock, network):
    async def broken(qname, rdtype, *, backend):
        raise dns.resolver.LifetimeTimeout(timeout=5, errors=[])

    with pytest.raises(ConnectError) as failure:
        async with connect(SimpleNamespace(resolve=broken)):
            pass
    told = str(failure.value)
    assert "the DNS did not answer the question for the SRV records _xmpp-client._tcp.example.test" in told
    assert "cannot find the address of example.test" in told
    assert {attempt.stage for attempt in failure.value.attempts} == {Stage.RESOLVING}


async def test_a_domain_without_xmpp_says_so(autojump_clock, network):
    nothing = [(0, ".", 0)]
    with pytest.raises(ConnectError, match="it offers no XMPP to clients"):
        async with connect(Records(nothing, nothing)):
            pass
    assert not network.attempts


async def test_a_dns_that_hangs_ends_by_the_deadline(autojump_clock, network):
    began = trio.current_time()
    with pytest.raises(ConnectError, match="the DNS did not answer in time"):
        async with connect(Records(None, None), connect_timeout=10):
            pass
    assert trio.current_time() - began <= 10.1


async def test_the_way_that_worked_last_does_not_wait_for_the_dns(autojump_clock, network, server):
    records = Records(starttls=[(1, "a.example.test.", 5222)])
    network.answers["192.0.2.1", 5222] = server.endpoint
    reconnect = trioxmpp.ReconnectPolicy(initial=0.1, maximum=0.1)
    async with (
        connect(records, tls=server.client_tls_context(), reconnect=reconnect) as client,
        client.events() as events,
    ):
        records.records["_xmpp-client"] = None
        broken = trio.current_time()
        server.links[0].reset()
        assert isinstance(await anext(events), trioxmpp.Suspended)
        assert isinstance(await anext(events), trioxmpp.Resumed)
        assert trio.current_time() - broken < 1.5


# --- certificates


@pytest.mark.parametrize(
    ("days", "words"),
    [((-10, -5), "has expired, or this machine's clock is wrong"), ((5, 10), "is not valid yet, or this machine's")],
)
async def test_a_certificate_out_of_its_time_wherever_it_is_shown(autojump_clock, network, nursery, days, words):
    """Nothing else went wrong, so it is a TLSFailure, though more than one way was tried."""
    authority = trustme.CA()
    now = datetime.datetime.now(datetime.UTC)
    begin, end = (now + datetime.timedelta(days=day) for day in days)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("example.test", not_before=begin, not_after=end).configure_cert(theirs)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(ours)

    async def shake_hands(link: trio.abc.Stream) -> None:
        tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(link, theirs, server_side=True)
        with pytest.raises(trio.BrokenResourceError):
            await tls.do_handshake()
        await trio.aclose_forcefully(link)

    async def accept() -> trio.abc.Stream:
        link, client = memory_link()
        nursery.start_soon(shake_hands, link)
        return client

    network.answers["192.0.2.1", 5223] = network.answers["192.0.2.2", 5223] = accept
    records = Records(direct=[(1, "a.example.test.", 5223), (1, "b.example.test.", 5223)])
    began = trio.current_time()
    with pytest.raises(TLSFailure, match=f"the server's certificate for example.test {words}"):
        async with connect(records, tls=ours):
            pass
    assert trio.current_time() - began < 1  # no task waits for an answer that cannot come
    assert len(network.attempts) == 2
    assert network.open == 0


async def test_beside_other_failures_it_is_one_of_the_attempts(autojump_clock, network, server):
    server.policy.certificate = "wrong-name"
    network.answers["192.0.2.1", 5222] = server.endpoint
    network.answers["192.0.2.2", 1] = server.endpoint
    records = Records(starttls=[(1, "a.example.test.", 5222), (2, "b.example.test.", 5222)])
    with pytest.raises(ConnectError) as failure:
        async with connect(records, tls=server.client_tls_context()):
            pass
    stages = {attempt.endpoint: attempt.stage for attempt in failure.value.attempts}
    assert stages["xmpp://a.example.test:5222"] is Stage.TLS
    assert stages["xmpp://b.example.test:5222"] is Stage.CONNECTING
    assert "- xmpp://a.example.test:5222 at 192.0.2.1, securing the link: the server's certificate is not for" in str(
        failure.value
    )


# --- the web server of the domain (XEP-0156)

WEBSOCKET = "wss://ws.example.test/xmpp"


@pytest.fixture
def web(network, nursery):
    """The web server of example.test, which tells of a WebSocket; returns a context that trusts it."""
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("example.test").configure_cert(theirs)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(ours)
    link = f"<Link rel='urn:xmpp:alt-connections:websocket' href='{WEBSOCKET}'/>"
    body = f"<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>{link}</XRD>"

    async def serve(link: trio.abc.Stream) -> None:
        tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(link, theirs, server_side=True)
        assert b"GET /.well-known/host-meta " in await tls.receive_some()
        await tls.send_all(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    async def accept() -> trio.abc.Stream:
        link, client = memory_link()
        nursery.start_soon(serve, link)
        return client

    network.names |= {"example.test": ["192.0.2.80"], "ws.example.test": ["192.0.2.81"]}
    network.answers["192.0.2.80", 443] = accept
    network.answers["192.0.2.81", 1] = accept  # so it refuses 443
    return ours


async def test_websockets_are_for_when_all_else_has_failed(autojump_clock, network, web):
    network.answers["192.0.2.1", 1] = network.answers["192.0.2.80", 443]
    began = trio.current_time()
    with pytest.raises(ConnectError) as failure:
        async with connect(Records(starttls=[(1, "a.example.test.", 5222)]), tls=web):
            pass
    assert trio.current_time() - began < 1
    tried = [(address, port) for _, address, port in network.attempts]
    assert tried == [("192.0.2.1", 5222), ("192.0.2.80", 443), ("192.0.2.81", 443)]
    assert [attempt.endpoint for attempt in failure.value.attempts][-1] == "wss://ws.example.test:443/xmpp"


async def test_or_when_half_of_the_time_has_passed_without_a_word(autojump_clock, network, web):
    """A firewall that lets nothing but the web through does not say so."""
    with pytest.raises(ConnectError) as failure:
        async with connect(Records(starttls=[(1, "hole.test.", 5222)]), tls=web, connect_timeout=20):
            pass
    times = {address: time for time, address, _ in network.attempts}
    began = network.attempts[0][0]
    assert times["192.0.2.81"] - began == pytest.approx(10, abs=0.6)
    told = [attempt.endpoint for attempt in failure.value.attempts]
    assert told == ["wss://ws.example.test:443/xmpp", "xmpp://hole.test:5222"]


async def test_the_web_is_not_asked_where_the_way_was_given(autojump_clock, network, web):
    network.answers["192.0.2.1", 1] = network.answers["192.0.2.80", 443]
    with pytest.raises(ConnectError):
        async with connect(Records(), tls=web, endpoint="xmpp://a.example.test"):
            pass
    assert [address for _, address, _ in network.attempts] == ["192.0.2.1"]


async def test_an_onion_is_only_for_tor(autojump_clock, network):
    with pytest.raises(ConnectError, match="can only be found by Tor: use it as a proxy"):
        async with trioxmpp.connect("romeo@abcdefgh.onion", "secret"):
            pass
    assert not network.asked
