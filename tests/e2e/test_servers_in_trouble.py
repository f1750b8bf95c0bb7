"""The server hangs, crashes, is shut down: what becomes of its clients."""

from __future__ import annotations

from trioxmpp import Destroyed, Established, Resumed, StanzaState, StreamTimeout, Suspended


async def test_a_server_that_hangs_for_a_while_costs_nothing(venue, impatient):
    async with venue.person(**impatient) as ann, venue.person(**impatient) as ben:
        await ann.writes(ben, "one")
        venue.server.pause()
        try:
            tokens = [ann.writes(ben, "two"), ben.writes(ann, "three")]
            await ann.until(lambda: ann.story)
            await ben.until(lambda: ben.story)
        finally:
            venue.server.resume_process()
        for person in (ann, ben):
            await person.lives_through(Suspended, Resumed)
            assert isinstance(person.events[0].cause, StreamTimeout)
            await person.client.drain()
        await ben.reads("one", "two")
        await ann.reads("three")
        assert {token.state for token in tokens} == {StanzaState.ACKED}


async def test_a_server_that_crashes_finds_its_clients_back_when_it_is(venue):
    async with venue.person() as ann, venue.person() as ben:
        old = ann.writes(ben, "before")
        await old
        await ben.reads("before")
        await venue.server.restart()
        for person in (ann, ben):
            await person.lives_through(Suspended, Destroyed, Established)
            assert person.events[2].jid == person.client.jid
            assert person.client.stream.sm_resumable
        await ann.writes(ben, "after")
        await ben.reads("before", "after")
        assert old.state is StanzaState.ACKED
        assert ann.events[1].undelivered == ()


async def test_a_stanza_written_while_the_server_is_down_is_known_not_to_have_arrived(venue, nursery):
    async with venue.person() as ann:
        to = ann  # to ourselves, so that only one session matters
        nursery.start_soon(venue.server.restart)
        await ann.lives_through(Suspended)
        late = [ann.writes(to, str(n)) for n in range(3)]
        assert {token.state for token in late} == {StanzaState.ACTIVE}
        await ann.lives_through(Suspended, Destroyed, Established)
        assert {token.state for token in late} == {StanzaState.DISCONNECTED}
        assert ann.events[1].undelivered == tuple(late)
        for token in late:
            await ann.client.send(token.stanza)
        await ann.reads("0", "1", "2")


async def test_a_server_that_is_shut_down_in_order_and_comes_back(venue):
    async with venue.person() as ann, venue.person() as ben:
        await ann.writes(ben, "before")
        await ben.reads("before")
        await venue.server.shutdown()
        await ann.lives_through(Suspended)
        await venue.server.start()
        for person in (ann, ben):
            await person.until(lambda person=person: person.story[-1:] == [Established])
            assert person.story == [Suspended, Destroyed, Established]
        await ann.writes(ben, "after")
        await ben.reads("before", "after")
