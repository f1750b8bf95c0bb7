"""HTTP uploads (XEP-0363) on every server: written once for the one in memory and for real ones."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

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
