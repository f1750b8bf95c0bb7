"""Occupants and strangers that forge, and rooms that lie (attacks A31 to A40 of D4)."""

from __future__ import annotations

import logging
import random

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.xep.muc.rooms import MUC, event, forge, in_room, nicks, until
from trioxmpp import JID, Client, Message, xml
from trioxmpp.protocol.elements.delay import Delay
from trioxmpp.protocol.elements.direct_invite import DirectInvite
from trioxmpp.protocol.elements.muc import Item, Status
from trioxmpp.protocol.elements.muc import Occupant as OccupantElement
from trioxmpp.protocol.elements.occupant_id import OccupantId
from trioxmpp.protocol.elements.retraction import Moderated, Retract
from trioxmpp.protocol.elements.stanza_ids import StanzaId
from trioxmpp.protocol.elements.version import VersionQuery
from trioxmpp.protocol.stanza import Presence, Set
from trioxmpp.testing import Dialect
from trioxmpp.xep.muc import (
    Affiliation,
    ConfigChanged,
    GoneReason,
    MessageModerated,
    RoomBack,
    RoomEvent,
    RoomGone,
    RoomLost,
    RoomMessage,
    RoomSource,
    SubjectChanged,
    open_invitations,
    open_room,
)


def presence(of: str, to: Client, inner: str = "", kind: str | None = None) -> str:
    type_ = "" if kind is None else f" type='{kind}'"
    return f"<presence xmlns='jabber:client' from='{of}' to='{to.jid}'{type_}>{inner}</presence>"


def user(*codes: int, item: str = "<item affiliation='none' role='participant'/>") -> str:
    statuses = "".join(f"<status code='{code}'/>" for code in codes)
    return f"<x xmlns='{MUC}#user'>{item}{statuses}</x>"


def no_handler_failed(caplog: pytest.LogCaptureFixture) -> bool:
    return not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.item("D4.31")
