"""Where the memory of an idle session is: ``python -m tests.benchmarks.memory [sessions]``.

The objects of Python are those that `tracemalloc` saw. An object belongs to the part of the library whose function is
the innermost of the library's that led to it. So what trio makes for a task of the writer belongs to the writer's link.
The rest of the resident memory is what C libraries hold, and what the allocator has not given back.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import trio

import trioxmpp
from trioxmpp import Presence

from .harness import MANAGED, Server
from .tables import table

SESSIONS = 100
WARM_UP = 20

#: Seconds of silence after which a session has freed what only a busy one needs.
QUIET = 8

#: As many calls of each trace as reach from trio's innermost to the library's.
DEPTH = 16

LIBRARY = str(Path(trioxmpp.__file__).parent) + "/"
PARTS = {
    "client/": "the block of `connect`, the supervisor and its task, the session with its nursery",
    "stream/link.py": "the link: its nursery, and the tasks of reader, writer and watchdog",
    "stream/inbound/": "where stanzas go: router, dispatchers, registries, replies",
    "stream/outbound/": "what waits to be written or acknowledged",
    "stream/": "the rest of the stream: signals, filters, counters, the watchdog's sleep",
    "protocol/": "framing, parser, features, stream management",
    "transport/": "the socket, and the wait for it",
    "": "addresses, elements",
}
OTHERS = "what no call of the library led to"


def resident() -> int:
    """Return the resident memory of this process, in kB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def part_of(trace: tracemalloc.Traceback) -> str:
    """Return the part of the library that an object belongs to."""
    for frame in reversed(trace):  # the innermost is the last
        if frame.filename.startswith(LIBRARY):
            path = frame.filename.removeprefix(LIBRARY)
            return next(what for prefix, what in PARTS.items() if path.startswith(prefix))
    return OTHERS


async def hold(port: int, number: int, *, traced: bool) -> tuple[float, Counter[str]]:
    """Return the kB of each of these sessions: all that is resident, and the objects by part if they are `traced`."""

    async def live(index: int, *, task_status: trio.TaskStatus[None]) -> None:
        jid, endpoint = f"romeo@bench.example/{index}", f"xmpp://127.0.0.1:{port}"
        async with trioxmpp.connect(jid, "secret", endpoint=endpoint, allow_plaintext=True) as client:
            await client.send(Presence())
            task_status.started()
            await trio.sleep_forever()

    async def more(numbers: range) -> None:
        for index in numbers:
            await nursery.start(live, index)
        await trio.sleep(QUIET)
        gc.collect()

    parts: Counter[str] = Counter()
    async with trio.open_nursery() as nursery:
        await more(range(WARM_UP))
        before, seen = resident(), None
        if traced:
            tracemalloc.start(DEPTH)
            seen = tracemalloc.take_snapshot()
        await more(range(WARM_UP, WARM_UP + number))
        held = (resident() - before) / number
        if seen is not None:
            for difference in tracemalloc.take_snapshot().compare_to(seen, "traceback"):
                parts[part_of(difference.traceback)] += difference.size_diff
            tracemalloc.stop()
        nursery.cancel_scope.cancel()
    return held, parts


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS
    with Server() as server:
        held, _ = trio.run(lambda: hold(server.ports[MANAGED], number, traced=False))
        _, parts = trio.run(lambda: hold(server.ports[MANAGED], number, traced=True))
    rows = [[what, f"{size / number / 1000:.1f}"] for what, size in parts.most_common()]
    objects = sum(parts.values()) / number / 1000
    rows += [["all objects of Python", f"{objects:.1f}"], ["C libraries, and the allocator", f"{held - objects:.1f}"]]
    print(table(f"An idle session, one of {number}", ["part", "kB"], [*rows, ["resident", f"{held:.1f}"]]))


if __name__ == "__main__":
    main()
