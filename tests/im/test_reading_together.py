"""Conversations of two clients of one account agree how far each was read (XEP-0490)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.capable import present
from tests.im.world import chat, connect, settle
from tests.services import forge
from tests.xep.muc.rooms import ROOM, persistent, until
from trioxmpp import JID, Client, xml
from trioxmpp.im.conversation import Conversation, Conversations, Displayed, TalkEvent, open_conversations
from trioxmpp.im.conversation import open_room_conversation as open_room_talk
from trioxmpp.im.displayed import Displays, open_displayed
from trioxmpp.im.timeline import open_timeline
from trioxmpp.protocol.elements import markers
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.xep.muc import open_room

ROMEO, JULIET = "romeo@example.test", "juliet@example.test"
ACCOUNTS = {"romeo": "secret", "juliet": "secret"}


class Screen:
    """A client of Romeo's with conversations."""

    def __init__(self, client: Client, talks: Conversations, displays: Displays) -> None:
        self.client, self.talks, self.displays = client, talks, displays
        self.told: list[tuple[Conversation, TalkEvent]] = []
        talks.on_event.connect(lambda talk, event: self.told.append((talk, event)))

    @property
    def displayed(self) -> list[tuple[str | None, bool]]:
        return [(event.line.text, event.by_us) for _, event in self.told if isinstance(event, Displayed)]


@asynccontextmanager
async def screen(client: Client, **options: Any) -> AsyncIterator[Screen]:
    async with (
        open_displayed(client) as displays,
        open_timeline(client) as timeline,
        open_conversations(client, timeline, displays=displays, **options) as talks,
    ):
        await present(client)
        yield Screen(client, talks, displays)


@asynccontextmanager
async def romeo_and_juliet(**settings: Any) -> AsyncIterator[tuple[Server, Screen, Client]]:
    """A server, a client of Romeo's with conversations, and one of Juliet's."""
    async with (
        open_server(accounts=ACCOUNTS, **{"archive": True, **settings}) as server,
        connect(server, f"{ROMEO}/1") as client,
        connect(server, f"{JULIET}/1") as juliet,
        screen(client) as romeo,
    ):
        yield server, romeo, juliet


def published(server: Server) -> list[str]:
    """The stanza ids that were published, in order."""
    path = ".//{http://jabber.org/protocol/pubsub}publish/{*}item/{*}displayed/{urn:xmpp:sid:0}stanza-id"
    return [str(each.get("id")) for entry in server.log for each in entry.stanza.iterfind(path)]


@pytest.mark.item("D11.mds.1", "D11.mds.3")
@on_every_bench(accounts=2)
async def test_a_line_that_one_client_has_displayed_is_read_on_the_other(bench: Bench) -> None:
    peer = bench.jid(1)
    async with (
        screen(bench.clients[0]) as phone,
        bench.connect(0, "desk") as client,
        screen(client) as desk,
    ):
        for text in ("one", "two", "three"):
            await bench.clients[1].send(chat(text, bench.jid(0)))
        await until(lambda: len(phone.talks[peer].lines) == len(desk.talks[peer].lines) == 3)
        assert (phone.talks[peer].unread, desk.talks[peer].unread) == (3, 3)
        await phone.talks[peer].displayed(phone.talks[peer].lines[1])
        assert phone.talks[peer].unread == 1
        await until(lambda: desk.talks[peer].unread == 1)
        read = desk.talks[peer].read
        assert read is not None
        assert read.text == "two"
        assert desk.displayed == [("two", True)]
        await desk.talks[peer].displayed(desk.talks[peer].lines[2])
        await until(lambda: phone.talks[peer].unread == 0)
    async with bench.connect(0, "third") as client, screen(client) as third:
        await bench.clients[1].send(chat("four", bench.jid(0)))
        await until(lambda: len(third.talks[peer].lines) == 1)
        assert third.talks[peer].unread == 1
        while await third.talks[peer].older():
            pass
        read = third.talks[peer].read
        assert read is not None
        assert read.text == "three"
        assert third.talks[peer].unread == 1


@pytest.mark.item("D11.mds.1")
async def test_positions_are_told_once_and_together(autojump_clock: Any) -> None:
    async with romeo_and_juliet() as (server, romeo, juliet):
        for number in range(20):
            await juliet.send(chat(number))
        await settle()
        talk = romeo.talks[JULIET]
        for line in talk.lines:
            await talk.displayed(line)
            await trio.sleep(0.1)
        assert published(server) == []
        await trio.sleep(3)
        last = talk.lines[-1].archive_id
        assert published(server) == [last]
        for line in talk.lines:
            await talk.displayed(line)
        await trio.sleep(10)
        assert published(server) == [last], "nothing is told again"
        assert romeo.displayed[-1] == ("19", True)
        assert len(romeo.displayed) == 20, "our own position comes back from the node, and is no news"


