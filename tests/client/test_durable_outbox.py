"""Durable messages: written down before they are accepted, and sent until the server has them."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from trioxmpp import (
    Change,
    Destroyed,
    Established,
    FileStore,
    MemoryStore,
    Message,
    MessageType,
    StanzaDropped,
    Step,
    StoredSession,
    StoreError,
)

TO = "juliet@example.test/orchard"
ROMEO = "romeo@example.test/orchard"


def chat(body: object) -> Message:
    return Message(to=TO, type=MessageType.CHAT, body=str(body))


@pytest.fixture
async def inbox(road):
    async with road.connect("juliet", endpoint=road.server.endpoint) as juliet, juliet.messages.subscribe() as inbox:
        yield inbox


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.1)


async def reads(inbox, *bodies: str) -> None:
    """Exactly these come, and nothing behind them."""
    assert [(await anext(inbox)).body for _ in bodies] == list(bodies)
    with trio.move_on_after(100):
        pytest.fail(f"one too many: {(await anext(inbox)).body}")


class Slow(MemoryStore):
    """Takes ten seconds to write something down."""

    def __init__(self, ticket: StoredSession | None = None) -> None:
        super().__init__(ticket)
        self.failing = False

    async def update(self, change: Change) -> None:
        await trio.sleep(10)
        if self.failing:
            raise StoreError("no space left on device")
        await super().update(change)


async def test_a_posted_message_arrives_and_then_the_store_forgets_it(autojump_clock, road, inbox):
    store = MemoryStore()
    async with road.connect(store=store) as client:
        posted = await client.post(chat("hello"))
        await posted
        assert posted.delivered
        assert client.posted == ()
        await client.send(chat("behind it"))
        assert [stanza.durable for stanza in store.ticket.stanzas] == [False]
    assert not store.ticket.has_session
    await reads(inbox, "hello", "behind it")


async def test_it_is_written_down_before_it_is_accepted_and_before_it_is_sent(autojump_clock, road, inbox):
    store = Slow()
    async with road.connect(store=store) as client:
        handled = road.session().handled_count
        before = trio.current_time()
        await client.post(chat("hello"))
        assert trio.current_time() - before >= 10
        (stored,) = store.ticket.stanzas
        assert stored.durable
        assert "hello" in stored.xml
        assert road.session().handled_count == handled
        await reads(inbox, "hello")


async def test_a_message_that_cannot_be_written_down_is_not_accepted_and_not_sent(autojump_clock, road, inbox):
    store = Slow()
    with pytest.raises(StoreError, match="no space"):
        async with road.connect(store=store) as client:
            store.failing = True
            with pytest.raises(StoreError):
                await client.post(chat("hello"))
            await trio.sleep_forever()
    await reads(inbox)


async def test_many_are_written_down_at_once(autojump_clock, road, inbox):
    async with road.connect(store=Slow()) as client:
        before = trio.current_time()
        async with trio.open_nursery() as nursery:
            for n in range(100):
                nursery.start_soon(client.post, chat(n))
        assert trio.current_time() - before < 50
        await client.drain()
    assert sorted([int((await anext(inbox)).body) for _ in range(100)]) == list(range(100))


async def test_it_survives_a_process_that_is_killed(autojump_clock, road, inbox):
    store = MemoryStore()
    async with road.connect(store=store) as old:
        road.session().link.black_hole("in")
        await old.post(chat("hello"))
        await settle()
        left = MemoryStore(store.ticket)
        road.blocked = True  # for the one that is dead, which is still there in this test
        road.session().link.reset()
        async with road.connect(store=left, endpoint=road.server.endpoint) as client:
            (posted,) = client.posted
            await posted
    await reads(inbox, "hello")


async def test_it_survives_the_session_of_a_process_that_is_killed(autojump_clock, road, inbox):
    store = MemoryStore()
    async with road.connect(store=store) as old:
        road.session().link.black_hole("in")
        old.enqueue(chat("lost"))
        for n in range(3):
            await old.post(chat(n))
        await settle()
        left = MemoryStore(store.ticket)
        road.blocked = True
        road.server.expire(ROMEO)
        async with road.connect(store=left, endpoint=road.server.endpoint) as client:
            assert not client.restored.resumed
            ids = [posted.stanza.id for posted in client.posted]
            await client.drain()
    messages = [await anext(inbox) for _ in range(3)]
    assert [message.body for message in messages] == ["0", "1", "2"]
    assert [message.id for message in messages] == ids
    await reads(inbox)


async def test_a_message_of_a_lost_session_that_the_server_had_is_not_sent_again(autojump_clock, road, inbox):
    """It had them, but its acknowledgement was lost: ``<failed h=.../>`` tells."""
    async with road.connect(store=MemoryStore()) as client, client.events() as events:
        road.session().link.black_hole("out")
        first = await client.post(chat("first"))
        await settle()
        road.blocked = True
        road.session().link.reset()
        second = await client.post(chat("second"))
        road.server.expire(ROMEO)
        road.blocked = False
        assert not first.settled
        while not isinstance(await anext(events), Established):
            pass
        await second
        assert first.delivered
    await reads(inbox, "first", "second")


async def test_a_message_of_unknown_fate_is_sent_again_with_the_same_id(autojump_clock, road, inbox):
    """A server that has forgotten all about the session does not say what it had: better twice than never."""
    road.server.policy.resume_h_in_failed = False
    async with road.connect(store=MemoryStore()) as client:
        road.session().link.black_hole("out")
        posted = await client.post(chat("hello"))
        await settle()
        road.server.expire(ROMEO)
        await posted
    first, second = await anext(inbox), await anext(inbox)
    assert (first.id, first.body) == (second.id, second.body) == (posted.stanza.id, "hello")


async def test_while_there_is_no_session_it_waits_for_one(autojump_clock, road, inbox):
    async with road.connect(store=MemoryStore()) as client, client.events() as events:
        road.blocked = True
        road.server.expire(ROMEO)
        road.blocked = False
        while not isinstance(await anext(events), Destroyed):
            pass
        posted = await client.post(chat("hello"))
        await posted
    await reads(inbox, "hello")


async def test_it_outlives_a_client_that_is_closed(autojump_clock, road, inbox, tmp_path):
    store = FileStore(tmp_path / "session")
    async with road.connect(store=store, close_timeout=1) as client:
        road.blocked = True
        road.session().link.reset()
        await settle()
        posted = await client.post(chat("hello"))
        client.enqueue(chat("not durable"))
    assert not posted.delivered
    with pytest.raises(ConnectionError, match="the store keeps it"):
        await posted
    road.blocked = False
    async with road.connect(store=store) as client:
        (again,) = client.posted
        assert again.stanza.id == posted.stanza.id
        await again
    await reads(inbox, "hello")
    ticket = await store.load()
    await store.aclose()
    assert not ticket.has_session


async def test_a_message_that_a_filter_drops_will_never_be_sent(autojump_clock, road, inbox):
    store = MemoryStore()
    async with road.connect(store=store) as client:
        client.stream.app_outbound_message_filter.register(lambda message: None, 0)
        posted = await client.post(chat("hello"))
        with pytest.raises(StanzaDropped):
            await posted
        assert client.posted == ()


async def test_cancelling_who_waits_retracts_nothing(autojump_clock, road, inbox):
    async with road.connect(store=MemoryStore()) as client:
        road.blocked = True
        road.session().link.reset()
        await settle()
        posted = await client.post(chat("hello"))
        with trio.move_on_after(1):
            await posted
        road.blocked = False
        await posted
    await reads(inbox, "hello")


async def test_without_stream_management_it_is_sent_once(autojump_clock, road, inbox):
    road.server.policy.sm = False
    async with road.connect(store=MemoryStore()) as client:
        await (await client.post(chat("hello")))
        assert client.posted == ()
    await reads(inbox, "hello")


async def test_a_message_that_is_not_valid_is_refused(autojump_clock, road):
    store = MemoryStore()
    async with road.connect(store=store) as client:
        message = chat("hello")
        message.body = "\0"
        with pytest.raises(ValueError, match="XML"):
            await client.post(message)
        assert client.posted == ()


async def test_messages_of_an_earlier_process_leave_after_the_services_and_not_before_the_body(
    autojump_clock, road, inbox
):
    store = MemoryStore()
    async with road.connect(store=store) as client:
        road.blocked = True
        await road.server.crash()
        await settle()
        await client.post(chat("from before"))
        await client.suspend()
    road.blocked = False
    await road.server.restart()
    seen: list[str] = []

    @asynccontextmanager
    async def slow_service(client):
        async def prepare(session):
            await trio.sleep(5)
            with trio.move_on_after(1):
                seen.append((await anext(inbox)).body)

        async with client.each_session(Step.PRESENCE, prepare):
            yield

    async with road.connect(store=store, services=[slow_service]) as client:
        assert [posted.stanza.body for posted in client.posted] == ["from before"]
        assert seen == []
        await reads(inbox, "from before")
