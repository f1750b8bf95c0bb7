"""Conversations over the wire of the embedded server."""

from __future__ import annotations

import enum
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.services import connect
from trioxmpp import JID, MemoryStore, Message, MessageType, Presence, StanzaDropped, XMPPCancelError
from trioxmpp.client import Client, Stage
from trioxmpp.im.conversation import (
    Conversations,
    Corrected,
    Delivery,
    Line,
    Reacted,
    Receipts,
    Retracted,
    Said,
    TalkEvent,
    Typing,
    open_conversations,
    open_room_conversation,
)
from trioxmpp.im.provenance import Account
from trioxmpp.protocol.elements import chat_states, hints, markers, receipts
from trioxmpp.protocol.elements.correction import Replace
from trioxmpp.protocol.elements.fallback import Fallback
from trioxmpp.protocol.elements.stanza_ids import OriginId
from trioxmpp.testing import Dialect, open_server
from trioxmpp.xep.muc import open_room

ROMEO, JULIET = "romeo@example.test", "juliet@example.test"


class Source(enum.Enum):
    LIVE = "live"
    CARBON_RECEIVED = "carbon"


@dataclass(frozen=True)
class Noted:
    message: Message
    peer: JID
    sender: Any
    by_us: bool
    sent: datetime
    archive_id: str | None = None
    caught_up: bool = True
    encryption: Any = None
    source: enum.Enum = Source.LIVE


class Feed:
    """The entries of what arrives live, as a timeline would give them, and of what a test adds."""

    def __init__(self, client: Client) -> None:
        self._send, self._receive = trio.open_memory_channel[Noted](math.inf)
        self.client = client

    def take(self, message: Message) -> Message:
        if message.type is not MessageType.GROUPCHAT:
            sender = (message.from_ or self.client.jid).bare
            self.add(Noted(message, sender, Account(sender), sender == self.client.jid.bare, datetime.now(UTC)))
        return message

    def add(self, entry: Noted) -> None:
        self._send.send_nowait(entry)

    def __aiter__(self) -> AsyncIterator[Noted]:
        return aiter(self._receive)


class Side:
    """One side of a conversation: its client, its conversations, and what it was told."""

    def __init__(self, client: Client, talks: Conversations, peer: str, feed: Feed) -> None:
        self.client, self.talks, self.talk, self.feed = client, talks, talks[peer], feed
        self.events: list[TalkEvent] = []
        self.stanzas: list[Message] = []
        self.talk.on_event.connect(self.events.append)
        client.on_message.connect(self.stanzas.append)

    @property
    def texts(self) -> list[str | None]:
        return [line.text for line in self.talk.lines]

    def kinds(self) -> list[type]:
        kinds = [type(event) for event in self.events if not _is_active(event)]
        self.events.clear()
        return kinds


def _is_active(event: TalkEvent) -> bool:
    """Whether this only says what each message says: that its sender is there."""
    return isinstance(event, Typing) and isinstance(event.state, chat_states.Active)


@asynccontextmanager
async def side(server, name: str, peer: str, *, client: Any = None, **options: Any) -> AsyncIterator[Side]:
    async with connect(server, name, **(client or {})) as own:
        feed = Feed(own)
        await own.send(Presence())
        with own.at_stage(Stage.TIMELINE, message=feed.take):
            options = {"receipts": Receipts.ALWAYS, **options}
            async with open_conversations(own, feed, **options) as talks:
                yield Side(own, talks, peer, feed)


@asynccontextmanager
async def both(**options: Any):
    async with (
        open_server(accounts={"romeo": "secret", "juliet": "secret"}, rooms=True) as server,
        side(server, "romeo", JULIET, **options) as romeo,
        side(server, "juliet", ROMEO) as juliet,
    ):
        yield romeo, juliet


async def settle(seconds: float = 0.01) -> None:
    await trio.testing.wait_all_tasks_blocked(seconds)


