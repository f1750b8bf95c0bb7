"""`send_nowait` of the transports: what is written without waiting is in order with all else, through TLS as well."""

from __future__ import annotations

import os
import random
import ssl

import pytest
import trio
import trio.testing
import trustme

from trioxmpp.testing.network import Network
from trioxmpp.testing.virtual.memory import memory_link
from trioxmpp.transport.tcp import StreamTransport


async def everything(stream, number: int) -> bytes:
    """Return the next octets that arrive, this many."""
    found = bytearray()
    while len(found) < number:
        found += await stream.receive_some(number - len(found))
    return bytes(found)


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("example.test").configure_cert(theirs)
    authority.configure_trust(ours)
    return ours, theirs


async def under_tls(contexts, capacity: float) -> tuple[StreamTransport, trio.SSLStream]:
    ours, theirs = memory_link(capacity)
    client, server = StreamTransport(ours), trio.SSLStream(theirs, contexts[1], server_side=True, https_compatible=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        await client.start_tls(contexts[0], "example.test")
    return client, server


@pytest.mark.parametrize("secure", [False, True])
async def test_octets_written_in_any_way_arrive_in_order(autojump_clock, contexts, secure):
    for seed in range(10):
        draw = random.Random(seed)
        capacity = draw.choice([1, 7, 100, 5000])
        if secure:
            client, server = await under_tls(contexts, capacity)
        else:
            ours, server = memory_link(capacity)
            client = StreamTransport(ours)
        written = bytearray()

        async def write(client=client, draw=draw, written=written):
            for number in range(30):
                data = b"%d." % number + b"x" * draw.choice([0, 10, 3000])
                if draw.random() < 0.5 and client.send_nowait(data):
                    written.extend(data)
                elif client.unsent and draw.random() < 0.5:
                    await client.flush()
                else:
                    await client.send(data)
                    written.extend(data)
                if draw.random() < 0.3:
                    await trio.sleep(1)
            if client.unsent:
                await client.flush()
            await client.send(b"END")

        found = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            nursery.start_soon(client.receive)  # another task waits to read all the time
            while not found.endswith(b"END"):
                found += await server.receive_some(4000)
            nursery.cancel_scope.cancel()
        assert found == written + b"END"
        await client.aclose()


async def test_without_room_nothing_is_taken(autojump_clock):
    ours, theirs = memory_link(5)
    client = StreamTransport(ours)
    assert client.send_nowait(b"12345")
    assert not client.unsent
    assert not client.send_nowait(b"67")
    assert await everything(theirs, 5) == b"12345"
    assert client.send_nowait(b"67890abc")
    assert client.unsent
    assert not client.send_nowait(b"d"), "it would come before the rest"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, b"d")
        assert await everything(theirs, 9) == b"67890abcd"


async def test_while_another_task_sends_nothing_is_taken(autojump_clock, contexts):
    for client in (StreamTransport(memory_link(5)[0]), (await under_tls(contexts, 1000))[0]):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, b"x" * 2000)
            await trio.testing.wait_all_tasks_blocked()
            assert not client.send_nowait(b"y")
            nursery.cancel_scope.cancel()
        assert not client.send_nowait(b"y"), "half a message cannot be followed by anything"


async def test_a_link_that_is_closed_takes_nothing(autojump_clock):
    ours, theirs = memory_link()
    client = StreamTransport(ours)
    theirs.close()
    assert not client.send_nowait(b"x")
    with pytest.raises(ConnectionResetError):
        await client.send(b"x")
    await client.aclose()
    assert not client.send_nowait(b"x")


async def test_a_socket_takes_what_there_is_room_for():
    ours, theirs = trio.socket.socketpair()
    client, peer = StreamTransport(trio.SocketStream(ours)), trio.SocketStream(theirs)
    data = bytes(range(256)) * 40
    taken = 0
    while client.send_nowait(data) and not client.unsent:
        taken += 1
        assert taken < 10_000
    assert not client.send_nowait(b"more")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send, b"END")
        found = bytearray()
        while not found.endswith(b"END"):
            found += await peer.receive_some(65536)
    assert found == data * (len(found) // len(data)) + b"END"
    await peer.aclose()
    await client.aclose()
    assert not client.send_nowait(b"x")


class AnsweringContext:
    """Looks like TLS: a record is ``[data]``; to read ``K``, a change of keys, makes the record ``(K)``."""

    server_side = False

    def __init__(self) -> None:
        self.made = b""

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **options: object) -> AnsweringContext:
        self._incoming, self._outgoing = incoming, outgoing
        return self

    def do_handshake(self) -> None:
        """No handshake is needed."""

    def write(self, data: bytes) -> int:
        self._make(b"[" + data + b"]")
        return len(data)

    def _make(self, record: bytes) -> None:
        self.made += record
        self._outgoing.write(record)

    def read(self, count: int) -> bytes:
        data = self._incoming.read(count)
        if data == b"K":
            self._make(b"(K)")
            raise ssl.SSLWantReadError
        if not data:
            raise ssl.SSLWantReadError
        return data


async def test_records_that_reading_makes_go_out_before_later_ones(autojump_clock):
    """trio takes them out of its buffer some turns before it writes them (RFC 8446 §4.6.3)."""
    refusals = 0
    for turns in range(12):
        ours, theirs = memory_link()
        client, context = StreamTransport(ours), AnsweringContext()
        await client.start_tls(context, "example.test")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.receive)
            await trio.testing.wait_all_tasks_blocked()
            await theirs.send_all(b"K")
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            if not client.send_nowait(b"later"):
                refusals += 1
                await client.send(b"later")
            assert await everything(theirs, 10) == context.made
            await theirs.send_all(b"hello")  # now the reader returns
            await trio.testing.wait_all_tasks_blocked()
            assert client.send_nowait(b"now")
            assert await everything(theirs, 5) == b"[now]"
    assert 0 < refusals < 12, "before the change of keys was read, there was no doubt"


async def test_octets_written_at_once_to_a_network_in_memory_get_into_no_file(autojump_clock):
    """`write_now` hands the number of a socket to the system. Here it was 0: the standard input of the process."""
    ours, theirs = memory_link()

    async def answer() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    network = Network()
    network.names["xmpp.example.test"] = ["192.0.2.1"]
    network.answers["192.0.2.1", 5222] = answer
    network.begin()
    stream = await trio.open_tcp_stream("xmpp.example.test", 5222)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(stream.socket.fileno())
    client = StreamTransport(stream)
    if not client.send_nowait(b"<presence/>"):
        await client.send(b"<presence/>")
    assert await everything(theirs, 11) == b"<presence/>"
