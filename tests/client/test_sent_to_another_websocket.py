"""A WebSocket that sends its clients to another one (RFC 7395 §3.6.1) is followed: so often, and only under TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio_websocket

import trioxmpp
from trioxmpp import ReconnectPolicy, Resumed, StreamCondition, StreamError
from trioxmpp.client.policy import Cause
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import header
from trioxmpp.protocol.websocket import open_
from trioxmpp.testing import Server, WebSockets, open_server, open_websockets
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.tcp import open_transport

FAST = ReconnectPolicy(initial=0.01, maximum=0.01)


def close(uri: str) -> str:
    return f"<close xmlns='{ns.FRAMING}' see-other-uri='{uri}'/>"


class Porter:
    """A WebSocket under TLS where one is sent elsewhere, with a word of welcome or without."""

    def __init__(self, server: Server, directions: Callable[[], str], *, polite: bool = True) -> None:
        self.context = server.tls_context()
        self.directions = directions
        self.polite = polite
        self.asked = 0
        self.endpoint = ""

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.endpoint = f"wss://127.0.0.1:{listeners[0].socket.getsockname()[1]}/xmpp"
        task_status.started()
        await trio.serve_listeners(self._answer, listeners)

    async def _answer(self, stream: trio.SocketStream) -> None:
        self.asked += 1
        tls = trio.SSLStream(stream, self.context, server_side=True)
        async with trio.open_nursery() as nursery:
            try:
                request = await trio_websocket.wrap_server_stream(nursery, tls)
                websocket = await request.accept(subprotocol="xmpp")
                await websocket.get_message()
                if self.polite:
                    await websocket.send_message(open_(to=None, from_="example.test", id="porter").decode())
                await websocket.send_message(close(self.directions()))
                await websocket.get_message()
            except (trio_websocket.ConnectionClosed, trio.BrokenResourceError):
                pass
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_porter(server: Server, directions: Callable[[], str], **options: bool) -> AsyncIterator[Porter]:
    async with trio.open_nursery() as nursery:
        porter = Porter(server, directions, **options)
        await nursery.start(porter.serve)
        yield porter
        nursery.cancel_scope.cancel()


@pytest.fixture
async def server():
    async with open_server() as server:
        yield server


@pytest.fixture
async def websockets(server):
    async with open_websockets(server) as websockets:
        yield websockets


def connect(endpoint, server: Server, **options):
    defaults = {"endpoint": endpoint, "tls": server.client_tls_context(), "reconnect": FAST, "connect_timeout": 10}
    return trioxmpp.connect("romeo@example.test/orchard", "secret", **{**defaults, **options})


@pytest.mark.parametrize("polite", [True, False])
async def test_at_the_door(server: Server, websockets: WebSockets, polite: bool):
    async with (
        open_porter(server, lambda: websockets.tls_endpoint, polite=polite) as porter,
        connect(porter.endpoint, server) as client,
    ):
        assert client.established
        assert porter.asked == 1
        assert server.links[0].websocket


async def test_later_on(server: Server, websockets: WebSockets):
    async with (
        open_websockets(server) as others,
        connect(websockets.tls_endpoint, server) as client,
        client.events() as events,
    ):
        server.links[0].inject(close(others.tls_endpoint).encode())
        suspended = await anext(events)
        assert suspended.kind is Cause.SEE_OTHER_HOST
        assert suspended.delay == 0.0
        assert isinstance(await anext(events), Resumed)
        assert not server.links[-1].tls.session_reused  # as it would be at the old place


async def test_round_in_circles_ends(server: Server):
    async with open_porter(server, lambda: porter.endpoint) as porter:
        with pytest.raises(StreamError) as caught:
            async with connect(porter.endpoint, server, reconnect=ReconnectPolicy(redirects=2, initial=0.01)):
                pytest.fail("connected to nobody")
        assert caught.value.condition is StreamCondition.SEE_OTHER_HOST
        assert caught.value.uri == porter.endpoint
        assert porter.asked == 3


async def test_two_that_send_us_to_each_other_are_a_circle_too(server: Server):
    async with (
        open_porter(server, lambda: other.endpoint) as one,
        open_porter(server, lambda: one.endpoint) as other,
    ):
        with pytest.raises(StreamError):
            async with connect(one.endpoint, server):
                pytest.fail("connected to nobody")
        assert (one.asked, other.asked) == (2, 2)  # and no more than three redirections


async def test_no_redirection_is_followed_out_of_tls(server: Server, websockets: WebSockets):
    async with open_porter(server, lambda: websockets.endpoint) as porter:
        with pytest.raises(StreamError, match=r"see-other-host \(ws://"):
            async with connect(porter.endpoint, server):
                pytest.fail("followed")
    assert server.link_count == 0


async def test_no_redirection_is_followed_where_tls_is_optional(server: Server, websockets: WebSockets):
    async with open_porter(server, lambda: websockets.tls_endpoint) as porter:
        with pytest.raises(StreamError):
            async with connect(porter.endpoint, server, allow_plaintext=True):
                pytest.fail("followed")
    assert server.link_count == 0


async def test_no_redirection_is_followed_past_a_function_that_dials_for_us(server: Server, websockets: WebSockets):
    async with open_porter(server, lambda: websockets.tls_endpoint) as porter, trio.open_nursery() as nursery:
        endpoint, tls = Endpoint.parse(porter.endpoint), server.client_tls_context()
        dial = partial(open_transport, endpoint, domain="example.test", tls=tls, nursery=nursery)
        with pytest.raises(StreamError):
            async with connect(dial, server):
                pytest.fail("followed")
        assert porter.asked == 1
    assert server.link_count == 0


async def test_the_certificate_there_has_to_be_for_the_host_that_was_named(server: Server):
    async with (
        open_server(certificate="wrong-name") as somebody_else,
        open_websockets(somebody_else) as theirs,
        open_porter(server, lambda: theirs.tls_endpoint) as porter,
    ):
        tls = server.client_tls_context()
        tls.load_verify_locations(cadata=somebody_else.authority.pem)
        with pytest.raises(trioxmpp.TLSFailure, match=r"not for 127\.0\.0\.1"):
            async with connect(porter.endpoint, server, tls=tls):
                pytest.fail("logged in to somebody else")


@pytest.mark.parametrize("said", ["close", "error"])
async def test_an_attacker_before_tls_cannot_send_us_to_another_websocket(
    server: Server, websockets: WebSockets, said: str
):
    """The certificate would be fine for that server. Over TCP only hosts are followed, and those for the domain."""
    error = f"<see-other-host xmlns='{ns.STREAM_ERRORS}'>{websockets.tls_endpoint}</see-other-host>"
    element = close(websockets.tls_endpoint) if said == "close" else f"<stream:error>{error}</stream:error>"

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(header(to=None, from_="example.test", id="porter") + element.encode())

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        with pytest.raises(StreamError):
            async with connect(f"xmpp://127.0.0.1:{listener.socket.getsockname()[1]}", server):
                pytest.fail("followed")
        nursery.cancel_scope.cancel()
    assert server.link_count == 0
