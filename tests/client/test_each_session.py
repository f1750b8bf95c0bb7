"""Services set up each session, in steps, before the application may use it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from tests.dialogs import message, renewed, resumed
from trioxmpp import (
    Client,
    Destroyed,
    Established,
    MemoryStore,
    Session,
    SessionLost,
    Step,
    Suspended,
    Trouble,
    XMPPCancelError,
)
from trioxmpp.errors import StanzaCondition
from trioxmpp.protocol.elements.disco import InfoQuery
from trioxmpp.protocol.elements.ping import Ping

NAME = "romeo@example.test/orchard"
SERVER = "example.test"


def noting(story: list[str], name: str):
    async def prepare(session: Session) -> None:
        await session.request(Ping(), to=SERVER)
        story.append(name)

    return prepare


# --- order


async def test_steps_run_in_order_whatever_the_order_of_registration(autojump_clock, road):
    story: list[str] = []
    async with (
        road.connect() as client,
        client.each_session(Step.CATCH_UP, noting(story, "archive")),
        client.each_session(Step.PRESENCE, noting(story, "presence")),
        client.each_session(Step.JOIN, noting(story, "rooms")),
        client.each_session(Step.SYNC, noting(story, "roster")),
    ):
        assert story == ["archive", "presence", "rooms", "roster"]  # each was registered in a session of now
        story.clear()
        await renewed(road.server, client)
        await trio.sleep(1)
        assert story == ["roster", "presence", "rooms", "archive"]
        story.clear()
        await resumed(road.server, client)
        assert story == []


async def test_an_application_never_speaks_before_its_services_have_set_up(autojump_clock, road):
    """The application waits for a session; services take random times to set it up. 1,000 renewed sessions."""
    story: list[str] = []
    spoken = trio.Event()
    chance = random.Random(29)

    async def prepare(session: Session) -> None:
        await trio.sleep(chance.random() * 5)
        await session.request(Ping(), to=SERVER)
        story.append("service")

    async def application(client: Client) -> None:
        async with client.events() as events:
            while True:
                await client.wait_established()
                await client.send(message("application"))
                story.append("application")
                spoken.set()
                while not isinstance(await anext(events), Destroyed):
                    pass

    async with (
        road.connect() as client,
        client.each_session(Step.SYNC, prepare),
        client.each_session(Step.PRESENCE, prepare),
        trio.open_nursery() as nursery,
    ):
        story.clear()
        nursery.start_soon(application, client)
        await trio.sleep(1)
        for number in range(1000):
            story.clear()
            spoken = trio.Event()
            road.server.forget(NAME)
            await spoken.wait()
            assert story == ["service", "service", "application"], number
        nursery.cancel_scope.cancel()


async def test_all_functions_of_a_step_share_one_batch(autojump_clock, road):
    """However many services there are, the first presence takes one round trip."""
    began: list[float] = []

    async def prepare(session: Session) -> None:
        began.append(trio.current_time())
        await session.request(InfoQuery(), to=SERVER)

    @asynccontextmanager
    async def service(client: Client) -> AsyncIterator[None]:
        async with client.each_session(Step.SYNC, prepare):
            yield

    async with road.connect(services=[service] * 20) as client:
        assert len(began) == 20
        assert len(set(began)) == 1
        began.clear()
        await renewed(road.server, client)
        assert len(began) == 20
        assert len(set(began)) == 1


async def test_the_steps_after_presence_go_on_behind_the_application(autojump_clock, road):
    ready = trio.Event()

    async def joins(session: Session) -> None:
        await ready.wait()

    async with road.connect() as client, trio.open_nursery() as nursery:

        async def registers() -> None:
            async with client.each_session(Step.JOIN, joins):
                await trio.sleep_forever()

        nursery.start_soon(registers)
        await trio.testing.wait_all_tasks_blocked()
        await renewed(road.server, client)  # does not wait for the room
        assert client.established
        nursery.cancel_scope.cancel()


async def test_a_step_has_a_deadline_and_what_is_late_goes_on(autojump_clock, road, caplog):
    done: list[str] = []
    slow = trio.Event()

    async def prepare(session: Session) -> None:
        if slow.is_set():
            await trio.sleep(100)
        done.append("late")

    async with road.connect() as client, client.each_session(Step.SYNC, prepare):
        done.clear()
        slow.set()
        began = trio.current_time()
        await renewed(road.server, client)
        assert 30 <= trio.current_time() - began < 40
        assert done == []
        assert "is late in setting up the session" in caplog.text
        await trio.sleep(100)
        assert done == ["late"]


# --- blocks


async def test_a_block_lasts_as_long_as_the_session_and_blocks_are_left_in_reverse_before_destroyed(
    autojump_clock, road
):
    story: list[str] = []

    def block(name: str):
        @asynccontextmanager
        async def prepared(session: Session) -> AsyncIterator[None]:
            story.append(f"{name} enters")
            try:
                yield
            finally:
                story.append(f"{name} leaves")

        return prepared

    async with (
        road.connect() as client,
        client.each_session(Step.SYNC, block("one")),
        client.each_session(Step.PRESENCE, block("other")),
    ):
        client.on_event.connect(lambda event: story.append(type(event).__name__))
        story.clear()
        road.server.forget(NAME)
        async with client.events() as events:
            assert [type(await anext(events)) for _ in range(3)] == [Suspended, Destroyed, Established]
        assert story == [
            "Suspended",
            "other leaves",
            "one leaves",
            "Destroyed",
            "one enters",
            "other enters",
            "Established",
        ]
        story.clear()
    assert story[:2] == ["other leaves", "one leaves"]


# --- failures


async def test_a_first_failure_leaves_the_block_bare(autojump_clock, road):
    refused = XMPPCancelError(StanzaCondition.FORBIDDEN)

    async def prepare(session: Session) -> None:
        raise refused

    async with road.connect() as client:
        with pytest.raises(XMPPCancelError) as caught:
            async with client.each_session(Step.SYNC, prepare):
                pytest.fail("the body ran")
        assert caught.value is refused

    @asynccontextmanager
    async def service(client: Client) -> AsyncIterator[None]:
        async with client.each_session(Step.SYNC, prepare):
            yield

    with pytest.raises(XMPPCancelError) as caught:
        async with road.connect(services=[service]):
            pytest.fail("the body ran")
    assert caught.value is refused


async def test_a_later_failure_is_told_and_does_not_hold_up_the_others(autojump_clock, road):
    failing = trio.Event()
    story: list[str] = []

    async def fails(session: Session) -> None:
        if failing.is_set() and story.count("failed") < 3:
            story.append("failed")
            raise XMPPCancelError(StanzaCondition.FORBIDDEN)
        story.append("succeeded")

    async with (
        road.connect() as client,
        client.each_session(Step.SYNC, fails),
        client.each_session(Step.PRESENCE, noting(story, "presence")),
        client.events() as events,
    ):
        story.clear()
        failing.set()
        road.server.forget(NAME)
        told = [await anext(events) for _ in range(4)]
        assert [type(event) for event in told] == [Suspended, Destroyed, Trouble, Established]
        assert story == ["failed", "presence"]
        await trio.sleep(300)
        assert story == ["failed", "presence", "failed", "failed", "succeeded"]
        assert [type(events.receive_nowait()) for _ in range(2)] == [Trouble, Trouble]


# --- adopted sessions, and sessions that are over


async def test_a_session_of_another_process_is_adopted_and_all_steps_run(autojump_clock, road):
    store = MemoryStore()
    async with road.connect(store=store) as client:
        await client.suspend()
    adopted: list[bool] = []

    async def prepare(session: Session) -> None:
        adopted.append(session.adopted)

    async with road.connect(store=store) as client, client.each_session(Step.SYNC, prepare):
        await renewed(road.server, client)
    assert adopted == [True, False]


async def test_a_request_of_one_session_never_leaks_into_the_next(autojump_clock, road):
    async with road.connect() as client:
        old = client.session
        assert old is not None
        await old.request(Ping(), to=SERVER)
        await renewed(road.server, client)
        assert client.session is not old
        with pytest.raises(SessionLost):
            old.enqueue(message("late"))
        with pytest.raises(SessionLost):
            await old.request(Ping(), to=SERVER)
        with pytest.raises(SessionLost):
            await old.wait_linked()
        assert "late" not in [entry.stanza.findtext("{jabber:client}body") for entry in road.server.log]


async def test_a_task_of_a_session_ends_with_it_and_its_error_leaves_the_client_bare(autojump_clock, road):
    story: list[str] = []

    async def lives() -> None:
        try:
            await trio.sleep_forever()
        finally:
            story.append("ended")

    async with road.connect() as client:
        assert client.session is not None
        client.session.start_soon(lives)
        await trio.sleep(1)
        await renewed(road.server, client)
        assert story == ["ended"]

    async def fails() -> None:
        await trio.sleep(1)
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        async with road.connect() as client:
            assert client.session is not None
            client.session.start_soon(fails)
            await trio.sleep_forever()


# --- linked


async def test_a_client_tells_whether_it_has_a_link(autojump_clock, road):
    async with road.connect() as client:
        assert client.linked
        road.blocked = True
        road.session().link.reset()
        await trio.testing.wait_all_tasks_blocked()
        assert client.established
        assert not client.linked
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.wait_linked)
            await trio.sleep(5)
            road.blocked = False
        assert client.linked


async def test_events_and_signals_end_with_the_client(autojump_clock, road):
    heard: list[str] = []

    async def listens(subscription) -> None:
        async with subscription as inbox:
            async for item in inbox:
                heard.append(type(item).__name__)
        heard.append("ended")

    async with trio.open_nursery() as nursery, road.connect() as client:
        for subscription in (client.events(), client.on_message.subscribe(), client.messages.subscribe()):
            nursery.start_soon(listens, subscription)
        await trio.testing.wait_all_tasks_blocked()
    assert heard.count("ended") == 3
