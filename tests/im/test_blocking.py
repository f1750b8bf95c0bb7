"""The block list of our account (XEP-0191)."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.dialogs import renewed, resumed
from tests.services import answer_to, connect, forge, sent
from trioxmpp import JID, Trouble, XMPPCancelError
from trioxmpp.errors import StanzaCondition
from trioxmpp.im.blocking import Blocked, Unblocked, open_blocking
from trioxmpp.protocol.elements.blocking import Blocklist, BlocklistQuery, Item
from trioxmpp.protocol.elements.reporting import SPAM, Report
from trioxmpp.testing import open_server

NS = "urn:xmpp:blocking"
PARIS = "paris@example.net"


@pytest.fixture
async def server(autojump_clock):
    async with open_server() as server:
        yield server


def push(verb: str, *jids: str, from_: str = "romeo@example.test", id: str = "push") -> str:
    items = "".join(f"<item jid='{jid}'/>" for jid in jids)
    return f"<iq type='set' id='{id}' from='{from_}'><{verb} xmlns='{NS}'>{items}</{verb}></iq>"


@pytest.mark.item("D9.1")
@on_every_bench(accounts=1)
async def test_the_list_follows_what_is_blocked_and_unblocked(bench: Bench) -> None:
    (client,) = bench.clients
    async with open_blocking(client) as blocklist, bench.connect(0, "other") as other, open_blocking(other) as mirror:
        assert len(blocklist) == 0
        await blocklist.block(PARIS, JID.parse("example.org"))
        assert PARIS in blocklist
        assert set(blocklist) == {JID.parse(PARIS), JID.parse("example.org")}
        async with mirror.changes() as changes:
            if len(mirror) < 2:
                await anext(changes)
            await blocklist.unblock(PARIS)
            assert set(blocklist) == {JID.parse("example.org")}
            while PARIS in mirror:
                await anext(changes)
            await blocklist.unblock_all()
            assert len(blocklist) == 0
            while len(mirror):
                await anext(changes)


@pytest.mark.item("D9.1")
async def test_each_session_reads_the_list(server, autojump_clock):
    account = server.accounts["romeo"]
    account.blocked.append(PARIS)
    async with connect(server) as client, open_blocking(client) as blocklist, blocklist.changes() as changes:
        assert [*blocklist] == [JID.parse(PARIS)]
        account.blocked[:] = ["example.org"]
        await resumed(server, client)
        assert PARIS in blocklist  # a session that goes on missed nothing
        await renewed(server, client)
        assert [*blocklist] == [JID.parse("example.org")]
        assert [await anext(changes), await anext(changes)] == [
            Unblocked(frozenset({JID.parse(PARIS)})),
            Blocked(frozenset({JID.parse("example.org")})),
        ]


@pytest.mark.item("D9.1")
async def test_no_empty_sequence_unblocks_all(server, autojump_clock):
    server.accounts["romeo"].blocked.append(PARIS)
    async with connect(server) as client, open_blocking(client) as blocklist:
        for verb in (blocklist.block, blocklist.unblock):
            with pytest.raises(ValueError, match="no address"):
                await verb(*[])
        assert server.accounts["romeo"].blocked == [PARIS]


@pytest.mark.item("D9.1")
async def test_a_push_between_the_question_and_the_answer_is_not_forgotten(server, autojump_clock):
    gate = trio.Event()

    async with connect(server) as client:

        async def reads_slowly(iq):
            await gate.wait()
            return Blocklist(items=(Item(jid=JID.parse("old@example.net")), Item(jid=JID.parse("gone@example.net"))))

        server.answer(BlocklistQuery, reads_slowly)
        async with trio.open_nursery() as nursery:

            async def open_it():
                async with open_blocking(client) as blocklist:
                    assert set(blocklist) == {JID.parse(PARIS), JID.parse("old@example.net")}
                    nursery.cancel_scope.cancel()

            nursery.start_soon(open_it)
            await trio.testing.wait_all_tasks_blocked()
            await forge(server, client, push("block", PARIS), push("unblock", "gone@example.net"))
            gate.set()


async def test_a_server_without_block_lists_is_told_when_the_block_is_entered(server, autojump_clock):
    def refuses(iq):
        raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)

    server.answer(BlocklistQuery, refuses)
    async with connect(server) as client:
        with pytest.raises(XMPPCancelError, match="service-unavailable"):
            async with open_blocking(client):
                pytest.fail("the body ran")


async def test_a_report_goes_along_with_the_block(server, autojump_clock):
    async with connect(server) as client, open_blocking(client) as blocklist:
        await blocklist.block(PARIS, report=Report(reason=SPAM, text="Buy my poison"))
        (item,) = sent(server, client, "iq")[-1][0]
        assert [child.get("reason") for child in item] == [SPAM]


@pytest.mark.item("D9.2")
async def test_an_entry_covers_itself_and_what_lies_below_it(server, autojump_clock):
    cases = [
        ("tybalt@example.net/sword", {"tybalt@example.net/sword"}),
        ("tybalt@example.net", {"tybalt@example.net/sword", "tybalt@example.net/bed", "tybalt@example.net"}),
        ("example.net/sword", {"tybalt@example.net/sword", "paris@example.net/sword", "example.net/sword"}),
        (
            "example.net",
            {
                *("tybalt@example.net/sword", "tybalt@example.net/bed", "tybalt@example.net"),
                *("paris@example.net/sword", "example.net/sword", "example.net"),
            },
        ),
    ]
    addresses = {address for _, covered in cases for address in covered} | {"tybalt@sub.example.net", "example.com"}
    async with connect(server) as client, open_blocking(client) as blocklist:
        wrong = []
        for entry, covered in cases:
            await blocklist.block(entry)
            found = {address for address in addresses if blocklist.blocks(address)}
            if found != covered:
                wrong.append((entry, found ^ covered))
            await blocklist.unblock(entry)
        assert not wrong


@pytest.mark.item("D9.4")
async def test_a_push_of_another_sender_is_refused(server, autojump_clock):
    server.accounts["romeo"].blocked.append("tybalt@example.net")
    strangers = ["juliet@example.test", "romeo@example.test/orchard", "romeo@example.test/other", "example.test"]
    async with connect(server) as client, open_blocking(client) as blocklist:
        for number, stranger in enumerate(strangers):
            await forge(
                server,
                client,
                push("block", PARIS, from_=stranger, id=f"block{number}"),
                push("unblock", "tybalt@example.net", from_=stranger, id=f"unblock{number}"),
                push("unblock", from_=stranger, id=f"all{number}"),
            )
        ids = [f"{verb}{number}" for verb in ("block", "unblock", "all") for number in range(len(strangers))]
        assert {answer_to(server, id) for id in ids} == {"service-unavailable"}
        assert [*blocklist] == [JID.parse("tybalt@example.net")]


async def test_a_malformed_push_changes_nothing(server, autojump_clock):
    server.accounts["romeo"].blocked.append(PARIS)
    async with connect(server) as client, open_blocking(client) as blocklist:
        await forge(
            server,
            client,
            push("block", id="none"),
            push("block", "@example.net", "example.org", id="bad"),
            push("unblock", "@example.net", id="unbad"),
        )
        assert [answer_to(server, id) for id in ("none", "bad", "unbad")] == ["bad-request"] * 3
        assert [*blocklist] == [JID.parse(PARIS)]


@pytest.mark.item("D9.5")
async def test_two_pushes_with_one_id_both_count(server, autojump_clock):
    async with connect(server) as client, open_blocking(client) as blocklist:
        await forge(server, client, push("block", PARIS, id="push"), push("block", "example.org", id="push"))
        assert len(blocklist) == 2


async def test_more_addresses_than_the_limit_are_told_once(server, autojump_clock):
    async with connect(server) as client, client.events() as events:
        async with open_blocking(client, limit=100) as blocklist:
            for number in range(300):
                await forge(server, client, push("block", f"u{number}@example.net", id=f"p{number}"))
            assert len(blocklist) == 100
            assert blocklist.blocks("u0@example.net")
        troubles = [event for event in events.take_all() if isinstance(event, Trouble)]
    assert [trouble.service for trouble in troubles] == ["open_blocking"]
