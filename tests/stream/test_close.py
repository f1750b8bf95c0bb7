"""Closing for good: the last ack, the footer, and that nothing can prevent the end."""

from __future__ import annotations

import pytest
import trio

from tests.dialogs import HI, R, ack, message
from trioxmpp import IQ, DestructionRequested, IQType, StanzaState
from trioxmpp.protocol.elements.ping import Ping

AY_ME = "<message from='juliet@example.test' type='chat'><body>Ay me!</body></message>"
PING = "<iq type='get' id='theirs' from='juliet@example.test'><ping xmlns='urn:xmpp:ping'/></iq>"


@pytest.fixture
def told(scene):
    """The signals of the stream: its failures, and the ends of its sessions."""
    told: list[Exception] = []
    scene.stream.on_failure.connect(told.append)
    scene.stream.on_stream_destroyed.connect(told.append)
    return told


async def closing(scene, nursery) -> None:
    """Begin to close, and return when nothing is written of it yet."""
    nursery.start_soon(scene.stream.aclose)
    for _ in range(2):
        await trio.lowlevel.checkpoint()


def closed(scene, told) -> None:
    """Check that everything is as it has to be after a close, and that nothing was told of it but that."""
    (reason,) = told
    assert isinstance(reason, DestructionRequested)
    assert str(reason) == "close() called"
    assert not scene.stream.running
    assert not scene.stream.established
    assert not scene.stream.sm_enabled
    with pytest.raises(DestructionRequested, match=r"close\(\) called"):
        scene.client.enqueue(message())


# --- a proper close


async def test_both_sides_close_the_stream_and_then_the_link(autojump_clock, scene, told, nursery):
    peer = await scene.starts()
    nursery.start_soon(scene.stream.aclose)
    await peer.expects_footer()
    assert scene.stream.running
    await peer.says_footer()
    await peer.expects_end()
    assert await scene.outcome() is None
    closed(scene, told)


async def test_with_stream_management_the_last_word_is_an_ack(autojump_clock, scene, told, nursery):
    peer = await scene.starts(sm="sm-1")
    await peer.says(AY_ME * 3)
    await peer.expects_nothing(1)
    nursery.start_soon(scene.stream.aclose)
    await peer.expects(ack(3))
    await peer.expects_footer()
    await peer.says_footer()
    assert await scene.outcome() is None
    closed(scene, told)


async def test_queued_stanzas_are_not_sent_any_more(autojump_clock, scene, told, nursery):
    peer = await scene.starts(sm="sm-1")
    sent = scene.client.enqueue(message())
    await peer.expects(HI)
    await peer.expects(R)
    queued = []

    async def enqueue_and_close():
        queued.append(scene.client.enqueue(message("not sent")))  # the writer has had no turn since
        await scene.stream.aclose()

    nursery.start_soon(enqueue_and_close)
    await trio.testing.wait_all_tasks_blocked()
    queued.append(scene.client.enqueue(message("too late")))
    await peer.expects(ack(0))
    await peer.expects_footer()
    await peer.says_footer()
    await scene.outcome()
    assert [token.state for token in (sent, *queued)] == [StanzaState.SENT_WITHOUT_SM, *2 * [StanzaState.DISCONNECTED]]
    assert scene.stream.undelivered == (sent, *queued)
    for token in queued:
        with pytest.raises(ConnectionError):
            await token
    closed(scene, told)


async def test_an_ack_that_crosses_our_footer_still_counts(autojump_clock, scene, told, nursery):
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message())
    await peer.expects(HI)
    nursery.start_soon(scene.stream.aclose)
    await trio.testing.wait_all_tasks_blocked()
    await peer.says(ack(1))
    await peer.says_footer()
    await scene.outcome()
    assert token.state is StanzaState.ACKED
    closed(scene, told)


async def test_footers_that_cross_are_fine(autojump_clock, scene, told, nursery):
    """The server's arrives while ours has to wait for a stanza that the network does not take yet."""
    peer = await scene.starts(capacity=100)
    token = scene.client.enqueue(message("x" * 1000))
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(scene.stream.aclose)
    await trio.testing.wait_all_tasks_blocked()
    await peer.says_footer()
    await trio.testing.wait_all_tasks_blocked()
    assert scene.stream.running
    await peer.expects(HI.replace("Hi", "x" * 1000))
    await peer.expects_footer()
    await peer.expects_end()
    assert await scene.outcome() is None
    assert token.state is StanzaState.SENT_WITHOUT_SM
    closed(scene, told)


