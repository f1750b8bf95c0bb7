"""Background tasks of services: one task that lives as long as a block, and is begun again after what can heal."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from ..errors import StanzaError
from ..stream.bare import bare
from .client import Client
from .events import Trouble
from .policy import ReconnectPolicy

__all__ = ["supervised"]

_logger = logging.getLogger(__name__)


@asynccontextmanager
async def supervised(
    client: Client,
    function: Callable[[], Awaitable[object]],
    *,
    name: str,
    final: tuple[type[Exception], ...] = (),
) -> AsyncIterator[None]:
    """A block during which ``function()`` runs in a task of its own; `name` names the service.

    A `StanzaError` (`XMPPError`, `ErroneousStanza`) or a TimeoutError in it is told as `Trouble`, and it is begun
    again, with growing delays. After a ConnectionError it is begun again in the next session. When it returns, it is
    not begun again. An exception of a class in `final` says that the service cannot go on; anything else is a bug. Both
    cancel the block, and leave it bare. Leaving the block cancels the task.
    """
    failure: Exception | None = None
    scope = trio.CancelScope()

    async def run() -> None:
        nonlocal failure
        try:
            await _run(client, function, name, final)
        except Exception as exc:
            failure = exc
            scope.cancel(reason=f"{name} has failed: {exc!r}")

    with bare() as inside:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)  # noqa: ASYNC113  (the block need not wait for it)
            with scope, inside:
                yield
            nursery.cancel_scope.cancel(reason="the block was left")
    if failure is not None:
        raise failure


async def _run(
    client: Client, function: Callable[[], Awaitable[object]], name: str, final: tuple[type[Exception], ...]
) -> None:
    for delay in ReconnectPolicy().delays():
        try:
            await function()
            return
        except final:
            raise
        except (StanzaError, TimeoutError) as exc:
            _logger.warning("%s has failed, and will be begun again: %s", name, exc)
            client.on_event.emit(Trouble(name, exc))
        except ConnectionError as exc:
            _logger.debug("%s waits for the next session: %s", name, exc)
        await trio.sleep(delay)
        try:
            await client.wait_established()
        except ConnectionError:
            return  # there will be no session any more
