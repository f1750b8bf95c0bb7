"""A stay in a room is healed, for ever; only what cannot be healed leaves the block (D4.8 to D4.17)."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.dialogs import resumed
from tests.xep.muc.rooms import event, in_room, nicks, persistent, server_room, until
from trioxmpp import JID, Client, ReconnectPolicy, Trouble
from trioxmpp.client import Inbox
from trioxmpp.protocol import ns
from trioxmpp.protocol.elements.muc import AdminItem, AdminSet, Affiliation, Destroy, OwnerSet, Role
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.xep.muc import (
    GoneReason,
    LeaveCause,
    LossCause,
    NickChanged,
    OccupantChanged,
    OccupantJoined,
    OccupantLeft,
    Rejoin,
    Room,
    RoomBack,
    RoomEvent,
    RoomGone,
    RoomLost,
    RoomMessage,
    open_room,
)

QUICK = Rejoin(silence=900)


async def gone(room: Room) -> None:
    """Stay in the block, whatever happens."""
    await room.say("I shall stay")
    await trio.sleep_forever()


async def lost_and_back(events: Inbox[RoomEvent], cause: LossCause) -> RoomBack:
    assert (await event(events, RoomLost)).cause is cause
    return await event(events, RoomBack)


def set_role(nick: str, role: Role, reason: str | None = None) -> AdminSet:
    return AdminSet(items=(AdminItem(nick=nick, role=role, reason=reason),))


def set_affiliation(jid: JID, affiliation: Affiliation, reason: str | None = None) -> AdminSet:
    return AdminSet(items=(AdminItem(jid=jid.bare, affiliation=affiliation, reason=reason),))


# --- the end


@pytest.mark.item("D4.5", "D4.8", "D4.9", "B2.3", "B2.4")
@on_every_bench(accounts=2)
async def test_each_end_that_an_owner_brings_about_leaves_the_block_bare(bench: Bench) -> None:
    romeo, juliet = bench.clients
    account = juliet.jid.bare
    kick = set_role("juliet", Role.NONE, "hush")
    ban = set_affiliation(account, Affiliation.OUTCAST, "hush")
    expel = set_affiliation(account, Affiliation.NONE)
    other = JID.parse(f"tomb@conference.{bench.domain}")
    destroy = OwnerSet(destroy=Destroy(jid=other, reason="hush"))

    def members_only(config: object) -> None:
        config.members_only = True  # type: ignore[attr-defined]

    for action, reason, create in (
        (kick, GoneReason.KICKED, True),
        (ban, GoneReason.BANNED, True),
        (expel, GoneReason.MEMBERSHIP, members_only),
        (destroy, GoneReason.DESTROYED, True),
    ):
        jid = bench.room()
        with pytest.raises(RoomGone) as caught:
            async with open_room(romeo, jid, "romeo", create=create):
                if create is members_only:
                    await romeo.request(set_affiliation(account, Affiliation.MEMBER), to=jid)
                with pytest.raises(RoomGone) as theirs:
                    async with open_room(juliet, jid, "juliet") as room:
                        await room.say("I shall stay")
                        await romeo.request(action, to=jid)
                        await trio.sleep_forever()
                assert theirs.value.reason is reason
                assert theirs.value.room == JID.parse(jid)
                if reason is not GoneReason.MEMBERSHIP:
                    assert theirs.value.text == "hush"
                if reason is GoneReason.DESTROYED:
                    assert theirs.value.alternate == other
                    await trio.sleep_forever()
                if reason in (GoneReason.KICKED, GoneReason.BANNED):
                    assert theirs.value.actor == "romeo"
                raise theirs.value
        assert caught.value.reason is reason


@pytest.mark.item("D4.8")
@on_every_bench(accounts=2)
async def test_a_kick_is_not_the_end_where_we_come_back(bench: Bench) -> None:
    async with in_room(bench, bench.room(), rejoin=Rejoin(after_kick=2)) as (one, two), two.events() as events:
        await bench.clients[0].request(set_role("juliet", Role.NONE, "hush"), to=one.jid)
        lost = await event(events, RoomLost)
        assert (lost.cause, lost.text) == (LossCause.KICKED, "hush")
        assert not two.joined
        assert (await two.say("I am back")).by_us  # waits until we are
        assert (await event(events, RoomBack)).nick == "juliet"
        assert nicks(two) == {"romeo", "juliet"}


# --- losses


@pytest.mark.item("D4.8", "B2.1")
@on_every_bench(accounts=2)
async def test_each_removal_by_the_service_is_healed(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (one, two), two.events() as events:
        for codes, cause in (
            (("307", "333"), LossCause.REMOVED),
            (("332",), LossCause.SHUTDOWN),
            (("333",), LossCause.REMOVED),
            ((), LossCause.REMOVED),
        ) * 3:
            server.rooms.remove(str(one.jid), "juliet", *codes)
            await lost_and_back(events, cause)
            assert nicks(two) == {"romeo", "juliet"}
            assert (await two.say("back")).by_us


@pytest.mark.item("D4.8")
@on_every_bench(accounts=2)
async def test_a_room_that_throws_us_out_at_once_is_not_stormed(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    async with in_room(bench, jid) as (_one, two), two.events() as events:
        joins = 0
        began = trio.current_time()
        while trio.current_time() - began < 3600:
            server.rooms.remove(jid, "juliet", "333")
            await lost_and_back(events, LossCause.REMOVED)
            joins += 1
        assert joins < 300, "no more than the backoff allows: without it there would be thousands"


@pytest.mark.item("D4.8", "D4.14")
@on_every_bench(accounts=2)
async def test_an_eviction_in_silence_is_found_by_asking(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (one, two), two.events() as events:
        evicted = trio.current_time()
        server.rooms.evict(str(one.jid), "juliet")
        await lost_and_back(events, LossCause.NOT_IN_ROOM)
        assert 800 < trio.current_time() - evicted < 1000
        assert nicks(two) == {"romeo", "juliet"}


@pytest.mark.item("D4.15")
@on_every_bench(accounts=2)
async def test_speaking_from_outside_is_found_at_once_and_the_text_is_in_doubt(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (one, two), two.events() as events:
        evicted = trio.current_time()
        server.rooms.evict(str(one.jid), "juliet")
        with pytest.raises(RoomLost) as lost:
            await two.say("am I here?")
        assert lost.value.cause is LossCause.NOT_IN_ROOM
        await event(events, RoomBack)
        assert trio.current_time() - evicted < 30
        assert (await two.say("now I am")).by_us


@pytest.mark.item("D4.14", "B2.1", "B2.2")
@on_every_bench(accounts=3)
async def test_after_a_lost_session_the_occupants_are_compared(bench: Bench) -> None:
    server = bench.embedded()
    romeo, juliet, nurse = bench.clients
    jid = bench.room()
    road = bench.server
    assert road is not None
    async with (
        open_room(romeo, jid, "romeo", create=persistent) as one,
        open_room(juliet, jid, "juliet") as two,
        two.events() as events,
    ):
        stays = one.me
        async with open_room(nurse, jid, "nurse"):
            await event(events, OccupantJoined)
            romeo_seen = two.occupant("romeo")
            server.forget(str(juliet.jid))
            await event(events, RoomLost)
        await event(events, RoomBack)
        assert two.occupant("romeo") is romeo_seen
        assert stays is one.me
        await until(lambda: nicks(two) == nicks(one))


@pytest.mark.item("D4.14")
@on_every_bench(accounts=3)
async def test_changes_while_we_were_away_are_told_once(bench: Bench) -> None:
    server = bench.embedded()
    bench.has("occupant ids")
    romeo, juliet, nurse = bench.clients
    jid = bench.room()
    async with (
        open_room(romeo, jid, "romeo", create=persistent) as one,
        open_room(juliet, jid, "juliet") as two,
        two.events() as events,
    ):
        async with open_room(nurse, jid, "nurse") as three:
            await event(events, OccupantJoined)
            who = two.occupant("nurse")
            server.rooms.evict(jid, "juliet")  # from now on nothing reaches us
            await three.change_nick("angelica")
            await romeo.request(set_role("angelica", Role.VISITOR), to=jid)
            await trio.sleep(60)
            with pytest.raises(RoomLost):
                await two.say("hello?")
            told = []
            with trio.fail_after(3600):
                async for each in events:
                    told.append(each)
                    if isinstance(each, RoomBack):
                        break
            kinds = [type(each) for each in told]
            assert kinds.count(NickChanged) == 1
            assert kinds.count(OccupantChanged) == 1
            assert OccupantJoined not in kinds
            assert OccupantLeft not in kinds
            assert two.occupant("angelica") is who
            server.rooms.evict(jid, "juliet")
        await trio.sleep(60)
        with pytest.raises(RoomLost):
            await two.say("hello?")
        left = await event(events, OccupantLeft)
        assert (left.who, left.cause) == (who, LeaveCause.AWAY)
        assert one.joined


@pytest.mark.item("D4.14")
@on_every_bench(accounts=2)
async def test_a_session_that_is_resumed_keeps_the_stay(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (_one, two), two.events() as events:
        joins = len([each for each in server.log if each.jid == str(bench.clients[1].jid)])
        await resumed(server, bench.clients[1])
        assert two.joined
        assert (await two.say("still here")).by_us
        assert isinstance(await anext(events), RoomMessage)
        after = [each.stanza.tag for each in server.log if each.jid == str(bench.clients[1].jid)][joins:]
        assert f"{{{ns.CLIENT}}}presence" not in after


@pytest.mark.item("D4.14")
@on_every_bench(accounts=2, hibernation=3600.0)
async def test_after_a_long_break_we_ask_at_once(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    async with (
        bench.connect(1, "patient", reconnect=ReconnectPolicy(initial=100, maximum=200)) as client,
        open_room(bench.clients[0], jid, "romeo", create=True),
        open_room(client, jid, "juliet") as two,
        two.events() as events,
    ):
        server.sessions[str(client.jid)].link.reset()  # type: ignore[union-attr]
        await until(lambda: not client.linked)
        server.rooms.evict(jid, "juliet")
        await client.wait_linked()
        linked = trio.current_time()
        await lost_and_back(events, LossCause.NOT_IN_ROOM)
        assert trio.current_time() - linked < 10


@pytest.mark.item("D4.10")
@on_every_bench(accounts=2)
async def test_a_service_that_restarts_brings_back_only_rooms_that_persist(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    async with in_room(bench, jid, create=persistent) as (_one, two), two.events() as events:
        server.rooms.restart()
        await lost_and_back(events, LossCause.NOT_IN_ROOM)
        await until(lambda: nicks(two) == {"romeo", "juliet"}, 1000)
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True):
        pass
    with pytest.raises(RoomGone) as caught:
        async with open_room(bench.clients[0], jid, "romeo", create=True) as creator, creator.events() as events:
            with pytest.raises(RoomGone) as theirs:
                async with open_room(bench.clients[1], jid, "juliet"):
                    server.rooms.restart()
                    await trio.sleep_forever()
            assert theirs.value.reason is GoneReason.VANISHED
            await event(events, RoomBack)
            raise theirs.value
    assert caught.value.reason is GoneReason.VANISHED


@pytest.mark.item("D4.10")
@on_every_bench(accounts=2)
async def test_a_room_that_our_return_creates_is_left_at_once(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    with pytest.raises(RoomGone) as caught:
        async with open_room(bench.clients[0], jid, "romeo", create=True) as one:
            async with open_room(bench.clients[1], jid, "juliet"):
                server.rooms.restart()
                server.forget(str(bench.clients[1].jid))
                await trio.sleep_forever()
            assert one
    assert caught.value.reason is GoneReason.VANISHED
    await trio.sleep(1)
    assert server.rooms.room(jid) is None


@pytest.mark.item("D4.14")
@on_every_bench(accounts=3)
async def test_a_ghost_that_no_presence_tells_of_goes_with_a_resync(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    async with (
        in_room(bench, jid, rejoin=Rejoin(resync=600)) as (one, two),
        open_room(bench.clients[2], jid, "nurse") as three,
        two.events() as events,
    ):
        await until(lambda: len(two.occupants) == 3)
        who = two.occupant("nurse")
        server.rooms.evict(jid, "nurse")  # without a word, neither to it nor to the others
        await trio.sleep(100)
        assert nicks(two) == nicks(one) == {"romeo", "juliet", "nurse"}
        await one.resync()
        assert nicks(one) == {"romeo", "juliet"}
        await trio.sleep(600)
        assert nicks(two) == {"romeo", "juliet"}
        assert (await event(events, OccupantLeft)).who is who
        assert not [each for each in events.take_all() if isinstance(each, RoomLost | RoomBack)]
        assert (await two.say("nothing was lost")).by_us
        assert three


# --- asking


@pytest.mark.item("D4.11")
@on_every_bench(accounts=2)
async def test_a_nick_that_changed_behind_our_back_is_found(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    async with in_room(bench, jid) as (_one, two):
        room = server_room(server, jid)
        occupant = room.occupants.pop("juliet")
        occupant.nick = "hacked"
        room.occupants["hacked"] = occupant
        await trio.sleep(2000)
        await until(lambda: two.nick in room.occupants)
        assert nicks(two) == set(room.occupants)


@pytest.mark.item("D4.12")
@on_every_bench(accounts=2)
async def test_while_the_answer_is_undecided_we_ask_again_and_stay(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    asked: list[float] = []
    async with in_room(bench, jid) as (_one, two):
        hosts = server.post.hosts
        domain = jid.partition("@")[2]
        service = hosts[domain]

        def deaf(stanza: object) -> None:
            asked.append(trio.current_time())

        hosts[domain] = deaf
        began = trio.current_time()
        await trio.sleep(900 + 60 + 300 + 60 + 600 + 60 + 1200 + 60 + 1200 + 100)
        of_juliet = sorted({round(at - began) for at in asked})
        assert two.joined
        hosts[domain] = service
        gaps = [later - before for before, later in itertools.pairwise(of_juliet)]
        assert len([gap for gap in gaps if gap > 200]) == 4, of_juliet
        await trio.sleep(2000)
        assert two.joined
        assert (await two.say("it was only deaf")).by_us


@pytest.mark.item("D4.13", "D4.39", "B2.5")
@on_every_bench(accounts=2)
async def test_an_occupant_that_pings_us_gets_an_answer(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, _two):
        await bench.clients[0].request(Ping(), to=f"{one.jid}/juliet")
        await bench.clients[0].request(Ping(), to=f"{one.jid}/romeo")


# --- speaking meanwhile


@pytest.mark.item("D4.15", "D4.17")
@on_every_bench(accounts=2)
async def test_speech_waits_for_the_room_and_is_in_doubt_when_it_is_lost(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room(), create=persistent) as (one, two), one.events() as events:
        domain = str(one.jid.domain)
        service = server.post.hosts[domain]
        server.post.hosts[domain] = lambda stanza: None
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _say() -> None:
                with pytest.raises(RoomLost) as lost:
                    await two.say("into the void")
                assert lost.value.cause is LossCause.SESSION

            await trio.sleep(5)
            server.forget(str(bench.clients[1].jid))
            await trio.sleep(1)
            server.post.hosts[domain] = service
        assert (await two.say("heard")).by_us
        assert (await event(events, RoomMessage)).entry.text == "heard"


@pytest.mark.item("D4.15")
@on_every_bench(accounts=2)
async def test_a_room_that_reflects_nothing_times_out(bench: Bench) -> None:
    server = bench.embedded()
    async with in_room(bench, bench.room()) as (one, two):
        service = server.post.hosts[str(one.jid.domain)]
        server.post.hosts[str(one.jid.domain)] = lambda stanza: None
        with pytest.raises(TimeoutError):
            await two.say("hello?", timeout=5)
        server.post.hosts[str(one.jid.domain)] = service
        assert (await two.say("hello")).by_us


@pytest.mark.item("D4.9")
@on_every_bench(accounts=2)
async def test_a_task_outside_the_block_learns_that_the_room_is_gone(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    found: list[Exception] = []

    async def waits(room: Room) -> None:
        try:
            while True:
                await room.say("tick")
                await trio.sleep(1)
        except Exception as exc:
            found.append(exc)

    async with trio.open_nursery() as nursery:
        with pytest.raises(RoomGone):
            async with open_room(bench.clients[0], jid, "romeo", create=True) as room:
                nursery.start_soon(waits, room)
                await trio.sleep(5)
                server.rooms.remove(jid, "romeo", "307")
                await trio.sleep_forever()
    assert [type(exc) for exc in found] == [RoomGone]


# --- nicks


@pytest.mark.item("D4.8")
@on_every_bench(accounts=3)
async def test_a_nick_that_was_taken_meanwhile_is_replaced_by_another(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    async with in_room(bench, jid, create=persistent) as (_one, two), two.events() as events:
        server.rooms.evict(jid, "juliet")
        async with open_room(bench.clients[2], jid, "juliet") as thief:
            with pytest.raises(RoomLost):
                await two.say("hello?")
            assert (await event(events, RoomBack)).nick == "juliet_"
            assert two.nick == "juliet_"
            assert thief.nick == "juliet"
            assert (await two.say("another name")).by_us


@pytest.mark.item("D4.8", "B2.3")
@on_every_bench(accounts=2)
async def test_a_return_that_is_refused_is_told_and_tried_again(bench: Bench) -> None:
    server = bench.embedded()
    jid = bench.room()
    async with in_room(bench, jid, create=persistent) as (_one, two), two.events() as events:
        room = server_room(server, jid)
        room.config["passwordprotectedroom"], room.config["roomsecret"] = "1", "hyacinth"
        async with bench.clients[1].events() as troubles:
            server.rooms.remove(jid, "juliet", "333")
            await event(events, RoomLost)
            for _ in range(3):
                trouble = await anext(troubles)
                assert isinstance(trouble, Trouble)
                assert "password" in str(trouble.exception)
        room.config["passwordprotectedroom"] = "0"
        await event(events, RoomBack)
        assert two.joined


# --- processes


@pytest.mark.item("D4.14")
def test_a_process_that_ends_leaves_its_session_and_no_occupant_sees_a_farewell(tmp_path: Path) -> None:
    from tests.bench import EMBEDDED
    from trioxmpp import FileStore, connect
    from trioxmpp.testing import open_server

    async def main(dialect: object) -> None:
        accounts = {"romeo": "secret", "juliet": "secret"}
        async with open_server(accounts=accounts, rooms=True, dialect=dialect, hibernation=3600.0) as server:  # type: ignore[arg-type]
            options = {"endpoint": server.endpoint, "allow_plaintext": True}
            jid = "capulets@conference.example.test"
            store = tmp_path / f"{dialect.name}.json"  # type: ignore[attr-defined]
            async with (
                connect("romeo@example.test/a", "secret", **options) as romeo,
                open_room(romeo, jid, "romeo", create=persistent) as one,
                one.events() as events,
            ):
                async with connect("juliet@example.test/b", "secret", store=FileStore(store), **options) as first:
                    room = await _enter(first, jid, "juliet")
                    assert (await event(events, OccupantJoined)).who.nick == "juliet"
                    await first.suspend()
                    assert room is not None
                await trio.sleep(60)
                # The nick that the next process wants is another one: the room believes that we change it.
                for nick in ("juliet", "capulet"):
                    async with connect("juliet@example.test/b", "secret", store=FileStore(store), **options) as second:
                        assert second.session is not None
                        assert second.session.adopted
                        async with open_room(second, jid, nick) as two:
                            assert nicks(two) == {"romeo", nick}
                            assert (await two.say("here")).by_us
                            await second.suspend()
                seen: list[RoomEvent] = events.take_all()
                assert not [each for each in seen if isinstance(each, OccupantLeft)]
                assert nicks(one) == {"romeo", "capulet"}

    async def _enter(client: Client, jid: str, nick: str) -> Room:
        async with open_room(client, jid, nick) as room:
            assert room.joined
            await client.suspend()
            return room

    for kind in EMBEDDED:
        clock = kind.clock()
        trio.run(main, kind.dialect, clock=clock)
