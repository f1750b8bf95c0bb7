"""The transport: a two-way link below an XML stream, as the stream sees it.

All errors of a transport are ConnectionErrors. All but a WebSocket carry a stream of octets.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final, Protocol

__all__ = ["READ_SIZE", "Transport"]

#: Octets that one read of a stream of octets brings at most. After as many, more are probably there. This size was the
#: fastest: larger ones leave the cache of the processor.
READ_SIZE: Final = 16384


class Transport(Protocol):
    """A two-way link for octets. Its errors are ConnectionErrors, never trio's own.

    One task may send while another receives. Two that send, or two that receive, are a mistake: BusyResourceError.

    Most transports are a stream of octets, which arrive in other pieces than they were sent in. A WebSocket is based
    on messages: each call of `send` makes one, which one call of the peer receives.
    """

    @property
    def is_message_based(self) -> bool:
        """Whether each call of `send` and `receive` is for one whole message, as in RFC 7395."""
        ...

    @property
    def secure(self) -> bool:
        """Whether TLS protects the link."""
        ...

    @property
    def tls_version(self) -> str | None:
        """The version of TLS, for example ``TLSv1.3``; None without TLS, and where a proxy may end it (WebSocket)."""
        ...

    @property
    def heard(self) -> float:
        """The time of the last octet that arrived, or else of the connection, on trio's clock."""
        ...

    def channel_bindings(self) -> Mapping[str, bytes]:
        """Return the data that a login can be bound to (RFC 5056), by type; empty if `tls_version` is None."""
        ...

    async def send(self, data: bytes, *more: bytes) -> None:
        """Write all of `data`, and then `more`. Each is a message, if the link is based on messages.

        Raises ConnectionError. If it is cancelled, a part may have been written: from then on, `send` raises
        ConnectionAbortedError, since nothing can follow half an element.
        """
        ...

    def send_nowait(self, data: bytes, *more: bytes) -> bool:
        """Take all of `data` and of `more`, if it can be written now. False: nothing was taken; use `send`.

        The octets that have no room yet are written before all else: `unsent` tells of them, and `flush` writes them.
        """
        ...

    @property
    def unsent(self) -> bool:
        """Whether some of what `send_nowait` has taken is still to be written."""
        ...

    async def flush(self) -> None:
        """Write what is `unsent`. Raises ConnectionError. If cancelled, nothing can be sent any more."""
        ...

    async def receive(self) -> bytes:
        """Return the next octets, at least one; ``b""`` when the peer has closed the link.

        Raises ConnectionError when the link is broken. Cancelling loses nothing.
        """
        ...

    def receive_nowait(self) -> bytes | None:
        """Return another message that came along with the last one; None if there is none. Without messages: None."""
        ...

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Begin TLS, and check the certificate against `server_hostname`.

        That is the domain of the address, in any script (RFC 6120 §13.7.2.1); it is sent as SNI, too. No other task
        may use the transport meanwhile. Raises TLSFailure, whose text tells a person what to do. After a failure or a
        cancellation, the link can only be closed: nothing can be sent in the clear by mistake. A link that is based on
        messages always raises TLSFailure, and stays usable: its TLS begins before the WebSocket (RFC 7395 §3.9).
        """
        ...

    async def close_gracefully(self) -> None:
        """Tell the peer that nothing follows, wait for its answer for a second at most, and close.

        No other task may send or receive any more. Closes also when cancelled; never raises ConnectionError.
        """
        ...

    async def aclose(self) -> None:
        """Close at once, and send nothing. Never blocks for long; closes also when cancelled.

        A task that is sending or receiving gets a ConnectionAbortedError.
        """
        ...
