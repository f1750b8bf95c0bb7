"""The content of a file as it is sent: in chunks, with progress, and of exactly the size that was announced."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import trio

__all__ = ["CHUNK", "Body", "Meter", "Source", "SourceError", "opened", "size_of"]

Source: TypeAlias = Path | bytes | AsyncIterable[bytes]
"""A file by its path, its content, or a stream of it: a `trio.abc.ReceiveStream`, for example."""

#: The octets that are sent between two reports of progress, as many as httpx2 itself takes of a file.
CHUNK: Final = 64 * 1024


class SourceError(Exception):
    """Reading the source failed: `original` says how. Never leaves this package: it tells whose error it was."""

    def __init__(self, original: Exception) -> None:
        self.original = original
        super().__init__(original)


async def size_of(source: Source, size: int | None) -> int:
    """Return the size of the source in octets. Raises ValueError if it cannot be known, or `size` is wrong.

    Cancelling changes nothing.
    """
    actual = None
    if isinstance(source, bytes):
        actual = len(source)
    elif isinstance(source, Path):
        actual = (await trio.Path(source).stat()).st_size
    await trio.lowlevel.checkpoint()
    if size is None:
        if actual is None:
            raise ValueError("a stream must be given with its size")
        return actual
    if size < 0 or (actual is not None and size != actual):
        raise ValueError(f"the source has {actual} octets, not {size}")
    return size


@asynccontextmanager
async def opened(source: Source) -> AsyncIterator[AsyncIterator[bytes]]:
    """A block that gives the content of the source, in chunks. A stream is not closed: it belongs to the caller."""
    if isinstance(source, bytes):
        yield _Slices(source)
    elif isinstance(source, Path):
        async with await trio.open_file(source, "rb") as file:
            yield _FileChunks(file)
    else:
        yield aiter(source)


class _Slices:
    """Bytes, in chunks."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def __aiter__(self) -> _Slices:
        return self

    async def __anext__(self) -> bytes:
        chunk = self._content[self._at : self._at + CHUNK]
        if not chunk:
            raise StopAsyncIteration
        self._at += len(chunk)
        return chunk


class _FileChunks:
    """An open file, in chunks."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __aiter__(self) -> _FileChunks:
        return self

    async def __anext__(self) -> bytes:
        chunk: bytes = await self._file.read(CHUNK)
        if not chunk:
            raise StopAsyncIteration
        return chunk


class Meter:
    """Reports how much of a file was sent: never less than before, and all of it at the end."""

    def __init__(self, size: int, report: Callable[[int, int], object] | None) -> None:
        self.size = size
        self._report = report
        self._reported = -1

    def sent(self, octets: int) -> None:
        """Report that this many octets were sent, unless that was reported before. The last ones are for `done`."""
        if self._report is not None and self._reported < octets < self.size:
            self._reported = octets
            self._report(octets, self.size)

    def done(self) -> None:
        """Report that the receiver has the file."""
        if self._report is not None:
            self._report(self.size, self.size)


class Body:
    """The body of a request: exactly as many octets as were announced.

    It reads one chunk ahead of what it gives. So a source that is too long never completes a transfer that looks right.
    `scope` is cancelled if nothing moves for `patience` seconds; the sender of the body works within the scope.
    """

    def __init__(self, chunks: AsyncIterator[bytes], meter: Meter, patience: float) -> None:
        self.size: int = meter.size
        self.patience = patience
        self.scope: trio.CancelScope = trio.CancelScope(deadline=trio.current_time() + patience)
        self._chunks = chunks
        self._meter = meter
        self._next: bytes | None = None
        self._given = 0

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        self._meter.sent(self._given)
        self.scope.deadline = math.inf  # the source may take its time
        try:
            chunk = await self._read() if self._next is None else self._next
            self._next = await self._read() if chunk else b""
            self._check(len(chunk) + len(self._next), at_end=not self._next)
        except Exception as exc:
            raise SourceError(exc) from exc
        self.scope.deadline = trio.current_time() + self.patience
        if not chunk:
            raise StopAsyncIteration
        self._given += len(chunk)
        return chunk

    async def _read(self) -> bytes:
        """Return the next chunk; an empty one at the end."""
        async for chunk in self._chunks:
            if chunk:
                return bytes(chunk)
        return b""

    def _check(self, ahead: int, *, at_end: bool) -> None:
        total = self._given + ahead
        if total > self.size:
            raise ValueError(f"the source has more than the {self.size} octets that it should have")
        if at_end and total < self.size:
            raise ValueError(f"the source has {total} octets, not the {self.size} that it should have")
