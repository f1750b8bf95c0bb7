"""The server's side of WebSocket (RFC 7395): the gateway to a stream of bytes, and the ports on which it listens.

A server's `Link` reads and writes one XML stream, as over TCP. The `Gateway` stands between it and a WebSocket: each
message that arrives becomes a piece of that stream, and each element that leaves becomes a message. So login, faults
and byte counts need no second implementation.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from ... import xml
from ...protocol import ns
from ...protocol.framing import FOOTER, Event, Framing, Skipped, StreamFooter, StreamHeader, header
from ...protocol.websocket import CLOSE, document, open_
from ...stream.bare import bare
from .policy import StartTLS

__all__ = ["Gateway", "WebSocketHost", "WebSockets", "open_gateway", "open_websockets"]

PATH = "/xmpp-websocket"

#: Seconds that a client may take for its side of the handshake.
HANDSHAKE_TIMEOUT = 10.0

_OPEN = f"{{{ns.FRAMING}}}open"
_CLOSE = f"{{{ns.FRAMING}}}close"
_LANG = f"{{{ns.XML}}}lang"


class Gateway(trio.abc.Stream):
    """Translate between WebSocket messages and the bytes of one XML stream.

    It is strict: a namespace that the client does not declare stays undeclared. A message that is not XML breaks the
    link.
    """

    def __init__(self, websocket: WebSocketConnection) -> None:
        self._websocket = websocket
        self._outbound = Framing()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return one message in the form that it has in a stream. Cancelling loses nothing."""
        try:
            message = await self._websocket.get_message()
        except ConnectionClosed:
            return b""
        try:
            element = xml.fromstring(message)  # a binary message parses too, although RFC 7395 §3.2 forbids it
        except ValueError as exc:
            raise trio.BrokenResourceError(f"the client sent a message that is not XML: {message!r:.80}") from exc
        if element.tag == _CLOSE:
            return FOOTER
        if element.tag != _OPEN:
            return xml.serialise(element, ns.CLIENT).encode()
        self._outbound = Framing()
        return header(to=element.get("to"), from_=element.get("from"), lang=element.get(_LANG))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send each element that `data` completes as a message; data that is not XML is sent as it is."""
        events, error = self._outbound.feed(bytes(data))
        is_whole = error is None and not any(isinstance(event, Skipped) for event in events)
        messages = [_written(event) for event in events] if is_whole else [bytes(data)]
        try:
            for message in messages:
                await self._websocket.send_message(message.decode(errors="replace"))
        except ConnectionClosed as exc:
            raise trio.BrokenResourceError("the WebSocket is closed") from exc
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Do not wait."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close the WebSocket, and wait for the client to close its side."""
        await self._websocket.aclose()


def _written(event: Event) -> bytes:
    if isinstance(event, StreamHeader):
        return open_(to=event.to, from_=event.from_, lang=event.lang, id=event.id)
    if isinstance(event, StreamFooter):
        return CLOSE
    return document(xml.serialise(event, ns.CLIENT).encode())


async def open_gateway(nursery: trio.Nursery, stream: trio.abc.Stream) -> Gateway:
    """Take the server's side of a WebSocket handshake on `stream`.

    The tasks of the WebSocket run in `nursery` until `stream` ends. Raises `trio.BrokenResourceError` if the client
    asks for another subprotocol, or for nothing in `HANDSHAKE_TIMEOUT` seconds.
    """
    with trio.move_on_after(HANDSHAKE_TIMEOUT):
        request = await wrap_server_stream(nursery, stream)
        if "xmpp" in request.proposed_subprotocols:
            return Gateway(await request.accept(subprotocol="xmpp"))
        await request.reject(400)
    raise trio.BrokenResourceError("the client did not ask for a WebSocket for XMPP")


class WebSocketHost(Protocol):
    """The part of a `Server` that WebSockets need."""

    async def link(self, *, direct_tls: bool = False, websocket: bool = False) -> trio.abc.Stream:
        """Return the client's end of a new link in memory."""
        ...

    async def serve_listeners(
        self,
        listeners: list[trio.SocketListener],
        starttls: StartTLS,
        *,
        direct_tls: bool = False,
        websocket: bool = False,
        task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve the clients that connect to `listeners`, until cancelled."""
        ...

    def tls_context(self) -> ssl.SSLContext:
        """Return the server's context; its certificate is made on first use, which takes some time."""
        ...


class WebSockets:
    """The places where a `Server` is reached by WebSocket; `open_websockets` makes one."""

    def __init__(self, server: WebSocketHost, host: str, port: int, tls_port: int) -> None:
        self.endpoint: str = f"ws://{host}:{port}{PATH}"
        """For ``connect(..., endpoint=..., allow_plaintext=True)``."""
        self.tls_endpoint: str = f"wss://{host}:{tls_port}{PATH}"
        """The same under TLS. The certificate is for the domain, for ``localhost`` and for ``127.0.0.1``."""
        self._server = server

    async def link(self) -> trio.abc.Stream:
        """Return the client's end of a new link in memory, on which the server expects TLS and then a WebSocket.

        It is what ``wss`` leads to in a network in memory: ``network.answers["192.0.2.1", 443] = websockets.link``.
        Raises ConnectionRefusedError while the server is down.
        """
        return await self._server.link(direct_tls=True, websocket=True)


@asynccontextmanager
async def open_websockets(server: WebSocketHost, host: str = "127.0.0.1") -> AsyncIterator[WebSockets]:
    """Have `server` listen for WebSockets during the block; gives a `WebSockets`. Needs `trustme`.

        async with open_server() as server, open_websockets(server) as websockets:
            async with trioxmpp.connect(
                "romeo@example.test", "secret", endpoint=websockets.tls_endpoint, tls=server.client_tls_context()
            ) as client:
                ...

    Links, faults and crashes work as over TCP. The ports stay open while the server is down, and reset each client
    that connects then.
    """
    server.tls_context()
    with bare() as inside:
        async with trio.open_nursery() as nursery:
            ports = []
            for direct_tls in (False, True):
                listeners = await trio.open_tcp_listeners(0, host=host)
                serve = partial(server.serve_listeners, direct_tls=direct_tls, websocket=True)
                await nursery.start(serve, listeners, "none")
                ports.append(listeners[0].socket.getsockname()[1])
            with inside:
                yield WebSockets(server, host, *ports)
            nursery.cancel_scope.cancel()
