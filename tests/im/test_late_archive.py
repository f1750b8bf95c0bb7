"""An archive that is written late, out of order, or with one id for two messages, as that of ejabberd is.

ejabberd gives a message its place in the archive, and decides which sessions get it, when the message arrives. It
writes it into the archive later, in the process of the session that gets it. The embedded server does so with
`archive_lag`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import trio

from tests.im.world import ACCOUNTS, JULIET, ROMEO, Disk, Reader, chat, connect, deliver, keep, reading, settle
from trioxmpp.im.timeline import CaughtUp, Source
from trioxmpp.im.timeline.catchup import LOOKS, NEWEST
from trioxmpp.im.timeline.cursor import OVERTAKING
from trioxmpp.protocol.elements.hints import NoStore
from trioxmpp.testing import Dialect, Server, open_server

LATE = replace(Dialect.EJABBERD_26, archive_lag=2.0)
ORCHARD, GARDEN = f"{ROMEO}/orchard", f"{ROMEO}/garden"


def server_of(dialect: Dialect = LATE) -> Any:
    return open_server(accounts=ACCOUNTS, archive=True, dialect=dialect)


def queries(server: Server) -> int:
    return sum(str(each.stanza[:1]).find("mam:2}query") >= 0 for each in server.log)


async def begun(server: Server) -> Disk:
    """Return what a client in the garden has written down at its first start, long after the first messages."""
    items = server.accounts["romeo"].archive.items
    for number in range(5):
        keep(server, f"past {number}")
        items[-1] = replace(items[-1], time=items[-1].time - timedelta(hours=1))
    disk = Disk()
    async with reading(server, GARDEN, store=disk):
        pass
    return disk


def texts(reader: Reader) -> list[str]:
    return [body or "" for body in reader.bodies]


@pytest.mark.item("D5.1")
async def test_a_message_that_a_session_gets_neither_live_nor_from_the_archive_at_first_is_given(
    autojump_clock: Any,
) -> None:
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet, reading(server, ORCHARD):
        disk = await begun(server)
        await juliet.send(chat("before"))
        async with reading(server, GARDEN, store=disk) as garden:  # it is not there yet when the message is delivered
            await juliet.send(chat("live"))
            await settle()
            assert texts(garden) == ["live"]
            assert garden.events == [CaughtUp()]
            await trio.sleep(10)
            assert texts(garden) == ["live", "before"]
            assert [entry.source for entry in garden.entries] == [Source.LIVE, Source.ARCHIVE]
        async with reading(server, GARDEN, store=disk) as garden:
            await trio.sleep(100)
        assert garden.entries == []


async def test_it_is_given_although_many_live_messages_follow_it(autojump_clock: Any) -> None:
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet, reading(server, ORCHARD):
        disk = await begun(server)
        await juliet.send(chat("before"))
        async with reading(server, GARDEN, store=disk) as garden:
            live = [str(number) for number in range(900)]
            for text in live:
                await juliet.send(chat(text))
            await trio.sleep(20)
            assert texts(garden) == [*live, "before"]
        async with reading(server, GARDEN, store=disk) as garden:
            await trio.sleep(100)
        assert garden.entries == []


async def test_an_archive_that_is_later_than_the_second_look_is_looked_at_again(autojump_clock: Any) -> None:
    dialect = replace(LATE, archive_lag=17.0)
    async with server_of(dialect) as server, connect(server, f"{JULIET}/balcony") as juliet, reading(server, ORCHARD):
        disk = await begun(server)
        await juliet.send(chat("before"))
        async with reading(server, GARDEN, store=disk) as garden:
            await juliet.send(chat("live"))
            await trio.sleep(30)
            assert texts(garden) == ["live", "before"]
            asked = queries(server)
            await trio.sleep(10_000)
            assert queries(server) == asked
        async with reading(server, GARDEN, store=disk) as garden:
            for _ in range(10):
                await juliet.send(chat("no archive has this", payloads=[NoStore()]))
            asked = queries(server)
            await trio.sleep(10_000)
            assert queries(server) - asked < LOOKS + 3


async def test_a_whole_page_of_them_and_more_is_given_in_its_order(autojump_clock: Any) -> None:
    dialect = replace(LATE, archive_page=10)
    async with server_of(dialect) as server, connect(server, f"{JULIET}/balcony") as juliet, reading(server, ORCHARD):
        disk = await begun(server)
        missed = [str(number) for number in range(35)]
        for text in missed:
            await juliet.send(chat(text))
        async with reading(server, GARDEN, store=disk) as garden:
            await trio.sleep(20)
            assert texts(garden) == missed


async def test_a_page_of_late_messages_at_the_beginning_of_an_archive_is_given(autojump_clock: Any) -> None:
    dialect = replace(LATE, archive_page=4)
    disk = Disk()
    async with server_of(dialect) as server, reading(server, GARDEN, store=disk):
        pass  # the archive is empty
    async with (
        server_of(dialect) as server,
        connect(server, f"{JULIET}/balcony") as juliet,
        reading(server, ORCHARD) as orchard,
    ):
        late = [str(number) for number in range(6)]
        for text in late:
            await juliet.send(chat(text))
        await orchard.client.send(chat("at once", JULIET))
        async with reading(server, GARDEN, store=disk) as garden:
            assert texts(garden) == ["at once"]
            await trio.sleep(10)
            assert texts(garden) == ["at once", *late]


async def test_a_late_message_is_found_behind_more_known_ones_than_a_page_has(autojump_clock: Any) -> None:
    dialect = replace(LATE, archive_page=4)
    async with (
        server_of(dialect) as server,
        connect(server, f"{JULIET}/balcony") as juliet,
        reading(server, ORCHARD) as orchard,
    ):
        disk = await begun(server)
        known = [str(number) for number in range(10)]
        for text in known:
            await orchard.client.send(chat(text, JULIET))  # what a client sends is written at once
        await juliet.send(chat("late"))
        async with reading(server, GARDEN, store=disk) as garden:
            assert texts(garden) == known
            await trio.sleep(10)
            assert texts(garden) == [*known, "late"]


async def test_a_late_message_is_found_behind_live_ones_of_the_process_before(autojump_clock: Any) -> None:
    dialect = replace(LATE, archive_page=4)
    async with server_of(dialect) as server, connect(server, f"{JULIET}/balcony") as juliet, reading(server, ORCHARD):
        disk = await begun(server)
        async with reading(server, GARDEN, store=disk) as garden:
            for number in range(10):
                await juliet.send(chat(number))
        assert len(garden.entries) == 10
        await juliet.send(chat("late"))
        async with reading(server, GARDEN, store=disk) as garden:
            await trio.sleep(10)
        assert texts(garden) == ["late"]


async def test_the_archive_is_asked_twice_in_a_session_if_nothing_is_late(autojump_clock: Any) -> None:
    async with server_of() as server:
        disk = await begun(server)
        before = queries(server)
        async with reading(server, GARDEN, store=disk):
            await trio.sleep(10_000)
            assert queries(server) == before + 2
            server.forget(GARDEN)
            await trio.sleep(10_000)
            assert queries(server) == before + 4
        async with reading(server, GARDEN, store=disk, timeline={"look_again": None}):
            await trio.sleep(10_000)
            assert queries(server) == before + 5


async def test_a_message_that_was_overtaken_in_the_archive_is_given_in_the_next_session(autojump_clock: Any) -> None:
    async with (
        server_of() as server,
        connect(server, f"{JULIET}/balcony") as juliet,
        reading(server, ORCHARD) as orchard,
    ):
        disk = await begun(server)
        await juliet.send(chat("overtaken"))
        await orchard.client.send(chat("from orchard", JULIET))  # what a client sends is written at once
        async with reading(server, GARDEN, store=disk) as garden:
            assert texts(garden) == ["from orchard"]
        await trio.sleep(10)
        async with reading(server, GARDEN, store=disk) as garden:
            assert texts(garden) == ["overtaken"]
        async with reading(server, GARDEN, store=disk) as garden:
            await trio.sleep(100)
        assert garden.entries == []


async def test_a_killed_process_gives_no_message_again_that_its_cursor_has_passed(autojump_clock: Any) -> None:
    """Those that are read once more, since a late one may be among them, are known."""
    for count in (1, NEWEST, OVERTAKING, 3 * OVERTAKING, 600):
        async with server_of() as server:
            disk = await begun(server)
            for number in range(count):
                keep(server, number)
            async with reading(server, GARDEN, store=disk) as garden:
                await trio.sleep(3)
                left = disk.copy()
            assert len(garden.entries) == count
            async with reading(server, GARDEN, store=left) as garden:
                await trio.sleep(100)
            assert garden.entries == [], count


async def test_two_messages_with_one_id_in_the_archive_are_both_given(autojump_clock: Any) -> None:
    """ejabberd's ids are microseconds: two clients can send within one."""
    async with server_of(Dialect.EJABBERD_26) as server:
        disk = await begun(server)
        items = server.accounts["romeo"].archive.items
        for sender in (JULIET, "nurse@example.test", ROMEO):
            keep(server, f"archived from {sender}", from_=f"{sender}/x")
            items[-1] = replace(items[-1], id="1")
        async with reading(server, GARDEN, store=disk) as garden:
            for sender in (JULIET, "nurse@example.test"):
                sid = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROMEO}' id='2'/>"
                body = f"<body>live from {sender}</body>{sid}"
                addresses = f"from='{sender}/x' to='{ROMEO}'"
                for _ in range(2):
                    message = f"<message xmlns='jabber:client' {addresses} type='chat' id='m'>{body}</message>"
                    deliver(server, message, GARDEN)
            await settle()
            assert texts(garden) == [
                *(f"archived from {sender}" for sender in (JULIET, "nurse@example.test", ROMEO)),
                *(f"live from {sender}" for sender in (JULIET, "nurse@example.test")),
            ]
