"""Transports over a stream of octets: TCP, with or without TLS, or any other `trio.abc.Stream`.

A `StreamTransport` turns trio's errors into ConnectionErrors, and remembers what must not happen any more: no octet may
follow a write that was cut short, and none may be sent in the clear once TLS was tried.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any, cast

import trio

from ..errors import Stage, TLSFailure
from .atonce import BelowTLS, WatchedTLS, write_now
from .base import Transport
from .channelbinding import channel_bindings
from .endpoint import Endpoint, to_ascii, without_zone
from .proxy import Proxy, explain_refusal, open_tunnel
from .tls import ALPN, ALPN_WEBSOCKET, check_names, shared_context, tls_failure
from .tlssessions import SessionReuse

__all__ = ["StreamTransport", "find_addresses", "ignore_stage", "open_link", "open_transport"]

#: Octets of a read. This size was the fastest: larger ones leave the cache of the processor.
READ_SIZE = 16384

#: Seconds that the peer may take to close TLS, too.
CLOSE_NOTIFY_TIMEOUT = 1.0

#: Addresses of one host that are tried. The owner of a name may give it thousands, to keep its users busy.
MAX_ADDRESSES = 32


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


def ignore_stage(stage: Stage) -> None:
    """Do nothing: the default of parameters that report how far an attempt has come."""


async def find_addresses(endpoint: Endpoint) -> list[str]:
    """Return the addresses of the host, the better ones first, those of both families in turn (RFC 8305 §4).

    There are at most `MAX_ADDRESSES`. A link-local address has its zone. Raises `socket.gaierror`, which says what was
    looked for. Cancelling is safe.
    """
    _check_public(endpoint)
    try:
        found = await trio.socket.getaddrinfo(to_ascii(endpoint.host), endpoint.port, type=trio.socket.SOCK_STREAM)
    except socket.gaierror as exc:
        raise _not_found(exc, endpoint) from exc
    families: dict[int, dict[str, None]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, {})[_with_zone(address)] = None
    rounds = zip_longest(*families.values())
    addresses = [address for one_of_each in rounds for address in one_of_each if address is not None]
    return addresses[:MAX_ADDRESSES]


def _with_zone(address: Sequence[Any]) -> str:
    """Return the text of a socket's address, with the zone of a link-local one (RFC 4007 §11, RFC 3493 §3.3)."""
    host = str(address[0])
    scope_id = address[3] if len(address) > 3 else 0
    return f"{host}%{scope_id}" if scope_id and "%" not in host else host


async def open_transport(
    endpoint: Endpoint,
    *,
    domain: str,
    tls: ssl.SSLContext | None,
    nursery: trio.Nursery | None = None,
    address: str | None = None,
    proxy: Proxy | None = None,
    report: Callable[[Stage], None] = ignore_stage,
    session_reuse: SessionReuse | None = None,
    max_message: int = 64 << 20,
) -> Transport:
    """Connect to `endpoint`. With ``xmpps``, TLS begins, too; its certificate must be for `domain`, not the host.

    With ``wss``, the certificate must be for the host: a WebSocket need not be on the server of the domain. It needs a
    `nursery` that lasts for as long as the transport is in use; only a cancellation ever comes out of that.

    `tls` is used as it is; None means `default_context`. Only that offers a protocol by ALPN (XEP-0368 §3): the
    protocols of a context cannot be read, and to set them would change what its owner uses elsewhere. An application
    can set them itself: ``context.set_alpn_protocols(["xmpp-client"])``.

    `address` is one address of the host, to connect to that alone. A `proxy` gets the name of the host, and looks it
    up. `report` is told how far the attempt has come. `session_reuse` lets TLS go on with a session.
    `max_message` is how many characters a message of a WebSocket may have.

    Raises OSError (TLSFailure, ConnectionRefusedError, `socket.gaierror` and ConnectError among them), and ValueError
    for a WebSocket without a nursery. Has no deadline of its own. Cancelling leaves nothing open.
    """
    is_websocket = endpoint.scheme in ("ws", "wss")
    if is_websocket and nursery is None:
        raise ValueError("a WebSocket needs a nursery to live in")
    is_secured = endpoint.scheme in ("xmpps", "wss")
    if is_secured and tls is None:
        tls = await shared_context(ALPN_WEBSOCKET if is_websocket else ALPN)
    report(Stage.CONNECTING)
    transport = StreamTransport(await open_link(endpoint, address, proxy), session_reuse)
    try:
        if is_secured and tls is not None:
            report(Stage.TLS)
            await transport.start_tls(tls, endpoint.host if is_websocket else domain)
        if nursery is None or not is_websocket:
            return transport
        from .websocket import open_websocket

        report(Stage.STREAM)
        return await open_websocket(nursery, transport, endpoint, max_message=max_message)
    except BaseException:
        await transport.aclose()
        raise


async def open_link(
    endpoint: Endpoint, address: str | None, proxy: Proxy | None, *, shown: str = ""
) -> trio.abc.Stream:
    """Connect to the host of `endpoint`, or to one `address` of it: the first step of `open_transport`.

    `shown` is what errors call the endpoint, if that is not its URL. Raises OSError. Cancelling leaves nothing open.
    """
    if proxy is not None:
        return await open_tunnel(proxy, to_ascii(endpoint.host), endpoint.port)
    _check_public(endpoint)
    try:
        return await trio.open_tcp_stream(address or to_ascii(endpoint.host), endpoint.port)
    except socket.gaierror as exc:
        raise _not_found(exc, endpoint) from exc
    except OSError as exc:
        what = f"could not connect to {shown or endpoint}" if address is None else ""
        raise explain_refusal(exc, what) from exc


def _check_public(endpoint: Endpoint) -> None:
    if endpoint.is_onion:
        text = f"{endpoint.host} can only be found by Tor: use it as a proxy, say proxy='socks5://127.0.0.1:9050'"
        raise socket.gaierror(socket.EAI_NONAME, text)


def _not_found(error: socket.gaierror, endpoint: Endpoint) -> socket.gaierror:
    return socket.gaierror(error.errno, f"cannot find the address of {endpoint.host}: {error.strerror}")
