"""How far the application has come with an archive, and where that is written down.

A position is the ids of two messages that follow each other in the archive. An archive that is asked for what follows
the first must answer with the second: if not, it does not know our position. That is the only way to find out: for an
id that they do not know, servers answer with an error, with an empty page, or with everything from the beginning.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import trio

from ...client import Notes
from .duplicates import WRITTEN

__all__ = ["FIRST", "Cursor", "Position"]

#: In place of an id: the beginning of the archive, before its first message. No server gives this id.
FIRST = ""

#: Seconds that writing down may take at the end.
LAST_SAVE = 2.0


class Position(NamedTuple):
    """A place in an archive: behind the message `last`, which follows the message `anchor`.

    Either is `FIRST` at the beginning of the archive, and None if it is not known. `stamp` is the time of `last`.
    """

    anchor: str | None
    last: str | None
    stamp: datetime

    def then(self, id: str, stamp: datetime) -> Position:
        """Return the place behind the next message."""
        return Position(self.last, id, stamp)


class Cursor:
    """The position up to which the application is done, and the newest messages that it is done with.

    The latter are written down by their archive ids and fingerprints: those that were done since the position moved,
    and some before, in case the archive has lost the position.
    """

    def __init__(self, notes: Notes, archive: str) -> None:
        self.position: Position | None = None
        self.moved: trio.Event = trio.Event()
        """Set when there is something to write down."""
        self.finished: int = 0
        """How many messages the application is done with, since this cursor was loaded."""
        self.written: int = 0
        """How many of them are written down."""
        self._notes = notes
        self._archive = archive
        self._done: deque[str] = deque(maxlen=WRITTEN)

    async def load(self) -> Iterable[str]:
        """Read what was written down; return the keys of the messages that are done. Raises `StoreError`."""
        note: dict[str, Any] = (await self._notes.read()).get(self._archive) or {}
        try:
            anchor, last, stamp, done = note["at"], note["last"], note["stamp"], note["done"]
            if not all(isinstance(each, str) for each in done) or not isinstance(anchor, str | None):
                raise TypeError
            position = None if stamp is None else Position(anchor, last, datetime.fromtimestamp(stamp, UTC))
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return ()  # there is none, or it is damaged: begin anew
        self.position = position
        self._done.extend(done)
        return self._done

    def move(self, position: Position) -> None:
        """The application is done with everything up to here."""
        self.position = position
        self.moved.set()

    def finish(self, keys: Iterable[str], position: Position | None = None) -> None:
        """The application is done with the message that has these keys, and with everything up to `position`."""
        self._done.extend(keys)
        if position is not None:
            self.position = position
        self.finished += 1
        self.moved.set()

    async def save(self) -> None:
        """Write down what has changed. Raises `StoreError`. If cancelled, it may be written all the same."""
        if not self.moved.is_set():
            await trio.lowlevel.checkpoint()
            return
        self.moved = trio.Event()
        finished = self.finished
        anchor, last, stamp = self.position or (None, None, None)
        note: dict[str, Any] = {
            "at": anchor,
            "last": last,
            "stamp": None if stamp is None else stamp.timestamp(),
            "done": [*self._done],
        }
        try:
            await self._notes.write({self._archive: note})
        except BaseException:
            self.moved.set()
            raise
        self.written = finished

    async def keep_saved(self, delay: float) -> None:
        """Write down what has changed, `delay` seconds after the first change, until cancelled. Raises `StoreError`."""
        while True:
            await self.moved.wait()
            await trio.sleep(delay)
            await self.save()

    async def save_at_last(self) -> None:
        """Write down what has changed, for the last time, whether or not the task is cancelled. Raises `StoreError`."""
        with trio.move_on_after(LAST_SAVE, shield=True):
            await self.save()
