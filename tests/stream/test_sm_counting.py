"""Counting stanzas and acknowledging them (XEP-0198 §4)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.dialogs import R, ack, hears_bodies, message
from trioxmpp import IQ, IQType, Message, Presence, StanzaState, StreamError
from trioxmpp.errors import StreamCondition
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.sm import MODULUS, HandledCountTooHigh

ACTIVE, SENT, ACKED = StanzaState.ACTIVE, StanzaState.SENT, StanzaState.ACKED


def starts_counting_at(stream, *, base: int = 0, handled: int = 0) -> None:
    """As if that many stanzas had gone over the wire already: no test can wait for four billion."""
    stream.core.session.sm.base, stream.core.session.sm.handled = base, handled


async def test_each_batch_is_followed_by_one_request_for_an_ack(autojump_clock, scene):
    """B227."""
    peer = await scene.starts(sm="sm-1")
    for body in ("one", "two", "three"):
        scene.client.enqueue(message(body))
    await hears_bodies(peer, "one", "two", "three")
    await peer.expects(R)
    await peer.expects_nothing(10)
    scene.client.enqueue(message("four"))
    await hears_bodies(peer, "four")
    await peer.expects(R)


async def test_a_long_queue_has_an_ack_asked_for_in_between(autojump_clock, scene):
    """After 64 stanzas, so that the server's queue and ours stay short, and once more at the end."""
    peer = await scene.starts(sm="sm-1")
    for number in range(100):
        scene.client.enqueue(message(str(number)))
    await hears_bodies(peer, *map(str, range(64)))
    await peer.expects(R)
    await hears_bodies(peer, *map(str, range(64, 100)))
    await peer.expects(R)
    await peer.expects_nothing(10)


async def test_a_stanza_is_sent_before_it_is_written(autojump_clock, scene):
    """S213, B310: an ack may be here while the writer is still busy with the rest of the batch."""
    peer = await scene.starts(sm="sm-1", capacity=300)
    tokens = [scene.client.enqueue(message("x" * 150)), scene.client.enqueue(message("y" * 2000))]
    await wait_all_tasks_blocked()
    assert [token.state for token in tokens] == [SENT, SENT]
    await hears_bodies(peer, "x" * 150)
    await peer.says(ack(1))
    await wait_all_tasks_blocked()
    assert [token.state for token in tokens] == [ACKED, SENT]
    assert scene.stream.running
    await hears_bodies(peer, "y" * 2000)


async def test_an_ack_settles_the_oldest_and_a_repeated_one_nothing(autojump_clock, scene):
    """B228, B232, B233."""
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message(str(n))) for n in range(4)]
    await hears_bodies(peer, "0", "1", "2", "3")
    for h in (1, 1, 3, 3):
        await peer.says(ack(h))
        await wait_all_tasks_blocked()
        assert [token.state for token in tokens] == [ACKED] * h + [SENT] * (4 - h)
        assert scene.stream.sm_outbound_base == h
        assert scene.stream.sm_unacked_list == tokens[h:]
        assert scene.stream.sm_unacked_count == 4 - h


async def test_every_kind_of_stanza_counts_and_nothing_else_does(autojump_clock, scene):
    """B228, B229, S167: also a stanza that cannot be understood, or that a filter drops."""
    scene.stream.app_inbound_message_filter.register(lambda stanza: None)
    peer = await scene.starts(sm="sm-1")
    await peer.says(
        "<message from='juliet@example.test'/><presence from='juliet@example.test'/>"
        f"<iq type='result' id='x'/>{R}<iq type='nonsense' id='y'/><message type='error'/>{R}"
    )
    await peer.expects(ack(5))
    assert scene.stream.sm_inbound_ctr == 5
    assert (await peer.hears()).get("type") == "error"  # the answer to the IQ of no known type
    await peer.expects(R)
    await peer.says(f"{R}{ack(0)}")
    await peer.expects(ack(5))


async def test_the_answer_counts_exactly_what_came_before_the_request(autojump_clock, scene):
    """B231: each in a segment of its own."""
    peer = await scene.starts(sm="sm-1")
    for count in range(1, 4):
        await peer.says("<message from='juliet@example.test'/>")
        await peer.says(R)
        await peer.expects(ack(count))


