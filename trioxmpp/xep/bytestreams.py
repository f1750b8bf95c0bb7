"""XEP-0047: In-Band Bytestreams: a `trio.abc.Stream` to another client, through the servers.

Data goes in blocks, each in an IQ of its own. The peer acknowledges a block by the answer, and the next one waits for
that; so a receiver slows a sender down by answering late. It is slow, but works wherever IQs do: for small files, or
until something better is found. A stream does not survive its session, since the peer knows us by our full JID.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from operator import index
from typing import Any, Final, cast

import trio

from ..client import Client, Inbox, Session, Step
from ..errors import (
    ErroneousStanza,
    StanzaCondition,
    XMPPCancelError,
    XMPPError,
    XMPPModifyError,
    XMPPWaitError,
)
from ..jid import JID
from ..protocol.elements.ibb import NS, Close, Data, Open, StanzaKind
from ..protocol.stanza import IQ

__all__ = ["Bytestream", "Bytestreams", "open_bytestreams"]

#: The smallest block to which a peer may bring us down.
MIN_BLOCK: Final = 256

_SEQUENCE: Final = 1 << 16

Key = tuple[JID, str]


class Bytestream(trio.abc.Stream):
    """A stream of octets to `peer`, a full JID. Blocks have at most `block_size` octets.

    It keeps the contract of `trio.abc.Stream`: BrokenResourceError when the peer or the session is gone,
    ClosedResourceError after `aclose`, BusyResourceError if two tasks send, or two receive. Closing ends both
    directions, as in the protocol.
    """

    def __init__(self, session: Session, peer: JID, sid: str, block_size: int, window: int, timeout: float) -> None:
        self.peer = peer
        self.sid = sid
        self.block_size = block_size
        self._session = session
        self._window = window
        self._timeout = timeout
        self._changed = trio.lowlevel.ParkingLot()
        self._buffer = bytearray()
        self._sent = self._received = 0
        self._eof = self._closed = False
        self._broken: Exception | None = None
        self._busy: set[str] = set()

    def __repr__(self) -> str:
        return f"<Bytestream {self.sid} with {self.peer}>"

    # --- for the application

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`; returns when the peer has acknowledged all of it. After a cancellation the stream is broken."""
        await trio.lowlevel.checkpoint()
        with self._used("send"):
            self._check_open()
            view = memoryview(data).cast("B")
            for start in range(0, len(view), self.block_size):
                await self._send_block(bytes(view[start : start + self.block_size]))

    async def _send_block(self, block: bytes) -> None:
        self._check_open()
        if self._eof:
            raise trio.BrokenResourceError("the peer has closed the stream")
        seq, self._sent = self._sent, (self._sent + 1) % _SEQUENCE
        payload = Data(seq=seq, sid=self.sid, base64=base64.b64encode(block).decode())
        try:
            await self._session.request(payload, to=self.peer, timeout=self._timeout)
        except (XMPPError, ErroneousStanza, OSError) as exc:
            if self._closed:
                raise trio.ClosedResourceError("the stream was closed") from None
            self.fail(exc)
            raise trio.BrokenResourceError(f"the peer did not take a block: {exc}") from exc
        except trio.Cancelled:
            self.fail(ConnectionAbortedError("sending was cancelled, so the peer may lack a block"))
            raise

    async def wait_send_all_might_not_block(self) -> None:
        """Return when `send_all` may be called: at once, unless another task is sending."""
        with self._used("send"):
            self._check_open()
            await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has arrived, at most `max_bytes`; waits for something. b"" once the peer has closed the stream.

        Cancelling loses nothing.
        """
        if max_bytes is not None and index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        await trio.lowlevel.checkpoint()
        with self._used("receive"):
            while not self._buffer:
                if self._closed:
                    raise trio.ClosedResourceError("the stream was closed")
                if self._eof:
                    return b""
                self._check_open()
                await self._changed.park()
            taken = bytes(self._buffer[:max_bytes])
            del self._buffer[: len(taken)]
            self._changed.unpark_all()
            return taken

    async def aclose(self) -> None:
        """Close the stream, and have the peer told. A checkpoint; cancelling it closes the stream as well."""
        is_open = not (self._closed or self._eof or self._broken)
        self._closed = True
        self._changed.unpark_all()
        if is_open and self._session.ended is None:
            request = Close(sid=self.sid)
            self._session.enqueue(IQ.request(request, to=self.peer))
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("the stream was closed")
        if self._broken is not None:
            raise trio.BrokenResourceError(f"the stream is broken: {self._broken}") from self._broken

    @contextmanager
    def _used(self, direction: str) -> Iterator[None]:
        if direction in self._busy:
            raise trio.BusyResourceError(f"another task uses this stream to {direction}")
        self._busy.add(direction)
        try:
            yield
        finally:
            self._busy.discard(direction)

    # --- for what arrives

    @property
    def over(self) -> bool:
        """Whether nothing more can arrive."""
        return self._closed or self._eof or self._broken is not None

    def take(self, data: Data) -> Awaitable[None] | None:
        """Take a block; return what the answer has to wait for, if the receiver is slow. Raises the error to answer."""
        problem = self._problem(data)
        if problem is not None:
            self.fail(ConnectionAbortedError(f"the peer broke the rules of the stream: {problem}"))
            raise problem
        self._received = (self._received + 1) % _SEQUENCE
        self._buffer += base64.b64decode(data.base64)
        self._changed.unpark_all()
        return None if len(self._buffer) <= self._window else self._wait_for_room()

    def _problem(self, data: Data) -> XMPPError | None:
        if data.seq != self._received:
            return XMPPCancelError(StanzaCondition.UNEXPECTED_REQUEST, f"block {self._received} is due")
        try:
            octets = len(base64.b64decode(data.base64, validate=True))
        except binascii.Error:
            return XMPPModifyError(StanzaCondition.BAD_REQUEST, "the block is not base64")
        if octets > self.block_size:
            return XMPPModifyError(StanzaCondition.BAD_REQUEST, "the block is too large")
        if len(self._buffer) > self._window + self.block_size:
            return XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, "wait for the answer to a block")
        return None

    async def _wait_for_room(self) -> None:
        while len(self._buffer) > self._window and not self.over:
            await self._changed.park()

    def end(self) -> None:
        """Note that the peer has closed the stream."""
        self._eof = True
        self._changed.unpark_all()

    def fail(self, reason: Exception) -> None:
        """Break the stream, because of `reason`."""
        self._broken = self._broken or reason
        self._changed.unpark_all()


class Bytestreams(Inbox[Bytestream]):
    """The bytestreams of one client. It is also the inbox of those that others have opened, and we have accepted."""

    def __init__(
        self, client: Client, allow: Callable[[JID], bool], limits: tuple[int, int, int, int], timeout: float
    ) -> None:
        self._max_streams, self._per_peer, self._max_block, self._window = limits
        super().__init__(self._max_streams)
        self._client = client
        self._allow = allow
        self._timeout = timeout
        self._streams: dict[Key, Bytestream] = {}

    async def connect(self, peer: JID | str, *, block_size: int = 4096) -> Bytestream:
        """Open a bytestream to `peer`, the full JID of a client.

        A peer that finds the block too large is asked again with half of it. Raises `XMPPError` if the peer refuses,
        and what `Client.send` raises. Cancelling may leave the stream open at the peer.
        """
        address = JID.parse(peer) if isinstance(peer, str) else peer
        await self._client.wait_established()
        session = self._client.session
        assert session is not None
        stream = self._add(session, address, secrets.token_urlsafe(12), block_size)
        try:
            while True:
                try:
                    request = Open(block_size=stream.block_size, sid=stream.sid)
                    await session.request(request, to=address, timeout=self._timeout)
                    return stream
                except XMPPError as exc:
                    if exc.condition is not StanzaCondition.RESOURCE_CONSTRAINT or stream.block_size < 2 * MIN_BLOCK:
                        raise
                    stream.block_size //= 2
        except BaseException:
            self._streams.pop((address, stream.sid), None)
            raise

    def _add(self, session: Session, peer: JID, sid: str, block_size: int) -> Bytestream:
        self._forget_those_over()
        stream = Bytestream(session, peer, sid, block_size, self._window, self._timeout)
        self._streams[peer, sid] = stream
        return stream

    def _forget_those_over(self) -> None:
        for key in [key for key, stream in self._streams.items() if stream.over]:
            del self._streams[key]

    def _find(self, iq: IQ, sid: str) -> Bytestream:
        stream = None if iq.from_ is None else self._streams.get((iq.from_, sid))
        if stream is None or stream.over:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        return stream

    def answer_open(self, iq: IQ) -> None:
        """Accept a stream, or raise the error that is the answer."""
        request, peer, session = cast(Open, iq.payload), iq.from_, self._client.session
        if peer is None or session is None or not self._allow(peer):
            raise XMPPCancelError(StanzaCondition.NOT_ACCEPTABLE)
        if request.stanza != StanzaKind.IQ:
            raise XMPPCancelError(StanzaCondition.FEATURE_NOT_IMPLEMENTED, "only IQs carry data here")
        if request.block_size > self._max_block:
            raise XMPPModifyError(StanzaCondition.RESOURCE_CONSTRAINT, f"the limit of a block is {self._max_block}")
        self._forget_those_over()
        of_peer = Counter(each.peer.bare for each in self._streams.values())[peer.bare]
        full = len(self._streams) >= self._max_streams or of_peer >= self._per_peer or len(self) >= self._max_streams
        if full or not request.sid or (peer, request.sid) in self._streams:
            raise XMPPCancelError(StanzaCondition.NOT_ACCEPTABLE)
        self.put(self._add(session, peer, request.sid, request.block_size))

    def answer_data(self, iq: IQ) -> Awaitable[None] | None:
        """Take a block, or raise the error that is the answer."""
        data = cast(Data, iq.payload)
        return self._find(iq, data.sid).take(data)

    def answer_close(self, iq: IQ) -> None:
        """End a stream, or raise the error that is the answer."""
        self._find(iq, cast(Close, iq.payload).sid).end()

    def fail_all(self, reason: Exception) -> None:
        """Break all streams, because of `reason`."""
        for stream in self._streams.values():
            stream.fail(reason)
        self._streams.clear()


@asynccontextmanager
async def open_bytestreams(
    client: Client,
    *,
    allow: Callable[[JID], bool] | None = None,
    max_streams: int = 100,
    per_peer: int = 10,
    max_block_size: int = 65535,
    window: int = 65536,
    timeout: float = 60.0,
) -> AsyncIterator[Bytestreams]:
    """A block during which bytestreams can be opened, and others may open some; gives the inbox of theirs.

    ``allow(jid)`` decides whose streams are accepted; None accepts none. There are at most `max_streams` of them,
    `per_peer` for one bare JID, with blocks of `max_block_size` octets. A stream that is not read holds `window` octets
    and two blocks more: the peer has to wait then. A block, and an answer, may take `timeout` seconds. Leaving the
    block, and the end of the session, break all streams.

    Raises ValueError if there is such a block already. Cancelling while entering leaves nothing behind.
    """
    streams = Bytestreams(client, allow or _accept_none, (max_streams, per_peer, max_block_size, window), timeout)

    @asynccontextmanager
    async def of_session(session: Session) -> AsyncIterator[None]:
        try:
            yield
        finally:
            streams.fail_all(ConnectionAbortedError("the session is over"))

    def prepare(session: Session) -> Any:
        return of_session(session)

    with ExitStack() as stack:
        stack.enter_context(client.answer(Open, streams.answer_open))
        stack.enter_context(client.answer(Data, streams.answer_data))
        stack.enter_context(client.answer(Close, streams.answer_close))
        stack.enter_context(client.offers(NS))
        async with client.each_session(Step.SYNC, prepare):
            try:
                yield streams
            finally:
                streams.close()


def _accept_none(peer: JID) -> bool:
    return False
