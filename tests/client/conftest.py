"""A server in memory, under a virtual clock, and a way to it that can be blocked."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

import trioxmpp
from trioxmpp import Client
from trioxmpp.testing import Server, ServerSession, open_server


class BlockableEndpoint:
    """The way to a server: can be blocked, and notes when a client came along."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.blocked = False
        self.attempts: list[float] = []

    async def endpoint(self) -> trio.abc.Stream:
        self.attempts.append(trio.current_time())
        if self.blocked:
            await trio.lowlevel.checkpoint()
            raise ConnectionRefusedError("the road is blocked")
        return await self.server.endpoint()

    def connect(self, name: str = "romeo", **options: Any) -> AbstractAsyncContextManager[Client]:
        """Connect as `name`, with the resource *orchard*."""
        return trioxmpp.connect(f"{name}@example.test/orchard", "secret", **self.options(**options))

    def options(self, **options: Any) -> dict[str, Any]:
        return {"endpoint": self.endpoint, "allow_plaintext": True, **options}

    def session(self, name: str = "romeo") -> ServerSession:
        return self.server.sessions[f"{name}@example.test/orchard"]


@pytest.fixture
async def server(autojump_clock):
    # pytest-trio gives a test the clock only if the test itself asks for it.
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    async with open_server() as server:
        yield server


@pytest.fixture
def road(server):
    return BlockableEndpoint(server)
