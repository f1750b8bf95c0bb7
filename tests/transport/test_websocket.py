"""The transport for WebSocket, against trio-websocket's own server and against servers without WebSocket."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import re
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from trioxmpp.errors import StreamCondition, StreamError, TLSFailure
from trioxmpp.testing import MemoryStream, memory_link
from trioxmpp.transport.endpoint import Endpoint
from trioxmpp.transport.tcp import StreamTransport, open_transport
from trioxmpp.transport.websocket import CLOSE_TIMEOUT, MAX_ANSWER, WebSocketTransport, open_websocket

ENDPOINT = Endpoint("ws", "example.test", 80, "/xmpp-websocket")


class Scene:
    """A client's transport, and the server's end of its WebSocket."""

    def __init__(self, transport: WebSocketTransport, server: WebSocketConnection, raw: MemoryStream) -> None:
        self.transport = transport
        self.server = server
        self.raw = raw
        """The server's end of the link below."""


@contextlib.asynccontextmanager
async def opened(*, capacity: float = float("inf"), **options: Any):
    """A block with an open WebSocket. The nursery of the client's end is the block's, and holds nothing in the end."""
    ours, theirs = memory_link(capacity)
    async with trio.open_nursery() as servers, trio.open_nursery() as nursery:
        accepted: list[WebSocketConnection] = []

        async def serve() -> None:
            request = await wrap_server_stream(servers, theirs)
            accepted.append(await request.accept(subprotocol="xmpp"))

        servers.start_soon(serve)
        transport = await open_websocket(nursery, StreamTransport(ours), ENDPOINT, **options)
        yield Scene(transport, accepted[0], theirs)
        await transport.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks
        servers.cancel_scope.cancel()


async def refused(answer: Callable[[MemoryStream], Any]) -> ConnectionError:
    """Return the error of opening a WebSocket when the server behaves like that. Nothing stays open, or running."""
    ours, theirs = memory_link()
    transport = StreamTransport(ours)
    async with trio.open_nursery() as servers, trio.open_nursery() as nursery:
        servers.start_soon(answer, theirs)
        with pytest.raises(ConnectionError) as failure:
            await open_websocket(nursery, transport, ENDPOINT)
        assert not nursery.child_tasks
        servers.cancel_scope.cancel()
    with pytest.raises(ConnectionError):
        await transport.send(b"x")
    return failure.value


# --- the handshake


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("ws://example.test/xmpp-websocket", "example.test", "/xmpp-websocket"),
        ("ws://example.test:5280/ws?a=b&c=%20d", "example.test:5280", "/ws?a=b&c=%20d"),
        ("wss://example.test", "example.test", "/"),
        ("wss://example.test:80?a", "example.test:80", "/?a"),
        ("ws://[::1]:443/ü", "[::1]:443", "/%C3%BC"),
        ("ws://faß.example/x", "xn--fa-hia.example", "/x"),
    ],
)
async def test_the_request_asks_for_xmpp_at_the_address(autojump_clock, url, host, target):
    ours, theirs = memory_link()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(open_websocket, nursery, StreamTransport(ours), Endpoint.parse(url))
        request = (await theirs.receive_some()).decode()
        nursery.cancel_scope.cancel()
    line, *lines = request.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert line == f"GET {target} HTTP/1.1"
    assert headers["host"] == host
    assert headers["sec-websocket-protocol"] == "xmpp"
    assert headers["upgrade"].lower() == "websocket"
    assert "sec-websocket-extensions" not in headers


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ConnectionRefusedError, "HTTP 404 Not Found"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\nLog in first", ConnectionRefusedError, "HTTP 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n<html>", ConnectionRefusedError, "HTTP 200 OK"),
        (b"HTTP/1.0 403\r\n\r\n", ConnectionRefusedError, "HTTP 403"),
        (b"HTTP/1.1 nothing\r\n\r\n", ConnectionRefusedError, "not HTTP"),
        (b"<?xml version='1.0'?><stream:stream>", ConnectionRefusedError, "not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", ConnectionRefusedError, "not HTTP"),
        (b"HTTP/1.1 101 Yes\r\nThis is: no\x00 header\r\n\r\n", ConnectionRefusedError, "handshake is wrong"),
        (b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n", ConnectionRefusedError, "handshake is wrong"),
        (b"HTTP/1.1 101 Yes\r\nA: " + b"a" * (MAX_ANSWER + 1), ConnectionError, "does not end|wrong"),
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_an_answer_without_a_websocket_is_explained(autojump_clock, answer, error, words, one_by_one):
    async def serve(stream):
        size = 1 if one_by_one and len(answer) < 1000 else len(answer)
        with contextlib.suppress(trio.BrokenResourceError):
            for start in range(0, len(answer), size):
                await stream.send_all(answer[start : start + size])
                await trio.sleep(0.1)
            await trio.sleep_forever()  # the link stays open: no task waits for its end

    with trio.fail_after(60):
        failure = await refused(serve)
    assert isinstance(failure, error)
    with pytest.raises(error, match=words):
        raise failure


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs"])
async def test_a_link_that_is_closed_in_the_handshake_is_noticed(autojump_clock, said):
    async def serve(stream):
        await stream.receive_some()
        await stream.send_all(said)
        stream.close()

    with trio.fail_after(1):
        failure = await refused(serve)
    assert isinstance(failure, ConnectionAbortedError)
    assert "closed the connection in the WebSocket handshake" in str(failure)


async def test_a_link_that_breaks_in_the_handshake_is_noticed(autojump_clock):
    async def serve(stream):
        stream.reset()

    with trio.fail_after(1):
        failure = await refused(serve)
    assert isinstance(failure, ConnectionResetError)


@pytest.mark.parametrize("subprotocol", [None, b"mqtt"])
async def test_a_websocket_that_is_not_for_xmpp_is_refused(autojump_clock, subprotocol):
    """A server may ignore what we ask for (RFC 6455 §4.2.2), and then speaks of something else."""

    async def serve(stream):
        request = await stream.receive_some()
        (key,) = re.findall(rb"(?i)sec-websocket-key: (\S+)", request)
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        answer = (
            b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %s\r\n" % accept
        )
        if subprotocol is not None:
            answer += b"Sec-WebSocket-Protocol: %s\r\n" % subprotocol
        await stream.send_all(answer + b"\r\n")
        await trio.sleep_forever()

    with trio.fail_after(1):
        failure = await refused(serve)
    assert isinstance(failure, ConnectionRefusedError)
    assert ("none for XMPP" if subprotocol is None else "handshake is wrong") in str(failure)


async def test_a_rejected_handshake_tells_what_the_server_answered(autojump_clock):
    async def serve(stream):
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, stream)
            await request.reject(403, body=b"Not for you")

    failure = await refused(serve)
    assert "the server answered HTTP 403" in str(failure)


