"""Virtual time and threads, reconciled."""

from __future__ import annotations

import trio
import trio.testing

__all__ = ["hold_clock_for_threads"]

_held: trio.lowlevel.RunVar[bool] = trio.lowlevel.RunVar("trioxmpp.testing.clock")


def hold_clock_for_threads() -> None:
    """Let a `trio.testing.MockClock` not jump while a thread is at work, from now on and until `trio.run` ends.

    An autojump clock sees a program that waits for a thread as idle and jumps to the next deadline, so that a login,
    which hashes a password in a thread, would time out. Does nothing with a real clock, or the second time.
    """
    if isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock) and not _held.get(False):
        _held.set(True)
        trio.lowlevel.add_instrument(_ThreadsHoldTheClock())


class _ThreadsHoldTheClock(trio.abc.Instrument):
    """Before trio would find that nothing happens, makes something happen."""

    def __init__(self) -> None:
        self._limiter = trio.to_thread.current_default_thread_limiter()
        self._token = trio.lowlevel.current_trio_token()

    def before_io_wait(self, timeout: float) -> None:
        if self._limiter.borrowed_tokens:
            self._token.run_sync_soon(_nothing, idempotent=True)


def _nothing() -> None:
    pass
