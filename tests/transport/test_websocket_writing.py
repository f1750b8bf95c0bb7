"""Our messages go past trio-websocket, between two writes of its own; read by the book, segment by segment."""

from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, Ping, Pong, Request

from trioxmpp.testing import memory_link
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.frames import text_frames
from trioxmpp.transport.tcp import StreamTransport
from trioxmpp.transport.websocket import open_websocket

ENDPOINT = Endpoint("ws", "example.test", 80, "/xmpp-websocket")
TEXTS = [f"<message id='{n}'>ü 😀</message>" for n in range(50)]
BYTES = [text.encode() for text in TEXTS]


class Server:
    """The other side, which reads when the test says so."""

    def __init__(self, stream):
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.SERVER)

    async def accept(self):
        await self.read_until(Request)
        await self.say(AcceptConnection(subprotocol="xmpp"))

    async def say(self, event):
        await self.stream.send_all(self.protocol.send(event))

    async def read(self):
        """The content of one write of the client."""
        self.protocol.receive_data(await self.stream.receive_some())
        return list(self.protocol.events())

    async def read_until(self, kind):
        events = []
        while not events or not isinstance(events[-1], kind):
            events += await self.read()
        return events


@contextlib.asynccontextmanager
async def opened(capacity=float("inf")):
    ours, theirs = memory_link(capacity)
    server = Server(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.accept)
        transport = await open_websocket(nursery, StreamTransport(ours), ENDPOINT)
        yield transport, server
        await transport.aclose()


def texts(events):
    return [event.data for event in events if isinstance(event, Message)]


@given(messages=st.lists(st.text(max_size=300), max_size=10), more=st.sampled_from([0, 125, 126, 65_535, 65_536]))
def test_frames_are_what_a_server_reads(messages, more):
    messages = [*messages, "x" * more]
    frames = text_frames([text.encode() for text in messages])
    server = WSConnection(ConnectionType.SERVER)
    request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    server.receive_data(request + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    list(server.events())
    server.send(AcceptConnection())
    server.receive_data(frames)
    assert texts(server.events()) == messages


def test_each_frame_has_another_key():
    frames = text_frames([b"abc"] * 100)
    assert len({frames[start + 2 : start + 6] for start in range(0, len(frames), 9)}) == 100


async def test_the_messages_of_one_call_are_one_write(autojump_clock):
    async with opened() as (transport, server):
        await transport.send(*BYTES)
        events = await server.read()
        assert texts(events) == TEXTS
        assert all(event.message_finished for event in events)


async def test_an_answer_to_a_ping_waits_for_the_end_of_a_write(autojump_clock):
    async with opened(capacity=200) as (transport, server), trio.open_nursery() as nursery:
        nursery.start_soon(transport.send, *BYTES)
        await trio.testing.wait_all_tasks_blocked()
        await server.say(Ping(payload=b"hi"))
        await trio.testing.wait_all_tasks_blocked()
        events = await server.read_until(Pong)
        assert "".join(texts(events)) == "".join(TEXTS)


async def test_a_write_waits_for_the_end_of_an_answer_to_a_ping(autojump_clock):
    async with opened(capacity=4) as (transport, server), trio.open_nursery() as nursery:
        for piece in (b"\x89\x02", b"hi"):
            await server.stream.send_all(piece)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(transport.send, b"<presence/>")
        await trio.testing.wait_all_tasks_blocked()
        events = await server.read_until(Pong)
        while len("".join(texts(events))) < len("<presence/>"):
            events += await server.read()
        assert events[0] == Pong(payload=b"hi")
        assert "".join(texts(events)) == "<presence/>"


async def test_nothing_follows_the_answer_to_a_close(autojump_clock):
    """RFC 6455 §5.5.1."""
    async with opened() as (transport, server):
        await transport.send(b"<last/>")
        await server.say(CloseConnection(code=1000))
        assert await transport.receive() == b""
        with pytest.raises(ConnectionResetError):
            await transport.send(b"<late/>")
        assert texts(await server.read_until(CloseConnection)) == ["<last/>"]
        with trio.move_on_after(1) as waiting:
            await server.stream.receive_some()
        assert waiting.cancelled_caught


async def test_the_last_words_can_be_read_after_a_write_that_failed(autojump_clock):
    async with opened(capacity=100) as (transport, server), trio.open_nursery() as nursery:

        async def send():
            with pytest.raises(ConnectionResetError):
                await transport.send(b"x" * 1000)

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        await server.stream.send_all(b"\x81\x06<last>")
        server.stream.reset()
        assert await transport.receive() == b"<last>"
        with pytest.raises(ConnectionResetError):
            await transport.receive()
        with pytest.raises(ConnectionResetError):
            await transport.send(b"x")


async def test_a_write_that_is_cancelled_while_it_waits_is_followed_by_nothing(autojump_clock):
    async with opened(capacity=4) as (transport, server):
        await server.stream.send_all(b"\x89\x00")
        await server.stream.send_all(b"\x89\x00")
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1) as scope:
            await transport.send(b"<presence/>")
        assert scope.cancelled_caught
        with pytest.raises(ConnectionAbortedError, match="cut short"):
            await transport.send(b"<presence/>")


async def test_messages_that_are_written_at_once_are_whole_messages_in_order(autojump_clock):
    async with opened(capacity=100) as (transport, server):
        sent = 0
        for text in BYTES:
            if not transport.send_nowait(text):
                break
            sent += 1
        assert sent
        assert transport.unsent
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.flush)
            found, expected = "", "".join(TEXTS[:sent])
            while len(found) < len(expected):
                found += "".join(texts(await server.read()))
        assert found == expected
        assert not transport.unsent


async def test_nothing_is_written_at_once_while_a_ping_is_answered(autojump_clock):
    async with opened(capacity=3) as (transport, server):
        await server.say(Ping(b"p" * 20))
        await trio.testing.wait_all_tasks_blocked()  # its answer has no room
        assert not transport.send_nowait(BYTES[0])
        assert isinstance((await server.read_until(Pong))[-1], Pong)


async def test_nothing_is_written_at_once_after_the_answer_to_a_close(autojump_clock):
    async with opened() as (transport, server):
        await server.say(CloseConnection(1000))
        await trio.testing.wait_all_tasks_blocked()
        assert not transport.send_nowait(BYTES[0])
        assert [type(event) for event in await server.read()] == [CloseConnection]
