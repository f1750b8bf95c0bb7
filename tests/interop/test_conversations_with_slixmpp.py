"""One conversation: receipts, markers, typing, corrections, replies, reactions, retractions, as both sides see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from tests.interop.conftest import Stage
from tests.interop.driver import PeerError, SlixmppClient, becomes, eventually
from tests.interop.ours import InConversation
from trioxmpp import JID, Client
from trioxmpp.im.conversation import (
    Conversations,
    Corrected,
    Delivery,
    Displayed,
    Reacted,
    Receipts,
    Retracted,
    Said,
    Typing,
    open_conversations,
    open_room_conversation,
)
from trioxmpp.im.displayed import open_displayed
from trioxmpp.im.presence import appear
from trioxmpp.im.timeline import open_timeline
from trioxmpp.protocol.elements.chat_states import Composing, Paused
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.muc import open_room


@dataclass
class Talk(InConversation):
    """A conversation of our client, among its others."""

    talks: Conversations


@asynccontextmanager
async def our_talk(stage: Stage, user: str, peer: object, resource: str = "ours") -> AsyncIterator[Talk]:
    async with (
        stage.ours(user, resource) as client,
        open_timeline(client) as timeline,
        open_conversations(client, timeline, receipts=Receipts.ALWAYS) as talks,
        appear(client),
        talks[str(peer)].events() as events,
    ):
        yield Talk(client, events, talks[str(peer)], talks)


@asynccontextmanager
async def two_talk(stage: Stage) -> AsyncIterator[tuple[Talk, SlixmppClient]]:
    """Our client and slixmpp, in a conversation with each other."""
    user = stage.user()
    async with stage.slixmpp(stage.user()) as slixmpp, our_talk(stage, user, slixmpp.jid.bare) as ours:
        await slixmpp.appear()
        yield ours, slixmpp


def sent_by(client: Client, body: str) -> Any:
    return lambda data: data["from"] == str(client.jid) and data["body"] == body


async def test_receipts_go_both_ways(stage: Stage) -> None:
    async with two_talk(stage) as (ours, slixmpp):
        line = await ours.talk.say("Art thou not Romeo?")
        heard = await slixmpp.event("message", sent_by(ours.client, "Art thou not Romeo?"))
        assert heard["id"] == line.id
        received = await ours.talk.wait_received(line)
        assert received.delivery is Delivery.RECEIVED
        id = await slixmpp.say(ours.client.jid.bare, "Neither, fair saint.", request_receipt=True)
        said = await ours.event(Said, lambda event: not event.line.by_us)
        assert (said.line.text, said.line.id) == ("Neither, fair saint.", id)
        receipt = await slixmpp.event("receipt_received")
        assert receipt["receipt"] == id


async def test_markers_go_both_ways(stage: Stage) -> None:
    async with two_talk(stage) as (ours, slixmpp):
        line = await ours.talk.say("Art thou not Romeo?")
        heard = await slixmpp.event("message", sent_by(ours.client, "Art thou not Romeo?"))
        assert "markable" in heard
        await slixmpp.call("xep_0333.send_marker", ours.client.jid.bare, line.id, "displayed", mtype="chat")
        await ours.event(Displayed, lambda event: event.line.id == line.id and not event.by_us)
        await becomes(lambda: ours.talk.lines[0].delivery, Delivery.DISPLAYED)
        id = await slixmpp.say(ours.client.jid.bare, "Neither, fair saint.", enable=["markable"])
        said = await ours.event(Said, lambda event: not event.line.by_us)
        await ours.talk.displayed(said.line)
        marker = await slixmpp.event("marker_displayed")
        assert (marker["displayed"]["id"], marker["from"]) == (id, str(ours.client.jid))


async def test_typing_is_seen_by_both(stage: Stage) -> None:
    async with two_talk(stage) as (ours, slixmpp):
        await slixmpp.say(ours.client.jid.bare, None, chat_state="composing")
        assert isinstance((await ours.event(Typing)).state, Composing)
        await slixmpp.say(ours.client.jid.bare, None, chat_state="paused")
        assert isinstance((await ours.event(Typing)).state, Paused)
        async with ours.talk.typing(paused_after=0.5):
            await slixmpp.event("chatstate_composing")
            await slixmpp.event("chatstate_paused")
            await ours.talk.say("done")
        heard = await slixmpp.event("message", sent_by(ours.client, "done"))
        assert heard["chat_state"] == "active"


async def test_corrections_go_both_ways(stage: Stage) -> None:
    async with two_talk(stage) as (ours, slixmpp):
        line = await ours.talk.say("Art thou not Romeoo?")
        await ours.talk.correct(line, "Art thou not Romeo?")
        heard = await slixmpp.event("message_correction")
        assert (heard["replace"]["id"], heard["body"]) == (line.id, "Art thou not Romeo?")
        await ours.talk.correct(line, "Art thou Romeo?")
        heard = await slixmpp.event("message_correction")
        assert (heard["replace"]["id"], heard["body"]) == (line.id, "Art thou Romeo?")
        id = await slixmpp.say(ours.client.jid.bare, "Niether.")
        await ours.event(Said, lambda event: not event.line.by_us)
        await slixmpp.say(ours.client.jid.bare, "Neither.", replace={"id": id})
        corrected = await ours.event(Corrected, lambda event: not event.line.by_us)
        assert (corrected.before.text, corrected.line.text, corrected.line.id) == ("Niether.", "Neither.", id)
        assert ours.texts == ["Art thou Romeo?", "Neither."]


async def test_replies_go_both_ways_with_their_quotations(stage: Stage) -> None:
    async with two_talk(stage) as (ours, slixmpp):
        id = await slixmpp.say(ours.client.jid.bare, "What man art thou?")
        said = await ours.event(Said)
        reply = await ours.talk.say("By a name I know not how to tell thee.", reply_to=said.line)
        heard = await slixmpp.event("message_reply")
        assert heard["reply"]["id"] == id
        assert heard["reply"]["to"] in (str(slixmpp.jid), str(slixmpp.jid.bare))
        assert heard["body"] == "> What man art thou?\nBy a name I know not how to tell thee."
        await slixmpp.call(
            "xep_0461.send_reply",
            str(ours.client.jid),
            reply.id,
            "By a name I know not how to tell thee.",
            mto=ours.client.jid.bare,
            mbody="My ears have not yet drunk a hundred words.",
            mtype="chat",
        )
        answered = (await ours.event(Said, lambda event: event.line.reply_to == reply.id)).line
        assert answered.text == "My ears have not yet drunk a hundred words."


async def test_reactions_go_both_ways(stage: Stage) -> None:
    async with two_talk(stage) as (ours, slixmpp):
        line = await ours.talk.say("But soft!")
        await slixmpp.call("xep_0444.send_reactions", ours.client.jid.bare, line.id, ["🌹", "👍"])
        reacted = await ours.event(Reacted)
        assert (reacted.line.id, set(reacted.reactions)) == (line.id, {"🌹", "👍"})
        await slixmpp.call("xep_0444.send_reactions", ours.client.jid.bare, line.id, ["👍"])
        assert set((await ours.event(Reacted)).reactions) == {"👍"}
        id = await slixmpp.say(ours.client.jid.bare, "Ay me!")
        said = await ours.event(Said, lambda event: not event.line.by_us)
        await ours.talk.react(said.line, {"👋", "🙂"})
        heard = await slixmpp.event("reactions")
        assert (heard["reactions"]["id"], set(heard["reactions"]["values"])) == (id, {"👋", "🙂"})
        await ours.talk.react(said.line, set())
        assert (await slixmpp.event("reactions"))["reactions"]["values"] == []


async def test_retractions_go_both_ways(stage: Stage) -> None:
    async with two_talk(stage) as (ours, slixmpp):
        line = await ours.talk.say("I take thee at thy word")
        await ours.talk.retract(line)
        heard = await slixmpp.event("message_retract")
        assert heard["retract"]["id"] == line.id
        id = await slixmpp.say(ours.client.jid.bare, "Romeo, doff thy name")
        await ours.event(Said, lambda event: not event.line.by_us)
        await slixmpp.call("xep_0424.send_retraction", ours.client.jid.bare, id)
        retracted = await ours.event(Retracted, lambda event: not event.line.by_us)
        assert (retracted.line.id, retracted.line.text, retracted.before.text) == (id, None, "Romeo, doff thy name")


async def test_in_a_room_both_sides_show_the_same_conversation(stage: Stage) -> None:
    address = stage.room()
    async with (
        stage.slixmpp(stage.user()) as slixmpp,
        stage.ours(stage.user()) as client,
        open_room(client, address, "Romeo", create=True) as room,
        open_room_conversation(room, markers=True) as talk,
        talk.events() as events,
    ):
        ours = InConversation(client, events, talk)
        await slixmpp.call("xep_0045.join_muc_wait", room.jid, "Juliet")
        line = await talk.say("But soft?")
        heard = await slixmpp.event("groupchat_message", lambda data: data["body"] == "But soft?")
        id = heard["stanza_ids"][0]["id"] if "stanza_ids" in heard else heard["id"]
        await talk.correct(line, "But soft!")
        corrected = await slixmpp.event("message_correction")
        assert (corrected["replace"]["id"], corrected["body"]) == (heard["id"], "But soft!")
        await slixmpp.do("message", to=address, type="groupchat", body=None, reactions={"id": id, "values": ["🌹"]})
        reacted = await ours.event(Reacted)
        assert (reacted.line.id, reacted.reactions) == (line.id, ("🌹",))
        first = await slixmpp.say(address, "Ay mi!", "groupchat")
        said = await ours.event(Said, lambda event: not event.line.by_us)
        await slixmpp.say(address, "Ay me!", "groupchat", replace={"id": first})
        changed = await ours.event(Corrected, lambda event: not event.line.by_us)
        assert (changed.before.text, changed.line.text) == ("Ay mi!", "Ay me!")
        await talk.react(said.line, {"👋"})
        seen = await slixmpp.event("reactions", lambda data: data["from"].endswith("/Romeo"))
        assert (seen["reactions"]["id"], seen["reactions"]["values"]) == (said.line.id, ["👋"])
        await talk.say("a reply", reply_to=said.line)
        reply = await slixmpp.event("message_reply")
        assert (reply["reply"]["id"], reply["reply"]["to"]) == (said.line.id, f"{address}/Juliet")
        await talk.retract(line)
        assert (await slixmpp.event("message_retract"))["retract"]["id"] == line.id
        assert [line.text for line in talk.lines] == [None, "Ay me!", "a reply"]


# --- several clients of one account


async def test_copies_show_each_client_what_the_other_has_said(stage: Stage) -> None:
    romeo, juliet = stage.user(), stage.user()
    async with (
        stage.slixmpp(romeo) as theirs,
        our_talk(stage, romeo, stage.jid(juliet)) as ours,
        our_talk(stage, juliet, stage.jid(romeo), "friend") as friend,
    ):
        await theirs.call("xep_0280.enable")
        await theirs.appear()
        # We speak: the other client of our account has a copy, and so has our friend the message.
        line = await ours.talk.say("By whose direction?")
        copy = await theirs.event("carbon_sent")
        assert (copy["carbon_sent"]["body"], copy["carbon_sent"]["id"]) == ("By whose direction?", line.id)
        await friend.event(Said, lambda event: event.line.text == "By whose direction?")
        # slixmpp speaks: our client has a copy, which is by us.
        await theirs.say(stage.jid(juliet), "By love")
        said = await ours.event(Said, lambda event: event.line.text == "By love")
        assert said.line.by_us
        await friend.event(Said, lambda event: event.line.text == "By love")
        # Our friend answers: both have it.
        await friend.talk.say("Dost thou love me?")
        answer = await ours.event(Said, lambda event: event.line.text == "Dost thou love me?")
        assert not answer.line.by_us
        await eventually(
            lambda: [
                data
                for name, data in theirs.events
                if name in ("message", "carbon_received") and "Dost thou love me?" in data["$xml"]
            ]
        )
        assert ours.texts == friend.texts == ["By whose direction?", "By love", "Dost thou love me?"]
        # A correction of slixmpp, of what slixmpp has said, changes the line on our side and at our friend's.
        id = await theirs.say(stage.jid(juliet), "I wil")
        await ours.event(Said, lambda event: event.line.text == "I wil")
        await theirs.say(stage.jid(juliet), "I will", replace={"id": id})
        await ours.event(Corrected, lambda event: event.line.text == "I will")
        await friend.event(Corrected, lambda event: event.line.text == "I will")
        assert ours.texts == friend.texts


async def test_the_archive_has_one_conversation_for_all(stage: Stage) -> None:
    romeo, juliet = stage.user(), stage.user()
    async with stage.slixmpp(romeo) as theirs, our_talk(stage, juliet, stage.jid(romeo), "friend") as friend:
        await theirs.appear()
        for number in range(6):
            await theirs.say(stage.jid(juliet), f"question {number}")
            await friend.event(Said, lambda event, number=number: event.line.text == f"question {number}")
            await friend.talk.say(f"answer {number}")
            await theirs.event("message", lambda data, number=number: data["body"] == f"answer {number}")
        expected = [f"{word} {number}" for number in range(6) for word in ("question", "answer")]

        async def archived() -> list[str]:
            entries = await theirs.call("xep_0313.iterate", with_jid=stage.jid(juliet))
            bodies = [entry["mam_result"]["forwarded"]["stanza"]["body"] for entry in entries]
            return [body for body in bodies if body]

        await becomes(archived, expected)
        # A client that was not there finds the same, and each id that slixmpp finds.
        async with stage.ours(romeo) as client, open_timeline(client) as timeline:
            entries = [entry async for page in timeline.before(stage.jid(juliet), size=5) for entry in reversed(page)]
            entries = [entry for entry in reversed(entries) if entry.message.body]
            assert [entry.message.body for entry in entries] == expected
            assert [entry.by_us for entry in entries] == [True, False] * 6
            results = await theirs.call("xep_0313.iterate", with_jid=stage.jid(juliet))
            ids = [
                result["mam_result"]["id"] for result in results if result["mam_result"]["forwarded"]["stanza"]["body"]
            ]
            assert [entry.archive_id for entry in entries] == ids


async def test_a_conversation_that_we_missed_is_the_same(stage: Stage) -> None:
    romeo, juliet = stage.user(), stage.user()
    async with stage.slixmpp(romeo, "theirs") as theirs, stage.slixmpp(juliet) as friend:
        await theirs.appear()
        await friend.appear()
        id = await theirs.say(stage.jid(juliet), "I wil")
        await friend.event("message", lambda data: data["body"] == "I wil")
        await theirs.say(stage.jid(juliet), "I will", replace={"id": id})
        await friend.event("message_correction")
        await friend.call("xep_0444.send_reactions", stage.jid(romeo), id, ["❤"])
        await theirs.event("reactions")
        gone = await friend.say(stage.jid(romeo), "take it back")
        await theirs.event("message", lambda data: data["body"] == "take it back")
        await friend.call("xep_0424.send_retraction", stage.jid(romeo), gone)
        await theirs.event("message_retract")
        async with (
            stage.ours(romeo) as client,
            open_timeline(client) as timeline,
            open_conversations(client, iterate(timeline, stage.jid(juliet))) as talks,
        ):
            talk = talks[stage.jid(juliet)]
            await becomes(lambda: [(line.text, line.by_us) for line in talk.lines], [("I will", True), (None, False)])
            await eventually(lambda: [set(line) for line in talk.lines[0].reactions.values()] == [{"❤"}])


async def iterate(timeline: Any, peer: str) -> AsyncIterator[Any]:
    """Give the past of a conversation, as it was, and then wait."""
    pages = [page async for page in timeline.before(peer)]
    for page in reversed(pages):
        for entry in page:
            yield entry
    await trio.sleep_forever()


async def test_both_clients_of_an_account_know_how_far_a_chat_was_displayed(stage: Stage) -> None:
    romeo, juliet = stage.user(), stage.user()
    async with (
        stage.slixmpp(romeo) as theirs,
        stage.slixmpp(juliet) as friend,
        stage.ours(romeo) as client,
        open_caps(client, node="https://example.org/orchard"),
        open_displayed(client, quiet=0.1) as displays,
        displays.changes() as changes,
        appear(client),
    ):
        await theirs.appear()
        await friend.appear()
        for body in ("one", "two"):
            await friend.say(stage.jid(romeo), body)
            await theirs.event("message", lambda data, body=body: data["body"] == body)

        async def archived() -> list[str]:
            entries = await theirs.call("xep_0313.iterate", with_jid=stage.jid(juliet))
            return [
                entry["mam_result"]["id"] for entry in entries if entry["mam_result"]["forwarded"]["stanza"]["body"]
            ]

        one, two = await eventually(archived, lambda ids: len(ids) == 2)
        now = datetime.now(UTC)
        assert displays.mark(JID.parse(stage.jid(juliet)), one, by=client.jid.bare, sent=now)

        async def known() -> Any:
            try:
                found = await theirs.call("xep_0490.catch_up")
            except PeerError:
                return []  # nothing was published yet
            items = found["pubsub"]["items"]["substanzas"] if "pubsub" in found else []
            return [(item["id"], item["displayed"]["stanza_id"]["id"]) for item in items]

        assert await eventually(known) == [(stage.jid(juliet), one)]
        if stage.runs("ejabberd", 23):
            # It knows no maximum of items, and slixmpp does not publish without it.
            with pytest.raises(PeerError, match="resource-constraint"):
                await theirs.call("xep_0490.flag_chat", stage.jid(juliet), two)
        else:
            # slixmpp leaves out by which archive the id was given. Such a position is not believed.
            await theirs.call("xep_0490.flag_chat", stage.jid(juliet), "of no archive")
        await theirs.do("displayed", chat=stage.jid(juliet), id=two, by=stage.jid(romeo))
        position = await anext(changes)
        assert (str(position.chat), position.id) == (stage.jid(juliet), two)
