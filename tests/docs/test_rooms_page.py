"""That the programs of the page about rooms do what its text says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

import trioxmpp
from tests.docs.test_pages import load, programs, run
from tests.xep.muc.rooms import event, nicks, persistent, until
from trioxmpp import Client
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.xep.muc import MessageModerated, OccupantJoined, Role, Room, RoomGone, RoomMessage, open_room

PAGE = "docs/rooms.md"
ROOM = "orchard@conference.example.test"


@asynccontextmanager
async def owned(dialect: Dialect = Dialect.PROSODY_13) -> AsyncIterator[tuple[Server, dict[str, Any], Client, Room]]:
    """A server with a room that Romeo owns."""
    accounts = dict.fromkeys(("bot", "romeo", "juliet"), "secret")
    async with open_server(accounts=accounts, rooms=True, dialect=dialect) as server:
        options = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("romeo@example.test/a", "secret", **options) as romeo,
            open_room(romeo, ROOM, "romeo", create=persistent) as room,
        ):
            yield server, options, romeo, room


def test_the_bot_survives_kicks_restarts_and_a_nick_that_is_taken() -> None:
    source = programs(PAGE)[0]
    assert len([line for line in source.splitlines() if line.strip()]) <= 30
    bot = load(source, PAGE)["room_bot"]

    async def pings(room: Room) -> str | None:
        async with room.events() as events:
            await room.say("!ping")
            while True:
                entry = (await event(events, RoomMessage)).entry
                if not entry.by_us:
                    return entry.text

    async def main() -> None:
        async with owned() as (server, options, _romeo, room), trio.open_nursery() as nursery:
            nursery.start_soon(lambda: bot("bot@example.test/1", "secret", ROOM, "romeo", **options))
            await until(lambda: nicks(room) == {"romeo", "romeo_"})
            assert await pings(room) == "pong"
            server.rooms.remove(ROOM, "romeo_", "307")
            await until(lambda: len(nicks(room)) == 1)
            await until(lambda: nicks(room) == {"romeo", "romeo_"})
            assert await pings(room) == "pong"
            server.forget("bot@example.test/1")
            await trio.sleep(100)
            assert await pings(room) == "pong"
            server.rooms.restart()
            await trio.sleep(2000)
            assert room.joined
            assert await pings(room) == "pong"
            nursery.cancel_scope.cancel()

    run(main)


def test_the_bot_comes_when_it_is_invited() -> None:
    bot = load(programs(PAGE)[1], PAGE)["invitation_bot"]

    async def main() -> None:
        async with owned() as (server, options, _romeo, room), trio.open_nursery() as nursery, room.events() as events:
            nursery.start_soon(lambda: bot("bot@example.test/1", "secret", **options))
            await until(lambda: "bot@example.test/1" in server.sessions)
            await trio.sleep(1)
            for _ in range(2):
                await room.invite("bot@example.test")
            assert (await event(events, OccupantJoined)).who.nick == "guest"
            assert (await event(events, RoomMessage)).entry.text == "Thank you for the invitation."
            await trio.sleep(10)
            assert nicks(room) == {"romeo", "guest"}
            nursery.cancel_scope.cancel()

    run(main)


def test_the_moderator_retracts_takes_voice_and_bans() -> None:
    tool = load(programs(PAGE)[2], PAGE)["moderator"]

    async def main() -> None:
        async with (
            owned(Dialect.EJABBERD_26) as (server, options, _romeo, room),
            trioxmpp.connect("juliet@example.test/b", "secret", **options) as juliet,
            trio.open_nursery() as nursery,
        ):
            held = server.rooms.room(ROOM)
            assert held is not None
            held.affiliations["bot@example.test"] = ("admin", None)
            nursery.start_soon(lambda: tool("bot@example.test/1", "secret", ROOM, ["plague"], **options))
            await until(lambda: "moderator" in nicks(room))
            with pytest.raises(RoomGone, match="banned"):
                async with open_room(juliet, ROOM, "juliet") as hers, room.events() as events:
                    await hers.say("a plague on both your houses")
                    await event(events, MessageModerated)
                    await until(lambda: hers.me is not None and hers.me.role is Role.VISITOR)
                    await hers.change_nick("rosaline")
                    await hers.request_voice()
                    await until(lambda: hers.me is not None and hers.me.role is Role.PARTICIPANT)
                    await hers.say("the plague again")
                    await trio.sleep_forever()
            assert held.affiliation("juliet@example.test") == "outcast"
            nursery.cancel_scope.cancel()

    run(main)
