"""The upper floors: rosters, rooms, archives, uploads, components; each measurement is a fresh process.

The peer is `scripted`, a process of its own that answers with ready-made text. In each round the bare limit, trioxmpp
and slixmpp with the same plugins take their turns, one right after the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from . import crowds
from .harness import BARE, BUILD, CLIENTS, OWN, ROOT, Kind, Unavailable, environment, make_certificate
from .results import Results

#: The round trip of an archive that is far away, in seconds, and its messages.
FAR, FAR_MESSAGES = 0.1, 25_000
#: Octets of the file that is uploaded.
FILE_SIZE = 200 * 1000 * 1000
#: Rounds of uploads, at least: the clock of a busy machine says little in fewer.
UPLOAD_ROUNDS = 5
COMPONENT_STANZAS = 50_000
#: Seconds that a measurement may take.
PATIENCE = 600

SCENARIOS = (
    ("roster-first", "roster of 10,000, first"),
    ("roster-later", "roster of 10,000, later"),
    ("disco", "1,000 features, read"),
    ("disco-hash", "1,000 features, hashed"),
    ("caps", "500 presences, 40 hashes"),
    ("room-join", "join of 5,000, each"),
    ("room-changes", "5,000 change, each"),
    ("room-churn", "5,000 leave and return, each"),
    ("archive", "archived message"),
    ("component-in", "component, inbound"),
    ("component-out", "component, outbound"),
)


@dataclass(frozen=True)
class Peer:
    """The peer process: its ports as it prints them, and the CA that vouches for its uploads; None without TLS."""

    ports: str
    ca: str | None


@contextmanager
def scripted(certificate: Sequence[object]) -> Iterator[str]:
    """A block during which the peer runs; gives its ports."""
    command = [sys.executable, "-m", "tests.benchmarks.scripted", *map(str, certificate)]
    given = {**environment(), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=given, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def peer(results: Results) -> Iterator[Peer]:
    """A block during which the peer runs, with TLS if it can be had."""
    try:
        *pair, ca = make_certificate("127.0.0.1", "upload")
    except ImportError as exc:
        results.note(f"no uploads: {exc}")
        pair, ca = [], None
    with scripted(pair) as ports:
        yield Peer(ports, None if ca is None else str(ca))


def takers(others: Sequence[Kind]) -> list[tuple[str, str, str]]:
    """The names of those that are measured, with the Python and the script of each."""
    found = [(kind.name, sys.executable, f"floors_{name}.py") for kind, name in ((BARE, "bare"), (OWN, "trioxmpp"))]
    return found + [(kind.name, kind.command[0], "floors_slixmpp.py") for kind in others if kind.name == "slixmpp"]


def run(results: Results, peer: Peer, taker: tuple[str, str, str], scenario: str, number: int, *more: object) -> None:
    """Have a client do a scenario, and note what it measured."""
    name, python, script = taker
    print(f"  {scenario}, {name}", file=sys.stderr, flush=True)
    command = [python, str(CLIENTS / script), peer.ports, scenario, str(number), *map(str, more)]
    made = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=PATIENCE)
    if made.returncode:
        texts = [text for line in made.stderr.splitlines() if (text := line.strip(" |+-"))]  # those of a group, too
        last = texts[-1] if texts else "it failed"
        if name == OWN.name:
            raise ChildProcessError(f"{scenario}: {last}")
        results.note(f"{name} failed in {scenario}: {last}")
        return
    for measured, quantities in json.loads(made.stdout.splitlines()[-1]).items():
        results.add(measured, name, **quantities)


def measure(results: Results, peer: Peer, others: Sequence[Kind], rounds: int, scenario: str, number: int = 1) -> None:
    """Have each client do a scenario, once in each round."""
    clients = takers(others)
    for turn in range(rounds):
        for taker in clients[turn % len(clients) :] + clients[: turn % len(clients)]:
            run(results, peer, taker, scenario, number)


def archive(results: Results, peer: Peer, others: Sequence[Kind], rounds: int, messages: int) -> None:
    """A long absence: CPU time with an archive that is near, and the way of the time with one that is far away."""
    measure(results, peer, others, rounds, "archive", messages)
    run(results, peer, takers([])[1], f"archive:{FAR}", min(messages, FAR_MESSAGES))


def upload(results: Results, peer: Peer, rounds: int, size: int) -> None:
    """A large file by HTTP, against what httpx2 does alone: on a connection of its own, in chunks of the same size.

    Both take turns, the other one first in each round.
    """
    if peer.ca is None:
        return
    try:
        import httpx2  # noqa: F401
    except ImportError:
        raise Unavailable("no uploads without httpx2: pip install httpx2") from None
    path = BUILD / "file"
    if not path.exists() or path.stat().st_size != size:
        path.write_bytes(os.urandom(size))
    for turn in range(rounds):
        for taker in takers([])[:: -1 if turn % 2 else 1]:
            run(results, peer, taker, "upload", 1, path, peer.ca)
    path.unlink()


def sections(
    results: Results, peer: Peer, others: Sequence[Kind], rounds: int, *, quick: bool
) -> dict[str, Callable[[], None]]:
    """The sections of the upper floors, by name."""
    given = results, peer, others, rounds
    sizes = (rounds, FILE_SIZE // 10) if quick else (max(rounds, UPLOAD_ROUNDS), FILE_SIZE)
    return {
        "roster": lambda: measure(*given, "roster"),
        "disco": lambda: measure(*given, "disco"),
        "presence": lambda: measure(*given, "caps"),
        "rooms": lambda: measure(*given, "room"),
        "archive": lambda: archive(*given, 10_000 if quick else crowds.MESSAGES),
        "upload": lambda: upload(results, peer, *sizes),
        "component": lambda: measure(*given, "component", COMPONENT_STANZAS // (5 if quick else 1)),
    }
