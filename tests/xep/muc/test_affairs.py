"""Affiliations, roles, configuration, voice, invitations, registration, moderation (D4.20 to D4.26)."""

from __future__ import annotations

import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.xep.muc.rooms import event, in_room, nicks, persistent, server_room, until
from trioxmpp import JID, Message, MessageType, Presence
from trioxmpp.protocol.elements.direct_invite import DirectInvite
from trioxmpp.xep.forms import FormError
from trioxmpp.xep.muc import (
    Affiliated,
    Affiliation,
    AffiliationNoted,
    ConfigChanged,
    InvitationDeclined,
    InvitationWay,
    JoinRefused,
    MessageModerated,
    OccupantChanged,
    OccupantLeft,
    Role,
    RoomConfig,
    RoomGone,
    VoiceRequested,
    WhoIs,
    affiliations,
    configure,
    decline,
    destroy,
    moderate,
    open_invitations,
    open_room,
    read_config,
    register,
    registered_nick,
    set_affiliation,
    set_affiliations,
    set_role,
    unregister,
    write_config,
)


@pytest.mark.item("D4.22", "D4.7")
@on_every_bench(accounts=3)
async def test_lists_of_affiliations_are_read_and_changed(bench: Bench) -> None:
    romeo, juliet, nurse = bench.clients
    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        owners = await affiliations(romeo, one.jid, Affiliation.OWNER)
        assert [each.jid for each in owners] == [romeo.jid.bare]
        await set_affiliations(
            romeo, one.jid, {juliet.jid: Affiliation.MEMBER, str(nurse.jid.bare): Affiliation.OUTCAST}, reason="because"
        )
        assert await event(events, AffiliationNoted) == AffiliationNoted(nurse.jid.bare, Affiliation.OUTCAST)
        assert [each.jid for each in await affiliations(romeo, one.jid, Affiliation.MEMBER)] == [juliet.jid.bare]
        (outcast,) = await affiliations(romeo, one.jid, Affiliation.OUTCAST)
        assert (outcast.jid, outcast.affiliation) == (nurse.jid.bare, Affiliation.OUTCAST)
        await until(lambda: two.me is not None and two.me.affiliation is Affiliation.MEMBER)
        with pytest.raises(JoinRefused, match="banned"):
            async with open_room(nurse, one.jid, "nurse"):
                pass
        await set_affiliation(romeo, one.jid, nurse.jid, Affiliation.NONE)
        assert await affiliations(romeo, one.jid, Affiliation.OUTCAST) == ()
        with pytest.raises(Exception, match=r"forbidden|not-allowed"):
            await set_affiliation(juliet, one.jid, nurse.jid, Affiliation.OUTCAST)


@pytest.mark.item("D4.22")
@on_every_bench(accounts=1)
async def test_five_thousand_outcasts_fit_into_a_list(bench: Bench) -> None:
    server, jid = bench.embedded(), bench.room()
    async with open_room(bench.clients[0], jid, "romeo", create=True):
        room = server_room(server, jid)
        for number in range(5_000):
            room.affiliations[f"outcast{number}@example.test"] = ("outcast", "a reason")
        found = await affiliations(bench.clients[0], jid, Affiliation.OUTCAST)
        assert len(found) == 5_000
        assert found[4_999] == Affiliated(
            JID.parse("outcast4999@example.test"), Affiliation.OUTCAST, None, found[4_999].reason
        )


@pytest.mark.item("D4.7")
@on_every_bench(accounts=2)
async def test_a_moderator_takes_and_gives_voice_and_kicks(bench: Bench) -> None:
    async with in_room(bench, bench.room()) as (one, two), one.events() as events:
        juliet = one.occupant("juliet")
        assert juliet is not None
        await one.set_role(juliet, Role.VISITOR, reason="hush")
        await until(lambda: juliet.role is Role.VISITOR)
        assert two.me is not None
        await until(lambda: two.me is not None and two.me.role is Role.VISITOR)
        await one.set_role(juliet, Role.PARTICIPANT)
        await until(lambda: two.me is not None and two.me.role is Role.PARTICIPANT)
        assert (await two.say("thank you")).by_us
        await set_role(bench.clients[0], one.jid, "juliet", Role.MODERATOR)
        await until(lambda: two.me is not None and two.me.role is Role.MODERATOR)
        assert (await event(events, OccupantChanged)).who is juliet
    async with open_room(bench.clients[0], one.jid, "romeo", create=True) as one, one.events() as events:
        with pytest.raises(RoomGone, match="kicked"):
            async with open_room(bench.clients[1], one.jid, "juliet"):
                await until(lambda: one.occupant("juliet") is not None)
                who = one.occupant("juliet")
                assert who is not None
                await one.kick(who, reason="enough")
                await trio.sleep_forever()
        left = await event(events, OccupantLeft)
        assert (left.who, left.text) == (who, "enough")
        with pytest.raises(Exception, match="item-not-found"):
            await one.kick(who)


