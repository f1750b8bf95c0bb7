"""A link of limited bandwidth, with buffers on the way, on virtual time."""

from __future__ import annotations

from collections import deque

import trio

from trioxmpp.testing import memory_link

__all__ = ["SlowLink"]


class SlowLink:
    """`near` is the client's end and `far` the server's. The octets of the client arrive at `rate` octets a second.

    `buffers` octets may be on the way: beyond that, the client's writes wait. The other direction is fast.
    """

    def __init__(self, rate: float, buffers: int) -> None:
        self.near, self._inside = memory_link(capacity=1)
        self._outside, self.far = memory_link()
        self._rate = rate
        self._buffers = buffers
        self._on_the_way: deque[bytes] = deque()
        self._octets = 0
        self._changed = trio.lowlevel.ParkingLot()
        self.most = 0
        """The most octets that were on the way."""

    async def run(self) -> None:
        """Carry what is written, until both ends are closed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fill)
                nursery.start_soon(self._drain)
                nursery.start_soon(self._back)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _fill(self) -> None:
        self._inside._in.capacity = 1 << 16
        while data := await self._inside.receive_some(16384):
            while self._octets + len(data) > self._buffers and self._octets:
                await self._changed.park()
            self._on_the_way.append(data)
            self._octets += len(data)
            self.most = max(self.most, self._octets)
            self._changed.unpark_all()

    async def _drain(self) -> None:
        while True:
            while not self._on_the_way:
                await self._changed.park()
            data = self._on_the_way.popleft()
            await trio.sleep(len(data) / self._rate)
            self._octets -= len(data)
            self._changed.unpark_all()
            await self._outside.send_all(data)

    async def _back(self) -> None:
        while data := await self._outside.receive_some(65536):
            self._inside._out.capacity = 1 << 30
            await self._inside.send_all(data)