@pytest.mark.item("D6.2")
async def test_a_message_is_said_received_and_displayed(autojump_clock):
    async with both() as (romeo, juliet):
        line = await romeo.talk.say("Art thou not Romeo?")
        assert (await romeo.talk.wait_received(line)).delivery is Delivery.RECEIVED
        (heard,) = juliet.talk.lines
        assert (heard.text, heard.by_us, heard.sender) == ("Art thou not Romeo?", False, Account(JID.parse(ROMEO)))
        await juliet.talk.displayed(heard)
        await settle()
        assert romeo.talk.lines[0].delivery is Delivery.DISPLAYED
        await juliet.talk.displayed(romeo.talk.lines[0])  # of our own side: nothing is to be said


@pytest.mark.item("D11a.3")
@pytest.mark.item("D6.12")
async def test_an_element_that_stands_alone_has_a_hint(autojump_clock):
    async with both() as (romeo, juliet):
        await juliet.talk.say("hi")
        await settle()
        (heard,) = romeo.talk.lines
        await romeo.talk.displayed(heard)
        await romeo.talk.react(heard, {"👍"})
        await romeo.talk.retract(await romeo.talk.say("oops"))
        await romeo.talk.set_state(chat_states.Inactive())
        await settle()
        alone = [message for message in juliet.stanzas if message.body is None or message.get(Fallback) is not None]
        assert len(alone) == 5  # receipt, marker, reaction, retraction, state
        for message in alone:
            state = message.get(chat_states.Inactive) is not None
            assert (message.get(hints.NoStore) is not None) is state, message
            assert (message.get(hints.Store) is not None) is not state, message
        assert any(message.get(receipts.Received) is not None for message in alone)


@pytest.mark.item("D5.21")
@pytest.mark.item("D6.1")
async def test_a_receipt_is_answered_only_where_one_is_due(autojump_clock):
    peer = JID.parse(JULIET)

    def asked(**more: Any) -> Noted:
        body = more.pop("body", "hi")
        message = Message(
            from_=f"{JULIET}/b", type=more.pop("type", MessageType.CHAT), body=body, id=more.pop("id", "1")
        )
        message.payloads += [receipts.Request(), *more.pop("payloads", ())]
        return Noted(message, peer, **{"sender": Account(peer), "by_us": False, "sent": datetime.now(UTC), **more})

    refused = {
        "of what was missed": asked(caught_up=False),
        "of a copy": asked(source=Source.CARBON_RECEIVED),
        "of our own": asked(by_us=True),
        "of an error": asked(type=MessageType.NORMAL, payloads=[receipts.Received(id="x")]),
        "without a body": asked(body=None),
        "without an id": asked(id=None),
        "of an occupant": asked(sender=trioxmpp.im.provenance.Occupant(peer, "nick")),
        "of a room": asked(type=MessageType.GROUPCHAT),
    }
    async with both() as (romeo, juliet):
        for what, entry in refused.items():
            romeo.feed.add(entry)
            await settle()
            assert juliet.stanzas == [], what
        romeo.feed.add(asked(id="yes"))
        await settle()
        (receipt,) = juliet.stanzas
        assert receipt.get(receipts.Received) == receipts.Received(id="yes")
        assert [type(each) for each in (receipt.get(receipts.Received), receipt.get(hints.Store))] == [
            receipts.Received, hints.Store,
        ]  # fmt: skip
        assert len(receipt.payloads) == 2


@pytest.mark.item("D6.1")
async def test_only_contacts_that_see_us_get_receipts_unless_the_application_says_more(autojump_clock):
    for options, expected in (
        ({"receipts": Receipts.CONTACTS}, Delivery.SENT),
        ({"receipts": Receipts.CONTACTS, "sees_us": lambda jid: jid == JID.parse(JULIET)}, Delivery.RECEIVED),
        ({"receipts": Receipts.CONTACTS, "sees_us": lambda jid: jid != JID.parse(JULIET)}, Delivery.SENT),
        ({"receipts": Receipts.NEVER}, Delivery.SENT),
    ):
        async with both(**options) as (_romeo, juliet):
            await juliet.talk.say("hi")
            await settle()
            assert juliet.talk.lines[0].delivery is expected


