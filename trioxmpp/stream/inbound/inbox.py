"""Where stanzas and events wait for a consumer: bounded, so that a slow consumer harms only itself.

An `Inbox` is a `trio.abc.ReceiveChannel` whose sender never waits, since the sender is the reader of the stream.

A consumer that runs behind takes many items in one turn of trio's scheduler, which costs more than most items do: only
after `TURN_ITEMS` items, or `TURN_SECONDS` seconds, the other tasks get their turn. A cancellation is seen at each
item.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

import trio

from ...errors import InboxOverflow
from .handled import HandledCounter, Receipt

__all__ = ["DEFAULT_CAPACITY", "Batches", "Inbox", "ManualAckInbox", "ManualAckSubscription", "Subscription"]

T = TypeVar("T")

#: How many items wait for a consumer before its subscription ends with `InboxOverflow`.
DEFAULT_CAPACITY = 10_000

#: A consumer takes at most this many items, for at most this many seconds, in one turn of the scheduler.
TURN_ITEMS = 64
TURN_SECONDS = 0.002


class Inbox(trio.abc.ReceiveChannel[T]):
    """A `trio.abc.ReceiveChannel`, and so an asynchronous iterator, of what arrives.

    When more than `capacity` items wait, the inbox closes with `InboxOverflow`, which the consumer gets after the items
    that did fit. Several tasks may share an inbox; each item goes to one of them.
    """

    def __init__(self, capacity: float = DEFAULT_CAPACITY) -> None:
        if not capacity >= 1:
            raise ValueError("an inbox has room for one item at least")
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._readers = trio.lowlevel.ParkingLot()
        self._open = True
        self._reason: Exception | None = None
        self._turn_left = 0
        self._turn_ends = 0.0

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

    def deliver(self, item: T, counter: HandledCounter | None) -> None:
        """Add a stanza that is being processed. This inbox leaves it to `counter` to count it."""
        self.put(item)

    def close(self, reason: Exception | None = None) -> None:
        """Let the consumer have what is here already, and then end with `reason`, or without one."""
        if self._open:
            self._open = False
            self._reason = reason
            self._readers.unpark_all()

    async def aclose(self) -> None:
        """End the inbox, and drop what is in it. A checkpoint; it is closed even if this is cancelled."""
        self.leave(finished=True)
        self.close()
        await trio.lowlevel.checkpoint()

    def leave(self, *, finished: bool) -> None:
        """The consumer takes nothing more. `finished`: it has finished with what it took."""

    async def receive(self) -> T:
        """Wait for the next item, and return it. Cancelling loses none.

        Once the inbox is closed and empty, raises the reason that it was closed with, or `trio.EndOfChannel`.
        """
        await self._wait()
        return self._take()

    def receive_nowait(self) -> T:
        """Return the next item. Raises `trio.WouldBlock` if none waits; at the end, as `receive` does."""
        if not self._items:
            if self._open:
                raise trio.WouldBlock
            raise self._reason or trio.EndOfChannel
        return self._take()

    async def __anext__(self) -> T:
        """Return the next item. Cancelling loses none. Raises the reason that the inbox was closed with."""
        try:
            await self._wait()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        return self._take()

    def batches(self) -> Batches[T]:
        """Return an asynchronous iterator over lists: all that waits, one item at least. It ends as the inbox does."""
        return Batches(self)

    def take_all(self) -> list[T]:
        """Take all that waits."""
        items = [*self._items]
        self._items.clear()
        return items

    def _take(self) -> T:
        return self._items.popleft()

    async def wait(self) -> None:
        """Wait until there is an item. Cancelling changes nothing. At the end, raises as `receive` does."""
        self._turn_left = 0
        await self._wait()

    async def _wait(self) -> None:
        if self._items and self._turn_left > 0 and time.perf_counter() < self._turn_ends:
            self._turn_left -= 1
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()
            while not self._items:
                if not self._open:
                    raise self._reason or trio.EndOfChannel
                await self._readers.park()
            self._turn_left, self._turn_ends = TURN_ITEMS, time.perf_counter() + TURN_SECONDS


class Batches(Generic[T]):
    """The items of an inbox, as many at once as there are; `Inbox.batches` makes it."""

    def __init__(self, inbox: Inbox[T]) -> None:
        self._inbox = inbox

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[T]:
        """Return the next items. Cancelling loses none. Raises the reason that the inbox was closed with."""
        try:
            await self._inbox.wait()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        return self._inbox.take_all()


class Subscription(Generic[T]):
    """``async with`` block during which an inbox is filled; entering it gives the `Inbox`."""

    def __init__(
        self,
        attach: Callable[[Inbox[T]], None],
        detach: Callable[[Inbox[T]], None],
        capacity: float = DEFAULT_CAPACITY,
    ) -> None:
        self._attach = attach
        self._detach = detach
        self._inbox: Inbox[T] = self._new_inbox(capacity)

    def _new_inbox(self, capacity: float) -> Inbox[T]:
        return Inbox(capacity)

    async def __aenter__(self) -> Inbox[T]:
        """Begin to collect. If cancelled, nothing has begun."""
        await trio.lowlevel.checkpoint()
        self._attach(self._inbox)
        return self._inbox

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._detach(self._inbox)
        self._inbox.leave(finished=exc is None)
        self._inbox.close()
        await trio.lowlevel.cancel_shielded_checkpoint()


class ManualAckInbox(Inbox[T]):
    """An `Inbox` whose stanzas count as handled (XEP-0198) only when the consumer has finished with them.

    A task has finished with a stanza when it asks for the next one, when it calls `done`, or when it leaves the
    block of the subscription without an exception. If an exception or cancellation leaves the block, the stanzas that
    are not finished, and those that are still in the inbox, are *abandoned*: the server sends them again when the
    session is resumed, here or, with a store, by another process. If the session ends instead, the server treats them
    as messages to an offline account. Until then nothing that came later is acknowledged either.
    """

    def __init__(self, capacity: float = DEFAULT_CAPACITY) -> None:
        super().__init__(capacity)
        self._receipts: dict[int, tuple[T, Receipt]] = {}  # by the identity of the item, which they keep alive
        self._in_hand: dict[trio.lowlevel.Task, list[T]] = {}

    def deliver(self, item: T, counter: HandledCounter | None) -> None:
        """Add a stanza, and defer its count. The server will send again one that the inbox has no room for."""
        receipt = None if counter is None else counter.receipt()
        self.put_with_receipt(item, receipt)

    def put_with_receipt(self, item: T, receipt: Receipt | None) -> None:
        """Add a stanza whose count this `receipt` defers."""
        self.put(item)
        if receipt is None:
            return
        if self._open:
            self._receipts[id(item)] = item, receipt
        else:
            receipt.abandon()

    def done(self, item: T) -> None:
        """Finish with `item` without asking for the next one. Nothing happens if it was finished before."""
        held = self._receipts.pop(id(item), None)
        if held is not None:
            held[1].finish()

    def _take(self) -> T:
        item = super()._take()
        self._in_hand[trio.lowlevel.current_task()] = [item]
        return item

    def receive_nowait(self) -> T:
        """Finish what this task took last, and return the next item; as `Inbox.receive_nowait`."""
        self._finish_in_hand()
        return super().receive_nowait()

    async def _wait(self) -> None:
        self._finish_in_hand()
        await super()._wait()

    def take_all(self) -> list[T]:
        """Take all that waits."""
        items = super().take_all()
        self._in_hand[trio.lowlevel.current_task()] = items
        return items

    def leave(self, *, finished: bool) -> None:
        """The consumer takes nothing more. `finished`: it has finished with what it took."""
        if finished:
            for items in self._in_hand.values():
                for item in items:
                    self.done(item)
        self._in_hand.clear()
        self._items.clear()
        for _, receipt in self._receipts.values():
            receipt.abandon()
        self._receipts.clear()

    def _finish_in_hand(self) -> None:
        for item in self._in_hand.pop(trio.lowlevel.current_task(), ()):
            self.done(item)


class ManualAckSubscription(Subscription[T]):
    """``async with`` block that gives a `ManualAckInbox`."""

    _inbox: ManualAckInbox[T]

    def _new_inbox(self, capacity: float) -> ManualAckInbox[T]:
        return ManualAckInbox(capacity)

    async def __aenter__(self) -> ManualAckInbox[T]:
        """Begin to collect. If cancelled, nothing has begun."""
        await super().__aenter__()
        return self._inbox
