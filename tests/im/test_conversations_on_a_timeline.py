"""Conversations as applications open them: on a timeline and a roster."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio

from tests.bench import on_every_bench
from tests.im.world import ACCOUNTS, Disk, chat, connect, settle
from trioxmpp import JID, Presence
from trioxmpp.im.conversation import Conversation, Delivery, Said, Typing, open_conversations
from trioxmpp.im.roster import open_roster
from trioxmpp.im.timeline import Entry, Source, open_timeline
from trioxmpp.testing import open_server


@asynccontextmanager
async def talking(client, peer: str, **options):
    """A client with all that conversations stand on, and its conversation with `peer`."""
    async with open_roster(client) as roster, open_timeline(client) as timeline:
        await client.send(Presence())

        def sees_us(jid: JID) -> bool:
            contact = roster.get(jid)
            return contact is not None and contact.sees_us

        async with open_conversations(client, timeline, sees_us=sees_us, **options) as talks:
            yield talks[peer]


async def until(talk: Conversation, condition) -> None:
    async with talk.events() as events:
        while not condition():
            await anext(events)


@pytest.mark.item("D6.1")
@on_every_bench(accounts=2)
async def test_contacts_talk_and_get_receipts(bench):
    await bench.add_contacts(0, 1)
    async with (
        talking(bench.clients[0], bench.jid(1)) as ours,
        talking(bench.clients[1], bench.jid(0)) as theirs,
    ):
        line = await ours.say("Art thou not Romeo?")
        assert (await ours.wait_received(line)).delivery is Delivery.RECEIVED
        await until(theirs, lambda: theirs.lines)
        await theirs.displayed(theirs.lines[0])
        await until(ours, lambda: ours.lines[0].delivery is Delivery.DISPLAYED)
        await theirs.say("Neither", reply_to=theirs.lines[0])
        await until(ours, lambda: len(ours.lines) == 2)
        assert (ours.lines[1].text, ours.lines[1].reply_to) == ("Neither", line.id)
        await ours.react(ours.lines[1], {"👍"})
        await until(theirs, lambda: theirs.lines[1].reactions)
        assert len(ours.lines) == len(theirs.lines) == 2, "what we say is there once, though the timeline tells it, too"


@pytest.mark.item("D6.6")
@on_every_bench(accounts=2)
async def test_contacts_see_each_other_type(bench):
    await bench.add_contacts(0, 1)
    async with (
        talking(bench.clients[0], bench.jid(1)) as ours,
        talking(bench.clients[1], bench.jid(0)) as theirs,
        theirs.events() as events,
    ):
        for talk, other in ((ours, theirs), (theirs, ours)):
            line = await talk.say("each tells that it knows chat states")
            await talk.wait_received(line)
            await until(other, lambda line=line, other=other: other.line(line.id))
        events.take_all()
        async with ours.typing():
            pass
        seen = []
        while len(seen) < 2:
            event = await anext(events)
            if isinstance(event, Typing):
                seen.append(type(event.state).__name__)
        assert seen == ["Composing", "Paused"]


@pytest.mark.item("D6.7")
@on_every_bench(accounts=2)
async def test_another_client_of_ours_sees_and_corrects_what_we_said(bench):
    async with (
        bench.connect(0, "second") as second,
        talking(bench.clients[0], bench.jid(1)) as first,
        talking(second, bench.jid(1)) as other,
        talking(bench.clients[1], bench.jid(0)) as theirs,
    ):
        await first.say("Romeoo")
        await until(other, lambda: other.lines)
        assert other.lines[0].by_us
        await other.correct(other.lines[0], "Romeo")
        for talk in (first, theirs):
            await until(talk, lambda talk=talk: [line.text for line in talk.lines] == ["Romeo"])
        await first.retract(first.lines[0])
        async with theirs.events() as events:
            while not theirs.lines[0].retracted:
                assert not isinstance(await anext(events), Said)
        assert theirs.lines[0].retracted


async def test_our_own_reactions_are_entries_at_once_and_not_again_in_the_next_process(autojump_clock):
    disk = Disk()
    async with (
        open_server(accounts=ACCOUNTS, archive=True) as server,
        connect(server, "juliet@example.test/1") as juliet,
    ):
        async with (
            connect(server, "romeo@example.test/1", store=disk) as client,
            open_timeline(client) as timeline,
        ):
            await client.send(Presence())
            given: list[Entry] = []

            async def keep() -> None:
                async for entry in timeline:
                    given.append(entry)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(keep)
                await juliet.send(chat("hi", id="m1"))
                await settle()
                talk = Conversation(client, JID.parse("juliet@example.test"))
                talk.apply(given[0])
                line = await talk.react(talk.lines[0], {"👍"})
                await talk.react(line, {"👍"})
                await settle()
                nursery.cancel_scope.cancel()
            assert [(entry.source, entry.by_us) for entry in given] == [(Source.LIVE, False), *2 * [(Source.OWN, True)]]
            assert len(server.accounts["romeo"].archive.items) == 3
        async with (
            connect(server, "romeo@example.test/1", store=disk) as client,
            open_timeline(client) as timeline,
        ):
            with trio.move_on_after(5):
                pytest.fail(f"given again: {await anext(timeline)}")
