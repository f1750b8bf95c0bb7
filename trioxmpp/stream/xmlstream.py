"""One XML stream over one transport (RFC 6120 §4): the only place that knows both.

`XmlStream.heard` decides what counts as a sign of life: every octet between two elements, and every element
that ends. The octets of an element that has not ended count for a quarter of an hour, and then only while enough of
them come. Otherwise one octet a minute would keep a stream alive on which nothing arrives any more.

Progress on the way out is a sign of life, too: if the transport took octets only after it had made us wait, the other
side has made room for them. Octets that the transport takes at once prove nothing. They go into buffers, which may be
large and on a slow link: `XmlStream.arrives_by` is when all of it is there, if the link is as slow as `SLOWEST_LINK`.
"""

from __future__ import annotations

import logging
import math
import ssl
from collections.abc import Sequence

import trio

from .. import xml
from ..errors import StreamCondition, StreamError
from ..protocol import framing, ns
from ..protocol.features import StreamFeatures, StreamLimits, parse_features
from ..protocol.limits import Limits
from ..protocol.streamevents import Event, Skipped, StreamFooter, StreamHeader
from ..transport.base import READ_SIZE, Transport
from .dictionary import names_of_thread, read_bounded
from .encoding import StreamEncoding, encoding_of
from .tracing import Trace, Tracer, xml_logger

__all__ = ["XmlStream"]

_logger = logging.getLogger(__name__)

FEATURES = f"{{{ns.STREAM}}}features"
STREAM_ERROR = f"{{{ns.STREAM}}}error"

# The namespaces of what a negotiation cannot pass over; that of RFC 7395 would be the end of another kind of stream.
_NEEDED = tuple(f"{{{namespace}}}" for namespace in (ns.STREAM, ns.TLS, ns.SASL, ns.SASL2, ns.SM, ns.FRAMING))

#: Seconds that any element may take, and octets that must come of a longer one each second.
ELEMENT_TIME = 900.0
SLOWEST_ELEMENT = 4096

#: Octets that are offered to the transport at once, so that progress can be seen.
CHUNK = 32768

#: Seconds after which an offer that the transport has taken is progress: it has waited for room.
BLOCKED = 0.1

#: Octets each second that we expect of any link, and the largest buffers on the way.
SLOWEST_LINK = 8192
BUFFERS = 4 << 20

#: Seconds that a stream which is over may take to say so, whatever else happens.
GOODBYE_TIMEOUT = 1.0

_HTTP = (
    "this is no XMPP server: HTTP is spoken here; perhaps it is a web server, or the network wants you to log in "
    "with a browser first"
)


