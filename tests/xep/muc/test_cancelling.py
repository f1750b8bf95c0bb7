"""Cancelling anywhere leaves nothing behind: no claim, and no ghost in the room."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.xep.muc.rooms import in_room, nicks, persistent, until
from trioxmpp import JID
from trioxmpp.testing import cancelled_after
from trioxmpp.xep.muc import open_room


@pytest.mark.item("D4.27", "B2.4")
@on_every_bench(accounts=2)
async def test_entering_may_be_cancelled_at_each_step(bench: Bench) -> None:
    bench.has("faults")
    romeo, juliet = bench.clients
    jid = bench.room()
    async with open_room(romeo, jid, "romeo", create=persistent) as one:
        cancelled = 0
        for steps in range(1, 400):

            async def enter_and_leave() -> None:
                async with open_room(juliet, jid, "juliet") as room:
                    await room.say("hello")

            if not await cancelled_after(steps, enter_and_leave):
                break
            cancelled += 1
            await trio.sleep(1)
            assert not juliet.claimed(JID.parse(jid)), steps
            assert nicks(one) == {"romeo"}, f"a ghost after {steps} steps"
        assert 10 < cancelled < 390


@pytest.mark.item("D4.15")
@on_every_bench(accounts=2)
async def test_speaking_may_be_cancelled_at_each_step(bench: Bench) -> None:
    bench.has("faults")
    async with in_room(bench, bench.room()) as (one, two):
        for steps in range(1, 50):
            if not await cancelled_after(steps, lambda: two.say("hello")):
                break
            assert two.joined
            await trio.sleep(1)
        assert (await two.say("the end")).by_us
        assert one.joined


@pytest.mark.item("D4.28")
@on_every_bench(accounts=1)
async def test_no_more_than_ten_joins_are_under_way_at_a_time(bench: Bench) -> None:
    server = bench.embedded()
    (client,) = bench.clients
    domain = "conference.example.test"
    service = server.post.hosts[domain]
    under_way: set[str] = set()
    most = 0
    rooms = [bench.room() for _ in range(50)]

    async with trio.open_nursery() as nursery:

        async def later(stanza: object, jid: str) -> None:
            await trio.sleep(1)
            under_way.discard(jid)
            service(stanza)  # type: ignore[arg-type]

        def slow(stanza: object) -> None:
            nonlocal most
            jid = JID.parse(stanza.get("to"))  # type: ignore[attr-defined]
            if stanza.tag.endswith("presence") and stanza.get("type") is None:  # type: ignore[attr-defined]
                under_way.add(str(jid.bare))
                most = max(most, len(under_way))
                nursery.start_soon(later, stanza, str(jid.bare))
            else:
                service(stanza)  # type: ignore[arg-type]

        server.post.hosts[domain] = slow
        ready: set[str] = set()

        async def be_in(jid: str) -> None:
            async with open_room(client, jid, "romeo", create=True):
                ready.add(jid)
                await until(lambda: len(ready) == len(rooms), 3600)

        for jid in rooms:
            nursery.start_soon(be_in, jid)
    assert most == 10
