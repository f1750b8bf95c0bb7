"""The embedded server on loopback: both of its ports, and what a crash does to them."""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from trioxmpp.testing import open_server


async def test_a_client_gets_in_by_starttls_and_by_direct_tls():
    async with open_server() as server:
        await server.listen()
        for endpoint in (server.starttls_endpoint, server.tls_endpoint):
            async with trioxmpp.connect(
                "romeo@example.test/tcp", "secret", endpoint=endpoint, tls=server.client_tls_context()
            ):
                assert server.sessions["romeo@example.test/tcp"].link.secure


async def test_both_ports_are_closed_while_the_server_is_down():
    async with open_server() as server:
        port = await server.listen()
        tls_port = int(server.tls_endpoint.rpartition(":")[2])
        await server.crash()
        for number in (port, tls_port):
            with pytest.raises(OSError, match="all attempts to connect"):
                await trio.open_tcp_stream("127.0.0.1", number)
        await server.restart()
        for number in (port, tls_port):
            async with await trio.open_tcp_stream("127.0.0.1", number):
                pass
