"""Ways out through a proxy: what is said to it, and what it may say."""

from __future__ import annotations

import pytest
import trio

import trioxmpp
from trioxmpp import ConnectError
from trioxmpp.errors import Stage
from trioxmpp.testing import MemoryStream, memory_link, open_server
from trioxmpp.testing.network import Network
from trioxmpp.transport.proxy import Proxy, open_tunnel

SOCKS, HTTP = "socks5://proxy.test:1080", "http://proxy.test:8080"
ADDRESS = "192.0.2.9"


class FakeProxy:
    """A proxy in a network of its own; a test plays it on `link`, or names a server to be connected to."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.network = Network()
        self.network.names["proxy.test"] = [ADDRESS]
        for port in (1080, 8080):
            self.network.answers[ADDRESS, port] = self.accept
        self.network.begin()
        self._send, self._links = trio.open_memory_channel[MemoryStream](10)

    async def accept(self) -> trio.abc.Stream:
        ours, theirs = memory_link()
        self._send.send_nowait(ours)
        return theirs

    async def link(self) -> MemoryStream:
        return await self._links.receive()


@pytest.fixture
async def proxy(autojump_clock, nursery):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    return FakeProxy(nursery)


async def plays(proxy: FakeProxy, *script: bytes) -> None:
    """Expect and say, in turn; then close, but only if the script ends with nothing to say."""
    link = await proxy.link()
    for index, part in enumerate(script):
        if index % 2 == 0:
            heard = b""
            while len(heard) < len(part):
                more = await link.receive_some()
                assert more, heard
                heard += more
            assert heard == part
        elif part:
            await link.send_all(part)
        else:
            await link.aclose()


async def tunnel(proxy: FakeProxy, url: str, *script: bytes, host: str = "xmpp.example.test") -> trio.abc.Stream:
    proxy.nursery.start_soon(plays, proxy, *script)
    return await open_tunnel(Proxy.parse(url), host, 5222)


NAME = b"\x11xmpp.example.test"
REQUEST = b"CONNECT xmpp.example.test:5222 HTTP/1.1\r\nHost: xmpp.example.test:5222\r\n\r\n"
WELCOME = b"\5\0\0\1\0\0\0\0\0\0"


async def test_socks_is_given_the_name(autojump_clock, proxy):
    stream = await tunnel(proxy, SOCKS, b"\5\1\0", b"\5\0", b"\5\1\0\3" + NAME + b"\x14\x66", WELCOME + b"hello")
    assert await stream.receive_some() == b"hello"
    assert proxy.network.asked == ["proxy.test"]


@pytest.mark.parametrize(
    ("host", "said"),
    [("192.0.2.1", b"\1\xc0\0\2\1"), ("2001:db8::1", b"\4\x20\1\x0d\xb8" + bytes(11) + b"\1")],
)
@pytest.mark.parametrize("answer", [WELCOME, b"\5\0\0\3\4home\0\1", b"\5\0\0\4" + bytes(18)])
async def test_socks_with_addresses(autojump_clock, proxy, host, said, answer):
    stream = await tunnel(proxy, SOCKS, b"\5\1\0", b"\5\0", b"\5\1\0" + said + b"\x14\x66", answer + b"!", host=host)
    assert await stream.receive_some() == b"!"


async def test_socks_with_a_login(autojump_clock, proxy):
    url = "socks5://romeo:s%3Ac@proxy.test"
    login = b"\1\5romeo\3s:c"
    stream = await tunnel(
        proxy, url, b"\5\2\0\2", b"\5\2", login, b"\1\0", b"\5\1\0\3" + NAME + b"\x14\x66", WELCOME + b"!"
    )
    assert await stream.receive_some() == b"!"


async def test_http_connect(autojump_clock, proxy):
    stream = await tunnel(proxy, HTTP, REQUEST, b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", b"", b"!")
    assert await stream.receive_some() == b"!"


async def test_http_connect_with_a_login_and_an_address(autojump_clock, proxy):
    request = (
        b"CONNECT [2001:db8::1]:5222 HTTP/1.1\r\nHost: [2001:db8::1]:5222\r\n"
        b"Proxy-Authorization: Basic cm9tZW86c2VjcmV0\r\n\r\n"
    )
    await tunnel(proxy, "http://romeo:secret@proxy.test", request, b"HTTP/1.0 200\r\n\r\n", host="2001:db8::1")


ASKED = b"\5\1\0\3" + NAME + b"\x14\x66"


@pytest.mark.parametrize(
    ("url", "script", "error", "words"),
    [
        (SOCKS, [b"\5\1\0", b"\5\xff"], PermissionError, "wants a user and a password: socks5://user:password@host"),
        (SOCKS, [b"\5\1\0", b"\5\2"], ConnectionAbortedError, "is not a SOCKS5 proxy"),
        (SOCKS, [b"\5\1\0", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ConnectionAbortedError, "is not a SOCKS5 proxy"),
        (SOCKS, [b"\5\1\0", b"\5\0", ASKED, b"\5\0\0\7"], ConnectionAbortedError, "is not a SOCKS5 proxy"),
        (SOCKS, [b"\5\1\0", b""], ConnectionResetError, "closed the connection before it had connected us"),
        (SOCKS, [b"\5\1\0", b"\5\0", ASKED, b"\5\5\0\1"], ConnectionRefusedError, "the connection was refused"),
        (SOCKS, [b"\5\1\0", b"\5\0", ASKED, b"\5\4\0\1"], ConnectionRefusedError, "cannot be found or reached"),
        (SOCKS, [b"\5\1\0", b"\5\0", ASKED, b"\5\x63\0\1"], ConnectionRefusedError, r"no reason that is known \(99\)"),
        (HTTP, [b"", b"HTTP/1.1 407 Auth\r\n\r\n"], PermissionError, "wants a user and a password: http://"),
        (HTTP, [b"", b"HTTP/1.1 403 Forbidden\r\n\r\n"], ConnectionRefusedError, "it answered HTTP 403 Forbidden"),
        (HTTP, [b"", b"SSH-2.0-OpenSSH\r\n"], ConnectionAbortedError, "is not an HTTP proxy"),
        (HTTP, [b"", b"HTTP/1.1 nonsense\r\n\r\n"], ConnectionAbortedError, "is not an HTTP proxy"),
        (HTTP, [b"", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000], ConnectionAbortedError, "is not an HTTP proxy"),
        (HTTP, [b"", b"HTTP/1.1 200 OK\r\n\r\n<stream:stream"], ConnectionAbortedError, "sent more than its answer"),
        (HTTP, [REQUEST, b""], ConnectionResetError, "closed the connection before it had connected us"),
    ],
)
async def test_a_wrong_answer_of_a_proxy_is_explained(autojump_clock, proxy, url, script, error, words):
    with pytest.raises(error, match=words):
        await tunnel(proxy, url, *script)
    assert proxy.network.open == 0


@pytest.mark.parametrize(
    ("url", "script"),
    [
        ("socks5://romeo:s3cret@proxy.test", [b"\5\2\0\2", b"\5\2", b"", b"\1\1"]),
        ("http://romeo:s3cret@proxy.test", [b"", b"HTTP/1.1 407 No\r\n\r\n"]),
    ],
)
async def test_a_login_that_is_not_accepted_does_not_show_the_password(autojump_clock, proxy, url, script):
    with pytest.raises(PermissionError, match="does not accept the user and the password") as error:
        await tunnel(proxy, url, *script)
    assert "s3cret" not in str(error.value)
    assert "s3cret" not in repr(Proxy.parse(url))


async def test_a_proxy_that_cannot_be_reached(autojump_clock, proxy):
    with pytest.raises(ConnectionRefusedError, match=r"the proxy socks5://proxy.test:9 cannot be reached: Connection"):
        await open_tunnel(Proxy.parse("socks5://proxy.test:9"), "xmpp.example.test", 5222)
    with pytest.raises(OSError, match=r"cannot find the address of the proxy socks5://nowhere.test:1080"):
        await open_tunnel(Proxy.parse("socks5://nowhere.test"), "xmpp.example.test", 5222)


@pytest.mark.parametrize(
    "url",
    ["", "proxy.test", "ftp://proxy.test", "socks5://", "http://proxy.test/path", "socks5://romeo@proxy.test",
     "http://proxy.test:0", "socks5://a b.test", "http://romeo:s3cret@proxy.test:no", "http://r%3Ao:s3cret@proxy.test",
     "socks5://romeo:s3cret" + "x" * 255 + "@proxy.test"],
)  # fmt: skip
def test_a_url_that_is_no_proxy_is_refused(url):
    with pytest.raises(ValueError, match="not a proxy") as error:
        Proxy.parse(url)
    assert "s3cret" not in str(error.value)


def test_a_proxy_is_written_as_a_url():
    assert str(Proxy.parse("socks5h://user:pw@[2001:db8::1]")) == "socks5://[2001:db8::1]:1080"
    assert Proxy.parse("http://host/").port == 8080


# --- all the way


async def test_connecting_through_it(autojump_clock, proxy, nursery):
    async def serve(server) -> None:
        link = await proxy.link()
        assert await link.receive_some() == b"\5\1\0"
        await link.send_all(b"\5\0")
        assert await link.receive_some() == ASKED
        await link.send_all(WELCOME)
        onward = await server.endpoint()
        nursery.start_soon(copy, link, onward)
        await copy(onward, link)

    async def copy(source: trio.abc.Stream, sink: trio.abc.Stream) -> None:
        while data := await source.receive_some():
            await sink.send_all(data)

    async with open_server() as server:
        nursery.start_soon(serve, server)
        async with trioxmpp.connect(
            "romeo@example.test", "secret", endpoint="xmpp://xmpp.example.test", proxy=SOCKS, allow_plaintext=True
        ) as client:
            assert client.established
        assert proxy.network.asked == ["proxy.test"], "the name of the server is for the proxy"


@pytest.mark.parametrize("url", [SOCKS, HTTP])
async def test_the_error_names_a_proxy_that_hangs(autojump_clock, proxy, url):
    began = trio.current_time()
    with pytest.raises(ConnectError, match=f"no answer in time from the proxy {url}") as error:
        async with trioxmpp.connect(
            "romeo@example.test", "secret", endpoint="xmpp://xmpp.example.test", proxy=url, connect_timeout=10
        ):
            pass
    assert trio.current_time() - began <= 10.1
    assert [attempt.stage for attempt in error.value.attempts] == [Stage.CONNECTING]
    assert proxy.network.open == 0


async def test_an_answer_in_pieces_is_read_to_its_last_octet_and_no_further(autojump_clock, proxy):
    answers = {SOCKS: [b"\5\0", b"\5\0\0\3\4home\0\1"], HTTP: [b"HTTP/1.1 200 Connection established\r\nA: b\r\n\r\n"]}

    async def play(answers: list[bytes]) -> None:
        link = await proxy.link()
        for answer in answers:
            await link.receive_some()
            for octet in answer:
                await link.send_all(bytes([octet]))
                await trio.sleep(0.1)
        await link.receive_some()
        await link.send_all(b"hello")

    for url, script in answers.items():
        proxy.nursery.start_soon(play, script)
        stream = await open_tunnel(Proxy.parse(url), "xmpp.example.test", 5222)
        await stream.send_all(b"hello?")
        assert await stream.receive_some() == b"hello"
        await stream.aclose()
