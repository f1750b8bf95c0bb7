"""A store that lasts as long as the process: for tests, and for who goes on with a session in the same one."""

from __future__ import annotations

import trio

from .ticket import Book, Change, Ticket

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps a session in memory. `ticket` is what it begins with."""

    def __init__(self, ticket: Ticket | None = None) -> None:
        self._book = None if ticket is None else Book(ticket)

    @property
    def ticket(self) -> Ticket | None:
        """What is written down now."""
        return None if self._book is None else self._book.ticket

    async def load(self) -> Ticket | None:
        """What was written down last."""
        await trio.lowlevel.checkpoint()
        return self.ticket

    async def save(self, ticket: Ticket) -> None:
        """Keep `ticket` in place of all there is."""
        await trio.lowlevel.checkpoint()
        self._book = Book(ticket)

    async def update(self, change: Change) -> None:
        """Make one change."""
        await trio.lowlevel.checkpoint()
        assert self._book is not None
        self._book.write(change)

    async def clear(self) -> None:
        """Forget all."""
        await trio.lowlevel.checkpoint()
        self._book = None

    async def aclose(self) -> None:
        """Nothing to do: who has the store may go on with it."""
        await trio.lowlevel.checkpoint()
