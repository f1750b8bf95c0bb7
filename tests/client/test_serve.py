"""`serve`: a client in the application's own nursery."""

from __future__ import annotations

import inspect

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import (
    AuthenticationFailure,
    Client,
    Message,
    MessageType,
    StanzaState,
    StreamCondition,
    StreamError,
)
from trioxmpp.testing import Faults

BOT = ("romeo@example.test/orchard", "secret")


async def start(nursery: trio.Nursery, road, *login: str, **options) -> Client:
    async def serve(*, task_status: trio.TaskStatus[Client]) -> None:
        await trioxmpp.serve(*(login or BOT), task_status=task_status, **road.options(**options))

    client: Client = await nursery.start(serve)
    return client


async def test_it_starts_when_there_is_a_session(autojump_clock, road):
    async with trio.open_nursery() as nursery:
        client = await start(nursery, road)
        assert str(client.jid) == BOT[0]
        assert client.established
        await client.send(Message(to="juliet@example.test", type=MessageType.CHAT, body="Hi"))
        nursery.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert not road.server.links
    assert not road.server.sessions  # it said goodbye


async def test_it_needs_no_nursery_that_waits_for_it(autojump_clock, road):
    with trio.move_on_after(10) as scope:
        await trioxmpp.serve(*BOT, **road.options())
    assert scope.cancelled_caught
    assert not road.server.sessions


async def test_it_raises_what_keeps_it_from_beginning(autojump_clock, road):
    """Through the user's nursery, which makes a group of it: that one is not ours."""
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            await start(nursery, road, BOT[0], "wrong")
    (error,) = caught.value.exceptions
    assert type(error) is AuthenticationFailure


async def test_it_raises_what_ends_it(autojump_clock, road):
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            client = await start(nursery, road)
            road.session().link.end(StreamError(StreamCondition.CONFLICT, by_us=True))
            await trio.sleep_forever()
    (error,) = caught.value.exceptions
    assert type(error) is StreamError
    assert error.condition is StreamCondition.CONFLICT
    with pytest.raises(StreamError, match="conflict"):
        await client.send(Message(to="juliet@example.test", body="too late"))


async def test_cancelling_it_takes_two_seconds_at_most(autojump_clock, road):
    async with trio.open_nursery() as nursery:
        client = await start(nursery, road)
        road.session().link.black_hole()
        token = client.enqueue(Message(to="juliet@example.test", body="nobody hears it"))
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - began <= 2.0
    assert token.state is StanzaState.SENT_WITHOUT_SM


async def test_cancelling_it_while_it_connects_leaves_nothing(autojump_clock, road):
    with trio.move_on_after(5) as scope:
        async with trio.open_nursery() as nursery:
            road.server.plan(Faults(silent=True))
            await start(nursery, road)
    assert scope.cancelled_caught
    await trio.testing.wait_all_tasks_blocked()
    assert not road.server.links


async def test_several_live_side_by_side(autojump_clock, road):
    async with trio.open_nursery() as nursery:
        romeo = await start(nursery, road)
        juliet = await start(nursery, road, "juliet@example.test/orchard", "secret")
        async with juliet.messages.subscribe() as inbox:
            await romeo.send(Message(to=juliet.jid, type=MessageType.CHAT, body="Hi"))
            assert (await anext(inbox)).from_ == romeo.jid
        nursery.cancel_scope.cancel()


async def test_an_error_of_another_task_ends_it_in_peace(autojump_clock, road):
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            await start(nursery, road)
            raise ValueError("another task")
    assert [type(exc) for exc in caught.value.exceptions] == [ValueError]
    await trio.testing.wait_all_tasks_blocked()
    assert not road.server.sessions


def test_the_options_of_serve_are_those_of_connect() -> None:
    takes = inspect.signature(trioxmpp.connect).parameters
    options = {name: each.annotation for name, each in takes.items() if each.kind is each.KEYWORD_ONLY}
    declared = inspect.get_annotations(trioxmpp.ConnectOptions)
    assert {name: each.__forward_arg__ for name, each in declared.items()} == options
    assert trioxmpp.ConnectOptions.__required_keys__ == frozenset()
