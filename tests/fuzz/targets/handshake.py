"""The answer to the handshake of a WebSocket, and the frames behind it (RFC 6455 §4.1, §5)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import re
import zlib

import trio
from trio.testing import MockClock

from trioxmpp.testing import MemoryStream, memory_link
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.tcp import StreamTransport
from trioxmpp.transport.websocket import WebSocketTransport, open_websocket

__all__ = ["handshake"]

ENDPOINT = Endpoint("ws", "example.test", 80, "/xmpp-websocket")

#: The placeholder in an input for the value that the server has to compute from the client's key.
ACCEPT = b"{accept}"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#: Octets of a message.
LONGEST = 5000


def handshake(data: bytes) -> None:
    """Open a WebSocket to a server that answers with these octets, at once and in pieces. The two give the same."""
    outcomes = [trio.run(_open, data, at_once, clock=MockClock(autojump_threshold=0)) for at_once in (True, False)]
    assert outcomes[0] == outcomes[1], "how the answer is cut makes a difference"


async def _open(data: bytes, at_once: bool) -> tuple[bool, list[bytes]]:
    """Return whether a WebSocket was open, and its messages."""
    ours, theirs = memory_link()
    opened, messages = False, list[bytes]()
    async with trio.open_nursery() as servers, trio.open_nursery() as nursery:
        servers.start_soon(_answer, theirs, data, at_once)
        with contextlib.suppress(ConnectionError), trio.fail_after(3600):
            transport = await open_websocket(nursery, StreamTransport(ours), ENDPOINT, max_message=LONGEST)
            opened = True
            await _read(transport, messages)
        servers.cancel_scope.cancel()
    return opened, messages


async def _read(transport: WebSocketTransport, messages: list[bytes]) -> None:
    try:
        while message := await transport.receive():
            messages.append(message)
    finally:
        with trio.CancelScope(shield=True):
            await transport.close_gracefully()


async def _answer(link: MemoryStream, data: bytes, at_once: bool) -> None:
    request = await link.receive_some()
    key = re.search(rb"(?i)sec-websocket-key: *([^\r]*)", request)
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
    chance, rest = random.Random(zlib.crc32(data)), data.replace(ACCEPT, accept, 1)
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while rest:
            size = len(rest) if at_once else chance.choice((1, 2, 3, 8, 50))
            await link.send_all(rest[:size])
            rest = rest[size:]
        await link.send_eof()
