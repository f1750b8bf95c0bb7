"""The block of a client: the supervisor in the background, the services around the body, and a proper end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any

import trio

from ..stream.bare import bare, reraise
from .client import Client
from .events import Trouble
from .session import Session
from .steps import preparing
from .supervisor import Supervisor

__all__ = ["Service", "client_block"]

Service = Callable[[Any], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def client_block(
    client: Client, supervisor: Supervisor, services: Sequence[Service], close_timeout: float
) -> AsyncIterator[None]:
    """A block during which the supervisor keeps `client` connected; `services` are entered before the body.

    Leaving it waits until everything is sent, and closes the stream, in `close_timeout` seconds at most. An
    error that ends the client cancels the body, and leaves the block bare.
    """
    async with _supervised(supervisor) as first:
        async with AsyncExitStack() if services else nullcontext() as stack:  # an empty stack takes a kilobyte
            await _enter(client, first, services, stack, supervisor)
            yield
        if supervisor.ended is None:  # what was suspended, or closed by the application, has nothing to finish
            await _finish(client, close_timeout)
        await trio.lowlevel.checkpoint()  # a body that the end of the client has cancelled notices it now


@asynccontextmanager
async def _supervised(supervisor: Supervisor) -> AsyncIterator[Session]:
    """A block with the supervisor in the background; gives the first session.

    An error that ends the client leaves the block bare.
    """

    def service_failed(service: str, problem: Exception) -> None:
        supervisor.emit(Trouble(service, problem))

    with supervisor.core.router.failures.on_failure.context_connect(service_failed), bare() as inside:
        async with trio.open_nursery() as nursery:
            background = trio.CancelScope()
            first = await nursery.start(supervisor.run, nursery, background)
            try:
                # On exit the body ends first, and then the stream. Not sooner: until start() returns, cancelling the
                # caller must cancel the supervisor.
                background.shield = True
                with inside, supervisor.body:
                    yield first
            except Exception as exc:
                if supervisor.failure is not None:
                    exc.add_note(f"(the XMPP session had already ended: {supervisor.failure!r})")
                raise
            finally:
                with trio.CancelScope(shield=True):
                    try:
                        await supervisor.close()
                    finally:
                        background.cancel(reason="the block of connect() was left")
    if supervisor.failure is not None and supervisor.body.cancelled_caught:
        reraise(supervisor.failure)


async def _enter(
    client: Client, first: Session, services: Sequence[Service], stack: AsyncExitStack | None, supervisor: Supervisor
) -> None:
    """Enter the services, in order; then have them set up the first session."""
    if stack is not None:
        with preparing(first):
            for service in services:
                await stack.enter_async_context(service(client))
    supervisor.services_entered()
    await supervisor.wait_first_session()


async def _finish(client: Client, patience: float) -> None:
    """Wait until everything is sent, and close the stream properly."""
    with trio.move_on_after(patience):
        await client.drain()
        await client.stream.aclose()
