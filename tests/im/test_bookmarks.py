"""Bookmarks: where a server keeps them, what survives a change, and the rooms that they open (XEP-0402, XEP-0048)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from tests.capable import present
from tests.dialogs import renewed
from trioxmpp import IQ, JID, Client, Presence, StanzaCondition, XMPPCancelError, XMPPError, xml
from trioxmpp.im.bookmarks import (
    Bookmark,
    BookmarkRemoved,
    BookmarkSet,
    RoomOpened,
    RoomRefused,
    open_bookmarked_rooms,
    open_bookmarks,
)
from trioxmpp.im.bookmarks.stores import PrivateStore
from trioxmpp.protocol.elements import bookmark_storage, bookmarks
from trioxmpp.protocol.elements.private import PrivateQuery, SetPrivate
from trioxmpp.protocol.elements.pubsub import Item, Publish, PubSubSet
from trioxmpp.protocol.elements.version import Version
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.xep import pubsub
from trioxmpp.xep.muc import open_room

ORCHARD = JID.parse("orchard@conference.example.test")
BALCONY = JID.parse("balcony@conference.example.test")
NATIVE = pubsub.Node(bookmarks.NS, bookmarks.Conference, multi=True, options=pubsub.PRIVATE)
LIST = pubsub.Node(bookmark_storage.NS, bookmark_storage.Storage, options=pubsub.PRIVATE)
RAW = pubsub.Node(bookmarks.NS, xml.Element, multi=True, options=pubsub.PRIVATE)
#: Servers of the three kinds.
KINDS = ("native", "list", "private")


def serve(kind: str, **options: Any) -> Any:
    return open_server(dialect=Dialect.EJABBERD_23 if kind == "list" else Dialect.PROSODY_13, **options)


def prepare(server: Server, kind: str) -> None:
    if kind == "private":
        features = server.features.account.features
        features[:] = [each for each in features if "bookmarks" not in each]


def connect(server: Server, resource: str = "1", name: str = "romeo") -> Any:
    return trioxmpp.connect(f"{name}@example.test/{resource}", "secret", endpoint=server.endpoint, allow_plaintext=True)


async def in_private(client: Client) -> bookmark_storage.Storage:
    answer = await client.request(PrivateQuery(payload=xml.Payload(bookmark_storage.Storage())))
    assert answer.payload is not None
    found = answer.payload.get(bookmark_storage.Storage)
    assert found is not None
    return found


async def is_there(client: Client, node: pubsub.Node[Any]) -> bool:
    try:
        return bool(await pubsub.fetch(client, node))
    except XMPPError:
        return False


@pytest.mark.item("D8.1")
async def test_each_kind_of_server_is_used_in_one_way_only(autojump_clock: Any) -> None:
    for kind in KINDS:
        async with serve(kind) as server:
            prepare(server, kind)
            async with connect(server) as client, open_bookmarks(client) as book:
                await book.put(Bookmark(ORCHARD, name="Orchard", autojoin=True, nick="Romeo"))
                places = (
                    await is_there(client, NATIVE),
                    await is_there(client, LIST),
                    bool((await in_private(client)).conferences),
                )
                assert places == tuple(kind == each for each in KINDS), kind
            async with connect(server, "2") as client, open_bookmarks(client) as book:
                assert dict(book) == {ORCHARD: Bookmark(ORCHARD, name="Orchard", autojoin=True, nick="Romeo")}, kind
                await book.remove(ORCHARD)
                await book.remove(BALCONY)
                assert dict(book) == {}
            async with connect(server, "3") as client, open_bookmarks(client) as book:
                assert dict(book) == {}, kind


@pytest.mark.parametrize("kind", ["native", "list"])
@pytest.mark.parametrize("other", ["silent", "refusing", "malformed"])
async def test_places_that_are_not_used_do_no_harm(autojump_clock: Any, kind: str, other: str) -> None:
    async def answer(iq: IQ) -> object:
        if other == "silent":
            await trio.sleep_forever()
        if other == "refusing":
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        return Version(name="No storage")

    async with serve(kind) as server, connect(server, "1") as client:
        async with open_bookmarks(client) as book:
            await book.put(Bookmark(ORCHARD))
        server.answer(PrivateQuery, answer)
        async with connect(server, "2") as later:
            began = trio.current_time()
            async with open_bookmarks(later) as book:
                assert [*book] == [ORCHARD]
                assert trio.current_time() - began < 1


@on_every_bench(accounts=1)
async def test_bookmarks_are_kept_by_the_server(bench: Bench) -> None:
    room = JID.parse(bench.room())
    async with open_bookmarks(bench.clients[0]) as book:
        await book.put(Bookmark(room, name="Orchard", nick="Romeo", password="wherefore", autojoin=True))
        await book.change(room, name="The orchard")
    async with bench.connect(0, "other") as other, open_bookmarks(other) as book:
        assert book[room] == Bookmark(room, name="The orchard", nick="Romeo", password="wherefore", autojoin=True)
        await book.remove(str(room))
    async with open_bookmarks(bench.clients[0]) as book:
        assert room not in book


@on_every_bench(accounts=1)
async def test_a_list_in_private_storage_is_kept_by_the_server(bench: Bench) -> None:
    room, (client,) = JID.parse(bench.room()), bench.clients
    store = PrivateStore(client, 10, lambda bookmarks: None)
    await store.put(Bookmark(room, name="Orchard", nick="Romeo", autojoin=True))
    async with bench.connect(0, "other") as other:
        assert [each.jid for each in (await in_private(other)).conferences] == [room]
        elsewhere = PrivateStore(other, 10, lambda bookmarks: None)
        assert await elsewhere.current(room) == Bookmark(room, name="Orchard", nick="Romeo", autojoin=True)
        await elsewhere.remove(room)
    assert await store.current(room) is None


@pytest.mark.item("B2.20")
@pytest.mark.item("D8.2")
async def test_extensions_and_unknown_children_survive_a_change(autojump_clock: Any) -> None:
    text = (
        f"<conference xmlns='{bookmarks.NS}' autojoin='1' name='old'><nick>Romeo</nick>"
        "<strange xmlns='urn:s'>kept</strange><extensions><pinned xmlns='urn:p' place='3'/></extensions></conference>"
    )
    async with open_server() as server, connect(server) as client:
        await client.request(_publishing(text, str(ORCHARD)))
        async with open_bookmarks(client) as book:
            assert book[ORCHARD].autojoin
            # Another client adds an extension, of which no event tells us.
            await client.request(_publishing(text.replace("place='3'", "place='4'"), str(ORCHARD)))
            await book.change(ORCHARD, name="new", autojoin=False)
        (item,) = await pubsub.fetch(client, RAW)
        assert item.payload is not None
        new = xml.serialise(item.payload, "")
        assert "place='4'" in new.replace('"', "'")
        assert "kept" in new
        assert (item.payload.get("name"), item.payload.findtext("{*}nick")) == ("new", "Romeo")
        assert item.payload.get("autojoin") in (None, "false", "0")


def _publishing(text: str, id: str) -> Any:
    item = Item(id=id, payload=xml.Payload(xml.fromstring(text)))
    return PubSubSet(publish=Publish(node=bookmarks.NS, items=(item,)))


@pytest.mark.item("D8.2")
async def test_a_list_keeps_what_this_client_does_not_know(autojump_clock: Any) -> None:
    text = (
        "<storage xmlns='storage:bookmarks'><url url='https://example.org' name='Home'/>"
        f"<conference jid='{ORCHARD}' name='a'><strange xmlns='urn:s'>kept</strange></conference>"
        f"<conference jid='{BALCONY}' name='b' autojoin='1'/><odd xmlns='urn:o'/></storage>"
    )
    async with serve("private") as server:
        prepare(server, "private")
        async with connect(server) as client:
            await client.request(SetPrivate(payload=xml.Payload(xml.fromstring(text))))
            async with open_bookmarks(client) as book:
                await book.change(ORCHARD, name="A")
                await book.remove(BALCONY)
            found = await in_private(client)
            assert [each.name for each in found.urls] == ["Home"]
            assert [each.tag for each in found.others] == ["{urn:o}odd"]
            (conference,) = found.conferences
            assert conference.name == "A"
            assert [each.text for each in conference.others] == ["kept"]


@pytest.mark.item("D8.5")
async def test_every_form_of_true_means_autojoin(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        forms = {"1": True, "true": True, "0": False, "false": False, "yes": False, "": False}
        for number, form in enumerate(forms):
            text = f"<conference xmlns='{bookmarks.NS}' autojoin='{form}'/>"
            await client.request(_publishing(text, f"room{number}@conference.example.test"))
            # The node keeps one item by default.
            await pubsub.configure(client, NATIVE, pubsub.PRIVATE)
        async with open_bookmarks(client) as book:
            assert [bookmark.autojoin for bookmark in book.values()] == [*forms.values()]


@pytest.mark.item("D8.6")
async def test_two_clients_that_change_two_bookmarks_at_once_lose_none(autojump_clock: Any) -> None:
    for kind in KINDS:
        async with serve(kind) as server:
            prepare(server, kind)
            async with (
                connect(server) as one,
                connect(server, "2") as other,
                open_bookmarks(one) as ours,
                open_bookmarks(other) as theirs,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(ours.put, Bookmark(ORCHARD, name="ours"))
                nursery.start_soon(theirs.put, Bookmark(BALCONY, name="theirs"))
            async with connect(server, "3") as client, open_bookmarks(client) as book:
                assert {jid: each.name for jid, each in book.items()} == {ORCHARD: "ours", BALCONY: "theirs"}, kind


@pytest.mark.item("D8.8")
async def test_an_item_whose_id_is_no_room_is_skipped(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        await pubsub.create(client, NATIVE)
        text = f"<conference xmlns='{bookmarks.NS}' autojoin='1'/>"
        for id in ("current", "room@conference.example.test/nick", "@", "a b", "x" * 2000, "conference.example.test"):
            await client.request(_publishing(text, id))
        await client.request(_publishing("<other xmlns='urn:o'/>", "other@conference.example.test"))
        await client.request(_publishing(text, str(ORCHARD)))
        async with open_bookmarks(client) as book:
            assert [*book] == [ORCHARD]
            for wrong in ("conference.example.test", f"{ORCHARD}/nick"):
                with pytest.raises(ValueError, match="address of a room"):
                    await book.put(Bookmark(JID.parse(wrong)))


@pytest.mark.item("B2.20")
async def test_the_events_of_other_clients_are_followed(autojump_clock: Any) -> None:
    for kind in ("native", "list"):
        async with (
            serve(kind) as server,
            connect(server) as client,
            connect(server, "2") as other,
            open_bookmarks(client) as book,
            open_bookmarks(other) as theirs,
            book.changes() as changes,
        ):
            await present(client)
            await other.send(Presence())
            await trio.testing.wait_all_tasks_blocked()
            await theirs.put(Bookmark(ORCHARD, name="a"))
            assert await anext(changes) == BookmarkSet(Bookmark(ORCHARD, name="a"))
            await theirs.change(ORCHARD, autojoin=True)
            new = Bookmark(ORCHARD, name="a", autojoin=True)
            assert await anext(changes) == BookmarkSet(new, Bookmark(ORCHARD, name="a"))
            if kind == "native" and not server.dialect.tells_of_retraction:
                continue
            await theirs.remove(ORCHARD)
            assert await anext(changes) == BookmarkRemoved(new)
            assert dict(book) == {}


async def test_a_new_session_finds_what_has_changed(autojump_clock: Any) -> None:
    for kind in KINDS:
        async with serve(kind) as server:
            prepare(server, kind)
            async with (
                connect(server) as client,
                connect(server, "2") as other,
                open_bookmarks(client) as book,
                open_bookmarks(other) as theirs,
                book.changes() as changes,
            ):
                await theirs.put(Bookmark(ORCHARD, name="a"))
                await trio.testing.wait_all_tasks_blocked()
                assert dict(book) == {}, "without presence no events come"
                await renewed(server, client)
                assert changes.take_all() == [BookmarkSet(Bookmark(ORCHARD, name="a"))], kind


async def test_a_client_hears_of_its_own_change_once(autojump_clock: Any) -> None:
    for kind in KINDS:
        async with serve(kind) as server:
            prepare(server, kind)
            async with connect(server) as client, open_bookmarks(client) as book, book.changes() as changes:
                await present(client)
                await trio.testing.wait_all_tasks_blocked()
                await book.put(Bookmark(ORCHARD, name="a"))
                await trio.testing.wait_all_tasks_blocked()
                assert changes.take_all() == [BookmarkSet(Bookmark(ORCHARD, name="a"))], kind


async def test_a_password_is_not_shown(autojump_clock: Any) -> None:
    assert "wherefore" not in repr(Bookmark(ORCHARD, password="wherefore"))


# --- rooms


@pytest.mark.item("D4.30")
@pytest.mark.item("D8.3")
@pytest.mark.item("D8.4")
@pytest.mark.item("D8.7")
async def test_bookmarks_of_other_clients_open_and_close_rooms(autojump_clock: Any) -> None:
    async with (
        open_server(rooms=True) as server,
        connect(server, name="juliet") as juliet,
        open_room(juliet, ORCHARD, "Juliet", create=True),
        open_room(juliet, BALCONY, "Juliet", create=True),
        connect(server) as client,
        connect(server, "2") as other,
        open_bookmarks(client) as book,
        open_bookmarks(other) as theirs,
    ):
        await present(client)
        await book.put(Bookmark(ORCHARD, autojoin=True, nick="R."))
        async with open_bookmarked_rooms(client, book, nick="Romeo") as rooms:
            await trio.testing.wait_all_tasks_blocked()
            assert {jid: room.nick for jid, room in rooms.items()} == {ORCHARD: "R."}
            await theirs.put(Bookmark(BALCONY, autojoin=True))
            await trio.testing.wait_all_tasks_blocked()
            assert rooms[BALCONY].nick == "Romeo"
            stay = rooms[BALCONY]
            await theirs.change(BALCONY, name="The balcony")
            await trio.testing.wait_all_tasks_blocked()
            assert rooms[BALCONY] is stay, "a name is no reason to leave"
            await theirs.change(ORCHARD, autojoin=False)
            await theirs.remove(BALCONY)
            await trio.testing.wait_all_tasks_blocked()
            assert dict(rooms) == {}
            await theirs.change(ORCHARD, autojoin=True)
            await trio.testing.wait_all_tasks_blocked()
            assert [*rooms] == [ORCHARD]
        assert not rooms


async def test_a_room_that_refuses_holds_up_no_other(autojump_clock: Any) -> None:
    async with (
        open_server(rooms=True) as server,
        connect(server, name="juliet") as juliet,
        open_room(juliet, ORCHARD, "Romeo", create=True),
        open_room(juliet, BALCONY, "Juliet", create=True),
        connect(server) as client,
        open_bookmarks(client) as book,
    ):
        await book.put(Bookmark(ORCHARD, autojoin=True))
        await book.put(Bookmark(BALCONY, autojoin=True))
        async with open_bookmarked_rooms(client, book, nick="Romeo") as rooms, rooms.on_change.subscribe() as changes:
            first, second = await anext(changes), await anext(changes)
            by_kind = {type(each): each for each in (first, second)}
            assert by_kind.keys() == {RoomRefused, RoomOpened}
            assert by_kind[RoomRefused].jid == ORCHARD
            await book.change(ORCHARD, nick="R.")
            assert isinstance(await anext(changes), RoomOpened)
            assert rooms[ORCHARD].nick == "R."


@pytest.mark.item("D8.9")
async def test_ten_thousand_autojoins_enter_a_hundred_rooms_ten_at_a_time(autojump_clock: Any) -> None:
    async with open_server(rooms=True) as server, connect(server) as client, open_bookmarks(client) as book:
        book.learn([Bookmark(JID(f"r{n}", "conference.example.test", None), autojoin=True) for n in range(10_000)])
        most = 0

        def entering(presence: Presence) -> Presence:
            nonlocal most
            under_way.add(presence.to)
            most = max(most, len(under_way))
            return presence

        under_way: set[JID | None] = set()
        async with open_bookmarked_rooms(client, book, nick="Romeo") as rooms, rooms.on_change.subscribe() as changes:
            with client.stream.service_outbound_presence_filter.context_register(entering, 0):
                done = set()
                while len(done) < 100:
                    change = await anext(changes)
                    assert isinstance(change, RoomOpened | RoomRefused)
                    done.add(change.room.jid if isinstance(change, RoomOpened) else change.jid)
                    under_way -= {JID(jid.local, jid.domain, "Romeo") for jid in done}
            await trio.testing.wait_all_tasks_blocked()
            assert changes.take_all() == []
            assert most == 10
