"""A session that is lost while a verb waits for an answer: the caller gets `SessionLost`, bare, whatever the cause."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

import trioxmpp
from trioxmpp import IQ, JID, Client, IQType, SessionLost
from trioxmpp.client import Session, archive_page
from trioxmpp.im.avatars import set_avatar
from trioxmpp.im.blocking import open_blocking
from trioxmpp.im.bookmarks import Bookmark, open_bookmarks
from trioxmpp.im.roster import open_roster
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.testing import Server, open_server
from trioxmpp.xep import adhoc, administration, basics, extdisco, mam, nick, pages, pubsub, push, reports, upload, vcard
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.muc import Affiliation, LossCause, RoomLost, affairs, open_room

JULIET, ROOM = JID.parse("juliet@example.test"), "capulets@conference.example.test"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
NODE = pubsub.Node("urn:example:node", Ping)


def session_of(client: Client) -> Session:
    assert client.session is not None
    return client.session


#: Verbs of a client.
PLAIN: dict[str, Callable[[Client], Awaitable[object]]] = {
    "client.request": lambda client: client.request(Ping(), to=JULIET),
    "client.send": lambda client: client.send(IQ(type=IQType.GET, payload=Ping()), timeout=math.inf),
    "Session.request": lambda client: session_of(client).request(Ping()),
    "disco.info": lambda client: client.disco.info(JULIET),
    "disco.items": lambda client: client.disco.items("example.test"),
    "disco.has": lambda client: client.disco.has("example.test", "urn:other"),
    "disco.find": lambda client: client.disco.find("urn:other"),
    "archive_page": lambda client: archive_page(session_of(client)),
    "item_pages": lambda client: anext(pages.item_pages(client, "example.test")),
    "domain_services": pages.domain_services,
    "list_commands": lambda client: adhoc.list_commands(client, "example.test"),
    "add_user": lambda client: administration.add_user(client, "tybalt@example.test", "cats"),
    "ping": lambda client: basics.ping(client, timeout=3600),
    "entity_time": lambda client: basics.entity_time(client, JULIET, timeout=3600),
    "services": extdisco.services,
    "has_archive": mam.has_archive,
    "get_preferences": mam.get_preferences,
    "nick_of": lambda client: nick.nick_of(client, JULIET),
    "fetch": lambda client: pubsub.fetch(client, NODE),
    "publish": lambda client: pubsub.publish(client, NODE, Ping()),
    "subscribe": lambda client: pubsub.subscribe(client, NODE, owner=JULIET),
    "has_push": push.has_push,
    "can_report": reports.can_report,
    "find_service": upload.find_service,
    "fetch_vcard": vcard.fetch_vcard,
    "fetch_vcard4": vcard.fetch_vcard4,
    "set_avatar": lambda client: set_avatar(client, PNG),
    "read_config": lambda client: affairs.read_config(client, ROOM),
    "registered_nick": lambda client: affairs.registered_nick(client, ROOM),
    "affiliations": lambda client: affairs.affiliations(client, ROOM, Affiliation.OWNER),
}


def enter_room(client: Client) -> AbstractAsyncContextManager[Any]:
    return open_room(client, ROOM, "romeo", create=True)


Opens = Callable[[Client], AbstractAsyncContextManager[Any]]

#: Verbs of what a block gives.
IN_BLOCKS: dict[str, tuple[Opens, Callable[[Any], Awaitable[object]]]] = {
    "Roster.put": (open_roster, lambda roster: roster.put(JULIET, name="Juliet")),
    "Roster.remove": (open_roster, lambda roster: roster.remove(JULIET)),
    "Blocklist.block": (open_blocking, lambda blocklist: blocklist.block(JULIET)),
    "Bookmarks.put": (open_bookmarks, lambda bookmarks: bookmarks.put(Bookmark(JID.parse(ROOM)))),
    "Caps.info": (lambda client: open_caps(client, node="urn:example:romeo"), lambda caps: caps.info(JULIET)),
    "Room.invite": (enter_room, lambda room: room.invite(JULIET, timeout=3600)),
}


@asynccontextmanager
async def no_block(client: Client) -> AsyncIterator[Client]:
    yield client


VERBS = {name: (no_block, verb) for name, verb in PLAIN.items()} | IN_BLOCKS


async def forget(server: Server, client: Client) -> None:
    """The server refuses to resume the session, which it does not know."""
    server.forget(str(client.jid))


async def expire(server: Server, client: Client) -> None:
    """It refuses, and tells its count."""
    server.expire(str(client.jid))


async def crash(server: Server, client: Client) -> None:
    """It comes back with nothing."""
    await server.crash()
    await server.restart()


async def outcome_of(
    verb: Callable[[], Awaitable[object]], server: Server, client: Client, lose: Callable[..., Awaitable[None]]
) -> object:
    """Call `verb` while the server hears nothing, lose the session, and return the result or the exception."""
    outcome: list[object] = []
    server.sessions[str(client.jid)].link.black_hole("in")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def call() -> None:
            try:
                outcome.append(await verb())
            except Exception as exc:
                outcome.append(exc)

        await trio.sleep(1)
        assert not outcome
        await lose(server, client)
        await client.wait_linked()
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    return outcome[0] if outcome else "nothing: it still waits"


@pytest.mark.parametrize("sm", [trioxmpp.SMPolicy(), None], ids=["refused", "without stream management"])
@pytest.mark.parametrize("lose", [forget, expire, crash])
async def test_each_verb_raises_session_lost(autojump_clock, lose, sm):
    wrong: dict[str, object] = {}
    for name, (opens, verb) in VERBS.items():
        async with (
            open_server(rooms=True) as server,
            trioxmpp.connect("romeo@example.test", "secret", **server.options, sm=sm) as client,
            opens(client) as subject,
        ):
            error = await outcome_of(partial(verb, subject), server, client, lose)
            if type(error) is not SessionLost or error.__cause__ is None:
                wrong[name] = error
    assert not wrong


async def test_a_room_says_that_it_is_lost(autojump_clock):
    """Whether the room has the message cannot be known: that is its own error."""
    async with (
        open_server(rooms=True) as server,
        trioxmpp.connect("romeo@example.test", "secret", **server.options) as client,
        enter_room(client) as room,
    ):
        error = await outcome_of(lambda: room.say("But soft!"), server, client, forget)
        assert type(error) is RoomLost
        assert error.cause is LossCause.SESSION
