"""Inbound, outbound and requests, over live streams: every client in every scenario, in every round."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import traffic
from .harness import (
    BARE,
    BARE_WEBSOCKET,
    MANAGED,
    OWN,
    PLAIN_TCP,
    WEBSOCKET,
    Client,
    Kind,
    Measurement,
    Server,
    ask,
    begin,
    blast,
    finish,
    log_in,
    settled,
)
from .results import Results

#: The same library, with its other way to hand stanzas over.
INBOX = Kind("trioxmpp async for", (*OWN.command,))

#: In how many turns a client is measured within a round. One for which a lap is long has but one.
TURNS = 3
SLOW = 300


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
            size = traffic.size(self.lap)
            return blast(server, client, laps[self.lap], max(1, round(number / size)), size)
        hundreds = max(1, round(number / 100)) * 100
        return ask(server, client, self.task, hundreds, messages=hundreds if self.task == "out" else None)


SCENARIOS = (
    Scenario("inbound", "inbound, plain chat", PLAIN_TCP, lap="plain"),
    Scenario("inbound-new", "inbound, chat, new senders", PLAIN_TCP, lap="new"),
    Scenario("inbound-mix", "inbound, mix", PLAIN_TCP, lap="mix"),
    Scenario("inbound-mix-sm", "inbound, mix, SM, <r/> every 5", MANAGED, lap="mix-sm"),
    Scenario("outbound", "outbound", PLAIN_TCP, task="out"),
    Scenario("outbound-sm", "outbound, SM", MANAGED, task="out"),
    Scenario("ping", "requests, one at a time", PLAIN_TCP, task="ping"),
    Scenario("flood", "requests, 100 in flight", PLAIN_TCP, task="flood"),
)


#: Over WebSocket, where stream management is always there.
WEBSOCKET_SCENARIOS = (
    Scenario("websocket-inbound-mix-sm", "inbound, mix, SM, <r/> every 5", WEBSOCKET, lap="mix-sm"),
    Scenario("websocket-outbound-sm", "outbound, SM", WEBSOCKET, task="out"),
    Scenario("websocket-ping", "requests, one at a time", WEBSOCKET, task="ping"),
    Scenario("websocket-flood", "requests, 100 in flight", WEBSOCKET, task="flood"),
)


def measure(
    results: Results, server: Server, laps: dict[str, Path], peers: Sequence[Kind], rounds: int, seconds: float
) -> None:
    """Fill `results`. A client that fails is left out from then on, with a note."""
    _measure(results, server, laps, [BARE, OWN, INBOX, *peers], rounds, seconds, SCENARIOS)


def over_websocket(
    results: Results, server: Server, laps: dict[str, Path], peers: Sequence[Kind], rounds: int, seconds: float
) -> None:
    """The same over WebSocket, of those who speak it."""
    kinds = [BARE_WEBSOCKET, OWN, *(kind for kind in peers if kind.websocket)]
    if others := [kind.name for kind in peers if not kind.websocket]:
        results.note(f"without WebSocket: {', '.join(others)}")
    _measure(results, server, laps, kinds, rounds, seconds, WEBSOCKET_SCENARIOS)


def _measure(
    results: Results,
    server: Server,
    laps: dict[str, Path],
    kinds: list[Kind],
    rounds: int,
    seconds: float,
    scenarios: Sequence[Scenario],
) -> None:
    for turn in range(rounds):
        what = "websocket" if scenarios is WEBSOCKET_SCENARIOS else "streams"
        print(f"  {what}, round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        with ExitStack() as stack:
            clients = list(_start(results, server, stack, kinds, turn, scenarios))
            # Another order in each round, so that no client always comes after the same one.
            clients = clients[turn % len(clients) :] + clients[: turn % len(clients)]
            for scenario in scenarios:
                takers = [
                    client
                    for client, role in clients
                    if role == scenario.role and (scenario.lap or client.kind is not INBOX) and client.kind in kinds
                ]
                _compare(results, kinds, server, laps, scenario, takers, seconds)
        server.forget()


def _start(
    results: Results, server: Server, stack: ExitStack, kinds: list[Kind], turn: int, scenarios: Sequence[Scenario]
) -> Iterator[tuple[Client, int]]:
    started = []
    for role in dict.fromkeys(scenario.role for scenario in scenarios):
        for index, kind in enumerate(kinds):
            resource = f"t{turn}.{role}.{index}"
            option = "inbox" if kind is INBOX else "websocket" if role == WEBSOCKET else None
            options = ["serve", 1, option] if option else []
            client = stack.enter_context(kind.start(server.ports[role], resource, *options))
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
    if kind in (OWN, INBOX, BARE, BARE_WEBSOCKET):
        raise ChildProcessError(f"{kind.name} {why}")
    results.note(f"{kind.name} {why}")
    if kind in kinds:
        kinds.remove(kind)


def _compare(
    results: Results,
    kinds: list[Kind],
    server: Server,
    laps: dict[str, Path],
    scenario: Scenario,
    clients: list[Client],
    seconds: float,
) -> None:
    """Have each client warm up; then measure one after the other, in several short turns; note the medians."""
    numbers: dict[Client, int] = {}
    measured: dict[Client, list[Measurement]] = {}
    for turn in range(1 + TURNS):
        for client in clients:
            try:
                if not turn:
                    numbers[client] = _warm_up(server, laps, client, scenario, seconds / TURNS)
                elif client.kind in kinds and (numbers[client] >= SLOW or turn == 1):
                    measured.setdefault(client, []).append(scenario.run(server, client, laps, numbers[client]))
            except (ChildProcessError, TimeoutError) as exc:
                _failed(results, kinds, client.kind, f"failed in {scenario.name}: {exc}")
                numbers[client] = 0
                measured.pop(client, None)
    for client, turns in measured.items():
        results.add(scenario.name, client.kind.name, **_medians(turns))


def _warm_up(server: Server, laps: dict[str, Path], client: Client, scenario: Scenario, seconds: float) -> int:
    """Do it for a while; return how many will take so long."""
    first = scenario.run(server, client, laps, 200 if scenario.task else traffic.LAP)
    if first.wall < client.kind.warm_up:
        first = scenario.run(server, client, laps, _fitting(first, client.kind.warm_up))
    return _fitting(first, seconds)


def _medians(turns: list[Measurement]) -> dict[str, float]:
    quantities: dict[str, list[float]] = {}
    for turn in turns:
        for name, value in {
            "cpu": turn.cpu_us,
            "wall": turn.wall_us,
            "server": turn.server / turn.count * 1e6,
            "server-busy": turn.server / turn.wall,
        }.items():
            quantities.setdefault(name, []).append(value)
        if len(words := turn.text.split()) == 3:  # done p50 p99
            for name, word in zip(("p50", "p99"), words[1:], strict=True):
                quantities.setdefault(name, []).append(float(word))
    return {name: statistics.median(values) for name, values in quantities.items()}


def _fitting(before: Measurement, seconds: float) -> int:
    """How many will take so long, going by the last time."""
    return max(200, int(seconds / (before.wall / before.count)))


def held(results: Results, server: Server, laps: dict[str, Path], seconds: float) -> None:
    """For how long the loop is held by each scenario: a task in the client looks, so the costs are not comparable."""
    print("  how long the loop is held", file=sys.stderr, flush=True)
    for role in (PLAIN_TCP, MANAGED, WEBSOCKET):
        option = "websocket probe" if role == WEBSOCKET else "probe"
        with OWN.start(server.ports[role], "held", "serve", 1, option) as client:
            log_in(server, client, "held")
            for scenario in (*SCENARIOS, *WEBSOCKET_SCENARIOS):
                if scenario.role == role:
                    number = _warm_up(server, laps, client, scenario, seconds)
                    ask(server, client, "held", 1)
                    scenario.run(server, client, laps, number)
                    _, clock, cpu = ask(server, client, "held", 1).text.split()
                    results.add(scenario.name, OWN.name, held=float(clock), held_cpu=float(cpu))
        server.forget()


def deep_queue(results: Results, server: Server, peers: Sequence[Kind], depth: int) -> None:
    """Outbound while the server acknowledges nothing: `depth` stanzas wait, most of them to be sent."""
    number = 5000
    for kind in (OWN, *(peer for peer in peers if peer.name == "slixmpp")):
        print(f"  unacked queue, {kind.name}", file=sys.stderr, flush=True)
        with kind.start(server.ports[MANAGED], "queue") as client:
            log_in(server, client, "queue")
            ask(server, client, "out", 1000)
            before = ask(server, client, "out", number, messages=number)
            empty = client.rss()
            server.tell(f"acks {client.conn} 0")
            begin(server, client, "out", depth)
            held = settled(client) - empty
            server.tell(f"acks {client.conn} 1")
            deep = finish(server, client, depth)
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
