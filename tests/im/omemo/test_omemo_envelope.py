"""The envelope of XEP-0420: what is in it, what stays outside, and which names in it have to fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio

from tests.failures import check_each
from tests.im.omemo.devices import JULIET, ROMEO, chat, phone, serving
from trioxmpp import JID, Message, MessageType, xml
from trioxmpp.im.omemo import BadEnvelope, Encrypted, Malformed, Unreadable, envelope
from trioxmpp.protocol.elements.correction import Replace
from trioxmpp.protocol.elements.delay import Delay
from trioxmpp.protocol.elements.hints import NoStore, Store
from trioxmpp.protocol.elements.muc import Occupant
from trioxmpp.protocol.elements.reactions import Reactions
from trioxmpp.protocol.elements.sce import Content, Envelope
from trioxmpp.protocol.elements.stanza_ids import OriginId, StanzaId

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
A, B, ROOM = JID.parse(ROMEO), JID.parse(JULIET), JID.parse("room@conference.example.test")


def packed(message: Message) -> Envelope:
    return envelope.read(envelope.pack(message, A, B, NOW))


@pytest.mark.item("D13.8")
def test_the_content_is_inside_and_the_elements_for_servers_are_outside() -> None:
    message = Message(
        to=B,
        id="1",
        type=MessageType.CHAT,
        body={"": "a < b & c", "de": "mond"},
        thread="t",
        parent_thread="p",
        payloads=[Replace(id="0"), Store(), OriginId(id="1"), Occupant(), Reactions(id="9", reactions=("x",))],
    )
    outer, inside = envelope.strip(message), packed(message)
    assert [type(payload) for payload in outer.payloads] == [Store, OriginId, Occupant]
    assert (outer.bodies, outer.thread, outer.id, outer.type) == ({}, None, "1", MessageType.CHAT)
    tags = [str(element.tag).partition("}")[2] for element in inside.content.elements]
    assert tags == ["body", "body", "thread", "replace", "reactions"]
    opened = envelope.lay_open(outer, inside)
    assert opened.bodies == message.bodies
    assert (opened.thread, opened.parent_thread) == ("t", "p")
    assert opened.get(Replace) == Replace(id="0")
    assert opened.get(OriginId) == OriginId(id="1")


@pytest.mark.item("D13.8")
def test_the_affixes_are_those_of_the_profile() -> None:
    lengths = set()
    for _ in range(200):
        inside = packed(Message(to=B, body="x"))
        assert (inside.from_, inside.to, inside.stamp) == (A, B, NOW)
        assert inside.rpad is not None
        lengths.add(len(inside.rpad))
    assert max(lengths) <= 200
    assert len(lengths) > 50  # the length of the padding is random


@pytest.mark.item("D13.8")
def test_a_child_is_believed_from_one_side_only() -> None:
    content = (
        "<body xmlns='jabber:client'>inside</body><store xmlns='urn:xmpp:hints'/>"
        "<stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='romeo@example.test'/>"
        "<delay xmlns='urn:xmpp:delay' stamp='2001-01-01T00:00:00Z'/>"
        "<x xmlns='http://jabber.org/protocol/muc#user'/>"
        "<envelope xmlns='urn:xmpp:sce:1'><content/></envelope>"
        "<replace xmlns='urn:xmpp:message-correct:0' id='7'/>"
    )
    inside = Envelope(content=Content(elements=tuple(xml.fromstring(f"<content>{content}</content>"))))
    stamp = StanzaId(id="real", by=A)
    outer = Message(from_=B, to=A, body="outside", payloads=[Replace(id="outside"), stamp, NoStore()])
    opened = envelope.lay_open(outer, inside)
    assert opened.body == "inside"
    assert opened.get_all(Replace) == [Replace(id="7")]
    assert opened.get_all(StanzaId) == [stamp]
    assert opened.get(Delay) is None
    assert opened.get(Store) is None
    assert opened.get(Occupant) is None
    assert len(opened.payloads) == 3


@pytest.mark.item("D13.8", "D13.13")
def test_the_names_in_the_envelope_have_to_be_those_of_the_stanza() -> None:
    direct = Message(from_=JID.parse(f"{ROMEO}/x"), to=B, type=MessageType.CHAT)
    to_us = Message(from_=JID.parse(f"{ROMEO}/x"), to=JID.parse(f"{JULIET}/y"), type=MessageType.CHAT)
    own_copy = Message(from_=JID.parse(f"{JULIET}/y"), to=A, type=MessageType.CHAT)
    in_room = Message(from_=JID.parse(f"{ROOM}/nick"), to=B, type=MessageType.GROUPCHAT)
    other = JID.parse("tybalt@example.test")
    cases: dict[str, Any] = {
        "as it should be": (direct, A, A, B, True),
        "to a full address of ours": (to_us, A, A, B, True),
        "without a recipient": (direct, A, A, None, True),
        "a copy of our own": (own_copy, B, B, A, True),
        "another sender": (direct, A, other, B, False),
        "no sender": (direct, A, None, B, False),
        "another recipient": (direct, A, A, other, False),
        "a message of a room as a direct one": (direct, A, A, ROOM, False),
        "a message of a room": (in_room, A, A, ROOM, True),
        "a direct message in a room": (in_room, A, A, B, False),
        "a message of a room that names no room": (in_room, A, A, None, False),
        "a message of another room": (in_room, A, A, JID.parse("other@conference.example.test"), False),
    }

    def check(case: Any) -> None:
        message, sender, from_, to, fits = case
        inside = Envelope(content=Content(), from_=from_, to=to)
        if fits:
            envelope.check(inside, message, sender, B)
        else:
            with pytest.raises(BadEnvelope):
                envelope.check(inside, message, sender, B)

    check_each(cases.items(), check)


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"<", b"<a/>", b"<envelope xmlns='urn:xmpp:sce:1'/>", b"<envelope xmlns='urn:xmpp:sce:0'/>"]
)
def test_an_envelope_that_cannot_be_read_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        envelope.read(text)


@pytest.mark.item("D13.13")
async def test_a_message_with_another_sender_in_its_envelope_is_not_read(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        pack = envelope.pack

        def forged(message: Message, sender: JID, recipient: JID, now: datetime) -> bytes:
            return pack(message, JID.parse("tybalt@example.test"), recipient, now)

        with monkeypatch.context() as patched:
            patched.setattr(envelope, "pack", forged)
            await a.say("I am tybalt", JULIET)
            await b.wait(1)
        (entry,) = b.entries
        assert isinstance(entry.encryption, Unreadable)
        assert isinstance(entry.encryption.error, BadEnvelope)
        assert entry.message.body is None
        await a.say("I am romeo", JULIET)  # the session is sound
        await b.wait(2)
        assert b.texts[-1] == "I am romeo"


@pytest.mark.item("D13.8")
async def test_a_message_that_was_held_back_is_not_punctual(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        sealed = [await a.omemo.encrypt(chat(str(number), JULIET)) for number in range(2)]
        copies = [
            Message(to=JULIET, from_=a.client.jid, type=MessageType.CHAT, payloads=each.payloads) for each in sealed
        ]
        now = datetime.now(UTC)
        for copy, late, punctual in ((copies[0], timedelta(minutes=1), True), (copies[1], timedelta(hours=2), False)):
            _, mark = await b.omemo.decrypt(copy, sent=now + late)
            assert isinstance(mark, Encrypted)
            assert mark.punctual is punctual
            assert mark.sealed is not None
            assert abs(mark.sealed - now) < timedelta(minutes=5)
        await trio.sleep(1)
