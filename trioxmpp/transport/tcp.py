"""Transports over TCP: the addresses of an endpoint, and the way to one of them, perhaps through a proxy."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import trio

from ..errors import Stage
from .base import Transport
from .endpoint import Endpoint, to_ascii
from .octets import StreamTransport
from .proxy import Proxy, explain_refusal, open_tunnel
from .tls import ALPN, ALPN_WEBSOCKET, shared_context
from .tlssessions import SessionReuse

__all__ = ["StreamTransport", "find_addresses", "ignore_stage", "open_link", "open_transport"]

#: Addresses of one host that are tried. The owner of a name may give it thousands, to keep its users busy.
MAX_ADDRESSES = 32


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
