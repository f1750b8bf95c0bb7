"""A server that sends its clients elsewhere is followed a few times, under TLS, to no certificate of another name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

import trioxmpp
from trioxmpp import Destroyed, Established, ReconnectPolicy, StreamCondition, StreamError, TLSFailure
from trioxmpp.client.policy import Cause
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import header
from trioxmpp.testing import Server, open_server

FAST = ReconnectPolicy(initial=0.01, maximum=0.01)


class Porter:
    """A server that sends each client elsewhere, before it says anything else."""

    def __init__(self, directions: Callable[[], str]) -> None:
        self.directions = directions
        self.asked = 0
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"xmpp://127.0.0.1:{self.port}"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._answer, listeners)

    async def _answer(self, stream: trio.SocketStream) -> None:
        self.asked += 1
        async with stream:
            await stream.receive_some()
            await stream.send_all(header(to=None, from_="example.test", id="porter"))
            error = f"<see-other-host xmlns='{ns.STREAM_ERRORS}'>{self.directions()}</see-other-host>"
            await stream.send_all(f"<stream:error>{error}</stream:error></stream:stream>".encode())


@asynccontextmanager
async def open_porter(directions: Callable[[], str]) -> AsyncIterator[Porter]:
    async with trio.open_nursery() as nursery:
        porter = Porter(directions)
        await nursery.start(porter.serve)
        yield porter
        nursery.cancel_scope.cancel()


def connect(endpoint: str, server: Server, **options):
    defaults = {"endpoint": endpoint, "tls": server.client_tls_context(), "reconnect": FAST}
    return trioxmpp.connect("romeo@example.test/orchard", "secret", **{**defaults, **options})


async def test_at_the_door():
    async with open_server() as server:
        port = await server.listen()
        async with open_porter(lambda: f"127.0.0.1:{port}") as porter, connect(porter.endpoint, server) as client:
            assert client.established
            assert porter.asked == 1


async def test_later_on():
    async with open_server() as server:
        port = await server.listen()
        async with (
            open_porter(lambda: f"127.0.0.1:{port}") as porter,
            connect(porter.endpoint, server) as client,
            client.events() as events,
        ):
            server.links[0].end(StreamError(StreamCondition.SEE_OTHER_HOST, f"127.0.0.1:{port}", by_us=True))
            suspended = await anext(events)
            assert suspended.kind is Cause.SEE_OTHER_HOST
            assert suspended.delay == 0.0
            assert [type(await anext(events)) for _ in range(2)] == [Destroyed, Established]
            assert porter.asked == 1  # it was not asked again


async def test_round_in_circles_ends():
    async with open_server() as server:
        await server.listen()
        async with open_porter(lambda: f"127.0.0.1:{porter.port}") as porter:
            with pytest.raises(StreamError) as caught:
                async with connect(porter.endpoint, server, reconnect=ReconnectPolicy(redirects=2, initial=0.01)):
                    pytest.fail("connected to nobody")
            assert caught.value.condition is StreamCondition.SEE_OTHER_HOST
            assert porter.asked == 3


async def test_no_redirection_is_followed_without_tls():
    """An attacker who can write on an unprotected link would choose the server of the login."""
    async with open_server() as server:
        port = await server.listen()
        async with open_porter(lambda: f"127.0.0.1:{port}") as porter:
            with pytest.raises(StreamError):
                async with connect(porter.endpoint, server, allow_plaintext=True):
                    pytest.fail("followed")
            assert porter.asked == 1


async def test_no_redirection_is_followed_past_a_function_that_dials_for_us():
    """It may be there to hide from where we come."""
    async with open_server() as server:
        port = await server.listen()
        async with open_porter(lambda: f"127.0.0.1:{port}") as porter:

            async def dial() -> trio.abc.Stream:
                return await trio.open_tcp_stream("127.0.0.1", porter.port)

            with pytest.raises(StreamError):
                async with connect(dial, server):
                    pytest.fail("followed")


async def test_no_login_goes_to_a_server_with_a_certificate_for_another_domain():
    """Also where the server has sent us, it has to be for the domain of our address."""
    async with open_server(certificate="wrong-name") as server:
        port = await server.listen()
        async with open_porter(lambda: f"127.0.0.1:{port}") as porter:
            with pytest.raises(TLSFailure, match=r"not for example\.test"):
                async with connect(porter.endpoint, server):
                    pytest.fail("logged in to somebody else")
