"""How far the clients of an account have displayed each chat (XEP-0490)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from tests.capable import present
from trioxmpp import JID, XMPPError
from trioxmpp.im.displayed import NODE, Position, open_displayed
from trioxmpp.protocol.elements.mds import Displayed
from trioxmpp.protocol.elements.stanza_ids import StanzaId
from trioxmpp.testing import Server, inject, open_server
from trioxmpp.xep import pubsub

ROMEO, JULIET = JID.parse("romeo@example.test"), JID.parse("juliet@example.test")
ROOM = JID.parse("orchard@conference.example.test")
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def connect(server: Server, resource: str = "1", name: str = "romeo") -> Any:
    jid = f"{name}@example.test/{resource}"
    return trioxmpp.connect(jid, "secret", endpoint=server.endpoint, allow_plaintext=True)


def publications(server: Server) -> list[str]:
    tag = ".//{http://jabber.org/protocol/pubsub}publish/{*}item"
    return [str(item.get("id")) for each in server.log for item in each.stanza.iterfind(tag)]


def heard(chat: str, id: str, by: str, from_: str = "romeo@example.test") -> str:
    stanza_id = f"<stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='{by}'/>"
    payload = f"<displayed xmlns='urn:xmpp:mds:displayed:0'>{stanza_id}</displayed>"
    inner = f"<items node='urn:xmpp:mds:displayed:0'><item id='{chat}'>{payload}</item></items>"
    event = f"<event xmlns='http://jabber.org/protocol/pubsub#event'>{inner}</event>"
    return f"<message type='headline' from='{from_}' to='{ROMEO}/1'>{event}</message>"


@pytest.mark.item("D11.mds.1")
@on_every_bench(accounts=2)
async def test_a_position_reaches_the_server_privately_and_our_other_client(bench: Bench) -> None:
    client, stranger = bench.clients
    juliet = JID.parse(bench.jid(1))
    async with open_displayed(client) as displays:
        assert displays.mark(juliet, "id-1", by=client.jid.bare, sent=at(0))
    (item,) = await pubsub.fetch(client, NODE)
    assert item.id == str(juliet)
    assert item.payload == Displayed(stanza_id=StanzaId(id="id-1", by=client.jid.bare))
    with pytest.raises(XMPPError):
        await pubsub.fetch(stranger, NODE, owner=bench.jid(0))
    async with bench.connect(0, "other") as other, open_displayed(other) as theirs:
        assert dict(theirs) == {juliet: Position(juliet, "id-1", client.jid.bare)}


@pytest.mark.item("D11.mds.1")
async def test_positions_are_published_after_two_seconds_of_quiet(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, open_displayed(client) as displays:
        for number in range(30):
            displays.mark(JULIET, f"id-{number}", by=ROMEO, sent=at(number))
            await trio.sleep(1)
        assert publications(server) == []
        displays.mark(ROOM, "room-id", by=ROOM, sent=at(0))
        await trio.sleep(1.9)
        assert publications(server) == []
        await trio.sleep(0.2)
        assert publications(server) == [str(JULIET), str(ROOM)]
        item = await pubsub.fetch_item(client, NODE, str(JULIET))
        assert item is not None
        assert item.payload is not None
        assert item.payload.stanza_id.id == "id-29"


@pytest.mark.item("D11.mds.2")
async def test_a_position_never_goes_back(autojump_clock: Any) -> None:
    async with (
        open_server() as server,
        connect(server) as client,
        open_displayed(client) as displays,
        displays.changes() as changes,
    ):
        for minute in (1, 2, 3, 9):
            displays.learn(JULIET, f"id-{minute}", at(minute))
        assert displays.mark(JULIET, "id-3", by=ROMEO, sent=at(3))
        assert not displays.mark(JULIET, "id-3", by=ROMEO, sent=at(3))
        assert not displays.mark(JULIET, "id-2", by=ROMEO, sent=at(2))
        await displays.flush()
        assert publications(server) == [str(JULIET)]
        inject(client.stream, heard(str(JULIET), "id-1", str(ROMEO)))
        assert displays[JULIET].id == "id-3"
        inject(client.stream, heard(str(JULIET), "id-9", str(ROMEO)))
        assert displays[JULIET].id == "id-9"
        assert changes.take_all() == [Position(JULIET, "id-9", ROMEO, at(9))]
        assert not displays.mark(JULIET, "id-8", by=ROMEO, sent=at(8))
        await displays.flush()
        assert publications(server) == [str(JULIET)]


@pytest.mark.item("D11.mds.3")
async def test_two_clients_agree(autojump_clock: Any) -> None:
    async with (
        open_server() as server,
        connect(server) as one,
        connect(server, "2") as other,
        open_displayed(one) as ours,
        open_displayed(other) as theirs,
        ours.changes() as changes,
    ):
        await present(one)
        await trio.testing.wait_all_tasks_blocked()
        theirs.mark(JULIET, "id-1", by=ROMEO, sent=at(1))
        assert await anext(changes) == Position(JULIET, "id-1", ROMEO)
        ours.mark(JULIET, "id-2", by=ROMEO, sent=at(2))
        await trio.sleep(3)
        assert changes.take_all() == [], "our own position is no news"


@pytest.mark.item("D11.mds.4")
async def test_positions_of_others_and_of_other_archives_are_ignored(autojump_clock: Any) -> None:
    async with (
        open_server(contacts=[("romeo", "juliet")]) as server,
        connect(server) as client,
        open_displayed(client) as displays,
    ):
        inject(
            client.stream,
            heard(str(JULIET), "forged", str(ROMEO), from_=str(JULIET)),
            heard(str(JULIET), "forged", str(ROMEO), from_=f"{ROMEO}/2"),
            heard(str(JULIET), "of another archive", "tybalt@example.test"),
            heard("a b@@", "no address", str(ROMEO)),
        )
        assert dict(displays) == {}
        with pytest.raises(ValueError, match="archive"):
            displays.mark(JULIET, "x", by=ROOM, sent=at(0))
        inject(client.stream, heard(f"{ROOM}/nick", "private", str(ROMEO)), heard(str(ROOM), "fine", str(ROOM)))
        assert {str(chat): each.id for chat, each in displays.items()} == {
            f"{ROOM}/nick": "private",
            str(ROOM): "fine",
        }


async def test_memory_is_bounded(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client, open_displayed(client, limit=10) as displays:
        for number in range(100):
            inject(client.stream, heard(f"u{number}@example.test", "x", str(ROMEO)))
        assert len(displays) <= 10
