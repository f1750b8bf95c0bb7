"""HTTP requests to URLs that a server or a stranger chose. Needs the extra ``http`` (httpx2).

An attacker can aim a URL at a host that only this machine reaches: the router, a database, the metadata service of a
cloud. So a name is resolved here, each of its addresses is checked, and the connection goes to a checked address; a
name that resolves differently a moment later does not help an attacker. Proxies of the environment are not used,
redirects are not followed, and the body of the answer is not read.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, cast

import httpcore2
import httpx2
import trio

from .publicnetwork import is_public_address

__all__ = ["PrivateAddress", "PublicTransport", "put"]

#: Seconds that one address may take to accept a connection, while there are others.
CONNECT_PATIENCE = 5.0


class PrivateAddress(ConnectionError):
    """The host of a URL is not on the public internet."""


class _Network(httpcore2.AsyncNetworkBackend):
    """Connects to public addresses; with `allow_private`, to others as well."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        backend = httpcore2.TrioBackend()
        assert isinstance(backend, httpcore2.AsyncNetworkBackend)  # without trio it would be a stand-in
        self._trio: httpcore2.AsyncNetworkBackend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of `host` that accepts the connection."""
        addresses = await self._addresses(host, port)
        for address in addresses[:-1]:
            try:
                return await self._trio.connect_tcp(address, port, CONNECT_PATIENCE, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._trio.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _addresses(self, host: str, port: int) -> list[str]:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        public = [address for address in addresses if self._allow_private or is_public_address(address)]
        if not public:
            raise PrivateAddress(f"{host} has only private addresses: {', '.join(addresses)}")
        return public


class _Body(httpx2.AsyncByteStream):
    """The body of an answer, which may be closed without having been read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return cast(AsyncIterator[bytes], aiter(self._stream))

    async def aclose(self) -> None:
        await self._stream.aclose()


class PublicTransport(httpx2.AsyncBaseTransport):
    """A transport of httpx2 that connects to public addresses only, unless `allow_private`."""

    def __init__(self, tls: ssl.SSLContext, *, allow_private: bool = False) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls, max_connections=1, network_backend=_Network(allow_private)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        response = await self._pool.handle_async_request(
            httpcore2.Request(request.method, url, headers=request.headers.raw, content=request.stream)
        )
        return httpx2.Response(response.status, headers=response.headers, stream=_Body(response.stream))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pool.aclose()


#: The exceptions of an exchange: errors of both libraries, and of the network.
FAILURES = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    httpcore2.ConnectionNotAvailable,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    httpcore2.UnsupportedProtocol,
    OSError,
    trio.BrokenResourceError,
)


async def put(
    url: str, content: AsyncIterator[bytes], headers: Mapping[str, str], transport: httpx2.AsyncBaseTransport
) -> int:
    """Send `content` to `url` and return the status of the answer. Raises one of `FAILURES`.

    An exception of the iterator `content` comes out as it is. Cancelling cuts the connection.
    """
    async with (
        httpx2.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=None) as http,
        http.stream("PUT", url, content=content, headers=headers) as response,
    ):
        return int(response.status_code)
