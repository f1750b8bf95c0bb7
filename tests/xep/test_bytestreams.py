"""In-band bytestreams (XEP-0047) between two clients, and with a peer that breaks the rules."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from trioxmpp import JID, Client, XMPPError
from trioxmpp.errors import StanzaCondition
from trioxmpp.protocol.elements.ibb import Close, Data, Open
from trioxmpp.testing import Server, open_server
from trioxmpp.xep import bytestreams as module
from trioxmpp.xep.bytestreams import Bytestream, Bytestreams, open_bytestreams


def everybody(jid: JID) -> bool:
    return True


@asynccontextmanager
async def two_clients(**options: Any) -> AsyncIterator[tuple[Server, Client, Client, Bytestreams, Bytestreams]]:
    async with open_server(accounts={"romeo": "secret", "juliet": "secret"}) as server:
        how: dict[str, Any] = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("romeo@example.test/1", "secret", **how) as romeo,
            trioxmpp.connect("juliet@example.test/1", "secret", **how) as juliet,
            open_bytestreams(romeo, allow=everybody, **options) as his,
            open_bytestreams(juliet, allow=everybody, **options) as hers,
        ):
            yield server, romeo, juliet, his, hers


async def opened(his: Bytestreams, hers: Bytestreams, to: Any, **options: Any) -> tuple[Bytestream, Bytestream]:
    ours = await his.connect(to, **options)
    return ours, await hers.receive()


async def read_all(stream: Bytestream, into: bytearray) -> None:
    async for chunk in stream:
        into += chunk


@on_every_bench(accounts=2)
async def test_octets_arrive_in_both_directions(bench: Bench) -> None:
    romeo, juliet = bench.clients
    there, back = bytes(range(256)) * 100, b"answer" * 1000
    got_there, got_back = bytearray(), bytearray()
    async with open_bytestreams(romeo) as his, open_bytestreams(juliet, allow=everybody) as hers:
        ours, theirs = await opened(his, hers, juliet.jid, block_size=1000)
        assert (theirs.peer, theirs.sid, theirs.block_size) == (romeo.jid, ours.sid, 1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all, theirs, got_there)
            nursery.start_soon(theirs.send_all, back)
            await ours.send_all(there)
            while len(got_back) < len(back):
                got_back += await ours.receive_some(100)
            await ours.aclose()
        assert got_there == there
        assert got_back == back
        with pytest.raises(trio.BrokenResourceError):
            await theirs.send_all(b"too late")
        with pytest.raises(trio.ClosedResourceError):
            await ours.receive_some()


async def test_a_bytestream_is_a_stream_as_trio_means_it(autojump_clock: Any) -> None:
    async with two_clients() as (_, _, juliet, his, hers):

        async def make() -> tuple[Bytestream, Bytestream]:
            return await opened(his, hers, juliet.jid)

        await trio.testing.check_two_way_stream(make, None)


class Loop:
    """A session whose peer is the other end of the same stream."""

    ended = None

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.receiver: Bytestream | None = None

    async def request(self, payload: Data, *, to: JID, timeout: float | None = None) -> None:
        self.seen.append(payload.seq)
        assert self.receiver is not None
        assert self.receiver.take(payload) is None


async def test_the_sequence_begins_again_after_65535() -> None:
    loop: Any = Loop()
    peer = JID.parse("juliet@example.test/1")
    sender, loop.receiver = (Bytestream(loop, peer, "s", 1, 1 << 20, 60) for _ in range(2))
    await sender.send_all(b"x" * 65538)
    assert loop.seen == [*range(65536), 0, 1]
    assert len(await loop.receiver.receive_some()) == 65538


async def test_a_sender_waits_for_a_receiver_that_is_slow(autojump_clock: Any) -> None:
    async with two_clients(window=1000, timeout=1000) as (_, _, juliet, his, hers):
        ours, theirs = await opened(his, hers, juliet.jid, block_size=500)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, b"x" * 100_000)
            await trio.sleep(60)
            got = len(await theirs.receive_some())
            assert got <= 1500
            while got < 100_000:
                got += len(await theirs.receive_some())


async def test_sending_that_is_cancelled_breaks_the_stream(autojump_clock: Any) -> None:
    async with two_clients(window=10_000) as (_, _, juliet, his, hers):
        ours, _ = await opened(his, hers, juliet.jid)
        with trio.move_on_after(1) as scope:
            await ours.send_all(bytes(100_000))  # the other side does not read
        assert scope.cancelled_caught
        for broken in (ours.send_all(b"more"), ours.receive_some()):
            with pytest.raises(trio.BrokenResourceError, match="sending was cancelled"):
                await broken


async def test_a_peer_that_does_not_wait_fills_no_memory(autojump_clock: Any) -> None:
    async with two_clients(window=1000) as (_, romeo, juliet, _, hers):
        await romeo.request(Open(block_size=500, sid="s"), to=juliet.jid)
        stream = await hers.receive()
        conditions: list[Any] = []

        async def send(seq: int) -> None:
            payload = Data(seq=seq, sid="s", base64=base64.b64encode(b"x" * 500).decode())
            try:
                await romeo.request(payload, to=juliet.jid)
            except XMPPError as exc:
                conditions.append(exc.condition)

        async with trio.open_nursery() as nursery:
            for seq in range(100):
                nursery.start_soon(send, seq)
                await trio.testing.wait_all_tasks_blocked()
        assert conditions[0] is StanzaCondition.RESOURCE_CONSTRAINT
        assert set(conditions[1:]) == {StanzaCondition.ITEM_NOT_FOUND}
        got = 0
        with pytest.raises(trio.BrokenResourceError):
            while True:
                got += len(await stream.receive_some())
        assert got <= 2000


async def test_a_peer_that_breaks_the_rules_loses_the_stream(autojump_clock: Any) -> None:
    block = base64.b64encode(b"x" * 10).decode()
    cases = [
        (Data(seq=1, sid="s", base64=block), StanzaCondition.UNEXPECTED_REQUEST),
        (Data(seq=0, sid="s", base64="not base64!"), StanzaCondition.BAD_REQUEST),
        (Data(seq=0, sid="s", base64=block[:-1]), StanzaCondition.BAD_REQUEST),
        (Data(seq=0, sid="s", base64=base64.b64encode(b"x" * 11).decode()), StanzaCondition.BAD_REQUEST),
    ]
    async with two_clients() as (_, romeo, juliet, _, hers):
        for data, condition in cases:
            await romeo.request(Open(block_size=10, sid="s"), to=juliet.jid)
            stream = await hers.receive()
            with pytest.raises(XMPPError) as caught:
                await romeo.request(data, to=juliet.jid)
            assert caught.value.condition is condition, data
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()


async def test_a_stream_belongs_to_its_peer(autojump_clock: Any) -> None:
    async with two_clients() as (server, _romeo, juliet, his, hers):
        ours, _theirs = await opened(his, hers, juliet.jid)
        async with trioxmpp.connect(
            "romeo@example.test/2", "secret", endpoint=server.endpoint, allow_plaintext=True
        ) as other:
            for payload in (Data(seq=0, sid=ours.sid, base64="AAAA"), Close(sid=ours.sid)):
                with pytest.raises(XMPPError) as caught:
                    await other.request(payload, to=juliet.jid)
                assert caught.value.condition is StanzaCondition.ITEM_NOT_FOUND
        await ours.send_all(b"still there")


async def test_streams_are_accepted_only_from_those_allowed_and_not_without_end(autojump_clock: Any) -> None:
    async with two_clients(max_streams=5, per_peer=3) as (_, romeo, juliet, his, hers):
        streams = [await his.connect(juliet.jid) for _ in range(3)]
        with pytest.raises(XMPPError) as caught:
            await his.connect(juliet.jid)
        assert caught.value.condition is StanzaCondition.NOT_ACCEPTABLE
        for stream in streams:
            await stream.aclose()
        for _ in range(3):
            await hers.receive()
        await his.connect(juliet.jid)
        for payload in (Open(block_size=10, sid=""), Open(block_size=10, sid="m", stanza="message")):
            with pytest.raises(XMPPError):
                await romeo.request(payload, to=juliet.jid)
    async with open_server(accounts={"romeo": "secret"}) as server:
        how: dict[str, Any] = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("romeo@example.test/1", "secret", **how) as romeo,
            trioxmpp.connect("romeo@example.test/2", "secret", **how) as juliet,
            open_bytestreams(romeo) as his,
            open_bytestreams(juliet),
        ):
            with pytest.raises(XMPPError):
                await his.connect(juliet.jid)


async def test_a_block_that_is_too_large_is_halved(autojump_clock: Any) -> None:
    async with two_clients(max_block_size=2000) as (_, _, juliet, his, hers):
        ours, theirs = await opened(his, hers, juliet.jid, block_size=16384)
        assert (ours.block_size, theirs.block_size) == (1024, 1024)
        assert module.MIN_BLOCK <= 1024


async def test_the_end_of_the_session_breaks_streams(autojump_clock: Any) -> None:
    async with two_clients() as (server, _romeo, juliet, his, hers):
        ours, theirs = await opened(his, hers, juliet.jid)
        server.forget(str(juliet.jid))
        with pytest.raises(trio.BrokenResourceError):
            await theirs.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await ours.send_all(b"hello")
            await ours.send_all(b"hello")


async def test_a_broken_link_does_not_break_a_stream(autojump_clock: Any) -> None:
    async with two_clients() as (server, _, juliet, his, hers):
        ours, theirs = await opened(his, hers, juliet.jid)
        server.sessions[str(juliet.jid)].link.reset()
        await ours.send_all(b"hello")
        assert await theirs.receive_some() == b"hello"


async def test_leaving_the_block_breaks_the_streams_that_are_left(autojump_clock: Any) -> None:
    async with open_server(accounts={"romeo": "secret"}) as server:
        how: dict[str, Any] = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("romeo@example.test/1", "secret", **how) as romeo,
            trioxmpp.connect("romeo@example.test/2", "secret", **how) as juliet,
            open_bytestreams(romeo) as his,
        ):
            async with open_bytestreams(juliet, allow=everybody) as hers:
                ours, theirs = await opened(his, hers, juliet.jid)
                with pytest.raises(ValueError, match="slot"):
                    async with open_bytestreams(juliet):
                        raise AssertionError
            with pytest.raises(trio.BrokenResourceError):
                await theirs.receive_some()
            with pytest.raises(trio.BrokenResourceError):
                await ours.send_all(b"hello")
