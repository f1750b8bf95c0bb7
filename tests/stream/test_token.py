"""A stanza's token: waiting for it, watching it, retracting the stanza."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.dialogs import hears_bodies, message
from trioxmpp import Message, StanzaState, StanzaToken
from trioxmpp.errors import StanzaAborted, StanzaDropped

ACTIVE, SENT, ACKED = StanzaState.ACTIVE, StanzaState.SENT, StanzaState.ACKED


async def suspended(scene) -> None:
    """A session without a link: what is enqueued stays ACTIVE."""
    await scene.starts(sm="sm-1")
    scene.stream.stop()
    await scene.outcome()


async def settles(token: StanzaToken, outcomes: list[object]) -> None:
    try:
        outcomes.append(await token)
    except Exception as exc:
        outcomes.append(exc)


async def test_a_token_follows_the_stanza_that_was_enqueued_from_active_on(autojump_clock, scene):
    await suspended(scene)
    stanza = message()
    token = scene.client.enqueue(stanza)
    assert (token.stanza is stanza, token.state, token.exception) == (True, ACTIVE, None)
    assert "ACTIVE" in repr(token)


async def test_the_state_is_read_only(autojump_clock, scene):
    await suspended(scene)
    token = scene.client.enqueue(message())
    with pytest.raises(AttributeError):
        token.state = ACKED


async def test_with_sm_awaiting_goes_on_through_sent_until_the_ack(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    token, outcomes = scene.client.enqueue(message()), []
    scene.nursery.start_soon(settles, token, outcomes)
    await hears_bodies(peer, "Hi")
    await wait_all_tasks_blocked()
    assert (token.state, outcomes) == (SENT, [])
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await wait_all_tasks_blocked()
    assert (token.state, outcomes) == (ACKED, [None])


async def test_without_sm_awaiting_ends_when_it_is_written(autojump_clock, scene):
    peer = await scene.starts()
    token = scene.client.enqueue(message())
    assert await token is None
    assert token.state is StanzaState.SENT_WITHOUT_SM
    await hears_bodies(peer, "Hi")


async def test_awaiting_works_again_and_again_and_when_all_is_over(autojump_clock, scene):
    await scene.starts()
    token = scene.client.enqueue(message())
    await token
    assert await token is None
    outcomes: list[object] = []
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(settles, token, outcomes)
    assert outcomes == [None, None, None]


async def test_all_who_await_share_one_outcome(autojump_clock, scene):
    await suspended(scene)
    token, outcomes = scene.client.enqueue(message()), []
    for _ in range(3):
        scene.nursery.start_soon(settles, token, outcomes)
    await wait_all_tasks_blocked()
    scene.stream.stop_sm()
    await wait_all_tasks_blocked()
    reason = "disconnected: the session is over, and the server does not have this stanza"
    assert [str(outcome) for outcome in outcomes] == [reason] * 3
    assert {type(outcome) for outcome in outcomes} == {ConnectionError}


async def test_awaiting_a_disconnected_stanza_raises_connection_error(autojump_clock, scene):
    await suspended(scene)
    token = scene.client.enqueue(message())
    await scene.stream.aclose()
    with pytest.raises(ConnectionError, match="disconnected"):
        await token
    with pytest.raises(ConnectionError, match="disconnected"):
        await token


async def test_awaiting_an_aborted_stanza_raises_runtime_error(autojump_clock, scene):
    await suspended(scene)
    token = scene.client.enqueue(message())
    token.abort()
    with pytest.raises(StanzaAborted, match="aborted") as caught:
        await token
    assert isinstance(caught.value, RuntimeError)


async def test_awaiting_a_dropped_stanza_raises_runtime_error(autojump_clock, scene):
    peer = await scene.starts()
    scene.stream.app_outbound_message_filter.register(lambda stanza: None if stanza.body == "drop" else stanza)
    token = scene.client.enqueue(message("drop"))
    with pytest.raises(StanzaDropped, match="dropped by filter") as caught:
        await token
    assert isinstance(caught.value, RuntimeError)
    assert token.state is StanzaState.DROPPED
    await scene.client.send(message("on"))
    await hears_bodies(peer, "on")


async def test_awaiting_a_failed_stanza_raises_what_made_it_fail(autojump_clock, scene, unwritable):
    """S203, S207: the same exception is an attribute, which the callback can look at too."""
    peer = await scene.starts()
    seen: list[Exception | None] = []
    token = scene.client.enqueue(message(), on_state_change=lambda token, state: seen.append(token.exception))
    unwritable(token)
    good = scene.client.enqueue(message("good"))
    with pytest.raises(ValueError, match="not allowed in XML") as caught:
        await token
    assert token.state is StanzaState.FAILED
    assert token.exception is caught.value
    assert seen == [caught.value]
    await good
    await hears_bodies(peer, "good")


async def test_a_stanza_that_cannot_be_written_is_a_warning(autojump_clock, scene, caplog, unwritable):
    await scene.starts()
    with caplog.at_level(logging.WARNING):
        token = unwritable(scene.client.enqueue(message()))
        await scene.client.send(message())
        await scene.stream.aclose()
    assert token.state is StanzaState.FAILED
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "U+0000" in caplog.text


async def test_cancelling_who_awaits_an_active_stanza_retracts_it(autojump_clock, scene):
    await suspended(scene)
    token = scene.client.enqueue(message("no"))
    with trio.move_on_after(1) as scope:
        await token
    assert scope.cancelled_caught
    assert token.state is StanzaState.ABORTED
    with pytest.raises(StanzaAborted):
        await token
    after = scene.client.enqueue(message("yes"))
    peer = await scene.resumes()
    await hears_bodies(peer, "yes")
    await peer.expects("<r xmlns='urn:xmpp:sm:3'/>")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await after


async def test_cancelling_who_awaits_a_stanza_in_flight_changes_nothing(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message())
    with trio.move_on_after(1):
        await token
    assert token.state is SENT
    await hears_bodies(peer, "Hi")
    await peer.says("<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/>")
    await token
    assert token.state is ACKED


async def test_cancelling_one_of_several_tasks_that_await_does_not_touch_the_others(autojump_clock, scene):
    """X14: aioxmpp aborts the stanza for all of them, and who was not cancelled gets a RuntimeError."""
    await suspended(scene)
    token, outcomes = scene.client.enqueue(message()), []
    scene.nursery.start_soon(settles, token, outcomes)
    await wait_all_tasks_blocked()
    with trio.move_on_after(1):
        await token
    assert (token.state, outcomes) == (ACTIVE, [])
    peer = await scene.resumes()
    await hears_bodies(peer, "Hi")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await wait_all_tasks_blocked()
    assert outcomes == [None]


async def test_cancelling_all_who_await_retracts_the_stanza(autojump_clock, scene):
    await suspended(scene)
    token = scene.client.enqueue(message())
    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(settles, token, [])
    assert token.state is StanzaState.ABORTED


async def test_wait_is_for_tasks_that_only_look_and_cancelling_it_does_not_touch_the_stanza(autojump_clock, scene):
    await suspended(scene)
    token = scene.client.enqueue(message())
    with trio.move_on_after(1):
        await token.wait()
    assert token.state is ACTIVE
    peer = await scene.resumes()
    assert await token.wait(SENT) is SENT
    await hears_bodies(peer, "Hi")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert await token.wait() is ACKED
    assert await token.wait(SENT) is ACKED, "a final state ends any waiting"


async def test_wait_raises_nothing_whatever_became_of_the_stanza(autojump_clock, scene):
    await suspended(scene)
    token = scene.client.enqueue(message())
    token.abort()
    assert await token.wait() is StanzaState.ABORTED


async def test_changes_tells_each_state_from_the_current_one_on_and_then_ends(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message())
    changes = token.changes()
    assert await anext(changes) is ACTIVE
    with trio.move_on_after(1):
        assert await anext(changes) is SENT
        await anext(changes)  # cancelled here: loses nothing
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert [state async for state in changes] == [ACKED]
    assert [state async for state in changes] == []
    assert [state async for state in token.changes()] == [ACKED]


async def test_on_state_change_gets_the_token_when_its_state_is_set_already(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")
    seen: list[object] = []
    token = scene.client.enqueue(message(), on_state_change=lambda token, state: seen.append((token.state, state)))
    await hears_bodies(peer, "Hi")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await token
    assert seen == [(SENT, SENT), (ACKED, ACKED)]


async def test_an_on_state_change_that_raises_is_harmless(autojump_clock, scene, caplog):
    """X06: in aioxmpp it kills the stream, and what was sent ends as DISCONNECTED."""

    def fail(token: StanzaToken, state: StanzaState) -> None:
        raise LookupError("not my day")

    peer = await scene.starts(sm="sm-1")
    token = scene.client.enqueue(message("one"), on_state_change=fail)
    second = scene.client.enqueue(message("two"))
    await hears_bodies(peer, "one", "two")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    await token
    await second
    assert (token.state, second.state, scene.stream.running) == (ACKED, ACKED, True)
    assert len([record for record in caplog.records if "on_state_change" in record.message]) == 2


async def test_on_state_change_may_enqueue_abort_and_stop(autojump_clock, scene):
    peer = await scene.starts(sm="sm-1")

    def react(token: StanzaToken, state: StanzaState) -> None:
        if state is SENT:
            later.abort()
            scene.client.enqueue(message("three"))
        elif state is ACKED:
            scene.stream.stop()

    token = scene.client.enqueue(message("one"), on_state_change=react)
    later = scene.client.enqueue(message("two"))
    await hears_bodies(peer, "one", "three")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await token
    assert later.state is StanzaState.ABORTED
    assert await scene.outcome() is None


async def test_abort_can_be_repeated(autojump_clock, scene):
    await suspended(scene)
    token = scene.client.enqueue(message())
    token.abort()
    token.abort()
    assert token.state is StanzaState.ABORTED


@pytest.mark.parametrize(
    "state",
    [SENT, ACKED, StanzaState.SENT_WITHOUT_SM, StanzaState.DROPPED, StanzaState.DISCONNECTED, StanzaState.FAILED],
)
async def test_abort_is_too_late_in_every_other_state(autojump_clock, scene, state, unwritable):
    peer = await scene.starts(sm="sm-1" if state in (SENT, ACKED) else None)
    if state is StanzaState.DROPPED:
        scene.stream.app_outbound_message_filter.register(lambda stanza: None)
    token = scene.client.enqueue(message("Hi"))
    if state is StanzaState.FAILED:
        unwritable(token)
    if state is StanzaState.DISCONNECTED:
        scene.stream.stop()
    elif state is ACKED:
        await hears_bodies(peer, "Hi")
        await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert await token.wait(state) is state
    with pytest.raises(RuntimeError, match="already sent"):
        token.abort()
    assert token.state is state


async def test_abort_is_too_late_while_the_stanza_is_being_written(autojump_clock, scene):
    peer = await scene.starts(capacity=10)
    token = scene.client.enqueue(message())
    await wait_all_tasks_blocked()
    with pytest.raises(RuntimeError, match="already sent"):
        token.abort()
    with trio.move_on_after(1):
        await token
    assert token.state is ACTIVE, "to cancel is not to retract what may be half on the wire"
    await hears_bodies(peer, "Hi")
    await token


async def test_an_aborted_stanza_is_skipped_by_filters_wire_and_counter(autojump_clock, scene):
    """S210, B240: its neighbours go out, and an ack for two is an ack for those two."""
    peer = await scene.starts(sm="sm-1")
    filtered: list[str | None] = []
    scene.stream.app_outbound_message_filter.register(lambda stanza: filtered.append(stanza.body) or stanza)
    tokens = [scene.client.enqueue(message(body)) for body in ("one", "two", "three")]
    tokens[1].abort()
    await hears_bodies(peer, "one", "three")
    assert filtered == ["one", "three"]
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='2'/>")
    await tokens[2]
    assert [token.state for token in tokens] == [ACKED, StanzaState.ABORTED, ACKED]


async def test_a_filter_may_abort_the_stanza_that_it_is_given(autojump_clock, scene):
    """It is not sent then, and the stream goes on."""
    peer = await scene.starts(sm="sm-1")

    def retract(stanza: Message) -> Message:
        if stanza.body == "one":
            token.abort()
        return stanza

    scene.stream.app_outbound_message_filter.register(retract)
    token = scene.client.enqueue(message("one"))
    second = scene.client.enqueue(message("two"))
    await hears_bodies(peer, "two")
    await peer.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await second
    assert token.state is StanzaState.ABORTED


async def test_awaiting_the_token_puts_a_send_before_the_close(autojump_clock, scene):
    """S206."""
    peer = await scene.starts()
    await scene.client.enqueue(message("last words"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.stream.aclose)
        await hears_bodies(peer, "last words")
        await peer.expects_footer()
        await peer.says_footer()
