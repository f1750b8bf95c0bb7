"""OMEMO under attack: keys of any length and number, malformed elements, strangers in any number."""

from __future__ import annotations

import secrets
import subprocess
import sys
from typing import Any

import pytest
import trio
import xeddsa

from tests.im.omemo.devices import JULIET, ROMEO, chat, phone, serving, until
from tests.im.world import Disk, connect, deliver
from trioxmpp import JID, Message, MessageType, StanzaCondition, XMPPCancelError, xml
from trioxmpp.im.omemo import (
    BadBundle,
    CannotDecrypt,
    DeviceSkipped,
    Listed,
    Malformed,
    NotForUs,
    Trust,
    Unreadable,
    omemo_2,
    undecided,
)
from trioxmpp.im.omemo.devices import MAX_ACCOUNTS, MAX_DEVICES, DeviceBook
from trioxmpp.im.omemo.storage import NoteStorage, SessionRecord
from trioxmpp.protocol.elements import omemo as elements
from trioxmpp.xep.pubsub import Access, Node, Options, fetch_item, publish

NODE, _ = omemo_2.bundle_node(1)
#: The same node, holding whatever there is.
ANY = Node(elements.BUNDLES, xml.Element, multi=True, options=Options(access=Access.OPEN))


async def test_a_bundle_that_is_no_bundle_costs_one_device_only(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        node, id = omemo_2.bundle_node(b.omemo.own.id)
        item = await fetch_item(b.client, node, id)
        assert item is not None
        good = item.payload
        key = secrets.token_bytes(32)
        bad = {
            "short identity": xml.replace(good, ik=good.ik[:31]),
            "long identity": xml.replace(good, ik=good.ik * 1000),
            "no identity": xml.replace(good, ik=b""),
            "an identity that is no point": xml.replace(good, ik=b"\xff" * 32),
            "another identity": xml.replace(good, ik=key),
            "short signed pre-key": xml.replace(good, spk=elements.SignedPreKey(id=1, key=b"x")),
            "a wrong signature": xml.replace(good, spks=bytes(64)),
            "a short signature": xml.replace(good, spks=b"x"),
            "no pre-keys": xml.replace(good, prekeys=()),
            "short pre-keys": xml.replace(good, prekeys=(elements.PreKey(id=1, key=b"x"),)),
            "a hundred thousand octets of pre-keys": xml.replace(
                good, prekeys=tuple(elements.PreKey(id=number, key=bytes(31)) for number in range(2_000))
            ),
            "other XML": xml.fromstring("<bundle xmlns='urn:xmpp:omemo:2'><ik>!</ik></bundle>"),
        }
        async with connect(server, f"{JULIET}/rude") as rude:
            listing = elements.Devices(
                devices=(elements.Device(id=b.omemo.own.id), *(elements.Device(id=n + 1) for n in range(len(bad))))
            )
            for number, payload in enumerate(bad.values(), 1):
                await publish(rude, ANY if isinstance(payload, xml.Element) else NODE, payload, id=str(number))
            await publish(rude, omemo_2.devices, listing)
        await a.say("hello", JULIET)
        skipped = {event.device.id: event.error for event in a.events if isinstance(event, DeviceSkipped)}
        assert sorted(skipped) == [*range(1, len(bad) + 1)]
        wrong = {name: skipped[number] for number, name in enumerate(bad, 1) if type(skipped[number]) is not BadBundle}
        assert not wrong
        await b.wait(1)
        assert b.texts == ["hello"]


async def test_a_bundle_of_ten_megabytes_is_not_taken_and_costs_one_device(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a") as a,
        phone(server, f"{JULIET}/b") as b,
        connect(server, f"{JULIET}/rude") as rude,
    ):
        listing = elements.Devices(devices=(elements.Device(id=5), elements.Device(id=b.omemo.own.id)))
        many = "".join(f"<pk id='{number}'>{'A' * 500}</pk>" for number in range(20_000))
        huge = f"<bundle xmlns='urn:xmpp:omemo:2'><prekeys>{many}</prekeys></bundle>"
        assert len(huge) > 10_000_000
        await publish(rude, ANY, xml.fromstring(huge), id="5")
        await publish(rude, omemo_2.devices, listing)
        await a.say("hello", JULIET)
        assert [event.device.id for event in a.events if isinstance(event, DeviceSkipped)] == [5]
        await b.wait(1)
        assert b.texts == ["hello"]


async def test_a_malformed_element_is_a_message_that_cannot_be_read(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        own = b.omemo.own.id
        sealed = await a.omemo.encrypt(chat("x", JULIET))
        (keys,) = sealed.get(elements.Encrypted).header.keys
        (key,) = keys.keys

        def with_key(data: bytes, *, kex: bool = True) -> elements.Encrypted:
            changed = elements.Keys(jid=JID.parse(JULIET), keys=(elements.Key(rid=own, kex=kex, data=data),))
            return elements.Encrypted(header=elements.Header(sid=a.omemo.own.id, keys=(changed,)), payload=b"p")

        def text(inner: str) -> xml.Element:
            return xml.fromstring(f"<encrypted xmlns='urn:xmpp:omemo:2'>{inner}</encrypted>")

        payloads: dict[str, tuple[Any, type[Exception]]] = {
            "nothing in it": (text(""), Malformed),
            "no sender": (text("<header/>"), Malformed),
            "a negative sender": (text("<header sid='-1'/>"), Malformed),
            "a huge sender": (text("<header sid='4294967296'/>"), Malformed),
            "no keys": (text("<header sid='1'/><payload>AAAA</payload>"), NotForUs),
            "a payload that is no base64": (text("<header sid='1'/><payload>!</payload>"), Malformed),
            "an empty key": (with_key(b""), Malformed),
            "noise": (with_key(secrets.token_bytes(200)), Malformed),
            "a cut key": (with_key(key.data[:-3]), Malformed),
            "an exchange that is none": (with_key(key.data, kex=False), CannotDecrypt),
            "another octet": (with_key(key.data[:-1] + bytes([key.data[-1] ^ 1])), CannotDecrypt),
            "a megabyte": (with_key(key.data + b"\x22" + bytes(1000)), CannotDecrypt),
        }
        for number, (payload, _) in enumerate(payloads.values()):
            message = Message(
                to=JULIET, from_=a.client.jid, type=MessageType.CHAT, id=str(number), body="forged", payloads=[payload]
            )
            await a.client.send(message)
            await trio.sleep(0.1)
        await trio.sleep(5)
        assert len(b.entries) == len(payloads)
        for entry, (name, (_, error)) in zip(b.entries, payloads.items(), strict=True):
            assert isinstance(entry.encryption, Unreadable), name
            assert isinstance(entry.encryption.error, error), (name, entry.encryption.error)
        # The session can still begin.
        await a.client.send(sealed)
        await b.wait(len(payloads) + 1)
        assert b.texts[-1] == "x"


async def test_a_message_with_a_thousand_keys_is_read(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        sealed = await a.omemo.encrypt(chat("one of many", JULIET))
        encrypted = sealed.get(elements.Encrypted)
        noise = tuple(elements.Key(rid=number, data=b"noise") for number in range(1, 1_000))
        more = (elements.Keys(jid=JID.parse("tybalt@example.test"), keys=noise), *encrypted.header.keys)
        header = xml.replace(encrypted.header, keys=more)
        sealed.payloads = [xml.replace(encrypted, header=header), *sealed.payloads[1:]]
        await a.client.send(sealed)
        await b.wait(1)
        assert b.texts == ["one of many"]


class Nowhere:
    """Notes that are kept by no store."""

    async def read(self) -> dict[str, Any]:
        return {}

    async def write(self, changes: Any) -> None:
        return None


def test_the_tables_that_strangers_fill_are_bounded() -> None:
    storage = NoteStorage(Nowhere(), (omemo_2.namespace,))  # type: ignore[arg-type]
    book = DeviceBook(storage, JID.parse(ROMEO), undecided)
    friend = JID.parse(JULIET)
    book.learn_list(omemo_2, friend, [Listed(1)])
    book.keep_secret(friend, kept=True)
    foe = JID.parse("tybalt@example.test")
    book.set_trust(foe, b"k" * 32, Trust.DISTRUSTED, kept=True)
    for number in range(MAX_ACCOUNTS + 100):
        stranger = JID.parse(f"stranger{number}@example.test")
        storage.make_record((omemo_2.namespace, str(stranger), 1)).push()
        book.learn_list(omemo_2, stranger, [Listed(1)])
        book.keep_secret(stranger)
    assert len(storage.names("account ")) == MAX_ACCOUNTS
    assert len(storage.accounts) == MAX_ACCOUNTS - 2
    assert friend in book
    assert foe in book
    assert JID.parse("stranger0@example.test") not in book
    book.learn_list(omemo_2, friend, [Listed(number) for number in range(1, 5_000)])
    assert len(book.devices(friend)) == MAX_DEVICES
    assert book.devices(friend)[0].id == 1
    book.learn_list(omemo_2, friend, [])
    for number in range(5_000, 5_300):
        book.learn_key(friend, number, xeddsa.seed_to_ed25519_pub(secrets.token_bytes(32)))
    assert len(book.devices(friend)) == MAX_DEVICES


def test_an_account_whose_list_is_full_brings_no_more_devices() -> None:
    storage = NoteStorage(Nowhere(), (omemo_2.namespace,))  # type: ignore[arg-type]
    book = DeviceBook(storage, JID.parse(ROMEO), undecided)
    friend = JID.parse(JULIET)
    book.learn_list(omemo_2, friend, [Listed(number) for number in range(1, MAX_DEVICES + 1)])
    with pytest.raises(Malformed, match="more than"):
        book.learn_key(friend, 9_999, xeddsa.seed_to_ed25519_pub(secrets.token_bytes(32)))


def test_the_memory_of_a_device_is_bounded() -> None:
    record = SessionRecord()
    for number in range(10_000):
        record.saw(number.to_bytes(8, "big"), float(number))
        record.built(number.to_bytes(8, "big"))
    for _ in range(20):
        record.push()
    again = SessionRecord(record.note())
    assert len(again.slots) == 5
    assert again.has_seen((9_999).to_bytes(8, "big"))
    assert not again.has_seen((5).to_bytes(8, "big"))
    assert again.has_built((9_999).to_bytes(8, "big"))
    assert len(str(record.note())) < 5_000


async def test_a_store_that_is_damaged_costs_what_was_damaged(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{JULIET}/b") as b:
        disk = Disk()
        async with phone(server, f"{ROMEO}/a", disk) as a:
            await a.say("one", JULIET)
            await b.wait(1)
            own = a.omemo.own
        for name in disk.notes["omemo"]:
            if name.startswith(("session", "account juliet")):
                disk.notes["omemo"][name] = '{"z": "!!", "parts": 3}'
        async with phone(server, f"{ROMEO}/a", disk) as a:
            assert a.omemo.own == own
            await a.say("two", JULIET)
            await b.wait(2)
            assert b.texts == ["one", "two"]


async def test_two_encrypted_messages_with_one_id_are_two_messages(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        await a.say("one", JULIET, id="the same")
        await a.say("two", JULIET, id="the same")
        await b.wait(2)
        assert b.texts == ["one", "two"]


async def test_an_encrypted_message_that_comes_back_as_an_error_stays_an_error(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b"):
        sealed = await a.omemo.encrypt(chat("x", JULIET))
        error = sealed.make_error(XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE))
        error.from_, error.to, error.payloads = JID.parse(JULIET), a.client.jid, sealed.payloads
        deliver(server, error.serialise().replace("<message", "<message xmlns='jabber:client'", 1), f"{ROMEO}/a")
        await a.wait(1)
        assert (a.entries[0].message.type, a.entries[0].encryption) == (MessageType.ERROR, None)


def test_nothing_of_the_extra_is_imported_before_it_is_asked_for() -> None:
    """And without it, the error says what to install."""
    source = """if True:
        import sys
        import trioxmpp, trioxmpp.im.conversation, trioxmpp.im.timeline
        assert not {"omemo", "twomemo", "cryptography"} & set(sys.modules), sys.modules.keys()
        sys.modules["twomemo"] = None
        try:
            import trioxmpp.im.omemo
        except ImportError as exc:
            print(exc)
    """
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "OMEMO needs more libraries: pip install 'trioxmpp[omemo]'\n"


async def test_strangers_whose_servers_do_not_answer_hold_up_little(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        sealed = await a.omemo.encrypt(chat("behind them all", JULIET))
        key = elements.Key(rid=b.omemo.own.id, kex=True, data=b"noise")
        keys = elements.Keys(jid=JID.parse(JULIET), keys=(key,))
        noise = elements.Encrypted(header=elements.Header(sid=5, keys=(keys,)), payload=b"x")
        for number in range(50):
            stranger = Message(
                from_=f"x{number}@slow.test/x", to=JULIET, type=MessageType.CHAT, id=str(number), payloads=[noise]
            )
            text = stranger.serialise().replace("<message", "<message xmlns='jabber:client'", 1)
            deliver(server, text, f"{JULIET}/b")
        await a.client.send(sealed)
        server.sessions[f"{JULIET}/b"].link.stall("in")
        began = trio.current_time()
        await until(lambda: len(b.entries) == 51, 40)
        assert trio.current_time() - began < 15
        assert b.texts[-1] == "behind them all"
        assert all(isinstance(entry.encryption, Unreadable) for entry in b.entries[:-1])
        server.sessions[f"{JULIET}/b"].link.reset()
