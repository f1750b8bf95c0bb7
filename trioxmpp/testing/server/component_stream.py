"""The stream of a component (XEP-0114) as the stream of a client.

The two differ in the namespace of the stream, and in the handshake, which no client's stream has. So this stands
between a link and its connection: it translates the one name, and reads the handshake itself.
"""

from __future__ import annotations

import re

import trio

from ...protocol import ns

__all__ = ["COMPONENT", "ComponentStream"]

COMPONENT = "jabber:component:accept"

_THEIRS, _OURS = COMPONENT.encode(), ns.CLIENT.encode()

#: The octets that may wait for the end of a tag.
MAX_WAITING = 1_000_000

_HANDSHAKE = re.compile(rb"\s*<handshake(?:\s[^>]*)?(?:/>|>([^<]*)</handshake>)")


class ComponentStream(trio.abc.Stream):
    """Translates the namespace in both directions."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._waiting = b""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return whole tags: a name that is cut in two could not be found. Cancelling loses nothing."""
        while True:
            data = await self._stream.receive_some(max_bytes)
            self._waiting += data
            end = self._waiting.rfind(b">") + 1
            if not data or end or len(self._waiting) > MAX_WAITING:
                end = end or len(self._waiting)
                whole, self._waiting = self._waiting[:end], self._waiting[end:]
                return whole.replace(_THEIRS, _OURS)

    async def read_handshake(self) -> str | None:
        """Return the text of the handshake; None if the other side sends anything else. Cancelling loses nothing."""
        while (found := _HANDSHAKE.match(self._waiting)) is None:
            data = await self._stream.receive_some()
            if not data or len(self._waiting) > 1000:
                return None
            self._waiting += data
        self._waiting = self._waiting[found.end() :]
        return (found[1] or b"").decode(errors="replace")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`; only the header of a stream names the namespace of the stream."""
        text = bytes(data)
        await self._stream.send_all(text.replace(_OURS, _THEIRS, 1) if b"<stream:stream" in text else text)

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream.wait_send_all_might_not_block`."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream underneath."""
        await self._stream.aclose()
