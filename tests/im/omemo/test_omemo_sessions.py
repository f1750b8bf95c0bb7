"""Sessions between two devices: kept over restarts, healed when a backup breaks one, untouched by old messages."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.lowlevel

from tests.im.omemo.devices import JULIET, ROMEO, Phone, chat, phone, serving, taking_part
from tests.im.world import Disk, connect, deliver
from trioxmpp import Message, MessageType, xml
from trioxmpp.im.omemo import (
    AlreadyDecrypted,
    KeyChanged,
    NoSession,
    OwnMessage,
    SessionReplaced,
    TooManyKeyExchanges,
    Unreadable,
    omemo_2,
)
from trioxmpp.protocol.elements import omemo as elements
from trioxmpp.xep.pubsub import fetch_item, publish


def keys_of(message: Message) -> list[elements.Key]:
    encrypted = message.get(elements.Encrypted)
    assert encrypted is not None
    return [key for keys in encrypted.header.keys for key in keys.keys]


def arrived(message: Message, sender: Any, to: str) -> Message:
    """A message as its recipient gets it."""
    copy = Message(to=to, from_=sender, type=message.type, id=message.id, payloads=message.payloads)
    return copy


@pytest.mark.item("D13.5", "B2.22")
async def test_a_message_that_an_archive_brings_again_is_already_decrypted_and_replaces_no_session(
    autojump_clock: Any,
) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        sent = [await a.omemo.encrypt(chat(str(number), JULIET)) for number in range(3)]
        for message in sent:
            await a.client.send(message)
        await b.wait(3)
        await b.say("back", ROMEO)
        await a.wait(1)
        sent += [await a.say(str(number), JULIET) for number in range(3, 6)]
        await b.wait(6)
        assert [keys_of(message)[0].kex for message in sent] == [True] * 3 + [False] * 3
        for message in (*sent, *reversed(sent)):
            with pytest.raises(AlreadyDecrypted):
                await b.omemo.decrypt(arrived(message, a.client.jid, JULIET))
        await trio.sleep(10)
        # The session is the same: no new one was begun, and what comes next is read.
        assert not any(isinstance(event, SessionReplaced) for event in (*a.events, *b.events))
        last = await a.say("after", JULIET)
        assert not keys_of(last)[0].kex
        await b.wait(7)
        assert b.texts[-1] == "after"


@pytest.mark.item("D13.5")
async def test_messages_of_an_archive_are_decrypted_once(autojump_clock: Any) -> None:
    async with serving() as server:
        disk = Disk()
        async with phone(server, f"{JULIET}/b", disk):
            pass
        async with phone(server, f"{ROMEO}/a") as a:
            for number in range(5):
                await a.say(str(number), JULIET)
            async with phone(server, f"{JULIET}/b", disk) as b:
                await b.wait(5)
                assert b.texts == ["0", "1", "2", "3", "4"]
                assert not any(entry.caught_up for entry in b.entries)
            async with phone(server, f"{JULIET}/b", disk) as b:
                await a.say("5", JULIET)
                await b.wait(1)
                assert b.heard == [("5", "Encrypted")]


@pytest.mark.item("D13.6")
async def test_sessions_that_history_began_are_answered_once_when_it_is_through(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a:
        disk = Disk()
        async with phone(server, f"{JULIET}/b", disk):
            pass
        for number in range(10):
            await a.say(str(number), JULIET)
        answers = []

        def note(message: Message) -> Message:
            encrypted = message.get(elements.Encrypted)
            if encrypted is not None and encrypted.payload is None:
                answers.append((str(message.to), [phone.caught_up for phone in phones]))
            return message

        phones: list[Phone] = []
        async with connect(server, f"{JULIET}/b", store=disk) as client:
            with client.stream.service_outbound_message_filter.context_register(note, 1):
                async with taking_part(client, reads=False) as b, trio.open_nursery() as nursery:
                    phones.append(b)
                    nursery.start_soon(b.read)
                    await b.wait(10)
                    await trio.sleep(60)
                    nursery.cancel_scope.cancel()
        assert answers == [(ROMEO, [1])]
        # With the answer the session is complete: no key exchange is sent any more.
        assert not keys_of(await a.say("10", JULIET))[0].kex


@pytest.mark.item("D13.6")
async def test_pre_keys_that_history_used_are_kept_until_it_is_through(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioxmpp.im.omemo.prekeys.KEPT", 0.0)
    async with serving() as server, phone(server, f"{ROMEO}/a") as a:
        disk = Disk()
        async with phone(server, f"{JULIET}/b", disk):
            pass
        await a.say("0", JULIET)
        async with phone(server, f"{JULIET}/b", disk, reads=False) as b:
            reading = b.omemo.read(b.timeline)
            assert (await anext(reading)).message.body == "0"
            await trio.sleep(30)
            assert "used urn:xmpp:omemo:2" in disk.notes["omemo"]
            with trio.move_on_after(5):
                await anext(reading)  # history is through once the application asks for more
            await trio.sleep(5)
            assert "used urn:xmpp:omemo:2" not in disk.notes["omemo"]


@pytest.mark.item("D13.9", "B2.22")
async def test_a_restored_backup_is_healed_by_one_new_session(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a:
        disk = Disk()
        async with phone(server, f"{JULIET}/b", disk) as b:
            await a.say("0", JULIET)
            await b.wait(1)
            await b.say("0", ROMEO)
            await a.wait(1)
        backup = disk.copy()
        async with phone(server, f"{JULIET}/b", disk) as b:
            for number in range(3):
                await a.say(f"a{number}", JULIET)
                await b.wait(number + 1)
                await b.say(f"b{number}", ROMEO)
                await a.wait(number + 2)
        async with phone(server, f"{JULIET}/b", backup) as b:
            own = b.omemo.own.id
            before = len(b.entries)
            for number in range(3, 8):
                await a.say(f"a{number}", JULIET)
            await b.wait(before + 5)
            await trio.sleep(30)
            lost = [entry for entry in b.entries if isinstance(entry.encryption, Unreadable)]
            assert lost
            assert sum(isinstance(event, SessionReplaced) for event in b.events) == 1
            await a.say("healed", JULIET)
            await trio.sleep(5)
            assert (b.texts[-1], b.omemo.own.id) == ("healed", own)
            await b.say("both ways", ROMEO)
            await trio.sleep(5)
            assert a.texts[-1] == "both ways"


@pytest.mark.item("D13.9")
async def test_a_session_is_replaced_at_most_once_in_an_hour(autojump_clock: Any) -> None:
    for heal_every, replaced in ((3_600.0, 1), (0.0, 6)):
        async with (
            serving() as server,
            phone(server, f"{ROMEO}/a") as a,
            phone(server, f"{JULIET}/b", heal_every=heal_every) as b,
        ):
            sent = await a.say("0", JULIET)
            await b.wait(1)
            # Messages of a session that does not fit, as after a restored backup of the other side.
            for number in range(6):
                (key,) = keys_of(sent)
                broken = elements.Key(rid=key.rid, data=with_counter(key.data, 40 + number))
                encrypted = elements.Encrypted(
                    header=elements.Header(
                        sid=a.omemo.own.id, keys=(elements.Keys(jid=b.client.jid.bare, keys=(broken,)),)
                    ),
                    payload=b"x",
                )
                await a.client.send(Message(to=JULIET, type=MessageType.CHAT, id=f"x{number}", payloads=[encrypted]))
                await trio.sleep(20)
            errors = [entry.encryption.error for entry in b.entries[1:]]
            assert [type(error) for error in errors] == [NoSession] * 6
            assert sum(isinstance(event, SessionReplaced) for event in b.events) == replaced
            await a.say("still", JULIET)
            await b.say("well", ROMEO)
            await trio.sleep(5)
            assert (b.texts[-1], a.texts[-1]) == ("still", "well")


def with_counter(data: bytes, counter: int) -> bytes:
    """The key of a message, as if it were another message of its chain."""
    from twomemo.twomemo_pb2 import OMEMOAuthenticatedMessage, OMEMOKeyExchange, OMEMOMessage

    exchange = OMEMOKeyExchange.FromString(data)
    inner = OMEMOMessage.FromString(exchange.message.message)
    inner.n = counter
    changed: bytes = OMEMOAuthenticatedMessage(
        mac=exchange.message.mac, message=inner.SerializeToString()
    ).SerializeToString()
    return changed


async def test_two_devices_that_begin_at_the_same_time_lose_nothing(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a") as a,
        phone(server, f"{JULIET}/b") as b,
    ):
        await a.omemo.devices(JULIET)
        await b.omemo.devices(ROMEO)
        first, second = await a.omemo.encrypt(chat("from a", JULIET)), await b.omemo.encrypt(chat("from b", ROMEO))
        third = await a.omemo.encrypt(chat("more from a", JULIET))
        await a.client.send(first)
        await b.client.send(second)
        await a.client.send(third)
        await a.wait(1)
        await b.wait(2)
        for number in range(4):
            await a.say(f"a{number}", JULIET)
            await b.say(f"b{number}", ROMEO)
        await a.wait(5)
        assert a.heard == [(text, "Encrypted") for text in ("from b", "b0", "b1", "b2", "b3")]
        assert b.heard == [(text, "Encrypted") for text in ("from a", "more from a", "a0", "a1", "a2", "a3")]


async def test_a_long_chain_is_answered_once(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        await b.say("hello", ROMEO)
        await a.wait(1)
        for number in range(60):
            await a.say(str(number), JULIET)
        await b.wait(60)
        await trio.sleep(5)
        (device,) = a.omemo.known_devices(JULIET)
        assert device.unanswered < 10  # the answer came at about the 54th
        assert len(a.entries) == 1  # and says nothing to the application


@pytest.mark.item("D13.12")
async def test_more_than_twenty_key_exchanges_of_an_account_in_a_minute_are_refused(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{JULIET}/b") as b, phone(server, f"{ROMEO}/a", reads=False) as a:
        exchanges = []
        for _ in range(30):
            await a.omemo.forget(JULIET)
            exchanges.append(await a.omemo.encrypt(chat("new", JULIET)))
            assert keys_of(exchanges[-1])[0].kex
            await trio.lowlevel.checkpoint()
        outcomes = []
        for message in exchanges:
            try:
                opened, _ = await b.omemo.decrypt(arrived(message, a.client.jid, JULIET))
                outcomes.append(opened.body)
            except TooManyKeyExchanges:
                outcomes.append("refused")
        assert outcomes == ["new"] * 20 + ["refused"] * 10
        await trio.sleep(61)
        opened, _ = await b.omemo.decrypt(arrived(exchanges[-1], a.client.jid, JULIET))
        assert opened.body == "new"


async def test_a_device_that_comes_with_another_key_is_not_believed(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{JULIET}/b") as b, phone(server, f"{ROMEO}/a") as a:
        await a.say("one", JULIET)
        await b.wait(1)
        async with phone(server, "tybalt@example.test/x") as mallory:
            sealed = await mallory.omemo.encrypt(chat("I am romeo", JULIET))
            encrypted = sealed.get(elements.Encrypted)
            header = xml.replace(encrypted.header, sid=a.omemo.own.id)
            forged = Message(
                to=JULIET, from_=f"{ROMEO}/a", type=MessageType.CHAT, payloads=[xml.replace(encrypted, header=header)]
            )
            with pytest.raises(KeyChanged):
                await b.omemo.decrypt(forged)
            # The same in the node: its keys are not used.
            node, id = omemo_2.bundle_node(mallory.omemo.own.id)
            item = await fetch_item(mallory.client, node, id)
            await publish(a.client, node, item.payload, id=str(a.omemo.own.id))
        await b.say("still to romeo's own device", ROMEO)
        await a.wait(1)


async def test_a_message_of_this_device_comes_back_as_it_was(autojump_clock: Any) -> None:
    async with serving() as server:
        disk = Disk()
        async with phone(server, f"{ROMEO}/a", disk) as a, phone(server, f"{JULIET}/b"):
            sealed = await a.say("mine", JULIET, id="m1")
            text = sealed.serialise().replace("<message", f"<message xmlns='jabber:client' from='{ROMEO}/x'", 1)
            copy = (
                f"<message xmlns='jabber:client' from='{ROMEO}' to='{ROMEO}/a'><sent xmlns='urn:xmpp:carbons:2'>"
                f"<forwarded xmlns='urn:xmpp:forward:0'>{text}</forwarded></sent></message>"
            )
            deliver(server, copy, f"{ROMEO}/a")
            await a.wait(1)
            assert a.heard == [("mine", "Encrypted")]
        async with phone(server, f"{ROMEO}/a", disk) as a:
            deliver(server, copy.replace("'m1'", "'m2'"), f"{ROMEO}/a")
            await a.wait(1)
            assert isinstance(a.entries[-1].encryption.error, OwnMessage)