@pytest.mark.item("D6.3")
async def test_a_message_that_fails_tells_why(autojump_clock):
    async with both() as (romeo, _):
        talk = romeo.talks["nobody@example.test"]
        line = await talk.say("hello?")
        with pytest.raises(XMPPCancelError):
            await talk.wait_received(line)
        assert talk.lines[0].delivery is Delivery.FAILED


@pytest.mark.item("D6.3")
async def test_a_message_that_cannot_be_sent_is_a_line_that_has_failed(autojump_clock):
    async with both() as (romeo, _):
        with pytest.raises(ValueError, match="body"):
            await romeo.talk.say("\0")
        assert romeo.talk.lines == ()

        def refuse(message: Message) -> None:
            return None

        with romeo.client.stream.app_outbound_message_filter.context_register(refuse), pytest.raises(StanzaDropped):
            await romeo.talk.say("dropped")
        (line,) = romeo.talk.lines
        assert line.delivery is Delivery.FAILED
        with pytest.raises(StanzaDropped):
            await romeo.talk.wait_received(line)


@pytest.mark.item("D6.2")
async def test_a_receipt_that_comes_before_the_sending_task_runs_again_counts(autojump_clock):
    async with both() as (romeo, _):
        seen: list[Delivery | None] = []

        def receipt(message: Message) -> Message:
            sender = JID.parse(JULIET)
            answer = Message(from_=sender, type=MessageType.CHAT, payloads=[receipts.Received(id=message.id or "")])
            romeo.talks.apply(Noted(answer, sender, Account(sender), False, datetime.now(UTC)))
            seen.append(romeo.talk.lines[0].delivery)
            return message

        with romeo.client.stream.app_outbound_message_filter.context_register(receipt):
            line = await romeo.talk.say("hi")
        assert seen == [Delivery.RECEIVED]
        assert line.delivery is Delivery.RECEIVED


@pytest.mark.item("B2.23")
@pytest.mark.item("D6.7")
async def test_corrections_name_the_first_message(autojump_clock):
    async with both() as (romeo, juliet):
        line = await romeo.talk.say("Romeoo")
        for text in ("Romeo?", "Romeo!"):
            line = await romeo.talk.correct(line, text)
            assert (line.text, line.corrected) == (text, 1 if text == "Romeo?" else 2)
        await settle()
        assert juliet.texts == ["Romeo!"]
        assert juliet.kinds() == [Said, Corrected, Corrected]
        replaced = [message.get(Replace) for message in juliet.stanzas]
        first = juliet.stanzas[0].id
        assert [each.id for each in replaced if each is not None] == [first, first]
        with pytest.raises(ValueError, match="author"):
            await juliet.talk.correct(juliet.talk.lines[0], "no")


@pytest.mark.item("D6.8")
async def test_a_retraction_reaches_the_other_side(autojump_clock):
    async with both() as (romeo, juliet):
        line = await romeo.talk.retract(await romeo.talk.say("oops"))
        await settle()
        for talk in (romeo.talk, juliet.talk):
            assert [(each.text, each.retracted) for each in talk.lines] == [(None, True)]
        assert line.retracted
        assert juliet.kinds() == [Said, Retracted]
        with pytest.raises(ValueError, match="author"):
            await juliet.talk.retract(juliet.talk.lines[0])


@pytest.mark.item("D6.9")
async def test_reactions_reach_the_other_side(autojump_clock):
    async with both() as (romeo, juliet):
        line = await romeo.talk.say("hi")
        await settle()
        for chosen in ({"👍", "🎉"}, {"❤"}, ()):
            await juliet.talk.react(juliet.talk.lines[0], chosen)
            await settle()
            reactions = romeo.talk.line(line.id).reactions
            assert [{*each} for each in reactions.values()] == ([{*chosen}] if chosen else [])
        assert [kind for kind in romeo.kinds() if kind is Reacted] == [Reacted] * 3
        with pytest.raises(ValueError, match="at most"):
            await juliet.talk.react(juliet.talk.lines[0], "abcdefg")


