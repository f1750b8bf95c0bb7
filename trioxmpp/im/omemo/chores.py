"""The work beside the messages of the application: answers to new sessions, and new sessions for broken ones.

Both are messages without content (XEP-0384 §8). They are written down until they are done, there is at most one for
each device, and each side may call for a bounded number of them: two devices cannot keep each other busy.
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from ...errors import StanzaError
from ...jid import JID
from ...xep.encryption import Device
from .core import Core, SessionReplaced
from .directory import Directory
from .method import Method
from .sealing import Sealer

__all__ = ["Chores"]

_logger = logging.getLogger(__name__)

#: Devices for which something is to be done.
MAX_DUE: Final = 200

#: The kinds of chores.
ANSWER, HEAL = "answer", "heal"


class Chores:
    """The list of what is due, and the task that does it."""

    def __init__(self, core: Core, directory: Directory, sealer: Sealer) -> None:
        self._core = core
        self._directory = directory
        self._sealer = sealer
        self.catching_up: bool = False
        """Whether history is being read: sessions are answered once that is through. Set by `Omemo`."""
        self._may_drop = False
        self._wake = trio.Event()

    def answer(self, method: Method, device: Device) -> None:
        """Have a session answered. The caller writes the notes."""
        self._add(ANSWER, method, device)

    def heal(self, method: Method, device: Device) -> None:
        """Have a new session begun with a device. The caller writes the notes."""
        self._add(HEAL, method, device)

    def caught_up(self) -> None:
        """History is through: answer the sessions that it has begun, and drop the pre-keys that it has used."""
        if self.catching_up:
            self.catching_up = False
            self._may_drop = True
            self._wake.set()

    def _add(self, kind: str, method: Method, device: Device) -> None:
        due = dict(self._core.storage.get("due", {}))
        key = f"{method.namespace} {device.jid} {device.id}"
        if due.get(key) != HEAL and (key in due or len(due) < MAX_DUE):
            due[key] = kind
            self._core.storage.put("due", due)
        self._wake.set()

    def _remove(self, key: str) -> None:
        due = dict(self._core.storage.get("due", {}))
        due.pop(key, None)
        self._core.storage.put("due", due or None)

    async def run(self) -> None:
        """Do what is due, one after the other, until cancelled."""
        while True:
            self._wake = trio.Event()
            if self._may_drop:
                self._may_drop = False
                await self.drop_pre_keys()
            due: dict[str, str] = self._core.storage.get("due", {})
            key = next((key for key in due if due[key] == HEAL or not self.catching_up), None)
            if key is None:
                await self._wake.wait()
                continue
            await self._core.client.wait_established()
            await self._do(due[key], key)

    async def drop_pre_keys(self) -> None:
        """Forget the used pre-keys that were kept long enough. Raises `StoreError`."""
        async with self._core.turn:
            for ratchets in self._core.ratchets.values():
                ratchets.used.drop(catching_up=self.catching_up)
            await self._core.storage.flush()

    async def _do(self, kind: str, key: str) -> None:
        namespace, jid, id = key.split(" ")
        method, device = self._core.methods.get(namespace), self._core.book.device(JID.parse(jid), int(id))
        try:
            if method is not None and device is not None:
                await self._send(method, device, anew=kind == HEAL)
        except (StanzaError, TimeoutError) as exc:
            _logger.info("nothing is done about the session with device %s of %s: %s", id, jid, exc)
        async with self._core.turn:
            self._remove(key)
            await self._core.storage.flush()

    async def _send(self, method: Method, device: Device, *, anew: bool) -> None:
        if not anew and self._has_written(method, device):
            await trio.lowlevel.checkpoint()
            return  # what the application has sent meanwhile is an answer, too
        if anew:
            await self._directory.refetch(method, device)
        async with self._core.turn:
            message = await self._sealer.empty(method, device, anew=anew)
            self._remove(f"{method.namespace} {device.jid} {device.id}")
            await self._core.storage.flush()
        await self._core.client.send(message)
        if anew:
            self._core.on_event.emit(SessionReplaced(device))

    def _has_written(self, method: Method, device: Device) -> bool:
        found = self._core.ratchets[method.namespace].record(device.jid, device.id)
        return found is None or found.beat
