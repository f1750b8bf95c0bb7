"""Being in a room: who is there, what is said, and what is only history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.xep.muc.rooms import event, in_room, nicks, persistent, until
from trioxmpp import Message, MessageType, PresenceShow
from trioxmpp.protocol.elements.muc import AdminItem, AdminSet, Affiliation, Role
from trioxmpp.xep.muc import (
    JoinRefused,
    NickChanged,
    OccupantChanged,
    OccupantJoined,
    OccupantLeft,
    PrivateFailed,
    PrivateMessage,
    RoomConfig,
    RoomMessage,
    RoomSource,
    SubjectChanged,
    open_room,
)


@pytest.mark.item("D4.1")
@on_every_bench(accounts=2)
async def test_the_block_begins_with_all_occupants_and_the_subject(bench: Bench) -> None:
    romeo, juliet = bench.clients
    jid = bench.room()
    async with open_room(romeo, jid, "romeo", create=True) as one:
        assert one.joined
        assert nicks(one) == {"romeo"}
        assert one.subject == ""
        assert one.me is not None
        assert one.me.affiliation is Affiliation.OWNER
        assert one.me.role is Role.MODERATOR
        await one.set_subject("Verona")
        async with open_room(juliet, jid, "juliet") as two:
            assert nicks(two) == {"romeo", "juliet"}
            assert two.subject == "Verona"
            assert two.me is two.occupant("juliet")


@pytest.mark.item("D4.15")
@on_every_bench(accounts=2)
async def test_say_returns_the_reflection_and_others_hear_it_once(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        first = await two.say("Art thou not Romeo?")
        assert first.by_us
        assert first.text == "Art thou not Romeo?"
        assert first.source is RoomSource.LIVE
        await two.say("and a Montague?")
        heard = [(await event(events, RoomMessage)).entry for _ in range(2)]
        assert [(entry.text, entry.nick, entry.by_us) for entry in heard] == [
            ("Art thou not Romeo?", "juliet", False),
            ("and a Montague?", "juliet", False),
        ]
        assert heard[0].occupant is one.occupant("juliet")
        assert heard[0].archive_id == first.archive_id


@pytest.mark.item("D4.15")
@on_every_bench(accounts=2)
async def test_a_visitor_is_told_that_it_may_not_speak(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two):
        demotion = AdminSet(items=(AdminItem(nick="juliet", role=Role.VISITOR),))
        await bench.clients[0].request(demotion, to=one.jid)
        await until(lambda: two.me is not None and two.me.role is Role.VISITOR)
        with pytest.raises(Exception, match="forbidden"):
            await two.say("may I?")


@pytest.mark.item("D4.16")
@on_every_bench(accounts=2)
async def test_a_subject_that_comes_back_without_an_id_is_recognised(bench: Bench) -> None:
    def reserved(config: RoomConfig) -> None:
        config.may_change_subject = False

    async with in_room(bench, bench.room(), create=reserved) as (one, two), two.events() as events:
        await one.set_subject("a balcony")
        changed = await event(events, SubjectChanged)
        assert (changed.subject, changed.nick, changed.by_us) == ("a balcony", "romeo", False)
        await one.set_subject("")
        assert (await event(events, SubjectChanged)).subject == ""
        assert two.subject == ""
        with pytest.raises(Exception, match="forbidden"):
            await two.set_subject("not hers to set")


@pytest.mark.item("D4.6")
@on_every_bench(accounts=2)
async def test_an_occupant_stays_the_same_object_when_its_nick_changes(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        juliet = one.occupant("juliet")
        assert await two.change_nick("capulet") == "capulet"
        assert two.nick == "capulet"
        changed = await event(events, NickChanged)
        assert changed == NickChanged(juliet, "juliet", "capulet")
        await until(lambda: one.occupant("capulet") is juliet)
        assert one.occupant("juliet") is None
        assert (await two.say("still me")).by_us
        assert (await event(events, RoomMessage)).entry.occupant is juliet
        with pytest.raises(JoinRefused, match="has this nick"):
            await two.change_nick("romeo")
        assert two.nick == "capulet"


@pytest.mark.item("D4.6")
@on_every_bench(accounts=2)
async def test_an_account_that_comes_back_is_the_same_occupant_where_ids_are_announced(bench: Bench) -> None:
    bench.has("occupant ids")
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True) as one, one.events() as events:
        seen = []
        for nick in ("juliet", "another"):
            async with open_room(bench.clients[1], jid, nick):
                seen.append((await event(events, OccupantJoined)).who)
            assert (await event(events, OccupantLeft)).who is seen[-1]
        assert seen[0] is seen[1]
        assert seen[0].id is not None
        assert one.occupant_by_id(seen[0].id) is None


@pytest.mark.item("D4.6")
@on_every_bench(accounts=2)
async def test_two_clients_of_one_account_are_one_occupant(bench: Bench) -> None:
    jid = bench.room()
    async with in_room(bench, jid) as (one, two), bench.connect(1, "second") as second:
        async with open_room(second, jid, "juliet") as three:
            assert nicks(three) == nicks(one) == {"romeo", "juliet"}
            await trio.sleep(0.5)
            assert one.occupant("juliet") is not None
            if bench.dialect.second_client_self:
                assert one.occupant("juliet").state.sessions == 2  # type: ignore[union-attr]
            await three.say("from the second client")
        await trio.sleep(0.5)
        assert nicks(one) == {"romeo", "juliet"}
        assert two.joined
        assert (await two.say("the first one is still there")).by_us


@pytest.mark.item("D4.7")
@on_every_bench(accounts=2)
async def test_changes_of_role_and_affiliation_come_with_actor_and_reason(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two), two.events() as events:
        item = AdminItem(jid=bench.clients[1].jid.bare, affiliation=Affiliation.MEMBER, reason="well met")
        await bench.clients[0].request(AdminSet(items=(item,)), to=one.jid)
        change = await event(events, OccupantChanged)
        assert change.who is two.me
        assert (change.before.affiliation, change.after.affiliation) == (Affiliation.NONE, Affiliation.MEMBER)
        if bench.dialect.actor_of_changes:
            assert change.actor == "romeo"
            assert change.reason == "well met"


@pytest.mark.item("D4.18", "B2.7")
@on_every_bench(accounts=2)
async def test_history_is_kept_apart_and_no_event_tells_of_it(bench: Bench) -> None:
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True) as one:
        spoken = ["one", "two", "three"]
        for text in spoken:
            await one.say(text)
        an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
        for wanted, count in ((0, 0), (2, 2), (None, 99), (an_hour_ago, 99)):
            async with open_room(bench.clients[1], jid, "juliet", history=wanted) as two, two.events() as events:
                assert [entry.text for entry in two.history] == spoken[max(len(spoken) - count, 0) :]
                assert {entry.source for entry in two.history} <= {RoomSource.HISTORY}
                await one.say(f"live {wanted}")
                spoken.append(f"live {wanted}")
                assert (await event(events, RoomMessage)).entry.text == spoken[-1]


@pytest.mark.item("B2.8")
@on_every_bench(accounts=2)
async def test_a_message_between_the_join_and_the_first_subscription_is_not_lost(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two):
        await one.say("early")
        await trio.sleep(0.5)
        async with two.events() as events:
            assert (await event(events, RoomMessage)).entry.text == "early"


@pytest.mark.item("D4.19")
@on_every_bench(accounts=2)
async def test_private_messages_are_a_conversation_of_their_own(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two), two.events() as events, one.events() as answers:
        juliet = one.occupant("juliet")
        assert juliet is not None
        await one.whisper(juliet, "by yonder blessed moon")
        private = (await event(events, PrivateMessage)).entry
        assert (private.text, private.nick) == ("by yonder blessed moon", "romeo")
        await bench.clients[0].send(
            Message(to=f"{one.jid}/nobody-there", type=MessageType.CHAT, body="hello?", id="lost")
        )
        failed = await event(answers, PrivateFailed)
        assert (failed.id, failed.nick) == ("lost", "nobody-there")
    with pytest.raises(RuntimeError, match="was left"):
        await one.whisper(juliet, "too late")


@pytest.mark.item("D4.19")
@on_every_bench(accounts=2)
async def test_no_private_message_goes_to_an_occupant_that_has_left(bench: Bench) -> None:
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True) as one:
        async with open_room(bench.clients[1], jid, "juliet"):
            await until(lambda: one.occupant("juliet") is not None)
            juliet = one.occupant("juliet")
        await until(lambda: one.occupant("juliet") is None)
        assert juliet is not None
        with pytest.raises(Exception, match="item-not-found"):
            await one.whisper(juliet, "are you there?")


@pytest.mark.item("D4.27")
@on_every_bench(accounts=2)
async def test_leaving_the_block_leaves_the_room(bench: Bench) -> None:
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True) as one, one.events() as events:
        async with open_room(bench.clients[1], jid, "juliet"):
            await event(events, OccupantJoined)
        assert (await event(events, OccupantLeft)).who.nick == "juliet"
        with trio.CancelScope() as scope:
            async with open_room(bench.clients[1], jid, "juliet"):
                await event(events, OccupantJoined)
                scope.cancel()
                await trio.sleep_forever()
        assert (await event(events, OccupantLeft)).who.nick == "juliet"


@pytest.mark.item("D4.27")
@on_every_bench(accounts=1)
async def test_events_end_with_the_room(bench: Bench) -> None:
    async with open_room(bench.clients[0], bench.room(), "romeo", create=True) as room:
        subscription = room.events()
        events = await subscription.__aenter__()
    assert [each async for each in events] == []
    await subscription.__aexit__(None, None, None)


@pytest.mark.item("D4.29")
@on_every_bench(accounts=1)
async def test_the_same_room_twice_is_refused(bench: Bench) -> None:
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True) as room:
        with pytest.raises(ValueError, match="claimed already"):
            async with open_room(bench.clients[0], jid, "other"):
                pass
        assert (await room.say("unharmed")).by_us


@on_every_bench(accounts=1)
async def test_an_address_that_cannot_be_a_room_is_refused(bench: Bench) -> None:
    for address in ("conference.example.test", "room@conference.example.test/nick"):
        with pytest.raises(ValueError, match="not the address of a room"):
            async with open_room(bench.clients[0], address, "romeo"):
                pass


@pytest.mark.item("D4.28")
@on_every_bench(accounts=1)
async def test_two_hundred_rooms_are_joined_ten_at_a_time(bench: Bench) -> None:
    bench.embedded()
    (client,) = bench.clients
    rooms = [bench.room() for _ in range(200)]
    ready, done = [0], trio.Event()

    async def be_in(jid: str) -> None:
        async with open_room(client, jid, "romeo", create=persistent):
            ready[0] += 1
            if ready[0] == len(rooms):
                done.set()
            await done.wait()

    async with trio.open_nursery() as nursery:
        for jid in rooms:
            nursery.start_soon(be_in, jid)
    assert ready == [200]


@pytest.mark.item("D4.4")
@on_every_bench(accounts=1)
async def test_the_nick_is_the_one_that_the_room_gives(bench: Bench) -> None:
    bench.embedded().rooms.nick_assigned = lambda nick: nick.lower()
    async with open_room(bench.clients[0], bench.room(), "ROMEO", create=True) as room:
        assert room.nick == "romeo"
        assert room.me is not None
        assert (await room.say("it is I")).by_us


@pytest.mark.item("D4.37")
@on_every_bench(accounts=2)
async def test_nicks_may_be_long_or_an_emoji(bench: Bench) -> None:
    bench.has("faults")
    jid = bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True) as one:
        for nick in ("🌹", "n" * 1023):
            async with open_room(bench.clients[1], jid, nick) as two:
                assert two.nick == nick
                assert (await two.say("hello")).by_us
                await until(lambda nick=nick: one.occupant(nick) is not None)
        with pytest.raises(JoinRefused, match="cannot be part of an address"):
            async with open_room(bench.clients[1], jid, "n" * 1024):
                pass


@on_every_bench(accounts=2)
async def test_our_state_is_told_and_told_again(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        await two.set_presence(PresenceShow.AWAY, "in the orchard")
        change = await event(events, OccupantChanged)
        assert (change.after.show, change.after.status) == (PresenceShow.AWAY, "in the orchard")
