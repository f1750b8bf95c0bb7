"""Running a command so that Ctrl-C ends it at once, and in order."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from ..stream.bare import bare

__all__ = ["Interrupted", "run"]

T = TypeVar("T")


class Interrupted(Exception):
    """Somebody wanted the command to end; `status` is its exit status then, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.status = 128 + number


def run(function: Callable[[], Awaitable[T]]) -> T:
    """What ``trio.run(function)`` returns or raises.

    On SIGINT or SIGTERM `function` is cancelled, so that it can say goodbye, and `Interrupted` raised. The second
    signal is treated as usual.
    """
    return trio.run(_until_interrupted, function)


async def _until_interrupted(function: Callable[[], Awaitable[T]]) -> T:
    received: list[int] = []

    async def watch(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            received.append(await anext(signals))
        nursery.cancel_scope.cancel(reason="somebody wants it to end")

    with bare():
        async with trio.open_nursery() as nursery:
            await nursery.start(watch)
            result = await function()
            nursery.cancel_scope.cancel(reason="it has ended by itself")
    if received:
        raise Interrupted(received[0])
    return result
