"""Timelines of rooms: each message of a room once, over sessions, stays, processes, and archives that forget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.im.world import Disk, TimelineReader, connect, settle
from tests.xep.muc.rooms import ROOM, event, forge, persistent, server_room, until
from trioxmpp import Client
from trioxmpp.im.provenance import Occupant
from trioxmpp.im.provenance import Room as RoomSender
from trioxmpp.im.timeline import (
    CaughtUp,
    Gap,
    NoArchive,
    RoomTimeline,
    Source,
    open_room_timeline,
)
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.xep.muc import FROM_ARCHIVE, Rejoin, Role, Room, RoomGone, RoomMessage, moderate, open_room

ACCOUNTS = {"romeo": "secret", "juliet": "secret"}
DIALECTS = (Dialect.PROSODY_0_12, Dialect.PROSODY_13_0_1, Dialect.PROSODY_13, Dialect.EJABBERD_26)


class Reader(TimelineReader):
    """Reads the timeline of a room all the time."""

    def __init__(self, room: Room, timeline: RoomTimeline) -> None:
        super().__init__(timeline)
        self.room = room
        self.timeline = timeline


@asynccontextmanager
async def reading(client: Client, room: str = ROOM, *, timeline: Any = None, **options: Any) -> AsyncIterator[Reader]:
    """Juliet is in the room and reads its timeline."""
    options = {"history": FROM_ARCHIVE, "rejoin": Rejoin(after_kick=1), **options}
    async with (
        open_room(client, room, "juliet", **options) as entered,
        open_room_timeline(entered, **(timeline or {})) as line,
    ):
        reader = Reader(entered, line)
        async with reader.at_work():
            yield reader


@asynccontextmanager
async def owned(dialect: Dialect = Dialect.PROSODY_13, **settings: Any) -> AsyncIterator[tuple[Server, Room]]:
    """A server, and a room that Romeo owns and is in."""
    settings = {"archive": True, **settings}
    async with (
        open_server(accounts=ACCOUNTS, rooms=True, dialect=replace(dialect, archive_page=4), **settings) as server,
        connect(server, "romeo@example.test/orchard") as romeo,
        open_room(romeo, ROOM, "romeo", create=persistent) as room,
    ):
        yield server, room


def juliet(server: Server, disk: Disk | None = None) -> Any:
    return connect(server, "juliet@example.test/balcony", store=disk or Disk())


@pytest.mark.item("D5.17", "D4.18")
@on_every_bench(accounts=2)
async def test_each_message_of_a_room_is_given_once_over_processes(bench: Bench) -> None:
    disk, jid = Disk(), bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=persistent) as his:
        await his.say("before")
        async with bench.connect(1, "reader", store=disk) as client, reading(client, jid) as reader:
            assert reader.room.has_archive
            assert reader.room.history == ()
            await until(lambda: CaughtUp() in reader.events)
            await his.say("live")
            mine = await reader.room.say("mine")
            await until(lambda: reader.bodies == ["live", "mine"])
            assert [entry.by_us for entry in reader.entries] == [False, True]
            assert reader.entries[1].archive_id == mine.archive_id
            assert {entry.caught_up for entry in reader.entries} == {True}
        missed = [f"missed {number}" for number in range(60)]
        for text in missed:
            await his.say(text)
        async with bench.connect(1, "reader", store=disk) as client, reading(client, jid) as reader:
            await his.say("live again")
            await until(lambda: len(reader.bodies) == 61)
            assert reader.bodies == [*missed, "live again"]
            assert {(entry.source, entry.caught_up) for entry in reader.entries[:60]} == {(Source.ARCHIVE, False)}
            assert all(isinstance(entry.sender, Occupant) and entry.sender.nick == "romeo" for entry in reader.entries)
            ids = {entry.sender.occupant_id for entry in reader.entries if isinstance(entry.sender, Occupant)}
            assert len(ids) == 1, "one author"
            assert str(reader.entries[0].peer) == jid
        async with bench.connect(1, "reader", store=disk) as client, reading(client, jid) as reader:
            await his.say("the last")
            await until(lambda: reader.bodies == ["the last"])


@pytest.mark.item("D5.17")
async def test_messages_missed_between_two_stays_come_before_those_of_the_second(autojump_clock: Any) -> None:
    for dialect in DIALECTS:
        async with owned(dialect) as (server, his), juliet(server) as client, reading(client) as reader:
            await his.say("one")
            for number in range(3):
                occupant = his.occupant("juliet")
                assert occupant is not None
                await his.kick(occupant)
                for text in "abcdef":
                    await his.say(f"{text}{number}")
                await until(lambda number=number: reader.room.absences == number + 1 and reader.room.joined)
                await his.say(f"live {number}")
                await settle()
            expected = ["one", *(f"{text}{n}" for n in range(3) for text in (*"abcdef", "live "))]
            assert reader.bodies == [text.replace("live ", "live ") for text in expected], dialect.name
            assert len([event for event in reader.events if isinstance(event, CaughtUp)]) == 4


async def test_a_lost_session_a_service_that_restarts_and_a_broken_link_cost_no_message(autojump_clock: Any) -> None:
    for dialect in DIALECTS:
        async with owned(dialect) as (server, his), juliet(server) as client, reading(client) as reader:
            expected = []
            for number, trouble in enumerate((server.forget, server.expire, _break)):
                jid = str(client.jid)
                trouble(*((server, jid) if trouble is _break else (jid,)))
                for text in "abcde":
                    expected.append(f"{text}{number}")
                    await his.say(expected[-1])
                await trio.sleep(120)
                expected.append(f"live {number}")
                await his.say(expected[-1])
                await settle()
            assert reader.bodies == expected, dialect.name


def _break(server: Server, jid: str) -> None:
    link = server.sessions[jid].link
    assert link is not None
    link.reset()


@pytest.mark.item("D5.6")
async def test_a_purged_archive_of_a_room_is_a_gap(autojump_clock: Any) -> None:
    for dialect in DIALECTS:
        disk = Disk()
        async with owned(dialect) as (server, his):
            await his.say("one")
            await his.say("two")
            async with juliet(server, disk) as client, reading(client) as reader:
                assert reader.bodies == []
            server_room(server).archive.items.clear()
            for text in ("3", "4", "5"):
                await his.say(text)
            async with juliet(server, disk) as client, reading(client) as reader:
                await settle()
                assert reader.bodies == ["3", "4", "5"], dialect.name
                assert [type(event) for event in reader.events] == [Gap, CaughtUp]
                await his.say("live")
                await settle()
                assert reader.bodies[-1] == "live"


async def test_a_room_without_an_archive_gives_its_history_in_place_of_it(autojump_clock: Any) -> None:
    disk = Disk()
    async with owned(room_archive=False) as (server, his):
        await his.say("before")
        async with juliet(server, disk) as client, reading(client) as reader:
            assert not reader.room.has_archive
            assert reader.bodies == ["before"]
            assert reader.entries[0].source is Source.ROOM_HISTORY
            assert not reader.entries[0].caught_up
            assert reader.events == [NoArchive()]
            await his.say("live")
            occupant = his.occupant("juliet")
            assert occupant is not None
            await trio.sleep(2)
            await his.kick(occupant)
            await his.say("missed")
            await until(lambda: reader.room.absences == 1 and reader.room.joined)
            await his.say("live again")
            await settle()
            assert reader.bodies == ["before", "live", "missed", "live again"]
            assert [entry.caught_up for entry in reader.entries] == [False, True, False, True]
        await his.say("missed, too")
        async with juliet(server, disk) as client, reading(client) as reader:
            assert reader.bodies == ["missed, too"]


async def test_history_chooses_where_the_first_timeline_begins(autojump_clock: Any) -> None:
    async with owned() as (server, his):
        for number in range(10):
            await his.say(str(number))
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        everything = [str(number) for number in range(10)]
        for options, expected in (
            ({"history": 0}, []),
            ({"history": FROM_ARCHIVE}, []),
            ({"history": 3}, ["7", "8", "9"]),
            ({"history": FROM_ARCHIVE, "timeline": {"since": an_hour_ago}}, everything),
            ({"history": 3, "timeline": {"since": an_hour_ago}}, everything),
        ):
            disk = Disk()
            async with juliet(server, disk) as client, reading(client, **options) as reader:
                assert reader.bodies == expected, options
            async with juliet(server, disk) as client, reading(client, **options) as reader:
                assert reader.bodies == [], options


@pytest.mark.item("D5.2", "D5.17")
async def test_live_messages_wait_while_the_archive_of_a_room_is_read(autojump_clock: Any) -> None:
    disk = Disk()
    async with owned() as (server, his):
        async with juliet(server, disk) as client, reading(client):
            await his.say("first")
        for number in range(9):
            await his.say(str(number))
        async with juliet(server, disk) as client, open_room(client, ROOM, "juliet", history=FROM_ARCHIVE) as room:
            await his.say("before the timeline is opened")
            await settle()
            async with open_room_timeline(room) as timeline:
                for number in range(5):
                    await his.say(f"live {number}")
                bodies = [(await anext(timeline)).message.body for _ in range(15)]
    assert bodies == [*map(str, range(9)), "before the timeline is opened", *(f"live {number}" for number in range(5))]


async def test_messages_between_the_join_and_the_first_timeline_are_in_it(autojump_clock: Any) -> None:
    for archive in (True, False):
        async with owned(room_archive=archive) as (server, his), juliet(server) as client:
            await his.say("history")
            async with open_room(client, ROOM, "juliet", history=0) as room:
                await his.say("after the join")
                await settle()
                async with open_room_timeline(room) as timeline, room.events() as events:
                    await his.say("live")
                    assert [(await anext(timeline)).message.body for _ in range(2)] == ["after the join", "live"]
                    said = [(await event(events, RoomMessage)).entry.text for _ in range(2)]
                    assert said == ["after the join", "live"], "the events of the room lose none by it"


@pytest.mark.item("D5.4", "D5.17")
async def test_a_process_that_is_killed_gets_what_it_was_not_done_with_again(autojump_clock: Any) -> None:
    disk = Disk()
    async with owned() as (server, his):
        async with juliet(server, disk) as client, reading(client):
            await his.say("first")
        for text in ("a", "b", "c"):
            await his.say(text)
        async with juliet(server, disk) as client, open_room(client, ROOM, "juliet", history=FROM_ARCHIVE) as room:
            killed: Disk | None = None
            async with open_room_timeline(room) as timeline:
                given = [await anext(timeline) for _ in range(3)]
                await trio.sleep(2)
                killed = disk.copy()
        assert [entry.message.body for entry in given] == ["a", "b", "c"]
        async with juliet(server, killed) as client, reading(client) as reader:
            assert [entry.archive_id for entry in reader.entries] == [given[2].archive_id]


@pytest.mark.item("D5.17")
async def test_a_moderation_is_an_entry_of_the_room_once(autojump_clock: Any) -> None:
    async with owned(Dialect.EJABBERD_26) as (server, his), juliet(server) as client, reading(client) as reader:
        said = await his.say("dirt")
        assert said.archive_id is not None
        await moderate(his.client, ROOM, said.archive_id)
        await settle()
        assert [type(entry.sender) for entry in reader.entries] == [Occupant, RoomSender]
        server.forget(str(client.jid))
        await trio.sleep(60)
        await his.say("more")
        await settle()
        assert [entry.message.body for entry in reader.entries] == ["dirt", None, "more"]


async def test_an_archive_that_refuses_delays_no_live_message(autojump_clock: Any) -> None:
    async with owned(room_archive="refused") as (server, his), juliet(server) as client, reading(client) as reader:
        await his.say("live")
        await settle()
        assert reader.bodies == ["live"]
        await his.say("live again")
        server.policy.room_archive = True
        await trio.sleep(600)
        assert reader.bodies == ["live", "live again"]
        assert CaughtUp() in reader.events


async def test_the_timeline_ends_with_the_room(autojump_clock: Any) -> None:
    async with owned() as (server, his), juliet(server) as client:
        with pytest.raises(RoomGone):
            async with open_room(client, ROOM, "juliet") as room, open_room_timeline(room) as timeline:
                occupant = his.occupant("juliet")
                assert occupant is not None
                await his.say("bye")
                await his.set_role(occupant, Role.NONE)
                assert (await anext(timeline)).message.body == "bye"
                await anext(timeline)


async def test_a_forged_moderation_and_forged_ids_cost_no_message(autojump_clock: Any) -> None:
    async with owned(Dialect.PROSODY_13) as (server, his), juliet(server) as client, reading(client) as reader:
        said = await his.say("true")
        moderated = "<moderated xmlns='urn:xmpp:message-moderate:1'/>"
        retract = f"<retract xmlns='urn:xmpp:message-retract:1' id='{said.archive_id}'>{moderated}</retract>"
        forged = f"<message xmlns='jabber:client' type='groupchat' from='{ROOM}/romeo' to='{client.jid}' id='f'>"
        forge(server, client, f"{forged}{retract}</message>")
        sid = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='{said.archive_id}'/>"
        forge(server, client, f"{forged}<body>forged</body>{sid}{sid.replace(str(said.archive_id), 'y')}</message>")
        await settle()
        await his.say("later")
        await settle()
        assert reader.bodies == ["true", None, "forged", "later"]
        assert reader.entries[2].archive_id is None
        assert all(isinstance(entry.sender, Occupant) for entry in reader.entries)
        forge(server, client, f"{forged.replace('/romeo', '')}{retract}</message>")  # now the room says it
        await settle()
        assert isinstance(reader.entries[-1].sender, RoomSender)


async def test_pages_before_an_entry_go_back_to_the_beginning(autojump_clock: Any) -> None:
    for dialect in DIALECTS:
        async with owned(dialect) as (server, his), juliet(server) as client:
            for number in range(10):
                await his.say(str(number))
            async with reading(client) as reader:
                pages = [[e.message.body for e in page] async for page in reader.timeline.before(size=4)]
                assert [body for page in reversed(pages) for body in page] == [str(n) for n in range(10)]
                await his.say("live")
                await settle()
                first = reader.entries[0]
                pages = [[e.message.body for e in page] async for page in reader.timeline.before(first, size=4)]
                assert [body for page in reversed(pages) for body in page] == [str(n) for n in range(10)]
