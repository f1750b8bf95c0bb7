"""Small questions to others, and the answers that we give (XEP-0199, XEP-0092, XEP-0202, XEP-0012)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.services import connect, forge, sent
from trioxmpp import Presence, XMPPCancelError, XMPPError
from trioxmpp.errors import ErroneousStanza
from trioxmpp.protocol.elements.disco import Identity
from trioxmpp.protocol.elements.entity_time import Time, TimeQuery
from trioxmpp.protocol.elements.last import LastActivity, LastActivityQuery
from trioxmpp.protocol.elements.version import Version
from trioxmpp.testing import open_server
from trioxmpp.xep.basics import entity_time, last_activity, offer_last_activity, ping, software_version


@pytest.fixture
async def server(autojump_clock):
    async with open_server() as server:
        yield server


@on_every_bench(accounts=2)
async def test_a_ping_returns_the_seconds_that_it_took(bench: Bench) -> None:
    romeo, juliet = bench.clients
    for to in (None, bench.domain, juliet.jid):
        assert 0 <= await ping(romeo, to) < 10
    with pytest.raises(XMPPError):
        await ping(romeo, f"{bench.jid(1)}/nowhere")


async def test_a_ping_without_an_answer_times_out(server, autojump_clock):
    async with connect(server) as client, connect(server, "juliet") as juliet:
        server.sessions[str(juliet.jid)].link.black_hole("out")
        began = trio.current_time()
        with pytest.raises(TimeoutError):
            await ping(client, juliet.jid, timeout=7)
        assert trio.current_time() - began == pytest.approx(7)


@pytest.mark.item("D11a.1")
@on_every_bench(accounts=2)
async def test_version_and_operating_system_are_told_only_if_they_were_given(bench: Bench) -> None:
    romeo, juliet = bench.clients
    assert (await software_version(romeo, bench.domain)).name
    known = await software_version(romeo, juliet.jid)
    assert (known.name, known.version, known.os) == ("trioxmpp", None, None)
    given = Version(name="balcony", version="1.5", os="stone")
    identity = Identity(category="client", type="pc", name="Balcony")
    async with bench.connect(1, "balcony", software=given) as open_hearted:
        assert await software_version(romeo, open_hearted.jid) == given
    async with bench.connect(1, "terrace", identity=identity) as discreet:
        assert await software_version(romeo, discreet.jid) == Version(name="Balcony")


@pytest.mark.item("D11a.1")
@on_every_bench(accounts=2)
async def test_the_time_of_others_is_aware_and_ours_is_in_utc(bench: Bench) -> None:
    romeo, juliet = bench.clients
    for jid in (bench.domain, juliet.jid):
        told = await entity_time(romeo, jid)
        assert told.tzinfo is not None
        assert abs(told - datetime.now(UTC)) < timedelta(hours=1)
    assert (await entity_time(romeo, juliet.jid)).utcoffset() == timedelta(0)


async def test_the_time_is_given_in_the_zone_that_is_stated(server, autojump_clock):
    verona = timezone(timedelta(hours=2))
    moment = datetime(1594, 7, 16, 12, 30, tzinfo=UTC)
    async with connect(server) as client:
        server.answer(TimeQuery, lambda iq: Time(tzo=verona, utc=moment))
        told = await entity_time(client, server.domain)
        assert (told, told.hour) == (moment, 14)
        server.answer(TimeQuery, lambda iq: Time(tzo=verona))
        with pytest.raises(ErroneousStanza, match="no time"):
            await entity_time(client, server.domain)


async def test_the_seconds_of_idleness_have_to_be_a_number(server, autojump_clock):
    async with connect(server) as client:
        server.answer(LastActivityQuery, lambda iq: LastActivity(seconds=903, status="Heading Home"))
        assert await last_activity(client, "juliet@example.test") == LastActivity(seconds=903, status="Heading Home")
        for answer in (LastActivity(), LastActivity(seconds=-1)):
            server.answer(LastActivityQuery, lambda iq, answer=answer: answer)
            with pytest.raises(ErroneousStanza, match="no number"):
                await last_activity(client, "juliet@example.test")


@pytest.mark.item("D11a.1")
@on_every_bench(accounts=2)
async def test_idleness_is_told_only_while_the_block_runs_and_only_to_those_who_may_know(bench: Bench) -> None:
    romeo, juliet = bench.clients
    await bench.add_contacts(0, 1)  # or ejabberd does not let the question through
    async with bench.connect(0, "other") as stranger:
        await stranger.send(Presence())
        with offer_last_activity(juliet, lambda: 12.7, allow=lambda jid: jid == romeo.jid):
            assert (await last_activity(romeo, juliet.jid)).seconds == 12
            assert "jabber:iq:last" in (await romeo.disco.info(juliet.jid, fresh=True)).features
            with pytest.raises(XMPPCancelError, match="service-unavailable"):
                await last_activity(stranger, juliet.jid)
        with pytest.raises(XMPPCancelError, match="service-unavailable"):
            await last_activity(romeo, juliet.jid)
        assert "jabber:iq:last" not in (await romeo.disco.info(juliet.jid, fresh=True)).features


@pytest.mark.item("D11a.2")
async def test_results_and_errors_are_not_answered(server, autojump_clock):
    async with connect(server) as client:
        payloads = [
            "<ping xmlns='urn:xmpp:ping'/>",
            "<query xmlns='jabber:iq:version'><name>x</name></query>",
            "<time xmlns='urn:xmpp:time'/>",
            "<query xmlns='jabber:iq:last' seconds='1'/>",
        ]
        error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        for type_, more in (("result", ""), ("error", error)):
            for payload in payloads:
                await forge(
                    server, client, f"<iq type='{type_}' id='x' from='juliet@example.test'>{payload}{more}</iq>"
                )
        assert sent(server, client, "iq") == []
        await ping(client)
