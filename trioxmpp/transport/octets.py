"""A transport over a stream of octets: TCP, with or without TLS, or any other `trio.abc.Stream`.

A `StreamTransport` turns trio's errors into ConnectionErrors, and remembers what must not happen any more: no octet may
follow a write that was cut short, and none may be sent in the clear once TLS was tried.

It can write without waiting, as much as a socket has room for. A task that asks and then waits for the answer need not
wait for the writer's turn as well. So the stream offers short data to the transport in the turn of the caller. trio
writes in async functions only, which a cancellation of the caller could cut. The part that does not wait is one system
call, `write_now`. The transport keeps the octets that it leaves, and writes them before all else.

With TLS, the octets are encrypted first, and records have to leave in the order in which they were made. trio's
`SSLStream` makes records when it writes, and sometimes when it reads: the answer to a change of keys (RFC 8446 §4.6.3).
It takes these out of its buffer before it waits for its turn to write them. `BelowTLS` and `WatchedTLS`, which it gets
in place of the stream below and the object of OpenSSL, tell when that is so.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import trio

from ..errors import TLSFailure
from .base import READ_SIZE
from .channelbinding import channel_bindings
from .endpoint import to_ascii, without_zone
from .tls import check_names, tls_failure
from .tlssessions import SessionReuse

__all__ = ["BelowTLS", "StreamTransport", "WatchedTLS", "write_now"]

#: Seconds that the peer may take to close TLS, too.
CLOSE_NOTIFY_TIMEOUT = 1.0

#: Octets that are encrypted at once at most: one record of TLS (RFC 8446 §5.1).
RECORD = 16384


def _connection_error(exc: trio.BrokenResourceError | trio.ClosedResourceError) -> ConnectionError:
    """Return the ConnectionError that an error of trio stands for."""
    if isinstance(exc, trio.ClosedResourceError):
        return ConnectionAbortedError("the connection was closed by us")
    reason = str(exc.__cause__ or exc)
    return ConnectionResetError("the connection is broken" + (f": {reason}" if reason else ""))


class StreamTransport:
    """A `Transport` over a stream of octets, which it owns from now on.

    `session_reuse` has the TLS session to go on with, and takes the one that this link leaves.
    """

    is_message_based = False

    def __init__(self, stream: trio.abc.Stream, session_reuse: SessionReuse | None = None) -> None:
        self.heard: float = trio.current_time()
        """See `Transport.heard`."""
        self._stream = stream
        self._below: BelowTLS | None = None
        """The stream under TLS, if there is TLS."""
        self._tls: WatchedTLS | None = None
        self._unsent = b""  # without TLS: what has to go out before all else
        self._is_sending = False
        self._session_reuse = session_reuse
        self._unwritable: str | None = None
        """The reason why nothing can be sent any more; None if it can."""
        self._unusable: str | None = None
        """The reason why nothing can be sent or received any more; None if it can."""

    @property
    def secure(self) -> bool:
        """Whether TLS protects the link."""
        return isinstance(self._stream, trio.SSLStream)

    @property
    def tls_version(self) -> str | None:
        """See `Transport.tls_version`."""
        if not isinstance(self._stream, trio.SSLStream):
            return None
        version: str | None = self._stream.version()
        return version

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The peer's certificate, as `ssl.SSLSocket.getpeercert` returns it; None if it is not known."""
        if not isinstance(self._stream, trio.SSLStream):
            return None
        try:
            certificate: Mapping[str, Any] | None = self._stream.getpeercert()
        except ValueError:  # not a link of the ssl module, or there was no handshake yet
            return None
        return certificate

    @property
    def certificate_der(self) -> bytes | None:
        """The peer's certificate in DER; None if it is not known."""
        if not isinstance(self._stream, trio.SSLStream):
            return None
        try:
            certificate: bytes | None = self._stream.getpeercert(binary_form=True)
        except ValueError:
            return None
        return certificate

    def channel_bindings(self) -> Mapping[str, bytes]:
        """See `Transport.channel_bindings`."""
        return channel_bindings(self._stream) if isinstance(self._stream, trio.SSLStream) else {}

    async def send(self, data: bytes, *more: bytes) -> None:
        """See `Transport.send`."""
        if self._unusable is not None or self._unwritable is not None:
            self._check(self._unwritable)
        if more:
            data = b"".join((data, *more))
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        await self._write(self._stream, data)

    async def _write(self, stream: trio.abc.Stream, data: bytes) -> None:
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending")
        self._is_sending = True
        try:
            await stream.send_all(data)
        except BaseException as exc:
            # Over plain TCP, trio would accept more, and write it behind the part that was written.
            self._unwritable = "a write was cut short, so nothing can follow it"
            if isinstance(exc, (trio.BrokenResourceError, trio.ClosedResourceError)):
                raise _connection_error(exc) from exc  # noqa: ASYNC104  (no Cancelled)
            raise
        finally:
            self._is_sending = False

    def send_nowait(self, data: bytes, *more: bytes) -> bool:
        """See `Transport.send_nowait`."""
        if self._is_sending or self._unsent or self._unwritable is not None or self._unusable is not None:
            return False
        if more:
            data = b"".join((data, *more))
        if self._below is not None and self._tls is not None:
            return self._below.write_now(self._tls, data)
        taken = write_now(self._stream, data)
        if taken:
            self._unsent = data[taken:]
        return taken > 0

    @property
    def unsent(self) -> bool:
        """See `Transport.unsent`."""
        return bool(self._unsent if self._below is None else self._below.unsent)

    async def flush(self) -> None:
        """See `Transport.flush`."""
        self._check(self._unwritable)
        if self._below is None:
            await self.send(b"")
        else:
            await self._write(self._below, b"")

    async def receive(self) -> bytes:
        """See `Transport.receive`."""
        if self._unusable is not None:
            self._check()
        try:
            data = bytes(await self._stream.receive_some(READ_SIZE))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            if isinstance(exc, trio.ClosedResourceError) or self._below is None or not self._below.ended:
                raise _connection_error(exc) from exc
            data = b""
        if self._below is not None:
            self._below.was_read()
        if data:
            self.heard = trio.current_time()
        return data

    def receive_nowait(self) -> None:
        """See `Transport.receive_nowait`."""

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """See `Transport.start_tls`."""
        self._check(self._unwritable)
        self._unusable = "TLS was not established"
        below = BelowTLS(self._stream)
        watched = WatchedTLS(context, below)
        try:
            host = without_zone(to_ascii(server_hostname))
            tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(
                below,
                cast(ssl.SSLContext, watched),
                server_hostname=host,
                # A missing close_notify is not an error: the stream's own footer tells whether it was cut off.
                https_compatible=True,
            )
            if self._session_reuse is not None:
                self._session_reuse.begin(tls, context, host)
            await tls.do_handshake()
            check_names(tls, context, host)
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError) as exc:
            raise tls_failure(exc, server_hostname) from exc
        except ValueError as exc:
            raise TLSFailure(f"no certificate can be for {server_hostname}: {exc}") from exc
        if self._session_reuse is not None:
            self._session_reuse.begun(tls)
        below.raises = True
        self._stream, self._below, self._tls = tls, below, watched
        self._unusable = None

    async def close_gracefully(self) -> None:
        """See `Transport.close_gracefully`."""
        self._leave_session()
        stream = self._stream
        try:
            if isinstance(stream, trio.SSLStream) and self._unusable is None:
                self._unusable = "the connection was closed by us"
                with (
                    trio.move_on_after(CLOSE_NOTIFY_TIMEOUT),
                    suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError),
                ):
                    # An SSLStream gives its stream away here, and would not close it any more.
                    self._stream, _ = await stream.unwrap()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._unusable = "the connection was closed by us"
        self._leave_session()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            await trio.aclose_forcefully(self._stream)

    def _leave_session(self) -> None:
        """Save the TLS session for the next link."""
        reuse, self._session_reuse = self._session_reuse, None
        if reuse is not None and isinstance(self._stream, trio.SSLStream):
            reuse.end(self._stream)

    def _check(self, also: str | None = None) -> None:
        reason = self._unusable or also
        if reason is not None:
            raise ConnectionAbortedError(reason)


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
