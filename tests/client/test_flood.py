"""Ten thousand messages at once: a task that awaits replies among them gets them, and a slow task harms only itself."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
import trio
import trio.testing

import trioxmpp
from trioxmpp import IQ, Client, InboxOverflow, IQType, Message, MessageType
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import open_server

FLOOD = 10_000
ROMEO = "romeo@example.test/orchard"


def flood(sender: Client, count: int = FLOOD, start: int = 0) -> None:
    for number in range(start, start + count):
        sender.enqueue(Message(to=ROMEO, type=MessageType.CHAT, body=str(number)))


async def test_a_bot_that_awaits_a_reply_in_its_own_message_loop(autojump_clock, road):
    """Were the reader to wait for the loop, neither would ever go on."""
    got: list[str] = []
    async with (
        road.connect("juliet") as juliet,
        road.connect() as romeo,
        romeo.messages.subscribe(MessageType.CHAT, capacity=FLOOD) as inbox,
    ):
        flood(juliet)
        with trio.fail_after(600):
            async for message in inbox:
                got.append(message.body)
                if len(got) % 20 == 1:
                    await romeo.request(Ping(), to="example.test")
                if len(got) == FLOOD:
                    break
    assert got == [str(number) for number in range(FLOOD)]


async def test_two_bots_that_ask_each_other_in_their_loops(autojump_clock, road):
    async def serve(client: Client, other: str, *, task_status) -> None:
        async def pong(iq: IQ) -> None:
            await trio.lowlevel.checkpoint()

        with client.iq_handler(IQType.GET, Ping, pong):
            async with client.messages.subscribe(MessageType.CHAT) as inbox:
                task_status.started()
                answered = 0
                async for _ in inbox:
                    await client.request(Ping(), to=other)
                    answered += 1
                    if answered == 200:
                        finished.append(client)
                        if len(finished) == 2:
                            nursery.cancel_scope.cancel()

    finished: list[Client] = []
    juliets = "juliet@example.test/orchard"
    async with road.connect("juliet") as juliet, road.connect() as romeo:
        with trio.fail_after(600):
            async with trio.open_nursery() as nursery:
                await nursery.start(serve, romeo, juliets)
                await nursery.start(serve, juliet, ROMEO)
                for number in range(200):
                    juliet.enqueue(Message(to=ROMEO, type=MessageType.CHAT, body=str(number)))
                    romeo.enqueue(Message(to=juliets, type=MessageType.CHAT, body=str(number)))
    assert len(finished) == 2


async def test_a_slow_consumer_loses_only_its_own_subscription(autojump_clock, road):
    async with (
        road.connect("juliet") as juliet,
        road.connect() as romeo,
        romeo.messages.subscribe(capacity=100) as slow,
        romeo.messages.subscribe(capacity=FLOOD) as roomy,
    ):
        flood(juliet)
        await juliet.drain()
        await trio.testing.wait_all_tasks_blocked()
        fit = [(await anext(slow)).body for _ in range(100)]
        with pytest.raises(InboxOverflow, match="more than 100 items"):
            await anext(slow)
        assert fit == [str(number) for number in range(100)]
        assert [(await anext(roomy)).body for _ in range(FLOOD)] == [str(number) for number in range(FLOOD)]
        await romeo.request(Ping(), to="example.test")  # and the client lives
        async with romeo.messages.subscribe() as fresh:
            flood(juliet, 1)
            assert (await anext(fresh)).body == "0"


async def test_several_consumers_share_the_flood(autojump_clock, road):
    got: list[list[str]] = [[], [], []]

    async def consume(inbox, mine: list[str]) -> None:
        async for message in inbox:
            mine.append(message.body)
            await romeo.request(Ping(), to="example.test")
            if sum(map(len, got)) == 1000:
                nursery.cancel_scope.cancel()

    async with (
        road.connect("juliet") as juliet,
        road.connect() as romeo,
        romeo.messages.subscribe() as inbox,
        trio.open_nursery() as nursery,
    ):
        for mine in got:
            nursery.start_soon(consume, inbox, mine)
        flood(juliet, 1000)
    assert sorted(int(body) for mine in got for body in mine) == list(range(1000))
    assert all(len(mine) > 100 for mine in got)


async def test_a_consumer_that_never_reads_costs_no_more_than_its_capacity(autojump_clock):
    async with (
        open_server(history=10) as server,
        trioxmpp.connect("juliet@example.test", "secret", endpoint=server.endpoint, allow_plaintext=True) as juliet,
        trioxmpp.connect(ROMEO, "secret", endpoint=server.endpoint, allow_plaintext=True) as romeo,
        romeo.messages.subscribe(capacity=10) as inbox,
    ):
        held = []
        tracemalloc.start()
        try:
            for start in range(0, 6 * 500, 500):
                flood(juliet, 500, start)
                await juliet.drain()
                await trio.testing.wait_all_tasks_blocked()
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert len(inbox) == 10
    assert held[-1] - held[2] < 100_000  # of 1500 messages


async def test_a_flood_through_a_link_that_breaks_is_in_order_and_complete(autojump_clock, road):
    got: list[str] = []
    async with (
        road.connect("juliet", endpoint=road.server.endpoint) as juliet,
        road.connect() as romeo,
        romeo.messages.subscribe() as inbox,
    ):
        flood(juliet, 2000)
        with trio.fail_after(600):
            async for message in inbox:
                got.append(message.body)
                if len(got) in (300, 900) and road.session().link is not None:
                    road.session().link.reset()
                if len(got) % 50 == 0:
                    await romeo.request(Ping(), to="example.test")
                if len(got) == 2000:
                    break
    assert got == [str(number) for number in range(2000)]
