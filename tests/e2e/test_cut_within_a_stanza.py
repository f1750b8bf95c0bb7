"""The link breaks in the middle of much that is being sent. Not every server can go on behind half a stanza."""

from __future__ import annotations

import pytest
import trio

from trioxmpp import Destroyed, Established, Resumed, StanzaState, Suspended

PADDING = "x" * 500


@pytest.mark.parametrize("after", [18_000, 25_500, 33_000, 40_000])
async def test_whatever_the_server_makes_of_it_we_are_back_soon(venue, impatient, after):
    """Prosody 0.12 reads what comes after a resumption as the rest of what it had read half of. Then it may call the
    stream not well-formed, and forget the session; or nothing of what we send is ever heard, until we forget it.
    """
    async with venue.relay() as relay, venue.person(endpoint=relay.endpoint, **impatient) as ann, venue.person() as ben:
        relay.reset(after=after)
        tokens = [ann.writes(ben, f"{n} {PADDING}") for n in range(100)]
        with trio.fail_after(15):
            await ann.client.drain()
            await ann.client.wait_established()
            last = ann.writes(ben, "last")
            await last
        await ben.until(lambda: "last" in ben.got)

        assert last.state is StanzaState.ACKED
        got = [body for body in ben.got if body != "last"]
        acked = [f"{n} {PADDING}" for n in range(100) if tokens[n].state is StanzaState.ACKED]
        assert len(set(got)) == len(got)
        assert set(acked) <= set(got)
        assert sorted(got, key=lambda body: int(body.split()[0])) == got
        destroyed = [event for event in ann.events if isinstance(event, Destroyed)]
        assert len(destroyed) <= 1
        lost = [token for token in tokens if token.state is not StanzaState.ACKED]
        assert lost == [token for event in destroyed for token in event.undelivered]
        if destroyed:
            assert ann.story[-3:] == [Suspended, Destroyed, Established]
        else:
            assert set(ann.story) == {Suspended, Resumed}
