"""Helpers for tests of rooms: entering, waiting for events, and the server's view of a room."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

import trio

from tests.bench import Bench
from trioxmpp import JID, Client
from trioxmpp.client import Inbox
from trioxmpp.testing import Server, open_server
from trioxmpp.testing.server.rooms import Room as ServerRoom
from trioxmpp.xep.muc import JoinProblem, JoinRefused, Rejoin, Room, RoomConfig, RoomEvent, RoomGone, open_room

E = TypeVar("E")
J = TypeVar("J", JID, str)

ROOM = "capulets@conference.example.test"
MUC = "http://jabber.org/protocol/muc"


async def event(inbox: Inbox[RoomEvent], kind: type[E], within: float = 3600.0) -> E:
    """The next event of a kind; those before it are passed over."""
    with trio.fail_after(within):
        async for each in inbox:
            if isinstance(each, kind):
                return each
    raise AssertionError(f"the inbox ended without {kind.__name__}")


def nicks(room: Room) -> set[str]:
    return {occupant.nick for occupant in room.occupants}


def persistent(config: RoomConfig) -> None:
    config.persistent = True


async def be_in(
    client: Client, jid: J, nick: str, rooms: MutableMapping[J, Room], *, rejoin: Rejoin, pause: float
) -> NoReturn:
    """Be in a room for ever, under another nick if this one is taken. `rooms` has it while we are in.

    A program that is thrown out comes back after `pause` seconds.
    """
    while True:
        try:
            async with open_room(client, jid, nick, create=persistent, rejoin=rejoin) as room:
                rooms[jid] = room
                await trio.sleep_forever()
        except JoinRefused as refusal:
            nick = nick + "_" if refusal.reason is JoinProblem.NICK_TAKEN else nick
        except RoomGone:
            pass
        finally:
            rooms.pop(jid, None)
        await trio.sleep(pause)


def server_room(server: Server, jid: str = ROOM) -> ServerRoom:
    room = server.rooms.room(jid)
    assert room is not None, f"there is no {jid}"
    return room


@asynccontextmanager
async def in_room(bench: Bench, room: str, create: Any = True, **options: Any) -> AsyncIterator[tuple[Room, Room]]:
    """Romeo owns the room, and Juliet is in it."""
    romeo, juliet = bench.clients[:2]
    async with (
        open_room(romeo, room, "romeo", create=create) as one,
        open_room(juliet, room, "juliet", **options) as two,
    ):
        await until(lambda: nicks(one) == {"romeo", "juliet"})
        yield one, two


async def until(condition: Any, within: float = 60.0) -> None:
    """Wait until a condition holds that time or the server brings about."""
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110  # conditions of the server have no event
            await trio.sleep(0.02)


def forge(server: Server, client: Client, stanza: str) -> None:
    """Let a client get a stanza that no correct server would send."""
    from lxml import etree

    element = etree.fromstring(stanza)
    server.post.hand_over(element)


__all__ = [
    "MUC",
    "ROOM",
    "event",
    "forge",
    "in_room",
    "nicks",
    "open_server",
    "persistent",
    "server_room",
    "until",
]
