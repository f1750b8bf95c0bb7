"""The WebSocket endpoints of a domain, from its host-meta (XEP-0156, RFC 6415).

An attacker who could change the host-meta would choose our server. So it is read over HTTPS only, the certificate is
checked at each redirection, and only ``wss`` endpoints count. All that is read is bounded.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

import trio
from lxml import etree

from ..errors import ConnectError
from ..text import because
from .endpoint import Endpoint, host_in, in_url, to_ascii, without_zone
from .proxy import Proxy
from .tcp import StreamTransport, open_link
from .tls import ALPN_WEBSOCKET, shared_context

__all__ = ["MAX_SIZE", "fetch", "find_websockets", "host_meta_of", "read_json", "read_xrd"]

#: Octets of a host-meta, redirections on the way to it, and endpoints that are taken from it.
MAX_SIZE = 1 << 16
MAX_REDIRECTIONS = 3
MAX_ENDPOINTS = 16

#: Seconds for each of the two forms, with all redirections.
TIMEOUT = 10.0

_LINK = "{http://docs.oasis-open.org/ns/xri/xrd-1.0}Link"
_WEBSOCKET = "urn:xmpp:alt-connections:websocket"
_NOWHERE = "the web server of the domain redirects us to something that is no address"
_REDIRECTIONS = (301, 302, 303, 307, 308)


def host_meta_of(domain: str) -> str:
    """Return the URL of the host-meta of a domain (RFC 6415 §2). Raises ValueError if `domain` cannot be a host."""
    return f"https://{in_url(without_zone(to_ascii(domain)))}/.well-known/host-meta"


async def find_websockets(
    domain: str, *, tls: ssl.SSLContext | None = None, proxy: Proxy | None = None
) -> list[Endpoint]:
    """Return the WebSocket endpoints of `domain`, all of them ``wss``, in the order of the host-meta.

    It is read as XRD, which a domain with a host-meta must have (RFC 6415 §2). If that names no endpoint, it is read
    as JSON. Raises OSError, which says why nothing was found. Takes `TIMEOUT` seconds for each form at most.
    Cancelling leaves nothing open.
    """
    await trio.lowlevel.checkpoint()
    try:
        url = host_meta_of(domain)
    except ValueError as exc:
        raise ConnectError(f"there is no web server to ask: {exc}") from None
    failure: OSError = ConnectError("the host-meta of the domain names no WebSocket that is secured")
    for form, read in (("", read_xrd), (".json", read_json)):
        try:
            with trio.move_on_after(TIMEOUT):
                endpoints = read(await fetch(url + form, tls, proxy))
                if endpoints:
                    return endpoints
                continue
            failure = TimeoutError("no answer in time")
        except OSError as exc:
            failure = exc
    raise failure


def read_xrd(document: bytes) -> list[Endpoint]:
    """Return the endpoints in a host-meta in XML. Raises ConnectError if the document is something else."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise ConnectError(because("the host-meta is not XML", exc)) from exc
    if root.getroottree().docinfo.doctype:
        raise ConnectError("the host-meta has a document type, which is not read")
    return _endpoints((link.get("rel"), link.get("href")) for link in root.iterchildren(_LINK))


def read_json(document: bytes) -> list[Endpoint]:
    """Return the endpoints in a host-meta in JSON. Raises ConnectError if the document is something else."""
    try:
        content = json.loads(document)
    except (ValueError, RecursionError) as exc:
        raise ConnectError(because("the host-meta is not JSON", exc)) from exc
    links = content.get("links") if isinstance(content, dict) else None
    if not isinstance(links, list):
        raise ConnectError("the host-meta in JSON has no links")
    return _endpoints((link.get("rel"), link.get("href")) for link in links if isinstance(link, dict))


def _endpoints(links: Iterable[tuple[Any, Any]]) -> list[Endpoint]:
    """Return the first `MAX_ENDPOINTS` that are secured. A URL that is no endpoint is left out."""
    endpoints = []
    for relation, url in links:
        if relation == _WEBSOCKET and isinstance(url, str):
            try:
                endpoints.append(Endpoint.parse(url))
            except ValueError:
                continue
    return [endpoint for endpoint in dict.fromkeys(endpoints) if endpoint.scheme == "wss"][:MAX_ENDPOINTS]


async def fetch(url: str, tls: ssl.SSLContext | None, proxy: Proxy | None) -> bytes:
    """Return the document at `url`, and follow redirections, over HTTPS only.

    Raises OSError. Cancelling leaves nothing open.
    """
    for _ in range(MAX_REDIRECTIONS + 1):
        status, location, body = await _get(url, tls, proxy)
        if status == 200:
            return body
        if status not in _REDIRECTIONS or location is None:
            raise ConnectError(f"the web server of the domain has no host-meta: it answered HTTP {status}")
        try:
            url = urljoin(url, location)
        except ValueError as exc:
            raise ConnectError(because(_NOWHERE, exc)) from None
    raise ConnectError(f"the web server of the domain redirects us more than {MAX_REDIRECTIONS} times")


async def _get(url: str, tls: ssl.SSLContext | None, proxy: Proxy | None) -> tuple[int, str | None, bytes]:
    """Return the status, the URL of a redirection, and the body."""
    import h11

    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise ConnectError("the web server of the domain redirects us to a URL that is not HTTPS")
    try:
        server = Endpoint("wss", host_in(parts), 443 if parts.port is None else parts.port)
    except ValueError as exc:
        raise ConnectError(because(_NOWHERE, exc)) from None
    authority = in_url(without_zone(to_ascii(server.host))) + (f":{server.port}" if server.port != 443 else "")
    target = (parts.path or "/") + (parts.query and f"?{parts.query}")
    headers = [("Host", authority), ("User-Agent", "trioxmpp"), ("Accept", "*/*"), ("Connection", "close")]
    transport = StreamTransport(await open_link(server, None, proxy, shown=f"https://{authority}"))
    try:
        await transport.start_tls(tls or await shared_context(ALPN_WEBSOCKET), server.host)
        http = h11.Connection(h11.CLIENT)
        request = http.send(h11.Request(method="GET", target=target, headers=headers)) or b""
        await transport.send(request + (http.send(h11.EndOfMessage()) or b""))
        return await _answer(http, transport)
    except (h11.ProtocolError, UnicodeError) as exc:
        raise ConnectError(because(f"no web server answers at https://{authority}", exc)) from exc
    finally:
        with trio.CancelScope(shield=True):
            await transport.aclose()


async def _answer(http: Any, transport: StreamTransport) -> tuple[int, str | None, bytes]:
    import h11

    status, location, body = 0, None, b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await transport.receive())
        elif isinstance(event, h11.Response):
            status = event.status_code
            location = dict(event.headers).get(b"location", b"").decode("ascii") or None
            if status != 200:
                return status, location, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
            if len(body) > MAX_SIZE:
                raise ConnectError(f"the host-meta has more than {MAX_SIZE} octets")
        elif not isinstance(event, h11.InformationalResponse):
            return status, location, body
