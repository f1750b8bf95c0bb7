"""Web servers that take files: one on loopback, over TLS, and one without any network."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx2
import trio
import trustme

from trioxmpp.testing import Server

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Request:
    """A request as it came: the head, and as much of the body as was read."""

    head: bytes
    body: bytes = b""
    octets: int = 0

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode()
        return None


@dataclass
class WebServer:
    """Its address, the context that trusts it, and the requests that it got."""

    port: int
    tls: ssl.SSLContext
    requests: list[Request] = field(default_factory=list)
    disconnected: trio.Event = field(default_factory=trio.Event)

    def url(self, path: str = "/slot/file") -> str:
        return f"https://localhost:{self.port}{path}"


Answer = Callable[[trio.abc.Stream, Request], Awaitable[None]]


async def takes_it(stream: trio.abc.Stream, request: Request) -> None:
    """Read the whole body, and answer 201."""
    await read_body(stream, request)
    await stream.send_all(CREATED)


async def read_body(stream: trio.abc.Stream, request: Request, *, keep: bool = True) -> None:
    """Read the body as long as the Content-Length says."""
    length = int(request.header("content-length") or 0)
    while request.octets < length:
        data = await stream.receive_some(65536)
        if not data:
            return
        request.octets += len(data)
        if keep:
            request.body += data


@asynccontextmanager
async def open_web_server(answer: Answer = takes_it) -> AsyncIterator[WebServer]:
    authority = trustme.CA()
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                data = await stream.receive_some(65536)
                if not data:
                    return
                head += data
            head, _, rest = head.partition(b"\r\n\r\n")
            request = Request(head, rest, len(rest))
            web.requests.append(request)
            await answer(stream, request)
            while await stream.receive_some(65536):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            web.disconnected.set()
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_ssl_over_tcp_listeners(0, server_tls, host="127.0.0.1", https_compatible=True)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        web = WebServer(port, client_tls)
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        try:
            yield web
        finally:
            nursery.cancel_scope.cancel()


class InMemory(httpx2.AsyncBaseTransport):
    """HTTP without a network: hands requests to the upload service of the server for tests."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.requests: list[httpx2.Request] = []
        self.statuses: list[int] = []
        """The answers to the next requests, in place of those of the server."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        content = await request.aread()
        if self.statuses:
            return httpx2.Response(self.statuses.pop(0))
        headers = {name.title(): value for name, value in request.headers.items()}
        statuses = [self.server.upload.put(url, headers, content) for url in _spellings(str(request.url))]
        return httpx2.Response(max(statuses) if 201 not in statuses else 201)

    def content(self, url: str) -> bytes:
        """The file at a URL; it may be percent-encoded where the server did not do that."""
        found = [
            content for url in _spellings(url) for status, content in [self.server.upload.get(url)] if status == 200
        ]
        assert found, url
        return found[0]


def _spellings(url: str) -> list[str]:
    return list(dict.fromkeys([url, unquote(url)]))
