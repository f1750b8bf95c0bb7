"""Private talks in rooms: with an occupant, and never with whichever occupant has a nick (XEP-0045 §7.5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.im.world import Disk, connect, settle
from tests.xep.muc.rooms import ROOM, forge, nicks, persistent, until
from trioxmpp import JID, Client, Presence, XMPPError
from trioxmpp.im.conversation import (
    Conversation,
    Conversations,
    Delivery,
    Ended,
    PeerBack,
    PeerLeft,
    PeerRenamed,
    Said,
    TalkEvent,
    Typing,
    open_conversations,
)
from trioxmpp.im.provenance import Occupant
from trioxmpp.im.timeline import open_timeline
from trioxmpp.protocol.elements import muc, receipts
from trioxmpp.testing import Dialect, open_server
from trioxmpp.xep.muc import Room, open_room


class Guest:
    """An occupant that talks: its room, its conversations, and what it was told."""

    def __init__(self, room: Room, talks: Conversations) -> None:
        self.room = room
        self.talks = talks
        self.told: list[tuple[Conversation, TalkEvent]] = []
        talks.on_event.connect(lambda talk, event: self.told.append((talk, event)))

    def heard(self, text: str) -> Conversation | None:
        """Return the conversation in which another has said this."""
        said = [talk for talk, event in self.told if isinstance(event, Said) and event.line.text == text]
        return said[-1] if said else None

    def kinds(self, talk: Conversation) -> list[type]:
        peer = (PeerLeft, PeerBack, PeerRenamed, Ended)
        return [type(event) for each, event in self.told if each is talk and isinstance(event, peer)]


@asynccontextmanager
async def guest(client: Client, room: str, nick: str, **options: Any) -> AsyncIterator[Guest]:
    rooms: dict[JID, Room] = {}
    await client.send(Presence())
    async with (
        open_timeline(client, rooms=rooms) as timeline,
        open_conversations(client, timeline, rooms=rooms) as talks,
        open_room(client, room, nick, **options) as entered,
    ):
        rooms[entered.jid] = entered
        yield Guest(entered, talks)


@asynccontextmanager
async def two_guests(bench: Bench) -> AsyncIterator[tuple[Guest, Guest]]:
    room = bench.room()
    async with (
        guest(bench.clients[0], room, "romeo", create=persistent) as romeo,
        guest(bench.clients[1], room, "juliet") as juliet,
    ):
        await until(lambda: nicks(romeo.room) == {"romeo", "juliet"})
        yield romeo, juliet


@pytest.mark.item("D4.19", "D6.13")
@on_every_bench(accounts=2)
async def test_a_private_talk_has_the_words_of_all_others(bench: Bench) -> None:
    async with two_guests(bench) as (romeo, juliet):
        talk = romeo.talks[f"{romeo.room.jid}/juliet"]
        line = await talk.say("Dost thou lve me?")
        await until(lambda: juliet.heard("Dost thou lve me?") is not None)
        hers = juliet.talks[f"{juliet.room.jid}/romeo"]
        assert juliet.heard("Dost thou lve me?") is hers
        (heard,) = hers.lines
        assert heard.message.get(muc.Occupant) is not None
        assert heard.message.get(receipts.Request) is None
        assert isinstance(heard.sender, Occupant)
        assert heard.sender.nick == "romeo"
        assert heard.sender.stay is not None
        me = juliet.room.occupant("romeo")
        assert me is not None
        assert heard.sender.occupant_id == me.id
        await talk.correct(line, "Dost thou love me?")
        await until(lambda: hers.lines[0].text == "Dost thou love me?")
        await hers.displayed(hers.lines[0])
        await hers.react(hers.lines[0], {"❤"})
        await until(lambda: bool(talk.lines[0].reactions))
        assert talk.lines[0].delivery is Delivery.DISPLAYED
        await hers.say("Ay.", reply_to=hers.lines[0])
        await until(lambda: len(talk.lines) == 2)
        assert (talk.lines[1].text, talk.lines[1].reply_to) == ("Ay.", hers.lines[0].id)
        await talk.retract(talk.lines[0])
        await until(lambda: hers.lines[0].retracted)


@on_every_bench(accounts=2)
async def test_typing_is_told_to_the_occupant_under_its_present_nick(bench: Bench) -> None:
    def composing() -> list[bool]:
        return [event.is_composing for _, event in juliet.told if isinstance(event, Typing)]

    async with two_guests(bench) as (romeo, juliet):
        talk = romeo.talks[f"{romeo.room.jid}/juliet"]
        await talk.say("Dost thou love me?")
        await until(lambda: juliet.heard("Dost thou love me?") is not None)
        await juliet.talks[f"{juliet.room.jid}/romeo"].say("Ay.")  # which says that she understands chat states
        await until(lambda: len(talk.lines) == 2)
        juliet.told.clear()
        async with talk.typing():
            await until(lambda: composing() == [True])
        await until(lambda: composing() == [True, False])
        await juliet.room.change_nick("capulet")
        await until(lambda: nicks(romeo.room) == {"romeo", "capulet"})
        async with talk.typing():
            await until(lambda: composing() == [True, False, True])


@pytest.mark.item("D4.19", "D6.14")
@on_every_bench(accounts=3)
async def test_a_talk_follows_its_occupant_and_ends_when_another_has_the_nick(bench: Bench) -> None:
    async with two_guests(bench) as (romeo, juliet):
        address = romeo.room.jid.replace(resource="juliet")
        talk = romeo.talks[address]
        await talk.say("one")
        await until(lambda: juliet.heard("one") is not None)
        await juliet.room.change_nick("capulet")
        await until(lambda: romeo.kinds(talk) == [PeerRenamed])
        assert talk.peer == romeo.room.jid.replace(resource="capulet")
        assert romeo.talks[talk.peer] is talk
        await talk.say("two")
        await until(lambda: juliet.heard("two") is not None)
        async with guest(bench.clients[2], str(romeo.room.jid), "juliet") as nurse:
            await until(lambda: "juliet" in nicks(romeo.room))
            other = romeo.talks[address]
            assert other is not talk
            await other.say("for the nurse")
            await until(lambda: nurse.heard("for the nurse") is not None)
            assert juliet.heard("for the nurse") is None
            await nurse.talks[f"{romeo.room.jid}/romeo"].say("from the nurse")
            await until(lambda: romeo.heard("from the nurse") is other)
            assert [line.text for line in talk.lines] == ["one", "two"]
            await juliet.room.change_nick("lady")
            await nurse.room.change_nick("capulet")
            await until(lambda: romeo.kinds(other) == [PeerRenamed])
            assert romeo.talks[f"{romeo.room.jid}/capulet"] is other
            assert romeo.talks[f"{romeo.room.jid}/lady"] is talk


async def talk_with_juliet_who_leaves(romeo: Guest, client: Client) -> Conversation:
    """Have Juliet come, be spoken to, and leave again."""
    room = romeo.room.jid
    async with guest(client, str(room), "juliet"):
        await until(lambda: "juliet" in nicks(romeo.room))
        talk = romeo.talks[f"{room}/juliet"]
        await talk.say("one")
    await until(lambda: romeo.kinds(talk) == [PeerLeft])
    return talk


@pytest.mark.item("D4.19", "D6.14")
@on_every_bench(accounts=3)
async def test_messages_to_an_occupant_that_left_never_reach_the_next_one(bench: Bench) -> None:
    room = bench.room()
    async with guest(bench.clients[0], room, "romeo", create=persistent) as romeo:
        talk = await talk_with_juliet_who_leaves(romeo, bench.clients[1])
        with pytest.raises(XMPPError, match="left"):
            await talk.say("two")
        assert talk.lines[1].delivery is Delivery.FAILED
        async with guest(bench.clients[2], room, "juliet") as nurse:
            await until(lambda: romeo.kinds(talk)[-1] is Ended)
            for _ in range(2):
                with pytest.raises(XMPPError, match="another occupant"):
                    await talk.say("three")
            async with talk.typing():
                pass
            await romeo.talks[f"{room}/juliet"].say("four")
            await until(lambda: nurse.heard("four") is not None)
            assert [event.line.text for _, event in nurse.told if isinstance(event, Said)] == ["four"]


@on_every_bench(accounts=2)
async def test_an_account_that_comes_back_goes_on_where_the_room_gives_occupant_ids(bench: Bench) -> None:
    bench.has("occupant ids")
    room = bench.room()
    async with guest(bench.clients[0], room, "romeo", create=persistent) as romeo:
        talk = await talk_with_juliet_who_leaves(romeo, bench.clients[1])
        async with guest(bench.clients[1], room, "juliet") as juliet:
            await until(lambda: romeo.kinds(talk) == [PeerLeft, PeerBack])
            await talk.say("two")
            await until(lambda: juliet.heard("two") is not None)
            assert romeo.talks[f"{room}/juliet"] is talk


async def test_forged_ids_of_occupants_do_not_join_a_talk(autojump_clock: Any) -> None:
    """The room of this server does not announce ids: what an occupant claims is nothing."""
    accounts = dict.fromkeys(("romeo", "juliet", "nurse"), "secret")
    async with (
        open_server(accounts=accounts, rooms=True, archive=True, dialect=Dialect.PROSODY_0_12) as server,
        connect(server, "romeo@example.test/1") as his,
        connect(server, "juliet@example.test/1") as hers,
        guest(his, ROOM, "romeo", create=persistent) as romeo,
    ):
        async with open_room(hers, ROOM, "juliet"):
            await settle()
            before = romeo.room.occupant("juliet")
            assert before is not None
            talk = romeo.talks[f"{ROOM}/juliet"]
            await talk.say("one")
        async with connect(server, "nurse@example.test/1") as nurse, open_room(nurse, ROOM, "juliet"):
            await settle()
            id = f"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='{before.claimed_id or 'x'}'/>"
            text = f"<message xmlns='jabber:client' type='chat' id='f' from='{ROOM}/juliet' to='{his.jid}'>"
            mark = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
            forge(server, his, f"{text}<body>I am Juliet</body>{mark}{id if not before.id else ''}</message>")
            await settle()
            assert [line.text for line in talk.lines] == ["one"]
            assert romeo.heard("I am Juliet") not in (None, talk)


async def test_a_missed_message_goes_to_the_talk_of_its_author(autojump_clock: Any) -> None:
    """The archive of the account has private messages by nick; the id that the room gives tells the authors apart."""
    accounts = dict.fromkeys(("romeo", "juliet", "nurse"), "secret")
    disk = Disk()
    async with (
        open_server(accounts=accounts, rooms=True, archive=True, dialect=Dialect.EJABBERD_26) as server,
        connect(server, "juliet@example.test/1") as hers,
        connect(server, "nurse@example.test/1") as nurse,
        connect(server, "romeo@example.test/other") as other,
        open_room(other, ROOM, "romeo", create=persistent),
    ):
        async with connect(server, "romeo@example.test/1", store=disk) as his, guest(his, ROOM, "romeo"):
            await trio.sleep(5)
        for client, text in ((hers, "from Juliet"), (nurse, "from the nurse")):
            async with open_room(client, ROOM, "juliet") as room:
                occupant = room.occupant("romeo")
                assert occupant is not None
                await room.whisper(occupant, text)
                await settle()
        async with (
            open_room(hers, ROOM, "juliet"),
            connect(server, "romeo@example.test/1", store=disk) as his,
            open_room(his, ROOM, "romeo") as room,
            open_timeline(his, rooms={room.jid: room}) as timeline,
            open_conversations(his, timeline, rooms={room.jid: room}) as talks,
        ):
            romeo = Guest(room, talks)
            await trio.sleep(5)
            talk = romeo.talks[f"{ROOM}/juliet"]
            assert [line.text for line in talk.lines] == ["from Juliet"]
            assert romeo.heard("from the nurse") not in (None, talk)


async def test_talks_of_strangers_are_bounded(autojump_clock: Any) -> None:
    async with (
        open_server(accounts={"romeo": "secret"}, rooms=True, archive=True) as server,
        connect(server, "romeo@example.test/1") as his,
        guest(his, ROOM, "romeo", create=persistent) as romeo,
    ):
        mark = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
        for number in range(2_100):
            text = f"<message xmlns='jabber:client' type='chat' id='f' from='{ROOM}/n{number}' to='{his.jid}'>"
            forge(server, his, f"{text}<body>{number}</body>{mark}</message>")
            if not number % 100:
                await settle()
        await settle()
        assert romeo.heard("2099") is not None
        assert len(romeo.talks) <= 2_000
