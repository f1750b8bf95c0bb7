"""The link breaks, the server is well: sessions go on, and nothing is lost or doubled."""

from __future__ import annotations

import pytest
import trio

from trioxmpp import (
    Destroyed,
    Established,
    Get,
    IQType,
    Message,
    MessageType,
    Resumed,
    StanzaState,
    StreamTimeout,
    Suspended,
    xml,
)
from trioxmpp.testing.servers import Relay

HARM = {
    "reset": Relay.reset,
    "reset within a stanza": lambda relay: relay.reset(after=100),
    "close": Relay.close,
    "black hole": Relay.black_hole,
    "black hole for what is sent": lambda relay: relay.black_hole("in"),
    "black hole for what is got": lambda relay: relay.black_hole("out"),
}


@xml.element("https://example.org/thinking", "thought")
class Thought:
    text: str = xml.text()


@xml.element("https://example.org/thinking", "question")
class Question(Get[Thought]):
    """What do you think?"""


@pytest.mark.parametrize("harm", list(HARM))
async def test_a_broken_link_is_replaced_and_the_session_goes_on(venue, impatient, harm):
    async with venue.relay() as relay, venue.person(endpoint=relay.endpoint, **impatient) as ann, venue.person() as ben:
        to_ben, to_ann = [f"to Ben {n}" for n in range(10)], [f"to Ann {n}" for n in range(10)]
        tokens = []
        for n in range(10):
            if n == 5:
                await ben.until(lambda: ben.got)
                HARM[harm](relay)
            tokens += [ann.writes(ben, to_ben[n]), ben.writes(ann, to_ann[n])]
        await ann.lives_through(Suspended, Resumed)
        await ann.client.drain()
        await ben.client.drain()
        await ann.reads(*to_ann)
        await ben.reads(*to_ben)
        assert {token.state for token in tokens} == {StanzaState.ACKED}
        assert isinstance(ann.events[0].cause, StreamTimeout) == harm.startswith("black hole")
        assert relay.connections == 2
        assert ben.story == []


async def test_a_request_survives_the_link_it_was_made_on(venue, impatient):
    """Both ways: who asks and who answers lose their links in between."""
    asked, go_on = trio.Event(), trio.Event()

    async with venue.relay() as left, venue.relay() as right:

        async def think(request):
            asked.set()
            await go_on.wait()
            return Thought(text="indeed")

        async def ask():
            thought = await ann.client.request(Question(), to=ben.client.jid)
            assert thought.text == "indeed"

        async with (
            venue.person(endpoint=left.endpoint, **impatient) as ann,
            venue.person(endpoint=right.endpoint, **impatient) as ben,
        ):
            with ben.client.iq_handler(IQType.GET, Question, think):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask)
                    await asked.wait()
                    right.reset()
                    left.black_hole()
                    go_on.set()
            assert ann.story == ben.story == [Suspended, Resumed]


async def test_two_thousand_messages_both_ways_over_links_that_break_all_the_time(venue, impatient):
    """Each writes on, link or no link; both links are cut again and again, in every way, with much in flight.

    In flight are less than 4 kB. Prosody 0.12 reads that much at once, and after a resumption goes on in the middle of
    a stanza that it had read in part before: it then finds the stream not well-formed, and ends the session.

    While a session moves to another link, ejabberd 23.01 may be slow to pass on what still came to the old one, and
    writes what comes to the new one first: there is nothing lost and nothing doubled, but now and then a few are late.
    """
    numbers = [str(n) for n in range(1000)]
    ways = [Relay.reset, Relay.close, Relay.black_hole, lambda relay: relay.reset(after=500)]

    async def write(writer, reader, relay, harm):
        tokens = []
        for start in range(0, len(numbers), 10):
            tokens += [writer.writes(reader, number) for number in numbers[start : start + 10]]
            if start % 240 == 120:
                next(harm)(relay)
                harmed = len(writer.story) // 2 + 1
            elif start % 240 == 220:
                await writer.until(lambda harmed=harmed: len(writer.story) >= 2 * harmed)
            await tokens[max(0, start - 20)]
        await writer.client.drain()
        assert {token.state for token in tokens} == {StanzaState.ACKED}

    async with (
        venue.relay() as left,
        venue.relay() as right,
        venue.person(endpoint=left.endpoint, **impatient) as ann,
        venue.person(endpoint=right.endpoint, **impatient) as ben,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, ann, ben, left, iter(ways))
            nursery.start_soon(write, ben, ann, right, iter(ways[::-1]))
        for person in (ann, ben):
            await person.until(lambda person=person: len(person.got) >= len(numbers))
            assert (sorted(person.got, key=int) if venue.name == "ejabberd" else person.got) == numbers
            assert set(person.story) == {Suspended, Resumed}
            assert len(person.story) >= 8


async def test_a_session_that_has_expired_is_replaced_and_each_token_tells_what_became_of_it(open_venue):
    """The server remembers how much it had handled of the session that it has given up."""
    async with (
        open_venue(sm_timeout=1) as venue,
        venue.relay() as relay,
        venue.person(endpoint=relay.endpoint) as ann,
        venue.person() as ben,
    ):
        relay.black_hole("out")
        handled = ann.writes(ben, "handled, but the acknowledgement is lost")
        await ben.until(lambda: ben.got)
        relay.black_hole("in")
        lost = ann.writes(ben, "lost on the way")
        await lost.wait(StanzaState.SENT)
        relay.blocked = True
        relay.reset()
        await ann.lives_through(Suspended)
        waiting = ann.writes(ben, "never sent")
        assert [token.state for token in (handled, lost, waiting)] == [
            StanzaState.SENT,
            StanzaState.SENT,
            StanzaState.ACTIVE,
        ]
        await venue.gives_up_a_session()
        relay.blocked = False
        await ann.lives_through(Suspended, Destroyed, Established)
        assert handled.state is StanzaState.ACKED
        assert lost.state is waiting.state is StanzaState.DISCONNECTED
        assert ann.events[1].undelivered == (lost, waiting)
        for token in ann.events[1].undelivered:
            await ann.client.send(token.stanza)
        await ben.reads("handled, but the acknowledgement is lost", "lost on the way", "never sent")


async def test_without_stream_management_a_broken_link_is_the_end_of_the_session(venue):
    async with venue.relay() as relay, venue.person(endpoint=relay.endpoint, sm=None) as ann, venue.person() as ben:
        assert not ann.client.stream.sm_enabled
        token = ann.writes(ben, "one")
        await token
        assert token.state is StanzaState.SENT_WITHOUT_SM
        await ben.reads("one")
        relay.reset()
        await ann.lives_through(Suspended, Destroyed, Established)
        await ann.client.send(Message(to=ben.client.jid, type=MessageType.CHAT, body="two"))
        await ben.reads("one", "two")


async def test_without_stream_management_the_watchdog_pings_and_hears_what_is_silent(venue, impatient):
    async with venue.relay() as relay, venue.person(endpoint=relay.endpoint, sm=None, **impatient) as ann:
        await trio.sleep(1.2)
        assert ann.story == []
        relay.black_hole()
        await ann.lives_through(Suspended, Destroyed, Established)
        assert isinstance(ann.events[0].cause, StreamTimeout)
