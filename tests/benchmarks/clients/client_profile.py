"""This library, watched: where it is at each tick of the kernel's clock for CPU time.

Beside the usual tasks it knows ``!sample 1``, which begins anew, and ``!report N``, which writes the N places with the
most samples, as JSON, into the file that the argument after the option names.
"""

from __future__ import annotations

import collections
import json
import signal
import sys
from pathlib import Path
from types import FrameType

import client_trioxmpp
import task
import trio

from trioxmpp import Client, Presence, PresenceType

INTERVAL = 0.001


class Sampler(client_trioxmpp.Worker):
    def __init__(self, client: Client, nursery: trio.Nursery) -> None:
        super().__init__(client, nursery)
        self.own: collections.Counter[str] = collections.Counter()
        self.below: collections.Counter[str] = collections.Counter()
        """How often a function was anywhere on the stack."""

    async def sample(self, _: int) -> None:
        """Begin anew."""
        self.own.clear()
        self.below.clear()
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        self._done("")

    async def report(self, number: int) -> None:
        """Stop, and write what was seen."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        total = self.own.total()
        top = [[name, count / total, self.below[name] / total] for name, count in self.own.most_common(number)]
        Path(sys.argv[6]).write_text(json.dumps({"samples": total, "top": top}))  # noqa: ASYNC240
        self._done("")

    def _tick(self, _: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self.own[_name(frame)] += 1
        seen: set[str] = set()
        walker: FrameType | None = frame
        while walker is not None:
            seen.add(_name(walker))
            walker = walker.f_back
        self.below.update(seen)


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_qualname}"


async def main() -> None:
    task.up()
    async with client_trioxmpp.connect(task.RESOURCE) as client, trio.open_nursery() as nursery:
        sampler = Sampler(client, nursery)
        client.messages.register_callback(None, None, sampler.on_message)
        client.presences.register_callback(PresenceType.AVAILABLE, None, sampler.on_presence)
        client.enqueue(Presence())
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
