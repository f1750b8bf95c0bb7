"""Ack after processing: what the application has not finished is not reported as handled, and comes again."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trioxmpp import InboxOverflow, MemoryStore, Message, MessageType, Presence, Resumed, Suspended

ROMEO = "romeo@example.test/orchard"


def chat(body: object) -> Message:
    return Message(to=ROMEO, type=MessageType.CHAT, body=str(body))


@pytest.fixture
async def juliet(road):
    async with road.connect("juliet", endpoint=road.server.endpoint) as juliet:
        yield juliet


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.1)


async def write(juliet, *bodies: object) -> None:
    for body in bodies:
        await juliet.send(chat(body))
    await settle()


async def test_a_message_counts_when_the_next_is_asked_for(autojump_clock, road, juliet):
    async with road.connect() as client, client.messages.subscribe(ack="manual") as inbox:
        await write(juliet, 0, 1, 2)
        assert client.stream.sm_inbound_ctr == 0
        for handled in range(3):
            await anext(inbox)
            assert client.stream.sm_inbound_ctr == handled
        with trio.move_on_after(1):
            await anext(inbox)
        assert client.stream.sm_inbound_ctr == 3


async def test_a_message_counts_when_it_is_said_to_be_done(autojump_clock, road, juliet):
    async with road.connect() as client, client.messages.subscribe(ack="manual") as inbox:
        await write(juliet, 0, 1)
        first, second = await anext(inbox), await anext(inbox)
        inbox.done(second)
        assert client.stream.sm_inbound_ctr == 2
        inbox.done(first)
        assert client.stream.sm_inbound_ctr == 2


async def test_only_what_is_finished_without_a_gap_counts(autojump_clock, road, juliet):
    got = []
    async with (
        road.connect() as client,
        client.messages.subscribe(ack="manual") as inbox,
        trio.open_nursery() as nursery,
    ):
        finish = [trio.Event() for _ in range(3)]

        async def work() -> None:
            async for message in inbox:
                got.append(message)
                await finish[int(message.body)].wait()

        for _ in range(3):
            nursery.start_soon(work)
        await write(juliet, 0, 1, 2)
        counts = []
        for n in (2, 1, 0):
            finish[n].set()
            await settle()
            counts.append(client.stream.sm_inbound_ctr)
        assert counts == [0, 0, 3]
        nursery.cancel_scope.cancel()


async def test_a_message_that_is_not_deferred_waits_behind_one_that_is(autojump_clock, road, juliet):
    async with road.connect() as client, client.messages.subscribe(MessageType.CHAT, ack="manual") as inbox:
        await write(juliet, 0)
        await juliet.send(Message(to=ROMEO, type=MessageType.HEADLINE, body="news"))
        await settle()
        assert client.stream.sm_inbound_ctr == 0
        inbox.done(await anext(inbox))
        assert client.stream.sm_inbound_ctr == 2


async def test_the_server_is_told_without_asking_again(autojump_clock, road, juliet):
    async with road.connect() as client, client.messages.subscribe(ack="manual") as inbox:
        await write(juliet, 0, 1)
        road.session().request_ack()
        await settle()
        for unacked in (2, 1, 0):
            assert len(road.session().sm.unacked) == unacked
            if unacked:
                inbox.done(await anext(inbox))
                await settle()


async def test_a_broken_link_does_not_double_what_is_in_hand(autojump_clock, road, juliet):
    async with road.connect() as client, client.messages.subscribe(ack="manual") as inbox, client.events() as events:
        await write(juliet, 0, 1, 2)
        in_hand = await anext(inbox)
        road.session().link.reset()
        assert [type(await anext(events)) for _ in range(2)] == [Suspended, Resumed]
        await write(juliet, 3)
        inbox.done(in_hand)
        assert [(await anext(inbox)).body for _ in range(3)] == ["1", "2", "3"]
        with trio.move_on_after(1):
            pytest.fail((await anext(inbox)).body)
        assert client.stream.sm_inbound_ctr == 4


async def test_a_message_that_is_finished_during_a_resumption_is_not_doubled_either(autojump_clock, road, juliet):
    async with road.connect() as client, client.messages.subscribe(ack="manual") as inbox:
        await write(juliet, *range(5))
        messages = [await anext(inbox) for _ in range(5)]
        assert client.stream.sm_inbound_ctr == 4
        road.session().link.reset()
        await road.server.until(lambda: road.session().resumptions)
        inbox.done(messages[4])
        await write(juliet, 5)
        assert (await anext(inbox)).body == "5"
        assert len(inbox) == 0


async def test_a_message_that_a_failure_leaves_unfinished_comes_again(autojump_clock, road, juliet):
    async with road.connect() as client, client.events() as events:
        with pytest.raises(KeyError):
            async with client.messages.subscribe(ack="manual") as inbox:
                await write(juliet, 0, 1)
                async for _ in inbox:
                    raise KeyError
        assert client.stream.sm_inbound_ctr == 0
        async with client.messages.subscribe(ack="manual") as inbox:
            await write(juliet, 2)
            road.session().link.reset()
            assert [type(await anext(events)) for _ in range(2)] == [Suspended, Resumed]
            assert sorted([(await anext(inbox)).body for _ in range(3)]) == ["0", "1", "2"]
            with trio.move_on_after(1):
                pytest.fail((await anext(inbox)).body)
        assert client.stream.sm_inbound_ctr == 3


async def test_leaving_the_block_without_an_exception_finishes_what_is_in_hand(autojump_clock, road, juliet):
    async with road.connect() as client:
        async with client.messages.subscribe(ack="manual") as inbox:
            await write(juliet, 0, 1)
            await anext(inbox)
        assert client.stream.sm_inbound_ctr == 1


async def test_batches_count_when_the_next_is_asked_for(autojump_clock, road, juliet):
    async with road.connect() as client, client.messages.subscribe(ack="manual") as inbox:
        await write(juliet, 0, 1, 2)
        batches = inbox.batches()
        assert [message.body for message in await anext(batches)] == ["0", "1", "2"]
        assert client.stream.sm_inbound_ctr == 0
        with trio.move_on_after(1):
            await anext(batches)
        assert client.stream.sm_inbound_ctr == 3


async def test_two_inboxes_must_both_have_finished(autojump_clock, road, juliet):
    async with (
        road.connect() as client,
        client.messages.subscribe(ack="manual") as one,
        client.messages.subscribe(ack="manual") as two,
    ):
        await write(juliet, 0)
        one.done(await anext(one))
        assert client.stream.sm_inbound_ctr == 0
        two.done(await anext(two))
        assert client.stream.sm_inbound_ctr == 1


async def test_a_message_that_an_inbox_has_no_room_for_comes_again(autojump_clock, road, juliet):
    async with road.connect() as client:
        got = []
        with pytest.raises(InboxOverflow):
            async with client.messages.subscribe(ack="manual", capacity=2) as inbox:
                await write(juliet, 0, 1, 2, 3)
                async for message in inbox:
                    got.append(message.body)
        async with client.messages.subscribe(ack="manual") as inbox:
            road.session().link.reset()
            got += [(await anext(inbox)).body for _ in range(2)]
        assert got == ["0", "1", "2", "3"]


async def test_a_process_that_dies_while_it_handles_a_message_gets_it_again(autojump_clock, road, juliet):
    store = MemoryStore()
    async with road.connect(store=store) as dying, dying.messages.subscribe(ack="manual") as inbox:
        await write(juliet, *range(10))
        for _ in range(4):
            await anext(inbox)
        await settle()
        left = MemoryStore(store.ticket)
        road.blocked = True  # for the one that is dead, which is still there in this test
        road.session().link.reset()
        async with road.connect(store=left, endpoint=road.server.endpoint) as client:
            await trio.sleep(5)
            async with client.messages.subscribe(ack="manual") as inbox:
                assert [(await anext(inbox)).body for _ in range(7)] == [str(n) for n in range(3, 10)]
                assert client.stream.sm_inbound_ctr == 9


async def test_without_stream_management_there_is_nothing_to_hold(autojump_clock, road, juliet):
    async with road.connect(sm=None) as client, client.messages.subscribe(ack="manual") as inbox:
        await write(juliet, 0)
        assert (await anext(inbox)).body == "0"


async def test_a_session_that_is_closed_leaves_the_rest_to_the_server(autojump_clock, road, juliet):
    with pytest.raises(KeyError):
        async with road.connect() as client, client.messages.subscribe(ack="manual") as inbox:
            await write(juliet, 0, 1)
            async for message in inbox:
                if message.body == "1":
                    raise KeyError
    async with road.connect() as client, client.messages.subscribe() as inbox:
        await client.send(Presence())
        assert (await anext(inbox)).body == "1"
