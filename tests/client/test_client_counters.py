"""The figures of a client for monitoring: totals over links and sessions, and queues of the moment."""

from __future__ import annotations

import dataclasses

import trio
import trio.testing

from tests.dialogs import message, renewed, resumed
from trioxmpp import Client, Counters, Message, MessageType, ReconnectPolicy
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import Faults


def changes(before: Counters, after: Counters) -> dict[str, int]:
    """The figures that are different now, and by how much."""
    names = [field.name for field in dataclasses.fields(Counters)]
    found = {name: getattr(after, name) - getattr(before, name) for name in names}
    return {name: change for name, change in found.items() if change}


async def settled(client: Client) -> Counters:
    await client.drain()
    await trio.testing.wait_all_tasks_blocked()
    return client.counters()


async def test_a_fresh_client_has_one_link_and_one_session(autojump_clock, server, road):
    async with road.connect() as client:
        counters = await settled(client)
        named = {name: getattr(counters, name) for name in ("linked", "links", "sessions", "failures", "resumptions")}
        assert named == {"linked": True, "links": 1, "sessions": 1, "failures": 0, "resumptions": 0}
        assert counters.elements_received > 0  # <enabled/>
        assert counters.stanzas_sent == counters.stanzas_acked == counters.stanzas_handled == 0
    ended = client.counters()
    assert (ended.linked, ended.links, ended.queued, ended.in_flight) == (False, 1, 0, 0)


async def test_stanzas_are_counted_when_sent_acknowledged_and_handled(autojump_clock, server, road):
    async with road.connect() as client, road.connect("juliet") as juliet:
        before, hers = await settled(client), await settled(juliet)
        for _ in range(7):
            client.enqueue(message(to=str(juliet.jid)))
        queued = changes(before, client.counters())
        assert queued["queued"] == 7
        assert queued["queued_octets"] > 7 * 20
        assert "stanzas_sent" not in queued
        assert changes(before, await settled(client)).items() >= {"stanzas_sent": 7, "stanzas_acked": 7}.items()
        assert changes(hers, await settled(juliet))["stanzas_handled"] == 7
        assert client.counters().queued == client.counters().queued_octets == 0


async def test_without_an_ack_stanzas_are_in_flight_and_a_request_is_pending(autojump_clock, server, road):
    async with road.connect() as client:
        before = await settled(client)
        road.session().link.stall()
        client.enqueue(message())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.request, Ping())
            await trio.sleep(1)
            now = changes(before, client.counters())
            assert (now["in_flight"], now["stanzas_sent"], now["pending_requests"]) == (2, 2, 1)
            assert now["in_flight_octets"] > 100
            nursery.cancel_scope.cancel()


async def test_totals_go_on_over_broken_links_and_lost_sessions(autojump_clock, server, road):
    async with road.connect() as client:
        before = await settled(client)
        seen = []
        for turn in (resumed, renewed, resumed):
            client.enqueue(message())
            client.enqueue(message())
            await client.drain()
            await turn(server, client)
            seen.append(changes(before, await settled(client)))
        assert [each["links"] for each in seen] == [1, 2, 3]
        assert [each["stanzas_sent"] for each in seen] == [2, 4, 6]
        assert [each["stanzas_acked"] for each in seen] == [2, 4, 6]
        assert [each.get("resumptions", 0) for each in seen] == [1, 1, 2]
        assert [each.get("sessions", 0) for each in seen] == [0, 1, 1]
        assert [each.get("sessions_lost", 0) for each in seen] == [0, 1, 1]
        assert [each["suspensions"] for each in seen] == [1, 2, 3]
        received = [each["elements_received"] for each in seen]
        assert received == sorted(received)


async def test_a_stanza_that_is_sent_again_counts_once(autojump_clock, server, road):
    async with road.connect() as client:
        before = await settled(client)
        road.session().link.stall()
        client.enqueue(message())
        await trio.sleep(1)
        await resumed(server, client)
        assert changes(before, await settled(client)).items() >= {"stanzas_sent": 1, "stanzas_acked": 1}.items()


async def test_attempts_that_fail_are_counted(autojump_clock, server, road):
    async with road.connect(reconnect=ReconnectPolicy(initial=1.0, maximum=1.0)) as client:
        road.blocked = True
        road.session().link.reset()
        await trio.sleep(5.5)
        counters = client.counters()
        assert (counters.linked, counters.links, counters.suspensions) == (False, 1, 1)
        assert counters.failures == len(road.attempts) == 6, "the link, and five attempts; one attempt succeeded"
        road.blocked = False
        await client.wait_linked()
        assert client.counters().links == 2


async def test_stanzas_of_a_session_without_stream_management_are_counted_when_written(autojump_clock, server, road):
    async with road.connect(sm=None) as client:
        for _ in range(3):
            await client.send(message())
        counters = client.counters()
        assert (counters.stanzas_sent, counters.stanzas_acked, counters.in_flight) == (3, 0, 0)


async def test_losses_are_counted_by_their_reason(autojump_clock, server, road):
    async with road.connect() as client, road.connect("juliet") as juliet:

        async def sends(count: int, body: str = "Hi") -> None:
            for _ in range(count):
                juliet.enqueue(Message(to=client.jid, type=MessageType.CHAT, body=body))
            await settled(juliet)

        before = await settled(client)
        async with client.messages.subscribe(capacity=2, overflow="drop_oldest"):
            await sends(5)
            assert changes(before, client.counters())["dropped"] == 3
        await sends(4)
        await trio.sleep(100)
        assert changes(before, client.counters())["unclaimed"] == 4
        road.session().link.inject(b"<message><body>" + b"<x>" * 1000 + b"</x>" * 1000 + b"</body></message>")
        await trio.sleep(1)
        assert changes(before, client.counters())["passed_over"] == 1


async def test_a_consumer_that_has_not_finished_defers_the_count(autojump_clock, server, road):
    async with road.connect() as client, road.connect("juliet") as juliet:
        async with client.messages.subscribe(ack="manual") as inbox:
            before = await settled(client)
            for _ in range(3):
                await juliet.send(Message(to=client.jid, type=MessageType.CHAT, body="Hi"))
            await inbox.receive()
            assert changes(before, client.counters())["deferred"] == 3
            for _ in range(2):
                await inbox.receive()
        assert changes(before, client.counters())["stanzas_handled"] == 3
        assert client.counters().deferred == 0


async def test_a_login_that_is_refused_for_a_while_counts_as_failures(autojump_clock, server, road):
    async with road.connect(reconnect=ReconnectPolicy(initial=1.0, maximum=1.0)) as client:
        server.faults = Faults(refuse_login="temporary-auth-failure")
        road.session().link.reset()
        await trio.sleep(3.5)
        assert client.counters().failures == 4
        server.faults = Faults()
        await client.wait_linked()


def test_gauges_are_fields() -> None:
    assert {field.name for field in dataclasses.fields(Counters)} > Counters.GAUGES
