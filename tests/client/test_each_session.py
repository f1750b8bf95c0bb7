"""The blocks that services enter for each session are left when the session is over."""

from __future__ import annotations

from contextlib import asynccontextmanager

from tests.dialogs import renewed, resumed
from trioxmpp import Destroyed, Established, Step


async def test_the_blocks_of_a_session_are_left_in_reverse_order_before_its_end_is_told(autojump_clock, road):
    story = []

    def block(name):
        @asynccontextmanager
        async def prepare(session):
            story.append(f"{name} begins")
            try:
                yield
            finally:
                story.append(f"{name} ends")

        return prepare

    def note(event):
        if isinstance(event, Destroyed | Established):
            story.append(type(event).__name__)

    async with road.connect() as client:
        client.on_event.connect(note)
        async with (
            client.each_session(Step.SYNC, block("roster")),
            client.each_session(Step.PRESENCE, block("presence")),
        ):
            await resumed(road.server, client)
            assert story == ["roster begins", "presence begins"]
            story.clear()
            await renewed(road.server, client)
            assert story == [
                "presence ends",
                "roster ends",
                "Destroyed",
                "roster begins",
                "presence begins",
                "Established",
            ]
            story.clear()
        assert sorted(story) == ["presence ends", "roster ends"]
