"""Forged answers of an archive, and answers that lead nowhere."""

from __future__ import annotations

import pytest
import trio

from tests.client.doubts import MAM, ROMEO, TO, another_process, juliet, loses_its_session, queries, reads, settle
from trioxmpp import xml

ERROR = "<error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


@pytest.fixture
async def inbox(road):
    async with juliet(road) as inbox:
        yield inbox


async def test_only_the_archive_is_believed(autojump_clock, road, inbox):
    store, ids = await loses_its_session(road, "0", had=0)
    road.server.policy.archive = "silent"
    async with another_process(road, store) as client, client.messages.subscribe() as messages:
        await road.server.until(lambda: queries(road.server))
        (posted,) = client.posted
        queryid = queries(road.server)[0].get("queryid")
        true = result(queryid, message(ROMEO, TO, ids[0], "0"))
        lies = [
            ("juliet@example.test/balcony", true),
            ("juliet@example.test", true),
            ("example.test", true),
            (ROMEO, true),
            ("romeo@example.test", result("another", message(ROMEO, TO, ids[0], "0"))),
            (None, result("", message(ROMEO, TO, ids[0], "0"))),
            ("romeo@example.test", result(queryid, message("romeo@example.com/orchard", TO, ids[0], "0"))),
            ("romeo@example.test", result(queryid, message(None, TO, ids[0], "0"))),
            ("romeo@example.test", result(queryid, message("@@@", TO, ids[0], "0"))),
            ("romeo@example.test", result(queryid, "")),
            ("romeo@example.test", f"<result xmlns='{MAM}' queryid='{queryid}'/>"),
        ]
        for from_, lie in lies:
            sender = "" if from_ is None else f" from='{from_}'"
            road.session().deliver(xml.fromstring(f"<message xmlns='jabber:client'{sender}>{lie}</message>"))
            await settle()
            assert not posted.settled, (from_, lie)
            assert not len(messages), (from_, lie)
        road.session().deliver(xml.fromstring(f"<message xmlns='jabber:client'>{true}</message>"))
        await settle()
        assert posted.delivered
    await reads(inbox)


def message(from_: str | None, to: str, id: str | None, body: str) -> str:
    sender = "" if from_ is None else f" from='{from_}'"
    return f"<message xmlns='jabber:client'{sender} to='{to}' id='{id}' type='chat'><body>{body}</body></message>"


def result(queryid: str, inner: str) -> str:
    forwarded = (
        f"<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>{inner}"
    )
    return f"<result xmlns='{MAM}' queryid='{queryid}' id='1'>{forwarded}</forwarded></result>"


@pytest.mark.parametrize(
    "fin",
    [
        "<fin xmlns='urn:xmpp:mam:2'/>",
        "<fin xmlns='urn:xmpp:mam:2' complete='perhaps'/>",
        "<fin xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><last>1</last></set></fin>",
        "<fin xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>many</max></set></fin>",
        "<something xmlns='else'/>",
        "",
        "error",
    ],
)
async def test_strange_answers_end_the_search(autojump_clock, road, inbox, fin):
    store, _ = await loses_its_session(road, "0", had=1)
    road.server.policy.archive = "silent"

    async def answer() -> None:
        for number in range(100):
            await road.server.until(lambda: len(queries(road.server)) > number)  # noqa: B023
            request = queries(road.server)[number].getparent()
            kind, inner = ("result", fin) if fin != "error" else ("error", ERROR)
            text = f"<iq xmlns='jabber:client' type='{kind}' id='{request.get('id')}'>{inner}</iq>"
            road.session().deliver(xml.fromstring(text))

    async with another_process(road, store) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        before = trio.current_time()
        for posted in client.posted:
            await posted
        assert trio.current_time() - before < 20
        nursery.cancel_scope.cancel()
    await reads(inbox, "0", "0")
    assert len(queries(road.server)) < 4