@pytest.mark.item("D6.10")
async def test_a_reply_quotes_for_those_who_know_no_replies(autojump_clock):
    async with both() as (romeo, juliet):
        await romeo.talk.say("Grüße 👩‍🚀\nzwei Zeilen", thread="t")
        await settle()
        answer = await juliet.talk.say("Danke", reply_to=juliet.talk.lines[0])
        await settle()
        assert answer.text == "Danke"
        (heard,) = romeo.talk.lines[1:]
        assert (heard.text, heard.reply_to, heard.thread) == ("Danke", romeo.talk.lines[0].id, "t")
        assert romeo.stanzas[-1].body == "> Grüße 👩‍🚀\n> zwei Zeilen\nDanke"


@pytest.mark.item("D6.6")
async def test_typing_is_told_to_peers_that_know_chat_states(autojump_clock):
    async with both() as (romeo, juliet):
        async with romeo.talk.typing():
            await trio.sleep(100)
        await settle()
        assert juliet.stanzas == [], "juliet has never sent a chat state"
        await juliet.talk.say("hi")  # it is active, too
        await settle()
        juliet.events.clear()
        async with romeo.talk.typing() as composition:
            await trio.sleep(29)
            composition.key_pressed()
            await trio.sleep(29)
            assert juliet.kinds() == [Typing]
            await trio.sleep(2)
            composition.key_pressed()
            await trio.sleep(1)
        await settle()
        states = [type(event.state) for event in juliet.events]
        assert states == [chat_states.Paused, chat_states.Composing, chat_states.Paused]
        juliet.events.clear()
        async with romeo.talk.typing():
            await romeo.talk.say("done")
        await settle()
        assert [type(e.state) for e in juliet.events if isinstance(e, Typing)] == [
            chat_states.Composing, chat_states.Active,
        ]  # fmt: skip


@pytest.mark.item("B2.23")
@pytest.mark.item("D6.6")
async def test_the_chat_state_of_another_is_forgotten_after_a_minute(autojump_clock):
    async with both() as (romeo, juliet):
        await romeo.client.send(
            Message(to=juliet.client.jid, type=MessageType.CHAT, payloads=[chat_states.Composing()])
        )
        await trio.sleep(59)
        assert juliet.kinds() == [Typing]
        assert juliet.talk.book.states
        await trio.sleep(2)
        (event,) = juliet.events
        assert event == Typing(Account(JID.parse(ROMEO)), None)
        assert not juliet.talk.book.states


@pytest.mark.item("D6.6")
async def test_an_invisible_side_tells_no_chat_state(autojump_clock):
    async with both(visible=lambda: False) as (romeo, juliet):
        await juliet.talk.say("hi")
        await romeo.talk.say("hi")
        async with romeo.talk.typing():
            await trio.sleep(60)
        await romeo.talk.set_state(chat_states.Gone())
        await settle()
        assert not [e for e in juliet.events if isinstance(e, Typing)]
        assert [m for m in juliet.stanzas if m.get(chat_states.Active) is not None] == []


async def test_a_message_is_durable_if_there_is_a_store(autojump_clock):
    async with (
        open_server(accounts={"romeo": "secret", "juliet": "secret"}) as server,
        side(server, "romeo", JULIET, client={"store": MemoryStore()}) as romeo,
    ):
        await server.crash()
        line = await romeo.talk.say("later")
        (posted,) = romeo.client.posted
        assert posted.stanza.id == line.message.id
        assert line.message.get(OriginId) == OriginId(id=line.message.id or "")
        await server.restart()
        await posted
        assert romeo.client.posted == ()


