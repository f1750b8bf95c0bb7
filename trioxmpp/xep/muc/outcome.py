"""The answer of a room to something that we sent: one value or one error, for the task that waits for it."""

from __future__ import annotations

from copy import copy
from typing import Generic, TypeVar

import trio

from ...client import Session

__all__ = ["Outcome", "linked_timeout"]

T = TypeVar("T")


class Outcome(Generic[T]):
    """A value or an error that will come."""

    def __init__(self) -> None:
        self._settled = trio.Event()
        self._values: list[T] = []
        self._error: Exception | None = None

    @property
    def settled(self) -> bool:
        """Whether it has come."""
        return self._settled.is_set()

    def set(self, value: T) -> None:
        """Settle it with this value. The first outcome counts."""
        if not self.settled:
            self._values.append(value)
            self._settled.set()

    def fail(self, error: Exception) -> None:
        """Settle it with this error. The first outcome counts."""
        if not self.settled:
            self._error = error
            self._settled.set()

    async def within(self, session: Session, seconds: float) -> T:
        """Wait for it as `wait` does, for `seconds` in which `session` has a link. Raises TimeoutError after them."""
        if not await linked_timeout(session, self._settled, seconds):
            raise TimeoutError(f"the room did not react within {seconds:g} seconds")
        return await self.wait()

    async def wait(self) -> T:
        """Wait for it, and return or raise it. Cancelling changes nothing."""
        await self._settled.wait()
        if self._error is not None:
            raise copy(self._error)  # one error may be the outcome for several tasks
        return self._values[0]


async def linked_timeout(session: Session, event: trio.Event, seconds: float) -> bool:
    """Wait for `event` for `seconds` in which `session` has a link; return whether it came.

    Raises `SessionLost` if the session is over. A break of the link begins the time anew. Cancelling changes nothing.
    """
    while not event.is_set():
        await session.wait_linked()
        with trio.move_on_after(seconds) as scope:
            await event.wait()
        if scope.cancelled_caught and session.linked:
            return False
    return True
