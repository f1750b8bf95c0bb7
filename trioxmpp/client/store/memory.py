"""A store that lasts as long as the process: for tests, and for an application that goes on in the same process."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from ...errors import StoreError
from .storedsession import Change, StoredSession, StoredSessionState

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps a session in memory. `ticket` is what it begins with."""

    def __init__(self, ticket: StoredSession | None = None) -> None:
        self._state = None if ticket is None else StoredSessionState(ticket)
        self._notes: dict[str, dict[str, str]] = {}

    @property
    def ticket(self) -> StoredSession | None:
        """The session that is written down now."""
        return None if self._state is None else self._state.ticket

    async def load(self) -> StoredSession | None:
        """Return the session that was written down last."""
        await trio.lowlevel.checkpoint()
        return self.ticket

    async def save(self, ticket: StoredSession) -> None:
        """Keep `ticket` in place of all there is."""
        await trio.lowlevel.checkpoint()
        self._state = StoredSessionState(ticket)

    async def update(self, change: Change) -> None:
        """Make one change."""
        await trio.lowlevel.checkpoint()
        if self._state is None:
            raise StoreError("no session is stored that could change")
        self._state.write(change)

    async def clear(self) -> None:
        """Forget all."""
        await trio.lowlevel.checkpoint()
        self._state = None

    async def read_notes(self, kind: str) -> dict[str, str]:
        """Return all notes of one kind."""
        await trio.lowlevel.checkpoint()
        return dict(self._notes.get(kind, {}))

    async def write_notes(self, kind: str, changes: Mapping[str, str | None]) -> None:
        """Write these notes; None deletes one."""
        await trio.lowlevel.checkpoint()
        notes = self._notes.setdefault(kind, {})
        for key, text in changes.items():
            if text is None:
                notes.pop(key, None)
            else:
                notes[key] = text

    async def aclose(self) -> None:
        """Nothing to do: who has the store may go on with it."""
        await trio.lowlevel.checkpoint()
