"""A relay between a client and a server on TCP, which can cut the connection."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio

from ...stream.bare import bare
from ..virtual.faults import Direction

__all__ = ["Relay", "open_relay"]

#: With this option ``close()`` sends a reset (RST) in place of an end (FIN): linger for zero seconds.
AT_ONCE = struct.pack("ii", 1, 0)


class Relay:
    """Passes bytes on between the server and clients that connect to `endpoint`, and harms connections on demand.

    The methods harm the newest connection only. `blocked` refuses new ones.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port: int = 0
        """The port at which it listens, on 127.0.0.1."""
        self.connections: int = 0
        """The number of connections that were passed on to the server."""
        self.blocked = False
        """Whether new connections are closed at once."""
        self._server = host, port
        self._wire: _Wire | None = None

    @property
    def endpoint(self) -> str:
        """The endpoint for `trioxmpp.connect`."""
        return f"xmpp://127.0.0.1:{self.port}"

    # --- harm

    def reset(self, *, after: int = 0) -> None:
        """Break the connection after some more bytes of the client (RST), as a router does that lost its state."""
        self._newest().let_through(after)

    def close(self) -> None:
        """End the connection towards both sides (FIN), without the end of their XML streams."""
        self._newest().close()

    def black_hole(self, direction: Direction = "both") -> None:
        """From now on all bytes in that direction vanish, as on a telephone that is carried into a lift.

        The end of the connection vanishes, too. ``in`` is from the client, ``out`` to it.
        """
        self._newest().swallow(direction)

    def _newest(self) -> _Wire:
        if self._wire is None:
            raise RuntimeError("there was no connection yet")
        return self._wire

    # --- work

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept connections until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._carry, listeners)

    async def _carry(self, client: trio.SocketStream) -> None:
        async with client:
            if self.blocked:
                return
            try:
                server = await trio.open_tcp_stream(*self._server)
            except OSError:
                return  # the client gets the end of the connection
            self._wire = _Wire(client, server)
            self.connections += 1
            await self._wire.run()


class _Wire:
    """One connection: two streams, and a task for each direction."""

    def __init__(self, client: trio.SocketStream, server: trio.SocketStream) -> None:
        self._client = client
        self._server = server
        self._swallowing: set[trio.SocketStream] = set()
        """The sides whose bytes vanish, including the end of the connection."""
        self._scope = trio.CancelScope()
        self._allowance: int | None = None

    def let_through(self, count: int) -> None:
        """Let `count` more bytes through to the server, and break then."""
        self._allowance = count
        if not count:
            self._break()

    def swallow(self, direction: Direction) -> None:
        """Let all bytes in that direction vanish."""
        if direction != "out":
            self._swallowing.add(self._client)
        if direction != "in":
            self._swallowing.add(self._server)

    def close(self) -> None:
        """End both directions, and read until both sides have ended theirs."""
        self.swallow("both")  # bytes that are unread would turn the FIN into an RST
        for stream in (self._client, self._server):
            with suppress(OSError):  # the connection may be closed already
                stream.socket.shutdown(socket.SHUT_WR)

    async def run(self) -> None:
        """Pass bytes on until the connection has ended in both directions, or is broken."""
        async with self._client, self._server:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._pass_on, self._client, self._server)
                    nursery.start_soon(self._pass_on, self._server, self._client)

    async def _pass_on(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            async for data in source:
                if source in self._swallowing:
                    continue
                if source is self._client and self._allowance is not None:
                    data, self._allowance = data[: self._allowance], self._allowance - len(data)
                await sink.send_all(data)
                if self._allowance is not None and self._allowance <= 0:
                    self._break()
            if source not in self._swallowing:
                await sink.send_eof()
        except trio.BrokenResourceError:
            if not self._swallowing:
                self._break()  # a broken side breaks the other, too

    def _break(self) -> None:
        for stream in (self._client, self._server):
            with suppress(OSError):  # the connection may be closed already
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self._scope.cancel(reason="the wire was cut")


@asynccontextmanager
async def open_relay(host: str, port: int) -> AsyncIterator[Relay]:
    """A block during which there is a `Relay` to the server at `host` and `port`."""
    relay = Relay(host, port)
    with bare():
        async with trio.open_nursery() as nursery:
            await nursery.start(relay.serve)
            try:
                yield relay
            finally:
                nursery.cancel_scope.cancel(reason="the relay is no longer needed")
