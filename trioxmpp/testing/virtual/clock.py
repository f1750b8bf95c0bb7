"""Virtual time together with threads."""

from __future__ import annotations

import trio
import trio.testing

__all__ = ["hold_clock_for_threads"]

_held: trio.lowlevel.RunVar[bool] = trio.lowlevel.RunVar("trioxmpp.testing.clock")


def hold_clock_for_threads() -> None:
    """Keep a `trio.testing.MockClock` from jumping while a thread works, until `trio.run` ends.

    An autojump clock takes a program that waits for a thread for idle, and jumps to the next deadline. So a login,
    which hashes a password in a thread, would time out. With a real clock, or called again, this does nothing.
    """
    if isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock) and not _held.get(False):
        _held.set(True)
        trio.lowlevel.add_instrument(_ThreadsHoldTheClock())


class _ThreadsHoldTheClock(trio.abc.Instrument):
    """Wakes trio up before it would find the program idle."""

    def __init__(self) -> None:
        self._limiter = trio.to_thread.current_default_thread_limiter()
        self._token = trio.lowlevel.current_trio_token()

    def before_io_wait(self, timeout: float) -> None:
        if self._limiter.borrowed_tokens:
            self._token.run_sync_soon(_nothing, idempotent=True)


def _nothing() -> None:
    pass
