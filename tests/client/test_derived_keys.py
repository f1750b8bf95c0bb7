"""A key that was derived once is not derived again: to come back costs no arithmetic, and so no thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import trioxmpp
from trioxmpp import Resumed, Suspended
from trioxmpp.testing import Server, open_server


@asynccontextmanager
async def no_thread_to_be_had() -> AsyncIterator[None]:
    """A block in which all threads have something else to do."""
    limiter = trio.to_thread.current_default_thread_limiter()
    borrowers = [object() for _ in range(int(limiter.total_tokens))]
    for borrower in borrowers:
        await limiter.acquire_on_behalf_of(borrower)
    try:
        yield
    finally:
        for borrower in borrowers:
            limiter.release_on_behalf_of(borrower)


def connect(server: Server):
    return trioxmpp.connect("romeo@example.test", "secret", endpoint=server.endpoint, allow_plaintext=True)


async def test_the_first_login_takes_a_thread(autojump_clock):
    async with open_server() as server, no_thread_to_be_had():
        with trio.move_on_after(30) as patience:
            async with connect(server):
                pass
        assert patience.cancelled_caught


async def test_the_next_login_does_not(autojump_clock):
    async with open_server() as server, connect(server) as client, client.events() as events, no_thread_to_be_had():
        for _ in range(3):
            server.links[0].reset()
            with trio.fail_after(30):
                assert isinstance(await anext(events), Suspended)
                assert isinstance(await anext(events), Resumed)


async def test_another_client_does_not_know_the_key(autojump_clock):
    async with open_server() as server, connect(server), no_thread_to_be_had():
        with trio.move_on_after(30) as patience:
            async with connect(server):
                pass
        assert patience.cancelled_caught
