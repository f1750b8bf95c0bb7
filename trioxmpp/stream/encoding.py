"""How an XML stream is written on its transport: as a stream of bytes (RFC 6120), or in messages (RFC 7395).

The writer and the negotiation write elements, stream errors and the footer as they stand in a stream of bytes. Only the
encoding knows what becomes of them on a transport that is based on messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..errors import StreamError
from ..protocol import framing, ns, websocket
from ..protocol.framing import Framing
from ..protocol.limits import Limits
from ..protocol.streamevents import Event
from ..protocol.websocket import DocumentFraming
from ..transport.base import Transport

__all__ = ["ComponentEncoding", "Inbound", "StreamEncoding", "encoding_of"]


class Inbound(Protocol):
    """Reads what comes in, until the stream begins anew; see `framing.Framing`."""

    @property
    def incomplete(self) -> int:
        """The octets of the element that has begun and not ended; 0 if none has."""
        ...

    def feed(self, data: bytes, *more: bytes, goes_on: bool = False) -> tuple[list[Event], StreamError | None]:
        """Return everything that `data` and `more` complete, and the stream error that stopped us, if any.

        `goes_on` tells that more will probably be fed at once.
        """
        ...

    def feed_one(self, data: bytes) -> tuple[Event | None, bytes, StreamError | None]:
        """Return one event, the rest of `data`, and the stream error that stopped us, if any."""
        ...

    def isolate(self) -> None:
        """From now on keep no parser from one call to the next; see `framing.Framing.isolate`."""
        ...

    def release_buffers(self) -> None:
        """Free memory that can be had again. For a stream on which nothing has come for a while."""
        ...


class StreamEncoding(Protocol):
    """One of the two ways."""

    def inbound(self, limits: Limits) -> Inbound:
        """Return the framing for a stream that begins, or begins again."""
        ...

    def header(self, *, to: str, from_: str | None, lang: str | None) -> bytes:
        """Return what begins a stream."""
        ...

    def messages(self, pieces: Sequence[bytes], lang: str | None) -> Sequence[bytes]:
        """Return the messages for `pieces`, one or more, in a stream whose language is `lang`.

        Only for a transport that is based on messages: any other sends the pieces as they are.
        """
        ...


class TCPEncoding:
    """One document, of which everything is a part."""

    def inbound(self, limits: Limits) -> Framing:
        """See `StreamEncoding.inbound`."""
        return Framing(limits)

    def header(self, *, to: str, from_: str | None, lang: str | None) -> bytes:
        """See `StreamEncoding.header`."""
        return framing.header(to=to, from_=from_, lang=lang)

    def messages(self, pieces: Sequence[bytes], lang: str | None) -> Sequence[bytes]:
        """See `StreamEncoding.messages`."""
        return pieces


class ComponentEncoding(TCPEncoding):
    """As over TCP, in the namespace of components (XEP-0114 §3).

    Only the header of a stream names it: what is below inherits it, in both directions. So stanzas are written and read
    as those of clients.
    """

    def inbound(self, limits: Limits) -> Framing:
        """See `StreamEncoding.inbound`."""
        return Framing(limits, content=ns.COMPONENT)

    def header(self, *, to: str, from_: str | None, lang: str | None) -> bytes:
        """See `StreamEncoding.header`."""
        return framing.header(to=to, from_=from_, lang=lang, content=ns.COMPONENT)


class WebSocketEncoding:
    """Each element is a document of its own, in a message of its own."""

    def inbound(self, limits: Limits) -> DocumentFraming:
        """See `StreamEncoding.inbound`."""
        return DocumentFraming(limits)

    def header(self, *, to: str, from_: str | None, lang: str | None) -> bytes:
        """See `StreamEncoding.header`."""
        return websocket.open_(to=to, from_=from_, lang=lang)

    def messages(self, pieces: Sequence[bytes], lang: str | None) -> Sequence[bytes]:
        """See `StreamEncoding.messages`."""
        return [websocket.document(piece, lang=lang) for piece in pieces]


def encoding_of(transport: Transport) -> StreamEncoding:
    """Return the encoding for `transport`."""
    return WebSocketEncoding() if transport.is_message_based else TCPEncoding()
