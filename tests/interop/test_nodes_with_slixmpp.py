"""Nodes: a client of ours and one of slixmpp publish, watch and read what the other has published."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.interop.conftest import Stage
from tests.interop.driver import PeerError, SlixmppClient, becomes, eventually
from trioxmpp import JID, Client, XMPPError, xml
from trioxmpp.im.avatars import AvatarChanged, announced_avatar, open_avatars, set_avatar
from trioxmpp.im.bookmarks import Bookmark, BookmarkRemoved, BookmarkSet, open_bookmarked_rooms, open_bookmarks
from trioxmpp.im.presence import appear, open_presence
from trioxmpp.im.roster import Roster, open_roster
from trioxmpp.record import replace
from trioxmpp.xep import pubsub
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.nick import NICKS, nick_of, set_nick
from trioxmpp.xep.pep import mirrored, watch
from trioxmpp.xep.vcard import change_vcard, fetch_vcard

CAPS = "https://example.org/interop"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OTHER = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


@xml.element("http://jabber.org/protocol/tune", "tune")
class Tune:
    """The music that a person listens to (XEP-0118); the tests need two of its fields."""

    artist: str | None = xml.child_text("artist", default=None)
    title: str | None = xml.child_text("title", default=None)


TUNES = pubsub.Node("http://jabber.org/protocol/tune", Tune)
OPTIONS = pubsub.Options(access=pubsub.Access.OPEN, max_items=10)


@asynccontextmanager
async def two_friends(stage: Stage) -> AsyncIterator[tuple[Client, Roster, SlixmppClient]]:
    """Our client and slixmpp, of accounts that are subscribed to each other. Ours is not available yet."""
    romeo, juliet = await stage.friends()
    async with (
        stage.slixmpp(juliet) as slixmpp,
        stage.ours(romeo) as client,
        open_caps(client, node=CAPS),
        open_roster(client) as roster,
    ):
        yield client, roster, slixmpp


async def test_each_side_hears_what_the_other_publishes(stage: Stage) -> None:
    async with (
        two_friends(stage) as (client, roster, slixmpp),
        watch(client, TUNES, owners=roster) as changes,
        appear(client),
    ):
        await slixmpp.call("xep_0115.update_caps", broadcast=False)
        await slixmpp.appear()
        await slixmpp.call("xep_0118.publish_tune", artist="Yes", title="Heart of the Sunrise")
        heard: Any = await anext(changes)
        assert heard.owner == slixmpp.jid.bare
        assert heard.payload == Tune(artist="Yes", title="Heart of the Sunrise")
        await pubsub.publish(client, TUNES, Tune(artist="Genesis", title="Firth of Fifth"))
        event = await slixmpp.event("user_tune_publish", lambda data: data["from"] == str(client.jid.bare))
        assert "<artist>Genesis</artist><title>Firth of Fifth</title>" in event["$xml"]
        item = await pubsub.fetch_item(client, TUNES, owner=slixmpp.jid.bare)
        assert item is not None
        assert item.payload == heard.payload
        found = await slixmpp.call("xep_0060.get_item", str(client.jid.bare), TUNES.name, "current")
        assert "<title>Firth of Fifth</title>" in found["$xml"]


async def test_nicks_go_both_ways(stage: Stage) -> None:
    async with (
        two_friends(stage) as (client, roster, slixmpp),
        watch(client, NICKS, owners=roster) as changes,
        appear(client),
    ):
        await slixmpp.appear()
        await slixmpp.call("xep_0172.publish_nick", "Juliet")
        heard: Any = await anext(changes)
        assert heard.payload.nick == "Juliet"
        assert await nick_of(client, slixmpp.jid.bare) == "Juliet"
        await set_nick(client, "Romeo")
        event = await slixmpp.event("user_nick_publish", lambda data: data["from"] == str(client.jid.bare))
        assert ">Romeo</nick>" in event["$xml"]


async def test_an_avatar_of_slixmpp_is_seen_by_us(stage: Stage) -> None:
    digest = hashlib.sha1(PNG).hexdigest()
    async with (
        two_friends(stage) as (client, roster, slixmpp),
        open_avatars(client, owners=roster) as avatars,
        avatars.changes() as changes,
        appear(client),
    ):
        await slixmpp.appear()
        await slixmpp.call("xep_0084.publish_avatar", PNG)
        info = {"id": digest, "type": "image/png", "bytes": str(len(PNG)), "width": "1", "height": "1"}
        await slixmpp.call("xep_0084.publish_avatar_metadata", info)
        change = await anext(changes)
        assert change == AvatarChanged(slixmpp.jid.bare, digest)
        avatar = await avatars.fetch(slixmpp.jid.bare)
        assert avatar is not None
        assert (avatar.data, avatar.type, avatar.hash) == (PNG, "image/png", digest)


async def test_our_avatar_is_seen_by_slixmpp_in_the_node_and_in_the_card(stage: Stage) -> None:
    digest = hashlib.sha1(PNG).hexdigest()
    async with (
        two_friends(stage) as (client, _, slixmpp),
        announced_avatar(client),
        appear(client),
    ):
        await slixmpp.appear()
        await set_avatar(client, PNG, width=1, height=1)
        event = await slixmpp.event("avatar_metadata_publish", lambda data: data["from"] == str(client.jid.bare))
        assert f'id="{digest}"' in event["$xml"]
        assert f'bytes="{len(PNG)}"' in event["$xml"]
        found = await slixmpp.call("xep_0084.retrieve_avatar", str(client.jid.bare), digest)
        assert base64.b64encode(PNG).decode() in found["$xml"]
        hashed = await slixmpp.event(
            "vcard_avatar_update", lambda data: data["from"] == str(client.jid) and data["vcard_temp_update"]["photo"]
        )
        assert hashed["vcard_temp_update"]["photo"] == digest
        card = await slixmpp.call("xep_0054.get_vcard", client.jid.bare)
        assert f"<BINVAL>{base64.b64encode(PNG).decode()}</BINVAL>" in card["$xml"]


async def test_an_avatar_in_a_card_of_slixmpp_is_seen_by_us(stage: Stage) -> None:
    digest = hashlib.sha1(OTHER).hexdigest()
    async with (
        two_friends(stage) as (client, roster, slixmpp),
        open_avatars(client, owners=roster) as avatars,
        open_presence(client, roster),
        appear(client),
    ):
        await slixmpp.appear()
        await slixmpp.call("xep_0153.set_avatar", avatar=OTHER, mtype="image/png")
        await becomes(lambda: avatars.hash_of(slixmpp.jid.bare), digest)
        avatar = await avatars.fetch(slixmpp.jid.bare)
        assert avatar is not None
        assert (avatar.data, avatar.hash) == (OTHER, digest)


async def test_cards_are_read_as_they_were_written(stage: Stage) -> None:
    romeo, juliet = stage.user(), stage.user()
    async with stage.slixmpp(juliet) as slixmpp, stage.ours(romeo) as client:
        await slixmpp.do("vcard", name="Juliet Capulet", nickname="Jule")
        card = await fetch_vcard(client, stage.jid(juliet))
        assert (card.full_name, card.nicknames) == ("Juliet Capulet", ("Jule",))
        await change_vcard(client, full_name="Romeo Montague", nicknames=("Romeo",), description="a pilgrim")
        found = await slixmpp.call("xep_0054.get_vcard", JID.parse(stage.jid(romeo)))
        assert found["vcard_temp"]["FN"] == "Romeo Montague"
        assert "<NICKNAME>Romeo</NICKNAME>" in found["$xml"]
        # Prosody keeps a card of XEP-0292, and calls a description NOTE when it makes one of XEP-0054 of that.
        tag = "NOTE" if stage.runs("prosody") else "DESC"
        assert f"<{tag}>a pilgrim</{tag}>" in found["$xml"]


# --- bookmarks


async def test_bookmarks_of_slixmpp_are_ours_and_ours_are_slixmpps(stage: Stage) -> None:
    """Each side writes where our server keeps bookmarks, so it depends on the server which extension that is."""
    user, room, other = stage.user(), stage.room(), stage.room()
    async with (
        stage.ours(user) as client,
        open_caps(client, node=CAPS),
        open_bookmarks(client) as bookmarks,
        bookmarks.changes() as changes,
        appear(client),
        stage.slixmpp(user) as slixmpp,
    ):
        await slixmpp.appear()
        way = await way_of(client)
        await bookmarks.put(Bookmark(JID.parse(room), name="Orchard", nick="Romeo", autojoin=True))
        theirs = await eventually(lambda: slixmpp.do("bookmarks", way=way), lambda found: room in found)
        seen = theirs[room]
        assert (seen["name"], seen["nick"], seen["autojoin"]) == ("Orchard", "Romeo", True)
        own = await anext(changes)
        assert isinstance(own, BookmarkSet)
        if way == "native":
            await slixmpp.do("bookmark", room=other, name="Tomb", nick="Paris", autojoin=False, way=way)
            heard = await anext(changes)
            assert isinstance(heard, BookmarkSet)
            assert heard.bookmark == Bookmark(JID.parse(other), name="Tomb", nick="Paris", autojoin=False)
            await slixmpp.call("xep_0060.retract", stage.jid(user), "urn:xmpp:bookmarks:1", room, notify=True)
            gone = await anext(changes)
            assert isinstance(gone, BookmarkRemoved)
            assert str(gone.bookmark.jid) == room
        else:
            # A list is written as a whole.
            await slixmpp.do("bookmark", room=other, name="Tomb", nick="Paris", autojoin=False, way=way)
            async with stage.ours(user, "later") as later, open_bookmarks(later) as found:
                assert [*found.values()] == [Bookmark(JID.parse(other), name="Tomb", nick="Paris", autojoin=False)]


async def way_of(client: Client) -> str:
    """Return how the server keeps bookmarks: ``native`` (XEP-0402), or a list in ``xep_0223`` or ``xep_0049``."""
    features = (await client.disco.info(client.jid.bare)).features
    if "urn:xmpp:bookmarks:1#compat" in features or "urn:xmpp:bookmarks:1#compat-pep" in features:
        return "native"
    return "xep_0223" if "urn:xmpp:bookmarks-conversion:0" in features else "xep_0049"


async def test_we_enter_the_rooms_that_slixmpp_bookmarks(stage: Stage) -> None:
    user = stage.user()
    async with stage.slixmpp(stage.user()) as owner, stage.slixmpp(user) as slixmpp, stage.ours(user) as client:
        room = stage.room()
        await owner.call("xep_0045.join_muc_wait", JID.parse(room), "Nurse")
        await owner.do("configure", room=room, values={"muc#roomconfig_persistentroom": True})
        await slixmpp.appear()
        way = await way_of(client)
        if way != "native":
            await slixmpp.do("bookmark", room=room, name="Hall", nick="Paris", autojoin=True, way=way)
        async with (
            open_caps(client, node=CAPS),
            open_bookmarks(client) as bookmarks,
            appear(client),
            open_bookmarked_rooms(client, bookmarks, nick="Romeo") as rooms,
        ):
            if way == "native":
                await slixmpp.do("bookmark", room=room, name="Hall", nick="Paris", autojoin=True, way=way)
            await eventually(lambda: JID.parse(room) in rooms)
            assert rooms[JID.parse(room)].nick == "Paris"
            await becomes(lambda: owner.call("xep_0045.get_roster", JID.parse(room)), ["Nurse", "Paris"])


@pytest.mark.parametrize("way", ["xep_0049", "xep_0223"])
async def test_a_list_of_bookmarks_of_slixmpp_is_ours(stage: Stage, way: str) -> None:
    """A program of before XEP-0402 writes a list, into one of two places; both servers convert it."""
    user, room = stage.user(), stage.room()
    async with stage.slixmpp(user) as slixmpp, stage.ours(user) as client:
        await slixmpp.do("bookmark", room=room, name="Hall", nick="Paris", autojoin=True, way=way)
        async with open_bookmarks(client) as bookmarks:
            assert [*bookmarks.values()] == [Bookmark(JID.parse(room), name="Hall", nick="Paris", autojoin=True)]


# --- nodes at large


def service_of(stage: Stage, user: str) -> JID:
    """Return where a user has nodes of all kinds: on ejabberd a service, on Prosody the account."""
    return JID.parse("pubsub.example.test" if stage.runs("ejabberd") else stage.jid(user))


async def test_slixmpp_subscribes_to_a_node_of_ours_and_reads_it(stage: Stage) -> None:
    romeo, juliet = await stage.friends()
    owner = service_of(stage, romeo)
    node = f"notes-of-{romeo}"
    notes = pubsub.Node(node, Tune, multi=True, options=replace(OPTIONS, others=(("pubsub#notify_delete", "true"),)))
    async with stage.slixmpp(juliet) as slixmpp, stage.ours(romeo) as client, appear(client):
        await slixmpp.appear()
        await pubsub.create(client, notes, owner=owner)
        await pubsub.publish(client, notes, Tune(title="one"), id="1", owner=owner)
        await slixmpp.call("xep_0060.subscribe", str(owner), node)
        subscribers = {
            each.jid.bare: each.subscription for each in await pubsub.subscribers(client, notes, owner=owner)
        }
        assert subscribers[slixmpp.jid.bare] is pubsub.SubscriptionState.SUBSCRIBED
        await pubsub.publish(client, notes, Tune(title="two"), id="2", owner=owner)
        event = await slixmpp.event("pubsub_publish", lambda data: "<title>two</title>" in data["$xml"])
        assert f'node="{node}"' in event["$xml"]
        found = await slixmpp.call("xep_0060.get_items", str(owner), node)
        assert sorted(item["id"] for item in found["pubsub"]["items"]["substanzas"]) == ["1", "2"]
        await pubsub.retract(client, notes, "1", owner=owner)
        await slixmpp.event("pubsub_retract")
        with pytest.raises(PeerError) as refused:
            await slixmpp.call("xep_0060.purge", str(owner), node)
        assert refused.value.condition == "forbidden"
        await pubsub.delete(client, notes, owner=owner)
        await slixmpp.event("pubsub_delete")


async def test_we_subscribe_to_a_node_of_slixmpp_and_read_it(stage: Stage) -> None:
    romeo, juliet = await stage.friends()
    owner = service_of(stage, juliet)
    node = f"notes-of-{juliet}"
    notes = pubsub.Node(node, Tune, multi=True, options=OPTIONS)

    def tune(title: str) -> str:
        return f"<tune xmlns='http://jabber.org/protocol/tune'><title>{title}</title></tune>"

    async with stage.slixmpp(juliet) as slixmpp, stage.ours(romeo) as client, appear(client):
        await slixmpp.appear()
        await slixmpp.do("create", service=str(owner), node=node, options={"pubsub#access_model": "open"})
        async with watch(client, notes, owners=[owner]) as changes:
            subscription = await pubsub.subscribe(client, notes, owner=owner)
            assert subscription.subscription is pubsub.SubscriptionState.SUBSCRIBED
            await slixmpp.do("publish", service=str(owner), node=node, id="1", text=tune("one"))
            heard: Any = await anext(changes)
            assert (heard.item_id, heard.payload) == ("1", Tune(title="one"))
        (item,) = await pubsub.fetch(client, notes, owner=owner)
        assert (item.id, item.payload) == ("1", Tune(title="one"))
        async with mirrored(client, notes, owner=owner) as mirror:
            assert mirror["1"].payload == Tune(title="one")
            await slixmpp.do("publish", service=str(owner), node=node, id="2", text=tune("two"))
            await eventually(lambda: "2" in mirror)
            await slixmpp.call("xep_0060.retract", str(owner), node, "2", notify=True)
            await eventually(lambda: "2" not in mirror)
        with pytest.raises(XMPPError):
            await pubsub.delete(client, notes, owner=owner)