async def test_a_server_that_never_answers_is_left_when_the_time_is_up(autojump_clock):
    ours, theirs = memory_link()
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(30) as scope:
            await open_websocket(nursery, StreamTransport(ours), ENDPOINT)
        assert scope.cancelled_caught
        assert not nursery.child_tasks
        while await theirs.receive_some():  # the request, and then the end: the link was closed
            pass


# --- messages


async def test_one_call_of_send_makes_one_message(autojump_clock):
    async with opened() as scene:
        for text in ("<presence/>", "<message>ü 😀</message>", "x" * 100_000):
            await scene.transport.send(text.encode())
            assert await scene.server.get_message() == text
            await scene.server.send_message(text)
            assert await scene.transport.receive() == text.encode()


async def test_a_message_may_come_in_any_number_of_pieces(autojump_clock):
    """RFC 6455 §5.4; a ping in between is none of our business."""
    async with opened() as scene:
        for frame in (b"\x01\x03<a ", b"\x89\x02hi", b"\x00\x00", b"\x80\x06b='1'/", b"\x81\x04<c/>"):
            await scene.raw.send_all(frame)
        assert await scene.transport.receive() == b"<a b='1'/"
        assert await scene.transport.receive() == b"<c/>"


async def test_half_a_message_is_a_sign_of_life(autojump_clock):
    async with opened() as scene:
        before = scene.transport.heard
        await trio.sleep(10)
        assert scene.transport.heard == before
        await scene.raw.send_all(b"\x01\x03<a ")
        await trio.testing.wait_all_tasks_blocked()
        assert scene.transport.heard == before + 10
        with trio.move_on_after(1) as waiting:
            await scene.transport.receive()
        assert waiting.cancelled_caught


async def test_a_message_that_is_too_large_is_a_policy_violation(autojump_clock):
    async with opened(max_message=1000) as scene:
        await scene.server.send_message("x" * 1000)
        assert len(await scene.transport.receive()) == 1000
        await scene.server.send_message("x" * 1001)
        with pytest.raises(StreamError, match="more than 1000") as error:
            await scene.transport.receive()
        assert (error.value.condition, error.value.by_us) == (StreamCondition.POLICY_VIOLATION, True)
        with pytest.raises(ConnectionError):
            await scene.transport.send(b"<presence/>")


async def test_a_message_that_never_ends_is_too_large_too(autojump_clock):
    async with opened(max_message=1000) as scene:
        await scene.raw.send_all(b"\x01\x01<" + b"\x00\x01x" * 1000)
        with pytest.raises(StreamError, match="more than 1000"):
            await scene.transport.receive()


