"""The promises of a client: desired states, services, `drain`, `send` and events."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from tests.dialogs import message, renewed, resumed
from trioxmpp import (
    Client,
    Destroyed,
    Established,
    InboxOverflow,
    ReconnectPolicy,
    Resumed,
    StanzaState,
    StreamCondition,
    StreamError,
    Suspended,
    Trouble,
    XMPPCancelError,
)
from trioxmpp.errors import StanzaCondition

NAME = "romeo@example.test/orchard"


# --- maintain


async def test_a_desired_state_is_applied_at_once_and_in_each_new_session(autojump_clock, road):
    applied: list[bool] = []

    async def apply(client: Client) -> None:
        await client.send(message())
        applied.append(client.established)

    async with road.connect() as client:
        async with client.maintain(apply):
            assert applied == [True]
            await resumed(road.server, client)
            assert applied == [True]  # it is the same session: nothing is to be done
            for count in (2, 3):
                await renewed(road.server, client)
                assert applied == [True] * count
        await renewed(road.server, client)
        assert applied == [True] * 3


async def test_an_error_at_once_leaves_the_block(autojump_clock, road):
    raised = XMPPCancelError(StanzaCondition.FEATURE_NOT_IMPLEMENTED)

    async def apply(client: Client) -> None:
        raise raised

    async with road.connect() as client:
        with pytest.raises(XMPPCancelError) as caught:
            async with client.maintain(apply):
                pytest.fail("the body ran")
        assert caught.value is raised
        await client.send(message())


async def test_a_later_error_is_told_and_it_is_tried_again(autojump_clock, road):
    calls = 0

    async def apply(client: Client) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise XMPPCancelError(StanzaCondition.FORBIDDEN)

    async with road.connect() as client, client.maintain(apply), client.events() as events:
        road.server.forget(NAME)
        story = [await anext(events) for _ in range(4)]
        assert [type(event) for event in story] == [Suspended, Destroyed, Trouble, Established]
        assert isinstance(story[2].exception, XMPPCancelError)
        assert "apply" in story[2].service
        await trio.sleep(60)
        assert calls == 3
        await renewed(road.server, client)
    assert calls == 4


async def test_leaving_the_block_cancels_what_is_being_applied(autojump_clock, road):
    seen: list[str] = []

    async def apply(client: Client) -> None:
        if seen:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                seen.append("cancelled")
                raise
        seen.append("applied")

    async with road.connect() as client:
        async with client.maintain(apply):
            await renewed(road.server, client)
        assert seen == ["applied", "cancelled"]


async def test_an_error_of_the_body_leaves_as_it_is(autojump_clock, road):
    async def apply(client: Client) -> None:
        pass

    for raised in (ValueError("mine"), ExceptionGroup("mine", [ValueError()])):
        async with road.connect() as client:
            with pytest.raises(type(raised)) as caught:
                async with client.maintain(apply):
                    raise raised
            assert caught.value is raised


async def test_a_session_that_is_lost_while_it_is_prepared_is_no_end(autojump_clock, road):
    sessions: list[str] = []

    async def apply(client: Client) -> None:
        sessions.append("begun")
        if len(sessions) == 3:
            road.server.forget(NAME)
        await client.send(message())
        sessions.append("done")

    async with road.connect() as client, client.maintain(apply):
        async with client.events() as events:
            road.server.forget(NAME)
            story = [type(await anext(events)) for _ in range(3)]
        # Nothing was told of the session that died while it was prepared.
        assert story == [Suspended, Destroyed, Established]
        await trio.sleep(10)
        assert sessions[:2] == ["begun", "done"]
        assert sessions[-1] == "done"


# --- services


async def test_services_are_entered_in_order_and_left_in_reverse(autojump_clock, road):
    story: list[str] = []

    def service(name: str):
        @asynccontextmanager
        async def block(client: Client):
            await client.send(message(f"{name} begins"))
            story.append(f"{name} begins")
            yield
            await client.send(message(f"{name} ends"))
            story.append(f"{name} ends")

        return block

    async with road.connect(services=[service("one"), service("other")]):
        story.append("body")
    assert story == ["one begins", "other begins", "body", "other ends", "one ends"]
    assert [entry.stanza[0].text for entry in road.server.log] == [line for line in story if line != "body"]


async def test_services_are_left_when_the_body_fails(autojump_clock, road):
    seen: list[type[BaseException] | None] = []

    @asynccontextmanager
    async def service(client: Client):
        try:
            yield
        except BaseException as exc:
            seen.append(type(exc))
            raise

    with pytest.raises(ValueError, match="mine"):
        async with road.connect(services=[service]):
            raise ValueError("mine")
    with pytest.raises(StreamError, match="conflict"):
        async with road.connect(services=[service]):
            road.session().link.end(StreamError(StreamCondition.CONFLICT, by_us=True))
            await trio.sleep_forever()
    assert seen == [ValueError, trio.Cancelled]


# --- drain and send


async def test_drain_waits_for_what_is_enqueued_now_and_for_nothing_later(autojump_clock, road):
    async with road.connect() as client:
        early = [client.enqueue(message(str(number))) for number in range(10)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.drain)
            await trio.testing.wait_all_tasks_blocked()
        assert {token.state for token in early} == {StanzaState.ACKED}
        road.session().link.black_hole("in")
        late = client.enqueue(message("late"))
        with trio.move_on_after(5) as scope:
            await client.drain()
        assert scope.cancelled_caught
        assert late.state is StanzaState.SENT  # cancelling it retracts nothing


async def test_drain_ends_when_nothing_is_left_to_hope_for(autojump_clock, road):
    async with road.connect() as client:
        road.session().link.black_hole("in")
        token = client.enqueue(message())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.drain)
            await trio.testing.wait_all_tasks_blocked()
            road.server.forget(NAME)
        assert token.state is StanzaState.SENT_WITHOUT_SM


async def test_send_waits_for_a_session(autojump_clock, road):
    road.server.policy.sm = False  # so that the session ends with its link
    async with road.connect() as client:
        road.blocked = True
        road.session().link.reset()
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, message("in the outage"))
            nursery.start_soon(client.wait_established)
            await trio.sleep(100)
            assert not road.server.log
            road.blocked = False
            await client.wait_established()
        await client.send(message("after it"))
        await trio.testing.wait_all_tasks_blocked()
        assert road.server.log[-1].stanza[0].text == "after it"


async def test_a_send_that_is_cancelled_while_it_waits_has_sent_nothing(autojump_clock, road):
    road.server.policy.sm = False
    async with road.connect() as client:
        road.blocked = True
        road.session().link.reset()
        await trio.testing.wait_all_tasks_blocked()
        assert not client.established
        with pytest.raises(ConnectionError, match="no session at the moment"):
            client.enqueue(message("at once"))
        with trio.move_on_after(5) as scope:
            await client.send(message("cancelled"))
        assert scope.cancelled_caught
        road.blocked = False
        await client.send(message("sent"))
    assert [entry.stanza[0].text for entry in road.server.log] == ["sent"]


# --- events


async def test_a_late_listener_hears_only_later_events(autojump_clock, road):
    async with road.connect() as client:
        await resumed(road.server, client)
        async with client.events() as events:
            await renewed(road.server, client)
            assert len(events) == 3


async def test_events_are_told_to_each_listener_and_in_the_same_order(autojump_clock, road):
    called: list[type] = []
    async with road.connect() as client, client.events() as one, client.events() as other:
        client.on_event.connect(lambda event: called.append(type(event)))
        await resumed(road.server, client)
        await renewed(road.server, client)
        story = [Suspended, Resumed, Suspended, Destroyed, Established]
        assert called == story
        for inbox in (one, other):
            assert [type(await anext(inbox)) for _ in story] == story


async def test_a_task_that_does_not_read_its_events_harms_no_other(autojump_clock, road):
    async with road.connect() as client, client.events(capacity=1) as events:
        await resumed(road.server, client)
        assert type(await anext(events)) is Suspended
        with pytest.raises(InboxOverflow):
            await anext(events)
        await client.send(message())


async def test_established_names_the_address_that_was_bound(autojump_clock, road):
    async with road.connect(reconnect=ReconnectPolicy()) as client, client.events() as events:
        road.server.forget(NAME)
        established = [await anext(events) for _ in range(3)][-1]
        assert str(established.jid) == NAME
        assert established.jid == client.jid
