"""Obstacles on the way to a server: each attempt ends in the time that was given, and the error names them."""

from __future__ import annotations

import errno
import os

import pytest
import trio

import trioxmpp
from tests.records import Records
from trioxmpp import ConnectError
from trioxmpp.errors import Stage
from trioxmpp.testing import MemoryStream, hold_clock_for_threads, memory_link
from trioxmpp.testing.network import Network

V6, V4, PORTAL = "2001:db8::1", "192.0.2.1", "192.0.2.80"
REDIRECTION = b"HTTP/1.1 302 Found\r\nLocation: http://portal.test/login\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def network(autojump_clock):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    network = Network()
    network.names |= {"a.example.test": [V6], "b.example.test": [V4], "example.test": None}
    network.begin()
    hold_clock_for_threads()  # the certificates of the system are read in one
    return network


async def failure(resolver: Records, network: Network, *, timeout: float = 20, **options) -> ConnectError:
    """Return why the client did not get in, within that time, with nothing left open."""
    began = trio.current_time()
    with pytest.raises(ConnectError) as caught:
        async with trioxmpp.connect(
            "romeo@example.test", "secret", resolver=resolver, connect_timeout=timeout, **options
        ):
            pytest.fail("connected to nobody")
    assert trio.current_time() - began <= timeout + 0.1
    assert network.open == 0
    return caught.value


async def test_dead_ipv6(autojump_clock, network):
    """An address that nothing comes back from, and no other."""
    error = await failure(Records(starttls=[(1, "a.example.test.", 5222)]), network)
    assert "the server of example.test did not answer within 20 seconds" in str(error)
    assert f"xmpp://a.example.test:5222 at {V6}, connecting: no answer in time" in str(error)


async def test_no_ipv6_at_all(autojump_clock, network):
    async def unreachable() -> trio.abc.Stream:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    network.answers[V6, 5222] = unreachable
    error = await failure(Records(starttls=[(1, "a.example.test.", 5222)]), network)
    assert f"xmpp://a.example.test:5222 at {V6}, connecting: Network is unreachable" in str(error)


async def test_a_black_hole_where_an_srv_record_leads(autojump_clock, network):
    network.names["a.example.test"] = ["192.0.2.66"]
    records = Records(starttls=[(1, "a.example.test.", 5222)], direct=[(1, "b.example.test.", 5223)])
    error = await failure(records, network)
    assert "the server of example.test did not answer within 20 seconds" in str(error)
    assert "xmpp://a.example.test:5222 at 192.0.2.66, connecting: no answer in time" in str(error)
    assert f"xmpps://b.example.test:5223 at {V4}, connecting: no answer in time" in str(error)


async def test_a_name_that_an_srv_record_leads_to_and_that_does_not_exist(autojump_clock, network):
    network.names["example.test"] = [V4]
    network.answers[V4, 1] = trio.sleep_forever  # so that it refuses
    error = await failure(Records(starttls=[(1, "gone.example.test.", 5222)]), network)
    assert "cannot find the address of gone.example.test" in str(error)


@pytest.fixture
def portal(network, nursery):
    """A captive portal: every name leads there, and whatever is said, it answers in HTTP."""

    async def serve(link: MemoryStream) -> None:
        if await link.receive_some():
            await link.send_all(REDIRECTION)
        await link.aclose()

    async def accept() -> trio.abc.Stream:
        ours, theirs = memory_link()
        nursery.start_soon(serve, ours)
        return theirs

    for name in ("a.example.test", "b.example.test", "example.test"):
        network.names[name] = [PORTAL]
    for port in (443, 5222, 5223):
        network.answers[PORTAL, port] = accept


async def test_a_captive_portal(autojump_clock, network, portal):
    records = Records(starttls=[(1, "a.example.test.", 5222)], direct=[(1, "b.example.test.", 5223)])
    began = trio.current_time()
    error = await failure(records, network)
    assert trio.current_time() - began < 1  # it has answered, after all
    told = {attempt.endpoint: (attempt.stage, str(attempt.error)) for attempt in error.attempts}
    stage, words = told["xmpp://a.example.test:5222"]
    assert stage is Stage.STREAM
    assert "HTTP is spoken here; perhaps it is a web server" in words
    stage, words = told["xmpps://b.example.test:5223"]
    assert stage is Stage.TLS
    assert "HTTP" in words or "it does not speak TLS on this port" in words
    assert "https://example.test/.well-known/host-meta" in told
    assert all(words in str(error) for _, words in told.values())


async def test_a_captive_portal_before_a_websocket(autojump_clock, network, portal):
    with pytest.raises(trioxmpp.TLSFailure, match="it does not speak TLS on this port"):
        async with trioxmpp.connect("romeo@example.test", "secret", endpoint="wss://a.example.test/xmpp"):
            pytest.fail("connected to a portal")
    with pytest.raises(ConnectError, match="there is no WebSocket at this address: the server answered HTTP 302 Found"):
        network.answers[PORTAL, 80] = network.answers[PORTAL, 443]
        async with trioxmpp.connect(
            "romeo@example.test", "secret", endpoint="ws://a.example.test/xmpp", allow_plaintext=True
        ):
            pytest.fail("connected to a portal")


@pytest.mark.parametrize("url", ["socks5://proxy.test:1080", "http://proxy.test:8080"])
async def test_a_proxy_that_hangs(autojump_clock, network, url):
    async def mute() -> trio.abc.Stream:
        ours, theirs = memory_link()
        kept.append(ours)
        return theirs

    kept: list[trio.abc.Stream] = []
    network.names["proxy.test"] = ["192.0.2.9"]
    network.answers["192.0.2.9", 1080] = network.answers["192.0.2.9", 8080] = mute
    error = await failure(Records(starttls=[(1, "a.example.test.", 5222)]), network, proxy=url)
    assert f"xmpp://a.example.test:5222, connecting: no answer in time from the proxy {url}" in str(error)
