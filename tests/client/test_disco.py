"""The answers of others to service discovery (XEP-0030): asked once, remembered, and bounded."""

from __future__ import annotations

import traceback

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.dialogs import renewed, resumed
from tests.services import connect
from trioxmpp import JID, XMPPCancelError, XMPPError
from trioxmpp.errors import ErroneousStanza, StanzaCondition
from trioxmpp.protocol.elements.disco import Identity, Info, InfoQuery, Item, Items, ItemsQuery
from trioxmpp.testing import open_server

PC = Identity(category="client", type="pc")
JULIET = "juliet@example.test"


@pytest.fixture
async def server(autojump_clock):
    async with open_server() as server:
        yield server


class Answers:
    """Answers disco#info at accounts, each after a second, and counts the questions."""

    def __init__(self, server, answer=None) -> None:
        self.asked: list[str] = []
        self.open = self.most = 0
        self.answer = answer or Info.of(["urn:one"], [PC])
        server.answer(InfoQuery, self._answer, at=("others", "unknown"))

    async def _answer(self, iq):
        self.asked.append(str(iq.to))
        self.open += 1
        self.most = max(self.most, self.open)
        await trio.sleep(1)
        self.open -= 1
        if isinstance(self.answer, XMPPError):
            raise self.answer
        return self.answer


@pytest.mark.item("D3.8")
async def test_tasks_that_ask_at_once_share_one_question_and_the_answer_is_remembered(server, autojump_clock):
    answers = Answers(server)
    async with connect(server) as client:
        found = []

        async def ask():
            found.append(await client.disco.info(JULIET))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
        await ask()
        assert len(found) == 11
        assert all(info.features == {"urn:one"} for info in found)
        assert answers.asked == [JULIET]
        await client.disco.info(JULIET, fresh=True)
        assert len(answers.asked) == 2
        client.disco.forget(JID.parse(JULIET))
        await client.disco.info(JULIET)
        assert len(answers.asked) == 3


@pytest.mark.item("D3.8")
async def test_a_task_that_is_cancelled_does_not_cancel_the_others(server, autojump_clock):
    answers = Answers(server)
    async with connect(server) as client:
        found = []

        async def ask():
            found.append(await client.disco.info(JULIET))

        scope = trio.CancelScope()

        async def ask_until_cancelled():
            with scope:
                await ask()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_until_cancelled)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(3):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
        assert len(found) == 3
        assert len(answers.asked) == 2  # the first of the others asks again


async def test_an_error_is_remembered_for_a_minute_and_does_not_grow(server, autojump_clock):
    answers = Answers(server, XMPPCancelError(StanzaCondition.FORBIDDEN))
    async with connect(server) as client:
        depths = []
        for _ in range(20):
            with pytest.raises(XMPPCancelError, match="forbidden") as caught:
                await client.disco.info(JULIET)
            depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
        assert len(answers.asked) == 1
        assert max(depths[1:]) == min(depths[1:])
        assert not await client.disco.has(JULIET, "urn:one")
        await trio.sleep(61)
        answers.answer = Info.of(["urn:one"], [PC])
        assert await client.disco.has(JULIET, "urn:one")
        assert len(answers.asked) == 2


async def test_a_new_session_asks_anew_and_a_resumed_one_does_not(server, autojump_clock):
    answers = Answers(server)
    async with connect(server) as client:
        await client.disco.info(JULIET)
        await resumed(server, client)
        await client.disco.info(JULIET)
        assert len(answers.asked) == 1
        await renewed(server, client)
        await client.disco.info(JULIET)
        assert len(answers.asked) == 2


async def test_questions_that_are_open_at_a_time_are_few(server, autojump_clock):
    answers = Answers(server)
    async with connect(server) as client, trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(client.disco.info, f"user{number}@example.test")
        await trio.sleep(100)
        assert (len(answers.asked), answers.most) == (50, 8)


@pytest.mark.item("D3.9")
@on_every_bench(accounts=1)
async def test_features_of_account_and_server_are_asked_at_their_addresses(bench: Bench) -> None:
    (client,) = bench.clients
    account, domain = client.jid.bare, JID(None, bench.domain, None)
    assert any(one.category == "account" for one in (await client.disco.info(account)).identities)
    assert any(one.category == "server" for one in (await client.disco.info(domain)).identities)
    assert await client.disco.has(account, "urn:xmpp:mam:2")
    assert await client.disco.has(domain, "urn:xmpp:blocking")
    assert await client.disco.find("urn:xmpp:blocking") == domain
    rooms = await client.disco.find("http://jabber.org/protocol/muc")
    assert rooms == JID.parse(f"conference.{bench.domain}")
    assert await client.disco.find("urn:xmpp:telepathy") is None


class Services:
    """Lists services of the domain. Those of which the name begins with "silent" never answer."""

    def __init__(self, server, *names: str) -> None:
        self.names = names
        items = Items(items=tuple([Item(jid=JID.parse(f"{name}@example.test")) for name in names]))
        server.answer(ItemsQuery, lambda iq: items, at=("domain",))
        server.answer(InfoQuery, self._answer, at=("unknown",))

    async def _answer(self, iq):
        if iq.to.local.startswith("silent"):
            await trio.sleep_forever()
        if iq.to.local.startswith("upload"):
            return Info.of(["urn:xmpp:http:upload:0"], [Identity(category="store", type="file")])
        raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)


