"""What stores on a disk have in common: a thread does the work, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from ...errors import StoreError

__all__ = ["Worker"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Worker:
    """Calls blocking functions in a thread. What was begun ends, though who waits for it be cancelled meanwhile."""

    def __init__(self, what: str, errors: tuple[type[Exception], ...]) -> None:
        self._what = what
        self._errors = errors
        self._turn = trio.Lock()

    async def __call__(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call `function`, after all that was called before. What the disk raises becomes a `StoreError`."""
        async with self._turn:
            try:
                return await trio.to_thread.run_sync(function, *args)
            except self._errors as exc:
                raise StoreError(f"{self._what}: {exc}") from exc