async def test_only_who_waited_for_it_knows_that_it_was_delivered(autojump_clock, scene, nursery):
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message()) for _ in range(100)]

    async def farewell():
        await scene.client.drain()
        await scene.stream.aclose()

    nursery.start_soon(farewell)
    heard = 0
    while heard < 100:
        element = await peer.hears()
        heard += element.tag.endswith("}message")
        if element.tag.endswith("}r"):
            await peer.says(ack(heard))
    await peer.says(ack(100))
    while (await peer.hears()).tag.endswith("}r"):
        pass  # the last thing is our own ack
    await peer.expects_footer()
    await peer.says_footer()
    await scene.outcome()
    assert {token.state for token in tokens} == {StanzaState.ACKED}


async def test_a_close_by_itself_promises_nothing(autojump_clock, scene, nursery):
    """Nothing is written for it that the writer had not taken, and nothing is waited for."""
    peer, tokens = await scene.starts(sm="sm-1"), []

    async def enqueue_and_close():
        tokens.extend(scene.client.enqueue(message()) for _ in range(100))
        await scene.stream.aclose()

    nursery.start_soon(enqueue_and_close)
    await peer.expects(ack(0))
    await peer.expects_footer()
    await peer.says_footer()
    await scene.outcome()
    assert {token.state for token in tokens} == {StanzaState.DISCONNECTED}


# --- what arrives while we wait for the other footer


async def test_stanzas_are_still_delivered_while_we_wait(autojump_clock, scene, told, nursery):
    peer = await scene.starts()
    async with scene.client.messages.subscribe(None) as inbox:
        nursery.start_soon(scene.stream.aclose)
        await peer.expects_footer()
        await peer.says(AY_ME)
        assert (await anext(inbox)).body == "Ay me!"
    await peer.says_footer()
    await scene.outcome()
    closed(scene, told)


async def test_a_managed_stanza_that_our_last_ack_does_not_cover_is_left_to_the_server(autojump_clock, scene, nursery):
    seen = []
    scene.stream.on_message_received.connect(seen.append)
    peer = await scene.starts(sm="sm-1")
    nursery.start_soon(scene.stream.aclose)
    await peer.expects(ack(0))
    await peer.expects_footer()
    await peer.says(AY_ME)
    await peer.says_footer()
    await scene.outcome()
    assert not seen


@pytest.mark.parametrize(
    "nonsense",
    [
        "<unknown xmlns='urn:example:unknown'/>",
        "<stream:features/>",
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<a xmlns='urn:xmpp:sm:3' h='many'/>",
        "<a xmlns='urn:xmpp:sm:3' h='17'/>",
    ],
)
@pytest.mark.parametrize("sm", [None, "sm-1"])
async def test_nonsense_in_the_meantime_is_ignored(autojump_clock, scene, told, nursery, sm, nonsense):
    peer = await scene.starts(sm=sm)
    await closing(scene, nursery)
    await peer.says(nonsense)
    if sm is not None:
        await peer.expects(ack(0))
    await peer.expects_footer()
    await peer.says_footer()
    assert await scene.outcome() is None
    closed(scene, told)


