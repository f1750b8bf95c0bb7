"""Silence on the wire: when the server is asked to say something, and when the link is dead."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio

from tests.dialogs import R
from trioxmpp import IQ, IQType, Liveness, Message, MessageType, StanzaStream, StreamTimeout
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.stream.liveness import Clocks
from trioxmpp.testing import open_peer_pair

PING = "<iq type='get' id='$1'><ping xmlns='urn:xmpp:ping'/></iq>"


@pytest.fixture
def watched(scene):
    """The scene with limits of a minute each."""
    scene.stream.soft_timeout = scene.stream.round_trip_time = 60
    return scene


def test_the_default_is_below_the_minute_after_which_proxies_cut_a_silent_link() -> None:
    stream = StanzaStream()
    assert (stream.soft_timeout, stream.round_trip_time) == (45, 60)


@pytest.mark.parametrize("value", [5.0, timedelta(seconds=5), None])
def test_limits_are_set_before_any_start_and_read_back_as_seconds(value) -> None:
    stream = StanzaStream(liveness=Liveness(soft_timeout=value, round_trip_time=value))
    assert (stream.soft_timeout, stream.round_trip_time) == (value and 5.0, value and 5.0)
    stream = StanzaStream()
    stream.soft_timeout = stream.round_trip_time = value
    assert (stream.soft_timeout, stream.round_trip_time) == (value and 5.0, value and 5.0)


async def test_a_link_in_doubt_has_less_time_than_a_silent_one(autojump_clock, watched):
    """`check_link`: the server is asked at once, and the link is dead after `patience` and not after two minutes."""
    peer = await watched.starts(sm="sm-1")
    await trio.sleep(10)
    began = trio.current_time()
    watched.stream.check_link(7.0)
    await peer.expects(R)
    assert trio.current_time() == began
    assert isinstance(await watched.outcome(), StreamTimeout)
    assert trio.current_time() == began + 7


@pytest.mark.parametrize("value", [-1, float("nan")])
def test_a_limit_that_is_no_duration_is_refused(value) -> None:
    stream = StanzaStream()
    with pytest.raises(ValueError, match="time limit"):
        stream.soft_timeout = value
    with pytest.raises(ValueError, match="time limit"):
        stream.round_trip_time = value
    assert (stream.soft_timeout, stream.round_trip_time) == (45, 60)


def test_names_of_older_versions_of_the_seed_are_not_there() -> None:
    for name in ("ping_interval", "ping_opportunistic_interval"):
        assert not hasattr(StanzaStream(), name)


async def test_silence_brings_one_ping_and_then_the_end(autojump_clock, watched):
    peer = await watched.starts()
    begun = trio.current_time()
    await peer.expects(PING)
    assert trio.current_time() - begun == 60
    await peer.expects_end()  # neither another ping nor a footer
    assert trio.current_time() - begun == 120
    failure = await watched.outcome()
    assert isinstance(failure, StreamTimeout)
    assert isinstance(failure, ConnectionError)
    assert "timeout" in str(failure)
    assert not watched.stream.running


async def test_with_stream_management_the_ping_is_a_bare_request_for_an_ack(autojump_clock, watched):
    peer = await watched.starts(sm="sm-1")
    await peer.expects(R)
    await peer.expects_end()
    assert isinstance(await watched.outcome(), StreamTimeout)
    assert watched.stream.sm_enabled  # the session waits to be resumed


async def test_a_timeout_is_a_failure_as_any_other(autojump_clock, watched):
    failures, reasons = [], []
    watched.stream.on_failure.connect(failures.append)
    watched.stream.on_stream_destroyed.connect(reasons.append)
    await watched.starts()
    failure = await watched.outcome()
    assert failures == reasons == [failure]


async def test_any_byte_is_a_sign_of_life(autojump_clock, watched):
    peer = await watched.starts()
    for _ in range(61):
        await peer.expects_nothing(59)
        await peer.says_raw(b" ")  # an hour of white space
    assert watched.stream.running


async def test_one_huge_stanza_that_comes_drop_by_drop_is_a_sign_of_life(autojump_clock, watched):
    peer = await watched.starts()
    async with watched.client.messages.subscribe(None) as inbox:
        for byte in b"<message from='juliet@example.test'><body>Ay me! O, speak again.</body></message>":
            await peer.expects_nothing(10)
            await peer.says_raw(bytes([byte]))
        assert (await anext(aiter(inbox))).body == "Ay me! O, speak again."


async def test_a_stanza_that_never_ends_is_no_sign_of_life_for_ever(autojump_clock, watched):
    """F5: each octet of it counts, but not for ever."""
    peer = await watched.starts()
    await peer.says_raw(b"<message from='juliet@example.test'><body>")
    with trio.move_on_after(1200) as limit:
        while watched.stream.running:
            await peer.says_raw(b"x")
            await trio.sleep(10)
    assert not limit.cancelled_caught
    assert isinstance(await watched.outcome(), StreamTimeout)


async def test_a_large_stanza_may_take_its_time_as_long_as_enough_of_it_comes(autojump_clock, watched):
    peer = await watched.starts()
    async with watched.client.messages.subscribe(None) as inbox:
        await peer.says_raw(b"<message from='juliet@example.test'><body>")
        for _ in range(200):
            await peer.says_raw(b"x" * 50_000)
            await trio.sleep(10)
        await peer.says_raw(b"</body></message>")
        assert len((await anext(aiter(inbox))).body) == 10_000_000
    assert watched.stream.running


async def test_the_answer_to_the_ping_need_not_come_if_anything_else_does(autojump_clock, watched):
    peer = await watched.starts()
    for _ in range(5):
        await peer.expects(PING)
        await peer.expects_nothing(59)
        await peer.says("<message from='juliet@example.test'><body>Ay me!</body></message>")
    assert watched.stream.running


@pytest.mark.parametrize(
    "answer",
    [
        "<iq type='result' id='$1'/>",
        "<iq type='error' id='$1'><error type='cancel'>"
        "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        "<iq type='error' id='$1'/>",
    ],
    ids=["result", "error", "malformed"],
)
async def test_whatever_answers_the_ping_is_swallowed(autojump_clock, watched, caplog, answer):
    peer = await watched.starts()
    for _ in range(3):
        await peer.expects(PING)
        await peer.expects_nothing(30)
        await peer.says(answer)
    await peer.expects_nothing(59)
    assert watched.stream.running
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_an_ack_answers_the_ping(autojump_clock, watched):
    peer = await watched.starts(sm="sm-1")
    for _ in range(3):
        await peer.expects(R)
        await peer.expects_nothing(59)
        await peer.says("<a xmlns='urn:xmpp:sm:3' h='0'/>")
    assert watched.stream.running


async def test_a_silence_between_the_limits_ends_no_later_silence_early(autojump_clock, watched):
    peer = await watched.starts()
    await peer.expects(PING)
    await peer.expects_nothing(59.5)
    await peer.says_raw(b" ")
    begun = trio.current_time()
    await peer.expects(PING)  # both limits are armed again
    assert trio.current_time() - begun == 60
    await peer.expects_end()
    assert trio.current_time() - begun == 120


async def test_octets_that_arrived_while_the_program_was_busy_count(watched, autojump_clock):
    for _ in range(20):  # which of the two tasks that wake up at once is first, is chance
        peer = await watched.starts()
        await peer.expects_nothing(1)
        await peer.says_raw(b" ")
        autojump_clock.jump(200)  # for so long the reader had no turn
        await peer.expects_nothing(59)
        assert watched.stream.running
        await watched.stream.wait_stop()


async def test_the_end_comes_in_time_though_the_ping_cannot_even_be_written(autojump_clock, watched):
    peer = await watched.starts(capacity=10)
    token = watched.client.enqueue(Message(to="juliet@example.test", body="O, wilt thou leave me so unsatisfied?"))
    begun = trio.current_time()
    assert isinstance(await watched.outcome(), StreamTimeout)
    assert trio.current_time() - begun == 120
    assert token.state.name == "DISCONNECTED"
    await peer.expects_end()


@pytest.mark.parametrize(("soft", "rtt"), [(60, 5), (5, 60), (0.5, 0.25)])
async def test_the_link_is_dead_after_both_limits(autojump_clock, scene, soft, rtt):
    scene.stream.soft_timeout, scene.stream.round_trip_time = soft, timedelta(seconds=rtt)
    peer = await scene.starts()
    begun = trio.current_time()
    await peer.expects(PING)
    assert trio.current_time() - begun == soft
    await scene.outcome()
    assert trio.current_time() - begun == soft + rtt


async def test_without_a_round_trip_time_there_is_one_ping_and_no_end(autojump_clock, scene):
    scene.stream.soft_timeout = 60
    peer = await scene.starts()
    await peer.expects(PING)
    await peer.expects_nothing(86400)
    assert scene.stream.running


async def test_without_a_soft_timeout_nothing_ever_happens(autojump_clock, scene):
    scene.stream.round_trip_time = 60
    peer = await scene.starts()
    await peer.expects_nothing(86400)
    assert scene.stream.running


async def test_lowering_the_soft_timeout_asks_at_once_and_only_once(autojump_clock, scene):
    scene.stream.soft_timeout = 3600
    peer = await scene.starts()
    await peer.expects_nothing(50)
    scene.stream.soft_timeout = 40
    await peer.expects(PING, within=0.001)
    scene.stream.soft_timeout = 30
    scene.stream.round_trip_time = 3600
    scene.stream.soft_timeout = 55
    await peer.expects_nothing(3000)


async def test_raising_the_soft_timeout_gives_the_silence_more_time(autojump_clock, watched):
    peer = await watched.starts()
    await peer.expects_nothing(50)
    watched.stream.soft_timeout = 100
    await peer.expects_nothing(49)
    await peer.expects(PING, within=1.001)


async def test_the_round_trip_time_may_change_while_it_is_waited_for(autojump_clock, watched):
    peer = await watched.starts()
    begun = trio.current_time()
    await peer.expects(PING)
    watched.stream.round_trip_time = 100
    await peer.expects_nothing(90)
    watched.stream.round_trip_time = 95
    await peer.expects_end()
    assert trio.current_time() - begun == 155


async def test_a_limit_that_has_already_passed_trips_when_it_is_set(autojump_clock, watched):
    peer = await watched.starts()
    await peer.expects(PING)
    await peer.expects_nothing(50)
    watched.stream.round_trip_time = 20
    begun = trio.current_time()
    assert isinstance(await watched.outcome(), StreamTimeout)
    assert trio.current_time() == begun


async def test_limits_that_are_switched_on_count_from_the_last_byte(autojump_clock, scene):
    peer = await scene.starts()
    await peer.expects_nothing(50)
    scene.stream.soft_timeout = scene.stream.round_trip_time = 60
    await peer.expects_nothing(9)
    await peer.expects(PING, within=1.001)


async def test_a_stream_that_does_not_run_is_not_watched(autojump_clock, watched):
    peer = await watched.starts()
    watched.stream.stop()
    assert await watched.outcome() is None
    await peer.expects_nothing(86400)
    watched.stream.soft_timeout = 1
    await peer.expects_nothing(86400)


async def test_a_new_link_begins_a_new_silence(autojump_clock, watched):
    peer = await watched.starts(sm="sm-1")
    await peer.expects_nothing(59)
    peer.reset()
    assert isinstance(await watched.outcome(), ConnectionError)
    await trio.sleep(3600)
    peer = await watched.resumes()
    await peer.expects_nothing(59)
    await peer.expects(R, within=1.001)


async def test_how_long_a_request_takes_is_no_concern_of_the_watchdog(autojump_clock, watched):
    peer = await watched.starts()
    replies = []
    async with trio.open_nursery() as nursery:

        async def ask():
            replies.append(await watched.client.send(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping())))

        nursery.start_soon(ask)
        await peer.expects("<iq type='get' id='$1' to='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>")
        for _ in range(20):
            await peer.expects_nothing(30)  # ten minutes, which is ten times the round-trip time
            await peer.says_raw(b" ")
        await peer.says("<iq type='result' id='$1' from='juliet@example.test'/>")
    assert replies == [None]


async def test_an_unanswered_ping_is_no_obstacle_to_anything_else(autojump_clock, watched):
    peer = await watched.starts()
    await peer.expects(PING)
    token = watched.client.enqueue(Message(to="juliet@example.test", type=MessageType.CHAT, body="Hi"))
    await peer.expects("<message to='juliet@example.test' type='chat'><body>Hi</body></message>")
    await token


async def test_a_server_that_talks_but_never_answers_a_ping_costs_no_memory(autojump_clock, watched):
    peer = await watched.starts()
    for _ in range(50):
        await peer.expects(PING)
        await peer.says("<message from='juliet@example.test'><body>Hark</body></message>")
    assert len(watched.stream.core.session.replies) == 1


async def test_an_idle_link_keeps_no_parser_and_reads_on_as_if_nothing_were(autojump_clock, watched):
    xmlstream, peer = await watched.link()
    await watched.runs(xmlstream)
    reading = xmlstream._inbound._parser  # memory is nothing that can be seen from outside, but 10 kB for each session
    async with watched.client.messages.subscribe() as inbox:
        await peer.says("<message id='whole'><body>Hark</body></message>")
        assert (await anext(inbox)).id == "whole"
        assert reading._parser is not None
        await trio.sleep(6)
        assert reading._parser is None
        await peer.says_raw(b"<message id='half'><body>")
        await trio.sleep(6)
        await peer.says_raw(b"Hark</body></message>")
        assert (await anext(inbox)).id == "half"


# --- the other silence: ours


async def heard_raw(peer, seconds: float) -> list[float]:
    """Return the times at which the client says anything, white space included, within some seconds."""
    times = []
    with trio.move_on_after(seconds):
        while True:
            await peer.wire.receive_some(65536)
            times.append(trio.current_time())
    return times


@pytest.mark.parametrize(("idle", "longest"), [(None, 300), (100, 100), (30, 30), (86_400, 300)])
async def test_we_say_something_though_only_the_server_has_something_to_say(autojump_clock, watched, idle, longest):
    """F19: the server speaks every 30 seconds, for half an hour; it may think that we are gone (XEP-0478)."""
    limits = f"<limits xmlns='urn:xmpp:stream-limits:0'><idle-seconds>{idle}</idle-seconds></limits>" if idle else ""
    async with open_peer_pair(features=(limits,)) as (xmlstream, peer):
        await watched.runs(xmlstream)
        last, most = trio.current_time(), 0.0
        for _ in range(60):
            for time in await heard_raw(peer, 30):
                last, most = time, max(most, time - last)
            await peer.says("<message from='juliet@example.test'/>")
        assert 0 < most < longest
        watched.stream.stop()


async def test_white_space_of_ours_is_not_said_while_we_speak_anyway(autojump_clock, watched):
    peer = await watched.starts()
    times = []
    for _ in range(20):
        watched.client.enqueue(Message(to="juliet@example.test", body="Hi"))
        await peer.says_raw(b" ")
        times += await heard_raw(peer, 55)
    assert len(times) == 20


# --- a process that stands still, and a machine that sleeps


@pytest.mark.parametrize("managed", [False, True])
@pytest.mark.parametrize("before", [1, 59, 61, 100, 119])
async def test_a_process_that_stood_still_asks_before_it_gives_up(watched, autojump_clock, before, managed):
    """F20: whenever it stops, also right before the end of its patience, the server has a minute to answer."""
    peer = await watched.starts(sm="sm-1" if managed else None)
    with trio.move_on_after(before):
        while True:
            await peer.wire.receive_some(65536)
    autojump_clock.jump(1000)
    begun = trio.current_time()
    await peer.hears()
    assert trio.current_time() == begun
    await peer.expects_nothing(59)
    await peer.says_raw(b" ")
    await peer.expects_nothing(59)
    assert watched.stream.running


class Wall:
    """Two clocks, of which one goes on while the machine sleeps."""

    def __init__(self) -> None:
        self.slept = 0.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: trio.current_time() + self.slept, trio.current_time)


@pytest.mark.parametrize("jump", [60, 3600, -60])
async def test_a_machine_that_has_slept_checks_its_link(autojump_clock, nursery, jump):
    """F22: the clock that timeouts go by has stood still; the other one tells of it."""
    wall = Wall()
    async with open_peer_pair() as (xmlstream, peer):
        stream = StanzaStream("romeo@example.test", liveness=Liveness(60, 60), clocks=wall.clocks())
        ended = []

        async def run(task_status):
            try:
                await stream.run(xmlstream, task_status=task_status)
            except StreamTimeout:
                ended.append(trio.current_time())

        async with trio.open_nursery() as inner:
            await inner.start(run)
            await peer.expects_nothing(20)
            wall.slept += jump
            begun = trio.current_time()
            await peer.expects(PING)
            assert trio.current_time() - begun <= 5
        assert ended[0] - begun <= 20


async def test_a_clock_that_is_corrected_a_little_is_no_reason_to_ask(autojump_clock, nursery):
    wall = Wall()
    async with open_peer_pair() as (xmlstream, peer):
        stream = StanzaStream("romeo@example.test", liveness=Liveness(600, 60), clocks=wall.clocks())
        await nursery.start(stream.run, xmlstream)
        for _ in range(50):
            await peer.expects_nothing(10)
            wall.slept += 1
        stream.stop()


async def test_a_ping_of_ours_is_not_among_what_was_not_delivered(autojump_clock, watched):
    """F76"""
    peer = await watched.starts()
    await peer.expects(PING)
    token = watched.client.enqueue(Message(to="juliet@example.test", body="Hi"))
    peer.reset()
    await watched.outcome()
    assert watched.stream.undelivered in ((), (token,))


async def test_a_ping_goes_before_all_that_is_queued(autojump_clock, scene):
    peer = await scene.starts(capacity=1000)
    scene.stream.soft_timeout = 60
    for _ in range(20):
        scene.client.enqueue(Message(to="juliet@example.test", body="x" * 10_000))
    await trio.sleep(61)
    before = 0
    while (await peer.hears()).tag != "{jabber:client}iq":
        before += 1
    assert before <= 4
