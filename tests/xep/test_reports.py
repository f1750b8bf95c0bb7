"""Reports of addresses, which are blocked in any case (XEP-0377)."""

from __future__ import annotations

from typing import Any

import pytest

import trioxmpp
from tests.bench import Bench, on_every_bench
from trioxmpp import JID
from trioxmpp.protocol.elements.blocking import Block, BlocklistQuery
from trioxmpp.protocol.elements.stanza_ids import StanzaId
from trioxmpp.testing import Server, open_server
from trioxmpp.xep.reports import ABUSE, FEATURE, SPAM, can_report, report

TYBALT = JID.parse("tybalt@example.test")


def connect(server: Server) -> Any:
    return trioxmpp.connect("romeo@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True)


@pytest.mark.item("D11a.9")
async def test_a_report_goes_with_the_block_if_the_server_takes_it(autojump_clock: Any) -> None:
    for takes in (True, False):
        async with open_server() as server, connect(server) as client:
            if takes:
                server.features.domain.features.append(FEATURE)
            seen: list[Block] = []
            server.answer(Block, lambda iq, seen=seen: seen.append(iq.payload))
            assert await can_report(client) is takes
            by = client.jid.bare
            ids = [StanzaId(id=str(n), by=by) for n in range(500)]
            assert await report(client, TYBALT, ABUSE, messages=ids, text="a duel") is takes
            ((item,),) = [block.items for block in seen]
            assert item.jid == TYBALT
            if takes:
                assert item.report is not None
                assert (item.report.reason, item.report.text) == (ABUSE, "a duel")
                assert item.report.stanza_ids == tuple(ids[:100])
            else:
                assert item.report is None


async def test_the_address_is_blocked(autojump_clock: Any) -> None:
    async with open_server() as server, connect(server) as client:
        assert not await report(client, str(TYBALT), SPAM)
        assert [item.jid for item in (await client.request(BlocklistQuery())).items] == [TYBALT]


@pytest.mark.item("D11a.9")
@on_every_bench(accounts=2)
async def test_a_reported_address_is_blocked_and_the_server_takes_the_report_if_it_can(bench: Bench) -> None:
    romeo, tybalt = bench.clients
    takes = await can_report(romeo)
    assert await report(romeo, tybalt.jid.bare, SPAM, text="a duel") is takes
    assert [item.jid for item in (await romeo.request(BlocklistQuery())).items] == [tybalt.jid.bare]
    if bench.server is not None:
        expected = [(str(tybalt.jid.bare), SPAM, "a duel")] if takes else []
        assert bench.server.blocking.reports == expected
    elif not takes:
        pytest.skip(f"{bench.label} has no module for reports (mod_spam_reporting): it was blocked without one")
