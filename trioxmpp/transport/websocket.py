"""WebSocket as a transport (RFC 6455, RFC 7395 §3.1), by trio-websocket; this is the only module that knows it.

trio-websocket reads in a task of its own. An error there is raised in that task, also one of a library below it, and a
link that ends during the handshake raises none. So its task runs in a nursery that lets nothing out, over a stream that
notes what happens.

It sends one message at a time, each by several switches between tasks and a system call. So it sends only its control
frames; our messages go past it, many at once, between two writes of its own.

It hands over one message at a time, too. So the usual ones do not come to it: they are taken out of what is read
(`TextFrames`), and received many at once. It gets all else, and remains what decides about it.
"""

from __future__ import annotations

import re
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from ..errors import StreamCondition, StreamError, TLSFailure
from ..text import printable
from .base import Transport
from .endpoint import Endpoint, in_url, to_ascii, without_zone
from .frames import TextFrames, text_frames

__all__ = ["MAX_MESSAGE", "WebSocketTransport", "open_websocket"]

SUBPROTOCOL = "xmpp"

#: Characters of a message: the ceiling of `protocol.limits.Limits`. How large a stanza may be is decided there, when
#: the message is read as XML.
MAX_MESSAGE = 64 << 20

#: Octets that the answer to the handshake may have, and messages that are kept until they are received.
MAX_ANSWER = 1 << 16
QUEUE = 16

#: Octets of a message that does not go through trio-websocket, and of all that wait before no more are read.
LONGEST = 65535
MAX_WAITING = 1 << 16

#: Seconds that any message may take, and octets that must come of a longer one each second: what `heard` counts.
MESSAGE_TIME = 900.0
SLOWEST_MESSAGE = 4096

#: Seconds that the peer may take to close the WebSocket, too.
CLOSE_TIMEOUT = 1.0

_END_OF_HEAD = b"\r\n\r\n"
_NONE_HERE = "there is no WebSocket at this address"
_BY_US = "the connection was closed by us"
_NORMAL_CLOSURE, _GOING_AWAY, _NO_CODE, _ABNORMAL_CLOSURE, _TOO_BIG = 1000, 1001, 1005, 1006, 1009
_STATUS = re.compile(rb"HTTP/1\.[01] +([0-9]{3})[ \t]*([ -~]{0,60})")


