"""profanity in a terminal: what its user sees of ours, and what we see of its user."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.interop.conftest import Stage
from tests.interop.driver import becomes
from tests.interop.ours import InConversation, InRoom
from tests.interop.profanity import Profanity, open_profanity
from trioxmpp import JID, PresenceShow
from trioxmpp.im.blocking import open_blocking
from trioxmpp.im.bookmarks import Bookmark, open_bookmarks
from trioxmpp.im.conversation import (
    Corrected,
    Delivery,
    Receipts,
    Said,
    Typing,
    open_conversations,
)
from trioxmpp.im.presence import Appearance, Presences, appear, open_presence
from trioxmpp.im.roster import Roster, open_roster
from trioxmpp.im.timeline import open_timeline
from trioxmpp.protocol.elements.chat_states import Composing
from trioxmpp.xep.basics import ping, software_version
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.muc import (
    Affiliation,
    GoneReason,
    InvitationWay,
    LeaveCause,
    NickChanged,
    OccupantChanged,
    OccupantJoined,
    OccupantLeft,
    PrivateMessage,
    Role,
    RoomConfig,
    RoomGone,
    RoomMessage,
    SubjectChanged,
    WhoIs,
    open_invitations,
    open_room,
    set_affiliation,
)
from trioxmpp.xep.offered_commands import CommandSession, offer_commands
from trioxmpp.xep.upload import shared_url

CAPS = "https://example.org/interop"


@dataclass
class Ours(InConversation):
    roster: Roster
    presences: Presences
    appearance: Appearance


@asynccontextmanager
async def our_client(
    stage: Stage, user: str, peer: object, resource: str = "ours", receipts: Receipts = Receipts.ALWAYS
) -> AsyncIterator[Ours]:
    async with (
        stage.ours(user, resource) as client,
        open_caps(client, node=CAPS),
        open_roster(client) as roster,
        open_presence(client, roster) as presences,
        open_timeline(client) as timeline,
        open_conversations(client, timeline, receipts=receipts) as talks,
        appear(client) as appearance,
        talks[str(peer)].events() as events,
    ):
        yield Ours(client, events, talks[str(peer)], roster, presences, appearance)


@asynccontextmanager
async def friends(stage: Stage, receipts: Receipts = Receipts.ALWAYS) -> AsyncIterator[tuple[Ours, Profanity]]:
    """Our client, and profanity with the account of a friend. Each sees the other."""
    romeo, juliet = await stage.friends()
    async with (
        our_client(stage, romeo, stage.jid(juliet), receipts=receipts) as ours,
        open_profanity(stage.server, juliet) as profanity,
    ):
        await ours.presences.wait(stage.jid(juliet))
        yield ours, profanity


# --- contacts


async def test_requests_to_subscribe_go_both_ways(stage: Stage) -> None:
    romeo, juliet = stage.user(), stage.user()
    peer = stage.jid(juliet)
    async with our_client(stage, romeo, peer) as ours, open_profanity(stage.server, juliet) as profanity:
        await ours.roster.subscribe(peer)
        await profanity.shows(f"Received authorization request from {stage.jid(romeo)}")
        await profanity.enter(f"/sub allow {stage.jid(romeo)}")
        await ours.roster.wait(peer, lambda contact: contact and contact.subscription == "to")
        seen = await ours.presences.wait(peer)
        assert seen is not None
        assert seen.jid == profanity.jid
        await profanity.enter(f"/sub request {stage.jid(romeo)}")
        await becomes(lambda: JID.parse(peer) in ours.roster.requests, True)
        await ours.roster.approve(peer)
        await ours.roster.wait(peer, lambda contact: contact and contact.subscription == "both")
        await profanity.shows(f"Subscription received from {stage.jid(romeo)}")
        await profanity.enter(f"/sub deny {stage.jid(romeo)}")
        await ours.roster.wait(peer, lambda contact: contact and contact.subscription == "from")
        await ours.presences.wait(peer, lambda best: best is None)


async def test_presence_is_seen_by_both(stage: Stage) -> None:
    async with friends(stage) as (ours, profanity):
        ours.appearance.set(show=PresenceShow.AWAY, status="in the orchard")
        await profanity.shows(f"{ours.client.jid.bare}", "is away", "in the orchard")
        await profanity.enter('/status set dnd "on the balcony"')
        seen = await ours.presences.wait(profanity.jid.bare, lambda best: best and best.show)
        assert seen is not None
        assert (seen.show, seen.status) == (PresenceShow.DND, "on the balcony")
        await profanity.enter("/priority 7")
        seen = await ours.presences.wait(profanity.jid.bare, lambda best: best and best.priority)
        assert seen is not None
        assert seen.priority == 7
        await profanity.enter("/disconnect")
        await ours.presences.wait(profanity.jid.bare, lambda best: best is None)


# --- a conversation


async def test_messages_receipts_and_typing_go_both_ways(stage: Stage) -> None:
    async with friends(stage) as (ours, profanity):
        await profanity.enter(f"/msg {ours.client.jid.bare}")
        line = await ours.talk.say("But soft! <what> & 🌹")
        await profanity.shows("But soft! <what> & 🌹")
        assert (await ours.talk.wait_received(line)).delivery is Delivery.RECEIVED
        await profanity.type("Ay")
        assert isinstance((await ours.event(Typing)).state, Composing)
        await profanity.enter(" me!")
        said = await ours.event(Said, lambda event: not event.line.by_us)
        assert said.line.text == "Ay me!"
        async with ours.talk.typing():
            await profanity.shows("(typing...)")
            await ours.talk.say("She speaks")
        await profanity.shows("She speaks")
        assert ours.texts == ["But soft! <what> & 🌹", "Ay me!", "She speaks"]


@pytest.mark.parametrize("receipts", [Receipts.ALWAYS, Receipts.NEVER])
async def test_profanity_shows_whether_its_message_was_received(stage: Stage, receipts: Receipts) -> None:
    """It draws a message in the colour of unreceived ones until the receipt has come."""
    async with friends(stage, receipts=receipts) as (ours, profanity):
        await profanity.enter(f"/msg {ours.client.jid.bare}")
        await profanity.enter("Ay me!")
        await ours.event(Said)
        await profanity.shows("Ay me!")
        received = await colour_of_received(ours, profanity)
        if receipts is Receipts.ALWAYS:
            await becomes(lambda: colour_of(profanity, "Ay me!"), received)
        else:
            assert await colour_of(profanity, "Ay me!") != received


async def colour_of(profanity: Profanity, text: str) -> str:
    """Return the escape sequence before a text on the screen."""
    screen = await profanity.terminal.coloured_screen()
    found = re.search(r"(\x1b\[[0-9;]*m)[^\x1b]*" + re.escape(text), screen)
    return found[1] if found else ""


async def colour_of_received(ours: Ours, profanity: Profanity) -> str:
    """Return the colour of a message of the other side, which needs no receipt."""
    await ours.talk.say("She speaks")
    await profanity.shows("She speaks")
    return await colour_of(profanity, "She speaks")


async def test_corrections_go_both_ways(stage: Stage) -> None:
    async with friends(stage) as (ours, profanity):
        await profanity.enter(f"/msg {ours.client.jid.bare}")
        line = await ours.talk.say("Art thou not Romeoo?")
        await profanity.shows("Art thou not Romeoo?")
        await ours.talk.correct(line, "Art thou not Romeo?")
        await profanity.shows("Art thou not Romeo?")
        await profanity.hides("Romeoo")
        await profanity.enter("Niether.")
        await ours.event(Said, lambda event: event.line.text == "Niether.")
        await profanity.enter("/correct Neither.")
        corrected = await ours.event(Corrected, lambda event: not event.line.by_us)
        assert (corrected.before.text, corrected.line.text) == ("Niether.", "Neither.")
        assert ours.texts == ["Art thou not Romeo?", "Neither."]


async def test_copies_show_what_the_other_client_of_the_account_says(stage: Stage) -> None:
    romeo, juliet = await stage.friends()
    async with (
        our_client(stage, romeo, stage.jid(juliet)) as ours,
        our_client(stage, juliet, stage.jid(romeo), "beside") as beside,
        open_profanity(stage.server, juliet) as profanity,
    ):
        await profanity.enter(f"/msg {stage.jid(romeo)}")
        await profanity.enter("from the terminal")
        said = await beside.event(Said)
        assert (said.line.text, said.line.by_us) == ("from the terminal", True)
        await beside.talk.say("from beside")
        await profanity.shows("from beside")
        await ours.event(Said, lambda event: event.line.text == "from beside")
        await ours.talk.say("to both")
        await profanity.shows("to both")
        await beside.event(Said, lambda event: event.line.text == "to both")
        assert ours.texts == beside.texts == ["from the terminal", "from beside", "to both"]


async def test_profanity_reads_our_conversation_from_the_archive(stage: Stage) -> None:
    romeo, juliet = await stage.friends()
    async with our_client(stage, romeo, stage.jid(juliet)) as ours:
        await ours.talk.say("while you were away")
        await ours.talk.say("and again")
        async with open_profanity(stage.server, juliet, settings=("/mam on",)) as profanity:
            await profanity.enter(f"/msg {stage.jid(romeo)}")
            await profanity.shows("while you were away", "and again")


# --- a room


def open_to_all(config: RoomConfig) -> None:
    config.whois = WhoIs.ANYONE


@asynccontextmanager
async def our_room_with_profanity(stage: Stage, create: Any = open_to_all) -> AsyncIterator[tuple[InRoom, Profanity]]:
    """A room of ours; profanity has entered it."""
    async with (
        stage.ours(stage.user()) as client,
        open_room(client, stage.room(), "Romeo", create=create) as room,
        room.events() as events,
        open_profanity(stage.server, stage.user()) as profanity,
    ):
        ours = InRoom(client, events, room)
        await profanity.enter(f"/join {room.jid} nick Juliet")
        assert (await ours.event(OccupantJoined)).who.nick == "Juliet"
        await profanity.shows("You have joined the room as Juliet")
        yield ours, profanity


@asynccontextmanager
async def room_of_profanity(stage: Stage) -> AsyncIterator[tuple[InRoom, Profanity]]:
    """A room of profanity, which we have entered."""
    address = stage.room()
    async with open_profanity(stage.server, stage.user()) as profanity, stage.ours(stage.user()) as client:
        await profanity.enter(f"/join {address} nick Juliet")
        await profanity.shows("requires configuration")
        await profanity.enter("/room accept")
        await profanity.shows("Room unlocked")
        async with open_room(client, address, "Romeo") as room, room.events() as events:
            await profanity.shows("Romeo has joined the room")
            yield InRoom(client, events, room), profanity


async def test_in_a_room_messages_subjects_and_nicks_are_seen_by_both(stage: Stage) -> None:
    async with our_room_with_profanity(stage) as (ours, profanity):
        await ours.room.say("But soft!")
        await profanity.shows("Romeo: But soft!")
        await profanity.enter("Ay me!")
        entry = (await ours.event(RoomMessage, lambda event: not event.entry.by_us)).entry
        assert (entry.text, entry.nick) == ("Ay me!", "Juliet")
        await ours.room.set_subject("The masque")
        await profanity.shows("Romeo has set the room subject: The masque")
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        await profanity.enter("/nick Capulet")
        changed = await ours.event(NickChanged)
        assert (changed.who, changed.before, changed.after) == (juliet, "Juliet", "Capulet")
        await ours.room.change_nick("Montague")
        await profanity.shows("Romeo is now known as Montague")
        await profanity.enter('/status set away "at the mass"')
        seen = await ours.event(OccupantChanged, lambda event: event.who is juliet and event.after.show)
        assert (seen.after.show, seen.after.status) == (PresenceShow.AWAY, "at the mass")
    async with room_of_profanity(stage) as (ours, profanity):
        await profanity.enter("/subject set The tomb")
        subject = await ours.event(SubjectChanged)
        assert (subject.subject, subject.nick) == ("The tomb", "Juliet")


async def test_private_messages_in_a_room_go_both_ways(stage: Stage) -> None:
    # In a room that shows addresses profanity would write to the account.
    async with our_room_with_profanity(stage, create=True) as (ours, profanity):
        await profanity.enter("/msg Romeo a secret")
        entry = (await ours.event(PrivateMessage)).entry
        assert (entry.text, entry.nick) == ("a secret", "Juliet")
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        await ours.room.whisper(juliet, "another secret")
        await profanity.shows("another secret")


async def test_we_kick_and_ban_profanity(stage: Stage) -> None:
    async with our_room_with_profanity(stage) as (ours, profanity):
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        await ours.room.kick(juliet, reason="the lark")
        assert (await ours.event(OccupantLeft)).cause is LeaveCause.KICKED
        await profanity.shows("Kicked from", "the lark")
        await profanity.enter(f"/join {ours.room.jid} nick Juliet")
        await ours.event(OccupantJoined)
        await set_affiliation(ours.client, ours.room.jid, profanity.jid.bare, Affiliation.OUTCAST, reason="banished")
        assert (await ours.event(OccupantLeft)).cause is LeaveCause.BANNED
        await profanity.shows("Banned from", "banished")


@pytest.mark.parametrize(
    ("command", "reason"), [("/kick Romeo the lark", GoneReason.KICKED), ("/ban {jid} the lark", GoneReason.BANNED)]
)
async def test_profanity_kicks_and_bans_us(stage: Stage, command: str, reason: GoneReason) -> None:
    gone = None
    try:
        async with room_of_profanity(stage) as (ours, profanity):
            await profanity.enter(command.format(jid=ours.client.jid.bare))
            async for _ in ours.events:
                pass
    except RoomGone as exc:
        gone = exc
    assert gone is not None
    assert (gone.reason, gone.text) == (reason, "the lark")


async def test_roles_and_affiliations_are_seen_by_both(stage: Stage) -> None:
    async with our_room_with_profanity(stage) as (ours, profanity):
        juliet = ours.room.occupant("Juliet")
        assert juliet is not None
        await ours.room.set_role(juliet, Role.VISITOR, reason="hush")
        await profanity.shows("Your role has been changed to: visitor", "hush")
        await set_affiliation(ours.client, ours.room.jid, profanity.jid.bare, Affiliation.ADMIN)
        await profanity.shows("affiliation", "admin")
    async with room_of_profanity(stage) as (ours, profanity):
        me = ours.room.me
        assert me is not None
        await profanity.enter("/role set moderator Romeo")
        await becomes(lambda: me.role, Role.MODERATOR)
        await profanity.enter(f"/affiliation set member {ours.client.jid.bare}")
        await becomes(lambda: me.affiliation, Affiliation.MEMBER)


async def test_invitations_go_both_ways(stage: Stage) -> None:
    romeo, juliet = await stage.friends()
    async with (
        stage.ours(romeo) as client,
        open_invitations(client) as invitations,
        appear(client),
        open_room(client, stage.room(), "Romeo", create=open_to_all) as room,
        room.events() as events,
        open_profanity(stage.server, juliet) as profanity,
    ):
        ours = InRoom(client, events, room)
        assert await room.invite(profanity.jid.bare, reason="a masque") is InvitationWay.MEDIATED
        await profanity.shows("Chat room invite received", str(room.jid), "a masque")
        await profanity.enter(f"/invite decline {room.jid}")
        await profanity.shows("Declined invite")
        await room.invite(profanity.jid.bare, reason="once more")
        await profanity.shows("once more")
        await profanity.enter(f"/join {room.jid} nick Juliet")
        await ours.event(OccupantJoined)
        other = stage.room()
        await profanity.enter(f"/join {other} nick Juliet")
        await profanity.shows("requires configuration")
        await profanity.enter("/room accept")
        await profanity.shows("Room unlocked")
        await profanity.enter(f"/invite send {client.jid.bare} come")
        invitation = await anext(invitations)
        assert (str(invitation.room), invitation.reason) == (other, "come")
        assert invitation.sender is None or invitation.sender.bare == profanity.jid.bare


# --- services


async def test_profanity_asks_what_we_are_and_pings_us(stage: Stage) -> None:
    async with friends(stage) as (ours, profanity):
        await profanity.insist(f"/ping {ours.client.jid}", f"Ping response from {ours.client.jid}")
        await profanity.enter(f"/software {ours.client.jid}")
        await profanity.shows("trioxmpp")
        with ours.client.offers("urn:example:balcony"):
            await profanity.enter(f"/disco info {ours.client.jid}")
            await profanity.shows("Service discovery info", "urn:example:balcony")
        theirs = await software_version(ours.client, profanity.jid)
        assert (theirs.name, theirs.version) == ("Profanity", "0.13.1")
        assert await ping(ours.client, profanity.jid) > 0


async def test_a_file_that_profanity_uploads_is_found_in_its_message(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "sun.txt"
    file.write_bytes(b"Arise, fair sun\n" * 1000)
    async with friends(stage) as (ours, profanity):
        await profanity.enter(f"/msg {ours.client.jid.bare}")
        await profanity.insist(f"/sendfile {file}", f"Uploading '{file}': 100%")
        said = await ours.event(Said)
        url = shared_url(said.line.message)
        assert url is not None
        async with httpx2.AsyncClient(verify=stage.server.ssl_context()) as http:
            assert (await http.get(url)).content == file.read_bytes()


async def test_two_clients_of_one_account_share_bookmarks_and_the_block_list(stage: Stage) -> None:
    user, room, enemy = stage.user(), stage.room(), stage.jid(stage.user())
    async with (
        stage.ours(user) as client,
        open_caps(client, node=CAPS),
        open_blocking(client) as blocklist,
        open_bookmarks(client) as bookmarks,
        appear(client),
        open_profanity(stage.server, user) as profanity,
    ):
        await profanity.insist(f"/blocked add {enemy}", f"User {enemy} successfully blocked")
        await becomes(lambda: blocklist.blocks(enemy), True)
        await blocklist.unblock(enemy)
        await profanity.insist("/blocked", "No blocked users")
        await profanity.insist(f"/bookmark add {room} nick Paris autojoin on", f"Bookmark added for {room}")
        expected = Bookmark(JID.parse(room), name=room.partition("@")[0], nick="Paris", autojoin=True)
        await becomes(lambda: bookmarks.get(JID.parse(room)), expected)


async def test_profanity_runs_a_command_of_ours(stage: Stage) -> None:
    async def greet(session: CommandSession) -> None:
        session.done(note="good morrow")

    async with (
        friends(stage) as (ours, profanity),
        offer_commands(ours.client, {"greet": (greet, "Greet")}, allow=lambda jid: jid == profanity.jid),
    ):
        await profanity.enter(f"/cmd list {ours.client.jid}")
        await profanity.shows("greet")
        await profanity.enter(f"/msg {ours.client.jid}")
        await profanity.enter("/cmd exec greet")
        await profanity.shows("good morrow")
