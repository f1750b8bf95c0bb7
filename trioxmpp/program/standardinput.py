"""Lines that a person types, read without blocking other tasks."""

from __future__ import annotations

import errno
import os
import sys
from typing import Final, Self

import trio

__all__ = ["StandardInput"]

#: Octets of the longest line: a longer one ends the input.
MAX_LINE: Final = 1 << 18


class StandardInput:
    """The lines of standard input.

    Python's own file is not used: a thread that waits in it when the process ends would crash the interpreter. The
    descriptor stays in blocking mode, since a terminal shares that with other processes.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._pending = b""
        self._has_ended = False

    async def line(self) -> str | None:
        """Wait for the next line; None at the end. Cancelling loses nothing, but on Windows one line."""
        await trio.lowlevel.checkpoint()
        while b"\n" not in self._pending and not self._has_ended:
            data = await self._read()
            self._pending += data
            self._has_ended = not data or len(self._pending) > MAX_LINE
        line, newline, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace") if line or newline else None

    def __aiter__(self) -> Self:
        """Iterate over the lines; a line has no newline. Cancelling is as for `line`."""
        return self

    async def __anext__(self) -> str:
        if (line := await self.line()) is None:
            raise StopAsyncIteration
        return line

    async def _read(self) -> bytes:
        if os.name != "posix":
            return await trio.to_thread.run_sync(os.read, self._descriptor, 4096, abandon_on_cancel=True)
        try:
            await trio.lowlevel.wait_readable(self._descriptor)
        except OSError as exc:
            if exc.errno != errno.EPERM:  # a regular file, which is always readable
                raise
        return os.read(self._descriptor, 4096)