async def test_a_binary_message_is_not_xmpp(autojump_clock):
    async with opened() as scene:
        await scene.server.send_message(b"<presence/>")
        with pytest.raises(ConnectionAbortedError, match="binary"):
            await scene.transport.receive()


async def test_an_empty_message_is_nothing(autojump_clock):
    async with opened() as scene:
        for message in ("", "", "<presence/>"):
            await scene.server.send_message(message)
        assert await scene.transport.receive() == b"<presence/>"


async def test_a_message_that_never_ends_is_no_sign_of_life_for_ever(autojump_clock):
    async with opened() as scene, trio.open_nursery() as nursery:
        begun = scene.transport.heard
        nursery.start_soon(scene.transport.receive)
        await scene.raw.send_all(b"\x01\x01<")
        for _ in range(200):
            await trio.sleep(10)
            await scene.raw.send_all(b"\x00\x01x")
            await trio.testing.wait_all_tasks_blocked()
            if trio.current_time() - begun < 900:
                assert scene.transport.heard == trio.current_time()
        assert 900 <= scene.transport.heard - begun < 901
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("frame", [b"\xff\xff", b"\x83\x00", b"\x81\x02\xff\xfe", b"\x81\x84abcd", b"\x80\x00"])
async def test_a_violation_of_the_websocket_protocol_is_an_error(autojump_clock, frame):
    async with opened() as scene:
        await scene.raw.send_all(frame)
        with pytest.raises(ConnectionError):
            await scene.transport.receive()
        with pytest.raises(ConnectionError):
            await scene.transport.send(b"<presence/>")


async def test_many_messages_wait_until_they_are_received(autojump_clock):
    async with opened() as scene, trio.open_nursery() as nursery:

        async def serve():
            for n in range(200):
                await scene.server.send_message(str(n))

        nursery.start_soon(serve)
        await trio.sleep(1)
        assert [int(await scene.transport.receive()) for _ in range(200)] == list(range(200))


# --- the end


@pytest.mark.parametrize(
    ("code", "words"), [(1000, None), (1001, None), (1008, "1008 no"), (1011, "1011 no"), (4000, "4000")]
)
async def test_the_server_closes_the_websocket(autojump_clock, code, words):
    async with opened() as scene, trio.open_nursery() as nursery:
        await scene.server.send_message("<last/>")
        nursery.start_soon(scene.server.aclose, code, "no")
        assert await scene.transport.receive() == b"<last/>"
        for _ in range(2):
            if words is None:
                assert await scene.transport.receive() == b""
            else:
                with pytest.raises(ConnectionAbortedError, match=words):
                    await scene.transport.receive()
        with pytest.raises(ConnectionError):
            await scene.transport.send(b"<presence/>")


async def test_that_our_message_was_too_large_for_the_server_is_not_that_its_was_for_us(autojump_clock):
    async with opened() as scene, trio.open_nursery() as nursery:
        nursery.start_soon(scene.server.aclose, 1009, "too big")
        with pytest.raises(ConnectionAbortedError, match="1009 too big"):
            await scene.transport.receive()


async def test_a_link_that_ends_without_a_word_ends_the_transport(autojump_clock):
    async with opened() as scene:
        scene.raw.close()
        assert await scene.transport.receive() == b""
        with pytest.raises(ConnectionError):
            await scene.transport.send(b"<presence/>")


async def test_a_link_that_breaks_is_a_connection_error(autojump_clock):
    async with opened() as scene:
        await scene.server.send_message("<last/>")
        scene.raw.reset()
        assert await scene.transport.receive() == b"<last/>"
        with pytest.raises(ConnectionResetError):
            await scene.transport.receive()
        with pytest.raises(ConnectionResetError):
            await scene.transport.send(b"<presence/>")


async def test_closing_gracefully_closes_the_websocket(autojump_clock):
    async with opened() as scene:
        await scene.transport.send(b"<last/>")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.transport.close_gracefully)
            assert await scene.server.get_message() == "<last/>"
            with pytest.raises(ConnectionClosed):
                await scene.server.get_message()
        assert scene.server.closed.code == 1000
        for attempt in (scene.transport.receive(), scene.transport.send(b"x")):
            with pytest.raises(ConnectionAbortedError, match="closed by us"):
                await attempt


async def test_closing_gracefully_waits_for_a_bounded_time(autojump_clock):
    async with opened() as scene:
        for _ in range(3):
            await scene.transport.send(b"x")  # the server does not read on until a task takes these
        before = trio.current_time()
        await scene.transport.close_gracefully()
        assert trio.current_time() - before == CLOSE_TIMEOUT


