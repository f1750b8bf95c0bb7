"""A session is lost, and its fate is unknown: the client asks the archive, on every kind of server."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import trio

from trioxmpp import DurableMessage, Established, FileStore, MemoryStore, Message, MessageType


@pytest.fixture
async def venue(open_venue) -> AsyncIterator[Any]:
    async with open_venue(archive=True) as venue:
        yield venue


def chat(to: Any, body: object) -> Message:
    return Message(to=to, type=MessageType.CHAT, body=str(body))


def forgotten(store: MemoryStore) -> MemoryStore:
    """The content of the store with another name of the session: the server does not know it, and tells no count."""
    assert store.ticket is not None
    assert store.ticket.id is not None
    return MemoryStore(replace(store.ticket, id=f"not-{store.ticket.id}"))


async def all_arrive(posted: tuple[DurableMessage, ...]) -> None:
    with trio.fail_after(20):
        for each in posted:
            await each
    assert all(each.delivered for each in posted)


@pytest.mark.parametrize("had", [0, 1, 3])
async def test_nothing_is_doubled_and_nothing_lost(venue, had: int):
    """The link is cut after the server has taken some messages, and before it could acknowledge any."""
    user, store = venue.guest(), MemoryStore()
    async with venue.person() as ben:
        async with venue.relay() as relay, venue.connect(user, store=store, endpoint=relay.endpoint) as client:
            relay.black_hole("out")
            for number in range(had):
                await client.post(chat(ben.client.jid, number))
            await ben.reads(*(str(number) for number in range(had)))
            relay.black_hole("both")
            for number in range(had, 3):
                await client.post(chat(ben.client.jid, number))
            await trio.sleep(0.1)
            await client.suspend()
        async with venue.connect(user, store=forgotten(store)) as client:
            assert client.restored is not None
            assert not client.restored.resumed
            assert len(client.posted) == 3
            last = await client.post(chat(ben.client.jid, "behind them"))
            await all_arrive(client.posted)
            assert last.delivered
        await ben.reads("0", "1", "2", "behind them")


async def test_the_server_crashes(venue, tmp_path):
    """Its sessions are gone, and the archive is there when it is back."""
    user, store = venue.guest(), FileStore(tmp_path / "session")
    async with (
        venue.person() as ben,
        venue.relay() as relay,
        venue.connect(user, store=store, endpoint=relay.endpoint) as client,
        client.events() as events,
    ):
        relay.black_hole("out")
        first = await client.post(chat(ben.client.jid, "first"))
        await ben.reads("first")
        relay.black_hole("both")
        second = await client.post(chat(ben.client.jid, "second"))
        await trio.sleep(2 if venue.name == "ejabberd" else 0.1)  # its database writes to the disk now and then
        await venue.server.restart()
        # Otherwise Ben might not be there to read it.
        await ben.until(lambda: any(isinstance(event, Established) for event in ben.events))
        relay.reset()
        with trio.fail_after(20):
            while not isinstance(await anext(events), Established):
                pass
        await all_arrive((first, second))
        await ben.until(lambda: "second" in ben.got)
        assert ben.got == ["first", "second"]


async def test_wherever_the_link_is_cut(venue):
    """Again and again, and no session is resumed. Ben looks at no ids: a message that comes twice is read twice."""
    user, store, chance = venue.guest(), MemoryStore(), random.Random(venue.name)
    bodies = itertools.count()
    async with venue.person() as ben:
        for _ in range(12):
            async with venue.relay() as relay, venue.connect(user, store=store, endpoint=relay.endpoint) as client:
                relay.blocked = True
                if chance.random() < 0.5:
                    relay.black_hole("out")
                relay.reset(after=chance.randrange(1, 4000))
                for body in itertools.islice(bodies, 10):
                    await client.post(chat(ben.client.jid, body))
                await trio.sleep(chance.uniform(0, 0.05))
                await client.suspend()
            store = forgotten(store)
        async with venue.connect(user, store=store) as client:
            await all_arrive(client.posted)
        await ben.reads(*(str(body) for body in range(120)))


async def test_in_a_long_archive(venue):
    """The server has its own idea of the longest page."""
    user, store = venue.guest(), MemoryStore()
    count = 120
    async with venue.person() as ben:
        async with venue.relay() as relay, venue.connect(user, store=store, endpoint=relay.endpoint) as client:
            for number in range(count):
                client.enqueue(chat(ben.client.jid, number))
            await client.drain()
            relay.black_hole("out")
            await client.post(chat(ben.client.jid, "in doubt"))
            await ben.until(lambda: len(ben.got) == count + 1)
            relay.black_hole("both")
            await client.post(chat(ben.client.jid, "lost"))
            await client.suspend()
        async with venue.connect(user, store=forgotten(store)) as client:
            await all_arrive(client.posted)
        await ben.reads(*(str(number) for number in range(count)), "in doubt", "lost")


async def test_without_an_archive_it_is_twice_rather_than_never(open_venue):
    """On real servers it is there, but keeps nothing."""
    async with open_venue() as venue, venue.person() as ben:
        user, store = venue.guest(), MemoryStore()
        async with venue.relay() as relay, venue.connect(user, store=store, endpoint=relay.endpoint) as client:
            relay.black_hole("out")
            posted = await client.post(chat(ben.client.jid, "hello"))
            await ben.reads("hello")
            await client.suspend()
        async with venue.connect(user, store=forgotten(store)) as client:
            assert [again.stanza.id for again in client.posted] == [posted.stanza.id]
            await all_arrive(client.posted)
        await ben.reads("hello", "hello")
