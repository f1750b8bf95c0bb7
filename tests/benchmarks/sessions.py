"""Sessions as such: what it costs to get one, to have many, and to have one for long."""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import traffic
from .harness import BARE, MANAGED, OWN, PLAIN_TCP, TLS_PLAIN, TLS_SCRAM, Kind, Server, blast, log_in, settled
from .results import Results

WAYS = {"connect-scram": PLAIN_TCP, "connect-tls-plain": TLS_PLAIN, "connect-tls-scram": TLS_SCRAM}


def connecting(
    results: Results, server: Server, peers: Sequence[Kind], rounds: int, cycles: int, ca: Path | None
) -> None:
    """Come and go: CPU time of the client per cycle, and wall time from its connection to its first presence."""
    for turn in range(rounds):
        print(f"  connecting, round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        for scenario, role in WAYS.items():
            if role != PLAIN_TCP and ca is None:
                continue
            for kind in (BARE, OWN, *peers):
                if role == PLAIN_TCP or kind.name not in ("bare limit", "nbxmpp"):
                    _connect(results, server, kind, scenario, role, cycles, ca)


def _connect(
    results: Results, server: Server, kind: Kind, scenario: str, role: int, cycles: int, ca: Path | None
) -> None:
    option = [ca] if role != PLAIN_TCP else []
    if any(note.startswith(f"{kind.name} cannot {scenario}") for note in results.notes):
        return
    with kind.start(server.ports[role], "cycle", "connect", cycles, *option) as client:
        client.wait_up()
        server.tell(f"watch {client.pid}")
        client.go()
        try:
            ready, begun = [], time.monotonic()
            while len(ready) < cycles and (len(ready) < 4 or time.monotonic() - begun < 1.5):
                ready.append(server.expect("ready", lambda event: event["resource"] == "cycle", 10))
        except (ChildProcessError, TimeoutError):
            if kind is OWN:
                client.check()
                raise
            results.note(f"{kind.name} cannot {scenario} here")
            return
        finally:
            server.forget()
        stamps = [event["cpu"] for event in ready]
        results.add(
            scenario,
            kind.name,
            cpu=statistics.median(b - a for a, b in itertools.pairwise(stamps)) * 1e6,
            wall=statistics.median(event["wall"] for event in ready) * 1e6,
        )


#: Seconds of silence after which a session is idle, for all clients.
IDLE = 6.0


def idle(results: Results, server: Server, kind: Kind, number: int) -> None:
    """Resident memory of these idle sessions in one process, over what it has without any."""
    print(f"  {number} idle sessions, {kind.name}", file=sys.stderr, flush=True)
    try:
        with kind.start(server.ports[MANAGED], "idle", "idle", number) as client:
            client.wait_up()
            before = client.rss()
            client.go()
            for _ in range(number):
                server.expect("ready", patience=30)
            time.sleep(IDLE)
            held = settled(client)
            results.add(f"idle-{number}", kind.name, kib=(held - before) / number / 1024, base=before / 1024)
    except (ChildProcessError, TimeoutError) as exc:
        if kind is OWN:
            raise
        results.note(f"{kind.name} failed with {number} idle sessions: {exc}")
    finally:
        time.sleep(0.2)  # for the server to see that they are gone
        server.tell("stats")
        server.expect("stats")
        server.forget()


def growth(results: Results, server: Server, laps: dict[str, Path], total: int) -> None:
    """Memory and cost of one session while `total` messages arrive, by tenths."""
    print(f"  {total} messages inbound", file=sys.stderr, flush=True)
    step = max(1, total // 10 // traffic.LAP)
    with OWN.start(server.ports[MANAGED], "long") as client:
        log_in(server, client, "long")
        blast(server, client, laps["mix-sm"], 10, traffic.LAP)
        for _ in range(10):
            measured = blast(server, client, laps["mix-sm"], step, traffic.LAP)
            results.add("growth", OWN.name, cpu=measured.cpu_us, mib=client.rss() / 2**20)
    server.forget()
