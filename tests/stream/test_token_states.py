"""The eight states of a stanza: the ways that lead to each, and that there are no others."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.dialogs import message
from trioxmpp import StanzaState, StreamNegotiationFailure

ACTIVE, SENT, ACKED = StanzaState.ACTIVE, StanzaState.SENT, StanzaState.ACKED
SENT_WITHOUT_SM, DISCONNECTED = StanzaState.SENT_WITHOUT_SM, StanzaState.DISCONNECTED
GONE = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"


def test_there_are_eight_states_of_which_two_are_not_final():
    assert [state.name for state in StanzaState if not state.is_final] == ["ACTIVE", "SENT"]
    assert {state.name for state in StanzaState if state.is_final} == {
        "ACKED",
        "SENT_WITHOUT_SM",
        "ABORTED",
        "DROPPED",
        "DISCONNECTED",
        "FAILED",
    }


async def is_refused(scene, failed: str) -> None:
    xmlstream, peer = await scene.link()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_resume, peer, failed)
        with pytest.raises(StreamNegotiationFailure):
            await scene.stream.resume(xmlstream)


async def answer_resume(peer, failed: str) -> None:
    assert (await peer.hears()).tag.endswith("resume")
    await peer.says(failed)


@pytest.mark.parametrize("way", ["no sm", "refused", "stop_sm", "closed", "not resumable", "run afresh"])
async def test_the_ways_to_sent_without_sm(autojump_clock, scene, way):
    """S215: it was sent, and no acknowledgement will say whether it arrived."""
    if way == "no sm":
        await scene.starts()
    else:
        peer = await scene.starts(sm="sm-1", resumable=way != "not resumable")
    token = scene.client.enqueue(message())
    await wait_all_tasks_blocked()
    if way != "no sm":
        assert token.state is SENT
        peer.reset()
        await scene.outcome()
    if way == "refused":
        await is_refused(scene, f"<failed xmlns='urn:xmpp:sm:3'>{GONE}</failed>")
    elif way == "stop_sm":
        scene.stream.stop_sm()
    elif way == "closed":
        await scene.stream.aclose()
    elif way == "run afresh":
        await scene.starts()
    assert token.state is SENT_WITHOUT_SM
    assert token.exception is None
    await token


@pytest.mark.parametrize("way", ["closed", "stopped", "refused", "counted", "stop_sm", "half written"])
async def test_the_ways_to_disconnected(autojump_clock, scene, way):
    """S218, C08: it was not sent, or the server said afterwards that it never had it."""
    if way in ("closed", "stopped", "half written"):
        peer = await scene.starts(capacity=20)
    else:
        peer = await scene.starts(sm="sm-1")
        if way != "counted":
            peer.reset()
            await scene.outcome()
    token = scene.client.enqueue(message())
    if way == "closed":
        await scene.stream.aclose()
    elif way == "stopped":
        scene.stream.stop()
    elif way == "half written":
        await wait_all_tasks_blocked()
        assert token.state is ACTIVE
        peer.reset()
    elif way == "stop_sm":
        scene.stream.stop_sm()
    elif way == "refused":
        await is_refused(scene, f"<failed xmlns='urn:xmpp:sm:3'>{GONE}</failed>")
    elif way == "counted":
        await wait_all_tasks_blocked()
        assert token.state is SENT
        peer.reset()
        await scene.outcome()
        await is_refused(scene, f"<failed xmlns='urn:xmpp:sm:3' h='0'>{GONE}</failed>")
    assert await token.wait() is DISCONNECTED
    with pytest.raises(ConnectionError):
        await token


async def test_stanzas_of_one_piece_that_was_cut_are_not_said_to_be_lost(autojump_clock, scene):
    """The peer has the first as a whole. To send that again, because we say that it was not sent, would double it."""
    peer = await scene.starts(capacity=150)
    tokens = [scene.client.enqueue(message(body * 60)) for body in "abc"]
    await peer.expects(f"<message to='juliet@example.test' type='chat'><body>{'a' * 60}</body></message>")
    peer.reset()
    await scene.outcome()
    assert [token.state for token in tokens] == [SENT_WITHOUT_SM, SENT_WITHOUT_SM, DISCONNECTED]
    assert scene.stream.undelivered == tuple(tokens)


@pytest.mark.parametrize("acked", [0, 1, 2])
@pytest.mark.parametrize("end", ["aclose", "stop_sm"])
async def test_each_token_goes_one_legal_way(autojump_clock, scene, acked, end, unwritable):
    """S220: and is told of each state once, also if it is sent again."""
    seen: dict[str, list[StanzaState]] = {}
    scene.stream.app_outbound_message_filter.register(lambda stanza: None if stanza.body == "drop" else stanza)

    def enqueue(body: str) -> None:
        states = seen[body] = []
        token = scene.client.enqueue(message(body), on_state_change=lambda token, state: states.append(state))
        if body == "unwritable":
            unwritable(token)

    peer = await scene.starts(sm="sm-1")
    for body in ("one", "drop", "unwritable", "two"):
        enqueue(body)
    await wait_all_tasks_blocked()
    for _ in range(2):
        peer.reset()
        await scene.outcome()
        peer = await scene.resumes(h=acked)
        await wait_all_tasks_blocked()
    scene.stream.stop()
    await scene.outcome()
    enqueue("late")
    if end == "aclose":
        await scene.stream.aclose()
    else:
        scene.stream.stop_sm()
    ends = [ACKED] * acked + [SENT_WITHOUT_SM] * (2 - acked)
    assert seen == {
        "one": [SENT, ends[0]],
        "drop": [StanzaState.DROPPED],
        "unwritable": [StanzaState.FAILED],
        "two": [SENT, ends[1]],
        "late": [DISCONNECTED],
    }