class _Below(trio.abc.Stream):
    """A transport of octets as the stream below trio-websocket; it notes what that does not tell."""

    def __init__(self, transport: Transport, max_message: int) -> None:
        self.transport = transport
        self.handshake = trio.CancelScope()
        """Cancelled when no answer can arrive any more."""
        self.answer: bytes | None = b""
        """The octets so far of the answer to the handshake; None when all of it has come."""
        self.failure: ConnectionError | None = None
        """The error that broke the link; None if it is not broken."""
        self.unread = 0
        """Octets that came since the last message was received."""
        self.messages: deque[bytes | None] = deque()
        """Messages that were not received yet. In the place of None comes one of trio-websocket, or its end."""
        self._frames = TextFrames(min(LONGEST, max_message))
        self._waiting = 0  # octets of `messages`
        self._is_left = False  # whether nothing is received any more
        self._changed = trio.lowlevel.ParkingLot()
        self._writing = trio.Lock()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._take_turn()
        try:
            await self._send(bytes(data))
        finally:
            self._writing.release()

    async def send_messages(self, messages: Sequence[bytes], websocket: WebSocketConnection) -> None:
        """Send `messages` past trio-websocket. Raises ConnectionClosed, or BrokenResourceError as `send_all` does."""
        _check_open(websocket)
        await self._take_turn()
        try:
            _check_open(websocket)
            await self._send(text_frames(messages))
        finally:
            self._writing.release()

    def send_messages_nowait(self, messages: Sequence[bytes], websocket: WebSocketConnection) -> bool:
        """Send `messages` now, if there is room and no other task is sending; else do nothing, and return False."""
        if websocket.closed is not None or self._writing.locked():
            return False
        return self.transport.send_nowait(text_frames(messages))

    async def flush(self) -> None:
        """See `Transport.flush`. Raises BrokenResourceError as `send_all` does."""
        await self.send_all(b"")

    async def _take_turn(self) -> None:
        # Like `async with`, but without a checkpoint if no other task writes: there is one in what follows.
        try:
            self._writing.acquire_nowait()
        except trio.WouldBlock:
            await self._writing.acquire()

    async def _send(self, data: bytes) -> None:
        try:
            await self.transport.send(data)
        except ConnectionError as exc:
            raise self._broken(exc) from exc

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self.answer is not None:
            return await self._receive_answer(self.answer)
        while True:
            messages, octets = self._frames.read()
            self._arrived(messages)
            if octets:
                return octets
            while self._waiting > MAX_WAITING and not self._is_left:
                await self._changed.park()
            data = await self._receive()
            if not data:
                self.end()
                return b""
            self._frames.feed(data)

    async def _receive(self) -> bytes:
        try:
            data = await self.transport.receive()
        except ConnectionError as exc:
            self.end()
            raise self._broken(exc) from exc
        self.unread += len(data)
        return data

    def _arrived(self, messages: Sequence[bytes | None]) -> None:
        if messages and not self._is_left:
            self.messages.extend(messages)
            self._waiting += sum([len(message) for message in messages if message is not None])
            self._changed.unpark_all()

    async def wait_message(self) -> None:
        """Wait until there is something in `messages`. A checkpoint. Cancelling changes nothing."""
        await trio.lowlevel.checkpoint()
        while not self.messages:
            await self._changed.park()

    def received(self) -> None:
        """Drop the first of `messages`: it was received."""
        self.unread = 0
        self._waiting -= len(self.messages.popleft() or b"")
        if not self.messages:
            self._changed.unpark_all()

    def end(self) -> None:
        """Nothing will come any more."""
        self._arrived([None])

    def leave(self) -> None:
        """Drop every message that comes: what is read from now on is for trio-websocket alone."""
        self._is_left = True
        self._changed.unpark_all()

    async def _receive_answer(self, before: bytes) -> bytes:
        """Receive more of the answer to the handshake; what follows it are frames."""
        data = await self._receive()
        self._check_answer(before + data, is_all=not data)
        end = (before + data).find(_END_OF_HEAD) + len(_END_OF_HEAD) - len(before)
        if end < len(_END_OF_HEAD) - len(before):
            return data
        self.answer = None
        self._frames.feed(data[end:])
        return data[:end]

    def _check_answer(self, answer: bytes, *, is_all: bool) -> None:
        """Check the octets so far of the answer: whether it can still become that of a WebSocket."""
        self.answer = answer
        line, is_whole, _ = answer.partition(b"\n")
        status = _STATUS.match(line)
        if is_whole and status is not None and status[1] != b"101":
            words = b" ".join(filter(None, status.groups())).decode()
            raise self._broken(ConnectionRefusedError(f"{_NONE_HERE}: the server answered HTTP {words}"))
        if line[:7] != b"HTTP/1."[: len(line)] or (is_whole and status is None):
            raise self._broken(ConnectionRefusedError(f"{_NONE_HERE}: the answer was not HTTP"))
        if is_all:
            raise self._broken(ConnectionAbortedError("the server closed the connection in the WebSocket handshake"))
        if len(answer) > MAX_ANSWER:
            raise self._broken(ConnectionAbortedError("the answer to the WebSocket handshake does not end"))

    async def aclose(self) -> None:
        # trio-websocket closes what does not keep to the rules, and goes on waiting for the handshake.
        self.handshake.cancel(reason="the connection is being closed")
        await self.transport.aclose()

    def _broken(self, exc: ConnectionError) -> trio.BrokenResourceError:
        self.failure = self.failure or exc
        self.handshake.cancel(reason="the connection is broken")
        return trio.BrokenResourceError()


def _check_open(websocket: WebSocketConnection) -> None:
    if websocket.closed is not None:  # nothing may follow the frame that closes it (RFC 6455 §5.5.1)
        raise ConnectionClosed(websocket.closed)


