"""The WebSockets of a server (RFC 7395) where clients look for them: on a network, under TLS or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from ..stream.bare import bare
from .server import Server

__all__ = ["WebSockets", "open_websockets"]

PATH = "/xmpp-websocket"


class WebSockets:
    """Where a `Server` is to be found by WebSocket; `open_websockets` makes one."""

    def __init__(self, server: Server, host: str, port: int, tls_port: int) -> None:
        self.endpoint = f"ws://{host}:{port}{PATH}"
        """For ``connect(..., endpoint=..., allow_plaintext=True)``."""
        self.tls_endpoint = f"wss://{host}:{tls_port}{PATH}"
        """The same under TLS. The certificate is for the domain, for ``localhost`` and for ``127.0.0.1``."""
        self._server = server

    async def link(self) -> trio.abc.Stream:
        """The client's end of a new link in memory, which wants TLS and then a WebSocket.

        It is what ``wss`` leads to in a network in memory: ``network.answers["192.0.2.1", 443] = websockets.link``.
        Raises ConnectionRefusedError while the server is down.
        """
        return await self._server._new_link(float("inf"), direct_tls=True, websocket=True)


@asynccontextmanager
async def open_websockets(server: Server, host: str = "127.0.0.1") -> AsyncIterator[WebSockets]:
    """A block during which `server` listens for WebSockets, too; gives a `WebSockets`. Needs `trustme`.

        async with open_server() as server, open_websockets(server) as websockets:
            async with trioxmpp.connect(
                "romeo@example.test", "secret", endpoint=websockets.tls_endpoint, tls=server.client_tls_context()
            ) as client:
                ...

    What is said of links, faults and crashes holds here as well; the ports stay open while the server is down, and
    reset whoever comes.
    """
    server.tls_context()  # which takes some time to make
    with bare() as inside:
        async with trio.open_nursery() as nursery:
            ports = []
            for direct_tls in (False, True):
                listeners = await trio.open_tcp_listeners(0, host=host)
                handler = partial(server._serve, starttls="none", direct_tls=direct_tls, websocket=True)
                serve = partial(trio.serve_listeners, handler_nursery=server._nursery)
                await nursery.start(serve, handler, listeners)
                ports.append(listeners[0].socket.getsockname()[1])
            with inside:
                yield WebSockets(server, host, *ports)
            nursery.cancel_scope.cancel()
