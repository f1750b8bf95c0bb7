"""Where the server wants us to resume (XEP-0198 §5), and what it cannot talk us into."""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from trioxmpp import ReconnectPolicy, Resumed, Suspended
from trioxmpp.testing import memory_link, open_server
from trioxmpp.testing.network import Network

ONE, TWO, PROXY = "192.0.2.1", "192.0.2.2", "192.0.2.9"


@pytest.fixture
async def network(autojump_clock):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    network = Network()
    network.names |= {"one.example.test": [ONE], "two.example.test": [TWO], "proxy.test": [PROXY]}
    network.begin()
    return network


@pytest.fixture
async def server(network):
    """At two places, and it wants us to resume at the second."""
    async with open_server(starttls="required", location="two.example.test:5555") as server:
        network.answers[ONE, 5222] = network.answers[TWO, 5555] = server.endpoint
        yield server


def connect(server, **options):
    defaults = {
        "endpoint": "xmpp://one.example.test",
        "tls": server.client_tls_context(),
        "reconnect": ReconnectPolicy(initial=0.1, maximum=0.1),
    }
    return trioxmpp.connect("romeo@example.test/orchard", "secret", **{**defaults, **options})


async def resumes(server, network, **options) -> list[tuple[str, int]]:
    """Return where a client goes after its link breaks, until the session is resumed."""
    async with connect(server, **options) as client, client.events() as events:
        network.attempts.clear()
        server.links[0].reset()
        assert isinstance(await anext(events), Suspended)
        assert isinstance(await anext(events), Resumed)
        return [(address, port) for _, address, port in network.attempts]


async def test_it_goes_before_what_worked_last(autojump_clock, network, server):
    assert await resumes(server, network) == [(TWO, 5555)]


async def test_resuming_goes_where_the_server_wants_it_and_elsewhere_if_that_fails(autojump_clock, network, server):
    network.answers[TWO, 1] = network.answers.pop((TWO, 5555))  # so that it refuses
    assert await resumes(server, network) == [(TWO, 5555), (ONE, 5222)]


async def test_a_place_that_says_nothing_costs_a_quarter_of_a_second(autojump_clock, network, server):
    network.answers.pop((TWO, 5555))
    began = trio.current_time()
    assert await resumes(server, network) == [(TWO, 5555), (ONE, 5222)]
    assert trio.current_time() - began < 0.5


async def test_a_malformed_place_does_no_harm(autojump_clock, network, server):
    server.policy.location = "no such host!"
    assert await resumes(server, network) == [(ONE, 5222)]


async def test_no_login_goes_to_a_server_with_a_certificate_for_another_domain(autojump_clock, network, server):
    async with open_server(starttls="required", certificate="wrong-name") as somebody_else:
        network.answers[TWO, 5555] = somebody_else.endpoint
        assert await resumes(server, network) == [(TWO, 5555), (ONE, 5222)]


# --- what the caller said comes first, as for a server that sends us elsewhere


async def test_a_function_that_dials_for_us_is_not_passed_by(autojump_clock, network, server):
    """It may be there to hide from where we come."""
    called = 0

    async def dial() -> trio.abc.Stream:
        nonlocal called
        called += 1
        return await server.endpoint()

    assert await resumes(server, network, endpoint=dial) == []
    assert called == 2


async def test_nor_is_one_among_others(autojump_clock, network, server):
    assert await resumes(server, network, endpoint=["xmpp://one.example.test", server.endpoint]) == [(ONE, 5222)]


async def test_without_tls_an_attacker_could_have_said_it(autojump_clock, network, server):
    server.policy.starttls = "none"
    assert await resumes(server, network, allow_plaintext=True) == [(ONE, 5222)]


async def test_a_proxy_is_the_way_there_too(autojump_clock, network, server, nursery):
    asked: list[bytes] = []

    async def copy(source: trio.abc.Stream, sink: trio.abc.Stream) -> None:
        try:
            while data := await source.receive_some():
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        await trio.aclose_forcefully(sink)

    async def serve(link: trio.abc.Stream) -> None:
        asked.append((await link.receive_some()).split()[1])
        await link.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        onward = await server.endpoint()
        nursery.start_soon(copy, link, onward)
        await copy(onward, link)

    async def accept() -> trio.abc.Stream:
        ours, theirs = memory_link()
        nursery.start_soon(serve, ours)
        return theirs

    network.answers[PROXY, 8080] = accept
    assert await resumes(server, network, proxy="http://proxy.test:8080") == [(PROXY, 8080)]
    assert asked == [b"one.example.test:5222", b"two.example.test:5555"]
    assert network.asked == ["proxy.test", "proxy.test"]
