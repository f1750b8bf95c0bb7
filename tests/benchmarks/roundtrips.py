"""From "link lost" to "resumed" on a link with 100 ms of latency, in virtual time: exact, and the same everywhere."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import trio
import trio.testing

import trioxmpp
from trioxmpp import ReconnectPolicy, Resumed
from trioxmpp.testing import Faults, open_server
from trioxmpp.testing.network import LatentEndpoint

from .results import Results

ROUND_TRIP = 0.1


@dataclass(frozen=True)
class Way:
    """The features of the server: SASL2, tokens, an older TLS, a server that has forgotten its TLS sessions.

    `broke` says that the last attempt has gone wrong.
    """

    title: str
    sasl2: bool = False
    fast: bool = False
    broke: bool = False
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    forgets: bool = False


WAYS = {
    "old": Way("SASL, resumption, TLS 1.2 from the beginning", version=ssl.TLSVersion.TLSv1_2, forgets=True),
    "old-tls": Way("SASL, resumption, TLS 1.2 with a TLS session", version=ssl.TLSVersion.TLSv1_2),
    "classic": Way("SASL, resumption"),
    "sasl2": Way("SASL2 with inline resumption", sasl2=True),
    "fast": Way("FAST, features awaited", sasl2=True, fast=True, broke=True),
    "flight": Way("FAST, in one flight", sasl2=True, fast=True),
}


def measure(results: Results) -> None:
    """Each of the `WAYS`."""
    for name, way in WAYS.items():
        seconds = trio.run(_resume, way, clock=trio.testing.MockClock(autojump_threshold=0))
        results.add(f"resume-{name}", "trioxmpp", wall=seconds, trips=round(seconds / ROUND_TRIP))


async def _resume(way: Way) -> float:
    """Seconds from setting out, over STARTTLS, to being back."""
    async with open_server(starttls="required") as server, trio.open_nursery() as nursery:
        server.policy.sasl2, server.policy.fast = way.sasl2, ("HT-SHA-256-NONE",) if way.fast else ()
        road = LatentEndpoint(server, nursery, ROUND_TRIP)
        tls = server.client_tls_context()
        tls.maximum_version = way.version
        async with (
            trioxmpp.connect(
                "romeo@example.test",
                "secret",
                endpoint=road.endpoint,
                tls=tls,
                reconnect=ReconnectPolicy(initial=1.0, maximum=1.0),
            ) as client,
            client.events() as events,
        ):
            if way.forgets:
                server.authority.forget_sessions()
            if way.broke:
                server.plan(Faults(cut_in=600))  # in the middle of what it says along with the header
            server.links[-1].reset()
            while not isinstance(await anext(events), Resumed):
                pass
            seconds = trio.current_time() - road.began
        nursery.cancel_scope.cancel()
    return seconds
