"""A key that was derived once is not derived again: to come back costs no arithmetic, and so no thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

import trioxmpp
from trioxmpp import ReconnectPolicy, Resumed, Suspended
from trioxmpp.testing import Server, open_server


@asynccontextmanager
async def no_thread_to_be_had() -> AsyncIterator[None]:
    """A block in which all threads have something else to do. (A mock clock would wait until they are done.)"""
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
    return trioxmpp.connect(
        "romeo@example.test",
        "secret",
        endpoint=server.endpoint,
        allow_plaintext=True,
        reconnect=ReconnectPolicy(initial=0.001, maximum=0.01),
    )


async def waits_for_a_thread(server: Server) -> bool:
    """Return whether a client that connects now does not get in, for want of a thread."""
    inside = False

    async def enter() -> None:
        nonlocal inside
        async with connect(server):
            inside = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(enter)
        await trio.testing.wait_all_tasks_blocked()
        waiting = trio.to_thread.current_default_thread_limiter().statistics().tasks_waiting
        nursery.cancel_scope.cancel()
    return waiting == 1 and not inside


async def test_the_first_login_takes_a_thread():
    async with open_server() as server, no_thread_to_be_had():
        assert await waits_for_a_thread(server)


async def test_the_next_login_does_not():
    async with open_server() as server, connect(server) as client, client.events() as events, no_thread_to_be_had():
        for _ in range(3):
            server.links[0].reset()
            with trio.fail_after(30):
                assert isinstance(await anext(events), Suspended)
                assert isinstance(await anext(events), Resumed)


async def test_another_client_does_not_know_the_key():
    async with open_server() as server, connect(server), no_thread_to_be_had():
        assert await waits_for_a_thread(server)
