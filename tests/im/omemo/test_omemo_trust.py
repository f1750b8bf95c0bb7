"""Trust: nothing is encrypted for a device before the application has decided about it, and decisions are kept."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.im.omemo.devices import JULIET, ROMEO, phone, serving, the_device
from tests.im.world import Disk
from trioxmpp import Message
from trioxmpp.im.omemo import (
    Device,
    Encrypted,
    NoDevices,
    SenderDistrusted,
    Trust,
    Undecided,
    Unreadable,
    blind_trust_before_verification,
    undecided,
)
from trioxmpp.jid import JID
from trioxmpp.protocol.elements import omemo as elements


@pytest.mark.item("D13.4")
async def test_an_undecided_device_stops_sending_with_a_list(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", trust=undecided) as a,
        phone(server, f"{JULIET}/b") as b,
        phone(server, f"{JULIET}/c") as c,
        phone(server, f"{ROMEO}/own") as own,
    ):
        with pytest.raises(Undecided) as caught:
            await a.say("secret", JULIET)
        assert {device.id for device in caught.value.devices} == {each.omemo.own.id for each in (b, c, own)}
        assert all(device.fingerprint for device in caught.value.devices)
        await trio.sleep(5)
        assert b.entries == c.entries == []

        verified, blind, distrusted = b, own, c
        for device in caught.value.devices:
            if device.id == verified.omemo.own.id:
                await a.omemo.trust(device)
            elif device.id == blind.omemo.own.id:
                await a.omemo.trust(device, Trust.BLIND)
            else:
                await a.omemo.trust(device, Trust.DISTRUSTED)
        sealed = await a.say("secret", JULIET)
        rids = {key.rid for keys in sealed.get(elements.Encrypted).header.keys for key in keys.keys}
        assert rids == {verified.omemo.own.id, blind.omemo.own.id}
        assert distrusted.omemo.own.id not in rids
        await b.wait(1)
        assert b.texts == ["secret"]
        assert [type(entry.encryption) for entry in c.entries] == [Unreadable]


@pytest.mark.item("D13.4")
async def test_decisions_survive_the_process(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{JULIET}/b") as b:
        disk = Disk()
        async with phone(server, f"{ROMEO}/a", disk, trust=undecided) as a:
            await a.omemo.trust(await the_device(a, JULIET))
        async with phone(server, f"{ROMEO}/a", disk, trust=undecided) as a:
            assert (await the_device(a, JULIET)).trust is Trust.VERIFIED
            await a.say("hello", JULIET)
        await b.wait(1)


async def test_blind_trust_ends_with_the_first_verification(autojump_clock: Any) -> None:
    rule = blind_trust_before_verification
    jid = JID.parse(JULIET)
    new = Device(jid, 1, b"k")
    assert rule(new, []) is Trust.BLIND
    assert rule(new, [Device(jid, 2, b"l", Trust.BLIND)]) is Trust.BLIND
    assert rule(new, [Device(jid, 2, b"l", Trust.VERIFIED)]) is Trust.UNDECIDED
    assert rule(Device(jid, 1, b"k", active=False), []) is Trust.UNDECIDED
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b"):
        await a.say("one", JULIET)
        await a.omemo.trust(await the_device(a, JULIET))
        async with phone(server, f"{JULIET}/c"):
            await trio.sleep(3_700)  # until the list is fetched again
            with pytest.raises(Undecided) as caught:
                await a.say("two", JULIET)
            assert len(caught.value.devices) == 1


async def test_a_rule_of_the_application_decides_by_the_fingerprint(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{JULIET}/b") as b, phone(server, f"{JULIET}/c"):
        known = {b.omemo.own.fingerprint}

        def rule(device: Device, others: Any) -> Trust:
            return Trust.VERIFIED if device.fingerprint in known else Trust.DISTRUSTED

        async with phone(server, f"{ROMEO}/a", trust=rule) as a:
            sealed = await a.say("for one of two", JULIET)
            (keys,) = sealed.get(elements.Encrypted).header.keys
            assert [key.rid for key in keys.keys] == [b.omemo.own.id]


async def test_a_message_of_a_distrusted_device_is_not_read(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        await a.omemo.trust(await the_device(a, JULIET), Trust.DISTRUSTED)
        await b.say("trust me", ROMEO)
        await a.wait(1)
        (entry,) = a.entries
        assert isinstance(entry.encryption, Unreadable)
        assert isinstance(entry.encryption.error, SenderDistrusted)
        with pytest.raises(NoDevices):
            await a.say("no", JULIET)


async def test_the_mark_of_a_message_has_the_trust_of_its_device(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", trust=undecided) as a,
        phone(server, f"{JULIET}/b") as b,
    ):
        await b.say("one", ROMEO)
        await a.wait(1)
        await a.omemo.trust(await the_device(a, JULIET))
        await b.say("two", ROMEO)
        await a.wait(2)
        marks = [entry.encryption for entry in a.entries]
        assert all(isinstance(mark, Encrypted) for mark in marks)
        assert [mark.device.trust for mark in marks] == [Trust.UNDECIDED, Trust.VERIFIED]
        await a.omemo.forget(JULIET)
        assert a.omemo.known_devices(JULIET) == ()
        assert not a.omemo.is_secret(JULIET)
        with pytest.raises(ValueError, match="not known"):
            await a.omemo.trust(Device(JID.parse(JULIET), 5))


async def test_an_account_without_devices_is_an_error(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a:
        for account in ("tybalt@example.test", "nobody@example.test", "x@elsewhere.test"):
            with pytest.raises(NoDevices) as caught:
                await a.say("anybody there", account)
            assert [str(jid) for jid in caught.value.jids] == [account]
        with pytest.raises(ValueError, match="no address"):
            await a.omemo.encrypt(Message(body="to whom"))
