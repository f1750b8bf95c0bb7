"""An inbox whose stanzas are not reported as handled before its consumer has finished with them."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import trio

from .holding import Hold
from .inbox import DEFAULT_CAPACITY, Inbox, Subscription

__all__ = ["HoldingInbox", "HoldingSubscription"]

T = TypeVar("T")


class HoldingInbox(Inbox[T]):
    """An `Inbox` that holds back the acknowledgement of each stanza until its consumer has finished with it.

    A task has finished with what it got when it asks for the next, or says so by `done`; so has it when it leaves the
    block of the subscription without an exception. What is not finished when an exception, or cancellation, leaves the
    block, and what nobody has got by then, is *abandoned*: the server sends it again when the session is resumed, here
    or, with a store, by another process; if the session ends instead, the server does with it what it does with
    messages for who is offline. Until then nothing that came later is acknowledged, either.
    """

    def __init__(self, hold: Callable[[], Hold | None], capacity: float = DEFAULT_CAPACITY) -> None:
        super().__init__(capacity)
        self._hold = hold
        self._holds: dict[int, tuple[T, Hold]] = {}  # by the identity of the item, which they keep alive
        self._in_hand: dict[trio.lowlevel.Task, list[T]] = {}

    def put(self, item: T) -> None:
        """Add an item, and hold it back. One that the inbox has no room for will be sent again."""
        hold = self._hold()
        super().put(item)
        if hold is None:
            return
        if self._open:
            self._holds[id(item)] = item, hold
        else:
            hold.abandon()

    def done(self, item: T) -> None:
        """You have finished with `item`, without asking for the next one. Nothing happens if it was finished before."""
        held = self._holds.pop(id(item), None)
        if held is not None:
            held[1].finish()

    async def __anext__(self) -> T:
        """Finish what this task got last, and wait for the next; cancelling loses none."""
        item = await super().__anext__()
        self._in_hand[trio.lowlevel.current_task()] = [item]
        return item

    async def _wait(self) -> None:
        for item in self._in_hand.pop(trio.lowlevel.current_task(), ()):
            self.done(item)
        await super()._wait()

    def _take_all(self) -> list[T]:
        items = super()._take_all()
        self._in_hand[trio.lowlevel.current_task()] = items
        return items

    def leave(self, *, finished: bool) -> None:
        """Nobody will ask for anything any more. `finished` tells whether what is in hand is."""
        if finished:
            for items in self._in_hand.values():
                for item in items:
                    self.done(item)
        self._in_hand.clear()
        self._items.clear()
        for _, hold in self._holds.values():
            hold.abandon()
        self._holds.clear()


class HoldingSubscription(Subscription[T]):
    """``async with`` block that gives a `HoldingInbox`."""

    def __init__(
        self,
        attach: Callable[[Inbox[T]], None],
        detach: Callable[[Inbox[T]], None],
        inbox: HoldingInbox[T],
    ) -> None:
        super().__init__(attach, detach)
        self._inbox: HoldingInbox[T] = inbox

    async def __aenter__(self) -> HoldingInbox[T]:
        """Begin to collect. If cancelled, nothing has begun."""
        await super().__aenter__()
        return self._inbox

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._detach(self._inbox)
        self._inbox.leave(finished=exc is None)
        self._inbox.close()
        await trio.lowlevel.cancel_shielded_checkpoint()
