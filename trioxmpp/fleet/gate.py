"""The gate through which accounts start: some at a time, each after a moment of its own, so that no server is stormed.

An account holds its turn until it is connected, or has failed. One that takes long passes the turn on, so that accounts
at a server which is silent do not keep those at other servers waiting.
"""

from __future__ import annotations

import random

import trio

__all__ = ["Gate", "Turn"]


class Turn:
    """The turn of one account to start."""

    def __init__(self, places: trio.Semaphore) -> None:
        self._places = places
        self.over: trio.Event = trio.Event()

    def end(self) -> None:
        """Let the next account start. A second call does nothing."""
        if not self.over.is_set():
            self.over.set()
            self._places.release()


class Gate:
    """Lets `at_once` accounts connect at a time, each after up to `jitter` seconds, for `patience` seconds at most."""

    def __init__(self, nursery: trio.Nursery, at_once: int, jitter: float, patience: float, rng: random.Random) -> None:
        self._nursery = nursery
        self._places = trio.Semaphore(at_once)
        self._jitter = jitter
        self._patience = patience
        self._rng = rng

    async def enter(self) -> Turn:
        """Wait for a turn. The caller ends it. Cancelling passes it on."""
        await self._places.acquire()
        turn = Turn(self._places)
        try:
            await trio.sleep(self._rng.uniform(0, self._jitter))
        except BaseException:
            turn.end()
            raise
        self._nursery.start_soon(self._limit, turn)
        return turn

    async def _limit(self, turn: Turn) -> None:
        with trio.move_on_after(self._patience):
            await turn.over.wait()
        turn.end()