async def test_a_stream_error_in_the_meantime_is_no_failure(autojump_clock, scene, told, nursery):
    peer = await scene.starts()
    await closing(scene, nursery)
    await peer.says("<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
    await peer.says_footer()
    assert await scene.outcome() is None
    await peer.expects_footer()
    closed(scene, told)


# --- what goes wrong


async def test_a_server_that_never_closes_its_side_is_given_up(autojump_clock, scene, told):
    peer = await scene.starts()
    begun = trio.current_time()
    await scene.stream.aclose()
    assert trio.current_time() - begun == 15
    await peer.expects_footer()
    await peer.expects_end()
    assert await scene.outcome() is None
    closed(scene, told)


@pytest.mark.parametrize("sm", [None, "sm-1"])
async def test_a_peer_that_does_not_read_cannot_prevent_a_close(autojump_clock, scene, told, sm):
    await scene.starts(sm=sm, capacity=100)
    token = scene.client.enqueue(message("A" * 200))
    await trio.testing.wait_all_tasks_blocked()
    begun = trio.current_time()
    await scene.stream.aclose()
    assert trio.current_time() - begun == 15
    assert await scene.outcome() is None
    assert token.state is (StanzaState.DISCONNECTED if sm is None else StanzaState.SENT_WITHOUT_SM)
    assert scene.stream.undelivered == (token,)
    closed(scene, told)


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_link_that_breaks_before_the_last_ack_cannot_prevent_a_close(autojump_clock, scene, told, resumable):
    peer = await scene.starts(sm="sm-1", resumable=resumable)
    token = scene.client.enqueue(message())
    await peer.expects(HI)
    peer.reset()
    await scene.stream.aclose()
    assert await scene.outcome() is None
    assert token.state is StanzaState.SENT_WITHOUT_SM
    closed(scene, told)


@pytest.mark.parametrize("breaks", ["reset", "close"])
async def test_a_link_that_breaks_while_we_wait_is_no_failure(autojump_clock, scene, told, nursery, breaks):
    peer = await scene.starts()
    nursery.start_soon(scene.stream.aclose)
    await peer.expects_footer()
    getattr(peer, breaks)()
    assert await scene.outcome() is None
    closed(scene, told)


async def test_a_silence_while_we_wait_is_no_failure(autojump_clock, scene, told, nursery):
    scene.stream.soft_timeout = scene.stream.round_trip_time = 2
    await scene.starts()
    await scene.stream.aclose()
    assert await scene.outcome() is None
    closed(scene, told)


async def test_a_failure_before_the_close_is_told_once_and_raised(autojump_clock, scene, told):
    peer = await scene.starts()
    peer.reset()
    failure = await scene.outcome()
    await scene.stream.aclose()
    assert isinstance(failure, ConnectionResetError)
    assert told == [failure, failure]  # it destroyed the session, too
    with pytest.raises(DestructionRequested):
        scene.client.enqueue(message())


async def test_a_failure_in_the_moment_before_a_close_is_still_told(autojump_clock, scene):
    told = []
    peer = await scene.starts(sm="sm-1")
    scene.stream.on_failure.connect(told.append)

    def breaks(stanza):
        scene.nursery.start_soon(scene.stream.aclose)
        raise LookupError("x")

    with scene.stream.app_inbound_message_filter.context_register(breaks):
        await peer.says(AY_ME)
        failure = await scene.outcome()
    assert told == [failure]
    assert isinstance(failure, LookupError)
    await trio.testing.wait_all_tasks_blocked()
    assert not scene.stream.sm_enabled
    with pytest.raises(DestructionRequested):
        scene.client.enqueue(message())


@pytest.mark.parametrize("sm", [None, "sm-1"])
async def test_a_close_during_the_farewell_of_a_failed_stream_does_not_hide_its_failure(
    autojump_clock, scene, nursery, sm
):
    failures, reasons = [], []
    scene.stream.on_failure.connect(failures.append)
    scene.stream.on_stream_destroyed.connect(reasons.append)
    peer = await scene.starts(sm=sm, capacity=100)
    await peer.says_raw(b"<message></body>")  # answered with an error that does not fit into the link
    await trio.testing.wait_all_tasks_blocked()
    assert scene.stream.running
    await scene.stream.aclose()
    failure = await scene.outcome()
    assert failures == [failure]
    assert isinstance(failure, ConnectionError)
    assert len(reasons) == 1
    assert not scene.stream.established
    assert not scene.stream.sm_enabled
    with pytest.raises(DestructionRequested):
        scene.client.enqueue(message())


# --- without a link


@pytest.mark.parametrize("suspended_by", ["stop", "failure"])
async def test_a_session_that_waits_for_a_link_is_closed(autojump_clock, scene, nursery, suspended_by):
    reasons, answers = [], []
    handler_ended = trio.Event()
    scene.stream.on_stream_destroyed.connect(reasons.append)
    peer = await scene.starts(sm="sm-1")

    async def handler(iq):
        try:
            await trio.sleep_forever()
        finally:
            handler_ended.set()

    async def ask():
        with pytest.raises(DestructionRequested) as raised:
            await scene.client.send(IQ(type=IQType.GET, to="juliet@example.test", payload=Ping()))
        answers.append(raised.value)

    scene.stream.register_iq_request_handler(IQType.GET, Ping, handler)
    sent = scene.client.enqueue(message())
    nursery.start_soon(ask)
    await peer.says(PING)
    await peer.expects(HI)
    await trio.testing.wait_all_tasks_blocked()
    scene.stream.stop() if suspended_by == "stop" else peer.reset()
    await scene.outcome()
    queued = scene.client.enqueue(message())
    assert not reasons

    await scene.stream.aclose()
    await handler_ended.wait()
    await trio.testing.wait_all_tasks_blocked()
    closed(scene, reasons)
    assert answers == reasons
    assert (sent.state, queued.state) == (StanzaState.SENT_WITHOUT_SM, StanzaState.DISCONNECTED)


async def test_a_stream_that_never_ran_can_be_closed(autojump_clock, scene, told):
    await scene.stream.aclose()
    assert not told
    with pytest.raises(DestructionRequested, match=r"close\(\) called"):
        scene.client.enqueue(message())


async def test_closing_twice_tells_nothing_new_and_forgets_nothing(autojump_clock, scene, told, nursery):
    peer = await scene.starts()
    nursery.start_soon(scene.stream.aclose)
    await peer.expects_footer()
    token = scene.client.enqueue(message())
    await peer.says_footer()
    await scene.outcome()
    await scene.stream.aclose()
    closed(scene, told)
    assert scene.stream.undelivered == (token,)


async def test_after_a_close_the_stream_may_start_again(autojump_clock, scene, told, nursery):
    peer = await scene.starts(sm="sm-1")
    await closing(scene, nursery)
    await peer.says_footer()
    await scene.outcome()
    peer = await scene.starts(sm="sm-2")
    token = scene.client.enqueue(message())
    await peer.expects(HI)
    await peer.says(ack(1))
    await token
    assert scene.stream.sm_id == "sm-2"


async def test_the_stanza_is_not_even_looked_at_once_the_stream_is_closed(autojump_clock, scene):
    await scene.stream.aclose()
    with pytest.raises(DestructionRequested):
        scene.client.enqueue(IQ(type=IQType.ERROR))


# --- who closes


async def test_two_tasks_may_close_at_once(autojump_clock, scene, told, nursery):
    peer = await scene.starts(sm="sm-1")
    async with trio.open_nursery() as closers:
        for _ in range(2):
            closers.start_soon(scene.stream.aclose)
        await peer.expects(ack(0))
        await peer.expects_footer()
        await peer.says_footer()
    assert await scene.outcome() is None
    closed(scene, told)


async def test_a_handler_may_close_the_stream_that_it_answers_on(autojump_clock, scene, told):
    peer = await scene.starts()
    seen = []

    async def handler(iq):
        try:
            await scene.stream.aclose()
            await trio.lowlevel.checkpoint()
        finally:
            seen.append(scene.stream.running)

    with scene.client.iq_handler(IQType.GET, Ping, handler):
        await peer.says(PING)
        await peer.expects_footer()
        await peer.says_footer()
        assert await scene.outcome() is None
        await trio.testing.wait_all_tasks_blocked()
    assert seen == [False]
    await peer.expects_end()
    closed(scene, told)


async def test_a_close_that_is_cancelled_takes_two_seconds_more_and_is_a_close(autojump_clock, scene, told):
    peer = await scene.starts(sm="sm-1")
    begun = trio.current_time()
    with trio.move_on_after(5) as limit:
        await scene.stream.aclose()
    assert limit.cancelled_caught
    assert trio.current_time() - begun == 7
    await peer.expects(ack(0))
    await peer.expects_footer()
    await peer.expects_end()
    closed(scene, told)


async def test_a_close_that_is_cancelled_from_the_start_still_says_goodbye(autojump_clock, scene, told, nursery):
    peer = await scene.starts(sm="sm-1")
    with trio.CancelScope() as scope:
        scope.cancel()
        await scene.stream.aclose()
    assert scope.cancelled_caught
    await peer.expects(ack(0))
    await peer.expects_footer()
    closed(scene, told)


async def test_stop_cuts_a_close_short(autojump_clock, scene, told, nursery):
    peer = await scene.starts()
    nursery.start_soon(scene.stream.aclose)
    await peer.expects_footer()
    begun = trio.current_time()
    await scene.stream.wait_stop()
    assert trio.current_time() == begun
    assert await scene.outcome() is None
    await peer.expects_end()
    closed(scene, told)


async def test_a_block_closes_what_it_opened(autojump_clock, scene, told, nursery):
    async with scene.stream:
        peer = await scene.starts()
        nursery.start_soon(answer_footer, peer)
    assert await scene.outcome() is None
    closed(scene, told)


async def answer_footer(peer) -> None:
    await peer.expects_footer()
    await peer.says_footer()


async def test_a_block_that_is_left_by_an_error_closes_too_and_lets_it_through(autojump_clock, scene, told, nursery):
    error = LookupError("of the block")

    async def block():
        async with scene.stream:
            nursery.start_soon(answer_footer, await scene.starts())
            raise error

    with pytest.raises(LookupError) as raised:
        await block()
    assert raised.value is error
    closed(scene, told)
