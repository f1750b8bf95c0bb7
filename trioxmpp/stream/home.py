"""The thread in which trio runs a stream: nothing of a stream is safe in another one."""

from __future__ import annotations

from threading import get_ident

__all__ = ["Home"]


class Home:
    """The thread of a stream, as soon as the stream runs. Until then any thread is good."""

    __slots__ = ("ident",)

    def __init__(self) -> None:
        self.ident: int | None = None
        """The thread; None until the stream runs."""

    def enter(self) -> None:
        """This is the thread."""
        self.ident = get_ident()

    def check(self) -> None:
        """Raise RuntimeError in any other thread. To be called before anything changes."""
        if self.ident is not None and get_ident() != self.ident:
            raise RuntimeError(
                "this stream runs in another thread; call this there, with trio.from_thread.run_sync(function, ...), "
                "or trio.from_thread.run for an async function"
            )
