"""The roster in the notes of the client: contacts by address, and the version that they have together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from ...client import Notes, Slices
from ...errors import StoreError
from ...jid import JID
from .contact import Contact

__all__ = ["RememberedRoster"]

#: The key of the version. It is not an address: a local part is never empty.
VERSION = "@version"

#: Seconds that the last write may take when the block is left.
LAST_WRITE = 5.0


class RememberedRoster:
    """Writes each change down, together with the version that it leads to: all of a batch, or nothing.

    If a batch cannot be written, the notes keep the state before it, which is a state that the roster had. The batch
    goes along with the next one. `tell` is called with the error, once.
    """

    def __init__(self, notes: Notes, tell: Callable[[StoreError], None]) -> None:
        self._notes = notes
        self._tell = tell
        self._changes: dict[str, Contact | str | None] = {}
        self._version: str | None = None
        self._changed = trio.Event()
        self._has_failed = False

    async def load(self) -> tuple[str | None, list[Contact]]:
        """Return the version, None if there is none that can be trusted, and the contacts. Raises `StoreError`."""
        notes = await self._notes.read()
        version = self._version = notes.pop(VERSION, None)
        contacts: dict[str, Contact | None] = {}
        groups: dict[frozenset[str], frozenset[str]] = {}
        async for part in Slices(notes.items()):
            contacts.update({key: Contact.load(key, value, groups) for key, value in part})
        damaged = [key for key, contact in contacts.items() if contact is None]
        self._changes.update(dict.fromkeys(damaged))
        if not isinstance(version, str) or damaged:
            version = None  # the server has to send all of it
        return version, [contact for contact in contacts.values() if contact is not None]

    def changed(self, jid: JID, contact: Contact | None) -> None:
        """Note that a contact has changed, or, with None, was removed. `reached` has to follow."""
        self._changes[str(jid)] = contact

    def reached(self, version: str | None) -> None:
        """Note that the roster, with all changes so far, is of this version."""
        if version != self._version:
            self._version = self._changes[VERSION] = version
        if self._changes:
            self._changed.set()

    async def run(self) -> None:
        """Write, as changes come, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            try:
                await self._write()
            except StoreError as exc:
                if not self._has_failed:
                    self._has_failed = True
                    self._tell(exc)

    async def finish(self) -> None:
        """Write what is left, in a few seconds at most, even if cancelled."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + LAST_WRITE):
            try:
                await self._write()
            except StoreError as exc:
                if not self._has_failed:
                    self._tell(exc)

    async def _write(self) -> None:
        changes, self._changes = self._changes, {}
        if not changes:
            return
        try:
            values: dict[str, Any] = {}
            async for part in Slices(changes.items()):
                values |= {key: each.dump() if isinstance(each, Contact) else each for key, each in part}
            await self._notes.write(values)
        except BaseException:
            self._changes = {**changes, **self._changes}
            raise