async def test_a_message_whose_id_in_the_archive_is_not_believed_is_told_by_the_one_before(autojump_clock: Any) -> None:
    async with romeo_and_juliet(dialect=Dialect.PROSODY_13) as (server, romeo, juliet):
        forged = xml.fromstring(f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROMEO}' id='forged'/>")
        await juliet.send(chat("first", payloads=[forged]))
        await settle()
        talk = romeo.talks[JULIET]
        await talk.displayed(talk.lines[0])
        await trio.sleep(10)
        assert published(server) == [], "two ids: none is believed, so there is nothing to tell"
        await juliet.send(chat("second"))
        await juliet.send(chat("third", payloads=[forged]))
        await settle()
        await talk.displayed(talk.lines[2])
        await trio.sleep(10)
        assert published(server) == [talk.lines[1].archive_id]
        assert talk.unread == 0


async def test_without_an_archive_nothing_is_told(autojump_clock: Any) -> None:
    async with romeo_and_juliet(archive=False) as (server, romeo, juliet):
        forged = xml.fromstring(f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROMEO}' id='forged'/>")
        await juliet.send(chat("first", payloads=[forged]))
        await settle()
        await romeo.talks[JULIET].displayed(romeo.talks[JULIET].lines[0])
        await trio.sleep(10)
        assert published(server) == []
        assert romeo.talks[JULIET].unread == 0


@pytest.mark.item("D11.mds.2", "D11.mds.4")
async def test_a_position_never_moves_a_conversation_back_nor_does_one_of_another_account(autojump_clock: Any) -> None:
    async with romeo_and_juliet() as (server, romeo, juliet):
        for text in ("one", "two", "three"):
            await juliet.send(chat(text))
        await settle()
        talk = romeo.talks[JULIET]
        await talk.displayed(talk.lines[1])
        await trio.sleep(3)

        client = romeo.client

        def event(id: str | None, from_: str) -> str:
            sid = f"<stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='{ROMEO}'/>"
            item = f"<item id='{JULIET}'><displayed xmlns='urn:xmpp:mds:displayed:0'>{sid}</displayed></item>"
            items = f"<items node='urn:xmpp:mds:displayed:0'>{item}</items>"
            inner = f"<event xmlns='http://jabber.org/protocol/pubsub#event'>{items}</event>"
            return f"<message xmlns='jabber:client' type='headline' from='{from_}' to='{client.jid}'>{inner}</message>"

        await forge(server, client, event(talk.lines[2].archive_id, JULIET))
        await forge(server, client, event(talk.lines[2].archive_id, f"{ROMEO}/2"))
        await forge(server, client, event(talk.lines[0].archive_id, ROMEO))
        assert talk.read is not None
        assert talk.read.text == "two"
        await forge(server, client, event(talk.lines[2].archive_id, ROMEO))
        assert talk.read.text == "three"


@on_every_bench(accounts=2)
async def test_a_room_is_read_together(bench: Bench) -> None:
    jid = bench.room()
    async with (
        open_displayed(bench.clients[0]) as phone,
        bench.connect(0, "desk") as client,
        open_displayed(client) as desk,
        open_room(bench.clients[0], jid, "romeo", create=persistent) as one,
        open_room(client, jid, "romeo") as two,
        open_room_talk(one, displays=phone) as his,
        open_room_talk(two, displays=desk) as other,
        open_room(bench.clients[1], jid, "juliet") as hers,
    ):
        await present(bench.clients[0])
        await present(client)
        said = await hers.say("Romeo?")
        await until(lambda: his.unread == other.unread == 1)
        await his.displayed(his.lines[0])
        await until(lambda: other.unread == 0)
        (position,) = desk.values()
        assert (position.chat, position.id, position.by) == (JID.parse(jid), said.archive_id, JID.parse(jid))


async def test_a_marker_is_not_sent_again_for_what_any_client_has_displayed(autojump_clock: Any) -> None:
    async with (
        open_server(accounts=ACCOUNTS, archive=True) as server,
        connect(server, f"{ROMEO}/1") as client,
        connect(server, f"{ROMEO}/2") as client2,
        connect(server, f"{JULIET}/1") as juliet,
        screen(client) as one,
        screen(client2) as two,
    ):
        await juliet.send(chat("one", id="m1", payloads=[markers.Markable()]))
        await settle()
        for each in (one, one, two):
            await each.talks[JULIET].displayed(each.talks[JULIET].lines[0])
            await settle()
        sent = [e for e in server.log if e.stanza.find("{urn:xmpp:chat-markers:0}displayed") is not None]
        assert len(sent) == 1


async def test_a_room_of_this_name_is_no_contact(autojump_clock: Any) -> None:
    """A position of a room, as our own account would publish it, must be by the room's archive."""
    async with (
        open_server(accounts=ACCOUNTS, archive=True, rooms=True) as server,
        connect(server, f"{ROMEO}/1") as client,
        open_displayed(client) as displays,
        open_room(client, ROOM, "romeo", create=persistent) as room,
        open_room_talk(room, displays=displays) as talk,
    ):
        await room.say("one")
        await settle()
        assert talk.unread == 0
        assert dict(displays) == {}
