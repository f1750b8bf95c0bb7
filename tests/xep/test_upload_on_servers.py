"""HTTP uploads (XEP-0363) on every server: written once for the one in memory and for real ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import httpx2
import pytest
import trio

from tests.bench import Bench, on_every_bench
from tests.xep.webserver import InMemory
from trioxmpp.xep.upload import UploadRefused, find_service, upload


def options(bench: Bench) -> dict[str, Any]:
    """How to reach the web server of the bench: the server for tests has its files in memory."""
    if bench.server is not None:
        return {"transport": InMemory(bench.server)}
    return {"tls": bench.tls, "allow_private": True}


async def fetched(bench: Bench, url: str) -> bytes:
    """The content that others get at a URL."""
    if bench.server is not None:
        return InMemory(bench.server).content(url)
    async with httpx2.AsyncClient(verify=bench.tls, trust_env=False) as http:
        response = await http.get(url)
        assert response.status_code == 200
        return response.content


def note(seen: list[tuple[int, int]], sent: int, size: int) -> None:
    seen.append((sent, size))


@pytest.mark.item("D10.1")
@on_every_bench(accounts=1)
async def test_others_get_the_file_that_was_put(bench: Bench) -> None:
    (client,) = bench.clients
    for name in ("plain.txt", "pict é & ü.jpg", "100%.txt", "a?b#c.txt"):
        content = bytes(range(256)) * 1000
        seen: list[tuple[int, int]] = []
        url = await upload(
            client,
            content,
            name=name,
            progress=lambda sent, size, seen=seen: seen.append((sent, size)),
            **options(bench),
        )
        assert url.isascii()
        assert await fetched(bench, url) == content
        assert seen[-1] == (256_000, 256_000)
        assert seen == sorted(seen)


@pytest.mark.item("D10.4")
@on_every_bench(accounts=1)
async def test_the_limit_of_the_service_holds(bench: Bench) -> None:
    (client,) = bench.clients
    service = await find_service(client)
    assert service is not None
    assert service.limit == 10 << 20
    with pytest.raises(UploadRefused) as caught:
        await upload(client, b"x" * ((10 << 20) + 1), name="large", **options(bench))
    assert caught.value.limit == 10 << 20


async def chunks(count: int, octets: int) -> AsyncGenerator[bytes, None]:
    """A source that is read chunk by chunk."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()
        yield bytes(octets)


@pytest.mark.item("D10.2")
@on_every_bench(accounts=1)
async def test_an_upload_that_is_cancelled_is_cut_and_the_next_one_goes_well(bench: Bench) -> None:
    (client,) = bench.clients
    seen: list[int] = []
    with trio.CancelScope() as scope:

        def progress(sent: int, size: int) -> None:
            seen.append(sent)
            if sent > size // 4:
                scope.cancel()

        async with aclosing(chunks(80, 100_000)) as source:
            await upload(client, source, name="large.bin", size=8_000_000, progress=progress, **options(bench))
    assert scope.cancelled_caught
    assert 0 < seen[-1] < 4_000_000
    assert await fetched(bench, await upload(client, b"small", name="small.txt", **options(bench))) == b"small"


@pytest.mark.item("D10.3")
@on_every_bench(accounts=1)
async def test_a_source_of_another_size_than_was_said_is_an_error_before_the_server_finds_it(bench: Bench) -> None:
    (client,) = bench.clients
    for size in (9_999, 10_001):
        async with aclosing(chunks(10, 1_000)) as source:
            with pytest.raises(ValueError, match="octets"):
                await upload(client, source, name="wrong.bin", size=size, **options(bench))
    async with aclosing(chunks(10, 1_000)) as source:
        url = await upload(client, source, name="right.bin", size=10_000, **options(bench))
    assert await fetched(bench, url) == bytes(10_000)
