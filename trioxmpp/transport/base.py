"""What a transport is."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Protocol

__all__ = ["Transport"]


class Transport(Protocol):
    """A two-way link for bytes. What goes wrong with it is a ConnectionError, never one of trio's own errors.

    One task may send while another receives; two of one kind are a mistake, which trio calls BusyResourceError.

    Most are a stream of bytes, which arrive in other pieces than they were sent in. A WebSocket keeps its messages:
    each that is sent is what one call of the other side receives.
    """

    @property
    def is_message_based(self) -> bool:
        """Whether each call of `send` and `receive` is about one message, whole, as RFC 7395 wants it."""
        ...

    @property
    def secure(self) -> bool:
        """Whether TLS protects the link."""
        ...

    @property
    def tls_version(self) -> str | None:
        """``TLSv1.3``, say; None without TLS, and where it need not be that of the XMPP server, as for WebSocket."""
        ...

    @property
    def heard(self) -> float:
        """When the last byte arrived, or else when the link was made, on trio's clock. Half a message counts, too."""
        ...

    def channel_bindings(self) -> Mapping[str, bytes]:
        """What a login can be bound to (RFC 5056), by type; nothing where `tls_version` is None."""
        ...

    async def send(self, data: bytes, *more: bytes) -> None:
        """Write all of `data`, and then `more`, or raise ConnectionError. Each is a message, if messages are kept.

        If it is cancelled, nobody knows how much was written: from then on every `send` raises
        ConnectionAbortedError, since half an element cannot be followed by anything.
        """
        ...

    async def receive(self) -> bytes:
        """The next bytes, at least one; ``b""`` when the other side has closed the link.

        Raises ConnectionError when the link is broken. Cancelling loses nothing.
        """
        ...

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Put TLS under what follows, and check the certificate against `server_hostname`.

        That is the domain of the address, in whatever script (RFC 6120 §13.7.2.1); it is sent as SNI, too. No other
        task may use the transport meanwhile. Raises TLSFailure, which tells a person what to do. After that, or if it
        is cancelled, the link is good for nothing but `aclose`: nothing can be sent in the clear by mistake. A link
        that keeps messages always raises it, and goes on: for WebSocket, TLS comes first or never (RFC 7395 §3.9).
        """
        ...

    async def close_gracefully(self) -> None:
        """Tell the other side that nothing follows, wait for its answer for a second at most, and close.

        Only once nobody sends and receives any more. Closes also when cancelled; never raises ConnectionError.
        """
        ...

    async def aclose(self) -> None:
        """Close at once, without a word. Never blocks for long; closes also when cancelled.

        A task that is sending or receiving gets a ConnectionAbortedError.
        """
        ...
