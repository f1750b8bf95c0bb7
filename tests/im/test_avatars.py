"""Avatars: published, found, verified and fetched a few at a time (XEP-0084, XEP-0153, XEP-0398)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from tests.capable import befriend, present
from tests.services import sent
from trioxmpp import JID, Client, Presence, XMPPError, xml
from trioxmpp.im.avatars import (
    AvatarCache,
    AvatarChanged,
    Unverified,
    announced_avatar,
    disable_avatar,
    image_type,
    open_avatars,
    set_avatar,
)
from trioxmpp.im.avatars.image import sha1, verified
from trioxmpp.im.presence import appear
from trioxmpp.protocol.elements import avatar
from trioxmpp.protocol.elements.pubsub import Item, PubSub, PubSubGet
from trioxmpp.protocol.elements.pubsub import Items as RawItems
from trioxmpp.protocol.elements.vcard import Photo, VCard, VCardQuery
from trioxmpp.protocol.elements.vcard_update import VCardUpdate
from trioxmpp.testing import Server, inject, open_server
from trioxmpp.xep import pubsub
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.vcard import change_vcard, fetch_vcard

PNG = b"\x89PNG\r\n\x1a\n" + b"juliet" * 10
OTHER = b"\x89PNG\r\n\x1a\n" + b"romeo" * 10
ROMEO, JULIET = JID.parse("romeo@example.test"), JID.parse("juliet@example.test")
CONTACTS = [("romeo", "juliet")]


def connect(server: Server, name: str = "romeo", resource: str = "1") -> Any:
    jid = f"{name}@example.test/{resource}"
    return trioxmpp.connect(jid, "secret", endpoint=server.endpoint, allow_plaintext=True)


def announced(infos: str, from_: JID = JULIET) -> str:
    item = f"<item id='x'><metadata xmlns='{avatar.METADATA}'>{infos}</metadata></item>"
    inner = f"<items node='{avatar.METADATA}'>{item}</items>"
    event = f"<event xmlns='http://jabber.org/protocol/pubsub#event'>{inner}</event>"
    return f"<message type='headline' from='{from_}' to='{ROMEO}/1'>{event}</message>"


def info(data: bytes = PNG, **changes: Any) -> str:
    values = {"id": sha1(data), "bytes": len(data), "type": "image/png", **changes}
    return "<info " + " ".join(f"{key}='{value}'" for key, value in values.items()) + "/>"


def gives(server: Server, data: bytes | None) -> list[Any]:
    """Answer requests for avatar data with these octets; return the requests as they come."""
    asked: list[Any] = []

    def answer(iq: Any) -> PubSub:
        asked.append(iq)
        items = iq.payload.items
        held = () if data is None else (Item(id=items.items[0].id, payload=xml.Payload(avatar.Data(data=data))),)
        return PubSub(items=RawItems(node=items.node, items=held))

    server.answer(PubSubGet, answer)
    return asked


@pytest.mark.item("D11.avatars.3")
def test_formats_are_told_by_the_first_octets() -> None:
    vectors = {
        PNG: "image/png",
        b"\xff\xd8\xff\xe0": "image/jpeg",
        b"GIF89a..": "image/gif",
        b"GIF87a..": "image/gif",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
        b"RIFF\x00\x00\x00\x00WAVE": None,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>": None,
        b"<html>": None,
        b"": None,
    }
    assert {data: image_type(data) for data in vectors} == vectors


@pytest.mark.item("D11.avatars.3")
def test_an_image_is_what_was_announced_or_an_error() -> None:
    assert verified(PNG, sha1(PNG).upper(), len(PNG)).hash == sha1(PNG)
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"
    for data, hash, size in (
        (PNG, sha1(OTHER), None),
        (PNG, sha1(PNG), len(PNG) + 1),
        (svg, sha1(svg), len(svg)),
        (b"\x89PNG\r\n\x1a\n" + bytes(300 << 10), sha1(b"\x89PNG\r\n\x1a\n" + bytes(300 << 10)), None),
        (b"", sha1(b""), 0),
    ):
        with pytest.raises(Unverified):
            verified(data, hash, size)


@pytest.mark.item("D11.avatars.5")
def test_a_cache_keeps_what_was_used_last() -> None:
    cache = AvatarCache(octets=3 * len(PNG))
    avatars = [verified(PNG + bytes([n]), sha1(PNG + bytes([n]))) for n in range(4)]
    for each in avatars[:2]:
        cache.put(each)
    assert cache.get(avatars[0].hash.upper()) == avatars[0]
    cache.put(avatars[2])
    assert cache.get(avatars[1].hash) is None
    assert cache.get(avatars[0].hash) == avatars[0]
    cache.put(verified(PNG + bytes(10_000), sha1(PNG + bytes(10_000))))
    assert len(cache) == 2


@pytest.mark.item("D11.avatars.4")
@pytest.mark.item("D11.avatars.1")
@on_every_bench(accounts=2)
async def test_an_avatar_is_set_seen_and_taken_back(bench: Bench) -> None:
    romeo, juliet = bench.clients
    await romeo.send(Presence())
    await juliet.send(Presence())
    await befriend(romeo, juliet)
    data = PNG + bench.names[1].encode()
    async with open_avatars(romeo) as avatars, avatars.changes() as changes:
        await present(romeo)
        image = await set_avatar(juliet, data, width=1, height=1)
        assert image.type == "image/png"
        found = await avatars.fetch(juliet.jid)
        assert found is not None
        assert (found.hash, found.data) == (image.hash, data)
        while (await anext(changes)).hash != image.hash:
            pass
        await disable_avatar(juliet)
        item = await pubsub.fetch_item(romeo, pubsub.Node(avatar.METADATA, avatar.Metadata), owner=juliet.jid.bare)
        assert item is not None
        assert item.payload == avatar.Metadata()


@pytest.mark.item("D11.avatars.1")
async def test_a_server_that_converts_gets_no_vcard_and_no_hash_from_us(autojump_clock: Any) -> None:
    for converts in (False, True):
        async with open_server(contacts=CONTACTS) as server, connect(server) as client:
            if converts:
                server.features.account.features.append("urn:xmpp:pep-vcard-conversion:0")
            await change_vcard(client, full_name="Romeo")
            async with connect(server, resource="2") as other, announced_avatar(other):
                await set_avatar(client, PNG)
                card = await fetch_vcard(client)
                assert card.full_name == "Romeo"
                assert [photo.data for photo in card.photos] == ([] if converts else [PNG])
                async with connect(server, "juliet") as juliet, juliet.presences.subscribe(from_=ROMEO) as inbox:
                    await juliet.send(Presence())
                    await other.send(Presence())
                    presence = await anext(inbox)
                    update = presence.get(VCardUpdate)
                    assert (None if update is None else update.photo) == (None if converts else "")
            async with (
                connect(server, resource="3") as third,
                announced_avatar(third),
                connect(server, "juliet") as juliet,
                juliet.presences.subscribe(from_=ROMEO) as inbox,
            ):
                await juliet.send(Presence())
                await third.send(Presence())
                update = (await anext(inbox)).get(VCardUpdate)
                assert (None if update is None else update.photo) == (None if converts else sha1(PNG))


@pytest.mark.item("D11.avatars.1")
async def test_presence_is_sent_again_when_our_photo_has_changed(autojump_clock: Any) -> None:
    for converts in (False, True):
        async with open_server(contacts=CONTACTS) as server, connect(server) as client:
            if converts:
                server.features.account.features.append("urn:xmpp:pep-vcard-conversion:0")

            def photos(client: Client) -> list[str | None]:
                updates = [each.find("{vcard-temp:x:update}x") for each in sent(server, client, "presence")]
                return [None if each is None else each.findtext("{vcard-temp:x:update}photo") for each in updates]

            async with announced_avatar(client), open_caps(client, node="https://example.org"), appear(client):
                await trio.testing.wait_all_tasks_blocked()
                await set_avatar(client, PNG)
                await trio.testing.wait_all_tasks_blocked()
                assert photos(client) == ([None, None] if converts else ["", sha1(PNG)])
                await set_avatar(client, PNG)
                with client.offers("urn:example:new"):  # another service sends the presence again
                    await trio.sleep(1)
                await trio.sleep(1)
                assert set(photos(client)[2:]) == {None if converts else sha1(PNG)}
                await disable_avatar(client)
                await trio.sleep(1)
                assert photos(client)[-1] == (None if converts else "")
            count = len(photos(client))
            await set_avatar(client, OTHER)
            await trio.sleep(1)
            assert len(photos(client)) == count


@pytest.mark.item("D11.avatars.1")
async def test_a_photo_that_another_client_of_ours_announces_is_announced_by_us_too(autojump_clock: Any) -> None:
    async with (
        open_server(contacts=CONTACTS) as server,
        connect(server) as one,
        connect(server, resource="2") as other,
        announced_avatar(one),
        announced_avatar(other),
        appear(one),
        appear(other),
    ):
        await trio.testing.wait_all_tasks_blocked()
        await set_avatar(one, PNG)
        await trio.testing.wait_all_tasks_blocked()
        for client in (one, other):
            updates = [each.findtext("*/{vcard-temp:x:update}photo") for each in sent(server, client, "presence")]
            assert updates == ["", sha1(PNG)]


async def test_the_same_photo_is_not_uploaded_twice(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        for _ in range(2):
            await set_avatar(client, PNG)
        tags = [each.stanza for each in server.log if each.stanza.find("{vcard-temp}vCard") is not None]
        assert [each.get("type") for each in tags].count("set") == 1


async def test_an_image_that_no_client_could_show_is_not_published(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        for data in (b"<svg/>", b"", PNG + bytes(300 << 10)):
            with pytest.raises(ValueError, match="avatar"):
                await set_avatar(client, data)
        assert not server.log


# --- those of others


@pytest.mark.item("D11.avatars.1")
async def test_a_hash_in_a_presence_counts_only_without_an_avatar_in_nodes(autojump_clock: Any) -> None:
    def presence(photo: str) -> str:
        update = f"<x xmlns='vcard-temp:x:update'>{photo}</x>"
        return f"<presence from='{JULIET}/balcony' to='{ROMEO}/1'>{update}</presence>"

    async with (
        open_server(contacts=CONTACTS) as server,
        connect(server) as client,
        open_avatars(client) as avatars,
        avatars.changes() as changes,
    ):
        inject(client.stream, presence(""))
        assert avatars.hash_of(JULIET) is None
        inject(client.stream, presence(f"<photo>{sha1(OTHER).upper()}</photo>"))
        assert avatars.hash_of(JULIET) == sha1(OTHER)
        inject(client.stream, announced(info()))
        await trio.testing.wait_all_tasks_blocked()
        assert avatars.hash_of(JULIET) == sha1(PNG)
        inject(client.stream, presence(f"<photo>{sha1(OTHER)}</photo>"))
        inject(client.stream, presence("<photo/>"))
        assert avatars.hash_of(JULIET) == sha1(PNG)
        inject(client.stream, announced(""))
        await trio.testing.wait_all_tasks_blocked()
        assert [each.hash for each in changes.take_all()] == [sha1(OTHER), sha1(PNG), None]
        assert await avatars.fetch(JULIET) is None


async def test_an_avatar_in_a_vcard_is_found_by_its_hash(autojump_clock: Any) -> None:
    async with open_server(contacts=CONTACTS) as server, connect(server) as client, open_avatars(client) as avatars:
        server.answer(VCardQuery, lambda iq: VCard(photos=(Photo(type="image/jpeg", data=PNG),)))
        update = f"<x xmlns='vcard-temp:x:update'><photo>{sha1(PNG)}</photo></x>"
        inject(client.stream, f"<presence from='{JULIET}/1' to='{ROMEO}/1'>{update}</presence>")
        found = await avatars.fetch(JULIET)
        assert found is not None
        assert (found.data, found.type) == (PNG, "image/png"), "the type is that of the octets"


@on_every_bench(accounts=2)
async def test_an_avatar_in_a_vcard_is_found_on_every_server(bench: Bench) -> None:
    romeo, juliet = bench.clients
    data = PNG + bench.names[1].encode()
    async with open_avatars(romeo) as avatars:
        await romeo.send(Presence())
        await juliet.send(Presence())
        await befriend(romeo, juliet)
        await change_vcard(juliet, photos=(Photo(type="image/png", data=data),))
        presence = Presence(payloads=[VCardUpdate(photo=sha1(data))])
        async with romeo.presences.subscribe(from_=juliet.jid) as inbox:
            await juliet.send(presence)
            while (update := (await anext(inbox)).get(VCardUpdate)) is None or update.photo != sha1(data):
                pass
        found = await avatars.fetch(juliet.jid)
        assert found is not None
        assert (found.hash, found.data) == (sha1(data), data)


@pytest.mark.item("D11.avatars.1")
@on_every_bench(accounts=2)
async def test_an_avatar_is_in_the_vcard_where_the_server_converts(bench: Bench) -> None:
    romeo, juliet = bench.clients
    if bench.server is not None:
        pytest.skip(f"{bench.label} does not convert avatars")
    await bench.needs("urn:xmpp:pep-vcard-conversion:0", bench.jid(0), "for XEP-0398")
    for client in bench.clients:
        await client.send(Presence())
    await befriend(romeo, juliet)
    await set_avatar(juliet, PNG + bench.names[1].encode())
    card = await fetch_vcard(romeo, juliet.jid.bare)
    assert [photo.data for photo in card.photos] == [PNG + bench.names[1].encode()]


@pytest.mark.item("B2.15")
@pytest.mark.item("D11.avatars.2")
async def test_four_images_at_a_time_after_the_archives_and_each_hash_once(autojump_clock: Any) -> None:
    under_way, most, asked = 0, 0, 0
    names = [JID.parse(f"user{number}@example.test") for number in range(40)]
    caught_up = trio.Event()

    async def answer(iq: Any) -> PubSub:
        nonlocal under_way, most, asked
        asked += 1
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(5)
        under_way -= 1
        items = iq.payload.items
        number = int(str(iq.to.local).removeprefix("user"))
        payload = xml.Payload(avatar.Data(data=PNG + bytes([number // 2])))
        return PubSub(items=RawItems(node=items.node, items=(Item(id=items.items[0].id, payload=payload),)))

    accounts = {"romeo": "secret", **{str(name.local): "secret" for name in names}}
    async with open_server(accounts=accounts) as server, connect(server) as client:
        server.answer(PubSubGet, answer)
        async with open_avatars(client, owners=lambda jid: True, after=caught_up.wait, cache=AvatarCache()) as avatars:
            for number, name in enumerate(names):
                inject(client.stream, announced(info(PNG + bytes([number // 2])), name))
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(avatars.fetch, name)
                await trio.sleep(60)
                assert asked == 0, "the archives come first"
                caught_up.set()
            assert (most, asked) == (4, 20)
            await avatars.fetch(names[0])
            assert asked == 20


@pytest.mark.item("D11.avatars.6")
async def test_an_image_that_is_not_what_was_announced_is_refused_and_not_asked_for_again(autojump_clock: Any) -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    vectors = {
        "another hash": (OTHER, info(PNG, bytes=len(OTHER))),
        "another size": (PNG, info(PNG, bytes=len(PNG) - 1)),
        "XML": (svg, info(svg)),
        "nothing": (None, info(PNG)),
    }
    for title, (data, described) in vectors.items():
        async with open_server(contacts=CONTACTS) as server, connect(server) as client, open_avatars(client) as avatars:
            asked = gives(server, data)
            inject(client.stream, announced(described))
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(3):
                with pytest.raises(Unverified):
                    await avatars.fetch(JULIET)
            assert len(asked) == 1, title


@pytest.mark.item("D11.avatars.6")
async def test_an_image_that_cannot_be_verified_is_not_chosen(autojump_clock: Any) -> None:
    vectors = (
        info(url="https://example.org/a.png"),
        info(type="image/svg+xml"),
        info(bytes=10 << 20),
        info(id="../../etc/passwd"),
        "<info/>",
        "<pointer/>",
    )
    async with open_server(contacts=CONTACTS) as server, connect(server) as client, open_avatars(client) as avatars:
        asked = gives(server, PNG)
        for described in vectors:
            inject(client.stream, announced(described))
            await trio.testing.wait_all_tasks_blocked()
            assert avatars.hash_of(JULIET) is None, described
        inject(client.stream, announced("".join(vectors) + info(id=sha1(PNG).upper())))
        await trio.testing.wait_all_tasks_blocked()
        assert await avatars.fetch(JULIET) is not None
        assert len(asked) == 1


@pytest.mark.item("D11.avatars.6")
async def test_ten_thousand_changes_cost_no_request_and_bounded_memory(autojump_clock: Any) -> None:
    async with open_server(contacts=CONTACTS) as server, connect(server) as client, open_avatars(client) as avatars:
        sent = len(server.log)
        for number in range(10_000):
            inject(client.stream, announced(info(id=f"{number:040x}")))
            if number % 500 == 0:
                await trio.testing.wait_all_tasks_blocked()
        for number in range(12_000):
            update = f"<x xmlns='vcard-temp:x:update'><photo>{number:040x}</photo></x>"
            inject(client.stream, f"<presence from='s{number}@example.org/1' to='{ROMEO}/1'>{update}</presence>")
        await trio.testing.wait_all_tasks_blocked()
        assert len(server.log) == sent
        assert avatars.hash_of("s0@example.org") is None, "the oldest are forgotten"
        assert avatars.hash_of("s11999@example.org") == f"{11999:040x}"


async def test_a_stranger_is_not_believed(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, open_avatars(client) as avatars:
        inject(client.stream, announced(info()))
        await trio.testing.wait_all_tasks_blocked()
        assert avatars.hash_of(JULIET) is None


async def test_a_task_that_is_cancelled_leaves_the_image_to_the_others(autojump_clock: Any) -> None:
    async with open_server(contacts=CONTACTS) as server, connect(server) as client, open_avatars(client) as avatars:
        asked = gives(server, PNG)
        inject(client.stream, announced(info()))
        await trio.testing.wait_all_tasks_blocked()
        found = []

        async def fetch() -> None:
            found.append(await avatars.fetch(JULIET))

        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                nursery.start_soon(fetch)
                scope.cancel()
                await avatars.fetch(JULIET)
        assert [each and each.data for each in found] == [PNG]
        assert len(asked) <= 2


async def test_an_account_of_which_nothing_was_heard_is_asked(autojump_clock: Any) -> None:
    async with open_server(accounts=dict.fromkeys(("romeo", "juliet", "nurse"), "secret"), contacts=CONTACTS) as server:
        async with connect(server, "juliet") as juliet, connect(server, "nurse") as nurse:
            await set_avatar(juliet, PNG)
            await change_vcard(nurse, photos=(Photo(type="image/png", data=OTHER),))
        async with connect(server) as client, open_avatars(client) as avatars:
            found = await avatars.fetch(JULIET)
            assert found is not None
            assert found.data == PNG
            # A node of a stranger cannot be read, but the vCard can.
            stranger = JID.parse("nurse@example.test")
            found = await avatars.fetch(stranger)
            assert found is not None
            assert found.data == OTHER
            assert avatars.hash_of(stranger) == sha1(OTHER)


async def test_a_node_that_is_deleted_shows_no_avatar_any_more(autojump_clock: Any) -> None:
    def event(what: str) -> str:
        inner = f"<event xmlns='http://jabber.org/protocol/pubsub#event'>{what}</event>"
        return f"<message type='headline' from='{JULIET}' to='{ROMEO}/1'>{inner}</message>"

    async with open_server(contacts=CONTACTS) as server, connect(server) as client, open_avatars(client) as avatars:
        ends = [f"<{end} node='{avatar.METADATA}'/>" for end in ("purge", "delete")]
        ends.append(f"<items node='{avatar.METADATA}'><retract id='x'/></items>")
        for end in ends:
            inject(client.stream, announced(info()))
            await trio.testing.wait_all_tasks_blocked()
            assert avatars.hash_of(JULIET) == sha1(PNG)
            inject(client.stream, event(end))
            await trio.testing.wait_all_tasks_blocked()
            assert avatars.hash_of(JULIET) is None
            assert await avatars.fetch(JULIET) is None


async def test_an_occupant_of_a_room_is_asked_for_the_image_in_its_vcard(autojump_clock: Any) -> None:
    """A room passes the request on to the occupant; here it goes to the client itself."""
    card = VCard(photos=(Photo(type="image/png", data=PNG),))
    async with (
        open_server(contacts=CONTACTS) as server,
        connect(server) as client,
        connect(server, "juliet", "occupant") as juliet,
        open_avatars(client) as avatars,
    ):
        with juliet.answer(VCardQuery, lambda iq: card):
            found = await avatars.fetch_occupant(juliet.jid)
            assert found is not None
            assert found.data == PNG
            card = VCard()
            assert await avatars.fetch_occupant(str(juliet.jid)) is None


async def test_changes_are_values(autojump_clock: Any) -> None:
    async with open_server(contacts=CONTACTS) as server, connect(server) as client, open_avatars(client) as avatars:
        async with avatars.changes() as changes:
            inject(client.stream, announced(info()))
            assert await anext(changes) == AvatarChanged(JULIET, sha1(PNG))
        with pytest.raises(XMPPError):
            server.answer(PubSubGet, _refuse)
            await avatars.fetch(JULIET)


def _refuse(iq: Any) -> None:
    raise trioxmpp.XMPPCancelError(trioxmpp.StanzaCondition.FORBIDDEN)
