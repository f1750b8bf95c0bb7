"""A caller that waits for an answer has its stanza written in its own turn, if the link is idle."""

from __future__ import annotations

import gc
import math

import trio
from trio.testing import wait_all_tasks_blocked

from tests.dialogs import R, ack, hears_bodies, message, written
from tests.streams import StreamAround
from trioxmpp import XmlStream
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream.inbound.replies import ReplyWaiter
from trioxmpp.stream.outbound.token import OutgoingStanza
from trioxmpp.testing import ScriptedPeer
from trioxmpp.testing.virtual.memory import MemoryStream
from trioxmpp.transport.tcp import StreamTransport

PING = "<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>"
PONG = "<iq type='result' id='$1' from='juliet@example.test'/>"


class Watched(StreamAround):
    """The client's end of a link in memory. It notes how each write was made: at once, or by one that may wait."""

    def __init__(self, stream: MemoryStream) -> None:
        super().__init__(stream)
        self.writes: list[str] = []
        self._at_once = stream.send_nowait

    def send_nowait(self, data: bytes) -> int:
        taken = self._at_once(data)
        if taken:
            self.writes.append("at once")
        return taken

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append("waiting")
        await super().send_all(data)


async def expects(peer: ScriptedPeer, *elements: str) -> None:
    """Have the peer get these elements, in this order and nothing in between."""
    for element in elements:
        await peer.expects(element)


async def idle(scene, capacity: float = math.inf) -> tuple[ScriptedPeer, list[str]]:
    """Run the scene's stream, with stream management, on a link that is watched; return the peer and the writes."""
    peer = ScriptedPeer(capacity=capacity)
    watched = Watched(peer.stream)
    xmlstream = XmlStream(StreamTransport(watched), "example.test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(xmlstream.open)
        await peer.expects_header()
        await peer.says_header()
    await scene.runs(xmlstream)
    await scene.manages(peer)
    await wait_all_tasks_blocked()
    watched.writes.clear()
    return peer, watched.writes


async def test_a_request_on_an_idle_link_is_written_in_the_turn_of_its_caller(autojump_clock, scene, background):
    peer, writes = await idle(scene)
    for count in (1, 2):
        asked = background(scene.client.request, Ping(), to="juliet@example.test")
        await expects(peer, PING, R)
        await peer.says(PONG + ack(count))
        await asked.outcome()
    assert writes == ["at once", "at once"]


async def test_a_stanza_enqueued_without_waiting_can_still_be_retracted(autojump_clock, scene):
    peer, writes = await idle(scene)
    scene.client.enqueue(message("one")).abort()
    scene.client.enqueue(message("two"))
    assert not writes
    await hears_bodies(peer, "two")
    assert len(writes) == 1


async def test_of_a_burst_the_first_is_written_at_once_and_the_others_together(autojump_clock, scene, sends):
    peer, writes = await idle(scene)
    for _ in range(20):
        sends(message())
    await wait_all_tasks_blocked()
    assert len(writes) == 2
    await expects(peer, written(), R, *[written()] * 19, R)


async def test_octets_without_room_are_written_before_all_else(autojump_clock, scene, background):
    for capacity in (1, 5, 40, 90, 200):
        another = scene.another()
        peer, writes = await idle(another, capacity)
        sent = background(another.client.send, message("0"))
        await wait_all_tasks_blocked()
        assert writes[0] == "at once"
        for body in ("1", "2"):
            another.client.enqueue(message(body))
        await expects(peer, written("0"), R)
        await peer.says(ack(1))
        await sent.outcome()
        await hears_bodies(peer, "1", "2")
        another.stream.stop()


async def test_a_caller_that_is_cancelled_at_once_leaves_a_whole_stanza(autojump_clock, scene, background):
    peer, writes = await idle(scene, capacity=10)
    asked = background(scene.client.request, Ping(), to="juliet@example.test")
    while not writes:
        await trio.lowlevel.checkpoint()
    asked.scope.cancel()
    await expects(peer, PING, R)
    assert writes[0] == "at once"


async def test_in_a_scope_that_is_cancelled_nothing_is_written(autojump_clock, scene):
    peer, _ = await idle(scene)
    with trio.CancelScope() as scope:
        scope.cancel()
        await scene.client.request(Ping(), to="juliet@example.test")
    with trio.CancelScope() as scope:
        scope.cancel()
        await scene.client.send(message("late"))
    scene.client.enqueue(message("first"))
    await hears_bodies(peer, "first")


async def test_a_stanza_that_a_filter_enqueues_meanwhile_is_written_as_well(autojump_clock, scene, sends):
    peer, _ = await idle(scene)
    enqueued = []

    def echo(stanza):
        if not enqueued:
            enqueued.append(scene.client.enqueue(message("second")))
        return stanza

    with scene.stream.app_outbound_message_filter.context_register(echo):
        sends(message("first"))
        await expects(peer, written("first"), written("second"))


async def test_a_filter_that_fails_in_the_turn_of_a_caller_ends_the_stream(autojump_clock, scene, sends):
    await idle(scene)

    def fail(stanza):
        raise LookupError("no such thing")

    with scene.stream.app_outbound_message_filter.context_register(fail):
        sends(message("first"))
        assert isinstance(await scene.outcome(), LookupError)


async def test_a_filter_that_stops_the_stream_in_the_turn_of_a_caller_has_nothing_written(autojump_clock, scene, sends):
    _, writes = await idle(scene)

    def stop(stanza):
        scene.stream.stop()
        return stanza

    with scene.stream.app_outbound_message_filter.context_register(stop):
        sends(message("first"))
        await scene.outcome()
    assert writes == []


async def test_a_request_that_is_answered_leaves_nothing_to_the_garbage_collector(autojump_clock, scene, background):
    """Objects that know each other live until the collector finds them: with many requests, that took most time."""
    peer, _ = await idle(scene)

    def known() -> int:
        return sum(isinstance(each, (ReplyWaiter, OutgoingStanza)) for each in gc.get_objects())

    gc.collect()
    before = known()
    gc.disable()
    try:
        for count in (1, 2, 3):
            asked = background(scene.client.request, Ping(), to="juliet@example.test")
            await expects(peer, PING, R)
            await peer.says(PONG + ack(count))
            await asked.outcome()
            del asked
        await wait_all_tasks_blocked()
        assert known() == before
    finally:
        gc.enable()
