"""Cancellation at every step: each await may be cancelled, so a test should try each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

__all__ = ["cancelled_after"]


async def cancelled_after(steps: int, function: Callable[..., Awaitable[Any]], *args: Any) -> bool:
    """Call `function` and cancel it after `steps` steps of the program; return whether it had not ended by then.

    A step is the work of one task between two checkpoints, whichever task it is. Called with 1, 2, 3 and so on until
    it returns False, this cancels the call at each possible moment::

        for steps in itertools.count(1):
            if not await cancelled_after(steps, something):
                break
            ...  # check that nothing is left, and nothing broken
    """
    with trio.CancelScope() as scope:
        instrument = _CancelAfter(scope, steps)
        trio.lowlevel.add_instrument(instrument)
        try:
            await function(*args)
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return scope.cancelled_caught


class _CancelAfter(trio.abc.Instrument):
    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self._scope = scope
        self._steps = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._steps -= 1
        if self._steps == 0:
            self._scope.cancel(reason="it is cancelled after each step in turn")
