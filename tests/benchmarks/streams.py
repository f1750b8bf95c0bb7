"""Inbound, outbound and requests, over live streams: every client in every scenario, in every round."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import traffic
from .harness import BARE, MANAGED, OWN, PLAIN_TCP, Client, Kind, Measurement, Server, ask, blast, log_in
from .results import Results

#: The same library, with its other way to hand stanzas over.
INBOX = Kind("trioxmpp inbox", (*OWN.command,))

Task = Callable[[Server, Client, int], Measurement]


@dataclass(frozen=True)
class Scenario:
    """One thing to be measured: on which port, what is done, and in what units."""

    name: str
    title: str
    role: int
    lap: str = ""
    task: str = ""

    def run(self, server: Server, client: Client, laps: dict[str, Path], number: int) -> Measurement:
        """Do it about `number` times: whole laps, or hundreds."""
        if self.lap:
            return blast(server, client, laps[self.lap], max(1, round(number / traffic.LAP)), traffic.LAP)
        hundreds = max(1, round(number / 100)) * 100
        return ask(server, client, self.task, hundreds, messages=hundreds if self.task == "out" else None)


SCENARIOS = (
    Scenario("inbound", "inbound, plain chat", PLAIN_TCP, lap="plain"),
    Scenario("inbound-mix", "inbound, mix", PLAIN_TCP, lap="mix"),
    Scenario("inbound-mix-sm", "inbound, mix, SM, <r/> every 5", MANAGED, lap="mix-sm"),
    Scenario("outbound", "outbound", PLAIN_TCP, task="out"),
    Scenario("outbound-sm", "outbound, SM", MANAGED, task="out"),
    Scenario("ping", "requests, one at a time", PLAIN_TCP, task="ping"),
    Scenario("flood", "requests, 100 in flight", PLAIN_TCP, task="flood"),
)


def measure(
    results: Results, server: Server, laps: dict[str, Path], peers: Sequence[Kind], rounds: int, seconds: float
) -> None:
    """Fill `results`. A client that fails is left out from then on, with a note."""
    kinds = [BARE, OWN, INBOX, *peers]
    for turn in range(rounds):
        print(f"  streams, round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        with ExitStack() as stack:
            clients = list(_start(results, server, stack, kinds, turn))
            # Another order in each round, so that nobody always comes after the same one.
            clients = clients[turn % len(clients) :] + clients[: turn % len(clients)]
            for scenario in SCENARIOS:
                for client, role in clients:
                    if role != scenario.role or (client.kind is INBOX and not scenario.lap):
                        continue
                    if client.kind not in kinds:
                        continue
                    try:
                        _one(results, server, laps, client, scenario, seconds)
                    except (ChildProcessError, TimeoutError, OSError) as exc:
                        _failed(results, kinds, client.kind, f"failed in {scenario.name}: {exc}")
        server.forget()


def _start(
    results: Results, server: Server, stack: ExitStack, kinds: list[Kind], turn: int
) -> Iterator[tuple[Client, int]]:
    started = []
    for role in (PLAIN_TCP, MANAGED):
        for index, kind in enumerate(kinds):
            resource = f"t{turn}.{role}.{index}"
            option = ["serve", 1, "inbox"] if kind is INBOX else []
            client = stack.enter_context(kind.start(server.ports[role], resource, *option))
            started.append((client, role, resource))
    for client, role, resource in started:
        try:
            log_in(server, client, resource)
        except (ChildProcessError, TimeoutError, OSError) as exc:
            _failed(results, kinds, client.kind, f"did not log in: {exc}")
        else:
            yield client, role


def _failed(results: Results, kinds: list[Kind], kind: Kind, why: str) -> None:
    """Go on without this client; not without our own, or what it is measured against."""
    if kind in (OWN, INBOX, BARE):
        raise ChildProcessError(f"{kind.name} {why}")
    results.note(f"{kind.name} {why}")
    if kind in kinds:
        kinds.remove(kind)


def _one(
    results: Results, server: Server, laps: dict[str, Path], client: Client, scenario: Scenario, seconds: float
) -> None:
    first = scenario.run(server, client, laps, 200 if scenario.task else traffic.LAP)
    if first.wall < client.kind.warm_up:
        first = scenario.run(server, client, laps, _fitting(first, client.kind.warm_up))
    measured = scenario.run(server, client, laps, _fitting(first, seconds))
    quantities = {
        "cpu": measured.cpu_us,
        "wall": measured.wall_us,
        "server": measured.server / measured.count * 1e6,
        "server-busy": measured.server / measured.wall,
    }
    if scenario.task == "ping":
        p50, p99 = map(float, measured.text.split()[1:3])
        quantities |= {"p50": p50, "p99": p99}
    results.add(scenario.name, client.kind.name, **quantities)


def _fitting(before: Measurement, seconds: float) -> int:
    """How many will take so long, going by the last time."""
    return max(200, int(seconds / (before.wall / before.count)))


def deep_queue(results: Results, server: Server, peers: Sequence[Kind], depth: int) -> None:
    """Outbound while the server acknowledges nothing, at the beginning and when `depth` stanzas are in flight."""
    number = 5000
    for kind in (OWN, *(peer for peer in peers if peer.name == "slixmpp")):
        print(f"  unacked queue, {kind.name}", file=sys.stderr, flush=True)
        with kind.start(server.ports[MANAGED], "queue") as client:
            log_in(server, client, "queue")
            ask(server, client, "out", 1000)
            ask(server, client, "out", number)
            server.tell(f"acks {client.conn} 0")
            before = ask(server, client, "out", number, messages=number)
            ask(server, client, "out", depth - number, messages=depth - number)
            deep = ask(server, client, "out", number, messages=number)
            held = client.rss()
            server.tell(f"acks {client.conn} 1")
            after = ask(server, client, "out", number, messages=number)
            results.add(
                "unacked-queue",
                kind.name,
                cpu=before.cpu_us,
                deep=deep.cpu_us,
                settle=after.cpu_us,
                held=held / depth,
            )
        server.forget()
