"""A session lives through outages of ten minutes, sessions that expire, servers that crash."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from trioxmpp import (
    Client,
    Destroyed,
    Established,
    Liveness,
    Message,
    MessageType,
    Resumed,
    StanzaState,
    StreamTimeout,
    Suspended,
)
from trioxmpp.testing import Faults


class Pair:
    """Romeo and Juliet, who write numbered messages to each other, and remember what they wrote and what they got."""

    def __init__(self, romeo: Client, juliet: Client) -> None:
        self.clients = {"romeo": romeo, "juliet": juliet}
        self.romeo = romeo
        self.got: dict[str, list[str]] = {"romeo": [], "juliet": []}
        self.sent: dict[str, list[str]] = {"romeo": [], "juliet": []}
        self.tokens = []
        self.events = []
        self._numbers = itertools.count()
        romeo.on_event.connect(self.events.append)

    async def collect(self, name: str, *, task_status: trio.TaskStatus[None]) -> None:
        async with self.clients[name].messages.subscribe() as inbox:
            task_status.started()
            async for message in inbox:
                self.got[name].append(message.body)

    def write(self, name: str) -> None:
        body = str(next(self._numbers))
        to = "juliet@example.test/orchard" if name == "romeo" else "romeo@example.test/orchard"
        self.tokens.append(self.clients[name].enqueue(Message(to=to, type=MessageType.CHAT, body=body)))
        self.sent[name].append(body)

    async def chat(self, seconds: float, pause: float = 10.0) -> None:
        """Both write now and then, for so long."""
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            self.write("romeo")
            self.write("juliet")
            await trio.sleep(pause)

    async def settled(self) -> None:
        for client in self.clients.values():
            await client.wait_established()
            await client.drain()
        await trio.testing.wait_all_tasks_blocked()

    def check(self) -> None:
        """Nothing was lost, nothing came twice, and in order."""
        assert self.got == {"juliet": self.sent["romeo"], "romeo": self.sent["juliet"]}
        assert {token.state for token in self.tokens} == {StanzaState.ACKED}

    @property
    def story(self) -> list[type]:
        return [type(event) for event in self.events]


@asynccontextmanager
async def open_pair(road: Any, **options: Any) -> AsyncIterator[Pair]:
    """Both connected; only Romeo takes the road that can be blocked."""
    async with (
        road.connect("juliet", endpoint=road.server.endpoint) as juliet,
        road.connect("romeo", **options) as romeo,
    ):
        pair = Pair(romeo, juliet)
        async with trio.open_nursery() as nursery:
            await nursery.start(pair.collect, "romeo")
            await nursery.start(pair.collect, "juliet")
            yield pair
            nursery.cancel_scope.cancel()


async def test_ten_minutes_of_outage_lose_and_double_nothing(autojump_clock, road):
    road.server.policy.hibernation = 900
    async with open_pair(road) as pair:
        await pair.chat(60)
        road.blocked = True
        road.session().link.reset()
        began = trio.current_time()
        await pair.chat(600)
        assert pair.story == [Suspended]
        road.blocked = False
        await pair.settled()
        await pair.chat(60)
        await pair.settled()
        pair.check()
        assert pair.story == [Suspended, Resumed]
        assert isinstance(pair.events[0].cause, ConnectionResetError)
        assert road.session().resumptions == 1
        assert trio.current_time() - began < 600 + 60 + 60 + 1


async def test_ten_minutes_of_losing_the_link_again_and_again(autojump_clock, road):
    """The link breaks every few seconds, in every way, and so does every other attempt to repair it."""
    ways = itertools.cycle(["reset", "close", "black_hole"])
    async with open_pair(road, liveness=Liveness(5, 5)) as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pair.chat, 600, 1.0)
            end = trio.current_time() + 600
            while trio.current_time() < end:
                link = road.session().link
                if link is not None:
                    road.server.plan(Faults(cut_in=700))
                    getattr(link, next(ways))()
                await trio.sleep(17)
        await pair.settled()
        pair.check()
        assert set(pair.story) == {Suspended, Resumed}
        assert {type(event.cause) for event in pair.events if isinstance(event, Suspended)} >= {
            ConnectionResetError,
            ConnectionAbortedError,
            StreamTimeout,
        }


@pytest.mark.parametrize("remembers", [True, False])
async def test_an_outage_longer_than_the_hibernation_is_told_as_it_is(autojump_clock, road, remembers):
    """A message that the server never got is known as such, if the server remembers its count."""
    road.server.policy.hibernation = 60
    road.server.policy.resume_h_in_failed = remembers
    async with open_pair(road) as pair:
        await pair.chat(60)
        await pair.settled()
        road.blocked = True
        road.session().link.reset()
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(5):
            pair.write("romeo")
        late = pair.tokens[-5:]
        await trio.sleep(600)
        assert {token.state for token in late} == {StanzaState.ACTIVE}
        road.blocked = False
        await trio.sleep(120)
        assert pair.story == [Suspended, Destroyed, Established]
        destroyed = pair.events[1]
        assert destroyed.undelivered == tuple(late)
        assert {token.state for token in late} == {StanzaState.DISCONNECTED}
        for token in destroyed.undelivered:
            await pair.romeo.send(token.stanza)
        await trio.testing.wait_all_tasks_blocked()
        assert pair.got["juliet"] == pair.sent["romeo"]


@pytest.mark.parametrize(("remembers", "state"), [(True, "DISCONNECTED"), (False, "SENT_WITHOUT_SM")])
async def test_the_fate_of_stanzas_in_flight_is_unknown_unless_the_server_counted(
    autojump_clock, road, remembers, state
):
    road.server.policy.hibernation = 60
    road.server.policy.resume_h_in_failed = remembers
    async with open_pair(road) as pair:
        road.session().link.black_hole()
        pair.write("romeo")
        await trio.testing.wait_all_tasks_blocked()
        assert pair.tokens[0].state is StanzaState.SENT
        road.blocked = True
        road.session().link.reset()  # of which the client hears nothing
        await trio.sleep(600)
        assert isinstance(pair.events[0].cause, StreamTimeout)
        road.blocked = False
        await trio.sleep(120)
        assert pair.events[1].undelivered == tuple(pair.tokens)
        assert pair.tokens[0].state is StanzaState[state]


async def test_stanzas_that_the_server_had_handled_when_it_forgot_the_rest_are_acked(autojump_clock, road):
    """Delivered, but the acknowledgement was lost with the link, and then the session expired."""
    road.server.policy.hibernation = 60
    async with open_pair(road) as pair:
        road.session().link.black_hole("out")
        pair.write("romeo")
        await trio.sleep(1)
        road.session().link.reset()
        await trio.sleep(600)
        assert pair.story == [Suspended, Destroyed, Established]
        assert pair.tokens[0].state is StanzaState.ACKED
        assert pair.events[1].undelivered == ()
        assert pair.got["juliet"] == pair.sent["romeo"]


async def test_a_server_that_crashes_and_returns_after_ten_minutes(autojump_clock, road):
    async with open_pair(road) as pair, pair.clients["juliet"].events() as hers:
        await pair.chat(30)
        await pair.settled()
        await road.server.crash()
        await trio.sleep(600)
        assert pair.story == [Suspended]
        await road.server.restart()
        for client in pair.clients.values():
            await client.wait_established()
        await trio.sleep(120)
        assert pair.story == [Suspended, Destroyed, Established]
        assert [type(await anext(hers)) for _ in range(3)] == [Suspended, Destroyed, Established]
        await pair.chat(30)
        await pair.settled()
        pair.check()


async def test_a_server_that_shuts_down_in_peace_and_returns(autojump_clock, road):
    async with open_pair(road) as pair:
        await road.server.shut_down()
        await trio.sleep(600)
        await road.server.restart()
        await trio.sleep(120)
        assert pair.story == [Suspended, Destroyed, Established]
        assert pair.events[0].cause.condition.value == "system-shutdown"
        await pair.chat(30)
        await pair.settled()
        pair.check()


async def test_without_stream_management_each_break_is_a_new_session(autojump_clock, road):
    async with open_pair(road, sm=None) as pair:
        road.session().link.reset()
        await trio.sleep(60)
        assert pair.story == [Suspended, Destroyed, Established]
        pair.write("romeo")
        await pair.settled()
        assert pair.tokens[-1].state is StanzaState.SENT_WITHOUT_SM
        assert pair.got["juliet"] == pair.sent["romeo"]


async def test_a_server_that_stops_offering_stream_management(autojump_clock, road):
    async with open_pair(road) as pair:
        road.server.policy.sm = False
        road.session().link.reset()
        await trio.sleep(60)
        assert pair.story == [Suspended, Destroyed, Established]
        assert not pair.romeo.stream.sm_enabled
        pair.write("juliet")
        await pair.settled()
        assert pair.got["romeo"] == pair.sent["juliet"]


async def test_a_server_that_refuses_stream_management_is_used_without(autojump_clock, road):
    road.server.plan(Faults())
    road.server.plan(Faults(refuse_sm=True))
    async with open_pair(road) as pair:
        assert not pair.romeo.stream.sm_enabled
        pair.write("romeo")
        await pair.settled()
        assert pair.got["juliet"] == pair.sent["romeo"]
