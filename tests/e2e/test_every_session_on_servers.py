"""Settings of every session: carbons, and the inactive client state. Real servers bind in the old way here."""

from __future__ import annotations

import pytest
import trio

from trioxmpp import Client, Message, MessageType, Presence, Resumed, Suspended
from trioxmpp.xep.carbons import Direction, open_carbons

#: Keeps presence back in the inactive state. The embedded server takes note, and keeps nothing; Prosody lets all go
#: when something important follows, and takes its own <r/> behind each stanza for that.
PATIENT = "ejabberd"


async def test_copies_come_to_every_session_that_wants_them(venue):
    user = venue.guest()
    async with (
        venue.relay() as wire,
        venue.connect(user, "phone") as phone,
        venue.connect(user, "desk", endpoint=wire.endpoint) as desk,
        venue.connect() as juliet,
        open_carbons(desk) as copies,
        desk.events() as events,
    ):
        await phone.send(Presence())  # or they are not for it
        await desk.send(Presence())

        async def are_copied(question: str, answer: str) -> None:
            await juliet.send(Message(to=phone.jid, type=MessageType.CHAT, body=question))
            await phone.send(Message(to=juliet.jid, type=MessageType.CHAT, body=answer))
            with trio.fail_after(20):
                carbons = [await anext(copies) for _ in range(2)]
            told = {(carbon.direction, carbon.message.body) for carbon in carbons}
            assert told == {(Direction.RECEIVED, question), (Direction.SENT, answer)}

        await are_copied("Art thou not Romeo?", "Neither, fair saint.")
        wire.reset()
        with trio.fail_after(20):
            assert [type(await anext(events)) for _ in range(2)] == [Suspended, Resumed]
        await are_copied("How cam'st thou hither?", "With love's light wings.")


async def sees_nothing_for_a_while(client: Client, friend: Client) -> None:
    """Presence waits at the server until the client is active again."""
    async with client.presences.subscribe(from_=friend.jid) as inbox:
        await friend.send(Presence(to=client.jid))
        await friend.drain()
        with trio.move_on_after(0.5):
            pytest.fail(f"nobody is looking, but here is {await anext(inbox)!r}")
        client.set_active(True)
        with trio.fail_after(20):
            await anext(inbox)


async def test_the_client_is_inactive_on_every_link(venue):
    async with (
        venue.relay() as wire,
        venue.connect(endpoint=wire.endpoint) as romeo,
        venue.connect() as juliet,
        romeo.events() as events,
    ):
        await romeo.send(Presence())
        romeo.set_active(False)
        await romeo.send(Message(to=juliet.jid, type=MessageType.CHAT, body="I am no pilot"))
        if venue.name == PATIENT:
            await sees_nothing_for_a_while(romeo, juliet)
            romeo.set_active(False)
        wire.reset()
        with trio.fail_after(20):
            assert [type(await anext(events)) for _ in range(2)] == [Suspended, Resumed]
        await romeo.send(Message(to=juliet.jid, type=MessageType.CHAT, body="yet"))
        if venue.name == PATIENT:
            await sees_nothing_for_a_while(romeo, juliet)
        assert romeo.established
