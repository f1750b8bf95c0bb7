"""Pre-keys that were used: offered no more, and kept for a while, since another device may have chosen the same one.

Two devices that fetch a bundle at the same time can choose the same pre-key, and the messages that begin with it may
arrive hours apart, by way of an archive (XEP-0384 §8). The library deletes a pre-key with its first use: its *hidden*
pre-keys are no part of the state that it stores. So the used ones are kept in a note of ours, and lent to the library
for one computation if a key exchange asks for a pre-key that it does not know.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import xeddsa
from omemo import Backend
from omemo.session import Session

from .storage import NoteStorage

__all__ = ["UsedPreKeys"]

#: Seconds for which a used pre-key is kept; while history is read, it may be longer.
KEPT: Final = 3_600.0
KEPT_AT_MOST: Final = 86_400.0
#: Used pre-keys that are kept at a time.
MOST: Final = 200


class UsedPreKeys:
    """The used pre-keys of one backend, in a note. It changes notes in memory; the caller writes them."""

    def __init__(self, storage: NoteStorage, backend: Backend) -> None:
        self._storage = storage
        self._backend = backend
        self._note = f"used {backend.namespace}"
        self._state = f"raw /{backend.namespace}/x3dh"
        self._ids = f"raw /{backend.namespace}/pre_key_ids"

    def __len__(self) -> int:
        return len(self._storage.get(self._note, []))

    async def use(self, session: Session) -> None:
        """Offer the pre-key of a new session no more, and keep it."""
        before, ids = self._pre_keys(), self._storage.get(self._ids, {})
        await self._backend.hide_pre_key(session)
        used = list(self._storage.get(self._note, []))
        for private in set(before) - set(self._pre_keys()):
            public = base64.b64encode(xeddsa.priv_to_curve25519_pub(private.encode("latin-1"))).decode()
            if public in ids:
                used.append([private, public, ids[public], time.time()])
        self._storage.put(self._note, used[-MOST:] or None)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """A block during which the library knows the used pre-keys. Nothing may be awaited that waits."""
        used: list[Any] = self._storage.get(self._note, [])
        ids = self._storage.get(self._ids, {})
        self._put(self._pre_keys() + [private for private, *_ in used])
        self._storage.put(self._ids, {**ids, **{public: id for _, public, id, _ in used}})
        try:
            yield
        finally:
            lent = {private for private, *_ in used}
            self._put([private for private in self._pre_keys() if private not in lent])
            self._storage.put(self._ids, ids)

    def drop(self, *, catching_up: bool) -> None:
        """Forget the pre-keys that were kept long enough."""
        since = time.time() - (KEPT_AT_MOST if catching_up else KEPT)
        used = [each for each in self._storage.get(self._note, []) if each[3] > since]
        self._storage.put(self._note, used or None)

    def _pre_keys(self) -> list[str]:
        """Return the private keys that the library offers, as it writes them."""
        return list(self._storage.get(self._state, {}).get("pre_keys", []))

    def _put(self, pre_keys: list[str]) -> None:
        state = self._storage.get(self._state)
        if state is not None and "pre_keys" in state:
            self._storage.put(self._state, {**state, "pre_keys": pre_keys})
