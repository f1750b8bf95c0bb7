"""The turns that the reader gives to the tasks that take what it delivers.

One read of the reader brings up to 200 stanzas, and trio gives each task one turn at a time. So a consumer that does
nothing slow, and takes some stanzas in each turn, would still fall behind the reader, until its inbox overflows.
Therefore the reader lets the other tasks run between two reads, while an inbox is filling and its consumer gets on.

The reader never *waits* for a consumer. A consumer may be waiting for a reply that is in the next read: if the reader
waited, neither would ever go on. So `Turns.give` ends after `IDLE_TURNS` turns in which nothing was taken. It also ends
after `GIVEN_SECONDS`, but not before the other tasks had as many turns: those seconds may have passed while the system
ran something else. A queue that did not get shorter gets no more turns before it does.
"""

from __future__ import annotations

import time
from collections.abc import Sized

import trio

__all__ = ["Turns"]

#: The turns without any progress after which the reader goes on. Writing one stanza takes about six.
IDLE_TURNS = 16

#: The seconds after which the reader goes on, whatever the progress, if there were as many turns.
GIVEN_SECONDS = 0.25


class Turns:
    """The queues that are filling, and the turns that their consumers get."""

    def __init__(self) -> None:
        self.filling: dict[Sized, None] = {}
        """The queues that are filling."""
        self._stuck: dict[Sized, int] = {}
        """The queues whose consumer took nothing when it had its turns, and their lengths then."""
        self.urgent: bool = False
        """Whether a queue is full."""

    def wanted(self, queue: Sized, *, full: bool = False) -> None:
        """Note that `queue` is filling, or that it is full."""
        stuck = self._stuck.get(queue)
        if stuck is not None:
            if len(queue) >= stuck:
                return
            del self._stuck[queue]
        self.filling[queue] = None
        self.urgent = self.urgent or full

    def forget(self, queue: Sized) -> None:
        """Forget a queue that has no consumer any more."""
        self.filling.pop(queue, None)
        self._stuck.pop(queue, None)

    async def give(self) -> None:
        """Let the other tasks run while they take what waits, for a bounded time. Cancelling loses nothing."""
        queues, self.filling, self.urgent = [*self.filling], {}, False
        ends = time.perf_counter() + GIVEN_SECONDS
        left, idle, turns = sum(map(len, queues)), 0, 0
        while left and idle < IDLE_TURNS and (turns < IDLE_TURNS or time.perf_counter() < ends):
            await trio.lowlevel.checkpoint()
            before, left, turns = left, sum(map(len, queues)), turns + 1
            idle = 0 if left < before else idle + 1
        if idle == IDLE_TURNS:
            self._stuck.update({queue: len(queue) for queue in queues if len(queue)})
