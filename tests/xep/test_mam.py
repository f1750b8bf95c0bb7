"""Archives: pages in both directions, on every kind of server."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench, on_every_bench
from trioxmpp import Message, MessageType, Presence, XMPPError, xml
from trioxmpp.client import archive_page
from trioxmpp.errors import StanzaError
from trioxmpp.protocol.elements.mam import ArchiveQuery, Default, Fin
from trioxmpp.protocol.elements.muc import Join
from trioxmpp.protocol.elements.rsm import Page
from trioxmpp.testing import Dialect, open_server
from trioxmpp.xep import mam

MAM = "urn:xmpp:mam:2"


def chat(body: object, to: str) -> Message:
    return Message(to=to, type=MessageType.CHAT, body=str(body))


def bodies(page) -> list[str]:
    return [result.forwarded.message.body for result in page.results]


async def exchange(bench: Bench, count: int) -> list[str]:
    romeo, juliet = bench.clients
    await juliet.send(Presence())
    for number in range(count):
        await romeo.send(chat(number, bench.jid(1)))
    return [str(number) for number in range(count)]


@on_every_bench(accounts=2)
async def test_pages_forwards_and_backwards_hold_each_message_once_in_the_order_of_the_archive(bench: Bench) -> None:
    client = bench.clients[1]
    async with client.messages.subscribe() as inbox:
        sent = await exchange(bench, 23)
        await trio.testing.wait_all_tasks_blocked(0.01)
        async with mam.open_pages(client, size=5) as pages:
            forwards = [bodies(page) async for page in pages]
        async with mam.open_pages(client, size=5, backwards=True) as pages:
            backwards = [bodies(page) async for page in pages]
        assert len(inbox) == len(sent), "an archived message is no message of now"
    assert [each for page in forwards for each in page] == sent
    assert [each for page in reversed(backwards) for each in page] == sent
    assert all(len(page) <= 5 for page in [*forwards, *backwards])


@on_every_bench(accounts=2)
async def test_a_series_can_begin_in_the_middle_and_be_left_early(bench: Bench) -> None:
    await exchange(bench, 12)
    client = bench.clients[1]
    whole = await archive_page(client.session)
    ids = [result.id for result in whole.results]
    async with mam.open_pages(client, size=3, after=ids[5]) as pages:
        assert bodies(await anext(pages)) == ["6", "7", "8"]
    async with mam.open_pages(client, size=3, before=ids[5], backwards=True) as pages:
        assert [bodies(page) async for page in pages] == [["2", "3", "4"], ["0", "1"]]
    with pytest.raises(ValueError, match="backwards"):
        async with mam.open_pages(client, before=ids[5]):
            pass


@on_every_bench(accounts=3)
async def test_a_conversation_and_a_span_of_time_narrow_an_archive_down(bench: Bench) -> None:
    romeo, _juliet, nurse = bench.clients
    await romeo.send(chat("to juliet", bench.jid(1)))
    await nurse.send(chat("to romeo", bench.jid(0)))
    async with mam.open_pages(romeo, with_=bench.jid(2)) as pages:
        assert [bodies(page) async for page in pages] == [["to romeo"]]
    (first, second) = (await archive_page(romeo.session)).results
    between = first.forwarded.delay.stamp
    # A server may write down a time more exactly than it tells it.
    async with mam.open_pages(romeo, end=between + timedelta(seconds=1)) as pages:
        assert bodies(await anext(pages))[0] == "to juliet"
    assert second.forwarded.delay.stamp >= between


@pytest.mark.item("D5.19")
@on_every_bench(accounts=1)
async def test_preferences_are_read_and_set(bench: Bench) -> None:
    (client,) = bench.clients
    assert await mam.has_archive(client)
    wanted = await mam.set_preferences(client, Default.ROSTER, always=("a@b.example",), never=("c@d.example",))
    for preferences in (wanted, await mam.get_preferences(client)):
        assert preferences.default is Default.ROSTER
        assert [str(jid) for jid in preferences.always] == ["a@b.example"]
        assert [str(jid) for jid in preferences.never] == ["c@d.example"]


@on_every_bench(accounts=2)
async def test_metadata_are_the_ends_of_the_archive_where_a_server_has_them(bench: Bench) -> None:
    bench.has("archive metadata")
    await exchange(bench, 3)
    page = await archive_page(bench.clients[0].session)
    metadata = await mam.get_metadata(bench.clients[0])
    assert (metadata.start_id, metadata.end_id) == (page.results[0].id, page.results[-1].id)


# --- what only a server in memory can do


def settings(**more):
    return {"accounts": {"romeo": "secret", "juliet": "secret"}, "archive": True, **more}


def connect(server, **more):
    options = {"endpoint": server.endpoint, "allow_plaintext": True, **more}
    return trioxmpp.connect("romeo@example.test/orchard", "secret", **options)


def fill(server, count: int) -> None:
    account = server.accounts["romeo"]
    for number in range(count):
        text = f"<message xmlns='jabber:client' from='juliet@example.test/x' id='{number}' type='chat'/>"
        element = xml.fromstring(text.replace("/>", f"><body>{number}</body></message>"))
        account.archive.keep(element, trioxmpp.JID.parse("juliet@example.test/x"), account.jid, server.dialect)


def queries(server) -> int:
    return sum(1 for each in server.log if len(each.stanza) and each.stanza[0].tag == f"{{{MAM}}}query")


async def test_the_next_page_is_asked_for_at_once_and_two_pages_wait_at_most(autojump_clock):
    async with open_server(**settings()) as server, connect(server) as client:
        fill(server, 50)
        async with mam.open_pages(client, size=5) as pages:
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert queries(server) == 2
            await anext(pages)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert queries(server) == 3


@pytest.mark.item("D5.8", "D5.9")
@pytest.mark.parametrize("lost", ["link", "session"])
async def test_a_link_or_session_that_is_lost_in_a_page_costs_no_message(autojump_clock, lost):
    async with open_server(**settings()) as server, connect(server) as client:
        fill(server, 40)
        got = []
        async with mam.open_pages(client, size=4) as pages:
            async for page in pages:
                got += bodies(page)
                if lost == "link":
                    server.sessions["romeo@example.test/orchard"].link.reset()
                elif client.established:
                    server.forget("romeo@example.test/orchard")
    assert got == [str(number) for number in range(40)]


async def test_an_id_that_the_archive_does_not_know_is_answered_in_three_ways(autojump_clock):
    answers = {}
    for cursor in ("error", "empty", "beginning"):
        dialect = replace(Dialect.PROSODY_13, archive_cursor=cursor)
        async with open_server(**settings(), dialect=dialect) as server, connect(server) as client:
            fill(server, 3)
            try:
                page = await archive_page(client.session, Page(max=5, after="unknown"))
                answers[cursor] = bodies(page), page.fin.complete
            except XMPPError as exc:
                answers[cursor] = exc.condition.value
    assert answers == {"error": "item-not-found", "empty": ([], True), "beginning": (["0", "1", "2"], True)}


async def test_an_archive_that_does_not_answer_is_given_up_but_not_while_there_is_no_link(autojump_clock):
    async with open_server(**settings(archive="silent")) as server, connect(server) as client:
        before = trio.current_time()
        with pytest.raises(TimeoutError, match="60 seconds"):
            await archive_page(client.session)
        assert trio.current_time() - before == pytest.approx(60, abs=1)


class Archive:
    """A scripted archive: answers each query as a test says."""

    def __init__(self, server, client, answer):
        self.server, self.client, self.answer = server, client, answer
        server.answer(ArchiveQuery, self.query)

    def query(self, iq):
        session = self.server.sessions[str(self.client.jid)]
        return self.answer(iq.payload, lambda text: session.deliver(xml.fromstring(text)))


def result(queryid: str, id: object, from_: str | None = "romeo@example.test", body: object = None) -> str:
    sender = "" if from_ is None else f" from='{from_}'"
    stamp = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>"
    inner = (
        f"<message xmlns='jabber:client' from='juliet@example.test/x' type='chat'><body>{body or id}</body></message>"
    )
    forwarded = f"<forwarded xmlns='urn:xmpp:forward:0'>{stamp}{inner}</forwarded>"
    return (
        f"<message xmlns='jabber:client'{sender}>"
        f"<result xmlns='{MAM}' queryid='{queryid}' id='{id}'>{forwarded}</result></message>"
    )


def fin(complete: bool = False, last: object = None):
    return Fin(complete=complete, page=None if last is None else Page(last=str(last)))


@pytest.mark.item("D5.27")
async def test_an_archive_that_sends_far_more_than_the_page_is_cut_short_and_nothing_is_skipped(autojump_clock):
    def answer(query, deliver):
        first = 0 if query.page.after is None else int(query.page.after) + 1
        for number in range(first, min(first + 30, 60)):
            deliver(result(query.queryid, number))
        return fin(first + 30 >= 60, min(first + 29, 59))

    async with open_server(**settings()) as server, connect(server) as client:
        Archive(server, client, answer)
        async with mam.open_pages(client, size=5) as pages:
            read = [bodies(page) async for page in pages]
    assert max(len(page) for page in read) == 20
    assert [each for page in read for each in page] == [str(number) for number in range(60)]


@pytest.mark.item("D5.28")
async def test_pages_that_never_end_are_given_up(autojump_clock):
    def answer(query, deliver):
        number = 0 if query.page.after is None else int(query.page.after) + 1
        deliver(result(query.queryid, number))
        return fin(last=number)

    async with open_server(**settings()) as server, connect(server) as client:
        Archive(server, client, answer)
        async with mam.open_pages(client, limit=7) as pages:
            with pytest.raises(StanzaError, match="more than 7 pages"):
                for _ in range(10):
                    await anext(pages)


async def test_an_archive_whose_pages_lead_nowhere_has_ended(autojump_clock):
    def stays(query, deliver):
        deliver(result(query.queryid, 1))
        return fin(last=1)

    def empty(query, deliver):
        return fin()

    for answer, count in ((stays, 2), (empty, 0)):
        async with open_server(**settings()) as server, connect(server) as client:
            Archive(server, client, answer)
            async with mam.open_pages(client) as pages:
                assert len([page async for page in pages]) == count


@pytest.mark.item("D5.23")
@pytest.mark.item("D5.24")
async def test_only_results_of_the_archive_asked_for_this_query_and_before_its_fin_are_believed(autojump_clock):
    queryids = []

    def answer(query, deliver):
        queryids.append(query.queryid)
        deliver(result(query.queryid, "genuine"))
        deliver(result(query.queryid, "unsigned", None))
        for sender in ("juliet@example.test", "romeo@example.test/orchard", "example.test", "romeo@example.com"):
            deliver(result(query.queryid, "forged", sender))
        deliver(result("another", "foreign"))
        return fin(complete=True)

    async with open_server(**settings()) as server, connect(server) as client, client.messages.subscribe() as inbox:
        Archive(server, client, answer)
        page = await archive_page(client.session)
        assert bodies(page) == ["genuine", "unsigned"]
        assert page.forged == 5
        assert len(inbox) == 0
        server.sessions["romeo@example.test/orchard"].deliver(xml.fromstring(result(queryids[0], "late")))
        page = await archive_page(client.session)
        assert "late" not in bodies(page)


@pytest.mark.item("D5.22")
async def test_a_message_that_cannot_be_read_is_counted_and_the_others_come(autojump_clock):
    def answer(query, deliver):
        deliver(result(query.queryid, 1))
        deliver(f"<message xmlns='jabber:client'><result xmlns='{MAM}' queryid='{query.queryid}' id='2'/></message>")
        deliver(result(query.queryid, 3))
        return fin(complete=True)

    async with open_server(**settings()) as server, connect(server) as client:
        Archive(server, client, answer)
        page = await archive_page(client.session)
    assert bodies(page) == ["1", "3"]
    assert page.malformed == 1


@pytest.mark.item("D5.17")
@on_every_bench(accounts=1)
async def test_the_archive_of_a_room_is_read_like_that_of_the_account(bench: Bench) -> None:
    bench.embedded()
    (client,) = bench.clients
    room = bench.room()
    await client.send(Presence(to=f"{room}/nick", payloads=[Join()]))
    await trio.testing.wait_all_tasks_blocked(0.01)
    for number in range(7):
        await client.send(Message(to=room, type=MessageType.GROUPCHAT, body=str(number)))
    async with mam.open_pages(client, archive=room, size=3) as pages:
        read = [each for page in [bodies(page) async for page in pages] for each in page]
    assert [each for each in read if each] == [str(number) for number in range(7)]
