"""``make bench-scale``: many sessions in one process, and what one more of something costs.

    python -m tests.benchmarks.scale [--sessions N] [--largest N] [--only alive|sessions|handlers|pending|subscriptions]

First, N sessions live in one process until each of them has asked the server, more than once, whether it is still
there. Then a process gets 10, 100, 1,000, 10,000 handlers, pending requests, subscriptions, sessions, and each time it
is measured what one more of them cost, and what they do to a session that has nothing to do with them: the CPU time of
an inbound message, and of a request. Flat means that at 10,000 these cost no more than 1.5 times what they cost at 10
(one more: at 100); the processor's caches are smaller than 10,000 sessions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

from . import traffic
from .harness import BUILD, CLIENTS, MANAGED, OWN, PLAIN_TCP, ROOT, Kind, Server, Unavailable, ask, blast, log_in
from .results import Results
from .tables import table

KINDS = ("handlers", "pending", "subscriptions", "sessions")
SIZES = (10, 100, 1_000, 10_000)
#: Seconds of silence after which a session asks whether the server is there.
SOFT_TIMEOUT = 10
FLAT = 1.5

SCALE = Kind("trioxmpp", (sys.executable, str(CLIENTS / "client_scale.py")))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description="Many of everything.")
    parser.add_argument("--sessions", type=int, default=5_000, help="how many are kept alive")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="how long the curves are")
    parser.add_argument("--only", action="append", choices=("alive", *KINDS))
    options = parser.parse_args()
    wanted = options.only or ("alive", *KINDS)
    results = Results(versions={"trioxmpp": version("trioxmpp")})
    try:
        server = Server()
    except Unavailable as exc:
        sys.exit(f"no benchmark: {exc}")
    laps = traffic.write(BUILD)
    is_good = True
    if "alive" in wanted:
        is_good &= alive(results, server, options.sessions)
    for kind in KINDS:
        if kind in wanted:
            sizes = [size for size in SIZES if size <= options.largest]
            for turn in range(1 if kind == "sessions" else 3):
                curve(results, server, laps["plain"], kind, sizes, turn)
            is_good &= show(results, kind, sizes)
    server.close()
    path = ROOT / "build" / "bench-scale.json"
    path.write_text(json.dumps(results.json(), indent=1) + "\n")
    print(f"\nevery number: {path.relative_to(ROOT)}")
    if not is_good:
        sys.exit(1)


def alive(results: Results, server: Server, number: int) -> bool:
    """Return whether all of these sessions are still there after each has asked twice for a sign of life."""
    with OWN.start(server.ports[MANAGED], "alive", "idle", number, SOFT_TIMEOUT) as client:
        client.wait_up()
        server.tell(f"watch {client.pid}")
        before, begun = client.rss(), time.monotonic()
        client.go()
        for count in range(number):
            event = server.expect("ready", patience=30)
            if count % 1000 == 999:
                print(f"  {count + 1} sessions", file=sys.stderr, flush=True)
        took = time.monotonic() - begun
        kib = (client.rss() - before) / number / 1024
        first = _stats(server)
        asked, least, deadline = 0, 0, time.monotonic() + 4 * SOFT_TIMEOUT + took
        while least < 2 and time.monotonic() < deadline:
            time.sleep(SOFT_TIMEOUT / 2)
            now = _stats(server, reset=False)
            asked, least = now["asked"], now["least"]
        lost = number - now["open"]
        cpu = (now["cpu"] - first["cpu"]) / max(asked, 1) * 1e6
        results.add(
            "alive", OWN.name, sessions=number, lost=lost, kib=kib, connect=event["cpu"] / number * 1e3, ask=cpu
        )
        rows = [
            ["sessions", str(number)],
            ["connected within", f"{took:.1f} s ({event['cpu'] / number * 1e3:.2f} ms of CPU each)"],
            ["memory each", f"{kib:.1f} kB"],
            [
                "asked for a sign of life",
                f"{asked} times, each session at least {least} times ({cpu:.0f} us of CPU each)",
            ],
            ["lost", str(lost)],
        ]
        print("\n" + table(f"Idle sessions, silent for {SOFT_TIMEOUT} seconds before they ask", ["", ""], rows))
    time.sleep(1)
    server.forget()
    return lost == 0 and least >= 2


def _stats(server: Server, *, reset: bool = True) -> dict[str, float]:
    server.tell("reset" if reset else "stats")
    return server.expect("stats")


def curve(results: Results, server: Server, lap: Path, kind: str, sizes: list[int], turn: int) -> None:
    """One process with more and more of `kind`."""
    print(f"  {kind}, round {turn + 1}", file=sys.stderr, flush=True)
    with SCALE.start(server.ports[PLAIN_TCP], f"scale{turn}") as client:
        log_in(server, client, f"scale{turn}")
        blast(server, client, lap, 5, traffic.LAP)
        ask(server, client, "ping", 300)
        have = 0
        for size in sizes:
            held = client.rss()
            added = ask(server, client, kind, size)
            grown, more = client.rss() - held, size - have
            have = size
            inbound = [blast(server, client, lap, 4, traffic.LAP).cpu_us for _ in range(3)]
            requests = [ask(server, client, "ping", 300).cpu_us for _ in range(3)]
            results.add(
                kind,
                str(size),
                add=added.cpu / more * 1e6,
                own=(added.cpu - float(added.text.split()[1])) / more * 1e6,
                kib=grown / more / 1024,
                inbound=statistics.median(inbound),
                request=statistics.median(requests),
            )
    time.sleep(1)
    server.forget()


def show(results: Results, kind: str, sizes: list[int]) -> bool:
    """Print a curve, and tell whether it is flat."""
    quantities = {
        "add": "us for one more",
        "own": "without collector",
        "kib": "kB each",
        "inbound": "us per message",
        "request": "us per request",
    }
    rows, is_flat = [], True
    for size in sizes:
        spreads = [results.spread(kind, str(size), quantity) for quantity in quantities]
        rows.append([f"{size}", *(spread.text() if spread else "-" for spread in spreads)])
    verdicts = ["is it flat?"]
    for quantity in quantities:
        # Python's garbage collector goes over all objects now and then, whichever client made them.
        if quantity in ("add", "kib"):
            verdicts.append("")
            continue
        # To add ten is to do hardly more than to be asked for it.
        first = sizes[min(1, len(sizes) - 1)] if quantity == "own" else sizes[0]
        ratio = results.ratio(kind, str(sizes[-1]), str(first), quantity)
        assert ratio is not None
        verdicts.append(f"{ratio.median:.2f}: {'flat' if ratio.median <= FLAT else 'NOT flat'}")
        is_flat &= ratio.median <= FLAT
    print("\n" + table(f"With so many {kind}", ["", *quantities.values()], [*rows, verdicts]))
    return is_flat


if __name__ == "__main__":
    main()
