"""Things that services of one client share: made once, ended with the last block that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import trioxmpp
from trioxmpp import Client
from trioxmpp.testing import open_server


async def test_one_is_made_for_all_blocks_that_run_at_a_time(autojump_clock: Any) -> None:
    made: list[Client] = []
    ended = 0

    @contextmanager
    def make(client: Client) -> Iterator[int]:
        nonlocal ended
        made.append(client)
        try:
            yield len(made)
        finally:
            ended += 1

    async with open_server() as server:
        options: dict[str, Any] = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("romeo@example.test/1", "secret", **options) as one,
            trioxmpp.connect("romeo@example.test/2", "secret", **options) as other,
        ):
            with one.shared(make) as first:
                with one.shared(make) as second, other.shared(make) as of_other:
                    assert (first, second, of_other) == (1, 1, 2)
                assert ended == 1
                with pytest.raises(RuntimeError), one.shared(make):
                    raise RuntimeError
                assert ended == 1
            assert ended == 2
            with one.shared(make) as third:
                assert third == 3
            assert (made, ended) == ([one, other, one], 3)
