"""Decrypted texts that the application has not finished with: a key is used once, and the process may be killed.

The text is written with the change of the session, in one step. A timeline gives an entry again if the process ends
before it has written that the entry is done; then the text is here, although the key is gone. Once the timeline has
written it, the text is deleted with the next message.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, TypeAlias

from ...record import record
from .storage import NoteStorage

__all__ = ["Kept", "Kind", "Plaintexts"]

#: Whether a text is kept for a timeline or for rooms.
Kind: TypeAlias = Literal["text", "room"]

#: Texts of rooms that are kept: a room does not say when the application is done with one.
LATEST: Final = 64
#: Texts that are kept at most, whatever the timeline says.
MOST: Final = 5_000


@record
class Kept:
    """A decrypted text: the digest of its key, the method, the sending device, and the octets."""

    digest: bytes
    method: str
    device: int
    text: bytes


class Plaintexts:
    """The decrypted texts in the notes: those of a timeline, and those of rooms."""

    def __init__(self, storage: NoteStorage) -> None:
        self._storage = storage
        self.written = 0
        """How many entries the timeline has given that it has written down as done. Its reader sets this."""
        self._older: list[str] = []
        """Those that an earlier process has left."""
        self._undelivered: dict[str, None] = {}
        """Those that may be asked for once more."""
        self._of_timeline: deque[tuple[str, int]] = deque()
        """Those that were given to the application, with the number of the entry."""
        self._of_rooms: deque[str] = deque()

    def load(self) -> None:
        """Find what an earlier process has left."""
        self._older = self._storage.names("text ")
        self._undelivered = dict.fromkeys([*self._older, *self._storage.names("room ")])

    def add(self, kept: Kept, kind: Kind) -> None:
        """Keep a text. The caller writes the notes."""
        name = f"{kind} {kept.digest.hex()}"
        self._storage.put(name, [kept.method, kept.device, kept.text.decode("latin-1")])
        self._undelivered[name] = None
        while len(self._undelivered) > MOST:
            self._drop(next(iter(self._undelivered)))

    def get(self, digest: bytes, kind: Kind) -> Kept | None:
        """Return a text that was not delivered yet, or None."""
        name = f"{kind} {digest.hex()}"
        if name not in self._undelivered:
            return None
        method, device, text = self._storage.get(name)
        return Kept(digest, method, device, text.encode("latin-1"))

    def delivered(self, digest: bytes, number: int) -> None:
        """Note that the application has a text, as entry `number` of the timeline."""
        name = f"text {digest.hex()}"
        if name in self._undelivered:
            del self._undelivered[name]
            self._of_timeline.append((name, number))

    def delivered_in_room(self, digest: bytes) -> None:
        """Note that the application has a text that came from a room."""
        name = f"room {digest.hex()}"
        if name in self._undelivered:
            del self._undelivered[name]
            self._of_rooms.append(name)

    def collect(self) -> None:
        """Delete texts that are not needed any more. The caller writes the notes."""
        while self._of_timeline and (self._of_timeline[0][1] <= self.written or len(self._of_timeline) > MOST):
            self._drop(self._of_timeline.popleft()[0])
        while len(self._of_rooms) > LATEST:
            self._drop(self._of_rooms.popleft())

    def forget_older(self) -> None:
        """Delete what an earlier process left and the timeline has not given again: it was done."""
        for name in self._older:
            if name in self._undelivered:
                self._drop(name)
        self._older = []

    def _drop(self, name: str) -> None:
        self._undelivered.pop(name, None)
        self._storage.put(name, None)
