"""Devices in the nodes of their accounts: listed, dropped and put back, with keys that others can use."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from tests.bench import on_every_bench
from tests.im.omemo.devices import JULIET, ROMEO, listed, phone, serving, taking_part, until
from tests.im.world import Disk, connect
from trioxmpp import Presence
from trioxmpp.im.omemo import (
    DeviceGone,
    DeviceSkipped,
    NewDevice,
    NoDevices,
    OwnDeviceRestored,
    omemo_2,
)
from trioxmpp.protocol.elements import omemo as elements
from trioxmpp.testing import Dialect
from trioxmpp.xep.pubsub import Access, Options, configuration, configure, delete, fetch_item, publish

BUNDLES, _ = omemo_2.bundle_node(1)


@pytest.mark.item("D13.2")
@on_every_bench(accounts=2)
async def test_a_device_is_listed_and_its_keys_are_published_for_all_to_read(bench) -> None:
    romeo, juliet = bench.clients
    async with taking_part(romeo, label="desk") as one:
        own = one.omemo.own
        assert await listed(juliet, bench.jid(0)) == [own.id]
        node, id = omemo_2.bundle_node(own.id)
        item = await fetch_item(juliet, node, id, owner=bench.jid(0))
        assert item is not None
        assert item.payload.ik == own.key
        assert len(item.payload.prekeys) == 100
        async with taking_part(juliet) as other:
            (seen,) = await other.omemo.devices(bench.jid(0))
            assert (seen.id, seen.key, seen.fingerprint) == (own.id, own.key, own.fingerprint)
            assert seen.label == "desk"
            assert len(seen.fingerprint.split()) == 8


@pytest.mark.item("D13.2")
@on_every_bench(accounts=1)
async def test_a_device_that_another_client_drops_from_the_list_is_put_back_once(bench) -> None:
    client = bench.clients[0]
    async with taking_part(client) as one:
        own = one.omemo.own.id
        async with bench.connect(0, "old") as careless:
            if bench.dialect.events_by_last_session:
                await careless.send(Presence())
            await publish(careless, omemo_2.devices, elements.Devices(devices=(elements.Device(id=1),)))
            await until(lambda: one.events.count(OwnDeviceRestored()))
            assert await listed(careless) == sorted((1, own))
            await trio.sleep(2)
        assert one.events.count(OwnDeviceRestored()) == 1


async def test_a_device_is_put_back_within_the_hour_where_no_event_tells_of_its_loss(
    autojump_clock: Any,
) -> None:
    # The server passes events on by way of the last session, which has not sent presence.
    async with (
        serving(dialect=Dialect.EJABBERD_26) as server,
        phone(server, f"{ROMEO}/a") as one,
        connect(server, f"{ROMEO}/silent") as silent,
    ):
        await publish(silent, omemo_2.devices, elements.Devices(devices=(elements.Device(id=1),)))
        await trio.sleep(60)
        assert await listed(silent) == [1]
        await trio.sleep(3600)
        assert await listed(silent) == sorted((1, one.omemo.own.id))
        assert one.events.count(OwnDeviceRestored()) == 1


async def test_two_clients_that_drop_each_other_do_so_at_a_bounded_rate(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as one, connect(server, f"{ROMEO}/rude") as rude:
        began, rounds = trio.current_time(), 0
        while trio.current_time() - began < 600:
            await publish(rude, omemo_2.devices, elements.Devices())
            rounds += 1
            await trio.sleep(1)
        assert rounds > 500
        assert 9 <= one.events.count(OwnDeviceRestored()) <= 12


@pytest.mark.item("D13.2")
async def test_nothing_is_encrypted_for_a_device_that_left_the_list(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        async with phone(server, f"{JULIET}/old") as old:
            await a.say("one", JULIET)
            await b.wait(1)
            gone = old.omemo.own
        with pytest.raises(ValueError, match="in use"):
            await b.omemo.remove_device(b.omemo.own.id)
        await b.omemo.remove_device(gone.id)
        async with a.omemo.events() as events:
            await a.omemo.devices(JULIET)
            # Without a subscription the list is fetched again in the next hour.
            await trio.sleep(3_700)
            sealed = await a.say("two", JULIET)
            assert any(isinstance(each, DeviceGone) and each.device.id == gone.id for each in events.take_all())
        keys = {keys.jid: [key.rid for key in keys.keys] for keys in sealed.get(elements.Encrypted).header.keys}
        assert {str(jid): ids for jid, ids in keys.items()} == {JULIET: [b.omemo.own.id]}
        assert [(device.id, device.active) for device in a.omemo.known_devices(JULIET) if device.id == gone.id] == [
            (gone.id, False)
        ]


async def test_a_device_that_never_answers_is_left_out_until_it_writes(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", stale_after=5) as a,
        phone(server, f"{JULIET}/b", reads=False) as b,
    ):
        for number in range(5):
            await a.say(str(number), JULIET)
        with pytest.raises(NoDevices) as caught:
            await a.say("5", JULIET)
        assert [str(jid) for jid in caught.value.jids] == [JULIET]
        await b.say("here I am", ROMEO)
        await a.wait(1)
        await a.say("6", JULIET)


@pytest.mark.item("D13.3", "B2.19")
@on_every_bench(accounts=2)
async def test_nodes_that_others_cannot_read_are_configured_anew(bench) -> None:
    romeo, juliet = bench.clients
    closed = Options(access=Access.WHITELIST)
    await publish(romeo, omemo_2.devices, elements.Devices(), options=closed)
    bundle = elements.Bundle(spk=elements.SignedPreKey(id=1, key=b"x"), spks=b"y", ik=b"z")
    await publish(romeo, BUNDLES, bundle, id="4711", options=closed)
    async with taking_part(romeo) as one, taking_part(juliet) as other:
        for node in (omemo_2.devices, BUNDLES):
            assert (await configuration(romeo, node)).access is Access.OPEN
        await other.say("can you read this", bench.jid(0))
        await one.wait(1)
        assert one.texts == ["can you read this"]


async def test_a_node_that_is_deleted_or_closed_meanwhile_is_mended_in_the_next_session(autojump_clock: Any) -> None:
    async with serving() as server:
        disk = Disk()
        async with phone(server, f"{ROMEO}/a", disk) as one, connect(server, f"{ROMEO}/rude") as rude:
            own = one.omemo.own.id
            await delete(rude, BUNDLES)
            await delete(rude, omemo_2.devices)
            await trio.sleep(5)
            assert await listed(rude) == [own]
            await configure(rude, omemo_2.devices, Options(access=Access.WHITELIST))
        async with phone(server, f"{ROMEO}/a", disk) as one, phone(server, f"{JULIET}/b") as b:
            assert one.omemo.own.id == own
            await b.say("again", ROMEO)
            await one.wait(1)
            assert one.texts == ["again"]


@pytest.mark.item("D13.7")
async def test_a_process_goes_on_as_the_same_device_and_a_lost_database_is_a_new_one(autojump_clock: Any) -> None:
    async with serving() as server:
        disk = Disk()
        async with phone(server, f"{ROMEO}/a", disk) as one:
            own = one.omemo.own
        async with phone(server, f"{ROMEO}/a", disk) as one:
            assert one.omemo.own == own
        async with phone(server, f"{ROMEO}/a", Disk()) as one:
            assert one.omemo.own.id != own.id
            assert one.omemo.own.key != own.key
            assert await listed(one.client) == sorted((own.id, one.omemo.own.id))


@pytest.mark.item("D13.7")
async def test_a_new_device_takes_no_id_that_is_in_use(autojump_clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter([4, 4, 9, 77])
    monkeypatch.setattr("trioxmpp.im.omemo.core.secrets.randbelow", lambda limit: next(numbers))
    async with serving() as server, connect(server, f"{ROMEO}/a") as client:
        await publish(
            client, omemo_2.devices, elements.Devices(devices=(elements.Device(id=5), elements.Device(id=10)))
        )
        async with taking_part(client) as one:
            assert one.omemo.own.id == 78


@pytest.mark.item("D13.7")
async def test_a_database_without_its_identity_is_a_lost_one(autojump_clock: Any) -> None:
    async with serving() as server:
        disk = Disk()
        async with phone(server, f"{ROMEO}/a", disk) as one, phone(server, f"{JULIET}/b") as b:
            await b.say("before", ROMEO)
            await one.wait(1)
            old = one.omemo.own.id
        disk.notes["omemo"]["raw /ikp/key"] = "{ damaged"
        async with phone(server, f"{ROMEO}/a", disk) as one, phone(server, f"{JULIET}/b2") as b:
            assert one.omemo.own.id != old
            await b.say("after", ROMEO)
            await one.wait(1)
            assert one.texts[-1] == "after"
        assert not [name for name in disk.notes["omemo"] if str(old) in name and "session" in name]
        assert json.loads(disk.notes["omemo"]["self"])["v"]["device"] == one.omemo.own.id


async def test_a_new_device_of_a_contact_is_told_and_gets_the_next_message(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{ROMEO}/b") as b:
        await trio.sleep(1)
        assert any(isinstance(each, NewDevice) and each.device.id == b.omemo.own.id for each in a.events)
        async with phone(server, f"{ROMEO}/c") as c:
            await trio.sleep(1)
            assert any(isinstance(each, NewDevice) and each.device.id == c.omemo.own.id for each in a.events)


async def test_the_signed_pre_key_is_replaced_and_used_pre_keys_are_offered_no_more(autojump_clock: Any) -> None:
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", rotate_every=-1) as a,
        phone(server, f"{JULIET}/b") as b,
    ):

        async def bundle() -> elements.Bundle:
            node, id = omemo_2.bundle_node(a.omemo.own.id)
            item = await fetch_item(b.client, node, id, owner=ROMEO)
            assert item is not None
            return item.payload

        first = await bundle()
        await trio.sleep(120)
        second = await bundle()
        assert second.ik == first.ik
        assert second.spk != first.spk
        await b.say("this takes a pre-key", ROMEO)
        await a.wait(1)
        await trio.sleep(5)
        third = await bundle()
        assert len(third.prekeys) == 100
        assert len({key.key for key in first.prekeys} - {key.key for key in third.prekeys}) == 1


@pytest.mark.item("D13.11")
async def test_of_a_list_of_ten_thousand_devices_one_hundred_count(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        await a.say("before", JULIET)
        await b.wait(1)
        many = elements.Devices(devices=tuple(elements.Device(id=number) for number in range(1, 10_001)))
        own = elements.Device(id=b.omemo.own.id)
        async with connect(server, f"{JULIET}/rude") as rude:
            await publish(rude, omemo_2.devices, elements.Devices(devices=(*many.devices, own)))
        await trio.sleep(3_700)
        await a.say("after", JULIET)
        known = a.omemo.known_devices(JULIET)
        assert len(known) == 100
        assert b.omemo.own.id in [device.id for device in known]
        assert sum(isinstance(each, DeviceSkipped) for each in a.events) == 99
        await b.wait(2)
        assert b.texts == ["before", "after"]


async def test_an_account_without_devices_is_asked_again_a_minute_later(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a:
        with pytest.raises(NoDevices):
            await a.say("one", JULIET)
        async with phone(server, f"{JULIET}/b") as b:
            await trio.sleep(61)
            await a.say("two", JULIET)
            await b.wait(1)
            assert b.texts == ["two"]


async def test_a_device_without_keys_is_asked_once_in_a_minute(autojump_clock: Any) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        devices = (elements.Device(id=5), elements.Device(id=b.omemo.own.id))
        await publish(b.client, omemo_2.devices, elements.Devices(devices=devices))
        for number in range(5):
            await a.say(str(number), JULIET)
        assert sum(isinstance(event, DeviceSkipped) for event in a.events) == 1
        await trio.sleep(61)
        await a.say("5", JULIET)
        assert sum(isinstance(event, DeviceSkipped) for event in a.events) == 2


async def test_a_message_that_is_cancelled_while_keys_are_fetched_can_be_sent_at_once_again(
    autojump_clock: Any,
) -> None:
    async with serving() as server, phone(server, f"{ROMEO}/a") as a, phone(server, f"{JULIET}/b") as b:
        with trio.move_on_after(0) as scope:
            await a.say("one", JULIET)
        assert scope.cancelled_caught
        await a.say("two", JULIET)
        await b.wait(1)
        assert b.texts == ["two"]
