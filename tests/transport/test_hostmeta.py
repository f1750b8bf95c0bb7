"""WebSockets by way of host-meta (XEP-0156): over HTTPS, within bounds, and only what is secured."""

from __future__ import annotations

import json
import ssl

import pytest
import trio
import trustme

from trioxmpp import ConnectError, TLSFailure
from trioxmpp.testing import memory_link
from trioxmpp.testing.network import Network
from trioxmpp.transport import hostmeta
from trioxmpp.transport.hostmeta import find_websockets, read_json, read_xrd

XRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
RELATION = "urn:xmpp:alt-connections:websocket"


def xrd(*links: str, relation: str = RELATION) -> bytes:
    inner = "".join(f"<Link rel='{relation}' href='{link}'/>" for link in links)
    return f"<?xml version='1.0' encoding='utf-8'?><XRD xmlns='{XRD}'>{inner}</XRD>".encode()


def jrd(*links: str) -> bytes:
    return json.dumps({"links": [{"rel": RELATION, "href": link} for link in links]}).encode()


LINKS = ("wss://web.example.test:443/ws", "ws://web.example.test/ws", "https://web.example.test/bosh", "nonsense")


def test_only_secured_websockets_are_taken():
    assert [str(endpoint) for endpoint in read_xrd(xrd(*LINKS))] == [LINKS[0]]
    assert [str(endpoint) for endpoint in read_json(jrd(*LINKS))] == [LINKS[0]]
    assert not read_xrd(xrd(LINKS[0], relation="urn:xmpp:alt-connections:xbosh"))
    assert not read_json(b'{"links": [7, {"rel": "urn:xmpp:alt-connections:websocket", "href": 7}, {}]}')


@pytest.mark.parametrize(
    ("read", "document"),
    [
        (read_xrd, b"<html>"),
        (read_xrd, b""),
        (read_xrd, b"<!DOCTYPE XRD [<!ENTITY a 'b'>]>" + xrd(LINKS[0]).partition(b"?>")[2]),
        (read_json, b"<html>"),
        (read_json, b"\xff"),
        (read_json, b"[]"),
        (read_json, b"{}"),
        (read_json, b'{"links": 7}'),
        (read_json, b"[" * 60000),
    ],
)
def test_a_document_that_is_no_host_meta_is_refused(read, document):
    with pytest.raises(ConnectError, match="the host-meta"):
        read(document)


