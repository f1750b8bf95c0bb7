"""That the real servers are there and in order, seen over bare sockets: without a line of the library."""

from __future__ import annotations

import base64
import contextlib
import re

import pytest
import trio

from trioxmpp.testing.servers import RealServer, ServerError

HELLO = (
    b"<?xml version='1.0'?><stream:stream to='example.test' version='1.0' xmlns='jabber:client'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)
Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


async def read_until(stream: Stream, marker: bytes) -> bytes:
    received = b""
    while marker not in received:
        data = await stream.receive_some()
        assert data, f"the server closed the connection after {received!r}"
        received += data
    return received


async def hello(stream: Stream) -> bytes:
    await stream.send_all(HELLO)
    return await read_until(stream, b"</stream:features>")


async def direct_tls(server: RealServer) -> trio.SSLStream[trio.SocketStream]:
    tcp = await trio.open_tcp_stream("127.0.0.1", server.tls_port)
    return trio.SSLStream(tcp, server.ssl_context(), server_hostname=server.domain)


async def starttls(server: RealServer) -> trio.SSLStream[trio.SocketStream]:
    tcp = await trio.open_tcp_stream("127.0.0.1", server.port)
    features = await hello(tcp)
    assert b"urn:ietf:params:xml:ns:xmpp-tls" in features
    assert b"urn:ietf:params:xml:ns:xmpp-sasl" not in features
    await tcp.send_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    assert b"<proceed" in await read_until(tcp, b">")
    return trio.SSLStream(tcp, server.ssl_context(), server_hostname=server.domain)


async def log_in(stream: Stream, user: str, password: str) -> bytes:
    initial = base64.b64encode(f"\0{user}\0{password}".encode())
    await stream.send_all(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>" % initial)
    return await read_until(stream, b">")


@pytest.mark.parametrize("connect", [starttls, direct_tls])
async def test_every_mechanism_is_offered_over_tls(real_server, connect):
    async with await connect(real_server) as stream:
        features = await hello(stream)
    for mechanism in (b"PLAIN", b"SCRAM-SHA-1", b"SCRAM-SHA-256"):
        assert b">" + mechanism + b"<" in features


@pytest.mark.parametrize("user", ["romeo", "juliet", "guest199"])
async def test_the_accounts_exist_and_may_resume(real_server, user):
    async with await direct_tls(real_server) as stream:
        await hello(stream)
        assert b"<success" in await log_in(stream, user, real_server.accounts[user])
        assert b"urn:xmpp:sm:3" in await hello(stream)


async def test_a_wrong_password_is_refused(real_server):
    async with await direct_tls(real_server) as stream:
        await hello(stream)
        assert b"<failure" in await log_in(stream, "romeo", "capulet")


async def test_websockets_are_accepted_with_and_without_tls(real_server):
    for port in (real_server.http_port, real_server.https_port):
        stream: Stream = await trio.open_tcp_stream("127.0.0.1", port)
        if port == real_server.https_port:
            context = real_server.ssl_context()
            stream = trio.SSLStream(stream, context, server_hostname="127.0.0.1", https_compatible=True)
        async with stream:
            await stream.send_all(
                b"GET /xmpp-websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
                % (port, base64.b64encode(b"sixteen bytes ok"))
            )
            assert (await read_until(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 101")


async def test_after_a_crash_it_comes_back_where_it_was(real_server):
    before = (real_server.endpoint, real_server.tls_endpoint)
    real_server.kill()
    assert not real_server.running
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", real_server.port)
    await real_server.restart()
    assert (real_server.endpoint, real_server.tls_endpoint) == before
    async with await starttls(real_server) as stream:
        await hello(stream)
        assert b"<success" in await log_in(stream, "juliet", real_server.accounts["juliet"])


async def test_a_crash_cuts_the_connections(real_server):
    async with await trio.open_tcp_stream("127.0.0.1", real_server.port) as stream:
        await hello(stream)
        await real_server.restart()
        with contextlib.suppress(trio.BrokenResourceError):
            assert await stream.receive_some() == b""


async def test_while_paused_it_is_silent_and_then_goes_on(real_server):
    real_server.pause()
    async with await trio.open_tcp_stream("127.0.0.1", real_server.port) as stream:
        await stream.send_all(HELLO)
        with trio.move_on_after(0.3) as scope:
            await stream.receive_some()
        assert scope.cancelled_caught
        real_server.resume_process()
        assert b"features" in await read_until(stream, b"</stream:features>")


async def test_shutdown_ends_the_process_and_start_brings_it_back(real_server):
    await real_server.shutdown()
    assert not real_server.running
    await real_server.start()
    async with await direct_tls(real_server) as stream:
        await hello(stream)


async def test_nothing_is_left_behind(server_kind):
    async with server_kind(sm_timeout=1, archive=True, accounts={"nurse": 'with "quotes" and \\ and ü'}) as server:
        directory = server.directory
        async with await direct_tls(server) as stream:
            await hello(stream)
            assert b"<success" in await log_in(stream, "nurse", server.accounts["nurse"])
    assert not server.running
    assert not directory.exists()


async def test_a_start_that_is_cancelled_leaves_nothing_behind(server_kind):
    server = server_kind()
    with trio.CancelScope() as scope:
        scope.cancel()
        await server.start()
    assert scope.cancelled_caught
    assert not server.running
    assert not server.directory.exists()


async def test_a_server_that_does_not_start_says_why(server_kind):
    server = server_kind()
    for configuration in (server.directory / "prosody.cfg.lua", server.directory / "ejabberd.yml"):
        if configuration.exists():
            configuration.write_text("this is no configuration: [")
    with pytest.raises(ServerError, match=f"{server.name} ended") as failure:
        await server.start()
    assert re.search("config file|configuration", str(failure.value))
