"""All ways to a server are raced until it says what it offers, in the order of their priorities, under one deadline."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

import trioxmpp
from trioxmpp import AuthenticationFailure, ConnectError, Credentials, Message, StreamCondition, StreamError
from trioxmpp.errors import Stage
from trioxmpp.protocol import ns
from trioxmpp.testing import ScriptedServer, memory_link, open_server
from trioxmpp.testing.network import Network

V6, V4, OTHER = "2001:db8::1", "192.0.2.1", "192.0.2.2"


@pytest.fixture
async def network(autojump_clock):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    network = Network()
    network.names["xmpp.example.test"] = [V6, V4]
    network.begin()
    return network


@pytest.fixture
async def server(network):
    async with open_server() as server:
        yield server


def connect(endpoint="xmpp://xmpp.example.test", **options):
    options = {"allow_plaintext": True, "endpoint": endpoint, **options}
    return trioxmpp.connect("romeo@example.test/orchard", "secret", **options)


async def elsewhere() -> trio.abc.Stream:
    """A server that accepts connections and never says a word."""
    _, theirs = memory_link()
    return theirs


def tried(network):
    return [(address, port) for _, address, port in network.attempts]


async def test_dead_ipv6_costs_a_quarter_of_a_second(autojump_clock, network, server):
    network.answers[V4, 5222] = server.endpoint
    began = trio.current_time()
    async with connect() as client:
        assert client.established
        assert trio.current_time() - began < 0.3
    assert tried(network) == [(V6, 5222), (V4, 5222)]


async def test_a_server_that_accepts_the_connection_and_says_nothing_does_not_win(autojump_clock, network, server):
    """A race until TCP connects is won by the load balancer of a dead server."""
    network.answers[V6, 5222] = elsewhere
    network.answers[V4, 5222] = server.endpoint
    began = trio.current_time()
    async with connect() as client:
        assert client.established
        assert trio.current_time() - began < 0.3
        assert network.open == 1, "whoever lost was closed"


async def test_a_way_that_fails_makes_room_at_once(autojump_clock, network, server):
    network.answers[V6, 1] = elsewhere  # so it refuses 5222
    network.answers[V4, 5222] = server.endpoint
    began = trio.current_time()
    async with connect():
        assert trio.current_time() - began < 0.1


async def test_the_order_is_one_of_start(autojump_clock, network, server):
    """The second may win only if the first needs longer than the second and a quarter of a second."""

    async def after(seconds: float) -> trio.abc.Stream:
        await trio.sleep(seconds)
        return await server.endpoint()

    async def first() -> trio.abc.Stream:
        return await after(0.2)

    async def second() -> trio.abc.Stream:
        began.append(trio.current_time())
        return await after(0)

    began: list[float] = []
    async with connect([first, second]):
        assert not began
    assert server.link_count == 1


async def test_families_take_turns(autojump_clock, network):
    network.names["xmpp.example.test"] = [V6, "2001:db8::2", "2001:db8::3", V4, OTHER]
    with pytest.raises(ConnectError):
        async with connect(connect_timeout=5):
            pass
    assert [address for address, _ in tried(network)] == [V6, V4, "2001:db8::2", OTHER, "2001:db8::3"]
    times = [time for time, _, _ in network.attempts]
    assert [round(later - sooner, 2) for sooner, later in pairwise(times)] == [0.25] * 4


async def test_a_name_that_does_not_resolve_holds_the_others_up_for_a_short_time(autojump_clock, network, server):
    network.names["slow.example.test"] = None
    network.answers[V4, 5222] = server.endpoint
    began = trio.current_time()
    async with connect(["xmpp://slow.example.test", "xmpp://xmpp.example.test"]):
        assert trio.current_time() - began < 0.6


async def test_no_way_is_looked_for_that_is_not_needed(autojump_clock, network, server):
    network.names["two.example.test"] = [OTHER]
    network.answers[V6, 5222] = server.endpoint
    async with connect(["xmpp://xmpp.example.test", "xmpp://two.example.test"]):
        assert network.asked == ["xmpp.example.test"]


# --- and then only one logs in


class Login:
    """A function for credentials that notes whether another candidate is logging in as well."""

    def __init__(self) -> None:
        self.at_once = self.most = 0

    async def __call__(self) -> Credentials:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await trio.sleep(3)
        self.at_once -= 1
        return Credentials("romeo", "secret")


async def test_there_are_never_two_logins_at_once(autojump_clock, network, server):
    network.answers[V6, 5222] = network.answers[V4, 5222] = server.endpoint
    login = Login()
    async with trioxmpp.connect(
        "romeo@example.test",
        credentials=login,
        endpoint="xmpp://xmpp.example.test",
        allow_plaintext=True,
        connect_timeout=60,
    ):
        assert login.most == 1
        assert network.open == 1


async def test_the_next_goes_on_when_the_winner_breaks_during_the_login(autojump_clock, network, server):
    scripted = ScriptedServer()
    network.answers[V6, 5222] = scripted.endpoint
    network.answers[V4, 5222] = server.endpoint

    async def breaks() -> None:
        peer = await scripted.accept()
        await peer.expects_header()
        await peer.says_header(f"<mechanisms xmlns='{ns.SASL}'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>")
        await peer.hears()
        peer.reset()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(breaks)
        async with connect() as client:
            await client.send(Message(to="romeo@example.test", body="here"))
    assert tried(network) == [(V6, 5222), (V4, 5222)]


async def test_the_next_goes_on_when_the_winner_falls_silent_during_the_login(autojump_clock, network, server):
    scripted = ScriptedServer()
    network.answers[V6, 5222] = scripted.endpoint
    network.answers[V4, 5222] = server.endpoint

    async def falls_silent() -> None:
        peer = await scripted.accept()
        await peer.expects_header()
        await peer.says_header(f"<mechanisms xmlns='{ns.SASL}'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>")
        await peer.hears()
        await peer.expects_end()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(falls_silent)
        async with connect(connect_timeout=20) as client:
            assert client.established
            assert network.open == 1


async def test_a_login_that_is_refused_is_not_tried_elsewhere(autojump_clock, network, server):
    network.answers[V6, 5222] = network.answers[V4, 5222] = server.endpoint
    server.add_account("romeo", "changed")
    with pytest.raises(AuthenticationFailure):
        async with connect():
            pass
    assert tried(network) == [(V6, 5222)]
    assert network.open == 0


# --- what worked last


async def test_the_way_that_worked_last_goes_first(autojump_clock, network, server):
    network.answers[V6, 1] = elsewhere
    network.answers[V4, 5222] = server.endpoint
    network.names["one.example.test"], network.names["two.example.test"] = [V6], [V4]
    reconnect = trioxmpp.ReconnectPolicy(initial=0.1, maximum=0.1)
    endpoints = ["xmpp://one.example.test", "xmpp://two.example.test"]
    async with connect(endpoints, reconnect=reconnect) as client, client.events() as events:
        assert tried(network) == [(V6, 5222), (V4, 5222)]
        network.attempts.clear()
        server.links[0].reset()
        assert isinstance(await anext(events), trioxmpp.Suspended)
        assert isinstance(await anext(events), trioxmpp.Resumed)
        assert tried(network) == [(V4, 5222)]


# --- what is left when all fail


async def test_the_error_tells_what_was_tried_how_far_it_came_and_why_no_farther(autojump_clock, network):
    network.names |= {"hole.example.test": ["192.0.2.66"], "refuses.example.test": [V4], "mute.example.test": [OTHER]}
    network.answers[V4, 1] = elsewhere
    network.answers[OTHER, 5222] = elsewhere
    hosts = ["unknown", "refuses", "mute", "hole"]
    began = trio.current_time()
    with pytest.raises(ConnectError) as failure:
        async with connect([f"xmpp://{host}.example.test" for host in hosts], connect_timeout=10):
            pass
    assert trio.current_time() - began == pytest.approx(10, abs=1)
    attempts = {attempt.endpoint.split(".")[0]: attempt for attempt in failure.value.attempts}
    assert {host: attempt.stage for host, attempt in attempts.items()} == {
        "xmpp://unknown": Stage.RESOLVING,
        "xmpp://refuses": Stage.CONNECTING,
        "xmpp://mute": Stage.STREAM,
        "xmpp://hole": Stage.CONNECTING,
    }
    assert attempts["xmpp://refuses"].address == V4
    endpoint, error = attempts["xmpp://refuses"]
    assert endpoint == "xmpp://refuses.example.test:5222"
    assert isinstance(error, ConnectionRefusedError)
    lines = str(failure.value).splitlines()
    assert lines[0] == "the server of example.test did not answer within 10 seconds; what was tried:"
    assert lines[1] == (
        "- xmpp://unknown.example.test:5222, looking it up: cannot find the address of "
        "unknown.example.test: Name or service not known"
    )
    assert "- xmpp://mute.example.test:5222 at 192.0.2.2, opening the stream: no answer in time" in lines
    assert len(lines) == 5
    assert network.open == 0


async def test_ten_attempts_are_ten_lines(autojump_clock, network):
    network.answers[V4, 1] = elsewhere
    with pytest.raises(ConnectError) as failure:
        async with connect([f"xmpp://{V4}:{port}" for port in range(5000, 5010)]):
            pass
    assert len(failure.value.attempts) == 10
    first, *lines = str(failure.value).splitlines()
    assert first == "could not connect to the XMPP server of example.test; what was tried:"
    assert lines[3] == f"- xmpp://{V4}:5003, connecting: Connection refused"


async def test_a_captive_portal_is_called_what_it_is(autojump_clock, network):
    async def portal() -> trio.abc.Stream:
        ours, theirs = memory_link()
        await ours.send_all(b"HTTP/1.1 302 Found\r\nLocation: https://login.hotel.example/\r\n\r\n")
        return theirs

    network.answers[V6, 5222] = network.answers[V4, 5222] = portal
    with pytest.raises(ConnectError, match=r"HTTP is spoken here; .*log in with a browser first") as failure:
        async with connect():
            pass
    assert [attempt.stage for attempt in failure.value.attempts] == [Stage.STREAM] * 2


async def test_a_stream_error_says_how_far_it_came(autojump_clock, network):
    scripted = ScriptedServer()
    network.answers[V4, 5222] = scripted.endpoint

    async def refuses() -> None:
        peer = await scripted.accept()
        await peer.expects_header()
        await peer.says_raw(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' id='x' "
            b"xmlns:stream='http://etherx.jabber.org/streams'><stream:error>"
            b"<host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        )

    network.names["xmpp.example.test"] = [V4, V4]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuses)
        with pytest.raises(StreamError) as refusal:
            async with connect():
                pass
    assert refusal.value.condition is StreamCondition.HOST_UNKNOWN


async def test_cancelling_in_the_middle_of_a_race_leaves_nothing(autojump_clock, network):
    network.answers[V6, 5222] = network.answers[V4, 5222] = elsewhere
    with trio.move_on_after(2) as scope:
        async with connect():
            pytest.fail("connected")
    assert scope.cancelled_caught
    assert network.open == 0
