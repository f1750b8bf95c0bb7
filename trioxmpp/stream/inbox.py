"""Where stanzas and events wait for a consumer: bounded, so that a slow consumer harms nobody but itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

import trio

from ..errors import InboxOverflow

__all__ = ["DEFAULT_CAPACITY", "Inbox", "Subscription"]

T = TypeVar("T")

#: How many items wait for a consumer before its subscription ends with `InboxOverflow`.
DEFAULT_CAPACITY = 10_000


class Inbox(Generic[T]):
    """An asynchronous iterator over what arrives.

    The one who puts never waits: when more than `capacity` items wait, the inbox closes with `InboxOverflow`, which
    the consumer gets once it has had the items that did fit. Several tasks may share an inbox; each item goes to one.
    """

    def __init__(self, capacity: float = DEFAULT_CAPACITY) -> None:
        if not capacity >= 1:
            raise ValueError("an inbox has room for one item at least")
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._readers = trio.lowlevel.ParkingLot()
        self._open = True
        self._reason: Exception | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Add an item; nothing happens if the inbox is closed."""
        if not self._open:
            return
        if len(self._items) >= self._capacity:
            self.close(InboxOverflow(f"more than {self._capacity:g} items were waiting to be read"))
            return
        self._items.append(item)
        if self._readers:
            self._readers.unpark()

    def close(self, reason: Exception | None = None) -> None:
        """Let the consumer have what is here already, and then end with `reason`, or without one."""
        if self._open:
            self._open = False
            self._reason = reason
            self._readers.unpark_all()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """The next item; cancelling loses none. Raises what the inbox was closed with, once it is empty."""
        await self._wait()
        return self._items.popleft()

    def batches(self) -> Batches[T]:
        """An asynchronous iterator over lists: all that waits, one item at least.

        For who has thousands of items a second: to be woken costs more than most items do. Ends as the inbox does.
        """
        return Batches(self)

    def _take_all(self) -> list[T]:
        items = [*self._items]
        self._items.clear()
        return items

    async def _wait(self) -> None:
        """Wait until there is an item. A checkpoint in any case."""
        await trio.lowlevel.checkpoint()
        while not self._items:
            if not self._open:
                if self._reason is None:
                    raise StopAsyncIteration
                raise self._reason
            await self._readers.park()


class Batches(Generic[T]):
    """The items of an inbox, as many at once as there are; `Inbox.batches` makes it."""

    def __init__(self, inbox: Inbox[T]) -> None:
        self._inbox = inbox

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[T]:
        """The next items; cancelling loses none. Raises what the inbox was closed with, once it is empty."""
        await self._inbox._wait()
        return self._inbox._take_all()


class Subscription(Generic[T]):
    """``async with`` block during which an inbox is filled; entering it gives the `Inbox`."""

    def __init__(
        self, attach: Callable[[Inbox[T]], None], detach: Callable[[Inbox[T]], None], capacity: float = DEFAULT_CAPACITY
    ) -> None:
        self._attach = attach
        self._detach = detach
        self._inbox: Inbox[T] = Inbox(capacity)

    async def __aenter__(self) -> Inbox[T]:
        """Begin to collect. If cancelled, nothing has begun."""
        await trio.lowlevel.checkpoint()
        self._attach(self._inbox)
        return self._inbox

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._detach(self._inbox)
        self._inbox.close()
        await trio.lowlevel.cancel_shielded_checkpoint()