async def test_a_service_is_found_among_silent_ones(server, autojump_clock):
    async with connect(server) as client:
        Services(server, "silent1", "refusing", "silent2", "upload1", "upload2", "silent3")
        began = trio.current_time()
        assert await client.disco.find("urn:xmpp:http:upload:0") == JID.parse("upload1@example.test")
        assert trio.current_time() - began <= 31, "the silent ones are waited for at the same time"
        began = trio.current_time()
        assert await client.disco.find("urn:other") is None
        assert trio.current_time() - began <= 31


async def test_a_service_at_the_head_of_the_list_is_found_at_once(server, autojump_clock):
    async with connect(server) as client:
        Services(server, "upload1", "silent1")
        began = trio.current_time()
        assert await client.disco.find("urn:xmpp:http:upload:0") == JID.parse("upload1@example.test")
        assert trio.current_time() - began < 1


async def test_a_domain_that_lists_nothing_has_no_service(server, autojump_clock):
    def refuse(iq):
        raise XMPPCancelError(StanzaCondition.FORBIDDEN)

    async with connect(server) as client:
        server.answer(ItemsQuery, refuse)
        assert await client.disco.find("urn:xmpp:http:upload:0") is None


async def test_a_session_that_is_lost_ends_a_search_with_one_bare_error(server, autojump_clock):
    caught = []

    async def search(client):
        with pytest.raises(ConnectionError) as failure:
            await client.disco.find("urn:other")
        caught.append(failure.value)

    async with connect(server) as client, trio.open_nursery() as nursery:
        Services(server, "silent1", "silent2")
        nursery.start_soon(search, client)
        await trio.sleep(1)
        server.forget(str(client.jid))
        await trio.sleep(100)
        assert len(caught) == 1


@pytest.mark.item("D3.10")
async def test_an_answer_with_a_thousand_features(server, autojump_clock):
    Answers(server, Info.of([f"urn:feature:{number}" for number in range(1000)], [PC]))
    async with connect(server) as client:
        info = await client.disco.info(JULIET)
        assert len(info.features) == 1000
        assert await client.disco.has(JULIET, "urn:feature:999")


@pytest.mark.item("D3.15")
async def test_a_list_without_end_is_refused_and_not_kept(server, autojump_clock):
    endless = Items(items=tuple([Item(jid=JID.parse(f"item{number}.example.net")) for number in range(50_000)]))
    server.answer(ItemsQuery, lambda iq: endless, at=("others",))
    async with connect(server) as client:
        with pytest.raises(ErroneousStanza, match="more than 10000 items"):
            await client.disco.items(JULIET)
        assert client.established
        assert await client.disco.items(server.domain) == ()


async def test_memory_is_bounded_in_entries_and_octets(server, autojump_clock):
    answers = Answers(server, Info.of([f"urn:{'x' * 1000}:{number}" for number in range(1000)], [PC]))
    async with connect(server) as client:
        for number in range(6):
            await client.disco.info(f"user{number}@example.test")
        await client.disco.info("user5@example.test")
        assert len(answers.asked) == 6
        await client.disco.info("user0@example.test")  # six of a million octets are too many
        assert len(answers.asked) == 7


async def test_a_question_that_is_open_when_the_session_ends_is_asked_in_the_next(server, autojump_clock):
    answers = Answers(server)
    async with connect(server) as client, trio.open_nursery() as nursery:
        found = []

        async def ask():
            try:
                found.append(await client.disco.info(JULIET))
            except ConnectionError as exc:
                found.append(exc)

        for _ in range(2):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await renewed(server, client)
        await trio.sleep(10)
        assert len(found) == 2
        assert sum(isinstance(each, Info) for each in found) >= 1
        assert len(answers.asked) == 2


async def test_a_proof_makes_a_question_needless_until_its_block_ends(server, autojump_clock):
    answers = Answers(server)
    proven = Info.of(["urn:proven"], [PC])
    known = {JID.parse("tybalt@example.test"): proven}
    async with connect(server) as client:
        with client.disco.believing(known.get):
            assert await client.disco.info("tybalt@example.test") is proven
            with trio.testing.assert_checkpoints():
                assert await client.disco.has("tybalt@example.test", "urn:proven")
            assert answers.asked == []
            # Of its nodes, and of other entities, nothing is proven; a fresh answer is asked for all the same.
            assert (await client.disco.info("tybalt@example.test", "node")).features == {"urn:one"}
            assert (await client.disco.info(JULIET)).features == {"urn:one"}
            assert (await client.disco.info("tybalt@example.test", fresh=True)).features == {"urn:one"}
            assert len(answers.asked) == 3
            client.disco.forget(JID.parse("tybalt@example.test"))
            assert await client.disco.info("tybalt@example.test") is proven
        assert (await client.disco.info("tybalt@example.test")).features == {"urn:one"}


async def test_to_forget_one_entity_leaves_what_is_known_of_others(server, autojump_clock):
    answers = Answers(server)
    romeos = [f"romeo{number}@example.test" for number in range(3)]
    async with connect(server) as client:
        for node in (None, "node"):
            for romeo in romeos:
                await client.disco.info(romeo, node)
        client.disco.forget(JID.parse(romeos[1]))
        client.disco.forget(JID.parse("unknown@example.test"))
        answers.asked.clear()
        for node in (None, "node"):
            for romeo in romeos:
                await client.disco.info(romeo, node)
        assert answers.asked == [romeos[1]] * 2
