"""Settings with which every session begins, and sessions that are given up for good: on every way in."""

from __future__ import annotations

import pytest
import trio

from tests.e2e.ways import Meeting, every_way, every_way_of_tls, not_offered
from trioxmpp import Message, MessageType, Presence, PresenceType
from trioxmpp.protocol.elements.carbons import Enable
from trioxmpp.xep.carbons import Direction, open_carbons

CARBONS, CSI, BIND2 = b"urn:xmpp:carbons:2", b"urn:xmpp:csi:0", b"urn:xmpp:bind:0"


@pytest.fixture
def meeting(real_server, way, nursery) -> Meeting:
    return Meeting(real_server, way, nursery)


@every_way
@pytest.mark.cell("Sessions", "copies of what our other clients send (carbons)")
async def test_copies_of_what_our_other_clients_send(meeting, guests):
    user = next(guests)  # whose other sessions of other tests are not there
    async with (
        meeting.connect(user, meeting.watched(), resource="one", inline=[Enable()]) as one,
        meeting.connect(user, resource="two") as two,
        meeting.connect("juliet") as juliet,
        open_carbons(one) as copies,
    ):
        await one.send(Presence())
        await two.send(Message(to=juliet.jid, type=MessageType.CHAT, body="for her alone"))
        with trio.fail_after(20):
            copy = await anext(copies)
        assert (copy.direction, copy.message.body) == (Direction.SENT, "for her alone")
        assert b"for her alone" in meeting.link.by("them")


@every_way_of_tls
@pytest.mark.cell("Sessions", "carbons along with the login (Bind 2)")
async def test_carbons_are_a_part_of_the_login(meeting):
    async with meeting.connect("romeo", meeting.watched(), resource=None, inline=[Enable()]):
        link = meeting.link
        if BIND2 not in link.by("them"):
            not_offered("Bind 2")
        request = link.by("us").partition(b"<authenticate")[2].partition(b"</authenticate>")[0]
        assert CARBONS in request
        assert link.by("us").count(CARBONS) == 1


@every_way
@pytest.mark.cell("Sessions", "what can wait is held back from an inactive client (CSI)")
async def test_stanzas_that_can_wait_are_held_back_while_no_person_is_looking(meeting, guests):
    async with (
        meeting.connect(next(guests), meeting.watched(), sm=None) as romeo,
        meeting.connect("juliet") as juliet,
        juliet.messages.subscribe(MessageType.CHAT) as inbox,
        romeo.presences.subscribe(PresenceType.AVAILABLE) as seen,
    ):
        assert CSI in meeting.link.by("them")
        await romeo.send(Presence(status="mine"))
        assert (await anext(seen)).status == "mine"
        romeo.set_active(False)
        await romeo.drain()
        # The server handles the elements of a session in order: when it has passed this on, it knows. It must write
        # nothing to romeo itself, not even an ack: after that Prosody holds nothing back for a while.
        await romeo.send(Message(to=juliet.jid, type=MessageType.CHAT, body="I look away"))
        with trio.fail_after(20):
            assert (await anext(inbox)).body == "I look away"
        assert b"<inactive" in meeting.link.by("us")
        await juliet.send(Presence(to=romeo.jid, status="no hurry"))
        with trio.move_on_after(0.5) as waiting:
            await anext(seen)
        assert waiting.cancelled_caught
        romeo.set_active(True)
        with trio.fail_after(20):
            assert (await anext(seen)).status == "no hurry"
