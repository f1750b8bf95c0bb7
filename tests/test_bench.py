"""The bench itself: what every test of a service relies on."""

from __future__ import annotations

import pytest
import trio

from tests.bench import Bench, on_every_bench
from trioxmpp import Message, MessageType, Presence
from trioxmpp.protocol.elements.roster import RosterQuery


@on_every_bench(accounts=2)
async def test_clients_are_connected_and_reach_each_other(bench: Bench) -> None:
    romeo, juliet = bench.clients
    assert [str(client.jid.bare) for client in bench.clients] == [bench.jid(0), bench.jid(1)]
    async with juliet.messages.subscribe(MessageType.CHAT) as inbox:
        await romeo.send(Message(to=juliet.jid, type=MessageType.CHAT, body="Art thou not Romeo?"))
        async for message in inbox:
            assert message.body == "Art thou not Romeo?"
            break


@on_every_bench(accounts=1)
async def test_a_second_client_of_an_account_sees_the_first(bench: Bench) -> None:
    (first,) = bench.clients
    await first.send(Presence())
    async with bench.connect(0, "other") as second, second.presences.subscribe() as inbox:
        await second.send(Presence())
        seen = set()
        async for presence in inbox:
            seen.add(str(presence.from_))
            if seen == {str(first.jid), str(second.jid)}:
                break


@on_every_bench(accounts=2)
async def test_contacts_see_each_other_on_every_server(bench: Bench) -> None:
    await bench.add_contacts(0, 1)
    romeo, juliet = bench.clients
    async with juliet.presences.subscribe(from_=romeo.jid) as inbox:
        await romeo.send(Presence(status="here"))
        async for presence in inbox:
            if presence.status == "here":
                break
    roster = await romeo.request(RosterQuery())
    assert [(str(item.jid), str(item.subscription)) for item in roster.items] == [(bench.jid(1), "both")]


@on_every_bench(accounts=1)
async def test_a_feature_that_a_server_lacks_skips_the_test_with_a_reason(bench: Bench) -> None:
    if bench.dialect.moderation:
        bench.has("moderation")
    else:
        with pytest.raises(pytest.skip.Exception, match=rf"{bench.dialect.name} does not have moderation"):
            bench.has("moderation")
    with pytest.raises(KeyError):
        bench.has("telepathy")


@on_every_bench(accounts=0)
async def test_an_hour_takes_no_time_where_time_is_virtual(bench: Bench) -> None:
    bench.has("faults")
    await trio.sleep(3600)
