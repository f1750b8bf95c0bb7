"""Where nothing but the web gets through: host-meta names a WebSocket (XEP-0156), and the client logs in there."""

from __future__ import annotations

import json

import dns.resolver
import pytest
import trio

import trioxmpp
from trioxmpp import Message, ReconnectPolicy, Resumed, Suspended, TLSFailure
from trioxmpp.testing import Server, WebSockets, memory_link, open_server, open_websockets
from trioxmpp.testing.network import Network

WEB, ELSEWHERE = "192.0.2.80", "192.0.2.81"
RELATION = "urn:xmpp:alt-connections:websocket"
SOCKET = "wss://example.test:5281/xmpp-websocket"

XRD = "<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>{}</XRD>"


def xrd(*urls: str) -> tuple[str, str]:
    return "/.well-known/host-meta", XRD.format("".join(f"<Link rel='{RELATION}' href='{url}'/>" for url in urls))


def jrd(*urls: str) -> tuple[str, str]:
    return "/.well-known/host-meta.json", json.dumps({"links": [{"rel": RELATION, "href": url} for url in urls]})


class Internet(Network):
    """One host: a web server that has one page, and an XMPP server behind a WebSocket at another port."""

    def __init__(self, server: Server, websockets: WebSockets, nursery: trio.Nursery) -> None:
        super().__init__()
        self.server = server
        self.nursery = nursery
        self.page: tuple[str, str] = xrd(SOCKET)
        self.names["example.test"] = [WEB]
        self.answers[WEB, 443] = self.accept
        self.answers[WEB, 5281] = websockets.link
        self.begin()

    async def accept(self) -> trio.abc.Stream:
        ours, theirs = memory_link()
        self.nursery.start_soon(self.serve, ours)
        return theirs

    async def serve(self, link: trio.abc.Stream) -> None:
        tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(link, self.server.tls_context(), server_side=True)
        path, body = self.page
        try:
            if (await tls.receive_some()).startswith(f"GET {path} ".encode()):
                await tls.send_all(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            else:
                await tls.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        except trio.BrokenResourceError:  # a client does not trust the server
            pass
        await trio.aclose_forcefully(link)

    async def resolve(self, qname, rdtype, *, backend):
        """No SRV records at all."""
        await trio.lowlevel.checkpoint()
        raise dns.resolver.NXDOMAIN

    @property
    def ports(self) -> list[int]:
        """The endpoints that a client tried, each time."""
        return [port for _, _, port in self.attempts]

    def client(self, **options):
        defaults = {
            "tls": self.server.client_tls_context(),
            "resolver": self,
            "reconnect": ReconnectPolicy(initial=0.1, maximum=0.1),
        }
        return trioxmpp.connect("romeo@example.test/orchard", "secret", **{**defaults, **options})


@pytest.fixture
async def internet(autojump_clock, nursery):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    async with open_server() as server, open_websockets(server) as websockets:
        yield Internet(server, websockets, nursery)


@pytest.mark.parametrize("form", [xrd, jrd])
async def test_the_web_server_tells_where(autojump_clock, internet, form):
    internet.page = form("ws://example.test/xmpp", SOCKET)
    began = trio.current_time()
    async with internet.client() as client:
        assert client.established
        assert trio.current_time() - began < 1  # a port that refuses connections delays no client
        link = internet.server.sessions["romeo@example.test/orchard"].link
        assert link.websocket
        assert link.secure
        await client.send(Message(to="juliet@example.test", body="by the side door"))
    assert internet.ports == [5222, 443, *([443] if form is jrd else []), 5281]
    assert internet.open == 0


async def test_a_firewall_that_says_nothing_costs_half_of_the_time(autojump_clock, internet):
    internet.names["example.test"] = [ELSEWHERE, WEB]
    internet.answers[WEB, 5222] = trio.sleep_forever
    began = trio.current_time()
    async with internet.client(connect_timeout=20) as client:
        assert client.established
        assert trio.current_time() - began == pytest.approx(10, abs=1)


async def test_a_client_that_comes_back_goes_straight_to_the_websocket(autojump_clock, internet):
    async with internet.client() as client, client.events() as events:
        internet.attempts.clear()
        internet.server.links[-1].reset()
        assert isinstance(await anext(events), Suspended)
        assert isinstance(await anext(events), Resumed)
        assert internet.ports == [5281]
        assert internet.server.links[-1].tls.session_reused


async def test_a_websocket_at_a_server_that_is_not_that_host_is_not_used(autojump_clock, internet):
    internet.server.policy.certificate = "wrong-name"
    with pytest.raises(trioxmpp.ConnectError):
        async with internet.client():
            pytest.fail("logged in to somebody else")
    with pytest.raises(TLSFailure, match=r"not for example\.test"):
        async with internet.client(endpoint=SOCKET):
            pytest.fail("logged in to somebody else")


# --- on loopback


async def test_both_ways_on_loopback():
    async with open_server() as server, open_websockets(server) as websockets:
        tls = {"endpoint": websockets.tls_endpoint, "tls": server.client_tls_context()}
        plain = {"endpoint": websockets.endpoint, "allow_plaintext": True}
        for options in (tls, plain):
            async with trioxmpp.connect("romeo@example.test/orchard", "secret", **options) as client:
                assert client.established
                link = server.sessions["romeo@example.test/orchard"].link
                assert link.websocket
                assert link.secure == (options is tls)


async def test_while_the_server_is_down_no_client_gets_in():
    async with open_server() as server, open_websockets(server) as websockets:
        options = {"endpoint": websockets.tls_endpoint, "tls": server.client_tls_context(), "connect_timeout": 10}
        await server.crash()
        with pytest.raises(ConnectionRefusedError):
            await websockets.link()
        with pytest.raises(ConnectionError):
            async with trioxmpp.connect("romeo@example.test", "secret", **options):
                pytest.fail("logged in to nobody")
        await server.restart()
        async with trioxmpp.connect("romeo@example.test", "secret", **options) as client:
            assert client.established


async def test_an_error_of_the_block_leaves_as_it_is():
    trouble = KeyError("trouble")
    with pytest.raises(KeyError) as raised:
        async with open_server() as server, open_websockets(server):
            raise trouble
    assert raised.value is trouble