async def test_closing_gracefully_with_messages_that_were_not_received(autojump_clock):
    async with opened() as scene, trio.open_nursery() as nursery:

        async def serve():
            with contextlib.suppress(ConnectionClosed):
                for n in range(200):
                    await scene.server.send_message(str(n))

        nursery.start_soon(serve)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(CLOSE_TIMEOUT + 0.1):
            await scene.transport.close_gracefully()


@pytest.mark.parametrize("what", ["receive", "send"])
async def test_a_task_that_receives_or_sends_learns_that_the_transport_was_closed(autojump_clock, what):
    async with opened(capacity=200) as scene, trio.open_nursery() as nursery:

        async def use():
            with pytest.raises(ConnectionAbortedError, match="closed by us"):
                await (scene.transport.receive() if what == "receive" else scene.transport.send(b"x" * 100_000))

        for _ in range(3 if what == "send" else 0):
            await scene.transport.send(b"x")  # the server does not read on until a task takes these
        nursery.start_soon(use)
        await trio.testing.wait_all_tasks_blocked()
        await scene.transport.aclose()


async def test_closing_twice_or_after_the_end_is_fine(autojump_clock):
    async with opened() as scene:
        await scene.transport.close_gracefully()
        await scene.transport.close_gracefully()
        await scene.transport.aclose()


async def test_the_end_of_the_nursery_is_the_end_of_the_transport(autojump_clock):
    ours, theirs = memory_link()
    async with trio.open_nursery() as servers:

        async def serve():
            request = await wrap_server_stream(servers, theirs)
            await request.accept(subprotocol="xmpp")

        servers.start_soon(serve)
        async with trio.open_nursery() as nursery:
            transport = await open_websocket(nursery, StreamTransport(ours), ENDPOINT)
            nursery.cancel_scope.cancel()
        with pytest.raises(ConnectionError):
            await transport.receive()
        with pytest.raises(ConnectionError):
            await transport.send(b"<presence/>")
        await transport.aclose()
        servers.cancel_scope.cancel()


# --- cancellation


async def test_a_send_that_was_cancelled_is_followed_by_nothing(autojump_clock):
    async with opened(capacity=200) as scene:
        for _ in range(3):
            await scene.transport.send(b"x")  # the server does not read on until a task takes these
        with trio.move_on_after(1) as scope:
            await scene.transport.send(b"x" * 1000)
        assert scope.cancelled_caught
        with pytest.raises(ConnectionAbortedError, match="cut short"):
            await scene.transport.send(b"<presence/>")


async def test_a_receive_that_was_cancelled_loses_nothing(autojump_clock):
    async with opened() as scene:
        for n in range(5):
            with trio.CancelScope() as scope:
                scope.cancel()
                await scene.transport.receive()
            with trio.move_on_after(1 if n == 0 else 0):
                await scene.transport.receive()
            await scene.server.send_message(str(n))
            await trio.testing.wait_all_tasks_blocked()
        assert [await scene.transport.receive() for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_opening_can_be_cancelled_at_every_step(autojump_clock):
    """Whenever it is, the link is closed, and nothing runs on."""
    for steps in itertools.count(1):
        ours, theirs = memory_link()
        async with trio.open_nursery() as servers:

            async def serve(theirs=theirs, servers=servers):
                with contextlib.suppress(ConnectionClosed):
                    request = await wrap_server_stream(servers, theirs)
                    await request.accept(subprotocol="xmpp")

            async def cancel(scope, steps=steps):
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            servers.start_soon(serve)
            transport = None
            async with trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:
                    servers.start_soon(cancel, scope)
                    transport = await open_websocket(nursery, StreamTransport(ours), ENDPOINT)
                if transport is None:
                    assert not nursery.child_tasks
                    with pytest.raises(trio.ClosedResourceError):
                        await ours.send_all(b"x")
                else:
                    await transport.aclose()
            servers.cancel_scope.cancel()
        if transport is not None and not scope.cancel_called:
            break
        assert steps < 1000
    assert steps > 3


# --- TLS


async def test_no_tls_begins_on_an_open_websocket(autojump_clock):
    async with opened() as scene:
        assert not scene.transport.secure
        assert scene.transport.tls_version is None
        assert scene.transport.channel_bindings() == {}
        with pytest.raises(TLSFailure, match="wss://"):
            await scene.transport.start_tls(ssl.create_default_context(), "example.test")
        await scene.transport.send(b"<presence/>")  # nothing has happened


async def test_a_websocket_needs_a_nursery(autojump_clock):
    with pytest.raises(ValueError, match="nursery"):
        await open_transport(ENDPOINT, domain="example.test", tls=None)
