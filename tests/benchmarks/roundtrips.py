"""From "link lost" to "resumed" on a link with 100 ms of latency, in virtual time: exact, and the same everywhere."""

from __future__ import annotations

import trio
import trio.testing

import trioxmpp
from trioxmpp import ReconnectPolicy, Resumed
from trioxmpp.testing import Faults, open_server
from trioxmpp.testing.slowroad import SlowRoad

from .results import Results

ROUND_TRIP = 0.1

#: What there is: its title, whether the server has SASL2, tokens, and whether the last attempt has gone wrong.
WAYS = {
    "classic": ("SASL, resumption", False, False, False),
    "sasl2": ("SASL2 with inline resumption", True, False, False),
    "fast": ("FAST, features awaited", True, True, True),
    "flight": ("FAST, in one flight", True, True, False),
}


def measure(results: Results) -> None:
    """Each of the `WAYS`."""
    for name, (_, sasl2, fast, broke) in WAYS.items():
        seconds = trio.run(_resume, sasl2, fast, broke, clock=trio.testing.MockClock(autojump_threshold=0))
        results.add(f"resume-{name}", "trioxmpp", wall=seconds, trips=round(seconds / ROUND_TRIP))


async def _resume(sasl2: bool, fast: bool, broke: bool) -> float:
    """Seconds from setting out, over STARTTLS and TLS 1.3, to being back."""
    async with open_server(starttls="required") as server, trio.open_nursery() as nursery:
        server.policy.sasl2, server.policy.fast = sasl2, ("HT-SHA-256-NONE",) if fast else ()
        road = SlowRoad(server, nursery, ROUND_TRIP)
        async with (
            trioxmpp.connect(
                "romeo@example.test",
                "secret",
                endpoint=road.endpoint,
                tls=server.client_tls_context(),
                reconnect=ReconnectPolicy(initial=1.0, maximum=1.0),
            ) as client,
            client.events() as events,
        ):
            if broke:
                server.plan(Faults(cut_in=600))  # in the middle of what it says along with the header
            server.links[-1].reset()
            while not isinstance(await anext(events), Resumed):
                pass
            seconds = trio.current_time() - road.began
        nursery.cancel_scope.cancel()
    return seconds