@pytest.mark.item("D4.21")
@on_every_bench(accounts=2)
async def test_a_partial_form_changes_only_its_fields(bench: Bench) -> None:
    def named(config: RoomConfig) -> None:
        config.name = "Capulets"
        config.persistent = True

    romeo = bench.clients[0]
    async with open_room(romeo, bench.room(), "romeo", create=named) as room, room.events() as events:
        config = await read_config(romeo, room.jid)
        assert (config.name, config.persistent) == ("Capulets", True)
        config.description = "Enemies of the Montagues"
        config.whois = WhoIs.ANYONE
        await write_config(romeo, room.jid, config)
        assert 104 in (await event(events, ConfigChanged)).codes
        again = await read_config(romeo, room.jid)
        assert (again.name, again.description, again.whois) == ("Capulets", "Enemies of the Montagues", WhoIs.ANYONE)
    with pytest.raises(RoomGone, match="destroyed"):
        async with open_room(romeo, room.jid, "romeo") as room:
            assert room.disco is not None
            assert "muc_nonanonymous" in room.disco.features
            await destroy(romeo, room.jid)
            await trio.sleep_forever()


@pytest.mark.item("D4.21")
@on_every_bench(accounts=1)
async def test_an_error_in_a_change_of_the_configuration_changes_nothing(bench: Bench) -> None:
    romeo = bench.clients[0]
    async with open_room(romeo, bench.room(), "romeo", create=persistent) as room:
        with pytest.raises(KeyError, match="no-such-field"):
            await configure(romeo, room.jid, lambda config: config["no-such-field"])
        await configure(romeo, room.jid, lambda config: setattr(config, "name", "Orchard"))
        config = await read_config(romeo, room.jid)
        assert config.name == "Orchard"
        assert config.persistent
        with pytest.raises(FormError):
            await configure(romeo, room.jid, lambda config: config.set_values("muc#roomconfig_roomname", ["a\nb"]))
        await configure(romeo, room.jid, lambda config: setattr(config, "persistent", False))


@pytest.mark.item("D4.26")
@on_every_bench(accounts=2)
async def test_after_a_change_the_room_is_asked_anew_once_a_second_at_most(bench: Bench) -> None:
    romeo = bench.clients[0]
    async with in_room(bench, bench.room()) as (one, two):
        for number in range(5):
            await configure(romeo, one.jid, lambda config, number=number: setattr(config, "description", f"#{number}"))
        await until(lambda: two.info.description == "#4", 20)
        if bench.server is not None:
            asked = [
                each
                for each in bench.server.log
                if each.jid == str(bench.clients[1].jid)
                and each.stanza.find("{http://jabber.org/protocol/disco#info}query") is not None
            ]
            assert len(asked) <= 4


@pytest.mark.item("D4.24")
@on_every_bench(accounts=2)
async def test_a_visitor_asks_for_voice_and_a_moderator_gives_it(bench: Bench) -> None:
    def moderated(config: RoomConfig) -> None:
        config.moderated = True

    async with in_room(bench, bench.room(), create=moderated) as (one, two), one.events() as events:
        juliet = one.occupant("juliet")
        assert juliet is not None
        await one.set_role(juliet, Role.VISITOR)
        await until(lambda: two.me is not None and two.me.role is Role.VISITOR)
        await two.request_voice()
        request = await event(events, VoiceRequested)
        assert request.nick == "juliet"
        assert request.who is juliet
        assert request.jid is not None
        assert request.jid.bare == bench.clients[1].jid.bare
        await one.set_role(request.who, Role.PARTICIPANT)
        await until(lambda: two.me is not None and two.me.role is Role.PARTICIPANT)
        assert (await two.say("thank you")).by_us