@on_every_bench(accounts=2)
async def test_an_occupant_cannot_speak_for_the_room(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        lie = OccupantElement(
            items=(Item(affiliation=Affiliation.OWNER, jid=bench.clients[1].jid),),
            statuses=(Status(code=104), Status(code=110), Status(code=307)),
        )
        payloads = [lie, Retract(id="some-id", moderated=Moderated(by=one.jid), reason="a lie")]
        await two.say(Message(body="I own this", payloads=payloads))
        await two.say("the end")
        told: list[RoomEvent] = []
        while not told or not isinstance(told[-1], RoomMessage) or told[-1].entry.text != "the end":
            told.append(await anext(events))
        assert not [each for each in told if isinstance(each, ConfigChanged | MessageModerated)]
        assert two.joined
        assert one.joined
        who = one.occupant("juliet")
        assert who is not None
        assert who.affiliation is Affiliation.NONE


@pytest.mark.item("D4.32")
@on_every_bench(accounts=2)
async def test_an_occupant_id_counts_only_where_the_room_announces_it(bench: Bench) -> None:
    bench.embedded()
    romeo, juliet = bench.clients
    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        await juliet.send(Presence(to=f"{one.jid}/juliet", payloads=[OccupantId(id="romeo's")]))
        entry = await two.say(Message(body="hello", payloads=[OccupantId(id="romeo's")]))
        heard = (await event(events, RoomMessage)).entry
        who = one.occupant("juliet")
        assert who is not None
        assert "romeo's" not in (who.id, heard.occupant_id, entry.occupant_id)
        assert one.occupant_by_id("romeo's") is None
        if not bench.dialect.occupant_ids:
            assert (who.id, heard.occupant_id) == (None, None)
        assert romeo is not juliet


def test_a_room_without_ids_gives_no_occupant_one() -> None:
    from tests.bench import Kind

    kind = Kind("embedded-ejabberd-24", Dialect.EJABBERD_24)

    async def main() -> None:
        from tests.xep.muc.rooms import open_server
        from trioxmpp import connect

        async with open_server(rooms=True, dialect=Dialect.EJABBERD_24) as server:
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            async with (
                connect("romeo@example.test/a", "secret", **options) as romeo,
                connect("juliet@example.test/b", "secret", **options) as juliet,
                open_room(romeo, "room@conference.example.test", "romeo", create=True) as one,
                open_room(juliet, "room@conference.example.test", "juliet") as two,
                one.events() as events,
            ):
                await juliet.send(Presence(to=f"{one.jid}/juliet", payloads=[OccupantId(id="forged")]))
                await two.say(Message(body="hello", payloads=[OccupantId(id="forged")]))
                assert (await event(events, RoomMessage)).entry.occupant_id is None
                who = one.occupant("juliet")
                assert who is not None
                assert who.id is None
                assert one.occupant_by_id("forged") is None

    trio.run(main, clock=kind.clock())


@pytest.mark.item("D4.33")
@on_every_bench(accounts=2)
async def test_a_forged_delay_makes_no_history(bench: Bench) -> None:
    from datetime import UTC, datetime

    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        old = datetime(2001, 1, 1, tzinfo=UTC)
        await two.say(Message(body="long ago", payloads=[Delay(stamp=old, from_=one.jid)]))
        entry = (await event(events, RoomMessage)).entry
        assert entry.source is RoomSource.LIVE
        assert entry.sent.year > 2001
        assert one.history == ()


@pytest.mark.item("D4.33")
@on_every_bench(accounts=2)
async def test_a_forged_archive_id_is_not_believed(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        await two.say(Message(body="forged", payloads=[StanzaId(id="forged", by=one.jid)]))
        assert (await event(events, RoomMessage)).entry.archive_id != "forged"


@pytest.mark.item("D4.34")
@on_every_bench(accounts=2)
async def test_presence_of_another_room_makes_no_occupant(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (one, _two):
        for room in ("other@conference.example.test", f"{one.jid}.evil.test", "romeo@evil.test"):
            forge(server, bench.clients[0], presence(f"{room}/tybalt", bench.clients[0], user()))
        await trio.testing.wait_all_tasks_blocked()
        assert nicks(one) == {"romeo", "juliet"}


@pytest.mark.item("D4.35")
@on_every_bench(accounts=2)
async def test_a_room_with_two_selves_is_entered_anew_once_and_then_lost(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (_one, two), two.events() as events:
        lie = presence(f"{two.jid}/romeo", bench.clients[1], user(110))
        forge(server, bench.clients[1], lie)
        await trio.sleep(5)
        joins = [each for each in server.log if each.stanza.find(f"{{{MUC}}}x") is not None]
        assert [each.jid for each in joins].count(str(bench.clients[1].jid)) == 2
        assert two.joined
        assert two.nick == "juliet"
        assert not [each for each in events.take_all() if isinstance(each, RoomLost)]
        forge(server, bench.clients[1], lie)
        await event(events, RoomLost)
        await event(events, RoomBack)
        assert two.nick == "juliet"
        assert nicks(two) == {"romeo", "juliet"}
        assert (await two.say("I am I")).by_us


@pytest.mark.item("D4.36")
@on_every_bench(accounts=1)
async def test_a_room_that_is_too_big_is_left(bench: Bench) -> None:
    server = bench.embedded()
    (client,) = bench.clients
    jid = bench.room()
    with pytest.raises(RoomGone) as caught:
        async with open_room(client, jid, "romeo", create=True) as room:
            for number in range(20_010):
                forge(server, client, presence(f"{jid}/{number}", client, user()))
                if number % 500 == 0:
                    await trio.sleep(1)
                    assert len(room.occupants) <= 20_000
            await trio.sleep_forever()
    assert caught.value.reason is GoneReason.TOO_BIG
    await until(lambda: server.rooms.room(jid) is None)
    # Nor is it entered.
    async with open_room(client, jid, "romeo", create=True) as room:
        with pytest.raises(RoomGone):
            async with bench.connect(0, "second") as second, open_room(second, jid, "second", limit=1):
                pass
        assert room.joined


@pytest.mark.item("D4.37")
@on_every_bench(accounts=2)
async def test_a_subject_of_a_megabyte_does_no_harm(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (one, two), two.events() as events:
        await one.set_subject("short")
        await event(events, SubjectChanged)
        text = "s" * (1 << 20)
        forge(
            server,
            bench.clients[1],
            f"<message xmlns='jabber:client' type='groupchat' from='{one.jid}/romeo' to='{bench.clients[1].jid}'>"
            f"<subject>{text}</subject></message>",
        )
        await trio.testing.wait_all_tasks_blocked()
        assert two.subject in (text, "short")  # the limit of a stanza may be smaller
        assert (await two.say("and on it goes")).by_us


@pytest.mark.item("D4.38")
@on_every_bench(accounts=2)
async def test_a_flood_of_invitations_is_bounded(bench: Bench) -> None:
    bench.has("faults")
    romeo, juliet = bench.clients
    async with open_invitations(juliet) as invitations:
        for number in range(1_000):
            room = JID.parse(f"room{number}@conference.example.test")
            romeo.enqueue(Message(to=juliet.jid, payloads=[DirectInvite(jid=room)]))
        await until(lambda: len(invitations) + invitations.dropped == 1_000)
        assert len(invitations) == 100
        assert (await invitations.receive()).room == JID.parse("room0@conference.example.test")
        await romeo.send(Message(to=juliet.jid, payloads=[DirectInvite(jid=JID.parse("late@conference.example.test"))]))
        await until(lambda: len(invitations) == 100)


@xml.element("https://example.org/secret", "query")
class Secret(Set[None]):
    """A request that only our own account may make."""


@pytest.mark.item("D4.39")
@on_every_bench(accounts=2)
async def test_a_request_of_an_occupant_is_that_of_a_stranger(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, _two):
        asked = []
        with (
            bench.clients[1].answer(Secret, asked.append, from_=bench.clients[1].own_account),
            pytest.raises(Exception, match="service-unavailable"),
        ):
            await bench.clients[0].request(Secret(), to=f"{one.jid}/juliet")
        assert asked == []
        assert (await bench.clients[0].request(VersionQuery(), to=f"{one.jid}/juliet")).name == "trioxmpp"


@pytest.mark.item("D4.40")
@on_every_bench(accounts=1)
async def test_an_error_from_another_room_refuses_nothing(bench: Bench) -> None:
    server = bench.embedded()
    (client,) = bench.clients
    error = "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
    jid = bench.room()
    service = server.post.hosts["conference.example.test"]

    def late(stanza: object) -> None:
        for room in ("other@conference.example.test", "conference.example.test"):
            forge(server, client, presence(f"{room}/romeo", client, error, "error"))
        service(stanza)  # type: ignore[arg-type]

    server.post.hosts["conference.example.test"] = late
    async with open_room(client, jid, "romeo", create=True) as room:
        late(_presence_of(client, jid))
        assert room.joined
        # Not even one of our own room is believed without asking.
        forge(server, client, presence(f"{jid}/romeo", client, error, "error"))
        await trio.sleep(5)
        assert room.joined
        assert (await room.say("unharmed")).by_us


def _presence_of(client: Client, jid: str) -> object:
    from lxml import etree

    return etree.fromstring(
        f"<presence xmlns='jabber:client' from='{client.jid}' to='{jid}/romeo'><show>away</show></presence>"
    )


def test_nonsense_from_the_room_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Random presences and messages of a hostile room: no handler fails, and afterwards all is as the room says."""
    from tests.xep.muc.rooms import open_server
    from trioxmpp import connect

    kinds = (None, "unavailable", "error", "subscribe")
    items = (
        "<item affiliation='none' role='participant'/>",
        "<item affiliation='god' role='sheep' jid='@@'/>",
        "<item nick='other' affiliation='none' role='none'/>",
        "<item/><item/><item jid='a@b/c'/>",
        "",
        "<destroy jid='@'/>",
        "<invite/><decline/><password/>",
    )

    async def main(seed: int) -> None:
        rng = random.Random(seed)
        async with open_server(rooms=True) as server:
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            jid = "room@conference.example.test"
            async with (
                connect("romeo@example.test/a", "secret", **options) as romeo,
                connect("juliet@example.test/b", "secret", **options) as juliet,
                open_room(juliet, jid, "juliet", create=True),
                open_room(romeo, jid, "romeo") as room,
            ):
                for _ in range(200):
                    of = rng.choice((jid, f"{jid}/juliet", f"{jid}/x", f"{jid}/y", f"{jid}/🌹"))
                    codes = rng.sample((100, 110, 201, 210, 303, 332, 333, 999), rng.randrange(3))
                    item = rng.choice(items)
                    if "destroy" in item and 110 in codes:
                        continue
                    inner = user(*codes, item=item) if rng.random() < 0.9 else "<x xmlns='a'/>"
                    if rng.random() < 0.3:
                        inner += "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='same'/>"
                    if rng.random() < 0.6:
                        forge(server, romeo, presence(of, romeo, inner, rng.choice(kinds)))
                    else:
                        kind = rng.choice(("groupchat", "chat", "normal", "error", "headline"))
                        body = rng.choice(
                            ("", "<body>hi</body>", "<subject/>", "<subject>s</subject><thread>t</thread>")
                        )
                        forge(
                            server,
                            romeo,
                            f"<message xmlns='jabber:client' type='{kind}' from='{of}' to='{romeo.jid}'>"
                            f"{body}{inner}</message>",
                        )
                    if rng.random() < 0.2:
                        await trio.sleep(rng.random())
                await trio.sleep(3000)
                server.rooms.remove(jid, room.nick, "333")  # so that it is entered anew
                await trio.sleep(3000)
                assert room.joined
                held = server.rooms.room(jid)
                assert held is not None
                assert nicks(room) == set(held.occupants)
                assert room.me is not None

    for seed in range(20):
        trio.run(main, seed, clock=trio.testing.MockClock(autojump_threshold=0))
    assert no_handler_failed(caplog)


@pytest.mark.item("D4.37", "D4.36")
@on_every_bench(accounts=2)
async def test_the_words_of_occupants_are_kept_in_bounds(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (one, two):
        long = "s" * 200_000
        items = "<item affiliation='none' role='participant' jid='a@b/c'/>" * 500
        forge(
            server,
            bench.clients[0],
            presence(
                f"{one.jid}/juliet",
                bench.clients[0],
                f"<status>{long}</status><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{long}'/>" + user(item=items),
            ),
        )
        await trio.testing.wait_all_tasks_blocked()
        who = one.occupant("juliet")
        assert who is not None
        assert who.state.status == "s" * 4_096
        assert who.id != long
        assert len(who.state.jids) == 64
        # Messages without a reader are kept in bounds, too: the first subscription gets the newest of them.
        for number in range(60):
            two_jid = f"{one.jid}/juliet"
            forge(
                server,
                bench.clients[0],
                f"<message xmlns='jabber:client' type='groupchat' from='{two_jid}' to='{bench.clients[0].jid}'>"
                f"<body>{number} {long}</body></message>",
            )
        await trio.testing.wait_all_tasks_blocked()
        async with one.events() as events:
            kept = [each for each in events.take_all() if isinstance(each, RoomMessage)]
        assert 10 < len(kept) < 30
        assert kept[-1].entry.text == f"59 {long}"
        assert two.joined
