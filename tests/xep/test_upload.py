"""HTTP uploads (XEP-0363): against the server for tests with the files in memory, and a web server on loopback."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
import trioxmpp.xep
from tests.xep.webserver import CREATED, InMemory, Request, WebServer, open_web_server, read_body
from trioxmpp import Client, XMPPModifyError, XMPPWaitError, xml
from trioxmpp.errors import ErrorType, StanzaCondition
from trioxmpp.protocol.elements.file_sharing import FileMetadata, FileSharing
from trioxmpp.protocol.elements.oob import OutOfBand
from trioxmpp.protocol.elements.upload import Header, Purpose, Retry, Slot, UploadRequest
from trioxmpp.protocol.stanza import IQ, Message, parse_stanza
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.xep import contents
from trioxmpp.xep.upload import UploadFailed, UploadRefused, file_message, find_service, shared_url, upload


@asynccontextmanager
async def connected(dialect: Dialect = Dialect.PROSODY_13, **options: Any) -> AsyncIterator[tuple[Server, Client]]:
    async with open_server(accounts={"romeo": "secret"}, dialect=dialect, **options) as server:
        server.upload.serve()
        async with trioxmpp.connect(
            f"romeo@{server.domain}/1", "secret", endpoint=server.endpoint, allow_plaintext=True
        ) as client:
            yield server, client


def gives_slot(server: Server, put: str, get: str | None = None, headers: tuple[Header, ...] = ()) -> None:
    """Have the domain of the server answer every request for a slot with this one."""
    server.answer(UploadRequest, lambda iq: Slot(put=put, get=put if get is None else get, headers=headers))


DIALECTS = [Dialect.PROSODY_13, Dialect.EJABBERD_26]


# --- files in memory


@pytest.mark.item("D10.1")
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_file_is_put_and_its_url_returned(dialect: Dialect, tmp_path: Path, autojump_clock: Any) -> None:
    path = tmp_path / "pict é.jpg"
    path.write_bytes(bytes(range(256)) * 2000)
    seen: list[tuple[int, int]] = []
    async with connected(dialect) as (server, client):
        web = InMemory(server)
        url = await upload(client, path, transport=web, progress=lambda sent, size: seen.append((sent, size)))
        assert url.isascii()
        assert web.content(url) == path.read_bytes()
    assert web.requests[0].headers["Content-Type"] == "image/jpeg"
    assert web.requests[0].headers["Content-Length"] == "512000"
    assert "transfer-encoding" not in web.requests[0].headers
    assert [size for _, size in seen] == [512000] * len(seen)
    assert [sent for sent, _ in seen] == sorted({sent for sent, _ in seen})
    assert seen[-1] == (512000, 512000)
    assert len(seen) > 5


async def test_bytes_and_streams_can_be_put_as_well(autojump_clock: Any) -> None:
    async with connected() as (server, client):
        web = InMemory(server)
        url = await upload(client, b"hello", name="a.txt", transport=web)
        assert server.upload.get(url) == (200, b"hello")
        ours, theirs = trio.testing.memory_stream_one_way_pair()
        await ours.send_all(b"world")
        await ours.aclose()
        url = await upload(client, theirs, name="b.txt", size=5, transport=web)
        assert server.upload.get(url) == (200, b"world")


async def test_an_empty_file_is_for_the_service_to_refuse_or_take(autojump_clock: Any) -> None:
    seen: list[tuple[int, int]] = []
    async with connected() as (server, client):
        url = await upload(
            client, b"", name="empty", transport=InMemory(server), progress=lambda *args: seen.append(args)
        )
        assert server.upload.get(url) == (200, b"")
    assert seen == [(0, 0)]
    async with connected(Dialect.EJABBERD_26) as (server, client):
        with pytest.raises(UploadRefused, match="bad-request"):
            await upload(client, b"", name="empty", transport=InMemory(server))


@pytest.mark.item("B2.21")
@pytest.mark.item("D10.3")
@pytest.mark.parametrize("content", [b"", b"four", b"sixsix", b"x" * 100_000])
async def test_a_stream_of_another_size_never_completes_an_upload(content: bytes, autojump_clock: Any) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield content[:5]
        yield content[5:]

    async with connected() as (server, client):
        web = InMemory(server)
        with pytest.raises(ValueError, match="the source has"):
            await upload(client, stream(), name="a.txt", size=5, transport=web)
        assert not any(server.upload.files.values())


async def test_an_exception_of_the_source_comes_out_as_it_is(autojump_clock: Any) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"abc"
        raise OSError("the disk is broken")

    async with connected() as (server, client):
        with pytest.raises(OSError, match="the disk is broken") as caught:
            await upload(client, stream(), name="a.txt", size=5, transport=InMemory(server))
        assert not isinstance(caught.value, UploadFailed)


@pytest.mark.item("D10.4")
async def test_a_file_above_the_known_limit_is_refused_without_a_request(autojump_clock: Any) -> None:
    async with connected() as (server, client):
        server.upload.max_size = 4
        service = await find_service(client)
        assert service is not None
        assert service.limit == 4
        with pytest.raises(UploadRefused) as caught:
            await upload(client, b"hello", name="a.txt", transport=InMemory(server))
        assert caught.value.limit == 4
        assert not server.upload.files


async def test_a_limit_that_only_the_refusal_tells_is_told(autojump_clock: Any) -> None:
    async with connected() as (server, client):
        await find_service(client)  # the client remembers the greater limit
        server.upload.max_size = 4
        with pytest.raises(UploadRefused) as caught:
            await upload(client, b"hello", name="a.txt", transport=InMemory(server))
        assert caught.value.limit == 4
        assert caught.value.condition is StanzaCondition.NOT_ACCEPTABLE


@pytest.mark.item("D10.5")
async def test_a_quota_tells_when_to_try_again(autojump_clock: Any) -> None:
    at = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

    def refuse(iq: IQ) -> Slot:
        raise XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT, "quota", Retry(stamp=at))

    async with connected() as (server, client):
        server.answer(UploadRequest, refuse)
        with pytest.raises(UploadRefused) as caught:
            await upload(client, b"hello", name="a.txt", service=server.domain, transport=InMemory(server))
        assert caught.value.retry_at == at
        assert isinstance(caught.value.__cause__, XMPPWaitError)
        assert caught.value.text == "quota"


async def test_a_malformed_reason_of_a_refusal_is_no_other_error(autojump_clock: Any) -> None:
    def refuse(iq: IQ) -> Slot:
        raise XMPPModifyError(StanzaCondition.NOT_ACCEPTABLE, "no", OutOfBand(url="x"))

    async with connected() as (server, client):
        server.answer(UploadRequest, refuse)
        with pytest.raises(UploadRefused) as caught:
            await upload(client, b"hello", name="a.txt", service=server.domain, transport=InMemory(server))
        assert (caught.value.limit, caught.value.retry_at) == (None, None)


@pytest.mark.item("D10.6")
def test_a_message_about_a_file_has_the_url_as_its_body() -> None:
    url = "https://upload.example.org/1/a.jpg"
    message = file_message(url, to="juliet@example.org", file=FileMetadata(name="a.jpg", size=5))
    again = parse_stanza(xml.fromstring(f"<message xmlns='jabber:client'{message.serialise()[8:]}"))
    assert isinstance(again, Message)
    assert again.body == url
    link, shared = again.get(OutOfBand), again.get(FileSharing)
    assert link is not None
    assert link.url == url
    assert shared is not None
    assert shared.file is not None
    assert (shared.file.name, shared.file.size) == ("a.jpg", 5)
    assert [each.target for each in shared.urls] == [url]


@pytest.mark.item("D11a.10")
def test_only_a_body_that_is_the_url_marks_a_file() -> None:
    url = "https://upload.example.org/1/a.jpg"
    assert shared_url(file_message(url, to="juliet@example.org")) == url
    for message in (
        Message(to="juliet@example.org", body=url),
        Message(to="juliet@example.org", body=f"look: {url}", payloads=[OutOfBand(url=url)]),
        Message(to="juliet@example.org", payloads=[OutOfBand(url=url)]),
    ):
        assert shared_url(message) is None


@pytest.mark.item("D10.7")
async def test_a_slot_that_has_expired_is_replaced_once(autojump_clock: Any) -> None:
    seen: list[int] = []
    async with connected() as (server, client):
        web = InMemory(server)
        for status in (403, 404):
            web.statuses = [status]
            url = await upload(
                client, b"x" * 100_000, name="a.txt", transport=web, progress=lambda sent, _: seen.append(sent)
            )
            assert server.upload.get(url) == (200, b"x" * 100_000)
            assert seen == sorted(seen), "progress went back"
            seen.clear()
        web.statuses = [403, 403]
        with pytest.raises(UploadFailed) as caught:
            await upload(client, b"hello", name="a.txt", transport=web)
        assert caught.value.status == 403


async def test_a_stream_is_not_read_for_a_second_slot(autojump_clock: Any) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"hello"

    async with connected() as (server, client):
        web = InMemory(server)
        web.statuses = [404]
        with pytest.raises(UploadFailed) as caught:
            await upload(client, stream(), name="a.txt", size=5, transport=web)
        assert caught.value.status == 404
        assert len(web.requests) == 1


@pytest.mark.item("D10.8")
async def test_the_purpose_is_told(autojump_clock: Any) -> None:
    asked: list[Any] = []

    def note(iq: IQ) -> Slot:
        asked.append(iq.payload)
        return Slot(put="https://upload.example.test/1", get="https://upload.example.test/1")

    async with connected() as (server, client):
        server.answer(UploadRequest, note)
        web = InMemory(server)
        web.statuses = [200]
        await upload(client, b"hello", name="a.txt", purpose=Purpose.EPHEMERAL, service=server.domain, transport=web)
    (request,) = asked
    assert (request.filename, request.size, request.content_type) == ("a.txt", 5, "text/plain")
    assert request.purpose == Purpose.EPHEMERAL


async def test_without_a_service_the_error_says_so(autojump_clock: Any) -> None:
    async with (
        open_server(accounts={"romeo": "secret"}) as server,
        trioxmpp.connect("romeo@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True) as client,
    ):
        assert await find_service(client) is None
        with pytest.raises(UploadRefused, match="no upload service") as caught:
            await upload(client, b"hello", name="a.txt", transport=InMemory(server))
        assert caught.value.TYPE is ErrorType.CANCEL


@pytest.mark.parametrize("name", ["", "../a", "a/b", "a\\b", "..", None])
async def test_a_name_with_folders_is_a_mistake(name: str | None, autojump_clock: Any) -> None:
    async with connected() as (_, client):
        with pytest.raises(ValueError, match="name"):
            await upload(client, b"hello", name=name)


async def test_a_size_that_is_missing_or_wrong_is_a_mistake(autojump_clock: Any, tmp_path: Path) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b""

    path = tmp_path / "a.txt"
    path.write_bytes(b"hello")
    async with connected() as (_, client):
        with pytest.raises(ValueError, match="size"):
            await upload(client, stream(), name="a")
        for source in (b"hello", path):
            with pytest.raises(ValueError, match="5 octets, not 6"):
                await upload(client, source, name="a", size=6)


async def test_without_httpx2_the_error_names_the_extra(autojump_clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "trioxmpp.xep.httpclient", raising=False)
    monkeypatch.delattr(trioxmpp.xep, "httpclient", raising=False)
    monkeypatch.setitem(sys.modules, "httpcore2", None)
    async with connected() as (_, client):
        with pytest.raises(ModuleNotFoundError, match=r"trioxmpp\[http\]"):
            await upload(client, b"hello", name="a")


# --- hostile slots

UNSAFE_URLS = [
    "http://upload.example.org/1",
    "ftp://upload.example.org/1",
    "file:///etc/passwd",
    "//upload.example.org/1",
    "upload.example.org/1",
    "https:///1",
    "https://user@upload.example.org/1",
    "https://user:password@upload.example.org/1",
    "https://@upload.example.org/1",
    "https://upload.example.org\\@evil.example/1",
    "https://upload.example.org/1#fragment",
    "https://upload.example.org/1#",
    "https://upload.example.org/" + "a" * 4096,
    "https://upload.example.org/" + "é" * 1000,
    "https://upload.example.org/a b\r\nHost: evil",
    "https://upload.example.org/a\tb",
    "https://upload.example.org:99999/1",
    "https://[::1/1",
    "",
]
PRIVATE_HOSTS = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "[::1]",
    "[fe80::1]",
    "[fc00::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[2002:7f00:1::]",
    "localhost",
    "LOCALHOST.",
    "printer.local",
    "router.lan",
    "router",
]


@pytest.mark.item("D10.9")
async def test_a_slot_with_an_unsafe_url_is_refused_before_anything_is_sent(autojump_clock: Any) -> None:
    good = "https://upload.example.org/1"
    let_through = []
    async with connected() as (server, client):
        web = InMemory(server)
        for url in [*UNSAFE_URLS, *(f"https://{host}/1" for host in PRIVATE_HOSTS)]:
            for put, get in ((url, good), (good, url)):
                gives_slot(server, put, get)
                try:
                    await upload(client, b"hello", name="a", service=server.domain, transport=web)
                except UploadFailed as exc:
                    if "not safe" in str(exc):
                        continue
                let_through.append((put, get))
    assert not let_through
    assert not web.requests


@pytest.mark.item("D10.9")
async def test_a_private_address_is_permitted_on_request_and_on_a_local_domain(autojump_clock: Any) -> None:
    async with connected() as (server, client):
        web = InMemory(server)
        gives_slot(server, "https://192.168.1.1/1")
        web.statuses = [201]
        options: dict[str, Any] = {"service": server.domain, "transport": web}
        assert await upload(client, b"hello", name="a", allow_private=True, **options) == "https://192.168.1.1/1"
    async with connected(domain="home.lan") as (server, client):
        web = InMemory(server)
        gives_slot(server, "https://192.168.1.1/1")
        web.statuses = [201]
        options = {"service": server.domain, "transport": web}
        assert await upload(client, b"hello", name="a", **options) == "https://192.168.1.1/1"
        with pytest.raises(UploadFailed, match="private"):
            await upload(client, b"hello", name="a", allow_private=False, **options)


@pytest.mark.item("D10.9")
async def test_a_name_that_resolves_to_a_private_address_is_refused(autojump_clock: Any) -> None:
    class Resolver(trio.abc.HostnameResolver):
        async def getaddrinfo(self, host: Any, port: Any, *args: Any) -> Any:
            return [(2, 1, 6, "", ("127.0.0.1", port)), (2, 1, 6, "", ("10.0.0.1", port))]

        async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
            raise NotImplementedError

    trio.socket.set_custom_hostname_resolver(Resolver())
    async with connected() as (server, client):
        gives_slot(server, "https://rebound.example.org/1")
        with pytest.raises(UploadFailed, match=r"not safe.*private"):
            await upload(client, b"hello", name="a", service=server.domain)


@pytest.mark.item("B2.21")
@pytest.mark.item("D10.10")
async def test_only_the_headers_that_the_protocol_allows_are_sent(autojump_clock: Any) -> None:
    headers = (
        Header(name="authorization", value="Basic 123\r\nX-Evil: 1"),
        Header(name="Cook\nie", value="a=b"),
        Header(name="Expires", value="0"),
        Header(name="Host", value="evil.example"),
        Header(name="Content-Length", value="1"),
        Header(name="Transfer-Encoding", value="chunked"),
        Header(name="X-Evil", value="1"),
    )
    async with connected() as (server, client):
        web = InMemory(server)
        web.statuses = [201]
        gives_slot(server, "https://upload.example.org/1", headers=headers)
        await upload(client, b"hello", name="a", service=server.domain, transport=web)
    sent = web.requests[0].headers
    assert sent["Authorization"] == "Basic 123X-Evil: 1"
    assert (sent["Cookie"], sent["Expires"]) == ("a=b", "0")
    assert (sent["Host"], sent["Content-Length"]) == ("upload.example.org", "5")
    assert not {"x-evil", "transfer-encoding"} & set(sent)


@pytest.mark.item("D10.10")
@pytest.mark.parametrize(
    "headers",
    [
        tuple(Header(name="Cookie", value=str(number)) for number in range(50)),
        (Header(name="Cookie", value="x" * 5000),),
        (Header(name="Cookie", value="a\u2028b"),),
        (Header(name="Cookie", value="a\tb"),),
    ],
    ids=["fifty", "long", "not ASCII", "control"],
)
async def test_a_slot_with_unsafe_headers_is_refused(headers: tuple[Header, ...], autojump_clock: Any) -> None:
    async with connected() as (server, client):
        web = InMemory(server)
        gives_slot(server, "https://upload.example.org/1", headers=headers)
        with pytest.raises(UploadFailed, match="not safe"):
            await upload(client, b"hello", name="a", service=server.domain, transport=web)
    assert not web.requests


# --- a web server on loopback


async def put_to(web: WebServer, client: Client, server: Server, source: Any = b"hello", **options: Any) -> str:
    gives_slot(server, web.url())
    return await upload(client, source, name="a.txt", service=server.domain, tls=web.tls, allow_private=True, **options)


async def test_a_file_is_sent_over_tls(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456789" * 30_000)
    async with open_web_server() as web, connected() as (server, client):
        assert await put_to(web, client, server, path) == web.url()
    (request,) = web.requests
    assert request.head.startswith(b"PUT /slot/file HTTP/1.1\r\n")
    assert request.body == path.read_bytes()


async def test_a_certificate_that_is_not_trusted_is_refused() -> None:
    async with open_web_server() as web, connected() as (server, client):
        gives_slot(server, web.url())
        with pytest.raises(UploadFailed, match=r"(?i)certificate"):
            await upload(client, b"hello", name="a", service=server.domain, allow_private=True)
    assert not web.requests


async def test_loopback_is_refused_by_default() -> None:
    async with open_web_server() as web, connected() as (server, client):
        gives_slot(server, web.url())
        with pytest.raises(UploadFailed, match="private"):
            await upload(client, b"hello", name="a", service=server.domain, tls=web.tls)
        assert not web.requests


@pytest.mark.item("D10.2")
async def test_cancelling_cuts_the_connection(autojump_clock: Any) -> None:
    begun = trio.Event()

    async def reads_nothing(stream: trio.abc.Stream, request: Request) -> None:
        begun.set()
        await read_body(stream, request, keep=False)

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await trio.sleep_forever()

    async with open_web_server(reads_nothing) as web, connected() as (server, client):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: put_to(web, client, server, endless(), size=10_000_000))
            await begun.wait()
            nursery.cancel_scope.cancel()
        await web.disconnected.wait()
        assert client.established
    assert web.requests[0].octets < 10_000_000


async def test_a_web_server_that_never_answers_is_given_up() -> None:
    async def silent(stream: trio.abc.Stream, request: Request) -> None:
        await read_body(stream, request)
        await trio.sleep_forever()

    async with open_web_server(silent) as web, connected() as (server, client):
        with pytest.raises(UploadFailed, match=r"nothing moved for 0\.2 seconds") as caught:
            await put_to(web, client, server, patience=0.2)
    assert caught.value.status is None


async def test_a_connection_that_breaks_is_a_failure() -> None:
    async def hangs_up(stream: trio.abc.Stream, request: Request) -> None:
        await trio.aclose_forcefully(stream)

    async with open_web_server(hangs_up) as web, connected() as (server, client):
        with pytest.raises(UploadFailed) as caught:
            await put_to(web, client, server, b"x" * 1_000_000)
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.item("D10.11")
async def test_a_redirect_is_not_followed() -> None:
    async def redirects(stream: trio.abc.Stream, request: Request) -> None:
        await read_body(stream, request)
        await stream.send_all(b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    async with open_web_server(redirects) as web, connected() as (server, client):
        with pytest.raises(UploadFailed) as caught:
            await put_to(web, client, server)
    assert caught.value.status == 307
    assert len(web.requests) == 1


@pytest.mark.item("D10.12")
@pytest.mark.parametrize("status", [201, 500])
async def test_an_answer_without_end_is_not_read(status: int) -> None:
    sent = 0

    async def endless(stream: trio.abc.Stream, request: Request) -> None:
        nonlocal sent
        await read_body(stream, request)
        await stream.send_all(f"HTTP/1.1 {status} Answer\r\nContent-Length: 1000000000\r\n\r\n".encode())
        while True:
            await stream.send_all(b"x" * 65536)
            sent += 65536

    async with open_web_server(endless) as web, connected() as (server, client):
        if status == 201:
            await put_to(web, client, server)
        else:
            with pytest.raises(UploadFailed) as caught:
                await put_to(web, client, server)
            assert caught.value.status == 500
        await web.disconnected.wait()
    assert sent < 64 << 20


@pytest.mark.item("D10.12")
async def test_headers_without_end_are_refused() -> None:
    async def endless(stream: trio.abc.Stream, request: Request) -> None:
        await read_body(stream, request)
        await stream.send_all(b"HTTP/1.1 201 Created\r\n")
        while True:
            await stream.send_all(b"X-Header: " + b"x" * 65536 + b"\r\n")

    async with open_web_server(endless) as web, connected() as (server, client):
        with pytest.raises(UploadFailed):
            await put_to(web, client, server)


@pytest.mark.item("D10.13")
async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    async with open_web_server() as web, connected() as (server, client):
        assert await put_to(web, client, server) == web.url()


async def test_an_early_refusal_of_the_web_server_is_seen() -> None:
    async def refuses(stream: trio.abc.Stream, request: Request) -> None:
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await read_body(stream, request, keep=False)

    async with open_web_server(refuses) as web, connected() as (server, client):
        with pytest.raises(UploadFailed) as caught:
            await put_to(web, client, server, b"x" * 3_000_000)
    assert caught.value.status == 413


async def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    async def takes(stream: trio.abc.Stream, request: Request) -> None:
        await read_body(stream, request, keep=False)
        await stream.send_all(CREATED)

    path, size = tmp_path / "large", 24 << 20
    with path.open("wb") as file:
        file.truncate(size)
    async with open_web_server(takes) as web, connected() as (server, client):
        await put_to(web, client, server)  # what is imported and cached once does not count
        tracemalloc.start()
        try:
            await put_to(web, client, server, path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert web.requests[1].octets == size
    assert peak < 4 << 20
    assert contents.CHUNK < 1 << 20
