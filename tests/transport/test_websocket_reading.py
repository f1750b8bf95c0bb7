"""Usual messages go past trio-websocket, and mean what they would mean if it had read them."""

from __future__ import annotations

import contextlib
import itertools

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio_websocket import wrap_server_stream
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping
from wsproto.utilities import RemoteProtocolError

from trioxmpp.testing import memory_link
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.frames import TextFrames
from trioxmpp.transport.tcp import StreamTransport
from trioxmpp.transport.websocket import LONGEST, MAX_WAITING, open_websocket

ENDPOINT = Endpoint("ws", "example.test", 80, "/xmpp-websocket")


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """A frame as a server writes it."""
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) <= LONGEST:
        return bytes((first, 126)) + len(payload).to_bytes(2) + payload
    return bytes((first, 127)) + len(payload).to_bytes(8) + payload


class Book:
    """The events that wsproto makes of octets: messages, "end" if the WebSocket is over, and pings."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.pings: list[bytes] = []
        self._connection = Connection(ConnectionType.CLIENT)
        self._parts: list[str | bytes] = []
        self._is_over = False

    def read(self, data: bytes) -> None:
        if self._is_over:
            return
        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                self._take(event)
        except RemoteProtocolError:
            self._end()

    def _take(self, event: object) -> None:
        if isinstance(event, Message):
            self._parts.append(event.data)
            if event.message_finished:
                empty: str | bytes = b"" if isinstance(event, BytesMessage) else ""
                self.messages.append(empty.join(self._parts))  # type: ignore[arg-type]
                self._parts = []
        elif isinstance(event, Ping):
            self.pings.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            self._end()

    def _end(self) -> None:
        self._is_over = True
        self.messages.append("end")


def by_the_book(chunks: list[bytes]) -> tuple[list[str | bytes], list[bytes]]:
    book = Book()
    for chunk in chunks:
        book.read(chunk)
    return book.messages, book.pings


def with_usual_ones_taken_out(chunks: list[bytes]) -> tuple[list[str | bytes], list[bytes]]:
    frames, book, found = TextFrames(LONGEST), Book(), list[bytes | None]()
    for chunk in chunks:
        frames.feed(chunk)
        octets = b"begin"
        while octets:
            messages, octets = frames.read()
            found += messages
            book.read(octets)
    odd, outcome = iter(book.messages), list[str | bytes]()
    for message in found:
        text = next(odd, None) if message is None else message.decode()
        if text is None:  # of one that is passed on, the end has not come
            break
        outcome.append(text)
        if text == "end":
            break
    return outcome, book.pings


TEXTS = ("", "a", "<presence/>", "ü 😀", "x" * 125, "x" * 126, "ü" * 70)
USUAL = st.sampled_from([frame(text.encode()) for text in TEXTS])
ODD = st.sampled_from(
    [
        *(frame(b"x" * LONGEST), frame(b"x" * (LONGEST + 1)), frame("ü".encode()[:1]), frame(b"\xed\xa0\x80")),
        *(frame(b"bin", 0x82), frame("ü".encode()[:1], 0x01), frame("ü".encode()[1:], 0x80), frame(b"", 0x80)),
        *(frame(b"<a ", 0x01), frame(b"b ", 0x00), frame(b"/>", 0x80), frame(b"x", 0x02)),
        *(frame(b"hi", 0x89), frame(b"", 0x8A), frame(b"x" * 126, 0x89), frame(b"", 0x09)),
        *(frame(b"\x03\xe8", 0x88), frame(b"", 0x88), frame(b"x", 0x88)),
        *(frame(b"x", 0xC1), frame(b"x", 0x91), frame(b"x", 0x83), frame(b"x", 0x8B), b"\x81\x81keys1"),
        *(b"\x81\x7e\x00\x01x", b"\x81\x7f" + (1).to_bytes(8) + b"x", b"\x81\x7f" + b"\xff" * 8, b"\xff\xff", b"\x81"),
    ]
)


@given(st.lists(USUAL | ODD, max_size=8), st.lists(st.integers(0, 1 << 17), max_size=6))
def test_a_message_means_the_same_whichever_way_it_goes(frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frames)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks = [data[begin:end] for begin, end in itertools.pairwise(places)]
    messages, pings = by_the_book(chunks)
    taken, answered = with_usual_ones_taken_out(chunks)
    assert taken == messages
    assert answered == pings


@given(st.lists(USUAL | ODD, max_size=8))
def test_octets_that_come_one_by_one_mean_the_same(frames: list[bytes]) -> None:
    data = b"".join(one for one in frames if len(one) < 1000)
    chunks = [data[i : i + 1] for i in range(len(data))]
    assert with_usual_ones_taken_out(chunks) == by_the_book([data]) == by_the_book(chunks)


def test_usual_messages_do_not_come_to_what_reads_by_the_book() -> None:
    frames = TextFrames(LONGEST)
    data = b"".join(frame(text.encode()) for text in TEXTS)
    frames.feed(data + frame(b"x" * 300)[:50])
    assert frames.read() == ([text.encode() for text in TEXTS], b"")
    frames.feed(frame(b"x" * 300)[50:] + frame(b"hi", 0x89))
    assert frames.read() == ([b"x" * 300], frame(b"hi", 0x89))


# --- the transport


@contextlib.asynccontextmanager
async def opened():
    """A block with the client's transport and the server's end of the link, over which it writes frames itself."""
    ours, theirs = memory_link(float("inf"))
    async with trio.open_nursery() as servers, trio.open_nursery() as nursery:

        async def serve() -> None:
            request = await wrap_server_stream(servers, theirs)
            await request.accept(subprotocol="xmpp")

        servers.start_soon(serve)
        transport = await open_websocket(nursery, StreamTransport(ours), ENDPOINT)
        yield transport, theirs
        await transport.aclose()
        servers.cancel_scope.cancel()


async def test_messages_that_came_together_are_received_together(autojump_clock):
    async with opened() as (transport, server):
        odd = frame(b"<a ", 0x01) + frame(b"hi", 0x89) + frame(b"/>", 0x80)
        await server.send_all(frame(b"1") + frame(b"") + frame(b"2") + odd + frame(b"3") + frame(b"4"))
        assert await transport.receive() == b"1"
        assert transport.receive_nowait() == b"2"
        assert transport.receive_nowait() is None
        assert await transport.receive() == b"<a />"
        assert await transport.receive() == b"3"
        assert transport.receive_nowait() == b"4"
        assert transport.receive_nowait() is None


async def test_a_task_that_is_cancelled_loses_no_message(autojump_clock):
    async with opened() as (transport, server):
        await server.send_all(frame(b"<a ", 0x01))
        with trio.move_on_after(1) as waiting:
            await transport.receive()
        assert waiting.cancelled_caught
        await server.send_all(frame(b"/>", 0x80) + frame(b"1"))
        await trio.testing.wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await transport.receive()
        assert scope.cancelled_caught
        assert [await transport.receive() for _ in range(2)] == [b"<a />", b"1"]


async def test_no_more_is_read_while_much_waits(autojump_clock):
    async with opened() as (transport, server):
        message = frame(b"x" * 10_000)
        for _ in range(100):
            await server.send_all(message)
        await trio.testing.wait_all_tasks_blocked()
        assert await transport.receive()
        kept = 1
        while transport.receive_nowait() is not None:
            kept += 1
        assert MAX_WAITING // 10_000 <= kept <= (MAX_WAITING + LONGEST) // 10_000 + 2
        for _ in range(100 - kept):
            assert await transport.receive() == b"x" * 10_000


async def test_the_end_comes_behind_the_messages(autojump_clock):
    for end in (frame(b"\x03\xe8", 0x88), None):
        async with opened() as (transport, server):
            await server.send_all(frame(b"1") + frame(b"2") + (end or b""))
            if end is None:
                server.close()
            await trio.testing.wait_all_tasks_blocked()
            assert [await transport.receive() for _ in range(4)] == [b"1", b"2", b"", b""]