async def test_our_iq_requests_and_replies_count_like_all_else(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    scene.client.enqueue(Presence())
    await peer.expects("<presence/>")
    await peer.expects(R)
    await peer.says("<iq type='get' id='q1' from='juliet@example.test'><unknown xmlns='urn:x'/></iq>")
    assert (await peer.hears()).get("type") == "error"
    await peer.says(ack(2))
    await wait_all_tasks_blocked()
    assert scene.stream.sm_unacked_count == 0


async def test_stanzas_that_were_dropped_failed_or_aborted_are_not_counted(autojump_clock, scene, unwritable):
    """B240: an ack for more than the two that were written would be one too many."""
    peer = await scene.starts(sm="sm-1")
    scene.stream.app_outbound_message_filter.register(lambda stanza: None if stanza.body == "drop" else stanza)
    bodies = ["one", "drop", "unwritable", "abort", "two"]
    tokens = [scene.client.enqueue(message(body)) for body in bodies]
    unwritable(tokens[2])
    tokens[3].abort()
    await hears_bodies(peer, "one", "two")
    await peer.says(ack(2))
    await tokens[-1]
    assert [token.state for token in tokens] == [
        ACKED,
        StanzaState.DROPPED,
        StanzaState.FAILED,
        StanzaState.ABORTED,
        ACKED,
    ]
    assert scene.stream.sm_outbound_base == 2


async def test_the_inbound_counter_wraps(autojump_clock, scene):
    """B230."""
    peer = await scene.starts(sm="sm-1")
    starts_counting_at(scene.stream, handled=MODULUS - 1)
    await peer.says(R)
    await peer.expects(ack(MODULUS - 1))
    await peer.says(f"<message from='juliet@example.test'/>{R}")
    await peer.expects(ack(0))


async def test_the_outbound_counter_wraps(autojump_clock, scene):
    """B234."""
    peer = await scene.starts(sm="sm-1")
    starts_counting_at(scene.stream, base=MODULUS - 2)
    tokens = [scene.client.enqueue(message(str(n))) for n in range(3)]
    await hears_bodies(peer, "0", "1", "2")
    await peer.says(ack(MODULUS - 1))
    await wait_all_tasks_blocked()
    assert [token.state for token in tokens] == [ACKED, SENT, SENT]
    await peer.says(ack(1))
    await wait_all_tasks_blocked()
    assert [token.state for token in tokens] == [ACKED] * 3
    assert scene.stream.sm_outbound_base == 1


@pytest.mark.parametrize("h", [2, MODULUS - 1])
async def test_an_ack_for_more_than_was_sent_ends_the_stream_and_says_why(autojump_clock, scene, h):
    """B235, B236, XEP-0198 §4; nothing is settled by it."""
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message())
    await hears_bodies(peer, "Hi")
    await peer.expects(R)
    await peer.says(ack(h))
    await peer.expects(
        "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>$1</text>"
        f"<handled-count-too-high xmlns='urn:xmpp:sm:3' h='{h}' send-count='1'/></stream:error>"
    )
    await peer.expects_footer()
    peer.close()
    cause = await scene.outcome()
    assert isinstance(cause, HandledCountTooHigh)
    assert isinstance(cause, StreamError)
    assert cause.condition is StreamCondition.UNDEFINED_CONDITION
    assert token.state is SENT


@pytest.mark.parametrize("nonza", ["<a xmlns='urn:xmpp:sm:3'/>", ack(-1), "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>"])
async def test_an_ack_that_is_no_count_ends_the_stream(autojump_clock, scene, nonza):
    peer = await scene.starts(sm="sm-1")
    await peer.says(nonza)
    assert (await peer.hears()).tag.endswith("error")
    await peer.expects_footer()
    peer.close()
    assert isinstance(await scene.outcome(), StreamError)


