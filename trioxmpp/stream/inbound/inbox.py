"""Where stanzas and events wait for a consumer: bounded, so that a slow consumer harms only itself.

An `Inbox` is a `trio.abc.ReceiveChannel` whose sender never waits, since the sender is the reader of the stream. It is
bounded in items and in octets, as they arrived: a thousand short messages cost less than ten large ones. The consumer
chooses what happens beyond the bound (`Overflow`).

A consumer that runs behind takes many items in one turn of trio's scheduler, which costs more than most items do: only
after `TURN_ITEMS` items, or `TURN_SECONDS` seconds, the other tasks get their turn. A cancellation is seen at each
item. When an inbox is filling, the reader gives its consumer turns (`turns`).

With stream management, a stanza for a consumer that runs behind does not count as handled while it waits here (XEP-0198
§4): its receipt defers that until the consumer takes it, or leaves its block. `handled` says how far that goes.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Literal, Self, TypeAlias, TypeVar

import trio

from ...errors import InboxOverflow
from .handled import HandledCounter, Receipt
from .losses import Losses
from .turns import Turns

__all__ = [
    "DEFAULT_CAPACITY",
    "DEFAULT_OCTETS",
    "Batches",
    "Inbox",
    "ManualAckInbox",
    "ManualAckSubscription",
    "Overflow",
    "Subscription",
]

T = TypeVar("T")

#: How many items wait for a consumer, unless its subscription says otherwise.
DEFAULT_CAPACITY = 10_000

#: How many octets of stanzas wait for a consumer. In memory they take up to ten times as much.
DEFAULT_OCTETS = 16 << 20

#: The treatment of one item too many. ``"end"``: the subscription ends with `InboxOverflow`. ``"drop_oldest"``
#: drops what waits longest, ``"drop_newest"`` what arrives; a WARNING tells how much was dropped.
Overflow: TypeAlias = Literal["end", "drop_oldest", "drop_newest"]

#: A consumer takes at most this many items, for at most this many seconds, in one turn of the scheduler.
TURN_ITEMS = 64
TURN_SECONDS = 0.002

_logger = logging.getLogger(__name__)


class Inbox(trio.abc.ReceiveChannel[T]):
    """A `trio.abc.ReceiveChannel`, and so an asynchronous iterator, of what arrives.

    It has room for `capacity` items, and for `octets` octets of stanzas or for one stanza that is larger. `overflow`
    says what happens beyond that. Several tasks may share an inbox; each item goes to one of them. `turns` is where the
    inbox asks for turns of its consumer, `losses` where it counts what it drops.
    """

    def __init__(
        self,
        capacity: float = DEFAULT_CAPACITY,
        *,
        octets: float = DEFAULT_OCTETS,
        overflow: Overflow = "end",
        turns: Turns | None = None,
        losses: Losses | None = None,
        logger: logging.Logger = _logger,
    ) -> None:
        if not (capacity >= 1 and octets >= 1):
            raise ValueError("an inbox has room for one item, and one octet, at least")
        if overflow not in ("end", "drop_oldest", "drop_newest"):
            raise ValueError(f"overflow is 'end', 'drop_oldest' or 'drop_newest', not {overflow!r}")
        self.dropped: int = 0
        """The number of items that were dropped, since the consumer did not keep up."""
        self._capacity = capacity
        self._max_octets = octets
        self._overflow = overflow
        self._turns = turns
        self._losses = losses
        self._logger = logger
        self._brim = min(TURN_ITEMS, (capacity + 1) / 2)  # from this number of items on, the consumer runs behind
        self._items: deque[tuple[T, int, Receipt | None]] = deque()
        self._octets = 0
        self._readers = trio.lowlevel.ParkingLot()
        self._open = True
        self._reason: Exception | None = None
        self._turn_left = 0
        self._turn_ends = 0.0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T, octets: int = 0, receipt: Receipt | None = None) -> bool:
        """Add an item, and return whether there was room; False if the inbox is closed.

        `receipt` is finished when a task takes the item, or when it is dropped to make room for another one.
        """
        if not self._open:
            return False
        waiting = len(self._items)
        if waiting >= self._capacity or (self._octets + octets > self._max_octets and waiting):
            if not self._make_room(octets):
                return False
            waiting = len(self._items)
        self._items.append((item, octets, receipt))
        self._octets += octets
        if self._readers:
            self._readers.unpark()
        if waiting + 1 >= self._brim and self._turns is not None:
            is_full = waiting + 1 >= self._capacity or self._octets + octets > self._max_octets
            self._turns.wanted(self, full=is_full)
        return True

    def deliver(self, item: T, counter: HandledCounter | None, octets: int = 0) -> None:
        """Add a stanza that is being processed. If the consumer runs behind, it counts as handled when it is taken."""
        if counter is None:
            self.put(item, octets)
            return
        receipt = counter.receipt(firm=False) if len(self._items) >= self._brim else None
        if not self.put(item, octets, receipt) and receipt is not None:
            receipt.finish()

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
        items, self._items = self._items, deque()
        for item, octets, receipt in items:
            self._items.append((item, octets, None))
            if receipt is not None:
                receipt.finish()
        if self._turns is not None:
            self._turns.forget(self)
        if self.dropped:
            self._logger.warning("a subscription has dropped %d items: its consumer was too slow", self.dropped)

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
        if self._items and self._turn_left > 0 and time.perf_counter() < self._turn_ends:
            # As in `_wait`, without its cost: this is what a consumer that runs behind does for nearly each item.
            self._turn_left -= 1
            await trio.lowlevel.checkpoint_if_cancelled()
            return self._take()
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
        items, self._items, self._octets = self._items, deque(), 0
        for _, _, receipt in items:
            if receipt is not None:
                receipt.finish()
        return [item for item, _, _ in items]

    def _take(self) -> T:
        item, octets, receipt = self._items.popleft()
        self._octets -= octets
        if receipt is not None:
            receipt.finish()
        return item

    def _make_room(self, octets: int) -> bool:
        """Do what the subscription wants done beyond the bound; return whether there is room now."""
        if self._overflow == "end":
            bound = (
                f"{self._capacity:,.0f} items"
                if len(self._items) >= self._capacity
                else f"{self._max_octets:,.0f} octets"
            )
            text = f"more than {bound} were waiting to be read"
            self.close(InboxOverflow(text))
            return False
        if self._overflow == "drop_newest":
            self._note_loss()
            return False
        while self._items and (len(self._items) >= self._capacity or self._octets + octets > self._max_octets):
            _, dropped, receipt = self._items.popleft()
            self._octets -= dropped
            if receipt is not None:
                receipt.finish()
            self._note_loss()
        return True

    def _note_loss(self) -> None:
        """Count an item that was dropped. One line for each would fill a disk: a line tells when the number doubles."""
        self.dropped += 1
        if self._losses is not None:
            self._losses.overflowed += 1
        if not self.dropped & (self.dropped - 1):
            self._logger.warning("a subscription has dropped %d items: its consumer is too slow", self.dropped)

    async def wait(self) -> None:
        """Wait until there is an item. Cancelling changes nothing. At the end, raises as `receive` does."""
        self._turn_left = 0
        await self._wait()

    async def _wait(self) -> None:
        if self._items and self._turn_left > 0 and time.perf_counter() < self._turn_ends:
            self._turn_left -= 1
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            if self._items or not self._open:
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
        self, attach: Callable[[Inbox[T]], None], detach: Callable[[Inbox[T]], None], inbox: Inbox[T] | None = None
    ) -> None:
        self._attach = attach
        self._detach = detach
        self._inbox: Inbox[T] = Inbox() if inbox is None else inbox

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

    A stanza that the inbox has no room for is abandoned, too, if the subscription ends then; one that is dropped to
    make room counts as finished.
    """

    def __init__(
        self,
        capacity: float = DEFAULT_CAPACITY,
        *,
        octets: float = DEFAULT_OCTETS,
        overflow: Overflow = "end",
        turns: Turns | None = None,
        losses: Losses | None = None,
        logger: logging.Logger = _logger,
    ) -> None:
        super().__init__(capacity, octets=octets, overflow=overflow, turns=turns, losses=losses, logger=logger)
        self._receipts: dict[int, tuple[T, Receipt]] = {}  # by the identity of the item, which they keep alive
        self._in_hand: dict[trio.lowlevel.Task, list[T]] = {}

    def deliver(self, item: T, counter: HandledCounter | None, octets: int = 0) -> None:
        """Add a stanza, and defer its count."""
        receipt = None if counter is None else counter.receipt()
        self.put_with_receipt(item, receipt, octets)

    def put_with_receipt(self, item: T, receipt: Receipt | None, octets: int = 0) -> None:
        """Add a stanza whose count this `receipt` defers."""
        has_room = self.put(item, octets, receipt)
        if receipt is None or has_room:
            return
        if self._open:
            receipt.finish()
        else:
            receipt.abandon()

    def done(self, item: T) -> None:
        """Finish with `item` without asking for the next one. Nothing happens if it was finished before."""
        held = self._receipts.pop(id(item), None)
        if held is not None:
            held[1].finish()

    def _take(self) -> T:
        item, octets, receipt = self._items.popleft()
        self._octets -= octets
        if receipt is not None:
            self._receipts[id(item)] = item, receipt
        self._in_hand[trio.lowlevel.current_task()] = [item]
        return item

    def receive_nowait(self) -> T:
        """Finish what this task took last, and return the next item; as `Inbox.receive_nowait`."""
        self._finish_in_hand()
        return super().receive_nowait()

    async def __anext__(self) -> T:
        """Finish what this task took last, and return the next item; as `Inbox.__anext__`."""
        self._finish_in_hand()
        return await super().__anext__()

    async def _wait(self) -> None:
        self._finish_in_hand()
        await super()._wait()

    def take_all(self) -> list[T]:
        """Take all that waits."""
        taken, self._items, self._octets = self._items, deque(), 0
        for item, _, receipt in taken:
            if receipt is not None:
                self._receipts[id(item)] = item, receipt
        items = self._in_hand[trio.lowlevel.current_task()] = [item for item, _, _ in taken]
        return items

    def leave(self, *, finished: bool) -> None:
        """The consumer takes nothing more. `finished`: it has finished with what it took."""
        if finished:
            for items in self._in_hand.values():
                for item in items:
                    self.done(item)
        self._in_hand.clear()
        waiting, self._items, self._octets = self._items, deque(), 0
        abandoned = [receipt for _, receipt in self._receipts.values()]
        abandoned += [receipt for _, _, receipt in waiting if receipt is not None]
        self._receipts.clear()
        for receipt in abandoned:
            receipt.abandon()
        super().leave(finished=finished)

    def _finish_in_hand(self) -> None:
        for item in self._in_hand.pop(trio.lowlevel.current_task(), ()):
            self.done(item)


class ManualAckSubscription(Subscription[T]):
    """``async with`` block that gives a `ManualAckInbox`."""

    def __init__(
        self, attach: Callable[[Inbox[T]], None], detach: Callable[[Inbox[T]], None], inbox: ManualAckInbox[T]
    ) -> None:
        super().__init__(attach, detach, inbox)
        self._manual = inbox

    async def __aenter__(self) -> ManualAckInbox[T]:
        """Begin to collect. If cancelled, nothing has begun."""
        await super().__aenter__()
        return self._manual
