"""The start of a session: the first presence leaves one round trip after the session begins, with all services open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.xep.muc.rooms import persistent
from trioxmpp import Client, xml
from trioxmpp.im.avatars import open_avatars
from trioxmpp.im.blocking import open_blocking
from trioxmpp.im.bookmarks import Bookmark, BookmarkedRooms, Bookmarks, open_bookmarked_rooms, open_bookmarks
from trioxmpp.im.displayed import open_displayed
from trioxmpp.im.presence import appear, open_presence
from trioxmpp.im.roster import open_roster
from trioxmpp.im.timeline import open_timeline
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.testing.network import LatentEndpoint
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.carbons import open_carbons
from trioxmpp.xep.muc import open_invitations, open_room
from trioxmpp.xep.pep import mirrored, watch
from trioxmpp.xep.pubsub import PRIVATE, Node

#: Seconds that a stanza and its answer take, and those within which the first presence has to be written.
ROUND_TRIP, LIMIT = 0.1, 0.11

SETTINGS: dict[str, Any] = {
    "rooms": True,
    "archive": True,
    "contacts": [("romeo", "juliet")],
    "starttls": "required",
}
#: The newest of each kind, and one that keeps bookmarks as one list (XEP-0048).
DIALECTS = (Dialect.PROSODY_13, Dialect.EJABBERD_26, Dialect.EJABBERD_23)
ORCHARD = trioxmpp.JID.parse("orchard@conference.example.test")


@xml.element("urn:example:shelf", "book")
class Book:
    title: str = xml.attr(default="")


class Timed:
    """The function that traces a stream, with the time of each entry."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, str, str]] = []

    def __call__(self, direction: str, text: str) -> None:
        self.entries.append((trio.current_time(), direction, text))

    def until_presence(self, is_begin: str) -> float:
        """Return the seconds from the arrival of what begins the session to the first presence that is written."""
        began = next(time for time, way, text in self.entries if way == "in" and is_begin in text)
        return next(time for time, way, text in self.entries if way == "out" and text.startswith("<presence")) - began

    def entered(self, room: trioxmpp.JID) -> bool:
        """Return whether the room was asked to let us in."""
        return any(
            way == "out" and text.startswith("<presence") and f'"{room}/' in text for _, way, text in self.entries
        )


@asynccontextmanager
async def _bookmarked(client: Client) -> AsyncIterator[tuple[Bookmarks, BookmarkedRooms]]:
    async with open_bookmarks(client) as bookmarks, open_bookmarked_rooms(client, bookmarks, nick="Romeo") as rooms:
        yield bookmarks, rooms


@asynccontextmanager
async def _nodes(client: Client) -> AsyncIterator[None]:
    node = Node("urn:example:shelf", Book, multi=True, options=PRIVATE)
    async with mirrored(client, node), watch(client, Node("urn:example:lamp", Book)):
        yield


SERVICES = (
    open_roster,
    open_presence,
    open_blocking,
    open_carbons,
    lambda client: open_caps(client, node="https://example.test/romeo"),
    open_timeline,
    _bookmarked,
    open_displayed,
    open_avatars,
    open_invitations,
    _nodes,
    appear,
)


async def _prepare(server: Server) -> None:
    """Have a room, a bookmark of it with autojoin, and a message in the archive."""
    options: dict[str, Any] = {"endpoint": server.endpoint, "tls": server.client_tls_context()}
    async with trioxmpp.connect("romeo@example.test/before", "secret", **options) as client:
        async with open_bookmarks(client) as bookmarks, open_room(client, ORCHARD, "Before", create=persistent):
            await bookmarks.put(Bookmark(ORCHARD, name="Orchard", autojoin=True))
        await client.send(trioxmpp.Message(to="juliet@example.test", type=trioxmpp.MessageType.CHAT, body="Hist!"))


@pytest.mark.parametrize("place", ["its own place for bookmarks", "bookmarks in private storage"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_the_first_presence_of_each_session_leaves_one_round_trip_after_it_begins(
    autojump_clock: Any, dialect: Dialect, place: str
) -> None:
    async with open_server(dialect=dialect, **SETTINGS) as server, trio.open_nursery() as nursery:
        if place == "bookmarks in private storage":
            features = server.features.account.features
            features[:] = [each for each in features if "bookmarks" not in each]
        server.policy.sasl2 = True  # the resource comes along with the login (XEP-0386), and stream management, too
        await _prepare(server)
        road, trace = LatentEndpoint(server, nursery, ROUND_TRIP), Timed()
        options: dict[str, Any] = {"endpoint": road.endpoint, "tls": server.client_tls_context(), "trace": trace}
        async with trioxmpp.connect("romeo@example.test", "secret", services=SERVICES, **options) as client:
            assert trace.until_presence("<bound") <= LIMIT
            await trio.sleep(5)
            assert trace.entered(ORCHARD), "the bookmarks were known in time for the rooms"
            for _ in range(2):
                trace.entries.clear()
                server.forget(str(client.jid))
                await trio.sleep(30)
                assert trace.until_presence("<bound") <= LIMIT
                assert trace.entered(ORCHARD)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_enabling_stream_management_apart_costs_no_round_trip(autojump_clock: Any, dialect: Dialect) -> None:
    async with open_server(dialect=dialect, **SETTINGS) as server, trio.open_nursery() as nursery:
        await _prepare(server)
        road, trace = LatentEndpoint(server, nursery, ROUND_TRIP), Timed()
        options: dict[str, Any] = {"endpoint": road.endpoint, "tls": server.client_tls_context(), "trace": trace}
        async with trioxmpp.connect("romeo@example.test/1", "secret", services=SERVICES, **options):
            assert trace.until_presence("<jid>") <= LIMIT
        nursery.cancel_scope.cancel()
