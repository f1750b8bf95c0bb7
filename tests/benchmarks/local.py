"""Benchmarks without a server: importing, the parser, single elements, OMEMO. Each has a fresh process per round."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

from .harness import CLIENTS, Unavailable, environment
from .results import Results

_IMPORT = """
import time, trio, lxml.etree
wall, cpu = time.perf_counter(), time.process_time()
import trioxmpp
print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
"""


def importing(results: Results, rounds: int) -> None:
    """Milliseconds that ``import trioxmpp`` takes when trio and lxml are there already."""
    for _ in range(rounds + 1):
        command = [sys.executable, "-c", _IMPORT]
        made = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
        wall, cpu = map(float, made.stdout.split())
        results.add("import", "trioxmpp", cpu=cpu, wall=wall)
    for values in results.numbers["import"]["trioxmpp"].values():
        del values[0]  # that one may have compiled the modules


def limits(results: Results, laps: dict[str, Path], rounds: int) -> None:
    """The parser alone, and hand-written construction, on the same bytes as the clients get, without any I/O."""
    _from_script(results, "limits.py", rounds, *map(str, (laps["plain"], laps["mix"])))


def elements(results: Results, rounds: int) -> None:
    """A payload of twenty children read, an element of five fields written, each against lxml alone."""
    _from_script(results, "elements.py", rounds)


def omemo(results: Results, rounds: int, number: int) -> None:
    """A message encrypted for three devices and decrypted by one, and the library for OMEMO alone."""
    if importlib.util.find_spec("twomemo") is None:
        raise Unavailable("no library for OMEMO: pip install omemo twomemo")
    _from_script(results, "omemo_messages.py", rounds, str(number))


def _from_script(results: Results, script: str, rounds: int, *arguments: str) -> None:
    for _ in range(rounds):
        command = [sys.executable, str(CLIENTS / script), *arguments]
        made = subprocess.run(command, capture_output=True, text=True, check=True)
        for line in made.stdout.splitlines():
            scenario, client, cpu = json.loads(line)
            results.add(scenario, client, cpu=cpu)
