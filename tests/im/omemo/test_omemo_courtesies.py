"""Receipts, markers, chat states and changes in encrypted conversations: in the envelope, and believed from there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.im.omemo.devices import JULIET, ROMEO, Phone, phone, serving, taking_part, the_device, until
from tests.im.world import Disk, settle
from trioxmpp import JID
from trioxmpp.im.conversation import (
    Conversation,
    Delivery,
    Receipts,
    Typing,
    open_conversations,
    open_room_conversation,
)
from trioxmpp.im.omemo import Encrypted, Plain, Trust, Unreadable, omemo_2, open_encrypted_room, undecided
from trioxmpp.im.omemo.envelope import is_outside
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements import chat_states
from trioxmpp.protocol.elements import omemo as elements
from trioxmpp.protocol.elements.muc import Affiliation
from trioxmpp.testing import Server
from trioxmpp.xep.muc import RoomConfig, open_room, set_affiliation

STATES = "http://jabber.org/protocol/chatstates"


@asynccontextmanager
async def talking(phone: Phone, peer: str) -> AsyncIterator[Conversation]:
    """The conversation with `peer` on a phone that reads in it, and does not otherwise."""
    async with open_conversations(
        phone.client, phone.omemo.read(phone.timeline), receipts=Receipts.ALWAYS, seal=phone.omemo.seal
    ) as talks:
        yield talks[peer]


@asynccontextmanager
async def two(**options: Any) -> AsyncIterator[tuple[Server, Phone, Phone, Conversation, Conversation]]:
    """Romeo and Juliet, who have talked: so each knows that the other tells chat states."""
    async with (
        serving(contacts=[("romeo", "juliet")]) as server,
        phone(server, f"{ROMEO}/a", reads=False, **options) as a,
        phone(server, f"{JULIET}/b", reads=False, **options) as b,
        talking(a, JULIET) as hers,
        talking(b, ROMEO) as his,
    ):
        await hers.say("art thou not Romeo")
        await trio.sleep(5)
        await his.say("neither, fair maid")
        await trio.sleep(5)
        yield server, a, b, hers, his


def in_the_clear(server: Server, since: int = 0) -> list[str]:
    """The children of messages to accounts that every server could read, and that are not for servers."""
    return [
        str(child.tag)
        for entry in [*server.log][since:]
        if entry.stanza.tag == f"{{{ns.CLIENT}}}message" and entry.stanza.get("type") in ("chat", "groupchat")
        for child in entry.stanza
        if not is_outside(str(child.tag))
    ]


def forged(server: Server, payload: str, id: str = "forged") -> None:
    """A message in the clear, in the name of Juliet, as a server on its way could write it."""
    server.send(f"<message type='chat' id='{id}' from='{JULIET}/b' to='{ROMEO}/a'>{payload}</message>")


async def test_all_that_two_clients_tell_each_other_is_in_the_envelope(autojump_clock: Any) -> None:
    async with two() as (server, _, _, hers, his), his.events() as told:
        line = await hers.say("have not saints lips")
        await trio.sleep(5)
        assert hers.line(line.id).delivery is Delivery.RECEIVED
        (heard,) = [each for each in his.lines if each.text == "have not saints lips"]
        await his.displayed(heard)
        await his.react(heard, ["🌹"])
        reply = await his.say("ay, pilgrim", reply_to=heard)
        await his.correct(reply, "ay, pilgrim, lips")
        gone = await his.say("a mistake")
        await his.retract(gone)
        async with his.typing():
            await trio.sleep(60)  # a pause
        async with hers.typing():
            pass
        await trio.sleep(5)
        now = hers.line(line.id)
        assert now.delivery is Delivery.DISPLAYED
        assert [*now.reactions.values()] == [("🌹",)]
        mine = {each.text: each for each in hers.lines}
        assert mine["ay, pilgrim, lips"].reply_to == line.id
        assert mine["ay, pilgrim, lips"].corrected == 1
        assert mine[None].retracted
        assert all(isinstance(each.encryption, Encrypted) for each in (*hers.lines, *his.lines))
        states = [type(event.state).__name__ for event in told.take_all() if type(event).__name__ == "Typing"]
        assert states == ["NoneType", "Composing", "Paused"], "the first one has grown old"
        assert in_the_clear(server) == []


@pytest.mark.item("D13.1")
@on_every_bench(accounts=2)
async def test_receipts_markers_states_and_reactions_come_encrypted_by_every_server(bench: Bench) -> None:
    async with (
        taking_part(bench.clients[0], reads=False) as a,
        taking_part(bench.clients[1], reads=False) as b,
        talking(a, bench.jid(1)) as hers,
        talking(b, bench.jid(0)) as his,
        his.events() as told,
    ):
        line = await hers.say("my only love")
        await until(lambda: his.lines)
        await his.say("sprung from my only hate")
        await until(lambda: hers.line(line.id).delivery is Delivery.RECEIVED)
        await his.displayed(his.lines[0])
        await his.react(his.lines[0], ["🌹"])
        await until(lambda: hers.line(line.id).reactions and hers.line(line.id).delivery is Delivery.DISPLAYED)
        async with hers.typing():
            pass
        states: list[str] = []
        await until(
            lambda: (
                states.extend(type(event.state).__name__ for event in told.take_all() if isinstance(event, Typing))
                or states[-1:] == ["Paused"]
            )
        )
        assert states[-2:] == ["Composing", "Paused"]
        assert all(isinstance(each.encryption, Encrypted) for each in (*hers.lines, *his.lines))


@pytest.mark.item("B2.22")
async def test_a_forgery_in_the_clear_changes_no_line_that_was_encrypted(autojump_clock: Any) -> None:
    async with two() as (server, _, _, hers, his), hers.events() as told:
        line = await hers.say("O, then, dear saint")
        await his.say("saints do not move")
        await trio.sleep(5)
        hidden = next(each for each in hers.lines if each.text == "saints do not move")
        before, known = told.take_all(), hers.lines
        assert before
        for payload in (
            f"<received xmlns='urn:xmpp:receipts' id='{line.id}'/>",
            f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{line.id}'/>",
            f"<reactions xmlns='urn:xmpp:reactions:0' id='{line.id}'><reaction>👎</reaction></reactions>",
            f"<retract xmlns='urn:xmpp:message-retract:1' id='{hidden.id}'/><body>retracted</body>",
            f"<composing xmlns='{STATES}'/>",
            f"<paused xmlns='{STATES}'/>",
        ):
            forged(server, payload)
            await settle()
        assert told.take_all() == []
        assert hers.lines == known
        assert hers.line(line.id).delivery is Delivery.RECEIVED, "by the receipt that was encrypted"
        # The text of a forged correction is a message of its own, with the mark.
        forged(server, f"<body>saints do move</body><replace xmlns='urn:xmpp:message-correct:0' id='{hidden.id}'/>")
        await settle()
        assert hers.lines[:-1] == known
        assert (hers.lines[-1].text, hers.lines[-1].encryption) == ("saints do move", Plain())
        # A child beside an encrypted payload is not believed either (`test_a_child_is_believed_from_one_side_only`).


async def test_a_line_that_came_in_the_clear_is_still_changed_in_the_clear(autojump_clock: Any) -> None:
    async with two() as (server, _, _, hers, _):
        forged(server, "<body>in the clear</body>", id="1")
        forged(server, "<body>corrected</body><replace xmlns='urn:xmpp:message-correct:0' id='1'/>", id="2")
        await settle()
        assert (hers.lines[-1].text, hers.lines[-1].corrected, hers.lines[-1].encryption) == ("corrected", 1, Plain())


async def test_a_chat_state_is_stored_nowhere_and_a_receipt_is(autojump_clock: Any) -> None:
    async with two() as (server, _, _, hers, _):
        since = len(server.log)
        async with hers.typing():
            pass
        sent = [entry.stanza for entry in [*server.log][since:] if entry.stanza.tag == f"{{{ns.CLIENT}}}message"]
        assert len(sent) == 2
        for stanza in sent:
            hints = [str(child.tag) for child in stanza if str(child.tag).startswith("{urn:xmpp:hints}")]
            assert hints == ["{urn:xmpp:hints}no-store"]
            assert stanza.find(f"{{{elements.NS}}}encrypted") is not None


async def test_no_chat_state_and_no_receipt_leaves_while_a_device_is_not_decided_about(autojump_clock: Any) -> None:
    async with (
        serving(contacts=[("romeo", "juliet")]) as server,
        phone(server, f"{ROMEO}/a", reads=False, trust=undecided) as a,
        phone(server, f"{JULIET}/b", reads=False) as b,
        talking(a, JULIET) as hers,
        talking(b, ROMEO) as his,
    ):
        device = await the_device(a, JULIET)
        await a.omemo.trust(device, Trust.VERIFIED)
        await hers.say("one")
        await trio.sleep(5)
        await his.say("two")
        await trio.sleep(5)
        async with phone(server, f"{JULIET}/new", reads=False):
            await until(lambda: len(a.omemo.known_devices(JULIET)) == 2)
            await a.omemo.devices(JULIET)
            since = len(server.log)
            async with hers.typing():
                pass
            await hers.displayed(hers.lines[-1])
            await his.say("three")
            await trio.sleep(5)
            assert hers.lines[-1].text == "three"
            messages = [entry for entry in [*server.log][since:] if entry.stanza.tag == f"{{{ns.CLIENT}}}message"]
            assert not [entry for entry in messages if entry.jid == f"{ROMEO}/a"]


async def test_a_device_that_is_away_gets_no_chat_states_until_it_answers(autojump_clock: Any) -> None:
    disk = Disk()
    async with two(away_after=10) as (server, a, b, hers, _):

        async def devices_of_a_state() -> set[int]:
            since = len(server.log)
            await hers.set_state(chat_states.Composing())
            stanzas = [entry.stanza for entry in [*server.log][since:] if entry.jid == f"{ROMEO}/a"]
            return {int(key.get("rid", "0")) for each in stanzas for key in each.iter(f"{{{elements.NS}}}key")}

        async with phone(server, f"{JULIET}/other", disk) as other:
            await until(lambda: len(a.omemo.known_devices(JULIET)) == 2)
            await a.omemo.devices(JULIET)
            away, there = other.omemo.own.id, b.omemo.own.id
            assert {away, there} <= await devices_of_a_state()
        for number in range(10):
            await hers.say(f"unheard {number}")
        assert await devices_of_a_state() & {away, there} == {there}
        async with phone(server, f"{JULIET}/other", disk) as other:
            await until(lambda: "unheard 9" in other.texts)
            await other.say("I am back", ROMEO)
            await trio.sleep(5)
            assert {away, there} <= await devices_of_a_state()
            assert not [entry for entry in other.entries if isinstance(entry.encryption, Unreadable)]


class TextsOnly(type(omemo_2)):
    """A method that encrypts the text and nothing else, as that of older clients."""

    envelope = False


async def test_clients_whose_encryption_covers_texts_only_tell_the_rest_in_the_clear(autojump_clock: Any) -> None:
    async with two(methods=[TextsOnly()]) as (server, _, _, hers, his), his.events() as told:
        line = await hers.say("only the text")
        await trio.sleep(5)
        assert isinstance(line.encryption, Encrypted)
        assert not line.encryption.whole
        forged(server, f"<received xmlns='urn:xmpp:receipts' id='{line.id}'/><composing xmlns='{STATES}'/>")
        await settle()
        assert hers.line(line.id).delivery is Delivery.RECEIVED
        async with hers.typing():
            pass
        await trio.sleep(5)
        states = [type(event.state).__name__ for event in told.take_all() if type(event).__name__ == "Typing"]
        assert states == ["Composing", "Paused"]
        assert f"{{{STATES}}}composing" in in_the_clear(server)


async def test_chat_states_in_an_encrypted_room_are_encrypted(autojump_clock: Any) -> None:
    def members_only(config: RoomConfig) -> None:
        config.set_values("muc#roomconfig_whois", ("anyone",))
        config.set_values("muc#roomconfig_membersonly", ("1",))

    jid = "vault@conference.example.test"
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving())
        talks = []
        for name, account in (("romeo", ROMEO), ("juliet", JULIET)):
            one = await stack.enter_async_context(phone(server, f"{account}/a"))
            room = await stack.enter_async_context(open_room(one.client, jid, name, create=members_only))
            if account == ROMEO:
                await set_affiliation(one.client, JID.parse(jid), JULIET, Affiliation.MEMBER)
            secret = await stack.enter_async_context(open_encrypted_room(one.omemo, room))
            talks.append(await stack.enter_async_context(open_room_conversation(secret)))
        for talk in talks:
            await talk.say("hear me")
            await trio.sleep(5)
        told = await stack.enter_async_context(talks[1].events())
        async with talks[0].typing():
            pass
        await trio.sleep(5)
        states = [type(event.state).__name__ for event in told.take_all() if type(event).__name__ == "Typing"]
        assert states == ["Composing", "Paused"]
        assert in_the_clear(server) == []


# --- the rule, as a table


def test_a_line_is_changed_by_what_is_protected_as_it_is() -> None:
    from trioxmpp.xep.encryption import Device, may_touch

    device = Device(JID.parse(JULIET), 1)
    whole, text = Encrypted("n", device), Encrypted("n", device, whole=False)
    unreadable = Unreadable(ValueError())
    changes: list[Any] = [None, Plain(), unreadable, whole, text]
    for line in (None, Plain(), text):
        assert [may_touch(change, line) for change in changes] == [True] * 5, line
    for line in (whole, unreadable):
        assert [may_touch(change, line) for change in changes] == [False] * 3 + [True] * 2, line