class Web:
    """Web servers in memory, which answer each path with the bytes that a test gives."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.answers: dict[str, bytes | None] = {}
        self.requests: list[str] = []
        authority = trustme.CA()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(self.tls)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("example.test", "www.example.test").configure_cert(self.context)
        self.network = Network()
        for name in ("example.test", "www.example.test", "other.test"):
            self.network.names[name] = ["192.0.2.80"]
        self.network.answers["192.0.2.80", 443] = self.accept
        self.network.begin()

    async def accept(self) -> trio.abc.Stream:
        ours, theirs = memory_link()
        self.nursery.start_soon(self.serve, ours)
        return theirs

    async def serve(self, link: trio.abc.Stream) -> None:
        tls: trio.SSLStream[trio.abc.Stream] = trio.SSLStream(link, self.context, server_side=True)
        try:
            request = (await tls.receive_some()).decode()
            path, host = request.split()[1], request.split("Host: ")[1].split()[0]
            self.requests.append(host + path)
            answer = self.answers.get(host + path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            if answer is None:
                await trio.sleep_forever()
            else:
                await tls.send_all(answer)
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(link)

    async def find(self, domain: str = "example.test") -> list[str]:
        return [str(endpoint) for endpoint in await find_websockets(domain, tls=self.tls)]


@pytest.fixture
async def web(autojump_clock, nursery):
    assert trio.lowlevel.current_clock() is autojump_clock, "the test needs autojump_clock as an argument, too"
    return Web(nursery)


def ok(body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def elsewhere(location: str) -> bytes:
    return f"HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


AT = "example.test/.well-known/host-meta"


async def test_xml_first_and_then_json(autojump_clock, web):
    web.answers[AT] = ok(xrd(LINKS[0]))
    assert await web.find() == [LINKS[0]]
    web.answers[AT] = ok(xrd())
    web.answers[AT + ".json"] = b"HTTP/1.1 200 OK\r\n\r\n" + jrd(LINKS[0])  # ends with the connection
    assert await web.find() == [LINKS[0]]
    assert web.requests == [AT, AT, AT + ".json"]
    assert web.network.open == 0


async def test_redirections_are_followed_but_not_out_of_https(autojump_clock, web):
    web.answers[AT] = elsewhere("https://www.example.test/meta?a=b")
    web.answers["www.example.test/meta?a=b"] = ok(xrd(LINKS[0]))
    assert await web.find() == [LINKS[0]]
    web.answers[AT] = web.answers[AT + ".json"] = elsewhere("http://www.example.test/meta?a=b")
    with pytest.raises(ConnectError, match="not HTTPS"):
        await web.find()
    web.answers[AT] = web.answers[AT + ".json"] = elsewhere("/.well-known/host-meta")
    with pytest.raises(ConnectError, match="more than 3 times"):
        await web.find()
    assert len(web.requests) < 20


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it answered HTTP 404"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no web server answers at https://example.test"),
        (ok(b" " * (hostmeta.MAX_SIZE + 1)), "more than 65536 octets"),
        (ok(b"{}"), "the host-meta"),
        (ok(b'{"links": []}'), "the host-meta"),
        (elsewhere("https://[/"), "no address"),
        (elsewhere("https://www.example.test:0/"), "no address"),
    ],
)
async def test_a_wrong_answer_of_a_web_server_is_explained(autojump_clock, web, answer, words):
    web.answers[AT] = web.answers[AT + ".json"] = answer
    with pytest.raises(ConnectError, match=words):
        await web.find()
    assert web.network.open == 0


async def test_a_web_server_that_hangs_takes_twenty_seconds_at_most(autojump_clock, web):
    web.answers[AT] = web.answers[AT + ".json"] = None
    began = trio.current_time()
    with pytest.raises(TimeoutError, match="no answer in time"):
        await web.find()
    assert trio.current_time() - began <= 20.1
    assert web.network.open == 0


async def test_a_web_server_with_the_certificate_of_another_is_refused(autojump_clock, web):
    with pytest.raises(TLSFailure, match=r"not for other\.test"):
        await web.find("other.test")
    assert not web.requests


async def test_an_error_about_a_web_server_names_it_by_https(autojump_clock, web):
    web.network.names["example.test"] = ["192.0.2.81"]
    web.network.answers["192.0.2.81", 9] = web.accept  # so that other ports refuse
    with pytest.raises(ConnectionRefusedError, match=r"could not connect to https://example\.test: ") as failure:
        await web.find()
    assert "wss" not in str(failure.value)


def test_a_flood_of_endpoints_is_cut():
    links = [f"wss://host{number}.test/ws" for number in range(1000)]
    assert [len(read(form(*links))) for read, form in [(read_xrd, xrd), (read_json, jrd)]] == [16, 16]


def test_an_error_repeats_little_of_the_document():
    for document in (b"<a" + b"b" * 60000 + b"></c>", b"<\x1b[2J>"):
        with pytest.raises(ConnectError) as failure:
            read_xrd(document)
        assert len(str(failure.value)) < 600
        assert str(failure.value).isprintable()


async def test_the_zone_of_an_address_is_not_told_to_the_web_server(autojump_clock, web):
    authority = trustme.CA()
    authority.issue_cert("fe80::80", "example.test").configure_cert(web.context)
    authority.configure_trust(web.tls)
    web.answers[AT] = elsewhere("https://[fe80::80%25lo]/meta")
    web.answers["[fe80::80]/meta"] = ok(xrd(LINKS[0]))
    for address in ("fe80::80", "fe80::80%lo"):  # which of the two a socket is told differs between C libraries
        web.network.answers[address, 443] = web.accept
    assert await web.find() == [LINKS[0]]
    assert web.requests == [AT, "[fe80::80]/meta"]
