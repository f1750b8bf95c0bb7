"""The timeline: what was missed, then what comes, each message once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import trio

from tests.im.world import ACCOUNTS, JULIET, ROMEO, Disk, chat, connect, deliver, keep, reading, settle
from tests.xep.test_mam import Archive, fin, result
from trioxmpp import JID, StanzaCondition, Step, XMPPCancelError
from trioxmpp.im.provenance import Account
from trioxmpp.im.timeline import CaughtUp, Gap, NoArchive, Source, open_timeline
from trioxmpp.protocol.elements.disco import InfoQuery
from trioxmpp.protocol.elements.stanza_ids import OriginId, StanzaId
from trioxmpp.testing import Dialect, open_server

DIALECTS = (
    Dialect.PROSODY_0_12,
    Dialect.PROSODY_13_0_1,
    Dialect.PROSODY_13,
    Dialect.EJABBERD_23,
    Dialect.EJABBERD_26,
)
every_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def server_of(dialect: Dialect = Dialect.PROSODY_13, **more):
    return open_server(accounts=ACCOUNTS, archive=True, dialect=dialect, **more)


def queries(server) -> list:
    return [each.stanza[0] for each in server.log if str(each.stanza[:1]).find("mam:2}query") >= 0]


def sources(reader) -> list[Source]:
    return [entry.source for entry in reader.entries]


# --- what was missed, and what comes


@pytest.mark.item("D5.1")
@every_dialect
async def test_missed_messages_come_first_and_then_those_of_now(autojump_clock, dialect):
    disk = Disk()
    async with server_of(dialect) as server, connect(server, f"{JULIET}/balcony") as juliet:
        async with reading(server, store=disk) as romeo:
            await juliet.send(chat(0))
        assert romeo.bodies == ["0"]
        for number in range(1, 120):
            await juliet.send(chat(number))
        async with reading(server, store=disk.copy()) as romeo:
            await settle()
            await juliet.send(chat(120))
        assert romeo.bodies == [str(number) for number in range(1, 121)]
        assert sources(romeo)[:119] == [Source.ARCHIVE] * 119
        assert [entry.caught_up for entry in romeo.entries] == [False] * 119 + [True]
        assert romeo.events == [CaughtUp()]


@pytest.mark.item("D5.7")
async def test_the_first_start_begins_now_or_at_the_time_that_was_given(autojump_clock):
    async with server_of() as server:
        for number in range(3):
            keep(server, number)
        since = server.accounts["romeo"].archive.items[1].time
        async with reading(server) as romeo:
            assert romeo.bodies == []
        async with reading(server, timeline={"since": since}) as romeo:
            assert romeo.bodies == ["1", "2"]


@pytest.mark.item("D5.2")
async def test_live_messages_that_arrive_while_catching_up_come_after_it_and_once(autojump_clock):
    disk = Disk()
    async with server_of(replace(Dialect.PROSODY_13, archive_page=5)) as server:
        async with connect(server, f"{JULIET}/balcony") as juliet, reading(server, store=disk) as romeo:
            await juliet.send(chat("first"))
        async with connect(server, f"{JULIET}/balcony") as juliet:
            for number in range(40):
                await juliet.send(chat(number))
            async with (
                connect(server, f"{ROMEO}/orchard", store=disk.copy()) as client,
                open_timeline(client) as timeline,
            ):
                got = []
                for number in range(40, 50):
                    await juliet.send(chat(number))
                with trio.move_on_after(10):
                    async for entry in timeline:
                        got.append(entry)
        assert [entry.message.body for entry in got] == [str(number) for number in range(50)]
        # The archive gave some of them, but the server had delivered them: they were not missed.
        assert {entry.caught_up for entry in got[40:]} == {True}
        assert {entry.source for entry in got[40:]} == {Source.LIVE}
        assert {entry.caught_up for entry in got[:35]} == {False}
        assert romeo.bodies == ["first"]


@pytest.mark.item("D5.3")
async def test_more_messages_than_can_be_held_are_read_from_the_archive(autojump_clock):
    disk = Disk()
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet:
        async with reading(server, store=disk):
            await juliet.send(chat("first"))
        async with (
            connect(server, f"{ROMEO}/orchard", store=disk.copy()) as client,
            open_timeline(client, held=5, capacity=10) as timeline,
        ):
            for number in range(300):
                await juliet.send(chat(number))
            await settle()
            got = []
            with trio.move_on_after(10):
                async for entry in timeline:
                    got.append(entry.message.body)
                    if len(got) == 150:
                        for number in range(300, 330):
                            await juliet.send(chat(number))
        assert got == [str(number) for number in range(330)]


@pytest.mark.item("D5.3")
async def test_messages_dropped_while_catching_up_are_read_before_later_ones(autojump_clock):
    disk = Disk()
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet:
        keep(server, "first")
        async with reading(server, store=disk):
            pass
        for number in range(350):
            keep(server, number)
        async with (
            connect(server, f"{ROMEO}/orchard", store=disk.copy()) as client,
            open_timeline(client, held=5, look_again=None) as timeline,
        ):
            await settle()  # the last page is read already, but waits until the application makes room
            for number in range(350, 370):
                await juliet.send(chat(number))
            await settle()
            got = []
            with trio.move_on_after(10):
                async for entry in timeline:
                    got.append(entry.message.body)
        assert got == [str(number) for number in range(370)]


@every_dialect
@pytest.mark.parametrize("before", [0, 1, 2, 40])
async def test_messages_dropped_at_the_first_start_are_read_from_the_archive(autojump_clock, dialect, before):
    assert await first_start_of_many(dialect, before, held=3) == [str(number) for number in range(130)]


@every_dialect
@pytest.mark.parametrize("before", [0, 1, 2, 40])
async def test_the_first_start_begins_with_the_first_of_many_messages_that_arrive_meanwhile(
    autojump_clock, dialect, before
):
    assert await first_start_of_many(dialect, before, held=1_000) == [str(number) for number in range(130)]


async def first_start_of_many(dialect, before, held) -> list:
    """All that a timeline gives at its first start if 130 messages arrive before it looks at the archive."""
    got = []
    async with server_of(replace(dialect, archive_page=50)) as server, connect(server, f"{JULIET}/balcony") as juliet:
        for number in range(before):
            keep(server, f"past {number}")
        async with connect(server, f"{ROMEO}/orchard") as client:
            for number in range(130):
                await juliet.send(chat(number))
            await settle()
            async with open_timeline(client, held=held, look_again=None) as timeline:
                with trio.move_on_after(10):
                    async for entry in timeline:
                        got.append(entry.message.body)
    return got


async def test_live_messages_of_a_new_session_come_after_those_that_were_missed(autojump_clock):
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet, reading(server) as romeo:
        sessions = []

        async def slowly(session):
            """As a service that enters rooms, before the archive is read."""
            sessions.append(session)
            if len(sessions) > 1:
                await juliet.send(chat("live"))
                await settle()

        async with romeo.client.each_session(Step.JOIN, slowly):
            server.forget(f"{ROMEO}/orchard")
            keep(server, "missed")
            await trio.sleep(100)
        assert romeo.bodies == ["missed", "live"]


@pytest.mark.item("D5.4")
async def test_a_process_that_is_killed_before_it_is_done_gets_the_message_again_with_the_same_id(autojump_clock):
    disk = Disk()
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet:
        async with reading(server, store=disk):
            await juliet.send(chat("first"))
        for number in range(3):
            await juliet.send(chat(number))
        async with connect(server, f"{ROMEO}/orchard", store=disk) as client, open_timeline(client) as timeline:
            first = await anext(timeline)
            second = await anext(timeline)
            await trio.sleep(5)
            left = disk.copy()  # as it is when the process is killed here: done with the first, not with the second
        async with reading(server, store=left) as romeo:
            pass
        assert first.message.body == "0"
        assert romeo.bodies == ["1", "2"]
        assert romeo.entries[0].archive_id == second.archive_id


async def test_a_block_that_is_left_by_an_exception_is_not_done_with_its_message(autojump_clock):
    disk = Disk()
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet:
        for crash in (True, False):
            with pytest.raises(ValueError, match="bug") if crash else trio.CancelScope():
                async with connect(server, f"{ROMEO}/orchard", store=disk) as client, open_timeline(client) as timeline:
                    if crash:
                        await juliet.send(chat("hello"))
                    with trio.fail_after(10):
                        assert (await anext(timeline)).message.body == "hello"
                    if crash:
                        raise ValueError("bug")
        async with reading(server, store=disk) as romeo:
            assert romeo.bodies == []


@pytest.mark.item("D5.5")
@every_dialect
async def test_a_cursor_that_the_archive_does_not_know_any_more_loses_and_doubles_nothing(autojump_clock, dialect):
    disk = Disk()
    async with server_of(dialect) as server:
        items = server.accounts["romeo"].archive.items
        keep(server, "long ago")
        items[0] = replace(items[0], time=items[0].time - timedelta(hours=1))
        for body in ("earlier", "before"):
            keep(server, body)
        async with connect(server, f"{JULIET}/balcony") as juliet, reading(server, store=disk) as romeo:
            for number in range(4):
                await juliet.send(chat(number))
            await settle()
        assert romeo.bodies == ["0", "1", "2", "3"]
        for number in range(4, 8):
            keep(server, number)
        # The archive drops the messages at the cursor, and has older ones: an owner may delete any.
        kept = [item for item in items if item.stanza.findtext("{*}body") not in ("earlier", "before", "2", "3")]
        items.clear()
        items.extend(kept)
        async with reading(server, store=disk.copy()) as romeo:
            await settle()
        assert romeo.bodies == ["4", "5", "6", "7"]
        assert romeo.events == [CaughtUp()]


@pytest.mark.item("B2.11")
@every_dialect
async def test_the_cursor_is_an_id_of_the_archive_and_no_other_id_of_a_message(autojump_clock, dialect):
    disk, given = Disk(), []
    async with server_of(dialect) as server, connect(server, f"{JULIET}/balcony") as juliet:
        items = server.accounts["romeo"].archive.items
        for number in range(3):
            keep(server, f"past {number}", id=f"id {number}")
        for number in range(4):
            async with reading(server, store=disk) as romeo:
                for kind in ("live", "lost"):
                    # An id of the message that is an id of the archive, too, is no place in it.
                    id, origin = items[0].id, OriginId(id=items[-1].id)
                    await juliet.send(chat(f"{kind} {number}", id=id, payloads=[origin]))
                    await romeo.client.send(chat(f"own {kind} {number}", JULIET, id=f"{number} {kind}"))
                    server.forget(f"{ROMEO}/orchard")
                    await juliet.send(chat(f"missed {kind} {number}", id="m", payloads=[OriginId(id="o")]))
                    await trio.sleep(100)
            given += romeo.bodies
        assert given == [item.stanza.findtext("{*}body") for item in items][3:]
        asked = [query.findtext("{*}set/{*}after") for query in queries(server)]
        assert {id for id in asked if id} <= {item.id for item in items}
        assert len([id for id in asked if id]) >= 8, "each session goes on behind an id"


@pytest.mark.item("B2.10")
@pytest.mark.item("D5.6")
@every_dialect
async def test_an_archive_that_was_purged_is_told_as_a_gap(autojump_clock, dialect):
    disk = Disk()
    async with server_of(dialect) as server:
        keep(server, "before")
        async with reading(server, store=disk, timeline={"since": server.accounts["romeo"].archive.items[0].time}):
            pass
        server.accounts["romeo"].archive.items.clear()
        for number in range(3):
            keep(server, number)
        async with reading(server, store=disk) as romeo:
            assert romeo.bodies == ["0", "1", "2"]
            gap, caught_up = romeo.events
            assert isinstance(gap, Gap)
            assert gap.until == romeo.entries[0].sent
            assert gap.since < gap.until
            assert caught_up == CaughtUp()
        server.accounts["romeo"].archive.items.clear()
        async with reading(server, store=disk) as romeo:
            assert romeo.bodies == []
            assert [type(event) for event in romeo.events] == [Gap, CaughtUp]
        async with reading(server, store=disk) as romeo:
            assert romeo.events == [CaughtUp()], "one loss is told once"


@pytest.mark.item("D5.9")
@pytest.mark.item("D5.20")
async def test_sessions_that_are_lost_and_resumed_cost_nothing_and_each_session_is_caught_up_once(autojump_clock):
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet, reading(server) as romeo:
        for number in range(12):
            await juliet.send(chat(number))
            if number % 3 == 0:
                server.sessions[f"{ROMEO}/orchard"].link.reset()
            if number % 4 == 1:
                server.forget(f"{ROMEO}/orchard")
                await juliet.send(chat(f"{number} without a session"))
            await trio.sleep(100)
        sent = [item.stanza.findtext("{*}body") for item in server.accounts["romeo"].archive.items]
        assert romeo.bodies == sent
        assert romeo.events == [CaughtUp()] * 4


@pytest.mark.item("D5.10")
async def test_without_an_archive_there_are_live_messages_and_an_event(autojump_clock):
    async with (
        open_server(accounts=ACCOUNTS, archive=False) as server,
        connect(server, f"{JULIET}/balcony") as juliet,
        reading(server) as romeo,
    ):
        await juliet.send(chat("one"))
        server.forget(f"{ROMEO}/orchard")
        await trio.sleep(100)
        await juliet.send(chat("two"))
        await settle()
        assert romeo.bodies == ["one", "two"]
        assert romeo.events == [NoArchive()]


async def test_an_account_that_says_nothing_of_itself_has_no_archive(autojump_clock):
    def refuse(iq):
        raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)

    async with open_server(accounts=ACCOUNTS, archive=True) as server:
        server.answer(InfoQuery, refuse)
        async with connect(server, f"{JULIET}/balcony") as juliet, reading(server) as romeo:
            await juliet.send(chat("one"))
            await settle()
            assert romeo.bodies == ["one"]
            assert romeo.events == [NoArchive()]


@pytest.mark.item("D5.11")
async def test_an_offline_message_that_the_archive_has_as_well_is_given_once(autojump_clock):
    disk = Disk()
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet:
        async with reading(server, store=disk):
            pass
        await juliet.send(chat("while you were out"))
        assert server.accounts["romeo"].offline
        async with reading(server, store=disk.copy()) as romeo:
            pass
        assert romeo.bodies == ["while you were out"]
    async with open_server(accounts=ACCOUNTS) as server, connect(server, f"{JULIET}/balcony") as juliet:
        await juliet.send(chat("while you were out"))
        async with reading(server) as romeo:
            pass
        assert romeo.bodies == ["while you were out"]
        assert sources(romeo) == [Source.OFFLINE]


@pytest.mark.item("D5.12")
@pytest.mark.item("D5.13")
@every_dialect
async def test_copies_of_one_message_are_given_once_by_whichever_way_they_come(autojump_clock, dialect):
    async with (
        server_of(dialect) as server,
        reading(server, f"{ROMEO}/orchard") as here,
        reading(server, f"{ROMEO}/garden") as there,
        connect(server, f"{JULIET}/balcony") as juliet,
    ):
        await juliet.send(chat("to one", f"{ROMEO}/orchard"))
        await juliet.send(chat("to all", ROMEO))
        await here.client.send(chat("from here", JULIET))
        await there.client.send(chat("from there", f"{JULIET}/balcony"))
        await settle()
        for reader, name in ((here, "orchard"), (there, "garden")):
            server.forget(f"{ROMEO}/{name}")
            await trio.sleep(100)
            assert reader.bodies == ["to one", "to all", "from here", "from there"]
            assert [entry.by_us for entry in reader.entries] == [False, False, True, True]
            assert {str(entry.peer) for entry in reader.entries} == {JULIET}
            senders = [Account(JID.parse(JULIET))] * 2 + [Account(JID.parse(ROMEO))] * 2
            assert [entry.sender for entry in reader.entries] == senders
        assert sources(here) == [Source.LIVE, Source.LIVE, Source.OWN, Source.CARBON_SENT]
        assert sources(there) == [Source.CARBON_RECEIVED, Source.LIVE, Source.CARBON_SENT, Source.OWN]


async def test_a_durable_message_that_is_sent_again_is_given_once(autojump_clock):
    disk = Disk()
    async with server_of() as server, reading(server, store=disk) as romeo:
        link = server.sessions[f"{ROMEO}/orchard"].link
        link.black_hole("out")
        posted = await romeo.client.post(chat("dear", JULIET))
        await settle()
        server.forget(f"{ROMEO}/orchard")
        await posted
        await trio.sleep(100)
        assert romeo.bodies == ["dear"]


@pytest.mark.item("D5.14")
async def test_a_retransmission_that_the_archive_has_twice_is_given_once(autojump_clock):
    async with server_of() as server:
        keep(server, "before")
        since = server.accounts["romeo"].archive.items[0].time
        for _ in range(3):
            keep(server, "again", id="m1")
        async with reading(server, timeline={"since": since}) as romeo:
            pass
        assert romeo.bodies == ["before", "again"]
        assert romeo.timeline.duplicates == 2


@pytest.mark.item("B2.13")
@pytest.mark.item("D5.15")
async def test_different_texts_under_one_id_and_equal_texts_without_an_id_are_different_messages(autojump_clock):
    async with server_of() as server:
        keep(server, "before")
        since = server.accounts["romeo"].archive.items[0].time
        for body, id in (("one", "1"), ("two", "1"), ("ok", None), ("ok", None)):
            keep(server, body, id=id)
        async with reading(server, timeline={"since": since}) as romeo:
            for _ in range(2):
                sender = f"from='{JULIET}/x' to='{ROMEO}'"
                deliver(server, f"<message xmlns='jabber:client' {sender} type='chat'><body>ok</body></message>")
            await settle()
        assert romeo.bodies == ["before", "one", "two", "ok", "ok", "ok", "ok"]


@pytest.mark.item("D5.16")
@every_dialect
async def test_a_conversation_is_read_backwards_page_by_page(autojump_clock, dialect):
    async with server_of(dialect) as server, reading(server) as romeo:
        for number in range(10):
            keep(server, number, id=str(number))
            keep(server, f"other {number}", from_="nurse@example.test/x")
        pages = [[e.message.body for e in page] async for page in romeo.timeline.before(JULIET, size=4)]
        assert pages == [["6", "7", "8", "9"], ["2", "3", "4", "5"], ["0", "1"]]
        newest = await anext(romeo.timeline.before(JULIET, size=4))
        pages = [[e.message.body for e in page] async for page in romeo.timeline.before(JULIET, newest[1], size=4)]
        assert pages == [["3", "4", "5", "6"], ["0", "1", "2"]]
        assert romeo.bodies == []


@pytest.mark.item("D5.22")
async def test_a_message_of_the_archive_that_cannot_be_read_does_not_keep_the_others_back(autojump_clock):
    async with server_of() as server:
        keep(server, "one")
        since = server.accounts["romeo"].archive.items[0].time
        keep(server, "broken")
        server.accounts["romeo"].archive.items[1].stanza.set("from", "@@@")
        keep(server, "two")
        async with reading(server, timeline={"since": since}) as romeo:
            pass
        assert romeo.bodies == ["one", "two"]
        assert romeo.timeline.malformed == 1


# --- attacks


RESULT = (
    "<message xmlns='jabber:client'{}><result xmlns='urn:xmpp:mam:2' queryid='{}' id='1'>"
    "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='juliet@example.test/x' type='chat'>"
    "<body>forged</body></message></forwarded></result></message>"
)
CARBON = (
    "<message xmlns='jabber:client'{}><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>"
    "<message xmlns='jabber:client' from='juliet@example.test/x' to='romeo@example.test' type='{}'>{}</message>"
    "</forwarded></received></message>"
)


@pytest.mark.item("B2.23")
@pytest.mark.item("D5.23")
@pytest.mark.item("D5.24")
@pytest.mark.item("D5.25")
async def test_forged_copies_and_results_are_dropped_and_counted_and_reach_nothing(autojump_clock):
    async with server_of() as server, reading(server) as romeo, romeo.client.messages.subscribe() as inbox:
        query = queries(server)[0]
        nested = CARBON.format("", "chat", "<body>deep</body>").replace("<message xmlns='jabber:client'>", "", 1)
        forgeries = [
            RESULT.format(f" from='{JULIET}'", query.get("queryid")),
            RESULT.format(f" from='{ROMEO}'", query.get("queryid")),  # after its fin
            RESULT.format("", "guessed"),
            CARBON.format(f" from='{JULIET}'", "chat", "<body>forged</body>"),
            CARBON.format(f" from='{ROMEO}/garden'", "chat", "<body>forged</body>"),
            CARBON.format(f" from='{ROMEO}'", "groupchat", "<body>forged</body>"),
            CARBON.format(f" from='{ROMEO}'", "chat", nested.removesuffix("</message>")),
        ]
        for forgery in forgeries:
            deliver(server, forgery)
        await settle()
        assert romeo.bodies == []
        assert len(inbox) == 0
        assert romeo.timeline.forged == len(forgeries)


@pytest.mark.item("D5.26")
async def test_a_forged_archive_id_costs_no_message(autojump_clock):
    """Prosody leaves a forged id in the message, in front of its own."""
    async with server_of(Dialect.PROSODY_13, forge=True) as server, reading(server) as romeo:
        async with connect(server, f"{JULIET}/balcony") as juliet:
            forged = StanzaId(id="stolen", by=JID.parse(ROMEO))
            for number in range(5):
                await juliet.send(chat(number, payloads=[forged]))
            server.forget(f"{ROMEO}/orchard")
            for number in range(5, 8):
                await juliet.send(chat(number, payloads=[forged]))
            await trio.sleep(100)
        assert romeo.bodies == [str(number) for number in range(8)]


@pytest.mark.item("D5.28")
async def test_an_archive_without_end_is_trouble_and_keeps_nothing_back(autojump_clock):
    def answer(query, send):
        if query.page.before is not None:
            return fin(complete=True)
        number = 0 if query.page.after is None else int(query.page.after) + 1
        send(result(query.queryid, number))
        return fin(last=number)

    async with server_of() as server, connect(server, f"{ROMEO}/orchard") as client:
        Archive(server, client, answer)
        since = datetime(2026, 1, 1, tzinfo=UTC)
        async with client.events() as troubles, open_timeline(client, since=since, pages=5) as timeline:
            deliver(server, f"<message xmlns='jabber:client' from='{JULIET}/x' type='chat'><body>live</body></message>")
            got = []
            with trio.move_on_after(0.5):
                async for entry in timeline:
                    got.append(entry.message.body)
            assert got == ["0", "1", "2", "3", "4", "5", "live"]
            with trio.fail_after(10):
                assert "more than 5 pages" in str((await anext(troubles)).exception)


@pytest.mark.item("D5.29")
async def test_a_time_of_the_archive_in_the_future_or_none_keeps_the_order(autojump_clock):
    async with server_of() as server:
        keep(server, "one")
        since = server.accounts["romeo"].archive.items[0].time
        keep(server, "two")
        items = server.accounts["romeo"].archive.items
        items[1] = replace(items[1], time=items[1].time.replace(year=2999))
        keep(server, "three")
        async with reading(server, timeline={"since": since}) as romeo:
            pass
        assert romeo.bodies == ["one", "two", "three"]
        assert romeo.entries[1].sent.year < 2999


async def test_an_archive_that_does_not_answer_keeps_live_messages_back_for_a_minute_only(autojump_clock):
    async with (
        open_server(accounts=ACCOUNTS, archive="silent") as server,
        connect(server, f"{JULIET}/balcony") as juliet,
        connect(server, f"{ROMEO}/orchard") as client,
        client.events() as events,
        open_timeline(client) as timeline,
    ):
        await juliet.send(chat("hello"))
        with trio.fail_after(61):
            assert (await anext(timeline)).message.body == "hello"
        assert type(await anext(events)).__name__ == "Trouble"
        server.policy.archive = True
        await juliet.send(chat("and again"))
        with trio.fail_after(61):
            assert (await anext(timeline)).message.body == "and again"


async def test_carbons_come_along_with_the_login_or_are_asked_for(autojump_clock):
    async with server_of() as server, reading(server):
        assert server.sessions[f"{ROMEO}/orchard"].carbons
        server.forget(f"{ROMEO}/orchard")
        await trio.sleep(100)
        assert server.sessions[f"{ROMEO}/orchard"].carbons


async def test_after_many_live_messages_the_cursor_moves_without_reading_them_again(autojump_clock):
    disk = Disk()
    async with server_of() as server, connect(server, f"{JULIET}/balcony") as juliet:
        async with reading(server, store=disk) as romeo:
            for number in range(1500):
                await juliet.send(chat(number))
            await trio.sleep(5)
        assert len(romeo.entries) == 1500
        assert len(queries(server)) < 13  # of which five look at 250 of the messages once more
        async with reading(server, store=disk.copy()) as romeo:
            pass
        assert romeo.bodies == []


async def test_messages_that_arrived_before_the_timeline_was_opened_are_in_it(autojump_clock):
    async with (
        open_server(accounts=ACCOUNTS) as server,
        connect(server, f"{JULIET}/balcony") as juliet,
        connect(server, f"{ROMEO}/orchard") as client,
    ):
        await juliet.send(chat("early"))
        await settle()
        async with open_timeline(client) as timeline:
            with trio.fail_after(10):
                assert (await anext(timeline)).message.body == "early"


async def test_the_timeline_ends_with_the_client(autojump_clock):
    ended = []

    async def read(timeline):
        async for _ in timeline:
            pass
        ended.append(True)

    async with (
        server_of() as server,
        trio.open_nursery() as nursery,
        connect(server, f"{ROMEO}/orchard") as client,
        open_timeline(client) as timeline,
    ):
        nursery.start_soon(read, timeline)
        await settle()
    assert ended == [True]
