"""From "link lost" to "resumed" on a link with 100 ms of latency: how many round trips each way of logging in takes.

And what becomes of a session when it does not go as quickly as that.
"""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from trioxmpp import (
    AuthenticationFailure,
    Destroyed,
    Established,
    Message,
    MessageType,
    ReconnectPolicy,
    Resumed,
    SMPolicy,
    Suspended,
)
from trioxmpp.testing import Faults, open_server
from trioxmpp.testing.network import LatentEndpoint

ROUND_TRIP = 0.1

#: A STARTTLS link: the header in the clear, <starttls/>, the handshake of TLS 1.3.
UNTIL_SECURE = 3


@pytest.fixture
async def server(autojump_clock):
    async with open_server(accounts={"romeo": "montague"}, starttls="required") as server:
        server.policy.sasl2 = True
        yield server


@pytest.fixture
def road(server, nursery):
    return LatentEndpoint(server, nursery, ROUND_TRIP)


def connect(road: LatentEndpoint, jid: str = "romeo@example.test", **options):
    return trioxmpp.connect(
        jid,
        "montague",
        endpoint=road.endpoint,
        tls=road.server.client_tls_context(),
        reconnect=ReconnectPolicy(initial=1.0, maximum=1.0),
        **options,
    )


async def round_trips(road: LatentEndpoint, events) -> int:
    """Break the link, and count what it takes until the session is resumed; it is used before and after."""
    road.server.links[-1].reset()
    assert isinstance(await anext(events), Suspended)
    assert isinstance(await anext(events), Resumed)
    took = (trio.current_time() - road.began) / ROUND_TRIP
    assert took == pytest.approx(round(took), abs=0.01), "it waits for something else than the server"
    return round(took)


async def count(road: LatentEndpoint, times: int) -> list[int]:
    async with connect(road) as client, client.events() as events:
        trips = []
        for number in range(times):
            trips.append(await round_trips(road, events) - UNTIL_SECURE)
            await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body=str(number)))
        assert road.server.sessions[str(client.jid)].resumptions == times
        bodies = [accepted.stanza.findtext("{jabber:client}body") for accepted in road.server.log]
        assert bodies == [str(number) for number in range(times)]
        return trips


async def test_classic(road, autojump_clock):
    road.server.policy.sasl2 = False
    assert await count(road, 2) == [5, 5]  # features, two for SCRAM, features again, resumption


async def test_sasl2(road, autojump_clock):
    road.server.policy.fast = ()
    assert await count(road, 2) == [3, 3]  # features, two for SCRAM


async def test_fast_in_one_flight(road, autojump_clock):
    assert await count(road, 3) == [1, 1, 1]


async def test_fast_when_the_offer_has_to_be_heard_first(road, autojump_clock):
    """After an attempt in one flight that came to nothing, for whatever reason."""
    async with connect(road) as client, client.events() as events:
        road.server.plan(Faults(cut_in=600))  # in the middle of what follows the header
        assert await round_trips(road, events) - UNTIL_SECURE == 2
        assert await round_trips(road, events) - UNTIL_SECURE == 1
        assert road.server.link_count == 4
        assert road.server.sessions[str(client.jid)].resumptions == 2


async def test_a_forgotten_token_costs_no_more_than_the_password(road, autojump_clock):
    async with connect(road) as client, client.events() as events:
        road.server.accounts["romeo"].tokens.clear()
        assert await round_trips(road, events) - UNTIL_SECURE == 3  # refused, and two for SCRAM
        assert await round_trips(road, events) - UNTIL_SECURE == 1
        assert road.server.sessions[str(client.jid)].resumptions == 2


async def test_a_session_that_was_lost_is_replaced_in_the_same_flight(road, autojump_clock):
    async with connect(road) as client, client.events() as events:
        old = str(client.jid)
        road.server.plan(Faults(refuse_resume="with-h"))
        road.server.links[-1].reset()
        assert isinstance(await anext(events), Suspended)
        assert isinstance(await anext(events), Destroyed)
        assert isinstance(await anext(events), Established)
        assert trio.current_time() - road.began == pytest.approx((UNTIL_SECURE + 1) * ROUND_TRIP)
        assert str(client.jid) != old
        assert client.stream.sm_resumable
        await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body="again"))
        assert await round_trips(road, events) - UNTIL_SECURE == 1


async def test_stanzas_of_a_broken_link_arrive_once(road, autojump_clock):
    async with connect(road) as client, client.events() as events:
        for number in range(20):
            token = client.enqueue(Message(to=client.jid.bare, type=MessageType.CHAT, body=str(number)))
            if number % 5 == 4:
                await trio.sleep(0.06)
                await round_trips(road, events)
        await token
        bodies = [accepted.stanza.findtext("{jabber:client}body") for accepted in road.server.log]
        assert bodies == [str(number) for number in range(20)]


async def test_a_resource_of_ones_own_is_bound_in_the_old_way(road, autojump_clock):
    async with connect(road, "romeo@example.test/orchard") as client, client.events() as events:
        assert str(client.jid) == "romeo@example.test/orchard"
        assert client.stream.sm_resumable
        assert await round_trips(road, events) - UNTIL_SECURE == 1
        assert client.jid.resource == "orchard"


@pytest.mark.parametrize("offered", [True, False])
async def test_without_stream_management(road, autojump_clock, offered):
    road.server.policy.sm = offered
    async with connect(road, sm=None if offered else SMPolicy()) as client:
        assert not client.stream.sm_enabled
        assert client.jid.resource.startswith("trioxmpp.")
        await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body="hello"))


@pytest.mark.parametrize(("policy", "patience"), [(SMPolicy(max=60), 60), (SMPolicy(max=0), None)])
async def test_for_how_long_a_session_is_to_be_kept(road, autojump_clock, policy, patience):
    async with connect(road, sm=policy) as client:
        assert client.stream.sm_enabled
        assert client.stream.sm_resumable == (patience is not None)
        assert client.stream.sm_max == patience


async def test_management_that_is_refused_along_with_binding(road, autojump_clock):
    road.server.plan(Faults(refuse_sm=True))
    async with connect(road) as client:
        assert not client.stream.sm_enabled
        await client.send(Message(to=client.jid.bare, type=MessageType.CHAT, body="hello"))


async def test_a_wrong_password(road, autojump_clock):
    road.server.add_account("romeo", "capulet")
    with pytest.raises(AuthenticationFailure) as failure:
        async with connect(road):
            pass
    assert failure.value.condition == "not-authorized"


async def test_a_login_that_is_bound_to_the_link(road, autojump_clock):
    """And then so are the tokens."""
    road.server.policy.mechanisms = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    async with connect(road) as client, client.events() as events:
        assert [name for _, name in road.server.accounts["romeo"].tokens] == ["HT-SHA-256-ENDP"]
        assert await round_trips(road, events) - UNTIL_SECURE == 1
        assert client.established