async def test_a_stanza_that_was_parsed_but_not_processed_is_not_counted(autojump_clock, scene):
    """DESIGN: the counter moves when a stanza is processed; the server sends the rest again."""
    seen: list[str | None] = []

    def stop_at_two(stanza: Message) -> None:
        seen.append(stanza.body)
        if stanza.body == "2":
            scene.stream.stop()

    scene.stream.on_message_received.connect(stop_at_two)
    peer = await scene.starts(sm="sm-1")
    bodies = "".join(f"<message from='juliet@example.test'><body>{n}</body></message>" for n in range(1, 5))
    await peer.says(bodies)
    assert await scene.outcome() is None
    assert seen == ["1", "2"]
    peer = await scene.resumes(handled=2)
    await peer.says("".join(f"<message from='juliet@example.test'><body>{n}</body></message>" for n in (3, 4)))
    await wait_all_tasks_blocked()
    assert seen == ["1", "2", "3", "4"]
    assert scene.stream.sm_inbound_ctr == 4


async def test_a_stanza_at_which_a_filter_fails_is_not_sent_again_for_ever(autojump_clock, scene):
    """It was taken care of, badly; what came behind it in the same segment was not."""

    def choke_on_zero(stanza: Message) -> Message:
        assert 1 // int(stanza.body or 1) <= 1
        return stanza

    scene.stream.app_inbound_message_filter.register(choke_on_zero)
    peer = await scene.starts(sm="sm-1")
    await peer.says("".join(f"<message from='juliet@example.test'><body>{n}</body></message>" for n in (1, 0, 2)))
    assert isinstance(await scene.outcome(), ZeroDivisionError)
    assert scene.stream.sm_inbound_ctr == 2


async def test_silence_is_broken_by_a_request_for_an_ack(autojump_clock, scene):
    """S005: with stream management a ping is a bare <r/>, and not counted."""
    peer = await scene.starts(sm="sm-1")
    scene.stream.soft_timeout, scene.stream.round_trip_time = 60, 60
    await peer.expects_nothing(59)
    await peer.expects(R)
    await peer.says(ack(0))
    await peer.expects_nothing(59)
    assert scene.stream.sm_unacked_count == 0


async def test_a_close_says_a_last_ack_and_what_comes_behind_it_is_not_processed(autojump_clock, scene):
    """The server, which will never see it acknowledged, delivers it elsewhere."""
    seen: list[str | None] = []
    scene.stream.on_message_received.connect(lambda stanza: seen.append(stanza.body))
    peer = await scene.starts(sm="sm-1")
    await peer.says("<message from='juliet@example.test'><body>in time</body></message>")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.stream.aclose)
        await peer.expects(ack(1))
        await peer.expects_footer()
        await peer.says("<message from='juliet@example.test'><body>too late</body></message>")
        await peer.says_footer()
    assert seen == ["in time"]
    assert not scene.stream.sm_enabled


async def test_a_ping_of_ours_that_is_lost_with_the_link_is_not_sent_on_the_next(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    scene.stream.soft_timeout = 60
    await peer.expects(R)
    peer.reset()
    await scene.outcome()
    scene.stream.soft_timeout = None
    peer = await scene.resumes()
    await peer.expects_nothing(1000)


async def test_an_answer_to_an_ack_request_that_is_lost_with_the_link_is_not_owed_any_more(autojump_clock, scene):
    """The server asks while the writer still waits for the network, which then breaks."""
    peer = await scene.starts(sm="sm-1", capacity=100)
    scene.client.enqueue(message("x" * 1000))
    await wait_all_tasks_blocked()
    await peer.says(R)
    await wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes()
    await hears_bodies(peer, "x" * 1000)
    await peer.expects(R)
    await peer.expects_nothing(10)


async def test_requests_are_answered_across_a_broken_link(autojump_clock, scene):
    """The reply comes on another link than the one on which we asked."""
    peer = await scene.starts(sm="sm-1")
    replies: list[object] = []

    async def ask() -> None:
        replies.append(await scene.client.send(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping())))

    scene.nursery.start_soon(ask)
    await peer.expects("<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
    id = peer.met["1"]
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes(h=1)
    await peer.says(f"<iq type='result' id='{id}' from='juliet@example.test'/>")
    await wait_all_tasks_blocked()
    assert replies == [None]
