"""Resuming a session on another link (XEP-0198 §5), in every way in which that can go."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.dialogs import R, hears_bodies, message
from trioxmpp import DestructionRequested, Message, StanzaState, StreamNegotiationFailure, StreamTimeout
from trioxmpp.protocol.sm import MODULUS
from trioxmpp.testing import open_peer_pair

RESUME = "<resume xmlns='urn:xmpp:sm:3' previd='sm-1' h='{}'/>"
RESUMED = "<resumed xmlns='urn:xmpp:sm:3' previd='sm-1' h='{}'/>"
GONE = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
ACTIVE, SENT, ACKED = StanzaState.ACTIVE, StanzaState.SENT, StanzaState.ACKED
DISCONNECTED, SENT_WITHOUT_SM = StanzaState.DISCONNECTED, StanzaState.SENT_WITHOUT_SM


async def loses_the_link_with(scene, *bodies: str, heard: int | None = None):
    """A suspended session in which these stanzas are in flight; returns their tokens."""
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message(body)) for body in bodies]
    await wait_all_tasks_blocked()
    peer.reset()
    assert isinstance(await scene.outcome(), ConnectionError)
    assert [token.state for token in tokens] == [SENT] * len(tokens)
    return tokens


class Attempt:
    """`resume` in a task of its own, on another link."""

    def __init__(self, scene) -> None:
        self.outcome: object = "going on"
        self.ended = trio.Event()
        self.scene = scene

    async def begin(self, h: int = 0):
        self.xmlstream, peer = await self.scene.link()
        self.scene.nursery.start_soon(self._run)
        await peer.expects(RESUME.format(h))
        return peer

    async def _run(self) -> None:
        try:
            self.outcome = await self.scene.stream.resume(self.xmlstream)
        except Exception as exc:
            self.outcome = exc
        self.ended.set()

    async def wait(self) -> object:
        await self.ended.wait()
        return self.outcome


async def test_stanzas_in_flight_are_sent_again_in_their_order_before_anything_newer(autojump_clock, scene):
    """S160, X01, D1: aioxmpp sends it in reverse."""
    tokens = await loses_the_link_with(scene, "a", "b", "c", "d", "e")
    tokens.append(scene.client.enqueue(message("new")))
    peer = await scene.resumes(h=1)
    await hears_bodies(peer, "b", "c", "d", "e")
    await hears_bodies(peer, "new")
    await peer.expects(R)
    assert [token.state for token in tokens] == [ACKED] + [SENT] * 5
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='6'/>")
    await tokens[-1]
    assert scene.stream.sm_outbound_base == 6


async def test_nothing_at_all_is_sent_again_if_all_has_arrived(autojump_clock, scene):
    tokens = await loses_the_link_with(scene, "a", "b")
    peer = await scene.resumes(h=2)
    await peer.expects_nothing(10)
    assert [token.state for token in tokens] == [ACKED, ACKED]


async def test_an_ack_is_asked_for_stanzas_sent_again_even_if_nothing_new_follows(autojump_clock, scene):
    await loses_the_link_with(scene, "a")
    peer = await scene.resumes(h=0)
    await hears_bodies(peer, "a")
    began = trio.current_time()
    await peer.expects(R)
    assert trio.current_time() == began, "it was the watchdog that asked"
    await peer.expects_nothing(10)


async def test_filters_see_a_stanza_once_however_often_it_is_sent(autojump_clock, scene):
    """X10; and what the filter made of it is what goes out again."""
    seen: list[str | None] = []

    def mark(stanza: Message) -> Message:
        seen.append(stanza.body)
        return message(f"{stanza.body}, seen {len(seen)} times")

    scene.stream.app_outbound_message_filter.register(mark)
    await loses_the_link_with(scene, "a")
    for _ in range(3):
        peer = await scene.resumes(h=0)
        await hears_bodies(peer, "a, seen 1 times")
        peer.reset()
        await scene.outcome()
    assert seen == ["a"]


async def test_the_counters_go_on_where_they_were(autojump_clock, scene):
    """D8, B248: what the server delivers again is counted on."""
    peer = await scene.starts(sm="sm-1")
    await peer.says("<message from='juliet@example.test'/><message from='juliet@example.test'/>")
    await wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes(handled=2)
    await peer.says(f"<message from='juliet@example.test'/>{R}")
    await peer.expects("<a xmlns='urn:xmpp:sm:3' h='3'/>")


async def test_the_count_in_resumed_wraps(autojump_clock, scene):
    """B245, D4."""
    peer = await scene.starts(sm="sm-1")
    scene.stream.core.session.sm.base = MODULUS - 1  # as if that many were acknowledged: no test can wait for them
    tokens = [scene.client.enqueue(message(body)) for body in "abc"]
    await hears_bodies(peer, "a", "b", "c")
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes(h=1)
    await hears_bodies(peer, "c")
    assert [token.state for token in tokens] == [ACKED, ACKED, SENT]


async def test_a_request_in_the_segment_of_resumed_is_answered_after_what_is_sent_again(autojump_clock, scene):
    """B246: as Prosody does, with what it delivers again in the same segment."""
    await loses_the_link_with(scene, "a")
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says(f"{RESUMED.format(0)}<message from='juliet@example.test'/>{R}")
    await hears_bodies(peer, "a")
    heard = [await peer.hears(), await peer.hears()]
    assert sorted(str(element.tag)[-1] for element in heard) == ["a", "r"]
    assert [element.get("h") for element in heard if element.tag.endswith("a")] == ["1"]


async def test_a_resumed_session_is_no_new_one(autojump_clock, scene):
    """S160, B247, C10."""
    events: list[str] = []
    scene.stream.on_stream_established.connect(lambda: events.append("established"))
    scene.stream.on_stream_destroyed.connect(lambda reason: events.append("destroyed"))
    await loses_the_link_with(scene, "a")
    await scene.resumes(h=0)
    assert scene.stream.established
    assert events == ["established"]


async def test_the_preconditions(autojump_clock, scene):
    """S156, B241."""
    xmlstream, _ = await scene.link()
    with pytest.raises(RuntimeError, match="not enabled"):
        await scene.stream.resume(xmlstream)
    await scene.starts(sm="sm-1")
    with pytest.raises(RuntimeError, match="already running"):
        await scene.stream.resume(xmlstream)


async def test_a_running_stream_without_sm_has_nothing_to_resume(autojump_clock, scene):
    await scene.starts()
    xmlstream, _ = await scene.link()
    with pytest.raises(RuntimeError):
        await scene.stream.resume(xmlstream)
    assert scene.stream.running


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_refusal_with_a_count_tells_what_arrived_and_what_did_not(autojump_clock, scene, wrapped):
    """S161, C08, D3, D4, D5, D7, B250: nothing is lost silently, and nothing delivered is reported as lost."""
    tokens = await loses_the_link_with(scene, "a", "b", "c")
    tokens.append(scene.client.enqueue(message("queued")))
    destroyed: list[Exception] = []
    scene.stream.on_stream_destroyed.connect(destroyed.append)
    attempt = Attempt(scene)
    peer = await attempt.begin()
    condition = f"<error type='cancel'>{GONE}</error>" if wrapped else GONE
    await peer.says(f"<failed xmlns='urn:xmpp:sm:3' h='2'>{condition}</failed>")
    refusal = await attempt.wait()
    assert isinstance(refusal, StreamNegotiationFailure)
    assert "item-not-found" in str(refusal)
    assert [token.state for token in tokens] == [ACKED, ACKED, DISCONNECTED, DISCONNECTED]
    assert scene.stream.undelivered == tuple(tokens[2:])
    assert destroyed == [refusal]
    assert (scene.stream.running, scene.stream.sm_enabled) == (False, False)


async def test_a_refusal_with_a_count_that_wrapped(autojump_clock, scene):
    """D4, D5."""
    peer = await scene.starts(sm="sm-1")
    scene.stream.core.session.sm.base = MODULUS - 1
    tokens = [scene.client.enqueue(message(body)) for body in "abc"]
    await hears_bodies(peer, "a", "b", "c")
    peer.reset()
    await scene.outcome()
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says(f"<failed xmlns='urn:xmpp:sm:3' h='1'>{GONE}</failed>")
    await attempt.wait()
    assert [token.state for token in tokens] == [ACKED, ACKED, DISCONNECTED]


async def test_a_refusal_with_a_count_before_all_was_acked_before(autojump_clock, scene):
    """The count is of the old session: what was acked by then stays so."""
    peer = await scene.starts(sm="sm-1")
    tokens = [scene.client.enqueue(message(body)) for body in "abc"]
    await hears_bodies(peer, "a", "b", "c")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    await wait_all_tasks_blocked()
    peer.reset()
    await scene.outcome()
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says(f"<failed xmlns='urn:xmpp:sm:3' h='2'>{GONE}</failed>")
    await attempt.wait()
    assert [token.state for token in tokens] == [ACKED, ACKED, DISCONNECTED]


@pytest.mark.parametrize(
    "failed",
    [
        f"<failed xmlns='urn:xmpp:sm:3'>{GONE}</failed>",
        "<failed xmlns='urn:xmpp:sm:3'/>",
        f"<failed xmlns='urn:xmpp:sm:3'><error type='cancel'>{GONE}</error></failed>",
        f"<failed xmlns='urn:xmpp:sm:3' h='7'>{GONE}</failed>",
        f"<failed xmlns='urn:xmpp:sm:3' h='many'>{GONE}</failed>",
    ],
)
async def test_a_refusal_without_a_count_leaves_the_fate_of_what_was_sent_unknown(autojump_clock, scene, failed):
    """S162, B249, B251: so does a count that cannot be."""
    tokens = await loses_the_link_with(scene, "a", "b")
    tokens.append(scene.client.enqueue(message("queued")))
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says(failed)
    assert isinstance(await attempt.wait(), StreamNegotiationFailure)
    assert [token.state for token in tokens] == [SENT_WITHOUT_SM, SENT_WITHOUT_SM, DISCONNECTED]
    assert scene.stream.undelivered == tuple(tokens)


async def test_after_a_refusal_a_new_session_begins_on_the_same_link_with_fresh_counters(autojump_clock, scene):
    """S157, XEP-0198 §5."""
    await loses_the_link_with(scene, "a", "b")
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says(f"<failed xmlns='urn:xmpp:sm:3' h='1'>{GONE}</failed>")
    await attempt.wait()
    await scene.runs(attempt.xmlstream)
    await scene.manages(peer, "sm-2")
    assert (scene.stream.sm_id, scene.stream.sm_outbound_base, scene.stream.sm_inbound_ctr) == ("sm-2", 0, 0)
    token = scene.client.enqueue(message("c"))
    await hears_bodies(peer, "c")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await token


async def test_a_request_waits_through_broken_links_but_not_through_a_refusal(autojump_clock, scene):
    """Its answer is gone with the session."""
    await loses_the_link_with(scene, "a")
    waiter = scene.stream.expect_iq_response("juliet@example.test", "q")
    attempt = Attempt(scene)
    peer = await attempt.begin()
    peer.reset()
    await attempt.wait()
    assert not waiter.settled
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says(f"<failed xmlns='urn:xmpp:sm:3'>{GONE}</failed>")
    refusal = await attempt.wait()
    with pytest.raises(StreamNegotiationFailure) as caught:
        await waiter.wait()
    assert caught.value is refusal


@pytest.mark.parametrize(
    "answer",
    [
        "<resumed xmlns='urn:xmpp:sm:3' previd='sm-2' h='0'/>",
        RESUMED.format(3),
        "<resumed xmlns='urn:xmpp:sm:3' previd='sm-1'/>",
        RESUMED.format("some"),
    ],
)
async def test_an_agreement_to_something_else_is_a_refusal_and_the_link_is_of_no_use(autojump_clock, scene, answer):
    """The server believes in a session that does not exist; nothing is settled by its count."""
    tokens = await loses_the_link_with(scene, "a", "b")
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says(answer)
    assert isinstance(await attempt.wait(), StreamNegotiationFailure)
    if answer == RESUMED.format(3):
        assert (await peer.hears())[-1].attrib == {"h": "3", "send-count": "2"}
    await peer.expects_footer()
    assert [token.state for token in tokens] == [SENT_WITHOUT_SM, SENT_WITHOUT_SM]
    assert attempt.xmlstream.closed
    assert not scene.stream.sm_enabled


async def test_an_answer_that_does_not_repeat_the_id_will_do(autojump_clock, scene):
    tokens = await loses_the_link_with(scene, "a")
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says("<resumed xmlns='urn:xmpp:sm:3' h='1'/>")
    await tokens[0]
    assert scene.stream.running


async def test_a_malformed_answer_is_a_refusal(autojump_clock, scene):
    tokens = await loses_the_link_with(scene, "a")
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says("<message from='juliet@example.test'/>")
    assert isinstance(await attempt.wait(), StreamNegotiationFailure)
    assert tokens[0].state is SENT_WITHOUT_SM


@pytest.mark.parametrize("how", ["close", "reset", "half an answer", "stream error", "footer"])
async def test_a_link_that_breaks_before_the_answer_leaves_the_session_for_another_attempt(autojump_clock, scene, how):
    """S159, B252: twice, and then it succeeds."""
    tokens = await loses_the_link_with(scene, "a", "b")
    tokens.append(scene.client.enqueue(message("queued")))
    for _ in range(2):
        attempt = Attempt(scene)
        peer = await attempt.begin()
        if how == "half an answer":
            await peer.says_raw(RESUMED.format(1)[:-9].encode())
            peer.close()
        elif how == "stream error":
            condition = "<internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            await peer.says(f"<stream:error>{condition}</stream:error>")
        elif how == "footer":
            await peer.says_footer()
        else:
            getattr(peer, how)()
        cause = await attempt.wait()
        assert isinstance(cause, ConnectionError)
        assert not isinstance(cause, StreamNegotiationFailure)
        assert [token.state for token in tokens] == [SENT, SENT, ACTIVE]
        assert (scene.stream.sm_enabled, scene.stream.running, scene.stream.established) == (True, False, True)
    peer = await scene.resumes(h=1)
    await hears_bodies(peer, "b", "queued")
    assert [token.state for token in tokens] == [ACKED, SENT, SENT]


async def test_a_link_that_breaks_right_after_the_answer_leaves_the_session_too(autojump_clock, scene):
    """Stanzas that the answer acknowledged stay acknowledged; the rest is sent once more, in order."""
    tokens = await loses_the_link_with(scene, "a", "b", "c")
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await peer.says(RESUMED.format(1))
    peer.reset()
    assert isinstance(await attempt.wait(), ConnectionError)
    assert [token.state for token in tokens] == [ACKED, SENT, SENT]
    peer = await scene.resumes(h=2)
    await hears_bodies(peer, "c")
    assert [token.state for token in tokens] == [ACKED, ACKED, SENT]


async def test_a_link_that_breaks_while_all_is_sent_again_loses_and_doubles_nothing(autojump_clock, scene):
    tokens = await loses_the_link_with(scene, "a" * 3000, "b" * 3000, "c" * 3000)
    xmlstream, peer = await scene.link(capacity=4000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.runs, xmlstream, scene.stream.resume)
        await peer.expects(RESUME.format(0))
        await peer.says(RESUMED.format(0))
    await hears_bodies(peer, "a" * 3000)
    peer.reset()
    await scene.outcome()
    peer = await scene.resumes(h=1)
    await hears_bodies(peer, "b" * 3000, "c" * 3000)
    assert [token.state for token in tokens] == [ACKED, SENT, SENT]


async def test_a_timeout_does_not_forfeit_the_session(autojump_clock, scene):
    """D7: a dead link is what resuming is for."""
    peer = await scene.starts(sm="sm-1")
    scene.stream.soft_timeout = scene.stream.round_trip_time = 60
    token = scene.client.enqueue(message())
    assert isinstance(await scene.outcome(), StreamTimeout)
    await hears_bodies(peer, "Hi")
    await peer.expects(R)
    await peer.expects(R)
    await peer.expects_end()
    assert scene.stream.sm_resumable
    peer = await scene.resumes(h=0)
    await hears_bodies(peer, "Hi")
    assert token.state is SENT


async def test_cancelling_the_attempt_leaves_the_session_for_another(autojump_clock, scene):
    tokens = await loses_the_link_with(scene, "a")
    async with open_peer_pair() as (xmlstream, peer):
        with trio.move_on_after(1):
            await scene.stream.resume(xmlstream)
        await peer.expects(RESUME.format(0))
    assert not scene.stream.running
    peer = await scene.resumes(h=0)
    await hears_bodies(peer, "a")
    assert tokens[0].state is SENT


async def test_a_stop_during_the_attempt_leaves_the_session_for_another(autojump_clock, scene):
    await loses_the_link_with(scene, "a")
    attempt = Attempt(scene)
    await attempt.begin()
    scene.stream.stop()
    assert await attempt.wait() is None
    assert scene.stream.sm_enabled
    peer = await scene.resumes(h=0)
    await hears_bodies(peer, "a")


@pytest.mark.parametrize("link", ["silent", "breaking"])
async def test_a_close_during_the_attempt_ends_the_session(autojump_clock, scene, link):
    """Even if the link breaks in that very moment."""
    tokens = await loses_the_link_with(scene, "a")
    tokens.append(scene.client.enqueue(message("queued")))
    destroyed: list[Exception] = []
    scene.stream.on_stream_destroyed.connect(destroyed.append)
    attempt = Attempt(scene)
    peer = await attempt.begin()
    await wait_all_tasks_blocked()
    if link == "breaking":
        peer.reset()
    await scene.stream.aclose()
    assert [token.state for token in tokens] == [SENT_WITHOUT_SM, DISCONNECTED]
    assert [type(reason) for reason in destroyed] == [DestructionRequested]
    assert not scene.stream.sm_enabled
    with pytest.raises(DestructionRequested):
        scene.client.enqueue(message())
    await attempt.ended.wait()


async def test_a_close_while_a_failed_stream_takes_its_leave_ends_the_session(autojump_clock, scene):
    """An error of ours is said to the server, which takes a moment; the session would otherwise stay."""
    peer = await scene.starts(sm="sm-1", capacity=400)
    token = scene.client.enqueue(message("x" * 200))
    await wait_all_tasks_blocked()
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='9'/>")
    await wait_all_tasks_blocked()
    assert scene.stream.running
    await scene.stream.aclose()
    assert token.state is SENT_WITHOUT_SM
    assert not scene.stream.sm_enabled


async def test_stop_and_resume_by_hand(autojump_clock, scene):
    """S155: the client itself ended the link; the session stays as if it had broken."""
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message("a"))
    await hears_bodies(peer, "a")
    scene.stream.stop()
    assert await scene.outcome() is None
    assert token.state is SENT
    peer = await scene.resumes(h=0)
    await hears_bodies(peer, "a")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await token


async def test_running_afresh_gives_the_old_session_up(autojump_clock, scene):
    tokens = await loses_the_link_with(scene, "a")
    tokens.append(scene.client.enqueue(message("queued")))
    await scene.starts()
    assert [token.state for token in tokens] == [SENT_WITHOUT_SM, DISCONNECTED]
    assert not scene.stream.sm_enabled


async def test_stop_sm_gives_the_session_up(autojump_clock, scene):
    """S163, S164, B253, B254."""
    destroyed: list[Exception] = []
    scene.stream.on_stream_destroyed.connect(destroyed.append)
    with pytest.raises(RuntimeError, match="not enabled"):
        scene.stream.stop_sm()
    tokens = await loses_the_link_with(scene, "a")
    tokens.append(scene.client.enqueue(message("queued")))
    waiter = scene.stream.expect_iq_response("juliet@example.test", "q")
    scene.stream.stop_sm()
    assert [token.state for token in tokens] == [SENT_WITHOUT_SM, DISCONNECTED]
    assert [(type(reason), str(reason)) for reason in destroyed] == [(ConnectionError, "stream management disabled")]
    with pytest.raises(ConnectionError, match="stream management disabled"):
        await waiter.wait()
    assert not scene.stream.sm_enabled
    with pytest.raises(RuntimeError, match="not enabled"):
        scene.stream.stop_sm()


async def test_stop_sm_is_not_for_running_streams(autojump_clock, scene):
    await scene.starts(sm="sm-1")
    with pytest.raises(RuntimeError, match="while the stream is running"):
        scene.stream.stop_sm()
    assert scene.stream.sm_enabled


async def test_a_session_that_cannot_be_resumed_ends_with_its_link(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1", resumable=False)
    tokens = [scene.client.enqueue(message(body)) for body in "ab"]
    await hears_bodies(peer, "a", "b")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await tokens[0]
    peer.reset()
    await scene.outcome()
    assert [token.state for token in tokens] == [ACKED, SENT_WITHOUT_SM]
    xmlstream, _ = await scene.link()
    with pytest.raises(RuntimeError, match="not enabled"):
        await scene.stream.resume(xmlstream)
