"""``make bench``: what a stanza costs, here and in other libraries, and what the machine allows.

    python -m tests.benchmarks [--quick] [--only SECTION ...] [--rounds N] [--without PEER ...]

How to read these numbers
-------------------------

CPU time is that of the client's process alone, taken by the server from the clock of that process: from just before
the first byte of a task is sent to it until its application's answer has been read. All clients are measured alike.
Wall time includes the way through the kernel, and the server, which is in C and needs a fraction of what any client
does; how much it was is told below the tables, for this very run.

Each round starts fresh processes and takes every client in turn through every scenario, three short times each, so
that what is compared was measured within seconds of each other. On a machine that others use too, read the *ratios*:
each is the median of the ratios within rounds, with the lowest and the highest in parentheses. A ratio whose
parentheses span the target proves nothing.

The upper floors (rosters, rooms, archives, uploads, components) have a peer in Python, which needs no compiler; their
clients measure themselves, in a fresh process each time.

``bare limit`` is a trio loop with lxml's pull parser and code written by hand for just this traffic, which checks
nothing: what Python and lxml allow; over WebSocket, with trio-websocket beneath it, and a document for each message.
``parser alone`` and ``parser, by hand`` are the same without a network. ``mix`` is what a client of today gets
(traffic.py). ``trioxmpp`` hands stanzas to callbacks, ``trioxmpp async for`` to tasks. A peer that cannot be
installed, or speaks no WebSocket, is left out, with a note. ``build/bench.json`` has every single number.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from . import floors, local, peers, report, roundtrips, sessions, streams, traffic
from .harness import BARE, BUILD, OWN, ROOT, Kind, Server, Unavailable, certificate
from .results import Results

#: The sections by what they need: the server, which a compiler makes; the scripted peer; or neither.
WITH_SERVER = ("streams", "held", "websocket", "queue", "connect", "idle", "growth")
WITH_PEER = ("roster", "disco", "presence", "rooms", "archive", "upload", "component")
ALONE = ("resume", "import", "elements", "limits", "omemo")
SECTIONS = (*WITH_SERVER, *ALONE, *WITH_PEER)

Sections = dict[str, Callable[[], None]]


def main() -> None:
    options = _options()
    wanted = set(options.only or SECTIONS)
    begun = time.monotonic()
    results = Results(versions={"Python": platform.python_version()})
    for name in ("trioxmpp", "trio", "lxml"):
        results.versions[name] = version(name)
    _run(results, wanted, options)
    results.note(f"took {time.monotonic() - begun:.0f} seconds")
    path = ROOT / "build" / ("bench.json" if wanted == set(SECTIONS) else "bench-part.json")
    path.write_text(json.dumps(results.json(), indent=1) + "\n")
    print(report.render(results))
    print(f"\nevery number: {path.relative_to(ROOT)}")
    if any(note.startswith("FAILED") for note in results.notes):
        sys.exit(1)


def _run(results: Results, wanted: set[str], options: argparse.Namespace) -> None:
    rounds = options.rounds or (2 if options.quick else 4)
    others = _peers(results, options) if wanted - set(ALONE) else []
    BUILD.mkdir(parents=True, exist_ok=True)
    laps = traffic.write(BUILD)
    with ExitStack() as stack:
        sections: Sections = {
            "resume": lambda: roundtrips.measure(results),
            "import": lambda: local.importing(results, 5 if options.quick else 11),
            "elements": lambda: local.elements(results, rounds),
            "limits": lambda: local.limits(results, laps, rounds),
            "omemo": lambda: local.omemo(results, rounds, 100 if options.quick else 1_000),
        }
        if missing := [name for name in WITH_SERVER if name in wanted]:
            try:
                server, ca = _server(results)
            except Unavailable as exc:
                results.note(f"without {', '.join(missing)}, which need a compiler: {exc}")
            else:
                stack.callback(server.close)
                sections |= _with_server(results, server, ca, others, laps, rounds, options.quick)
        if wanted & set(WITH_PEER):
            peer = stack.enter_context(floors.peer(results))
            sections |= floors.sections(results, peer, others, rounds, quick=options.quick)
        for name in SECTIONS:
            if name in wanted and name in sections:
                try:
                    sections[name]()
                except Unavailable as exc:
                    results.note(f"without {name}: {exc}")
                except (OSError, subprocess.SubprocessError) as exc:  # of which a client that fails is one
                    results.note(f"FAILED: {name}: {exc}")


def _with_server(
    results: Results,
    server: Server,
    ca: Path | None,
    others: list[Kind],
    laps: dict[str, Path],
    rounds: int,
    quick: bool,
) -> Sections:
    """The sections in which the server in C sends and counts."""
    seconds = 0.15 if quick else 0.3

    def idle() -> None:
        for number in (1, 200, 1000):
            for kind in (BARE, OWN):
                sessions.idle(results, server, kind, number)
        for kind in () if quick else others:
            sessions.idle(results, server, kind, 100)

    return {
        "streams": lambda: streams.measure(results, server, laps, others, rounds, seconds),
        "held": lambda: streams.held(results, server, laps, seconds),
        "websocket": lambda: streams.over_websocket(results, server, laps, others, rounds, seconds),
        "queue": lambda: streams.deep_queue(results, server, [] if quick else others, 20_000 if quick else 100_000),
        "connect": lambda: sessions.connecting(results, server, others, 1 if quick else 2, 6 if quick else 15, ca),
        "idle": idle,
        "growth": lambda: sessions.growth(results, server, laps, 100_000 if quick else 1_000_000),
    }


def _peers(results: Results, options: argparse.Namespace) -> list[Kind]:
    kinds = []
    for name, kind, text in peers.have(lambda name: name not in options.without):
        if kind is None:
            results.note(f"without {name}: {text}")
        else:
            kinds.append(kind)
            results.versions[name] = text
    return kinds


def _server(results: Results) -> tuple[Server, Path | None]:
    """The server, with TLS if it can be had, and the file that vouches for it."""
    try:
        *pair, ca = certificate()
        return Server(pair), ca
    except (ImportError, Unavailable) as exc:
        results.note(f"no TLS: {exc}")
        return Server(), None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="What a stanza costs.")
    parser.add_argument("--quick", action="store_true", help="a minute or two: fewer rounds, fewer stanzas")
    parser.add_argument(
        "--only", action="append", choices=SECTIONS, metavar="SECTION", help=f"one of {', '.join(SECTIONS)}"
    )
    parser.add_argument("--rounds", type=int, help="how many")
    parser.add_argument("--without", action="append", default=[], metavar="PEER", help="leave this peer out")
    options = parser.parse_args()
    assert OWN.name == report.OWN
    return options


if __name__ == "__main__":
    main()
