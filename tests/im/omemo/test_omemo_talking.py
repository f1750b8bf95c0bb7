"""OMEMO between devices: what is said is read by each of them, and by no server."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio

from tests.bench import on_every_bench
from tests.im.omemo.devices import JULIET, ROMEO, chat, phone, serving, taking_part, until
from trioxmpp import Message, MessageType
from trioxmpp.im.conversation import Said, open_conversations, open_room_conversation
from trioxmpp.im.omemo import (
    Encrypted,
    NoDevices,
    Plain,
    RoomUnfit,
    Trust,
    Unreadable,
    open_encrypted_room,
)
from trioxmpp.protocol.elements import omemo as elements
from trioxmpp.protocol.elements.correction import Replace
from trioxmpp.protocol.elements.eme import Encryption
from trioxmpp.protocol.elements.hints import Store
from trioxmpp.protocol.elements.muc import Affiliation
from trioxmpp.xep.muc import RoomConfig, open_room, set_affiliation


@pytest.mark.item("D13.1")
@on_every_bench(accounts=2)
async def test_a_message_is_read_by_all_devices_of_both_sides(bench) -> None:
    romeo, juliet = bench.jid(0), bench.jid(1)
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(bench.connect(0, "desk"))
        a1 = await stack.enter_async_context(taking_part(bench.clients[0]))
        a2 = await stack.enter_async_context(taking_part(desk))
        b = await stack.enter_async_context(taking_part(bench.clients[1]))

        await a1.say("what light through yonder window breaks", juliet)
        await b.wait(1)
        await a2.wait(1)
        await b.say("ay me", romeo)
        await a1.wait(1)
        await a2.wait(2)
        await a2.say("she speaks", juliet)
        await b.wait(2)
        await a1.wait(2)

        spoken = "what light through yonder window breaks"
        assert b.heard == [(spoken, "Encrypted"), ("she speaks", "Encrypted")]
        assert a1.heard == [("ay me", "Encrypted"), ("she speaks", "Encrypted")]
        assert a2.heard == [(spoken, "Encrypted"), ("ay me", "Encrypted")]
        assert [entry.by_us for entry in a2.entries] == [True, False]
        first, second = (entry.encryption for entry in b.entries)
        assert isinstance(first, Encrypted)
        assert isinstance(second, Encrypted)
        assert first.device.id == a1.omemo.own.id
        assert first.device.fingerprint == a1.omemo.own.fingerprint
        assert second.device.id == a2.omemo.own.id
        assert first.punctual


@pytest.mark.item("D13.1")
@on_every_bench(accounts=3)
async def test_a_message_in_a_members_only_room_is_read_by_each_member(bench) -> None:
    jid = bench.room()

    def members_only(config: RoomConfig) -> None:
        config.set_values("muc#roomconfig_whois", ("anyone",))
        config.set_values("muc#roomconfig_membersonly", ("1",))

    async with AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(taking_part(client)) for client in bench.clients]
        one = await stack.enter_async_context(open_room(bench.clients[0], jid, "romeo", create=members_only))
        for number in (1, 2):
            await set_affiliation(bench.clients[0], jid, bench.jid(number), Affiliation.MEMBER)
        rooms = [one]
        for number in (1, 2):
            rooms.append(await stack.enter_async_context(open_room(bench.clients[number], jid, f"nick{number}")))
        secret = [
            await stack.enter_async_context(open_encrypted_room(each.omemo, room))
            for each, room in zip(phones, rooms, strict=True)
        ]
        talks = [await stack.enter_async_context(open_room_conversation(room)) for room in secret]

        line = await talks[0].say("peace, I hate the word")
        assert line.text == "peace, I hate the word"
        await talks[1].say("what ho")
        await until(lambda: all(len(talk.lines) == 2 for talk in talks))

        for talk in talks:
            assert [line.text for line in talk.lines] == ["peace, I hate the word", "what ho"]
            marks = [line.encryption for line in talk.lines]
            assert all(isinstance(mark, Encrypted) for mark in marks)
            assert [mark.device.id for mark in marks] == [phones[0].omemo.own.id, phones[1].omemo.own.id]
            assert all("what" not in str(line.message.get(elements.Encrypted)) for line in talk.lines)
        # A message that an occupant says without encryption is marked.
        await rooms[2].say("have at thee")
        await until(lambda: len(talks[0].lines) == 3)
        assert talks[0].lines[2].encryption == Plain()


async def test_a_room_that_hides_its_occupants_or_is_open_to_all_is_refused(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as one:
        jid = "square@conference.example.test"
        for whois, members, words in (("moderators", "1", "hides"), ("anyone", "0", "open to all")):

            def configure(config: RoomConfig, whois=whois, members=members) -> None:
                config.set_values("muc#roomconfig_whois", (whois,))
                config.set_values("muc#roomconfig_membersonly", (members,))

            async with open_room(one.client, jid, "romeo", create=configure) as room:
                with pytest.raises(RoomUnfit, match=words):
                    async with open_encrypted_room(one.omemo, room):
                        pass


async def test_a_member_without_devices_stops_the_room_or_is_left_out(autojump_clock: Any) -> None:
    def members_only(config: RoomConfig) -> None:
        config.set_values("muc#roomconfig_whois", ("anyone",))
        config.set_values("muc#roomconfig_membersonly", ("1",))

    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a") as a,
        phone(server, f"{JULIET}/b"),
        open_room(a.client, "vault@conference.example.test", "romeo", create=members_only) as room,
    ):
        for account in (JULIET, "tybalt@example.test"):
            await set_affiliation(a.client, room.jid, account, Affiliation.MEMBER)
        async with open_encrypted_room(a.omemo, room) as secret:
            with pytest.raises(NoDevices) as caught:
                await secret.say("to all")
            assert [str(jid) for jid in caught.value.jids] == ["tybalt@example.test"]
        async with open_encrypted_room(a.omemo, room, strict=False) as secret:
            entry = await secret.say("to those that can read")
            assert isinstance(entry.encryption, Encrypted)
            assert {str(jid) for jid in secret.left_out} == {"tybalt@example.test"}


async def test_a_message_that_leaves_the_client_shows_no_content_and_asks_to_be_archived(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        sealed = await a.say("the moon", JULIET, payloads=[Replace(id="other")])
        assert sealed.body is None
        assert [type(payload) for payload in sealed.payloads] == [elements.Encrypted, Encryption, Store]
        assert sealed.get(Encryption) == Encryption(namespace="urn:xmpp:omemo:2", name="OMEMO")
        await b.wait(1)
        message = b.entries[0].message
        assert message.body == "the moon"
        assert message.get(Replace) == Replace(id="other")


async def test_a_conversation_is_encrypted_and_its_lines_say_by_which_device(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", reads=False) as a,
        phone(server, f"{JULIET}/b") as b,
        open_conversations(a.client, a.omemo.read(a.timeline), seal=a.omemo.seal) as talks,
        talks[JULIET].events() as events,
    ):
        line = await talks[JULIET].say("lady, by yonder blessed moon")
        assert line.encryption is not None
        assert talks[JULIET].lines[0].encryption.device == a.omemo.own
        await b.wait(1)
        await b.say("o, swear not by the moon", ROMEO)
        await b.client.send(chat("in the clear", ROMEO))
        await trio.sleep(5)
        said = [event.line for event in events.take_all() if isinstance(event, Said)]
        assert [each.text for each in said[1:]] == ["o, swear not by the moon", "in the clear"]
        assert isinstance(said[1].encryption, Encrypted)
        assert said[1].encryption.device.id == b.omemo.own.id
        assert said[2].encryption == Plain()
        # A correction is encrypted as well.
        corrected = await talks[JULIET].correct(line, "lady, by the moon")
        await b.wait(2)
        assert b.texts[-1] == "lady, by the moon"
        assert isinstance(corrected.encryption, Encrypted)


async def test_a_conversation_that_is_not_to_be_encrypted_is_not(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", reads=False, encrypted=lambda peer: False) as a,
        phone(server, f"{JULIET}/b") as b,
        open_conversations(a.client, a.omemo.read(a.timeline), seal=a.omemo.seal) as talks,
    ):
        line = await talks[JULIET].say("in the clear")
        assert line.encryption is None
        await b.wait(1)
        assert b.entries[0].message.body == "in the clear"
        assert b.entries[0].encryption is None


async def test_a_message_that_cannot_be_read_is_a_line_without_a_text(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", reads=False) as a,
        phone(server, f"{JULIET}/b") as b,
        open_conversations(a.client, a.omemo.read(a.timeline), seal=a.omemo.seal) as talks,
    ):
        header = elements.Header(sid=b.omemo.own.id)
        strange = elements.Encrypted(header=header, payload=b"for another device")
        await b.client.send(Message(to=ROMEO, type=MessageType.CHAT, id="1", payloads=[strange]))
        await trio.sleep(5)
        (line,) = talks[JULIET].lines
        assert line.text is None
        assert isinstance(line.encryption, Unreadable)


async def test_one_message_can_be_encrypted_and_decrypted_without_a_timeline(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a") as a,
        phone(server, f"{JULIET}/b", reads=False) as b,
        b.client.messages.subscribe(MessageType.CHAT) as inbox,
    ):
        await a.say("alone", JULIET)
        message, mark = await b.omemo.decrypt(await inbox.receive())
        assert message.body == "alone"
        assert message.from_ == a.client.jid
        assert mark.device.trust is Trust.BLIND