class XmlStream:
    """An XML stream with the server of `domain`, over `transport`.

    While it is negotiated, one task calls `open`, `send` and `receive_element` in turn. From then on the reader of a
    `StanzaStream` alone calls `receive`, and its writer alone calls `send`. `limits` bound what the server may send.
    `trace` is called with all that is sent and received, secrets left out (`tracing`).
    `encoding` is how the stream is written; None: as a client's on this transport.
    """

    def __init__(
        self,
        transport: Transport,
        domain: str,
        *,
        lang: str | None = None,
        limits: Limits | None = None,
        trace: Trace | None = None,
        logger: logging.Logger = _logger,
        encoding: StreamEncoding | None = None,
    ) -> None:
        self.logger = logger
        self._tracer = Tracer(trace)
        self._is_traced = trace is not None
        self.transport = transport
        self._is_message_based = transport.is_message_based
        self.domain = domain
        self.lang = lang
        self.header: StreamHeader | None = None
        """The stream header of the server; None before it has come."""
        self.closed: bool = False
        """Whether nothing can be sent any more: the link is broken or given up, or a stanza was cut in half."""
        self.features_due = False
        """Whether the server may say once more what it offers, though no task waits for it."""
        self.footer_received: bool = False
        """Whether the server has closed its side of the stream."""
        self.elements_received: int = 0
        """The number of first-level elements that have ended, those that were passed over included."""
        self.limits: StreamLimits | None = None
        """The limits that the server has announced last (XEP-0478); None if it has not."""
        self.octets: tuple[int, int] = 0, 0
        """The octets of the first element that the last call of `receive` returned, and of each other one.

        Those of one read are not told apart: each counts as the average, with the beginning of an element that has not
        ended. So the error is below the size of a read.
        """
        self._limits = limits or Limits()
        self._encoding = encoding or encoding_of(transport)
        self._inbound = self._encoding.inbound(self._limits)
        self._names = names_of_thread()
        self._incomplete = 0  # octets of the element that had begun and not ended when `receive` returned last
        self._begun = 0.0  # when the element began that has not ended
        self._progress = -math.inf  # when the transport last took something after it had made us wait
        self.spoken: float = trio.current_time()
        """When we last said anything, on trio's clock."""
        self.arrives_by: float = self.spoken
        """When everything that was written has arrived, on trio's clock, if the link is very slow."""
        self.unsent: bool = False
        """Whether some of what `send_nowait` wrote waits in the transport."""
        self._unread = b""
        self._error: Exception | None = None

    @property
    def secure(self) -> bool:
        """Whether TLS protects the link."""
        return self.transport.secure

    @property
    def upgradable(self) -> bool:
        """Whether `start_tls` can do anything: over WebSocket, TLS comes first or never (RFC 7395 §3.9)."""
        return not self._is_message_based

    @property
    def heard(self) -> float:
        """When the server last gave a sign of life, on trio's clock.

        An octet of an element that has not ended is one for `ELEMENT_TIME`, and then as long as `SLOWEST_ELEMENT`
        octets come each second.
        """
        incomplete, heard = self._inbound.incomplete, self.transport.heard
        if incomplete:
            heard = min(heard, self._begun + ELEMENT_TIME + incomplete / SLOWEST_ELEMENT)
        return max(heard, self._progress)

    async def open(self, *, from_: str | None = None, follow: bytes = b"") -> StreamFeatures:
        """Begin a stream, or begin it again (RFC 6120 §4.3.3); return what the server offers.

        `from_` tells the server who we are going to be; to be given only once TLS protects the link. `follow` is an
        element that is sent along, for a server that need not be heard first. Raises ConnectionError. Cancelling
        leaves a stream that is useless but for `aclose`.
        """
        header = await self._begin(from_, follow)
        if header.version is None:
            raise _refusal(StreamCondition.UNSUPPORTED_VERSION, "the server does not speak XMPP 1.0")
        self.header = header
        features = await self.receive_features()
        assert features is not None
        return features

    async def open_without_features(self) -> StreamHeader:
        """Begin a stream of the time before XMPP 1.0, as that of a component is (XEP-0114); return the server's header.

        Raises ConnectionError. Cancelling leaves a stream that is useless but for `aclose`.
        """
        self.header = await self._begin(None)
        return self.header

    async def _begin(self, from_: str | None, follow: bytes = b"") -> StreamHeader:
        """Send our header, and return that of the server."""
        self._inbound = self._encoding.inbound(self._limits)
        self.header = None
        beginning = self._encoding.header(to=self.domain, from_=from_, lang=self.lang)
        await self.send(beginning, *([follow] if follow else []))
        header = await self._receive_event()
        if not isinstance(header, StreamHeader):
            raise _refusal(StreamCondition.BAD_FORMAT, "the stream did not begin with a stream header")
        return header

    async def receive_features(self, instead: str | None = None) -> StreamFeatures | None:
        """Return what the server offers, which it says next; or None if it says an element of the tag `instead` first.

        Raises ConnectionError. Cancelling loses nothing.
        """
        element = await self.receive_element()
        if instead is not None and element.tag == instead:
            return None
        if element.tag != FEATURES:
            raise _refusal(StreamCondition.UNSUPPORTED_STANZA_TYPE, "stream features were due")
        features = parse_features(element)
        # They may change when we have logged in: the last ones hold (XEP-0478 §3).
        self.limits = features.limits or self.limits
        return features

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Put TLS under the stream, right after ``<proceed/>`` (RFC 6120 §5.4.3).

        Raises TLSFailure, also if anything followed ``<proceed/>`` in the clear: an attacker wants it to be
        taken for something that the server said under TLS.
        """
        if self._unread:
            self.closed = True
            raise _refusal(StreamCondition.POLICY_VIOLATION, "data followed <proceed/> in the clear")
        await self.transport.start_tls(context, self.domain)

    async def send(self, *pieces: bytes) -> None:
        """Write `pieces`, each a whole element or the footer, as they stand in a stream of bytes (RFC 6120 §4).

        Raises ConnectionError. If it is cancelled nothing can be sent on this stream any more.
        """
        if self.closed:
            raise ConnectionAbortedError("the XML stream is closed")
        if self._is_traced or xml_logger.isEnabledFor(logging.DEBUG):
            self._tracer.sent(pieces)
        encoded = self._encoded(pieces)
        self.closed = True  # until all of it is written: half an element cannot be followed by anything
        if self._is_message_based:
            await self._offer(*encoded)
        else:
            for start in range(0, len(encoded[0]), CHUNK):
                await self._offer(encoded[0][start : start + CHUNK])
        self.closed = self.unsent = False

    def _encoded(self, pieces: Sequence[bytes]) -> Sequence[bytes]:
        """Return what the transport sends for `pieces`: messages, or one piece of a stream of octets."""
        return self._encoding.messages(pieces, self.lang) if self._is_message_based else (b"".join(pieces),)

    def send_nowait(self, *pieces: bytes) -> bool:
        """Write `pieces`, as `send` does, if the transport takes some of it now. False: nothing was written.

        The rest waits in the transport (`unsent`). Then the writer has to call `flush`. More than a `CHUNK` is refused:
        the time at which each part of it is taken would not be known.
        """
        if self.closed or sum(map(len, pieces)) > CHUNK:
            return False
        encoded = self._encoded(pieces)
        before = self.spoken, self.arrives_by
        self.spoken = trio.current_time()
        self._arrives(sum(map(len, encoded)), self.spoken)
        if not self.transport.send_nowait(*encoded):
            self.spoken, self.arrives_by = before
            return False
        self.unsent = self.transport.unsent
        if self._is_traced or xml_logger.isEnabledFor(logging.DEBUG):
            self._tracer.sent(pieces)
        return True

    async def flush(self) -> None:
        """Write what is `unsent`. Raises ConnectionError. If cancelled, nothing can be sent on this stream any more."""
        if self.closed:
            raise ConnectionAbortedError("the XML stream is closed")
        self.closed = True  # see `send`
        began = trio.current_time()
        await self.transport.flush()
        self._taken(0, began)
        self.closed = self.unsent = False

    def _arrives(self, octets: int, began: float) -> None:
        """Note that the transport has taken some octets, which were offered at `began`, and has done so just now."""
        self.arrives_by = min(max(self.arrives_by, began) + octets / SLOWEST_LINK, self.spoken + BUFFERS / SLOWEST_LINK)

    async def _offer(self, *data: bytes) -> None:
        """Have the transport take some data, and note the time."""
        began = trio.current_time()
        await self.transport.send(*data)
        self._taken(sum(map(len, data)), began)

    def _taken(self, octets: int, began: float) -> None:
        """Note that the transport, which has waited since `began`, has taken these octets."""
        now = self.spoken = trio.current_time()
        if now - began >= BLOCKED:
            self._progress = now
        self._arrives(octets, began)

    async def receive_element(self) -> xml.Element:
        """The next first-level element, and not one byte more. For negotiation.

        Raises the StreamError that the server sent instead, or ConnectionError if the stream ended. Cancelling loses
        nothing.
        """
        while isinstance(event := await self._receive_event(), Skipped):
            if event.is_stanza or event.tag.startswith(_NEEDED):
                raise _refusal(StreamCondition.POLICY_VIOLATION, f"an element that we need: {event.reason}")
            self.logger.warning("ignored during the negotiation: %.200s", event.reason)
        if isinstance(event, StreamFooter):
            self.closed = True
            raise ConnectionAbortedError("the server closed the stream")
        if isinstance(event, StreamHeader):
            raise _refusal(StreamCondition.BAD_FORMAT, "a second stream header")
        if event.tag == STREAM_ERROR:
            raise framing.parse_stream_error(event)
        return event

    async def receive(self) -> list[Event]:
        """Everything that one read from the transport completes; possibly nothing. For live streams.

        Raises ConnectionError when the link is broken, and StreamError for what is not XMPP, but only after all that
        came before it was returned. Cancelling loses nothing.
        """
        if self._error is not None:
            await trio.lowlevel.checkpoint()
            raise self._error
        begun = self._incomplete
        data = [await self._read()]
        while self._is_message_based and (message := self.transport.receive_nowait()) is not None:
            data.append(message)
        octets = sum(map(len, data))
        if next(self._names.unlooked, True):
            events, self._error = read_bounded(self._inbound, self._inbound.feed, *data)
        else:
            # A read that is full is seldom the last one of a burst.
            events, self._error = self._inbound.feed(*data, goes_on=octets >= READ_SIZE)
        self._incomplete = self._inbound.incomplete
        if events:
            if self._is_traced or xml_logger.isEnabledFor(logging.DEBUG):
                self._tracer.received(events)
            average = octets // len(events)
            self.octets = begun + average, average
            self.elements_received += len(events)
            self.footer_received = isinstance(events[-1], StreamFooter)
        if events or not begun:
            self._begun = self.transport.heard
        return events

    def release_buffers(self) -> None:
        """Free memory that is only needed for reading. It is had again when there is something to read."""
        self._inbound.release_buffers()

    def unread(self) -> bool:
        """Whether bytes are waiting that arrived during the negotiation."""
        return bool(self._unread)

    async def say_goodbye(self, error: StreamError | None = None) -> None:
        """End our side of the stream, with `error` if one is given, if anything can be sent at all.

        Never raises ConnectionError, and takes `GOODBYE_TIMEOUT` at most.
        """
        if self.closed:
            await trio.lowlevel.checkpoint()
            return
        farewell = [framing.FOOTER] if error is None else [framing.stream_error(error), framing.FOOTER]
        with trio.move_on_after(GOODBYE_TIMEOUT):
            try:
                await self.send(*farewell)
                self.closed = True
                await self.transport.close_gracefully()
            except ConnectionError:
                self.closed = True

    async def close_gracefully(self) -> None:
        """Close the transport after both sides have closed the stream. Takes `GOODBYE_TIMEOUT` at most."""
        self.closed = True
        with trio.move_on_after(GOODBYE_TIMEOUT):
            await self.transport.close_gracefully()
            return
        await self.transport.aclose()

    async def aclose(self) -> None:
        """Close the transport, without a word. Never blocks for long; closes also when cancelled."""
        self.closed = True
        await self.transport.aclose()

    async def _receive_event(self) -> Event:
        while True:
            data = await self._read()
            event, self._unread, error = read_bounded(self._inbound, self._inbound.feed_one, data)
            self._incomplete = self._inbound.incomplete
            if event is not None:
                if self._is_traced or xml_logger.isEnabledFor(logging.DEBUG):
                    self._tracer.received((event,))
                return event
            if error is not None and self.header is None and data.startswith(b"HTTP/"):
                raise ConnectionAbortedError(_HTTP) from error
            if error is not None:
                raise error

    async def _read(self) -> bytes:
        if self._unread:
            await trio.lowlevel.checkpoint()
            data, self._unread = self._unread, b""
            return data
        try:
            data = await self.transport.receive()
        except ConnectionError:
            self.closed = True
            raise
        if not data:
            self.closed = True
            raise ConnectionAbortedError("the connection was closed by the server, though the stream was not")
        return data


def _refusal(condition: StreamCondition, text: str) -> StreamError:
    return StreamError(condition, text, by_us=True)
