"""The four ways into a real server, and what is said on them, in the clear."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
import trio

import trioxmpp
from trioxmpp import ReconnectPolicy
from trioxmpp.testing.servers import RealServer, Relay, open_relay
from trioxmpp.transport.base import Transport
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.tcp import open_transport

WAYS = {"STARTTLS": "endpoint", "direct TLS": "tls_endpoint", "ws": "ws_endpoint", "wss": "wss_endpoint"}

every_way = pytest.mark.parametrize("way", list(WAYS))
every_way_of_tls = pytest.mark.parametrize("way", ["STARTTLS", "direct TLS", "wss"])
every_way_of_tcp = pytest.mark.parametrize("way", ["STARTTLS", "direct TLS"])

NOT_OFFERED, DEFECT = "not offered", "a defect of the server"

#: Why, by the ids of tests.
skipped: dict[str, str] = {}

LOGIN = re.compile(rb"<auth(?:enticate)?\s[^>]*?mechanism=[\"']([^\"']+)")
FIRST = re.compile(rb"<(?:initial-response|auth\s[^>]*)>([^<]+)</")


def not_offered(what: str) -> NoReturn:
    """The server does not offer it, so there is nothing to be tested; the table of docs/servers.md says so."""
    _skip(f"{NOT_OFFERED}: {what}")


def defect(what: str) -> NoReturn:
    """The server offers it, and it is known that it cannot do it."""
    _skip(f"{DEFECT}: {what}")


def _skip(reason: str) -> NoReturn:
    # An error in a nursery is told without its reason.
    skipped[os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]] = reason
    pytest.skip(reason)


class Watched:
    """A transport that writes down what is said under TLS, by "us" and by "them". It may bind by one type alone."""

    def __init__(self, transport: Transport, binding: str | None) -> None:
        self._transport = transport
        self._binding = binding
        self.said: list[tuple[str, bytes]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def channel_bindings(self) -> dict[str, bytes]:
        known = self._transport.channel_bindings()
        return {name: data for name, data in known.items() if self._binding in (name, None)}

    async def send(self, data: bytes, *more: bytes) -> None:
        self.said.append(("us", b"".join((data, *more))))
        await self._transport.send(data, *more)

    async def receive(self) -> bytes:
        data = await self._transport.receive()
        self.said.append(("them", data))
        return data

    async def start_tls(self, context: Any, server_hostname: str) -> None:
        await self._transport.start_tls(context, server_hostname)
        self.said.clear()

    @property
    def flights(self) -> list[tuple[str, bytes]]:
        """The same, but what one side says before the other says something is one."""
        flights: list[tuple[str, bytes]] = []
        for who, data in self.said:
            if flights and flights[-1][0] == who:
                flights[-1] = who, flights[-1][1] + data
            else:
                flights.append((who, data))
        return flights

    def by(self, who: str) -> bytes:
        """All that one side said."""
        return b"".join(data for speaker, data in self.said if speaker == who)

    @property
    def is_sasl2(self) -> bool:
        """Whether we logged in by SASL2."""
        return b"<authenticate" in self.by("us")

    @property
    def mechanism(self) -> str:
        """The mechanism of the last login that was tried."""
        return LOGIN.findall(self.by("us"))[-1].decode()

    @property
    def first(self) -> bytes:
        """The message that went along with it."""
        return base64.b64decode(FIRST.findall(self.by("us"))[-1])


class Meeting:
    """A real server, and a way into it. A WebSocket lives in the nursery."""

    def __init__(self, server: RealServer, way: str, nursery: trio.Nursery) -> None:
        self.server = server
        self.way = way
        self.url: str = getattr(server, WAYS[way])
        self.tls = server.ssl_context()
        self.links: list[Watched] = []
        self._nursery = nursery

    @property
    def options(self) -> dict[str, Any]:
        return {
            "tls": self.tls,
            "allow_plaintext": self.way == "ws",
            "connect_timeout": 20.0,
            "reconnect": ReconnectPolicy(initial=0.05, maximum=0.3),
        }

    @property
    def link(self) -> Watched:
        """The last that was watched."""
        return self.links[-1]

    @contextlib.asynccontextmanager
    async def relay(self) -> AsyncIterator[tuple[Relay, str]]:
        """A wire that can be cut, and the URL at which it begins."""
        parts = urlsplit(self.url)
        assert parts.port is not None
        async with open_relay("127.0.0.1", parts.port) as relay:
            port = relay.endpoint.rpartition(":")[2]
            yield relay, parts._replace(netloc=f"127.0.0.1:{port}").geturl()

    def watched(self, url: str | None = None, binding: str | None = None) -> Callable[[], Awaitable[Any]]:
        """An endpoint for `connect`: the same, but each link is watched."""

        async def dial() -> Watched:
            endpoint = Endpoint.parse(url or self.url)
            transport = await open_transport(endpoint, domain=self.server.domain, tls=self.tls, nursery=self._nursery)
            self.links.append(Watched(transport, binding))
            return self.links[-1]

        return dial

    def connect(self, user: str = "romeo", url: Any = None, resource: str | None = "here", **options: Any) -> Any:
        password = None if "credentials" in options else self.server.accounts[user]
        address = f"{user}@{self.server.domain}" + (f"/{resource}" if resource else "")
        return trioxmpp.connect(address, password, **{**self.options, "endpoint": url or self.url, **options})

    async def bind_by(self, binding: str) -> None:
        """Have links of TLS that can be bound by this type, or skip the test if this machine cannot."""
        if binding == "tls-exporter":
            pytest.importorskip("OpenSSL")
            from trioxmpp.transport.exporter import exporter_context

            self.tls = await trio.to_thread.run_sync(lambda: exporter_context(cafile=self.server.ca_file))
        elif binding == "tls-unique":
            self.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        else:
            self.tls.minimum_version = ssl.TLSVersion.TLSv1_3

    async def gives_up_a_session(self) -> None:
        """Wait until one that lost its link just now cannot be resumed, if ``sm_timeout=1``."""
        await trio.sleep(2.5 if self.server.name == "prosody" else 1.5)
