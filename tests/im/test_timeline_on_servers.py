"""The timeline on the embedded server and on real ones: one story, with all the ways in which a message comes."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.im.world import Disk, chat
from trioxmpp import Presence
from trioxmpp.im.timeline import open_timeline

SECONDS = 20


@pytest.mark.item("D5.1")
@pytest.mark.item("D5.13")
@on_every_bench(accounts=2)
async def test_a_process_gives_live_messages_and_the_next_one_those_that_it_missed(bench: Bench) -> None:
    first, juliet = bench.clients
    disk = Disk()

    async def read(timeline, count: int) -> list[str]:
        bodies = []
        with trio.fail_after(SECONDS):
            for _ in range(count):
                bodies.append((await anext(timeline)).message.body)
        return bodies

    async with AsyncExitStack() as stack:
        romeo = await stack.enter_async_context(bench.connect(0, "reader", store=disk))
        timeline = await stack.enter_async_context(open_timeline(romeo))
        await romeo.send(Presence())
        await juliet.send(chat("live", bench.jid(0)))
        assert await read(timeline, 1) == ["live"]
        await romeo.send(chat("from here", bench.jid(1)))
        assert await read(timeline, 1) == ["from here"]
        await first.send(chat("from there", bench.jid(1)))
        assert await read(timeline, 1) == ["from there"]
    for number in range(70):
        await juliet.send(chat(number, bench.jid(0)))
    async with AsyncExitStack() as stack:
        romeo = await stack.enter_async_context(bench.connect(0, "reader", store=disk))
        timeline = await stack.enter_async_context(open_timeline(romeo))
        await romeo.send(Presence())
        assert await read(timeline, 70) == [str(number) for number in range(70)]
        await juliet.send(chat("live again", bench.jid(0)))
        assert await read(timeline, 1) == ["live again"]
        with trio.move_on_after(1):
            pytest.fail(f"one too many: {(await anext(timeline)).message}")
