"""Enabling stream management (XEP-0198 §3): what is asked for, what may come back, and when it takes effect."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.dialogs import hears_bodies, message
from trioxmpp import StanzaState, StreamNegotiationFailure
from trioxmpp.testing import open_peer_pair

ENABLE = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
ENABLED = "<enabled xmlns='urn:xmpp:sm:3' id='sm-1' resume='true'/>"
FAILED = "<failed xmlns='urn:xmpp:sm:3'><{}  xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"


class Asking:
    """`start_sm` in a task of its own; `outcome` is what it raised, or None."""

    def __init__(self, scene, **wishes) -> None:
        self.done = False
        self.outcome: Exception | None = None
        self._ended = trio.Event()
        scene.nursery.start_soon(self._run, scene, wishes)

    async def _run(self, scene, wishes) -> None:
        try:
            await scene.stream.start_sm(**wishes)
        except Exception as exc:
            self.outcome = exc
        self.done = True
        self._ended.set()

    async def wait(self) -> Exception | None:
        with trio.fail_after(1000):
            await self._ended.wait()
        return self.outcome


@pytest.mark.parametrize(
    ("wishes", "request_"),
    [
        ({}, ENABLE),
        ({"resume": False}, "<enable xmlns='urn:xmpp:sm:3'/>"),
        ({"max": 300}, "<enable xmlns='urn:xmpp:sm:3' resume='true' max='300'/>"),
        ({"max": 0}, "<enable xmlns='urn:xmpp:sm:3'/>"),
        ({"resume": True, "max": 0}, "<enable xmlns='urn:xmpp:sm:3'/>"),
        ({"resume": False, "max": 300}, "<enable xmlns='urn:xmpp:sm:3'/>"),
    ],
)
async def test_the_words_of_the_request(autojump_clock, scene, wishes, request_):
    """S144, S147, S148: a limit of 0 means: not resumable, and is not sent."""
    peer = await scene.starts()
    asking = Asking(scene, **wishes)
    await peer.expects(request_)
    await peer.says(ENABLED)
    assert await asking.wait() is None


async def test_success_begins_with_both_counters_at_zero(autojump_clock, scene):
    """S153: what went over the wire before is not counted."""
    peer = await scene.starts()
    await peer.says("<message from='juliet@example.test' id='before'/>")
    await scene.client.send(message("before"))
    await hears_bodies(peer, "before")
    assert not scene.stream.sm_enabled
    await scene.manages(peer)
    stream = scene.stream
    assert stream.sm_enabled
    assert (stream.sm_outbound_base, stream.sm_inbound_ctr, stream.sm_unacked_list) == (0, 0, [])
    assert (stream.sm_id, stream.sm_resumable, stream.sm_unacked_count) == ("sm-1", True, 0)


async def test_it_cannot_be_enabled_on_a_stream_that_is_not_running(autojump_clock, scene):
    with pytest.raises(RuntimeError, match="not running"):
        await scene.stream.start_sm()
    await scene.starts(sm="sm-1")
    scene.stream.stop()
    await scene.outcome()
    with pytest.raises(RuntimeError, match="not running"):
        await scene.stream.start_sm()


async def test_it_cannot_be_enabled_twice(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    with pytest.raises(RuntimeError, match="already enabled"):
        await scene.stream.start_sm()
    await peer.expects_nothing(1)


async def test_it_cannot_be_enabled_while_that_is_being_negotiated(autojump_clock, scene):
    peer = await scene.starts()
    asking = Asking(scene)
    await peer.expects(ENABLE)
    with pytest.raises(RuntimeError, match="being negotiated"):
        await scene.stream.start_sm()
    await peer.says(ENABLED)
    assert await asking.wait() is None


@pytest.mark.parametrize("condition", ["unexpected-request", "feature-not-implemented"])
async def test_a_refusal_leaves_the_stream_as_it_was(autojump_clock, scene, condition):
    """S146: and a second attempt may succeed."""
    peer = await scene.starts()
    asking = Asking(scene)
    await peer.expects(ENABLE)
    waiting = scene.client.enqueue(message("meanwhile"))
    await peer.expects_nothing(1)
    await peer.says(FAILED.format(condition))
    refusal = await asking.wait()
    assert isinstance(refusal, StreamNegotiationFailure)
    assert condition in str(refusal)
    assert (scene.stream.running, scene.stream.sm_enabled) == (True, False)
    await waiting
    assert waiting.state is StanzaState.SENT_WITHOUT_SM
    await hears_bodies(peer, "meanwhile")
    await scene.manages(peer)
    assert scene.stream.sm_enabled


async def test_a_link_that_breaks_before_the_answer_breaks_start_sm_with_the_same_exception(autojump_clock, scene):
    """S151."""
    peer = await scene.starts()
    asking = Asking(scene)
    await peer.expects(ENABLE)
    peer.reset()
    cause = await scene.outcome()
    assert isinstance(cause, ConnectionError)
    assert await asking.wait() is cause
    assert (scene.stream.running, scene.stream.sm_enabled) == (False, False)


async def test_a_stop_before_the_answer_is_a_connection_error(autojump_clock, scene):
    peer = await scene.starts()
    asking = Asking(scene)
    await peer.expects(ENABLE)
    scene.stream.stop()
    assert isinstance(await asking.wait(), ConnectionError)
    assert await scene.outcome() is None


async def test_cancelling_the_run_ends_start_sm_too(autojump_clock, scene):
    """In a task that was not cancelled: it must not wait for ever."""
    async with open_peer_pair() as (xmlstream, peer), trio.open_nursery() as nursery:
        await nursery.start(scene.stream.run, xmlstream)
        asking = Asking(scene)
        await peer.expects(ENABLE)
        nursery.cancel_scope.cancel()
    assert isinstance(await asking.wait(), ConnectionError)


async def test_it_cannot_be_enabled_while_the_stream_is_taking_leave(autojump_clock, scene):
    """The farewell of a failed stream takes a second, in which no peer would answer."""
    peer = await scene.starts(capacity=10)
    await peer.says("<message/>")
    scene.stream.app_inbound_message_filter.register(lambda stanza: 1 / 0)
    await peer.says("<message/>")
    await wait_all_tasks_blocked()
    assert scene.stream.running
    with pytest.raises(RuntimeError, match="not running"):
        await scene.stream.start_sm()
    assert isinstance(await scene.outcome(), ZeroDivisionError)


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_link_that_breaks_after_the_answer_does_not_break_start_sm(autojump_clock, scene, resumable):
    """S152: what was granted decides whether there still is a session."""
    destroyed: list[Exception] = []
    scene.stream.on_stream_destroyed.connect(destroyed.append)
    peer = await scene.starts()
    asking = Asking(scene)
    await peer.expects(ENABLE)
    await peer.says(ENABLED if resumable else "<enabled xmlns='urn:xmpp:sm:3'/>")
    peer.reset()
    assert await asking.wait() is None
    cause = await scene.outcome()
    assert isinstance(cause, ConnectionError)
    assert (scene.stream.running, scene.stream.sm_enabled) == (False, resumable)
    assert destroyed == ([] if resumable else [cause])


async def test_a_request_for_an_ack_in_the_segment_of_the_answer_is_answered(autojump_clock, scene):
    """S154, B223."""
    peer = await scene.starts()
    asking = Asking(scene)
    await peer.expects(ENABLE)
    await peer.says(f"{ENABLED}<r xmlns='urn:xmpp:sm:3'/>")
    await peer.expects("<a xmlns='urn:xmpp:sm:3' h='0'/>")
    assert await asking.wait() is None


async def test_a_stanza_in_the_segment_of_the_answer_is_counted_and_one_before_it_is_not(autojump_clock, scene):
    """S154, B224: the counter begins with <enabled/>."""
    peer = await scene.starts()
    Asking(scene)
    await peer.expects(ENABLE)
    await peer.says(
        f"<message from='juliet@example.test'/>{ENABLED}<message from='juliet@example.test'/>"
        "<r xmlns='urn:xmpp:sm:3'/><presence from='juliet@example.test'/>"
    )
    await peer.expects("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    await wait_all_tasks_blocked()
    assert scene.stream.sm_inbound_ctr == 2


async def test_no_stanza_is_written_between_the_request_and_its_answer(autojump_clock, scene):
    """S154: the sides could not agree on the count in between. Stanzas that were held back are counted."""
    peer = await scene.starts()
    Asking(scene)
    await peer.expects(ENABLE)
    tokens = [scene.client.enqueue(message(body)) for body in ("one", "two")]
    await peer.expects_nothing(100)
    await peer.says(ENABLED)
    await hears_bodies(peer, "one", "two")
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")
    assert scene.stream.sm_unacked_list == tokens
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    await tokens[1]


async def test_a_stanza_enqueued_just_before_the_request_waits_for_its_answer(autojump_clock, scene):
    """The writer finds both at once: the stanza is not written along with the request."""
    peer = await scene.starts()

    async def enqueue_and_enable() -> None:
        scene.client.enqueue(message())
        await scene.stream.start_sm()

    scene.nursery.start_soon(enqueue_and_enable)
    await peer.expects(ENABLE)
    await peer.expects_nothing(100)
    await peer.says(ENABLED)
    await hears_bodies(peer, "Hi")
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")


async def test_a_stanza_enqueued_before_start_sm_goes_out_behind_the_request(autojump_clock, scene):
    """The request jumps the queue; nothing is counted by one side only."""
    peer = await scene.starts()
    token = scene.client.enqueue(message())
    Asking(scene)
    element = await peer.hears()
    if element.tag.endswith("enable"):
        await peer.says(ENABLED)
        await hears_bodies(peer, "Hi")
        await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
        await token
        assert token.state is StanzaState.ACKED
    else:
        await peer.expects(ENABLE)
        await peer.says(ENABLED)
        await token
        assert token.state is StanzaState.SENT_WITHOUT_SM


async def test_cancelling_start_sm_does_not_take_the_request_back(autojump_clock, scene):
    peer = await scene.starts()
    with trio.move_on_after(1):
        await scene.stream.start_sm()
    await peer.expects(ENABLE)
    await peer.says(ENABLED)
    await wait_all_tasks_blocked()
    assert scene.stream.sm_enabled


async def test_enabling_is_not_a_new_session(autojump_clock, scene):
    """S185, B218."""
    events: list[str] = []
    scene.stream.on_stream_established.connect(lambda: events.append("established"))
    scene.stream.on_stream_destroyed.connect(lambda reason: events.append("destroyed"))
    peer = await scene.starts()
    await scene.manages(peer)
    assert events == ["established"]


@pytest.mark.parametrize(
    "answer", [ENABLED, FAILED.format("unexpected-request"), f"{ENABLED}{ENABLED.replace('sm-1', 'sm-2')}"]
)
async def test_an_unasked_answer_changes_nothing(autojump_clock, scene, caplog, answer):
    peer = await scene.starts(sm="sm-1")
    await peer.says(answer)
    await peer.says("<r xmlns='urn:xmpp:sm:3'/>")
    await peer.expects("<a xmlns='urn:xmpp:sm:3' h='0'/>")
    assert scene.stream.sm_id == "sm-1"
    assert "did not make" in caplog.text


@pytest.mark.parametrize("nonza", ["<r xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='7'/>"])
async def test_nonzas_without_stream_management_are_ignored_with_a_warning(autojump_clock, scene, caplog, nonza):
    """B225."""
    peer = await scene.starts()
    with caplog.at_level(logging.WARNING):
        await peer.says(nonza)
        await peer.expects_nothing(1)
    assert scene.stream.running
    assert "not managed" in caplog.text


async def test_start_sm_does_not_look_whether_it_is_offered(autojump_clock, scene):
    """S150: that is for the caller to know; `connect` does."""
    async with open_peer_pair(features=()) as (xmlstream, peer):
        await scene.runs(xmlstream)
        await scene.manages(peer)
        assert scene.stream.sm_enabled
