"""How an XML stream lies on what carries it: on a stream of bytes (RFC 6120), or in messages (RFC 7395)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..errors import StreamError
from ..protocol import framing, websocket
from ..protocol.framing import Event, Framing, Limits
from ..protocol.websocket import DocumentFraming
from ..transport.base import Transport

__all__ = ["Inbound", "Wire", "wire_of"]


class Inbound(Protocol):
    """Reads what comes in, until the stream begins anew; see `framing.Framing`."""

    def feed(self, data: bytes) -> tuple[list[Event], StreamError | None]:
        """Everything that `data` completes, and what stopped us."""
        ...

    def feed_one(self, data: bytes) -> tuple[Event | None, bytes, StreamError | None]:
        """One event, what is left of `data`, and what stopped us."""
        ...

    def rest(self) -> None:
        """Let go of what can be made again: nothing has come for a while."""
        ...


class Wire(Protocol):
    """What is different. Everybody writes elements, stream errors and the footer as they stand in a stream of bytes."""

    def inbound(self, limits: Limits) -> Inbound:
        """For a stream that begins, or begins again."""
        ...

    def header(self, *, to: str, from_: str | None, lang: str) -> bytes:
        """What begins a stream."""
        ...

    def pack(self, pieces: Sequence[bytes], lang: str) -> Sequence[bytes]:
        """What the transport is to send: `pieces`, one or more, in a stream whose language is `lang`."""
        ...


class _Bytes:
    """One document, of which everything is a part; what is to be written is written at once."""

    def inbound(self, limits: Limits) -> Framing:
        return Framing(limits)

    def header(self, *, to: str, from_: str | None, lang: str) -> bytes:
        return framing.header(to=to, from_=from_, lang=lang)

    def pack(self, pieces: Sequence[bytes], lang: str) -> Sequence[bytes]:
        return (b"".join(pieces),)


class _Messages:
    """Each element is a document of its own, in a message of its own."""

    def inbound(self, limits: Limits) -> DocumentFraming:
        return DocumentFraming(limits)

    def header(self, *, to: str, from_: str | None, lang: str) -> bytes:
        return websocket.open_(to=to, from_=from_, lang=lang)

    def pack(self, pieces: Sequence[bytes], lang: str) -> Sequence[bytes]:
        return [websocket.document(piece, lang=lang) for piece in pieces]


def wire_of(transport: Transport) -> Wire:
    """How an XML stream lies on `transport`."""
    return _Messages() if transport.is_message_based else _Bytes()
