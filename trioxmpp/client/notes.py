"""Small notes that services keep between processes: JSON values by kind and key, in the store of the client.

Without a store, or with one that keeps no notes, they last as long as the client. They are bounded, since a store of
sessions is no database: 64 kB a note, 16 MB an account.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import trio

from ..errors import StoreError
from .slices import Slices
from .store.jsonvalues import is_text
from .store.memory import MemoryStore

__all__ = ["MAX_ACCOUNT", "MAX_NOTE", "NoteStore", "Notebook", "Notes"]

#: Octets of a note, and of all notes of an account.
MAX_NOTE = 64 << 10
MAX_ACCOUNT = 16 << 20


@runtime_checkable
class NoteStore(Protocol):
    """The second half of a `SessionStore` that can keep notes: texts by kind and key.

    When `write_notes` returns, all of it has to be safe; what was interrupted must have happened as a whole or not at
    all. Whatever goes wrong is raised as `StoreError`.
    """

    async def read_notes(self, kind: str) -> dict[str, str]:
        """Return all notes of one kind. Cancelling must leave the store as it was."""
        ...

    async def write_notes(self, kind: str, changes: Mapping[str, str | None]) -> None:
        """Write these notes, all or none, also if cancelled; None deletes one."""


class Notebook:
    """All notes of one client, by kind."""

    def __init__(self, store: object) -> None:
        self._given = store
        self._sizes: dict[str, dict[str, int]] = {}
        self._turn = trio.Lock()

    @cached_property
    def _store(self) -> NoteStore:
        return self._given if isinstance(self._given, NoteStore) else MemoryStore()

    def of_kind(self, kind: str) -> Notes:
        """Return the notes of one kind."""
        return Notes(self, kind)

    async def read(self, kind: str) -> dict[str, Any]:
        """See `Notes.read`."""
        async with self._turn:
            texts = await self._store.read_notes(kind)
        self._sizes[kind] = {key: _octets(key, text) for key, text in texts.items()}
        values = {}
        async for part in Slices(texts.items()):
            for key, text in part:
                try:
                    values[key] = json.loads(text)
                except (ValueError, RecursionError):
                    continue  # a note that is damaged is no reason to go without the others
        return values

    async def write(self, kind: str, changes: Mapping[str, Any]) -> None:
        """See `Notes.write`."""
        for key in changes:
            if not is_text(key):
                raise StoreError(f"the key {key!r} of {kind!r} is not a text that can be written")
        texts: dict[str, str | None] = {}
        async with self._turn:
            async for part in Slices([*changes.items()]):
                texts |= {key: None if value is None else _dumps(value) for key, value in part}
            if kind not in self._sizes:
                known = await self._store.read_notes(kind)
                self._sizes[kind] = {key: _octets(key, text) for key, text in known.items()}
            sizes = dict(self._sizes[kind])
            for key, text in texts.items():
                if text is None:
                    sizes.pop(key, None)
                    continue
                sizes[key] = _octets(key, text)
                if sizes[key] > MAX_NOTE:
                    raise StoreError(f"the note {key!r} of {kind!r} has more than {MAX_NOTE} octets")
            others = sum(sum(of_kind.values()) for name, of_kind in self._sizes.items() if name != kind)
            if others + sum(sizes.values()) > MAX_ACCOUNT:
                raise StoreError(f"the notes of this account would have more than {MAX_ACCOUNT} octets")
            await self._store.write_notes(kind, texts)
            self._sizes[kind] = sizes


class Notes:
    """The notes of one kind: values that `json` can write, by key. ``client.notes(kind)`` gives one."""

    def __init__(self, notebook: Notebook, kind: str) -> None:
        self._notebook = notebook
        self._kind = kind

    async def read(self) -> dict[str, Any]:
        """Return all notes by key. A damaged note is left out. Raises `StoreError`. Cancelling changes nothing."""
        return await self._notebook.read(self._kind)

    async def write(self, changes: Mapping[str, Any]) -> None:
        """Write these notes, all or none; None deletes one.

        Raises `StoreError`, also for too large a note, and for a key that has no UTF-8. If cancelled, they may be
        written all the same.
        """
        await self._notebook.write(self._kind, changes)


def _octets(key: str, text: str) -> int:
    """Return the octets of a note, with its key. Its value is ASCII if we wrote it."""
    return len(key.encode("utf-8", "surrogatepass")) + len(text)


def _dumps(value: Any) -> str:
    # Escaped, so that the length in characters is the length in octets.
    return json.dumps(value, separators=(",", ":"))