class WebSocketTransport:
    """A `Transport` of messages over another one of bytes, which is its own from now on; `open_websocket` makes one."""

    is_message_based = True
    tls_version = None

    def __init__(self, transport: Transport, max_message: int) -> None:
        self.secure: bool = transport.secure
        """Whether TLS protects the link."""
        self._below = _Below(transport, max_message)
        self._last_message = transport.heard
        self._max_message = max_message
        self._scope = trio.CancelScope()
        self._websocket: WebSocketConnection | None = None
        self._unwritable: str | None = None
        """Why nothing can be sent any more, if so."""
        self._unusable: str | None = None
        """Why nothing can be sent or received any more, if so."""

    async def run(self, host: str, path: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Make the handshake, report that, and run the task of trio-websocket until the link is over.

        Raises ConnectionError for a handshake that fails, and nothing afterwards.
        """
        problem: BaseException | None = None
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    await self._shake_hands(nursery, host, path)
                    if self._websocket is not None:
                        task_status.started()
        except* Exception as group:
            problem = group
        finally:
            self._below.end()
            await self._below.transport.aclose()
        if self._websocket is None:
            raise self._refusal() from problem

    async def _shake_hands(self, nursery: trio.Nursery, host: str, path: str) -> None:
        with self._below.handshake:
            websocket = await wrap_client_stream(
                nursery,
                self._below,  # type: ignore[arg-type]  # any stream will do
                host,
                path,
                subprotocols=[SUBPROTOCOL],
                message_queue_size=QUEUE,
                max_message_size=self._max_message,
            )
            if websocket.subprotocol == SUBPROTOCOL:
                self._websocket = websocket
                return
            self._below.failure = ConnectionRefusedError("there is a WebSocket at this address, but none for XMPP")
        nursery.cancel_scope.cancel(reason="the WebSocket handshake has failed")

    def _refusal(self) -> ConnectionError:
        """Return the error that tells why there is no WebSocket."""
        if self._unusable is not None:
            return ConnectionAbortedError(self._unusable)
        return self._below.failure or ConnectionRefusedError("the answer to the WebSocket handshake is wrong")

    @property
    def heard(self) -> float:
        """See `Transport.heard`. Octets of a message that is not whole count for a while, as long as enough come."""
        slowest = self._last_message + MESSAGE_TIME + self._below.unread / SLOWEST_MESSAGE
        return min(self._below.transport.heard, slowest)

    def channel_bindings(self) -> Mapping[str, bytes]:
        """See `Transport.channel_bindings`: TLS may end at a web server that knows nothing of XMPP."""
        return {}

    async def send(self, data: bytes, *more: bytes) -> None:
        """See `Transport.send`."""
        websocket = self._check(self._unwritable)
        try:
            await self._below.send_messages((data, *more), websocket)
        except ConnectionClosed as exc:
            raise self._end(exc) or ConnectionResetError("the server has closed the WebSocket") from exc
        except trio.BrokenResourceError as exc:
            raise self._end(None) or ConnectionResetError("the connection is broken") from exc
        except BaseException:
            self._unwritable = "a write was cut short, so nothing can follow it"
            raise

    def send_nowait(self, data: bytes, *more: bytes) -> bool:
        """See `Transport.send_nowait`."""
        if self._unwritable is not None or self._unusable is not None or self._websocket is None:
            return False
        return self._below.send_messages_nowait((data, *more), self._websocket)

    @property
    def unsent(self) -> bool:
        """See `Transport.unsent`."""
        return self._below.transport.unsent

    async def flush(self) -> None:
        """See `Transport.flush`."""
        self._check(self._unwritable)
        try:
            await self._below.flush()
        except trio.BrokenResourceError as exc:
            raise self._end(None) or ConnectionResetError("the connection is broken") from exc
        except BaseException:
            self._unwritable = "a write was cut short, so nothing can follow it"
            raise

    async def receive(self) -> bytes:
        """See `Transport.receive`. Raises the StreamError *policy-violation* for a message that is too large."""
        websocket = self._check()
        while True:
            await self._below.wait_message()
            self._check()
            if (message := self.receive_nowait()) is not None:
                return message
            if self._below.messages:
                try:
                    odd = await websocket.get_message()
                except ConnectionClosed as exc:
                    if (end := self._end(exc)) is not None:
                        raise end from exc
                    return b""
                self._received()
                if not isinstance(odd, str):
                    raise ConnectionAbortedError("the server sent a binary message, which is not XMPP")
                if odd:
                    return odd.encode()

    def receive_nowait(self) -> bytes | None:
        """See `Transport.receive_nowait`."""
        messages = self._below.messages
        while messages and (message := messages[0]) is not None and self._unusable is None:
            self._received()
            if message:  # an empty one is white space, as RFC 6120 §4.6.1 has it, and nothing
                return message
        return None

    def _received(self) -> None:
        self._below.received()
        self._last_message = self._below.transport.heard

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """See `Transport.start_tls`."""
        await trio.lowlevel.checkpoint()
        raise TLSFailure("TLS cannot begin on a WebSocket that is open already; use wss://")

    async def close_gracefully(self) -> None:
        """See `Transport.close_gracefully`."""
        websocket, self._unusable = None if self._unusable else self._websocket, _BY_US
        self._below.leave()
        try:
            if websocket is not None:
                with trio.move_on_after(CLOSE_TIMEOUT):
                    await websocket.aclose()
        except LocalProtocolError:
            pass  # it is being closed already
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._unusable = _BY_US
        self._scope.cancel(reason="the transport was closed")
        await self._below.transport.aclose()

    def _check(self, also: str | None = None) -> WebSocketConnection:
        reason = self._unusable or also
        if reason is not None or self._websocket is None:
            raise ConnectionAbortedError(reason or "the WebSocket is not open")
        return self._websocket

    def _end(self, closed: ConnectionClosed | None) -> ConnectionError | None:
        """Return the error that ended the link; None if the peer closed it in order."""
        if self._unusable is not None:
            return ConnectionAbortedError(self._unusable)
        if self._below.failure is not None:
            return self._below.failure
        reason = None if closed is None else closed.reason
        if reason is None:
            return ConnectionAbortedError("the server violated the protocol of WebSocket")
        if reason.code in (_NORMAL_CLOSURE, _GOING_AWAY, _NO_CODE, _ABNORMAL_CLOSURE):
            return None
        if reason.code == _TOO_BIG and str(self._max_message) in (reason.reason or ""):
            text = f"a message of more than {self._max_message} characters"
            return StreamError(StreamCondition.POLICY_VIOLATION, text, by_us=True)
        text = printable(f"{reason.code} {reason.reason or ''}")
        return ConnectionAbortedError(f"the server closed the WebSocket: {text}")


async def open_websocket(
    nursery: trio.Nursery, transport: Transport, endpoint: Endpoint, *, max_message: int = MAX_MESSAGE
) -> WebSocketTransport:
    """Open a WebSocket for XMPP to `endpoint` over `transport`, which is connected to it, and secured if it is ``wss``.

    Its task runs in `nursery`, which has to last for as long as the transport is in use; only a cancellation ever comes
    out of that. Raises ConnectionError, and closes `transport` then. Has no deadline of its own. Cancelling leaves
    nothing open.
    """
    websocket = WebSocketTransport(transport, max_message)
    try:
        await nursery.start(websocket.run, _authority(endpoint), _target(endpoint))
    except BaseException:
        await websocket.aclose()
        raise
    return websocket


def _authority(endpoint: Endpoint) -> str:
    """Return the value of the Host header (RFC 9110 §7.2)."""
    host = in_url(without_zone(to_ascii(endpoint.host)))
    return host if endpoint.port == {"ws": 80, "wss": 443}[endpoint.scheme] else f"{host}:{endpoint.port}"


def _target(endpoint: Endpoint) -> str:
    """Return the target of the request: the path and the query (RFC 9112 §3.2.1)."""
    path = quote(endpoint.path, safe="/?%:@!$&'()*+,;=-._~")
    return path if path.startswith("/") else f"/{path}"
