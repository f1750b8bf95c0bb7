"""A store that lasts as long as the process: for tests, and for who goes on with a session in the same one."""

from __future__ import annotations

import trio

from .storedsession import Change, StoredSession, StoredSessionState

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps a session in memory. `ticket` is what it begins with."""

    def __init__(self, ticket: StoredSession | None = None) -> None:
        self._state = None if ticket is None else StoredSessionState(ticket)

    @property
    def ticket(self) -> StoredSession | None:
        """What is written down now."""
        return None if self._state is None else self._state.ticket

    async def load(self) -> StoredSession | None:
        """What was written down last."""
        await trio.lowlevel.checkpoint()
        return self.ticket

    async def save(self, ticket: StoredSession) -> None:
        """Keep `ticket` in place of all there is."""
        await trio.lowlevel.checkpoint()
        self._state = StoredSessionState(ticket)

    async def update(self, change: Change) -> None:
        """Make one change."""
        await trio.lowlevel.checkpoint()
        assert self._state is not None
        self._state.write(change)

    async def clear(self) -> None:
        """Forget all."""
        await trio.lowlevel.checkpoint()
        self._state = None

    async def aclose(self) -> None:
        """Nothing to do: who has the store may go on with it."""
        await trio.lowlevel.checkpoint()
