"""A long way to a server in memory."""

from __future__ import annotations

import math

import trio

from .memory import memory_link
from .server import Server

__all__ = ["SlowRoad"]


class SlowRoad:
    """The way to a server, which takes half of `round_trip` seconds in each direction, however much is under way.

    ``connect(..., endpoint=road.endpoint)``; what is under way lives in `nursery`.
    """

    def __init__(self, server: Server, nursery: trio.Nursery, round_trip: float) -> None:
        self.server = server
        self.round_trip = round_trip
        self.began = math.nan
        """When somebody set out, the last time."""
        self._nursery = nursery

    async def endpoint(self) -> trio.abc.Stream:
        """A new link."""
        self.began = trio.current_time()
        far = await self.server.endpoint()
        near, ours = memory_link(math.inf)
        for source, sink in ((near, far), (far, near)):
            self._nursery.start_soon(self._carry, source, sink)
        return ours

    async def _carry(self, source: trio.abc.Stream, sink: trio.abc.Stream) -> None:
        under_way, arriving = trio.open_memory_channel[tuple[float, bytes]](math.inf)

        async def deliver() -> None:
            async for due, data in arriving:
                await trio.sleep_until(due)
                await sink.send_all(data)

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(deliver)
                while data := await source.receive_some():
                    under_way.send_nowait((trio.current_time() + self.round_trip / 2, bytes(data)))
                under_way.close()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        await trio.aclose_forcefully(source)
        await trio.aclose_forcefully(sink)
