"""The server's end of a WebSocket (RFC 7395), as the stream of bytes that it would be over TCP."""

from __future__ import annotations

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from .. import xml
from ..protocol import ns
from ..protocol.framing import FOOTER, Event, Framing, Skipped, StreamFooter, StreamHeader, header
from ..protocol.websocket import CLOSE, document, open_

__all__ = ["Gateway", "open_gateway"]

#: Seconds that a client may take for its side of the handshake.
HANDSHAKE_TIMEOUT = 10.0

_OPEN = f"{{{ns.FRAMING}}}open"
_CLOSE = f"{{{ns.FRAMING}}}close"
_LANG = f"{{{ns.XML}}}lang"


class Gateway(trio.abc.Stream):
    """Takes documents for what they would be in one stream, and the other way round.

    It is strict: what the client does not declare is not declared. What is no XML at all breaks the link.
    """

    def __init__(self, websocket: WebSocketConnection) -> None:
        self._websocket = websocket
        self._outbound = Framing()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """One message, as it would stand in a stream."""
        try:
            message = await self._websocket.get_message()
        except ConnectionClosed:
            return b""
        try:
            element = xml.fromstring(message)  # a binary one would be XML, but none that XMPP allows
        except ValueError as exc:
            raise trio.BrokenResourceError(f"the client sent what is no XML: {message!r:.80}") from exc
        if element.tag == _CLOSE:
            return FOOTER
        if element.tag != _OPEN:
            return xml.serialise(element, ns.CLIENT).encode()
        self._outbound = Framing()
        return header(to=element.get("to"), from_=element.get("from"), lang=element.get(_LANG))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Each element that `data` completes is a message; what is no XML is one, too."""
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
        """Does not wait."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close the WebSocket, and wait for the client to do so, too."""
        await self._websocket.aclose()


def _written(event: Event) -> bytes:
    if isinstance(event, StreamHeader):
        return open_(to=event.to, from_=event.from_, lang=event.lang, id=event.id)
    if isinstance(event, StreamFooter):
        return CLOSE
    return document(xml.serialise(event, ns.CLIENT).encode())


async def open_gateway(nursery: trio.Nursery, stream: trio.abc.Stream) -> Gateway:
    """Be the server of a WebSocket handshake on `stream`. Raises `trio.BrokenResourceError` if there is none.

    `nursery` is where it lives, for as long as `stream` does.
    """
    with trio.move_on_after(HANDSHAKE_TIMEOUT):
        request = await wrap_server_stream(nursery, stream)
        if "xmpp" in request.proposed_subprotocols:
            return Gateway(await request.accept(subprotocol="xmpp"))
        await request.reject(400)
    raise trio.BrokenResourceError("the client did not ask for a WebSocket for XMPP")
