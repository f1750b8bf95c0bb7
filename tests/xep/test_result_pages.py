"""Results in pages (XEP-0059), and the services of a domain."""

from __future__ import annotations

import pytest

from tests.bench import Bench, on_every_bench
from tests.services import connect
from trioxmpp import JID, XMPPCancelError
from trioxmpp.errors import ErroneousStanza, StanzaCondition
from trioxmpp.protocol.elements.disco import InfoQuery, Item, Items, ItemsQuery
from trioxmpp.protocol.elements.rsm import Page
from trioxmpp.testing import open_server
from trioxmpp.xep.pages import Pages, domain_services, item_pages

JULIET = "juliet@example.test"


@pytest.fixture
async def server(autojump_clock):
    async with open_server(rooms=True) as server:
        yield server


def rooms(count: int) -> list[Item]:
    return [Item(jid=JID.parse(f"room{number}@rooms.example.net")) for number in range(count)]


def paged(items: list[Item], *, counts: bool = True, most: int = 1000):
    """A function that answers questions for a list in pages, like a service that gives `most` at a time."""
    questions: list[Page] = []

    def answer(iq) -> Items:
        page = iq.payload.page
        questions.append(page)
        start = 0 if page.after is None else int(page.after) + 1
        part = items[start : start + min(page.max, most)]
        told = Page(
            first=str(start) if part else None,
            last=str(start + len(part) - 1) if part else None,
            count=len(items) if counts else None,
        )
        return Items(items=tuple(part), page=told)

    return answer, questions


@pytest.mark.item("D3.15")
async def test_a_long_list_comes_in_pages(server, autojump_clock):
    everything = rooms(50_000)
    async with connect(server) as client:
        for counts, questions_due in ((True, 50), (False, 51)):
            answer, questions = paged(everything, counts=counts)
            server.answer(ItemsQuery, answer, at=("others",))
            found = [item async for page in item_pages(client, JULIET, size=1000) for item in page]
            assert found == everything
            assert len(questions) == questions_due
            assert questions[1].after == "999"


async def test_a_service_may_give_less_than_was_asked_for_or_know_no_pages(server, autojump_clock):
    async with connect(server) as client:
        answer, questions = paged(rooms(10), most=3)
        server.answer(ItemsQuery, answer, at=("others",))
        assert [len(page) async for page in item_pages(client, JULIET)] == [3, 3, 3, 1]
        assert len(questions) == 4
        server.answer(ItemsQuery, lambda iq: Items(items=tuple(rooms(7))), at=("others",))
        assert [len(page) async for page in item_pages(client, JULIET)] == [7]
        server.answer(ItemsQuery, lambda iq: Items(), at=("others",))
        assert [page async for page in item_pages(client, JULIET)] == []


async def test_a_service_that_refuses_is_told_and_the_page_is_asked_for_again(server, autojump_clock):
    answer, questions = paged(rooms(6))
    refusals = iter([False, True, False, False])

    def sometimes(iq):
        if next(refusals):
            raise XMPPCancelError(StanzaCondition.RESOURCE_CONSTRAINT)
        return answer(iq)

    server.answer(ItemsQuery, sometimes, at=("others",))
    async with connect(server) as client:
        pages = item_pages(client, JULIET, size=2)
        assert len(await anext(pages)) == 2
        with pytest.raises(XMPPCancelError, match="resource-constraint"):
            await anext(pages)
        assert [len(page) async for page in pages] == [2, 2]
        assert [question.after for question in questions] == [None, "1", "3"]


async def test_a_service_that_leads_in_a_circle_or_has_no_end_is_left() -> None:
    numbers = iter(range(10**9))

    async def circle(page: Page):
        return ["x"], Page(last=str(next(numbers) % 3))

    async def endless(page: Page):
        return ["x"], Page(last=str(next(numbers)))

    async def idle(page: Page):
        return [], Page(last=str(next(numbers)))

    assert len([page async for page in Pages(circle)]) == 4
    assert [page async for page in Pages(idle)] == []
    pages = Pages(endless, limit=10)
    for _ in range(10):
        await anext(pages)
    with pytest.raises(ErroneousStanza, match="more than 10 pages"):
        await anext(pages)


@on_every_bench(accounts=1)
async def test_the_services_of_a_domain_say_what_they_are(bench: Bench) -> None:
    (client,) = bench.clients
    for domain in (None, bench.domain):
        services = await domain_services(client, domain)
        (rooms,) = [one for one in services if "http://jabber.org/protocol/muc" in one.info.features]
        assert rooms.jid == JID.parse(f"conference.{bench.domain}")


async def test_a_service_that_does_not_answer_is_left_out(server, autojump_clock):
    listed = [Item(jid=JID.parse(jid), name=jid[0]) for jid in ("a.example.net", JULIET, "romeo@example.test")]
    node = Item(jid=JID.parse(JULIET), node="news")

    def refuses(iq):
        raise XMPPCancelError(StanzaCondition.FORBIDDEN)

    server.answer(ItemsQuery, lambda iq: Items(items=(*listed, node)), at=("domain",))
    server.answer(InfoQuery, refuses, at=("others",))
    async with connect(server) as client:
        assert [(str(one.jid), one.name) for one in await domain_services(client)] == [("romeo@example.test", "r")]
