"""Running an async function so that Ctrl-C ends it at once, and cleanly."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from ..stream.bare import bare

__all__ = ["Interrupted", "run_until_interrupted"]

T = TypeVar("T")


class Interrupted(Exception):
    """A signal ended the program. `status` is the exit status for that, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.status: int = 128 + number


def run_until_interrupted(function: Callable[[], Awaitable[T]]) -> T:
    """Return or raise what ``trio.run(function)`` does.

    On SIGINT or SIGTERM, `function` is cancelled, so that it can close its links, and `Interrupted` is raised. A second
    signal has its usual effect.
    """
    return trio.run(_until_interrupted, function)


async def _until_interrupted(function: Callable[[], Awaitable[T]]) -> T:
    received: list[int] = []

    async def watch(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            received.append(await anext(signals))
        nursery.cancel_scope.cancel(reason="a signal arrived")

    with bare():
        async with trio.open_nursery() as nursery:
            await nursery.start(watch)
            result = await function()
            nursery.cancel_scope.cancel(reason="the program has ended")
    if received:
        raise Interrupted(received[0])
    return result
