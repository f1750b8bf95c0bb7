"""Messages of unknown fate: the client asks the archive of the server before it sends them again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import trio

from tests.client.doubts import (
    ROMEO,
    TO,
    another_process,
    chat,
    field,
    juliet,
    loses_its_session,
    queries,
    reads,
    settle,
)
from trioxmpp import MemoryStore, Message, MessageType, xml


@pytest.fixture
async def inbox(road):
    async with juliet(road) as inbox:
        yield inbox


# --- what it is for


@pytest.mark.parametrize("had", range(4))
async def test_a_message_in_the_archive_is_not_sent_again_and_another_one_is(autojump_clock, road, inbox, had):
    store, ids = await loses_its_session(road, "0", "1", "2", had=had)
    async with another_process(road, store) as client:
        posted = client.posted
        assert [each.stanza.id for each in posted] == ids
        for each in posted:
            await each
        assert all(each.delivered for each in posted)
        assert client.posted == ()
        await client.send(chat("behind them"))
    await reads(inbox, "0", "1", "2", "behind them")
    assert not store.ticket.has_session


async def test_in_the_same_process(autojump_clock, road, inbox):
    async with road.connect(store=MemoryStore()) as client:
        road.session().link.black_hole("out")
        first = await client.post(chat("first"))
        await settle()
        road.session().link.black_hole("in")
        second = await client.post(chat("second"))
        await settle()
        road.server.expire(ROMEO)
        await first
        await second
    await reads(inbox, "first", "second")


async def test_a_known_fate_is_not_asked_for(autojump_clock, road, inbox):
    """The server says how many it had."""
    road.server.policy.resume_h_in_failed = True
    store, _ = await loses_its_session(road, "0", "1", had=1)
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, "0", "1")
    assert not queries(road.server)


async def test_without_an_archive_nothing_is_asked_and_all_is_sent_again(autojump_clock, road, inbox):
    road.server.policy.archive = False
    store, _ = await loses_its_session(road, "0", "1", had=1)
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, "0", "0", "1")
    assert not queries(road.server)


async def test_without_stream_management_the_store_may_not_know_what_was_sent(autojump_clock, road, inbox):
    """It was written, and the process dies before it can make a note of that."""
    road.server.policy.sm = False
    store = MemoryStore()
    async with road.connect(store=store) as old:
        await (await old.post(chat("0")))
        left = MemoryStore(store.ticket)
    assert len(left.ticket.stanzas) == 1
    async with another_process(road, left) as client:
        await client.drain()
    await reads(inbox, "0")


async def test_the_question_names_the_recipient_and_the_time(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", had=1)
    async with another_process(road, store) as client:
        await client.drain()
    (query,) = queries(road.server)
    assert field(query, "with") == "juliet@example.test"
    start = datetime.fromisoformat(field(query, "start"))
    assert timedelta(minutes=4) < datetime.now(UTC) - start < timedelta(minutes=7)


async def test_a_posted_message_carries_its_id_twice(autojump_clock, road, inbox):
    """A server may put an id of its own into the attribute."""
    async with road.connect(store=MemoryStore()) as client:
        posted = await client.post(chat("hello"))
        message = await anext(inbox)
    (origin,) = [payload for payload in message.payloads if payload.tag == "{urn:xmpp:sid:0}origin-id"]
    assert origin.get("id") == message.id == posted.stanza.id


async def test_a_message_is_found_by_its_origin_id_alone(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", had=1)
    (item,) = road.server.accounts["romeo"].archive.items
    item.stanza.set("id", "of the server's own")
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, "0")


@pytest.mark.parametrize(
    "other",
    [{"to": "nurse@example.test"}, {"body": "something else"}, {"id": "another", "origin": "another"}],
    ids=["recipient", "text", "id"],
)
async def test_a_message_with_only_something_in_common_is_another_one(autojump_clock, road, inbox, other):
    store, _ = await loses_its_session(road, "0", had=1)
    (item,) = road.server.accounts["romeo"].archive.items
    if "body" in other:
        item.stanza.find("{*}body").text = other["body"]
    if "to" in other:
        item.stanza.set("to", other["to"])
    if "id" in other:
        item.stanza.set("id", other["id"])
        item.stanza.find("{*}origin-id").set("id", other["origin"])
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, "0", "0")


async def test_a_message_that_another_user_wrote_under_our_id_is_not_ours(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", had=1)
    (item,) = road.server.accounts["romeo"].archive.items
    item.stanza.set("from", TO)
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, "0", "0")


# --- how it looks


async def test_it_looks_through_many_pages(autojump_clock, road, inbox):
    async with road.connect("romeo", endpoint=road.server.endpoint) as client:
        for number in range(120):
            client.enqueue(chat(number))
        await client.drain()
    store, _ = await loses_its_session(road, "in doubt", "lost", had=1)
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, *range(120), "in doubt", "lost")
    assert len(queries(road.server)) == 4  # three pages, and the newest one again for what was lost


async def test_it_does_not_look_for_ever(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "in doubt", had=1)
    archive = road.server.accounts["romeo"].archive
    (item,) = archive.items
    archive.items.clear()
    for number in range(5000):
        archive.items.append(replace(item, id=f"item-{number}", stanza=chat_element(number)))
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, "in doubt", "in doubt")
    assert len(queries(road.server)) == 21


def chat_element(body: object) -> xml.Element:
    return xml.fromstring(
        f"<message xmlns='jabber:client' from='{ROMEO}' to='{TO}' type='chat'><body>{body}</body></message>"
    )


async def test_clocks_may_differ_by_hours(autojump_clock, road, inbox):
    """To the server it is two hours earlier."""
    store, _ = await loses_its_session(road, "0", had=1)
    archive = road.server.accounts["romeo"].archive
    archive.items[0] = replace(archive.items[0], time=archive.items[0].time - timedelta(hours=2))
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, "0")


@pytest.mark.parametrize("sent", [0, 10**20], ids=["never", "at the end of time"])
async def test_a_clock_that_was_wrong_does_no_harm(autojump_clock, road, inbox, sent):
    store, _ = await loses_its_session(road, "0", had=1)
    (stored,) = store.ticket.stanzas
    store = MemoryStore(replace(store.ticket, stanzas=(replace(stored, sent=sent),)))
    async with another_process(road, store) as client:
        await client.drain()
    await reads(inbox, "0")


async def test_an_application_with_filters_of_its_own_does_no_harm(autojump_clock, road, inbox):
    """Their order may be anything that can be compared, but not with a number."""
    store, _ = await loses_its_session(road, "0", had=1)
    seen: list[Message] = []
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client:
        chain = client.stream.service_inbound_message_filter
        chain.register(lambda message: seen.append(message) or message, "a")
        await road.server.until(lambda: queries(road.server))
        chain.register(lambda message: seen.append(message) or message, "b")
        road.server.policy.archive = True
        road.server.forget(ROMEO)
        for posted in client.posted:
            await posted
    await reads(inbox, "0")
    assert not seen


async def test_messages_to_several_people_are_looked_for_at_once(autojump_clock, road, inbox):
    road.server.add_account("nurse", "secret")
    store = MemoryStore()
    async with road.connect(store=store) as client:
        road.session().link.black_hole("out")
        await client.post(chat("to juliet"))
        await client.post(Message(to="nurse@example.test", type=MessageType.CHAT, body="to the nurse"))
        await client.post(Message(type=MessageType.CHAT, body="to myself"))
        await settle()
        road.server.expire(ROMEO)
        for posted in client.posted:
            await posted
    await reads(inbox, "to juliet")
    assert len(road.server.accounts["nurse"].offline) == 1
    (query,) = queries(road.server)
    assert field(query, "with") is None


async def test_the_application_does_not_see_the_results(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", "1", had=1)
    async with another_process(road, store) as client, client.messages.subscribe() as messages:
        await client.drain()
        assert queries(road.server)
        assert len(messages) == 0


# --- while it is being asked


async def test_meanwhile_what_is_posted_waits_and_all_else_goes_on(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", "1", had=0)
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client:
        posted = await client.post(chat("2"))
        await client.send(chat("not durable"))
        assert not posted.settled
        await posted
    await reads(inbox, "not durable", "0", "1", "2")


async def test_an_archive_that_does_not_answer_is_waited_for_half_a_minute(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", had=1)
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client:
        before = trio.current_time()
        await client.drain()
        assert 29 < trio.current_time() - before < 35
    await reads(inbox, "0", "0")


async def test_the_time_without_a_link_does_not_count(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", had=1)
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client:
        await road.server.until(lambda: queries(road.server))
        road.blocked = True
        road.session().link.reset()
        await trio.sleep(100)
        road.blocked = False
        road.server.policy.archive = True
        client.reconnect_now()
        await client.drain()
        assert road.session().resumptions == 1
    await reads(inbox, "0")


async def test_if_the_session_is_lost_meanwhile_it_is_asked_in_the_next_one(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", "1", had=1)
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client:
        await road.server.until(lambda: queries(road.server))
        road.server.policy.archive = True
        road.server.forget(ROMEO)
        for posted in client.posted:
            await posted
    await reads(inbox, "0", "1")


async def test_if_the_question_ends_every_session_it_is_not_asked_for_ever(autojump_clock, road, inbox):
    store, _ = await loses_its_session(road, "0", had=1)
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client:

        async def end_them() -> None:
            asked = 0
            while True:
                await road.server.until(lambda: len(queries(road.server)) > asked)  # noqa: B023
                asked = len(queries(road.server))
                road.server.forget(ROMEO)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_them)
            for posted in client.posted:
                await posted
            nursery.cancel_scope.cancel()
    await reads(inbox, "0", "0")
    assert len(queries(road.server)) == 3


async def test_a_doubt_outlives_the_process_that_asks(autojump_clock, road, inbox):
    """It dies while it waits for the answer; the next one resumes its session, and asks again."""
    store, _ = await loses_its_session(road, "0", "1", had=1)
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client:
        await client.post(chat("2"))
        await client.send(chat("not durable"))
        await client.suspend()
    assert store.ticket.id is not None
    assert [stanza.doubtful for stanza in store.ticket.stanzas if stanza.durable] == [True, True, False]
    road.server.policy.archive = True
    async with another_process(road, store) as client:
        assert client.restored.resumed
        assert len(client.posted) == 3
        await client.send(chat("not durable either"))
        for posted in client.posted:
            await posted
    bodies = [(await anext(inbox)).body for _ in range(5)]
    assert [body for body in bodies if "durable" not in body] == ["0", "1", "2"]
    await reads(inbox)


@pytest.mark.parametrize("steps", range(0, 24, 3))
async def test_whenever_the_process_leaves_a_doubt_stays_one(autojump_clock, road, inbox, steps):
    store, _ = await loses_its_session(road, "0", "1", had=1)
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client:
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        before = trio.current_time()
        await client.suspend()
    assert trio.current_time() - before < 1
    assert [stanza.doubtful for stanza in store.ticket.stanzas if stanza.durable] == [True, True]
    road.server.policy.archive = True
    async with another_process(road, store) as client:
        assert client.restored.resumed
        for posted in client.posted:
            await posted
    await reads(inbox, "0", "1")


async def test_a_doubt_outlives_a_client_that_is_closed(autojump_clock, road, inbox):
    store, ids = await loses_its_session(road, "0", "1", had=1)
    road.server.policy.archive = "silent"
    async with road.connect(store=store, endpoint=road.server.endpoint, close_timeout=5) as client:
        first = client.posted[0]
    with pytest.raises(ConnectionError, match="the store keeps it"):
        await first
    road.server.policy.archive = True
    async with another_process(road, store) as client:
        assert [posted.stanza.id for posted in client.posted] == ids
        await client.drain()
    await reads(inbox, "0", "1")
