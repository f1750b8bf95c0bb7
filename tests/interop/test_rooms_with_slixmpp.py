"""One room: a client of ours and one of slixmpp see each other come, speak, change and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.interop.conftest import Stage
from tests.interop.driver import PeerError, SlixmppClient, becomes, eventually
from tests.interop.ours import InRoom
from trioxmpp import JID, Client, PresenceShow, XMPPError
from trioxmpp.im.presence import appear
from trioxmpp.xep.muc import (
    Affiliation,
    GoneReason,
    InvitationDeclined,
    InvitationWay,
    JoinProblem,
    JoinRefused,
    LeaveCause,
    NickChanged,
    OccupantChanged,
    OccupantJoined,
    OccupantLeft,
    PrivateMessage,
    Rejoin,
    Role,
    RoomConfig,
    RoomGone,
    RoomMessage,
    SubjectChanged,
    VoiceRequested,
    WhoIs,
    affiliations,
    configure,
    decline,
    destroy,
    open_invitations,
    open_room,
    read_config,
    set_affiliation,
)


def open_to_all(config: RoomConfig) -> None:
    config.whois = WhoIs.ANYONE
    config.persistent = True


@asynccontextmanager
async def our_room(
    stage: Stage, client: Client, address: str, nick: str = "Romeo", **options: Any
) -> AsyncIterator[InRoom]:
    async with open_room(client, address, nick, **options) as room, room.events() as events:
        yield InRoom(client, events, room)


async def enter(slixmpp: SlixmppClient, address: str, nick: str = "Juliet", **options: Any) -> Any:
    await slixmpp.do("call", path="xep_0045.join_muc_wait", args=[JID.parse(address), nick], kwargs=options)


async def refused(slixmpp: SlixmppClient, address: str, nick: str = "Juliet", **options: Any) -> str:
    """Have slixmpp try to enter; return the condition with which the room refuses.

    `join_muc_wait` does not notice: it waits for an error that repeats the payload of the join.
    """
    await slixmpp.begin("xep_0045.join_muc", JID.parse(address), nick, **options)
    error = await slixmpp.event("any_presence", lambda data: data["type"] == "error")
    return str(error["error"]["condition"])


async def agree(ours: InRoom, slixmpp: SlixmppClient) -> None:
    """Wait until both sides know the same of all occupants."""

    async def theirs() -> Any:
        known = await slixmpp.do("occupants", room=str(ours.room.jid))
        # We keep the bare address of an occupant.
        return {
            nick: {name: value.partition("/")[0] if name == "jid" else value or "" for name, value in entry.items()}
            for nick, entry in known.items()
        }

    async def both() -> Any:
        return await theirs(), ours.occupants

    there, here = await eventually(both, lambda seen: seen[0] == seen[1] or None) or (None, None)
    assert there == here


@asynccontextmanager
async def ours_and_theirs(stage: Stage, **options: Any) -> AsyncIterator[tuple[InRoom, SlixmppClient]]:
    """A room of ours, in which slixmpp is a participant whose address is known."""
    address = stage.room()
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(stage.user()) as client,
        our_room(stage, client, address, create=open_to_all, **options) as ours,
    ):
        await slixmpp.appear()
        await enter(slixmpp, address)
        await ours.event(OccupantJoined)
        yield ours, slixmpp


@asynccontextmanager
async def theirs_and_ours(stage: Stage, **options: Any) -> AsyncIterator[tuple[InRoom, SlixmppClient]]:
    """A room of slixmpp, in which we are a participant whose address is known."""
    address = stage.room()
    async with stage.slixmpp(stage.user()) as slixmpp, stage.ours(stage.user()) as client:
        await slixmpp.appear()
        await enter(slixmpp, address)
        await slixmpp.do("configure", room=address, values={"muc#roomconfig_whois": "anyone"})
        async with our_room(stage, client, address, **options) as ours:
            yield ours, slixmpp


async def test_both_sides_know_the_same_occupants(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        assert ours.occupants["Juliet"] == {
            "affiliation": "none",
            "role": "participant",
            "jid": str(slixmpp.jid.bare),
            "show": "",
            "status": "",
        }
        await agree(ours, slixmpp)
        await ours.room.set_presence(PresenceShow.AWAY, "in the orchard")
        await eventually(lambda: ours.occupants["Romeo"]["show"] == "away")
        await slixmpp.call("send_presence", pto=f"{ours.room.jid}/Juliet", pshow="dnd", pstatus="on the balcony")
        changed = await ours.event(OccupantChanged, lambda event: event.who.nick == "Juliet")
        assert (changed.after.show, changed.after.status) == (PresenceShow.DND, "on the balcony")
        await agree(ours, slixmpp)


async def test_in_a_room_of_slixmpp_both_know_the_same_too(stage: Stage) -> None:
    async with theirs_and_ours(stage) as (ours, slixmpp):
        assert ours.room.me is not None
        assert (ours.room.me.affiliation, ours.room.me.role) == (Affiliation.NONE, Role.PARTICIPANT)
        await agree(ours, slixmpp)


async def test_messages_have_the_same_text_and_author_on_both_sides(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        said = await ours.room.say("But soft! 🌹 <what> & light")
        heard = await slixmpp.event("groupchat_message", lambda data: data["body"])
        assert (heard["body"], heard["mucnick"]) == ("But soft! 🌹 <what> & light", "Romeo")
        assert heard["id"] == said.message.id
        if "stanza_ids" in heard:
            assert heard["stanza_ids"][0]["id"] == said.archive_id
        await slixmpp.say(ours.room.jid, "Ay me!", "groupchat")
        entry = (await ours.event(RoomMessage, lambda event: not event.entry.by_us)).entry
        assert (entry.text, entry.nick, entry.by_us) == ("Ay me!", "Juliet", False)
        assert entry.occupant is ours.room.occupant("Juliet")
        reflected = await slixmpp.event("groupchat_message", lambda data: data["body"] == "Ay me!")
        if "occupant-id" in reflected:
            assert reflected["occupant-id"]["id"] == entry.occupant_id


async def test_private_messages_in_a_room_go_both_ways(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        await ours.room.whisper(juliet, "a secret")
        heard = await slixmpp.event("message", lambda data: data["type"] == "chat")
        assert (heard["body"], heard["from"]) == ("a secret", f"{ours.room.jid}/Romeo")
        await slixmpp.say(f"{ours.room.jid}/Romeo", "another")
        entry = (await ours.event(PrivateMessage)).entry
        assert (entry.text, entry.nick, entry.occupant) == ("another", "Juliet", juliet)


async def test_changes_of_nick_are_seen_by_both(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        juliet = ours.room.occupant("Juliet")
        assert await ours.room.change_nick("Montague") == "Montague"
        await eventually(lambda: slixmpp.do("occupants", room=str(ours.room.jid)), lambda seen: "Montague" in seen)
        await agree(ours, slixmpp)
        await slixmpp.call("xep_0045.set_self_nick", ours.room.jid, "Capulet")
        change = await ours.event(NickChanged, lambda event: event.who is juliet)
        assert (change.before, change.after) == ("Juliet", "Capulet")
        await agree(ours, slixmpp)
        with pytest.raises(JoinRefused) as refusal:
            await ours.room.change_nick("Capulet")
        assert refusal.value.reason is JoinProblem.NICK_TAKEN
        assert ours.room.nick == "Montague"


async def test_a_nick_that_slixmpp_has_is_refused_to_us_and_ours_to_slixmpp(stage: Stage) -> None:
    async with theirs_and_ours(stage) as (ours, _), stage.ours(stage.user()) as other:
        with pytest.raises(JoinRefused) as refusal:
            async with open_room(other, ours.room.jid, "Juliet"):
                pass
        assert refusal.value.reason is JoinProblem.NICK_TAKEN
        async with stage.slixmpp(stage.user()) as another:
            assert await refused(another, str(ours.room.jid), "Romeo") == "conflict"


async def test_the_subject_is_the_same_on_both_sides(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        await ours.room.set_subject("The masque")
        there = await slixmpp.event("groupchat_subject", lambda data: data["subject"])
        assert (there["subject"], there["mucnick"]) == ("The masque", "Romeo")
    async with theirs_and_ours(stage) as (ours, slixmpp):
        await slixmpp.call("xep_0045.set_subject", str(ours.room.jid), "The tomb")
        changed = await ours.event(SubjectChanged)
        assert (changed.subject, changed.nick, changed.by_us) == ("The tomb", "Juliet", False)
        assert ours.room.subject == "The tomb"


async def test_a_late_client_finds_the_subject_and_the_history(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp), stage.ours(stage.user()) as late:
        await slixmpp.say(ours.room.jid, "one", "groupchat")
        await ours.event(RoomMessage)
        await ours.room.say("two")
        await ours.room.set_subject("The masque")
        async with open_room(late, ours.room.jid, "Paris", history=10) as room:
            assert [(entry.nick, entry.text) for entry in room.history] == [("Juliet", "one"), ("Romeo", "two")]
            assert room.subject == "The masque"
        async with stage.slixmpp(stage.user()) as another:
            await enter(another, str(ours.room.jid), "Tybalt", maxstanzas=10)
            one = await another.event("groupchat_message")
            two = await another.event("groupchat_message")
            assert [one["body"], two["body"]] == ["one", "two"]
            assert (await another.event("groupchat_subject"))["subject"] == "The masque"


async def test_we_kick_slixmpp(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        await ours.room.kick(juliet, reason="the lark")
        left = await ours.event(OccupantLeft)
        assert (left.who, left.cause, left.text) == (juliet, LeaveCause.KICKED, "the lark")
        gone = await slixmpp.event("groupchat_presence", lambda data: data["type"] == "unavailable")
        assert {307, 110} <= set(gone["muc"]["status_codes"])
        assert gone["muc"]["item"]["reason"] == "the lark"


async def test_slixmpp_kicks_us(stage: Stage) -> None:
    with pytest.raises(RoomGone) as gone:
        async with theirs_and_ours(stage) as (ours, slixmpp):
            await slixmpp.call("xep_0045.set_role", ours.room.jid, "Romeo", "none", reason="the lark")
            async for _ in ours.events:
                pass
    assert (gone.value.reason, gone.value.text) == (GoneReason.KICKED, "the lark")


async def test_a_kick_by_slixmpp_is_healed_if_that_is_wanted(stage: Stage) -> None:
    async with theirs_and_ours(stage, rejoin=Rejoin(after_kick=0.5)) as (ours, slixmpp):
        await slixmpp.call("xep_0045.set_role", ours.room.jid, "Romeo", "none", reason="the lark")
        await slixmpp.event("groupchat_presence", lambda data: data["type"] == "unavailable")
        await slixmpp.event(
            "groupchat_presence", lambda data: data["from"].endswith("/Romeo") and data["type"] != "unavailable"
        )
        await ours.room.wait_joined()
        await agree(ours, slixmpp)


async def test_we_ban_slixmpp(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        await set_affiliation(ours.client, ours.room.jid, slixmpp.jid.bare, Affiliation.OUTCAST, reason="banished")
        left = await ours.event(OccupantLeft)
        assert (left.cause, left.text) == (LeaveCause.BANNED, "banished")
        gone = await slixmpp.event("groupchat_presence", lambda data: data["type"] == "unavailable")
        assert 301 in gone["muc"]["status_codes"]
        assert await refused(slixmpp, str(ours.room.jid)) == "forbidden"
        (banned,) = await affiliations(ours.client, ours.room.jid, Affiliation.OUTCAST)
        assert banned.jid == slixmpp.jid.bare
        assert banned.reason == (None if stage.runs("prosody") else "banished")  # Prosody does not tell


async def test_slixmpp_bans_us(stage: Stage) -> None:
    with pytest.raises(RoomGone) as gone:
        async with theirs_and_ours(stage) as (ours, slixmpp):
            client_jid, room_jid = str(ours.client.jid.bare), ours.room.jid
            await slixmpp.call("xep_0045.set_affiliation", room_jid, "outcast", jid=client_jid, reason="banished")
            listed = await slixmpp.call("xep_0045.get_affiliation_list", room_jid, "outcast")
            assert listed == [client_jid]
            async for _ in ours.events:
                pass
    assert (gone.value.reason, gone.value.text) == (GoneReason.BANNED, "banished")


async def test_affiliations_and_roles_are_seen_by_both(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        for affiliation in (Affiliation.MEMBER, Affiliation.ADMIN, Affiliation.OWNER, Affiliation.NONE):
            await set_affiliation(ours.client, ours.room.jid, slixmpp.jid.bare, affiliation)
            await becomes(lambda: ours.occupants["Juliet"]["affiliation"], affiliation.value)
            await agree(ours, slixmpp)
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        for role in (Role.VISITOR, Role.PARTICIPANT, Role.MODERATOR):
            await ours.room.set_role(juliet, role)
            await becomes(lambda: ours.occupants["Juliet"]["role"], role.value)
            await agree(ours, slixmpp)


async def test_slixmpp_gives_and_takes_our_affiliation_and_role(stage: Stage) -> None:
    async with theirs_and_ours(stage) as (ours, slixmpp):
        jid = str(ours.client.jid.bare)
        for affiliation in ("member", "admin", "owner", "none"):
            await slixmpp.call("xep_0045.set_affiliation", ours.room.jid, affiliation, jid=jid)
            await becomes(lambda: ours.occupants["Romeo"]["affiliation"], affiliation)
            await agree(ours, slixmpp)
        for role in ("visitor", "participant", "moderator"):
            await slixmpp.call("xep_0045.set_role", ours.room.jid, "Romeo", role)
            await becomes(lambda: ours.occupants["Romeo"]["role"], role)
            await agree(ours, slixmpp)


async def test_a_visitor_asks_for_voice(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        await configure(ours.client, ours.room.jid, lambda config: setattr(config, "moderated", True))
        await ours.room.set_role(juliet, Role.VISITOR)
        await slixmpp.say(ours.room.jid, "may I?", "groupchat")
        refused = await slixmpp.event("groupchat_message_error")
        assert refused["error"]["condition"] == "forbidden"
        await slixmpp.call("xep_0045.request_voice", str(ours.room.jid), "participant")
        asked = await ours.event(VoiceRequested)
        assert (asked.nick, asked.who) == ("Juliet", juliet)
        await ours.room.set_role(juliet, Role.PARTICIPANT)
        await slixmpp.say(ours.room.jid, "thank you", "groupchat")
        assert (await ours.event(RoomMessage)).entry.text == "thank you"


async def test_we_invite_slixmpp_through_the_room_and_it_declines(stage: Stage) -> None:
    address = stage.room()
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(stage.user()) as client,
        appear(client),
        our_room(stage, client, address, create=open_to_all) as ours,
    ):
        await slixmpp.appear()
        assert await ours.room.invite(slixmpp.jid.bare, reason="a masque") is InvitationWay.MEDIATED
        invited = await slixmpp.event("groupchat_invite")
        assert (invited["from"], invited["muc"]["invite"]["reason"]) == (address, "a masque")
        inviter = JID.parse(invited["muc"]["invite"]["from"])
        assert inviter in (client.jid, client.jid.bare, JID.parse(f"{address}/Romeo"))
        await slixmpp.call("xep_0045.decline", JID.parse(address), inviter, reason="too early")
        declined = await ours.event(InvitationDeclined)
        assert declined.reason == "too early"
        assert declined.jid is not None
        assert declined.jid.bare == slixmpp.jid.bare


async def test_slixmpp_invites_us_both_ways(stage: Stage) -> None:
    address = stage.room()
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(stage.user()) as client,
        open_invitations(client) as invitations,
        appear(client),
    ):
        await slixmpp.appear()
        await enter(slixmpp, address)
        await slixmpp.do("configure", room=address, values={"muc#roomconfig_whois": "anyone"})
        await slixmpp.call("xep_0045.invite", JID.parse(address), client.jid.bare, reason="a masque")
        first = await anext(invitations)
        assert (str(first.room), first.reason, first.way) == (address, "a masque", InvitationWay.MEDIATED)
        await decline(client, first, reason="too early")
        # slixmpp has an event for this, which never comes to a client; the message does.
        declined = await slixmpp.event("any_message", lambda data: "decline" in data.get("muc", {}))
        assert declined["muc"]["decline"]["reason"] == "too early"
        await slixmpp.call("xep_0249.send_invitation", client.jid, JID.parse(address), reason="come", password="x")
        second = await anext(invitations)
        assert (str(second.room), second.reason, second.way) == (address, "come", InvitationWay.DIRECT)
        assert (second.sender, second.password) == (slixmpp.jid, "x")


async def test_we_invite_slixmpp_directly_where_the_room_does_not_permit_it(stage: Stage) -> None:
    async with theirs_and_ours(stage) as (ours, slixmpp), stage.slixmpp(stage.user()) as guest:
        await guest.appear()
        await slixmpp.call("xep_0045.set_affiliation", ours.room.jid, "member", jid=str(ours.client.jid.bare))
        field = "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites"
        if stage.runs("ejabberd"):
            field = "muc#roomconfig_allowinvites"
        values = {field: False, "muc#roomconfig_membersonly": True}
        await slixmpp.do("configure", room=str(ours.room.jid), values=values)
        assert await ours.room.invite(guest.jid.bare, reason="a masque") is InvitationWay.DIRECT
        invited = await guest.event("groupchat_direct_invite")
        assert invited["groupchat_invite"]["jid"] == str(ours.room.jid)
        assert invited["groupchat_invite"]["reason"] == "a masque"


async def test_a_configuration_is_read_as_it_was_written(stage: Stage) -> None:
    async with theirs_and_ours(stage) as (ours, slixmpp):
        await slixmpp.do(
            "configure",
            room=str(ours.room.jid),
            values={"muc#roomconfig_roomname": "The orchard", "muc#roomconfig_persistentroom": True},
        )
        await slixmpp.call("xep_0045.set_affiliation", ours.room.jid, "owner", jid=str(ours.client.jid.bare))
        await becomes(lambda: ours.occupants["Romeo"]["affiliation"], "owner")
        config = await read_config(ours.client, ours.room.jid)
        assert (config.name, config.persistent) == ("The orchard", True)

        def change(config: RoomConfig) -> None:
            config.name, config.description, config.password_protected, config.password = "A", "B", True, "secret"

        await configure(ours.client, ours.room.jid, change)
        form = await slixmpp.call("xep_0045.get_room_config", ours.room.jid)
        text = form["$xml"]
        for value in ("<value>A</value>", "<value>B</value>", "<value>secret</value>"):
            assert value in text
        async with stage.slixmpp(stage.user()) as another:
            assert await refused(another, str(ours.room.jid), "Paris") == "not-authorized"
            await enter(another, str(ours.room.jid), "Paris", password="secret")


async def test_a_room_that_is_destroyed_is_over_for_both(stage: Stage) -> None:
    tomb = "tomb@conference.example.test"
    with pytest.raises(RoomGone) as gone:
        async with theirs_and_ours(stage) as (ours, slixmpp):
            await slixmpp.call("xep_0045.destroy", ours.room.jid, reason="the end", altroom=tomb)
            async for _ in ours.events:
                pass
    assert (gone.value.reason, gone.value.text) == (GoneReason.DESTROYED, "the end")
    assert str(gone.value.alternate) == tomb
    with pytest.raises(RoomGone):
        async with ours_and_theirs(stage) as (ours, slixmpp):
            await destroy(ours.client, ours.room.jid, reason="the end")
            over = await slixmpp.event("groupchat_presence", lambda data: data["type"] == "unavailable")
            assert over["muc"]["destroy"]["reason"] == "the end"
            async for _ in ours.events:
                pass


async def test_each_side_is_refused_a_kick_with_the_same_error(stage: Stage) -> None:
    async with ours_and_theirs(stage) as (ours, slixmpp):
        with pytest.raises(PeerError) as refusal:
            await slixmpp.call("xep_0045.set_role", ours.room.jid, "Romeo", "none")
    async with theirs_and_ours(stage) as (ours, slixmpp):
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        with pytest.raises(XMPPError) as error:
            await ours.room.kick(juliet)
    assert error.value.condition.value.rpartition("}")[2] == refusal.value.condition
