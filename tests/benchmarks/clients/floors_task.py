"""The common part of the clients of the upper floors' benchmarks: their command line, and their measurements.

Usage: ``floors_X.py PORTS SCENARIO NUMBER [FILE CA]``; PORTS is the line that the scripted peer prints. The client does
one thing in a fresh process, and prints what it has measured as JSON: by scenario, by quantity.

``cpu`` is microseconds of CPU time of the whole process for each item, and ``wall`` those of the clock. ``held`` is for
how many milliseconds the loop was held at most: how late a task was that wanted its turn each two milliseconds;
``held_cpu`` is what the process itself computed in between, for a machine that others use, too. ``memory`` is by how
many octets the process has grown for each item; ``peak`` by how many MiB at most.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.benchmarks import crowds

HOST = "127.0.0.1"
PASSWORD = "secret"
CLIENTS, COMPONENTS, UPLOADS = json.loads(sys.argv[1])
SCENARIO = sys.argv[2]
NUMBER = int(sys.argv[3])
FILE, CA = (sys.argv[4], sys.argv[5]) if len(sys.argv) > 5 else ("", "")

#: Seconds between two turns of the probe.
TICK = 0.002
#: Seconds of rest after which all is done that was put off.
REST = 0.3

__all__ = ["CA", "CLIENTS", "COMPONENTS", "FILE", "HOST", "NUMBER", "PASSWORD", "REST", "SCENARIO", "UPLOADS", "crowds"]


class Usage:
    """The resources that the process uses from now on. `ticked` is called by a task that wants its turn each `TICK`."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()  # what was imported is never garbage: so `trioxmpp.run` has it, and so have all clients here
        self._held: list[tuple[float, float]] = []
        self._is_watched = True
        self._resident = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        self._begin_tick()

    def _begin_tick(self) -> None:
        self._tick, self._tick_cpu = time.perf_counter(), time.process_time()

    def ticked(self) -> None:
        """The task that ticks has its turn."""
        self._held.append((time.perf_counter() - self._tick - TICK, time.process_time() - self._tick_cpu))
        self._begin_tick()

    def rest(self) -> None:
        """The task ticks no more."""
        self._is_watched = False

    def per(self, items: int) -> dict[str, float]:
        """Return the resources that each of the items took."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        measured = {"cpu": cpu / items * 1e6, "wall": wall / items * 1e6}
        if self._held and self._is_watched:
            self.ticked()  # the task may want its turn right now
        if self._held:
            clock, computed = zip(*self._held, strict=True)
            measured |= {"held": max(0.0, *clock) * 1e3, "held_cpu": max(computed) * 1e3}
        return measured

    def memory(self, items: int) -> dict[str, float]:
        """Return how much the process has grown."""
        peak = _status("VmHWM") - self._resident
        gc.collect()
        return {"memory": (_status("VmRSS") - self._resident) / items, "peak": peak / 2**20}


def _status(name: str) -> int:
    """Return a size of this process, in octets."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def report(**measured: dict[str, float]) -> None:
    """Print what was measured, by scenario; an underscore stands for a hyphen."""
    print(json.dumps({name.replace("_", "-"): quantities for name, quantities in measured.items()}))
