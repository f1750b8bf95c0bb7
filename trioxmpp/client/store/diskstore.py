"""The common part of stores on a disk: a thread does the work, one call at a time."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from ...errors import StoreError
from .storedsession import Change, StoredSession

__all__ = ["DiskStore"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Worker:
    """Calls blocking functions in a thread. A call that has begun ends, even if its caller is cancelled meanwhile."""

    def __init__(self, what: str, errors: tuple[type[Exception], ...]) -> None:
        self._what = what
        self._errors = errors
        self._turn = trio.Lock()

    async def __call__(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call `function`, after all earlier calls. An error of the disk becomes a `StoreError`."""
        async with self._turn:
            try:
                return await trio.to_thread.run_sync(function, *args)
            except self._errors as exc:
                raise StoreError(f"{self._what}: {str(exc) or type(exc).__name__}") from exc


class DiskStore(ABC):
    """Keeps a session at `path`, by calls in a thread. `errors` are the exceptions that the disk may raise."""

    def __init__(self, path: str | os.PathLike[str], errors: tuple[type[Exception], ...]) -> None:
        self.path: Path = Path(path)
        self._run = _Worker(f"cannot keep the session in {self.path}", errors)

    async def load(self) -> StoredSession | None:
        """Return the session that was written last.

        Raises StoreError if it is damaged, newer, or in use. Cancelling lets it be read.
        """
        return await self._run(self._load)

    async def save(self, ticket: StoredSession) -> None:
        """Write all anew. If cancelled, it is written all the same."""
        await self._run(self._save, ticket)

    async def update(self, change: Change) -> None:
        """Write a change. If cancelled, it is written all the same."""
        await self._run(self._update, change)

    async def clear(self) -> None:
        """Delete everything. If cancelled, it is deleted all the same."""
        await self._run(self._clear)

    async def read_notes(self, kind: str) -> dict[str, str]:
        """Return all notes of one kind. Raises StoreError. Cancelling lets them be read."""
        return await self._run(self._read_notes, kind)

    async def write_notes(self, kind: str, changes: Mapping[str, str | None]) -> None:
        """Write these notes, all or none; None deletes one. If cancelled, they are written all the same."""
        await self._run(self._write_notes, kind, changes)

    async def aclose(self) -> None:
        """Close the store. If cancelled, it is closed all the same."""
        await self._run(self._close)

    @abstractmethod
    def _load(self) -> StoredSession | None: ...

    @abstractmethod
    def _save(self, ticket: StoredSession) -> None: ...

    @abstractmethod
    def _update(self, change: Change) -> None: ...

    @abstractmethod
    def _clear(self) -> None: ...

    @abstractmethod
    def _read_notes(self, kind: str) -> dict[str, str]: ...

    @abstractmethod
    def _write_notes(self, kind: str, changes: Mapping[str, str | None]) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...
