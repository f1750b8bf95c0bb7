"""Several ways to one goal, begun one after the other, until the first gets there (RFC 8305, XEP-0495)."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

import trio

from ..stream.bare import bare

__all__ = ["FAILURES", "STAGGER", "Race", "Runner", "Search"]

#: Seconds after which the next one begins if the one before neither failed nor arrived (RFC 8305 §5).
STAGGER = 0.25

#: Errors that end one runner, and not the race.
FAILURES = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class Runner(Protocol):
    """One way."""

    async def run(self) -> None:
        """Get there, or raise one of `FAILURES`. May be begun anew after it was cancelled, which leaves nothing."""
        ...

    async def aclose(self) -> None:
        """Give up having got there."""
        ...


R = TypeVar("R", bound=Runner)


class Search(Generic[R]):
    """A lookup for runners, the best first; it holds their place in the order until it completes, or fails."""

    def __init__(self, look: Callable[[], Awaitable[Sequence[R | Search[R]]]]) -> None:
        self.look: Final = look


class Race(Generic[R]):
    """Runners, the best first. An order is one of start: it says who has the lead, not who must fail first."""

    def __init__(self, entries: Sequence[R | Search[R]]) -> None:
        self._entries = list(entries)
        """The runners and lookups that are left, begun or not."""
        self._began: dict[R | Search[R], float] = {}
        self._changed = trio.Event()
        self._won: list[R] = []
        """The winner, if there is one."""

    @property
    def is_over(self) -> bool:
        """Whether no runner is left that could win."""
        return not self._entries

    def add(self, entry: R | Search[R]) -> None:
        """One more, for when `next_winner` is called the next time."""
        self._entries.append(entry)

    async def next_winner(self) -> R | None:
        """Return the first runner that arrives; None if all have failed.

        The others are cancelled then. When this is called again because the winner was no good after all, they begin
        anew. An error of a runner that is not one of `FAILURES` comes out. Cancelling closes the winner.
        """
        self._won = []
        self._began = {}
        try:
            with bare():
                async with trio.open_nursery() as nursery:
                    await self._start(nursery)
        except BaseException:
            with trio.CancelScope(shield=True):
                for winner in self._won:
                    self._entries.insert(0, winner)
                    await winner.aclose()
            raise
        return self._won[0] if self._won else None

    async def _start(self, nursery: trio.Nursery) -> None:
        """Begin with each when its time has come."""
        while True:
            self._changed = trio.Event()
            entry, patience = self._next()
            if isinstance(entry, Search):
                self._began[entry] = trio.current_time()
                nursery.start_soon(self._look, entry)
            elif entry is not None:
                self._began[entry] = trio.current_time()
                failed = trio.Event()
                nursery.start_soon(self._run, nursery, entry, failed)
                with trio.move_on_after(STAGGER):
                    await failed.wait()
            elif any(isinstance(under_way, Search) for under_way in self._began):
                with trio.move_on_after(patience):
                    await self._changed.wait()
            else:
                return

    def _next(self) -> tuple[R | Search[R] | None, float]:
        """Return the runner that begins now; else None, and for how long that holds if nothing happens.

        A search that has just begun holds up who comes after it, but for no longer than a runner would.
        """
        patience = math.inf
        for entry in self._entries:
            if entry not in self._began:
                if patience == math.inf:
                    return entry, 0
            elif isinstance(entry, Search):
                left = self._began[entry] + STAGGER - trio.current_time()
                if left > 0:
                    patience = min(patience, left)
        return None, patience

    async def _look(self, search: Search[R]) -> None:
        found: Sequence[R | Search[R]] = ()
        with suppress(*FAILURES):
            found = await search.look()
        place = self._entries.index(search)
        self._entries[place : place + 1] = found
        del self._began[search]
        self._changed.set()

    async def _run(self, nursery: trio.Nursery, runner: R, failed: trio.Event) -> None:
        try:
            await runner.run()
        except FAILURES:
            self._entries.remove(runner)
            failed.set()
            return
        if self._won:  # a dead heat
            with trio.CancelScope(shield=True):
                await runner.aclose()
            return
        self._won.append(runner)
        self._entries.remove(runner)
        nursery.cancel_scope.cancel(reason="another way was faster")
