"""Writing without waiting: what a socket has room for now, and the same through TLS.

A task that asks and then waits for the answer need not wait for the writer's turn as well. So the stream offers short
data to the transport in the turn of the caller. trio writes in async functions only, which a cancellation of the caller
could cut. Here is the part that does not wait: `write_now` is one system call. The transport keeps the octets that it
leaves, and writes them before all else.

With TLS, the octets are encrypted first, and records have to leave in the order in which they were made. trio's
`SSLStream` makes records when it writes, and sometimes when it reads: the answer to a change of keys (RFC 8446 §4.6.3).
It takes these out of its buffer before it waits for its turn to write them. `BelowTLS` and `WatchedTLS`, which it gets
in place of the stream below and the object of OpenSSL, tell when that is so.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable
from typing import Any, cast

import trio

__all__ = ["BelowTLS", "WatchedTLS", "write_now"]

#: Octets that are encrypted at once at most: one record of TLS (RFC 8446 §5.1).
RECORD = 16384


def write_now(stream: trio.abc.Stream, data: bytes) -> int:
    """Have the system take octets of `data`, and return their number: 0 if there is no room, or any doubt.

    It never raises: an error comes again when the rest is written. No task may be writing to `stream`.
    """
    if isinstance(stream, trio.SocketStream):
        if sys.platform == "win32":  # there, a socket is no file
            return 0
        try:
            return os.write(stream.socket.fileno(), data)
        except OSError:
            return 0
    send_nowait = getattr(stream, "send_nowait", None)  # the links of `trioxmpp.testing`
    return 0 if send_nowait is None else cast(int, send_nowait(data))


class BelowTLS(trio.abc.Stream):
    """The stream below TLS, which can keep to itself that the peer has closed it.

    A peer that closes TCP without closing TLS first may have been cut off by an attacker. For OpenSSL, that breaks the
    TLS session, too: from version 3.5 on, the session is not to be resumed then, and says that it has no ticket. But a
    link that broke is what resumption is for, and XMPP tells by its own footer whether it was cut off (RFC 6120 §4.4).
    So OpenSSL is not told: once the handshake is done, the end is an error of ours. The option of OpenSSL for that,
    ``OP_IGNORE_UNEXPECTED_EOF``, would have to be set on a context that may be the application's.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.raises: bool = False
        """Whether the end is an error: after the handshake, for which it is one of TLS."""
        self.ended: bool = False
        """Whether the peer has closed the stream."""
        self.unsent: bytes = b""
        """Records that were made, and have to go out before all later ones."""
        self._is_behind = False  # whether trio may have records that it did not write yet
        self._stream = stream
        self._writing = trio.Lock()

    def reading_made_records(self) -> None:
        """trio is about to write records that it made while reading."""
        self._is_behind = True

    def was_read(self) -> None:
        """trio has returned from reading, and so written these records."""
        self._is_behind = False

    def write_now(self, tls: WatchedTLS, data: bytes) -> bool:
        """Encrypt and write `data`; False, and nothing has happened, if other records may have to go out first."""
        if self.unsent or self._is_behind or self._writing.locked() or len(data) > RECORD:
            return False
        records = tls.encrypt(data)
        if records is None:
            return False
        self.unsent = records[write_now(self._stream, records) :]
        return True

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write what `write_now` has left, and then `data`; see `trio.abc.SendStream.send_all`."""
        # Like `async with`, but without a checkpoint if no other task writes: there is one in what follows.
        try:
            self._writing.acquire_nowait()
        except trio.WouldBlock:
            await self._writing.acquire()
        try:
            unsent, self.unsent = self.unsent, b""
            await self._stream.send_all(unsent + data if unsent else data)
        finally:
            self._writing.release()

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream.wait_send_all_might_not_block`."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See `trio.abc.ReceiveStream.receive_some`."""
        data = await self._stream.receive_some(max_bytes)
        self.ended = not data
        if self.ended and self.raises:
            raise trio.BrokenResourceError("the peer closed the stream")
        return data

    async def aclose(self) -> None:
        """See `trio.abc.AsyncResource.aclose`."""
        await self._stream.aclose()


class WatchedTLS:
    """An `ssl.SSLContext`, and then the `ssl.SSLObject` that it makes, as far as a `trio.SSLStream` needs them.

    It passes everything on to them, and tells `below` when reading has made records.
    """

    session: ssl.SSLSession | None
    write: Callable[[bytes], int]

    def __init__(self, context: ssl.SSLContext, below: BelowTLS) -> None:
        self._context = context
        self._below = below
        self._object: Any = None
        self._outgoing: Any = None

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **options: Any) -> WatchedTLS:
        """See `ssl.SSLContext.wrap_bio`."""
        self._object = self._context.wrap_bio(incoming, outgoing, **options)
        self._outgoing = outgoing
        self.write = self._object.write
        return self

    def encrypt(self, data: bytes) -> bytes | None:
        """Return the records of `data`. None if OpenSSL cannot write now: it has to be given the same octets again."""
        try:
            self._object.write(data)
        except ssl.SSLError:
            return None
        records: bytes = self._outgoing.read()
        return records

    def read(self, count: int) -> bytes:
        """See `ssl.SSLObject.read`."""
        try:
            data: bytes = self._object.read(count)
            return data
        finally:
            if self._outgoing.pending:
                self._below.reading_made_records()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._object, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "session":
            self._object.session = value
        else:
            object.__setattr__(self, name, value)
