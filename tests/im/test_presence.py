"""The presence of others, and our own (RFC 6121 §4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.dialogs import renewed, resumed
from tests.services import NoteKeeper, connect, forge, sent
from trioxmpp import JID, Presence, PresenceShow, PresenceType, Step
from trioxmpp.im.blocking import open_blocking
from trioxmpp.im.presence import Available, Gone, appear, open_presence
from trioxmpp.im.roster import open_roster
from trioxmpp.testing import open_server

JULIET = "juliet@example.test"
US = "romeo@example.test"


@pytest.fixture
async def server(autojump_clock):
    async with open_server(contacts=[("romeo", "juliet")]) as server:
        yield server


def presence(from_: str, inner: str = "", type_: str = "") -> str:
    kind = f" type='{type_}'" if type_ else ""
    return f"<presence from='{from_}'{kind}>{inner}</presence>"


def prioritised(from_: str, priority: int | str) -> str:
    return presence(from_, f"<priority>{priority}</priority>")


# --- the presence of others


@pytest.mark.item("D2.1")
@on_every_bench(accounts=2)
async def test_contacts_come_and_go_and_the_best_resource_comes_first(bench: Bench) -> None:
    _romeo, juliet = bench.clients
    await bench.add_contacts(0, 1)
    async with (
        bench.connect(0, "watch") as client,
        open_roster(client) as roster,
        open_presence(client, roster) as book,
        appear(client),
        bench.connect(1, "balcony") as balcony,
    ):
        await book.wait(bench.jid(1))
        async with appear(balcony, priority=5, show=PresenceShow.CHAT, status="on the balcony"):
            best = await book.wait(bench.jid(1), lambda best: best is not None and best.priority == 5)
            assert best is not None
            assert (best.jid, best.show, best.status) == (balcony.jid, PresenceShow.CHAT, "on the balcony")
            assert [one.jid for one in book.of(bench.jid(1))] == [balcony.jid, juliet.jid]
            assert book.get(juliet.jid) is not None
            assert juliet.jid in book
            assert bench.jid(1) in book
        await book.wait(bench.jid(1), lambda best: best is not None and best.priority == 0)
        assert balcony.jid not in book
        await juliet.send(Presence(type=PresenceType.UNAVAILABLE))
        assert await book.wait(bench.jid(1), lambda best: best is None) is None


@pytest.mark.item("D2.1")
async def test_of_equal_priorities_the_latest_is_the_best(server, autojump_clock):
    delayed = "<delay xmlns='urn:xmpp:delay' from='example.test' stamp='2002-09-10T23:08:25Z'/>"
    forged = "<delay xmlns='urn:xmpp:delay' from='tybalt@example.test' stamp='2001-01-01T00:00:00Z'/>"
    async with connect(server) as client, open_presence(client) as book:
        await forge(server, client, presence(f"{JULIET}/a"), presence(f"{JULIET}/b"), presence(f"{JULIET}/c", delayed))
        assert [str(one.jid.resource) for one in book.of(JULIET)] == ["b", "a", "c"]
        assert book.of(JULIET)[2].when == datetime(2002, 9, 10, 23, 8, 25, tzinfo=UTC)
        await forge(server, client, presence(f"{JULIET}/a", forged), prioritised(f"{JULIET}/d", -1))
        assert [str(one.jid.resource) for one in book.of(JULIET)] == ["a", "b", "c", "d"]
        await forge(server, client, prioritised(f"{JULIET}/c", 1))
        assert book.best(JULIET).jid == JID.parse(f"{JULIET}/c")


@pytest.mark.item("D2.2")
async def test_an_unavailable_bare_jid_ends_all_its_resources(server, autojump_clock):
    async with connect(server) as client, open_presence(client) as book, book.changes() as changes:
        await forge(server, client, presence(f"{JULIET}/a"), presence(f"{JULIET}/b"), presence("tybalt@x/a"))
        await forge(server, client, presence(JULIET, "<status>Good night</status>", "unavailable"))
        events = changes.take_all()
        assert [type(event) for event in events] == [Available] * 3 + [Gone] * 2
        assert {str(event.presence.jid) for event in events[3:]} == {f"{JULIET}/a", f"{JULIET}/b"}
        assert events[3].status == "Good night"
        assert [str(jid) for jid in book] == ["tybalt@x"]
        await forge(server, client, presence(JULIET, type_="unavailable"), presence(f"{JULIET}/a", type_="unavailable"))
        assert len(changes) == 0


@pytest.mark.item("D2.3")
async def test_an_error_ends_no_presence(server, autojump_clock):
    error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    async with connect(server) as client, open_presence(client) as book:
        await forge(server, client, presence(f"{JULIET}/a"))
        await forge(server, client, presence(JULIET, error, "error"), presence(f"{JULIET}/a", error, "error"))
        for kind in ("probe", "subscribe", "unsubscribed"):
            await forge(server, client, presence(JULIET, type_=kind))
        assert len(book.of(JULIET)) == 1


@pytest.mark.item("D2.4")
async def test_the_end_of_the_session_ends_each_presence_once_and_a_resumption_none(server, autojump_clock):
    async with (
        connect(server) as client,
        connect(server, "juliet") as juliet,
        open_presence(client) as book,
        book.changes() as changes,
        appear(juliet),
        appear(client),
    ):
        await book.wait(JULIET)
        await forge(server, client, presence("tybalt@x/a"))
        changes.take_all()
        await resumed(server, client)
        assert len(changes) == 0
        assert len(book) == 2
        await renewed(server, client)
        await book.wait(JULIET)
        events = changes.take_all()
        assert [(type(event), str(event.presence.jid)) for event in events] == [
            (Gone, f"{JULIET}/orchard"),
            (Gone, "tybalt@x/a"),
            (Available, f"{JULIET}/orchard"),
        ]
        assert events[0].stanza is None
        assert events[2].before is None


@pytest.mark.item("D2.5")
async def test_all_that_a_presence_says_is_read(server, autojump_clock):
    inner = """<show>dnd</show><status>Sleeping</status><status xml:lang='it'>Dormo</status><priority>7</priority>
        <idle xmlns='urn:xmpp:idle:1' since='1969-07-21T02:56:15Z'/>
        <delay xmlns='urn:xmpp:delay' from='juliet@example.test/a' stamp='2002-09-10T23:08:25Z'/>"""
    async with connect(server) as client, open_presence(client) as book:
        await forge(server, client, presence(f"{JULIET}/a", inner))
        best = book.best(JULIET)
        assert (best.show, best.status, best.statuses) == (
            PresenceShow.DND,
            "Sleeping",
            {"": "Sleeping", "it": "Dormo"},
        )
        assert (best.priority, best.idle_since.year, best.when.year) == (7, 1969, 2002)
        for priority in (128, -129, "high", "1e3"):
            await forge(server, client, prioritised(f"{JULIET}/a", priority))
            assert book.best(JULIET).priority == 0
        await forge(server, client, presence(f"{JULIET}/a", "<show>busy</show><idle xmlns='urn:xmpp:idle:1'/>"))
        assert (book.best(JULIET).show, book.best(JULIET).idle_since) == (None, None)
        texts = "".join(f"<status xml:lang='l{n}'>{'x' * 1000}</status>" for n in range(50))
        await forge(server, client, presence(f"{JULIET}/a", texts))
        assert sum(map(len, book.best(JULIET).statuses.values())) <= 4096


@pytest.mark.item("D2.6")
@on_every_bench(accounts=1)
async def test_our_other_resources_are_seen_and_our_own_presence_is_not_another(bench: Bench) -> None:
    (client,) = bench.clients
    async with open_presence(client) as book, appear(client), bench.connect(0, "other") as other:
        async with appear(other, status="here, too"):
            await book.wait(bench.jid(0))
            assert [one.jid for one in book.ours] == [other.jid]
        await book.wait(bench.jid(0), lambda best: best is None)
        assert book.ours == []


@pytest.mark.item("B2.18")
@pytest.mark.item("D1.13")
async def test_presences_that_come_before_the_roster_are_kept(server, autojump_clock):
    for number in range(3000):
        server.accounts["romeo"].roster.add(f"friend{number}@example.net")
    async with connect(server) as client, open_presence(client, strangers=10) as early:
        await forge(server, client, presence("friend0@example.net/a"))
        async with open_roster(client) as roster:
            assert early.best("friend0@example.net") is not None
            async with open_presence(client, roster, strangers=10) as book:
                await forge(server, client, *[presence(f"friend{number}@example.net/a") for number in range(3000)])
                assert len(book) == 3000
                assert len(early) == 10


@pytest.mark.item("D9.3")
async def test_the_presence_of_a_blocked_address_ends(server, autojump_clock):
    async with (
        connect(server) as client,
        open_blocking(client) as blocklist,
        open_presence(client, blocklist=blocklist) as book,
        book.changes() as changes,
    ):
        await forge(server, client, presence("tybalt@x/a"), presence("tybalt@x/b"), presence("paris@y/a"))
        await blocklist.block("tybalt@x/a", "y")
        assert [str(jid) for jid in book] == ["tybalt@x"]
        assert [str(one.jid) for one in book.of("tybalt@x")] == ["tybalt@x/b"]
        await forge(server, client, presence("tybalt@x/a"), presence("mercutio@y/a"))
        assert [str(jid) for jid in book] == ["tybalt@x"]
        assert [type(event) for event in changes.take_all()] == [Available] * 3 + [Gone] * 2


@pytest.mark.item("D2.8a")
@on_every_bench(accounts=3)
async def test_in_an_adopted_session_the_contacts_that_we_see_are_probed(bench: Bench) -> None:
    _, juliet, stranger = bench.clients
    await bench.add_contacts(0, 1)
    await stranger.send(Presence())
    store = NoteKeeper()
    async with bench.connect(0, "watch", store=store) as first, open_presence(first) as book, appear(first):
        await book.wait(bench.jid(1))
        await first.suspend()
    async with (
        bench.connect(0, "watch", store=store) as client,
        open_roster(client) as roster,
        open_presence(client, roster) as book,
    ):
        assert client.session.adopted
        best = await book.wait(bench.jid(1))
        assert best.jid == juliet.jid
        assert bench.jid(2) not in book


@pytest.mark.item("D2.8a")
async def test_probes_are_sent_at_the_rate_that_was_given(server, autojump_clock):
    for number in range(500):
        server.accounts["romeo"].roster.add(f"friend{number}@example.net")
    server.accounts["romeo"].roster.item("invisible@example.net").listed = True
    store = NoteKeeper()
    async with connect(server, store=store) as client:
        await client.suspend()
    counts = []
    async with (
        connect(server, store=store) as client,
        open_roster(client) as roster,
        open_presence(client, roster, probes=200),
    ):
        for _ in range(5):
            await trio.testing.wait_all_tasks_blocked()
            counts.append(len(sent(server, client, "presence")))
            await trio.sleep(1)
    assert counts == [200, 400, 501, 501, 501]


# --- our own presence


@pytest.mark.item("D2.8")
async def test_a_client_is_invisible_unless_it_appears(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster, open_presence(client, roster) as book:
        await renewed(server, client)
        await trio.sleep(100)
        assert sent(server, client, "presence") == []
        assert len(book) == 0


async def test_an_appearance_lasts_as_long_as_its_block_and_comes_back_with_each_session(server, autojump_clock):
    async with (
        connect(server, "juliet") as juliet,
        open_presence(juliet) as book,
        appear(juliet),
        connect(server) as us,
    ):
        async with appear(us, show=PresenceShow.AWAY, status="in the orchard", priority=3, farewell="adieu") as ours:
            best = await book.wait(US)
            assert (best.show, best.status, best.priority) == (PresenceShow.AWAY, "in the orchard", 3)
            await resumed(server, us)
            assert len(sent(server, us, "presence")) == 1
            since = datetime.now(UTC) - timedelta(minutes=5)
            ours.set(status={"": "back", "it": "tornato"}, idle_since=since)
            best = await book.wait(US, lambda best: best.show is None)
            assert (best.statuses, best.priority) == ({"": "back", "it": "tornato"}, 0)
            assert abs(best.idle_since - since) < timedelta(seconds=1)
            with pytest.raises(ValueError, match="priority"):
                ours.set(priority=200)
            async with book.changes() as changes:
                await renewed(server, us)
                await book.wait(US)
                assert (await anext(changes)).presence.status == "back"  # gone
                assert (await anext(changes)).presence.status == "back"
        async with book.changes() as changes:
            gone = await anext(changes)
            assert isinstance(gone, Gone)
            assert gone.status == "adieu"


async def test_an_appearance_that_cannot_be_sent_is_refused_at_once(server, autojump_clock):
    async with connect(server) as client:
        for options in ({"priority": 128}, {"status": "\0"}, {"farewell": "\0"}):
            with pytest.raises(ValueError):  # noqa: PT011
                async with appear(client, **options):
                    pytest.fail("the body ran")
        assert sent(server, client, "presence") == []


async def test_an_appearance_that_changes_without_a_session_is_shown_in_the_next(server, autojump_clock):
    server.policy.sm = False  # so that the session ends with its link
    async with connect(server) as client, appear(client) as ours:
        server.down = True
        server.sessions[str(client.jid)].link.reset()
        await trio.testing.wait_all_tasks_blocked()
        assert not client.established
        ours.set(status="patient")
        server.down = False
        await client.wait_established()
        await trio.testing.wait_all_tasks_blocked()
        assert sent(server, client, "presence")[-1].findtext("{jabber:client}status") == "patient"


async def test_an_appearance_that_changes_while_a_session_is_set_up_is_shown_in_it(server, autojump_clock):
    async def takes_its_time(session):
        await trio.sleep(5)

    async with connect(server) as client, appear(client) as ours, client.each_session(Step.PRESENCE, takes_its_time):
        server.forget(str(client.jid))
        await server.until(lambda: len(sent(server, client, "presence")) == 2)
        assert not client.established
        ours.set(status="back")
        await trio.sleep(10)
        texts = [one.findtext("{jabber:client}status") for one in sent(server, client, "presence")]
        assert texts == [None, None, "back"]


@pytest.mark.item("D2.7")
@on_every_bench(accounts=2)
async def test_a_directed_presence_is_seen_by_a_stranger_while_its_block_runs(bench: Bench) -> None:
    romeo, juliet = bench.clients
    async with open_presence(juliet) as book, appear(juliet):
        async with appear(romeo, to=juliet.jid, status="hush"):
            best = await book.wait(bench.jid(0))
            assert best is not None
            assert best.status == "hush"
        await book.wait(bench.jid(0), lambda best: best is None)


@pytest.mark.item("D2.7")
async def test_a_directed_presence_is_repeated_in_the_next_session(server, autojump_clock):
    async with connect(server) as client, appear(client), appear(client, to="lobby@rooms.example.net", status="hush"):
        await renewed(server, client)
        directed = [one for one in sent(server, client, "presence") if one.get("to")]
        assert [one.findtext("{jabber:client}status") for one in directed] == ["hush", "hush"]
    ends = [(one.get("type"), one.get("to")) for one in sent(server, client, "presence")[-2:]]
    assert ends == [("unavailable", "lobby@rooms.example.net"), ("unavailable", None)]


# --- attacks


@pytest.mark.item("D2.9")
async def test_presences_of_strangers_are_bounded_and_cost_no_contact(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster, open_presence(client, roster) as book:
        await forge(server, client, presence(f"{JULIET}/a"))
        for start in range(0, 100_000, 5000):
            await forge(server, client, *[presence(f"u{n}@evil/a") for n in range(start, start + 5000)])
        assert len(book) == 1001
        assert book.best(JULIET) is not None
        assert "u99999@evil" in book
        assert "u98999@evil" not in book


@pytest.mark.item("D2.9")
async def test_the_resources_of_strangers_are_bounded_together(server, autojump_clock):
    async with connect(server) as client, open_roster(client) as roster, open_presence(client, roster) as book:
        for user in range(100):
            await forge(server, client, *[presence(f"u{user}@evil/{n}") for n in range(64)])
        assert sum(len(book.of(jid)) for jid in book) == 1000
        await forge(server, client, *[presence(f"u99@evil/{n}", type_="unavailable") for n in range(64)])
        await forge(server, client, *[presence(f"u100@evil/{n}") for n in range(64)])
        assert sum(len(book.of(jid)) for jid in book) == 1000


@pytest.mark.item("D2.10")
async def test_resources_of_one_contact_are_bounded(server, autojump_clock):
    async with connect(server) as client, open_presence(client) as book, book.changes(capacity=100_000) as changes:
        await forge(server, client, *[presence(f"{JULIET}/r{n}") for n in range(10_000)])
        assert [str(one.jid.resource) for one in book.of(JULIET)] == [f"r{n}" for n in range(9999, 9935, -1)]
        events = changes.take_all()
        assert sum(isinstance(event, Gone) for event in events) == 10_000 - 64


@pytest.mark.item("D2.11")
async def test_presences_of_rooms_do_not_enter_the_book(server, autojump_clock):
    room = "lobby@rooms.example.net"
    user = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>"
    taken = []
    async with connect(server) as client, open_presence(client) as book:
        await forge(
            server,
            client,
            presence(f"{room}/tybalt", user),
            presence(room, "<x xmlns='http://jabber.org/protocol/muc'/>"),
        )
        assert len(book) == 0
        with client.claim(room, taken.append, taken.append):
            await forge(server, client, presence(f"{room}/tybalt"))
        assert len(taken) == 1
        assert len(book) == 0
