"""The iterator over entries that the timeline of an account and that of a room are, with its counters."""

from __future__ import annotations

from typing import TypeVar

from ...client import Client, Signal, Subscription
from .entry import Entry, TimelineEvent
from .ledger import Ledger

__all__ = ["SAVE_AFTER", "Giving", "end_with"]

#: Seconds after which what the application is done with is written down.
SAVE_AFTER = 1.0

Self = TypeVar("Self", bound="Giving")


class Giving:
    """An asynchronous iterator of `Entry`, one task of which iterates.

    An entry counts as done when the next one is asked for: only then the cursor moves, so that what a crash interrupts
    is given again.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.on_event: Signal[TimelineEvent] = ledger.on_event
        """Emits `CaughtUp`, `Gap` and `NoArchive` when the application is done with all entries before them."""
        self._ledger = ledger

    @property
    def malformed(self) -> int:
        """How many archived messages were passed over, since they could not be read."""
        return self._ledger.malformed

    @property
    def duplicates(self) -> int:
        """How many copies were passed over of messages that had been given."""
        return self._ledger.duplicates

    @property
    def written(self) -> int:
        """How many entries, of those that this timeline has given, are written down as done: a crash repeats none."""
        return self._ledger.cursor.written

    def events(self) -> Subscription[TimelineEvent]:
        """``async with`` block that gives an inbox of `CaughtUp`, `Gap` and `NoArchive` events."""
        return self.on_event.subscribe()

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> Entry:
        """Return the next entry; the one before is done. Cancelling loses none.

        Ends with the client, or with the room. Raises `InboxOverflow` if too many entries waited where no archive is.
        """
        return await self._ledger.next()


async def end_with(client: Client, ledger: Ledger) -> None:
    """End the timeline when the client ends."""
    reason: Exception | None = None
    try:
        async with client.events() as events:
            async for _ in events:
                pass
    except ConnectionError as exc:
        reason = exc
    ledger.queue.close(reason)
