"""A link in memory that breaks like a real one."""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import trio

__all__ = ["MemoryStream", "memory_link"]


class _Pipe:
    """One direction: the segments that were written, in order."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.segments: deque[bytes] = deque()
        self.size = 0
        self.ended = False
        """Whether the writer has closed: after the last segment, the reader gets the end."""
        self.broken = False
        """Whether the link was reset: after the last segment, the reader gets an error."""
        self.deserted = False
        """Whether the reader has closed: nothing can be written."""
        self._lot = trio.lowlevel.ParkingLot()

    def changed(self) -> None:
        self._lot.unpark_all()

    async def wait(self) -> None:
        await self._lot.park()


class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a link in memory; `memory_link` makes both.

    It differs from `trio.testing.memory_stream_pair` as tests of networks need: it can be `reset`, one read gets one
    segment as it was written, and with a `capacity` a writer waits for the reader.
    """

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._in = incoming
        self._out = outgoing
        self._closed = False
        self._no_more = False
        self._reading = False
        self._writing = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next segment, or `max_bytes` of it; ``b""`` at the end.

        Raises `trio.BrokenResourceError` after a reset, once everything that had arrived was read.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be positive")
        with self._exclusive("_reading"):
            await trio.lowlevel.checkpoint()
            while True:
                self._check_open()
                if self._in.segments:
                    return self._take(max_bytes)
                if self._in.broken:
                    raise trio.BrokenResourceError("the link was reset")
                if self._in.ended:
                    return b""
                await self._in.wait()

    def _take(self, max_bytes: int | None) -> bytes:
        segment = self._in.segments.popleft()
        if max_bytes is not None and len(segment) > max_bytes:
            self._in.segments.appendleft(segment[max_bytes:])
            segment = segment[:max_bytes]
        self._in.size -= len(segment)
        self._in.changed()
        return segment

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data` as one segment, or as several if the capacity demands it."""
        with self._exclusive("_writing"):
            await trio.lowlevel.checkpoint()
            left = bytes(data)
            self._check_writable()
            while left:
                room = self._out.capacity - self._out.size
                if room > 0:
                    part = left if len(left) <= room else left[: int(room)]
                    left = left[len(part) :]
                    self._out.segments.append(part)
                    self._out.size += len(part)
                    self._out.changed()
                else:
                    await self._out.wait()
                    self._check_writable()

    def send_nowait(self, data: bytes) -> int:
        """Write what there is room for, as one segment, and return its octets: as a socket does that does not block."""
        room = self._out.capacity - self._out.size
        if self._writing or self._closed or self._no_more or self._out.broken or self._out.deserted or room <= 0:
            return 0
        part = data if len(data) <= room else data[: int(room)]
        self._out.segments.append(part)
        self._out.size += len(part)
        self._out.changed()
        return len(part)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room for one byte."""
        with self._exclusive("_writing"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            while self._out.size >= self._out.capacity and not (self._out.broken or self._out.deserted):
                await self._out.wait()
                self._check_open()

    async def send_eof(self) -> None:
        """End this direction; the other one stays open."""
        with self._exclusive("_writing"):
            await trio.lowlevel.checkpoint()
            self._check_open()
            self._no_more = self._out.ended = True
            self._out.changed()

    def close(self) -> None:
        """Close this end: the other one reads all that was written, and then the end."""
        self._closed = self._out.ended = self._in.deserted = True
        self._in.changed()
        self._out.changed()

    def reset(self) -> None:
        """Break the link in both directions. The other end reads all that had arrived, and then fails."""
        self._out.broken = self._in.broken = True
        self.close()

    async def aclose(self) -> None:
        """`close`, with a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end was closed")

    def _check_writable(self) -> None:
        self._check_open()
        if self._no_more:
            raise trio.ClosedResourceError("this direction was ended")
        if self._out.broken or self._out.deserted:
            raise trio.BrokenResourceError("the other end is gone")

    @contextmanager
    def _exclusive(self, flag: str) -> Iterator[None]:
        if getattr(self, flag):
            raise trio.BusyResourceError("another task is using this direction of the stream")
        setattr(self, flag, True)
        try:
            yield
        finally:
            setattr(self, flag, False)


def memory_link(capacity: float = math.inf) -> tuple[MemoryStream, MemoryStream]:
    """Return both ends of a link in memory; each direction holds `capacity` bytes that were not read yet."""
    one, other = _Pipe(capacity), _Pipe(capacity)
    return MemoryStream(one, other), MemoryStream(other, one)
