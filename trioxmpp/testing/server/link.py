"""A link: one connection of a client, from the first byte to the last."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Awaitable, Callable

import trio

from ...errors import StreamCondition, StreamError
from ...protocol import ns
from ...protocol.framing import FOOTER, Event, Framing, stream_error
from ..virtual.faults import Direction, Faults, FaultyStream
from ..virtual.memory import MemoryStream
from .component_stream import ComponentStream
from .websockets import open_gateway

__all__ = ["Link"]

#: The time for writing the end of a stream, in seconds.
GOODBYE_TIMEOUT = 1.0
READ_SIZE = 16384
NO_FAULTS = Faults()
ACK_REQUEST = f"<r xmlns='{ns.SM}'/>".encode()


class Link:
    """One connection of a client to the server, in memory or over TCP, with methods that harm it.

    The methods take effect before they return: after ``link.reset()`` the session hibernates, or is gone.
    """

    def __init__(
        self,
        raw: MemoryStream | trio.SocketStream,
        faults: Faults,
        *,
        direct_tls: bool = False,
        websocket: bool = False,
        on_lost: Callable[[Link], None],
        park: Callable[[trio.abc.Stream], None],
    ) -> None:
        self.faults = faults
        """The planned faults of this link."""
        self.secure: bool = False
        """Whether TLS protects it."""
        self.tls: trio.SSLStream[trio.abc.Stream] | None = None
        """Its TLS, if so."""
        self.closed: bool = False
        """Whether it is over."""
        self.keep_session: bool = True
        """Whether the session may go on elsewhere after this link."""
        self.direct_tls = direct_tls
        """Whether it begins with TLS (XEP-0368)."""
        self.websocket = websocket
        """Whether it is a WebSocket (RFC 7395), or becomes one."""
        self._raw = raw
        self._on_lost = on_lost
        self._park = park
        self._wire = FaultyStream(raw, faults if faults.below_tls else NO_FAULTS, self._cut)
        self._top = FaultyStream(self._wire, NO_FAULTS if faults.below_tls else faults, self._cut)
        self._abruptly = faults.abruptly
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._framing = Framing()
        self._unread = b""
        self._outbox: list[bytes] = []
        self._ack_due = False
        self._ending = False
        self._busy = False
        self._wake = trio.Event()
        self._flushed = trio.lowlevel.ParkingLot()

    # --- harm

    def reset(self) -> None:
        """Break it with a reset (RST), as a router does that lost its tables, or the kernel of a killed process."""
        self._kill(abruptly=True)

    def close(self) -> None:
        """Close it without closing the stream (FIN): the client reads the end of the link, but no footer."""
        self._kill(abruptly=False)

    def cut_after(self, count: int, direction: Direction = "both", *, abruptly: bool = True) -> None:
        """Break it when `count` more bytes have passed in that direction; `abruptly` as in `Faults`.

        ``in`` is from the client. This cuts a stanza in half.
        """
        self._abruptly = abruptly
        (self._wire if self.faults.below_tls else self._top).cut_after(count, direction)

    def black_hole(self, direction: Direction = "both") -> None:
        """From now on all bytes in that direction vanish, and so does the end of the link.

        ``in`` is from the client, ``out`` to it. There is no way back; a client needs another link.
        """
        self._wire.black_hole(direction)

    def stall(self, direction: Direction = "both") -> None:
        """From now on nothing is read (``in``) or written (``out``). The client's buffers fill up, if bounded."""
        self._wire.stall(direction)

    def inject(self, data: bytes) -> None:
        """Write foreign bytes, XML or not."""
        self.write(data)

    def end(self, error: StreamError | None = None, *, keep_session: bool = False) -> None:
        """Close the stream in order: `error`, if one is given, a footer, and the end of the link.

        The session is over, unless `keep_session` leaves it to be resumed.
        """
        if self.closed or self._ending:
            return
        self.write((b"" if error is None else stream_error(error)) + FOOTER)
        self._ending = True
        self.keep_session = keep_session
        self._on_lost(self)

    # --- counters

    @property
    def bytes_in(self) -> int:
        """The number of bytes that have come in: of XML, or on the wire if the faults are below TLS."""
        return (self._wire if self.faults.below_tls else self._top).received

    @property
    def bytes_out(self) -> int:
        """The number of bytes that have gone out, counted likewise."""
        return (self._wire if self.faults.below_tls else self._top).sent

    # --- for the server

    async def run(self, converse: Callable[[], Awaitable[None]]) -> None:
        """Run `converse`, and write its output meanwhile; return when the link is closed. Cancelling closes it."""
        with self._scope:
            try:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    nursery.start_soon(self._write_all)
                    await self._converse(converse)
            finally:
                self._kill(abruptly=False)

    async def _converse(self, converse: Callable[[], Awaitable[None]]) -> None:
        try:
            await converse()
        except StreamError as exc:
            self.end(exc)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._kill(abruptly=False)

    def write(self, data: str | bytes) -> None:
        """Have `data` written in one segment with all other data that waits. Does nothing once the stream has ended."""
        if not self._ending:
            self._outbox.append(data.encode() if isinstance(data, str) else data)
            self._wake.set()

    def ask_for_ack(self) -> None:
        """Have ``<r/>`` written behind all data that waits now."""
        self._ack_due = True

    async def flush(self) -> None:
        """Wait until all data is written. Cancelling loses nothing."""
        while self._outbox or self._busy:
            await self._flushed.park()

    def restart(self) -> None:
        """Expect a new stream header (RFC 6120 §4.3.3)."""
        self._framing = Framing()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Put TLS on the link. Raises StreamError if the client did not wait for it (RFC 6120 §5.4.2.1)."""
        if self._unread:
            raise StreamError(StreamCondition.POLICY_VIOLATION, "wait for <proceed/>", by_us=True)
        await self.flush()
        tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(self._wire, context, server_side=True)
        await tls.do_handshake()
        self._top.put_on(tls)
        self.tls, self.secure = tls, True
        self.restart()

    async def start_websocket(self) -> None:
        """Put a WebSocket on the link. Raises `trio.BrokenResourceError` if the client does not ask for one."""
        assert self._nursery is not None
        self._top.put_on(await open_gateway(self._nursery, self.tls or self._wire))

    def start_component(self) -> ComponentStream:
        """Read and write the stream of a component (XEP-0114) from now on; return that stream."""
        stream = ComponentStream(self.tls or self._wire)
        self._top.put_on(stream)
        return stream

    async def receive(self) -> Event:
        """Return the next event. Raises StreamError if it is not XMPP, BrokenResourceError if the link breaks."""
        while True:
            event, self._unread, error = self._framing.feed_one(self._unread)
            if event is not None:
                return event
            if error is not None:
                raise error
            self._unread = await self._top.receive_some(READ_SIZE)
            if not self._unread:
                raise trio.BrokenResourceError("the client has closed the link")

    async def drain(self) -> None:
        """Read and ignore all, until the link breaks: raises `trio.BrokenResourceError` then."""
        while await self._top.receive_some(READ_SIZE):
            pass
        raise trio.BrokenResourceError("the client has closed the link")

    async def _write_all(self) -> None:
        try:
            while not (self._ending and not self._outbox):
                if not self._outbox:
                    self._wake = trio.Event()
                    await self._wake.wait()
                data, self._outbox, self._busy = b"".join(self._outbox), [], True
                if self._ack_due and not self._ending:
                    data += ACK_REQUEST
                self._ack_due = False
                await self._write_some(data)
                self._busy = False
                self._flushed.unpark_all()
            with trio.move_on_after(GOODBYE_TIMEOUT):
                if not self._wire.mute:
                    await self._top.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self._kill(abruptly=False)

    async def _write_some(self, data: bytes) -> None:
        with trio.move_on_after(GOODBYE_TIMEOUT if self._ending else float("inf")):
            await self._top.send_all(data)

    def _cut(self) -> None:
        self._kill(abruptly=self._abruptly)

    def _kill(self, *, abruptly: bool) -> None:
        if self.closed:
            return
        self.closed = True
        if self._wire.mute or self._top.mute:
            self._park(self._raw)  # the client must not learn that it has ended
        elif isinstance(self._raw, MemoryStream):
            (self._raw.reset if abruptly else self._raw.close)()
        else:
            if abruptly:
                self._raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._raw.socket.close()
        self._ending = True
        self._scope.cancel()
        self._on_lost(self)
