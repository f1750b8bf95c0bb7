"""The thread in which trio runs a stream: nothing of a stream is safe in another one."""

from __future__ import annotations

from threading import get_ident

__all__ = ["Home"]


class Home:
    """The thread of a stream, as soon as the stream runs. Until then any thread is good."""

    __slots__ = ("_ident",)

    def __init__(self) -> None:
        self._ident: int | None = None

    def enter(self) -> None:
        """This is the thread."""
        self._ident = get_ident()

    def check(self) -> None:
        """Raise RuntimeError in any other thread. To be called before anything changes."""
        if self._ident is not None and get_ident() != self._ident:
            raise RuntimeError(
                "this stream runs in another thread; call this there, with trio.from_thread.run_sync(function, ...), "
                "or trio.from_thread.run for an async function"
            )
