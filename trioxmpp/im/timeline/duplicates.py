"""Which messages a timeline has had, so that it gives each one once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias
from zlib import crc32

from ...jid import JID
from .entry import WEAK

__all__ = ["KEYS", "WRITTEN", "Keys", "Seen", "archive_key"]

#: The keys of a copy of a message: its key in the archive, if that is known, and its fingerprint.
Keys: TypeAlias = tuple[str | None, str]

#: How many keys are remembered at least, and how many of them are written down.
KEYS = 20_000
WRITTEN = 1_000

#: An archive id with more characters is remembered by its hash.
LONG = 64


class Seen:
    """The messages that were given, or are about to be: by their key in the archive, and by their fingerprint.

    Two messages with the same archive id and sender are the same, and so are two with the same fingerprint, even if
    their archive ids differ: servers archive a retransmission twice. For a message without any id a fingerprint says
    too little: then each copy without an archive id is paired with one copy that has one, and no more. The newest
    `keys` keys are known, and up to as many from before.
    """

    def __init__(self, keys: int = KEYS) -> None:
        self._limit = keys
        self._known: set[str] = set()
        """The newest keys, until there are `keys` of them."""
        self._older: set[str] = set()
        """As many keys as that from before. Two sets take a third of the time of a table that keeps an order."""
        self._unarchived: Counter[str] = Counter()
        """Copies without any id and without an archive id, of which the archive may show one more."""
        self._archived: Counter[str] = Counter()
        """Copies without any id that the archive has shown, of which one more may arrive live."""

    def add(self, key: str | None, mark: str) -> bool:
        """Note a message; return whether it is new. `key` is its `archive_key`, and `mark` its fingerprint."""
        is_new = True
        if key is not None:
            is_new = key not in self._known and key not in self._older
            self._note(key)
        if not mark.startswith(WEAK):
            is_new = is_new and mark not in self._known and mark not in self._older
            self._note(mark)
            return is_new
        if not is_new:
            return False
        ours, others = self._unarchived, self._archived
        if key is not None:
            ours, others = others, ours
        if others[mark] > 0:
            others[mark] -= 1
            return False
        ours[mark] += 1
        return True

    def has(self, key: str | None, mark: str) -> bool:
        """Return whether the message was given already."""
        if key is not None and self._knows(key):
            return True
        if not mark.startswith(WEAK):
            return self._knows(mark)
        return (self._archived if key is None else self._unarchived)[mark] > 0

    def _knows(self, key: str) -> bool:
        return key in self._known or key in self._older

    def _note(self, key: str) -> None:
        self._known.add(key)
        if len(self._known) >= self._limit:
            self._known, self._older = set(), self._known

    def caught_up(self) -> None:
        """No copy of what the archive has shown will arrive live any more."""
        self._archived.clear()
        while len(self._unarchived) > self._limit:
            del self._unarchived[next(iter(self._unarchived))]

    def restore(self, keys: Iterable[str]) -> None:
        """Remember what another process has written down."""
        for key in keys:
            if key.startswith(WEAK):
                self._unarchived[key] += 1
            else:
                self._note(key)


def archive_key(archive_id: str, sender: JID) -> str:
    """Return what is remembered of a message in the archive; a server may make ids long.

    The id alone would not do: those of ejabberd are microseconds, and two clients can send within one.
    """
    shown = archive_id if len(archive_id) <= LONG else f"#{sha256(archive_id.encode()).hexdigest()}"
    return f"@{shown} {_mark_of(str(sender))}"


@lru_cache(1024)
def _mark_of(sender: str) -> str:
    return f"{crc32(sender.encode()):x}"
