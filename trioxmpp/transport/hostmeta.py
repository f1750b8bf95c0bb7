"""The WebSockets of a domain, as its web server tells them (XEP-0156): host-meta, over HTTPS and not otherwise."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

import trio
from lxml import etree

from ..errors import ConnectError
from .endpoint import Endpoint, to_ascii
from .proxy import Proxy
from .tcp import StreamTransport, open_link
from .tls import ALPN_WEBSOCKET, usual_context

__all__ = ["MAX_SIZE", "fetch", "find_websockets", "host_meta_of", "read_json", "read_xrd"]

#: Octets that a host-meta may have, and times that it may be somewhere else.
MAX_SIZE = 1 << 16
MAX_REDIRECTIONS = 3

#: Seconds for each of the two forms, with all redirections.
TIMEOUT = 10.0

_LINK = "{http://docs.oasis-open.org/ns/xri/xrd-1.0}Link"
_WEBSOCKET = "urn:xmpp:alt-connections:websocket"
_NOWHERE = "the web server of the domain sends us to a place that is none"
_REDIRECTIONS = (301, 302, 303, 307, 308)


def host_meta_of(domain: str) -> str:
    """Where a domain has its host-meta (RFC 6415 §2)."""
    return f"https://{domain}/.well-known/host-meta"


async def find_websockets(
    domain: str, *, tls: ssl.SSLContext | None = None, proxy: Proxy | None = None
) -> list[Endpoint]:
    """Where the WebSockets of `domain` are, all of them ``wss``, in the order of the host-meta.

    It is read as XRD, which every domain has that has any, and if there is nothing in that, as JSON. Raises OSError,
    which says why nothing was found. Takes `TIMEOUT` seconds for each form at most. Cancelling leaves nothing open.
    """
    await trio.lowlevel.checkpoint()
    try:
        url = host_meta_of(str(Endpoint("wss", to_ascii(domain), 443)).removeprefix("wss://").removesuffix(":443"))
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
    """The WebSockets in a host-meta in XML. Raises ConnectError if it is none."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise ConnectError(f"the host-meta is not XML: {exc}") from exc
    if root.getroottree().docinfo.doctype:
        raise ConnectError("the host-meta has a document type, which it must not need")
    return _endpoints((link.get("rel"), link.get("href")) for link in root.iterchildren(_LINK))


def read_json(document: bytes) -> list[Endpoint]:
    """The WebSockets in a host-meta in JSON. Raises ConnectError if it is none."""
    try:
        content = json.loads(document)
    except (ValueError, RecursionError) as exc:
        raise ConnectError(f"the host-meta is not JSON: {exc}") from exc
    links = content.get("links") if isinstance(content, dict) else None
    if not isinstance(links, list):
        raise ConnectError("the host-meta in JSON has no links")
    return _endpoints((link.get("rel"), link.get("href")) for link in links if isinstance(link, dict))


def _endpoints(links: Iterable[tuple[Any, Any]]) -> list[Endpoint]:
    """Those that are secured; what cannot be an endpoint is as good as not there."""
    endpoints = []
    for relation, url in links:
        if relation == _WEBSOCKET and isinstance(url, str):
            try:
                endpoints.append(Endpoint.parse(url))
            except ValueError:
                continue
    return [endpoint for endpoint in dict.fromkeys(endpoints) if endpoint.scheme == "wss"]


async def fetch(url: str, tls: ssl.SSLContext | None, proxy: Proxy | None) -> bytes:
    """What is at `url`, over HTTPS and wherever that leads. Raises OSError. Cancelling leaves nothing open."""
    for _ in range(MAX_REDIRECTIONS + 1):
        status, location, body = await _get(url, tls, proxy)
        if status == 200:
            return body
        if status not in _REDIRECTIONS or location is None:
            raise ConnectError(f"the web server of the domain has no host-meta: it answered HTTP {status}")
        try:
            url = urljoin(url, location)
        except ValueError as exc:
            raise ConnectError(f"{_NOWHERE}: {exc}") from None
    raise ConnectError("the web server of the domain sends us from one place to the next")


async def _get(url: str, tls: ssl.SSLContext | None, proxy: Proxy | None) -> tuple[int, str | None, bytes]:
    """The status, where it says to look instead, and the body."""
    import h11

    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise ConnectError("the web server of the domain sends us to where nothing is secured")
    try:
        server = Endpoint("wss", parts.hostname, 443 if parts.port is None else parts.port)
    except ValueError as exc:
        raise ConnectError(f"{_NOWHERE}: {exc}") from None
    target = (parts.path or "/") + (parts.query and f"?{parts.query}")
    headers = [("Host", parts.netloc), ("User-Agent", "trioxmpp"), ("Accept", "*/*"), ("Connection", "close")]
    transport = StreamTransport(await open_link(server, None, proxy))
    try:
        await transport.start_tls(tls or await usual_context(ALPN_WEBSOCKET), server.host)
        http = h11.Connection(h11.CLIENT)
        request = http.send(h11.Request(method="GET", target=target, headers=headers)) or b""
        await transport.send(request + (http.send(h11.EndOfMessage()) or b""))
        return await _answer(http, transport)
    except (h11.ProtocolError, UnicodeError) as exc:
        raise ConnectError(f"what answers at port {server.port} of {server.host} is no web server: {exc}") from exc
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