@pytest.mark.item("D4.20")
@on_every_bench(accounts=3)
async def test_an_invitation_is_mediated_where_that_is_permitted_and_direct_elsewhere(bench: Bench) -> None:
    nurse = bench.clients[2]
    for client in bench.clients:
        await client.send(Presence())  # without it a message to the account waits for a client that is available

    def secret(config: RoomConfig) -> None:
        config.password_protected, config.password = True, "hyacinth"

    async with open_invitations(nurse) as invitations:
        async with (
            open_room(bench.clients[0], bench.room(), "romeo", create=secret) as one,
            open_room(bench.clients[1], one.jid, "juliet", password="hyacinth") as two,
            one.events() as events,
        ):
            way = await two.invite(nurse.jid.bare, reason="come")
            if bench.server is not None:
                mediated = bench.dialect.mediated_invitations
                assert way is (InvitationWay.MEDIATED if mediated else InvitationWay.DIRECT)
            invitation = await invitations.receive()
            assert (invitation.room, invitation.way, invitation.reason) == (one.jid, way, "come")
            assert invitation.password == "hyacinth"
            assert "hyacinth" not in repr(invitation)
            assert invitation.sender in (
                JID.parse(f"{one.jid}/juliet"),
                bench.clients[1].jid,
                bench.clients[1].jid.bare,
            )
            async with open_room(nurse, invitation.room, "nurse", password=invitation.password) as three:
                assert nicks(three) == {"romeo", "juliet", "nurse"}
            assert await one.invite(nurse.jid.bare) is InvitationWay.MEDIATED  # an owner always may
            invitation = await invitations.receive()
            await decline(nurse, invitation, reason="too late")
            declined = await event(events, InvitationDeclined)
            assert (declined.jid.bare, declined.reason) == (nurse.jid.bare, "too late")
        assert len(invitations) == 0


@pytest.mark.item("D4.20")
@on_every_bench(accounts=2)
async def test_a_direct_invitation_is_no_message_any_more(bench: Bench) -> None:
    romeo, juliet = bench.clients
    async with (
        open_invitations(juliet) as invitations,
        juliet.messages.subscribe(MessageType.NORMAL) as inbox,
    ):
        room = JID.parse(f"orchard@conference.{bench.domain}")
        for jid in (room, JID.parse(bench.domain), JID.parse(f"{room}/nick")):
            await romeo.send(Message(to=juliet.jid, payloads=[DirectInvite(jid=jid, reason="come")]))
        await romeo.send(Message(to=juliet.jid, body="the end"))
        invitation = await invitations.receive()
        assert (invitation.room, invitation.sender, invitation.way) == (room, romeo.jid, InvitationWay.DIRECT)
        while (await anext(inbox)).body != "the end":
            pass
        assert len(invitations) == 0


@pytest.mark.item("D4.23")
@on_every_bench(accounts=2)
async def test_a_member_reserves_a_nick(bench: Bench) -> None:
    romeo, juliet = bench.clients
    async with in_room(bench, bench.room()) as (one, _two):
        assert await registered_nick(juliet, one.jid) is None
        await set_affiliation(romeo, one.jid, juliet.jid, Affiliation.MEMBER)
        try:
            await register(juliet, one.jid, "capulet")
        except Exception as exc:
            if bench.server is None:
                pytest.skip(f"{bench.label} does not register nicks: {exc}")
            raise
        if not bench.dialect.echoes_request:
            assert await registered_nick(juliet, one.jid) == "capulet"
        await unregister(juliet, one.jid)


@pytest.mark.item("D4.25")
@on_every_bench(accounts=3)
async def test_a_moderator_retracts_a_message_and_leaves_a_tombstone(bench: Bench) -> None:
    bench.has("moderation")
    romeo, juliet, nurse = bench.clients
    async with in_room(bench, bench.room()) as (one, two), two.events() as events:
        entry = await two.say("a plague o' both your houses")
        assert entry.archive_id is not None
        with pytest.raises(Exception, match="forbidden"):
            await moderate(juliet, two.jid, entry.archive_id)
        await moderate(romeo, one.jid, entry.archive_id, reason="language")
        moderated = await event(events, MessageModerated)
        assert (moderated.id, moderated.reason) == (entry.archive_id, "language")
        assert moderated.by == JID.parse(f"{one.jid}/romeo")
        assert moderated.occupant_id == (one.me.id if bench.dialect.occupant_ids else None)
        async with open_room(nurse, one.jid, "nurse", history=None) as three:
            assert entry.text not in [each.text for each in three.history]