@pytest.mark.item("D6.5")
async def test_a_room_has_the_same_words(autojump_clock):
    for dialect in (Dialect.PROSODY_13, Dialect.EJABBERD_26):
        accounts = {"romeo": "secret", "juliet": "secret"}
        async with (
            open_server(accounts=accounts, rooms=True, archive=True, dialect=dialect) as server,
            connect(server, "romeo") as romeo,
            connect(server, "juliet") as juliet,
            open_room(romeo, "hall@conference.example.test", "Romeo", create=True) as his_room,
            open_room_conversation(his_room) as his,
            open_room(juliet, "hall@conference.example.test", "Juliet") as her_room,
            open_room_conversation(her_room, markers=True) as hers,
        ):
            line = await his.say("hi all")
            await settle()
            assert [each.text for each in hers.lines] == ["hi all"]
            assert hers.lines[0].id == line.id == his.lines[0].id
            await hers.react(hers.lines[0], {"👍"})
            await hers.say("hello", reply_to=hers.lines[0])
            await his.correct(line, "hi everybody")
            await settle()
            for talk in (his, hers):
                assert [each.text for each in talk.lines] == ["hi everybody", "hello"], dialect.name
                assert [*talk.lines[0].reactions.values()] == [("👍",)]
                assert talk.lines[1].reply_to == line.id
            await his.retract(his.lines[0])
            await settle()
            assert [each.retracted for each in hers.lines] == [True, False]
            assert receipts.Request() not in [line.message.get(receipts.Request) for line in hers.lines]
            assert hers.lines[1].message.get(markers.Markable) is not None


async def test_a_conversation_in_a_room_begins_with_the_history_of_the_room(autojump_clock):
    address = "hall@conference.example.test"
    async with (
        open_server(accounts={"romeo": "secret", "juliet": "secret"}, rooms=True) as server,
        connect(server, "romeo") as romeo,
        connect(server, "juliet") as juliet,
        open_room(romeo, address, "Romeo", create=True) as room,
        open_room_conversation(room) as his,
    ):
        line = await his.say("before")
        async with open_room(juliet, address, "Juliet", history=10) as hers, open_room_conversation(hers) as talk:
            assert [(each.text, each.sender.nick, each.id) for each in talk.lines] == [("before", "Romeo", line.id)]
            async with talk.events() as events:
                await talk.say("now")
                assert isinstance(event := await anext(events), Said)
                assert event.line.text == "now"
            assert [each.text for each in talk.lines] == ["before", "now"]


async def test_events_of_all_conversations_come_with_their_conversation(autojump_clock):
    async with both() as (romeo, juliet), juliet.talks.events() as events:
        await romeo.talk.say("from Romeo")
        stranger = JID.parse("tybalt@example.test")
        message = Message(from_=stranger, type=MessageType.CHAT, body="from a stranger")
        await settle()
        juliet.feed.add(Noted(message, stranger, Account(stranger), False, datetime.now(UTC)))
        await juliet.talk.say("mine")
        await settle()
        told = [(str(talk.peer), event.line.text) for talk, event in events.take_all() if isinstance(event, Said)]
        assert sorted(told) == sorted(
            [(ROMEO, "from Romeo"), ("tybalt@example.test", "from a stranger"), (ROMEO, "mine")]
        )
        assert juliet.talks[ROMEO] is juliet.talk


async def test_conversations_are_bounded(autojump_clock):
    async with both(limit=10) as (romeo, _):
        for number in range(100):
            peer = JID.parse(f"stranger{number}@example.test")
            message = Message(from_=peer, type=MessageType.CHAT, body="hi")
            romeo.feed.add(Noted(message, peer, Account(peer), False, datetime.now(UTC)))
        await settle()
        assert [str(talk.peer) for talk in romeo.talks] == [f"stranger{n}@example.test" for n in range(90, 100)]


def test_a_line_shows_no_text_that_would_fill_a_log():
    line = Line("1", Message(body="x" * 10), Account(JID.parse(ROMEO)), True, datetime.now(UTC), "x")
    assert "Message" not in repr(line)
