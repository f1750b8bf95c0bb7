"""The wire that can be cut: that it carries, and that each way of cutting it looks like what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from trioxmpp.testing.servers import Relay, open_relay

Connect = Callable[[], Awaitable[tuple[trio.SocketStream, trio.SocketStream]]]


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[Relay, Connect]]:
    """A relay, and a function that gives both ends of a new connection over it: the client's, the server's."""
    accepted, incoming = trio.open_memory_channel[trio.SocketStream](1)

    async def serve(stream: trio.SocketStream) -> None:
        await accepted.send(stream)
        await trio.sleep_forever()

    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        async with open_relay("127.0.0.1", listeners[0].socket.getsockname()[1]) as relay:

            async def connect() -> tuple[trio.SocketStream, trio.SocketStream]:
                client = await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", relay.port))
                server = await incoming.receive()
                await client.send_all(b"!")
                assert await server.receive_some() == b"!"
                return client, server

            yield relay, connect
        nursery.cancel_scope.cancel()


async def receive_all(stream: trio.SocketStream) -> bytes:
    received = b""
    async for data in stream:
        received += data
    return received


async def test_a_relay_carries_bytes_both_ways_and_the_end_of_each():
    async with wired() as (_, connect):
        client, server = await connect()
        await client.send_all(b"ping")
        await client.send_eof()
        assert await receive_all(server) == b"ping"
        await server.send_all(b"pong")
        await server.aclose()
        assert await receive_all(client) == b"pong"


async def test_a_reset_lets_the_given_number_of_bytes_through_and_breaks_both_sides():
    async with wired() as (relay, connect):
        client, server = await connect()
        relay.reset(after=6)
        await client.send_all(b"0123")
        assert await server.receive_some() == b"0123"
        await client.send_all(b"456789")
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
        assert await server.receive_some() == b"45"
        with pytest.raises(trio.BrokenResourceError):
            await server.receive_some()


async def test_a_close_is_an_orderly_end_on_both_sides():
    async with wired() as (relay, connect):
        client, server = await connect()
        relay.close()
        assert await client.receive_some() == b""
        assert await server.receive_some() == b""


async def test_bytes_under_way_do_not_turn_a_close_into_a_reset():
    async with wired() as (relay, connect):
        client, _ = await connect()
        await client.send_all(b"too late" * 1000)
        relay.close()
        await client.send_all(b"still talking")
        assert await client.receive_some() == b""


async def test_a_black_hole_on_a_relay_swallows_bytes_and_the_end():
    async with wired() as (relay, connect):
        client, server = await connect()
        relay.black_hole()
        await client.send_all(b"anybody there?")
        with trio.move_on_after(0.1) as silence:
            await server.receive_some()
        assert silence.cancelled_caught
        await client.aclose()
        with trio.move_on_after(0.1) as silence:
            await server.receive_some()
        assert silence.cancelled_caught


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_a_black_hole_may_swallow_one_direction_only(direction):
    async with wired() as (relay, connect):
        client, server = await connect()
        relay.black_hole(direction)
        source, sink = (client, server) if direction == "in" else (server, client)
        await source.send_all(b"anybody there?")
        with trio.move_on_after(0.1) as silence:
            await sink.receive_some()
        assert silence.cancelled_caught
        await sink.send_all(b"I am")
        assert await source.receive_some() == b"I am"


async def test_a_blocked_relay_lets_no_client_through():
    async with wired() as (relay, connect):
        await connect()
        relay.blocked = True
        async with await trio.open_tcp_stream("127.0.0.1", relay.port) as client:
            assert await client.receive_some() == b""
        assert relay.connections == 1
        relay.blocked = False
        await connect()
        assert relay.connections == 2


async def test_the_next_connection_of_a_relay_works_again():
    async with wired() as (relay, connect):
        await connect()
        relay.black_hole()
        client, server = await connect()
        await client.send_all(b"hello again")
        assert await server.receive_some() == b"hello again"


async def test_without_a_server_a_relay_closes_connections():
    async with open_relay("127.0.0.1", 1) as relay, await trio.open_tcp_stream("127.0.0.1", relay.port) as client:
        assert await client.receive_some() == b""


async def test_a_relay_without_a_connection_has_nothing_to_cut():
    async with open_relay("127.0.0.1", 1) as relay:
        with pytest.raises(RuntimeError, match="there was no connection"):
            relay.close()


@pytest.mark.parametrize("harm", [Relay.reset, Relay.close, Relay.black_hole])
async def test_a_connection_that_has_ended_already_can_be_harmed_without_an_error(harm):
    async with wired() as (relay, connect):
        client, server = await connect()
        await client.send_eof()
        assert await receive_all(server) == b""
        await server.send_eof()
        assert await receive_all(client) == b""
        await trio.testing.wait_all_tasks_blocked(0.05)
        harm(relay)
        client, server = await connect()
        relay.reset()
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
