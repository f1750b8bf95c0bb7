"""A process that is killed, or suspended, and another that goes on: on every kind of server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.killing import chaos
from trioxmpp import FileStore, Message, MessageType


@pytest.mark.parametrize("kills", [3])
async def test_a_bot_that_is_killed_loses_nothing_and_does_nothing_twice(venue, tmp_path: Path, kills: int):
    if venue.name == "embedded":
        pytest.skip("the bot is a process of its own, and needs a server that is one, too")
    outcome = await chaos(venue.server, tmp_path, count=200, kills=kills, pause=0.005)
    assert outcome.bot_got == outcome.peer_got == [str(number) for number in range(200)]
    assert outcome.finished
    assert outcome.starts == ["new", *["resumed"] * kills]


async def test_a_suspended_session_goes_on_with_what_came_meanwhile(venue, tmp_path: Path):
    user, store = venue.guest(), FileStore(tmp_path / "session")
    async with venue.person() as ben:
        async with venue.connect(user, store=store) as client:
            jid = client.jid
            client.enqueue(Message(to=ben.client.jid, type=MessageType.CHAT, body="before"))
            await client.suspend()
        await ben.client.send(Message(to=jid, type=MessageType.CHAT, body="meanwhile"))
        async with venue.connect(user, store=store) as client:
            assert client.restored is not None
            assert client.restored.resumed
            assert client.jid == jid
            async with client.messages.subscribe(MessageType.CHAT, ack="manual") as inbox:
                message = await anext(inbox)
                assert message.body == "meanwhile"
                await client.post(message.reply(body="after"))
                await client.drain()
        await ben.reads("before", "after")
    ticket = await store.load()
    await store.aclose()
    assert ticket is not None
    assert not ticket.has_session


async def test_a_session_that_the_server_has_given_up_is_replaced(open_venue, tmp_path: Path):
    store = FileStore(tmp_path / "session")
    async with open_venue(sm_timeout=1) as venue, venue.person() as ben:
        user = venue.guest()
        async with venue.relay() as relay, venue.connect(user, store=store, endpoint=relay.endpoint) as client:
            relay.black_hole("in")
            posted = await client.post(Message(to=ben.client.jid, type=MessageType.CHAT, body="durable"))
            client.enqueue(Message(to=ben.client.jid, type=MessageType.CHAT, body="not durable"))
            await client.suspend()
        await venue.gives_up_a_session()
        async with venue.connect(user, store=store) as client:
            assert client.restored is not None
            assert not client.restored.resumed
            (again,) = client.posted
            assert again.stanza.id == posted.stanza.id
            await again
        await ben.reads("durable")
