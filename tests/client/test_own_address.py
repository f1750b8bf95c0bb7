"""The address of a client is known to everything that runs while its services set a session up."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager

from tests.dialogs import renewed
from trioxmpp import JID, Presence, Step
from trioxmpp.client import Stage
from trioxmpp.protocol.elements.roster import Item, RosterQuery, RosterSet


async def test_a_stage_knows_our_address_before_the_application_has_the_session(autojump_clock, road):
    seen = []

    def note(presence):
        seen.append((str(client_of[0].jid), client_of[0].established))
        return presence

    client_of = []

    @asynccontextmanager
    async def shows_presence(client):
        client_of.append(client)

        async def prepare(session):
            await session.request(RosterQuery())
            await session.send(Presence())
            await session.request(RosterQuery())  # answered behind the reflected presence

        with client.at_stage(Stage.NOTICE, presence=note):
            async with client.each_session(Step.PRESENCE, prepare):
                yield

    async with road.connect(services=[shows_presence]) as client:
        assert seen == [("romeo@example.test/orchard", False)]
        await renewed(road.server, client)
        assert len(seen) == 2


async def test_a_push_is_accepted_before_the_application_has_the_session(autojump_clock, road):
    pushed = []

    @asynccontextmanager
    async def keeps_contacts(client):
        async def prepare(session):
            await session.request(RosterQuery())
            await session.request(RosterSet(items=(Item(jid=JID.parse("tybalt@example.test")),)))
            await session.request(RosterQuery())

        async with AsyncExitStack() as stack:
            stack.enter_context(client.answer(RosterSet, pushed.append, from_=client.own_account))
            await stack.enter_async_context(client.each_session(Step.SYNC, prepare))
            yield

    async with road.connect(services=[keeps_contacts]):
        assert len(pushed) == 1
