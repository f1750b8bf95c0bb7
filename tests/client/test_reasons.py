"""That a client which lost its session tells why."""

from __future__ import annotations

import pytest

from trioxmpp import Destroyed, DestructionRequested, StreamNegotiationFailure, Suspended
from trioxmpp.testing import Faults


@pytest.mark.parametrize("refusal", ["with-h", "without-h"])
async def test_why_a_session_was_destroyed_is_part_of_the_event(autojump_clock, road, refusal):
    """X08: aioxmpp's client says that it was, and not why."""
    async with road.connect() as client, client.events() as events:
        road.server.plan(Faults(refuse_resume=refusal))
        road.session().link.reset()
        suspended = await anext(events)
        assert isinstance(suspended, Suspended)
        assert isinstance(suspended.cause, ConnectionError)
        destroyed = await anext(events)
        assert isinstance(destroyed, Destroyed)
        assert isinstance(destroyed.reason, StreamNegotiationFailure)
        assert "item-not-found" in str(destroyed.reason)


async def test_that_it_was_our_own_wish_is_a_reason_too(autojump_clock, road):
    reasons: list[Exception] = []
    async with road.connect() as client:
        client.stream.on_stream_destroyed.connect(reasons.append)
    assert [type(reason) for reason in reasons] == [DestructionRequested]
