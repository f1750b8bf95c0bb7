"""A network in memory: names, addresses and ports, and an endpoint with latency."""

from __future__ import annotations

import errno
import math
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from .server.server import Server
from .virtual.memory import memory_link

__all__ = ["LatentEndpoint", "Network"]

#: The endpoint at a port: it returns the client's end of a new link, raises OSError, or never returns.
Answer = Callable[[], Awaitable[trio.abc.Stream]]


class Network(trio.abc.HostnameResolver, trio.abc.SocketFactory):
    """The whole network for `trio.open_tcp_stream`, from `begin` until `trio.run` ends.

        network = Network()
        network.names["xmpp.example.test"] = ["2001:db8::1", "192.0.2.1"]
        network.answers["192.0.2.1", 5222] = server.endpoint
        network.begin()

    An address with an answer at another port only refuses the connection. An address without any answer is a black
    hole: a connection never completes. Nor does the lookup of a name whose addresses are None; an unknown name cannot
    be resolved.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[str] | None] = {}
        self.answers: dict[tuple[str, int], Answer] = {}
        self.attempts: list[tuple[float, str, int]] = []
        """The attempts to connect: time by trio's clock, address and port."""
        self.asked: list[str] = []
        """The names that were looked up."""
        self.open = 0
        """The number of connections that exist or are being made."""

    def begin(self) -> None:
        """Replace the network of this `trio.run`."""
        trio.socket.set_custom_hostname_resolver(self)
        trio.socket.set_custom_socket_factory(self)

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """See `socket.getaddrinfo`."""
        name = (host or b"").decode()
        self.asked.append(name)
        await trio.lowlevel.checkpoint()
        if name not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        addresses = self.names[name]
        if addresses is None:
            await trio.sleep_forever()
            raise AssertionError("unreachable")
        return [
            entry
            for address in addresses
            for entry in socket.getaddrinfo(address, port, family, type, proto, socket.AI_NUMERICHOST)
        ]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        """See `socket.getnameinfo`."""
        raise NotImplementedError

    def socket(self, family: Any = socket.AF_INET, type: Any = socket.SOCK_STREAM, proto: int = 0) -> Any:
        """Return a socket of this network."""
        return _Socket(self, type)

    async def connect(self, address: str, port: int) -> trio.abc.Stream:
        """Return the client's end of a new link."""
        self.attempts.append((trio.current_time(), address, port))
        await trio.lowlevel.checkpoint()
        if (address, port) in self.answers:
            return await self.answers[address, port]()
        if any(known == address for known, _ in self.answers):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        await trio.sleep_forever()
        raise AssertionError("unreachable")


class LatentEndpoint:
    """An endpoint of a server in memory, with a latency of half of `round_trip` seconds in each direction.

    The bandwidth is unlimited. Use it as ``connect(..., endpoint=latent.endpoint)``. The bytes that are under way are
    carried by tasks in `nursery`.
    """

    def __init__(self, server: Server, nursery: trio.Nursery, round_trip: float) -> None:
        self.server = server
        self.round_trip = round_trip
        self.began: float = math.nan
        """The time at which a client connected last, by trio's clock; NaN before the first."""
        self._nursery = nursery

    async def endpoint(self) -> trio.abc.Stream:
        """Return the client's end of a new link. Raises ConnectionRefusedError while the server is down."""
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


class _Socket(trio.socket.SocketType):
    """The part of a socket that `trio.SocketStream` needs."""

    def __init__(self, network: Network, type: Any) -> None:
        super().__init__()
        self._network = network
        self._type = type
        self._stream: trio.abc.Stream | None = None
        self._closed = False
        network.open += 1

    @property
    def type(self) -> Any:
        return self._type

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        return False

    def setsockopt(self, level: int, optname: int, value: Any, optlen: int | None = None) -> None:
        pass

    def fileno(self) -> int:
        """Return a number that no file has: what is written to it must not go to a real one."""
        return -1 if self._closed else 1 << 30

    async def connect(self, address: Any) -> None:
        self._stream = await self._network.connect(address[0], address[1])

    async def send(self, data: Any, flags: int = 0) -> int:
        await self._link().send_all(bytes(data))
        return len(data)

    async def recv(self, bufsize: int, flags: int = 0) -> bytes:
        return bytes(await self._link().receive_some(bufsize))

    async def wait_writable(self) -> None:
        await self._link().wait_send_all_might_not_block()

    def _link(self) -> trio.abc.Stream:
        if self._closed or self._stream is None:
            raise OSError(errno.EBADF, "the socket is closed")
        return self._stream

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._network.open -= 1
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()
