"""Answers from outside of XMPP: host-meta (XEP-0156) and proxies (RFC 1928, RFC 9110 §9.3.6)."""

from __future__ import annotations

import contextlib
import random
import zlib

import trio
from trio.testing import MockClock

from trioxmpp.errors import ConnectError
from trioxmpp.testing import MemoryStream, memory_link
from trioxmpp.testing.network import Network
from trioxmpp.transport.hostmeta import MAX_ENDPOINTS, read_json, read_xrd
from trioxmpp.transport.proxy import Proxy, open_tunnel

__all__ = ["host_meta", "proxy"]

PROXIES = (
    "http://proxy.test:80",
    "http://user:secret@proxy.test:80",
    "socks5://proxy.test:80",
    "socks5://user:secret@proxy.test:80",
)
ADDRESS = "192.0.2.9"


def host_meta(data: bytes) -> None:
    """Read a host-meta, as XML and as JSON."""
    for read in (read_xrd, read_json):
        with contextlib.suppress(ConnectError):
            endpoints = read(data)
            assert len(endpoints) <= MAX_ENDPOINTS
            assert all(endpoint.scheme == "wss" for endpoint in endpoints)


def proxy(data: bytes) -> None:
    """Connect through a proxy that answers with these octets at once, and in pieces. The two give the same."""
    for url in PROXIES:
        outcomes = [
            trio.run(_connect, url, pieces, clock=MockClock(autojump_threshold=0)) for pieces in ([data], _pieces(data))
        ]
        if not outcomes[0].startswith("connected") and url.startswith("http"):
            continue  # what comes behind the answer of an HTTP proxy may come too late to be seen
        assert outcomes[0] == outcomes[1], "how the answer is cut makes a difference"


def _pieces(data: bytes) -> list[bytes]:
    chance, pieces = random.Random(zlib.crc32(data)), []
    while data:
        size = chance.choice((1, 1, 2, 3, 50))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


async def _connect(url: str, pieces: list[bytes]) -> str:
    """Return what follows the answer, or the error."""
    ours, theirs = memory_link()

    async def answer() -> trio.abc.Stream:
        return theirs

    network = Network()
    network.names["proxy.test"] = [ADDRESS]
    network.answers[ADDRESS, 80] = answer
    network.begin()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_play, ours, pieces)
        try:
            with trio.fail_after(60):
                stream = await open_tunnel(Proxy.parse(url), "xmpp.example.test", 5222)
                rest = b""
                while more := await stream.receive_some():
                    rest += more
        except OSError as exc:
            return repr(exc)
        await stream.aclose()
    return f"connected: {rest!r}"


async def _play(link: MemoryStream, pieces: list[bytes]) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        for piece in pieces:
            await link.send_all(piece)
        await link.send_eof()
