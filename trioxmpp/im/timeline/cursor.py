"""How far the application has come with an archive, and where that is written down.

A position is the ids of some messages that follow each other in the archive. An archive that is asked for what follows
the first must answer with one of the others: if not, it does not know our position. That is the only way to find out:
for an id that they do not know, servers answer with an error, with an empty page, or with everything from the
beginning.

Two ids would do for that. There are more because an archive may be written late: ejabberd gives a message its place
when it arrives, and writes it down when the process of the receiving session comes to it. Meanwhile later messages may
be there already, and a position behind them. The last messages before a position are read again, and so a message that
has appeared among them is found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import trio

from ...client import Notes
from .duplicates import WRITTEN, Keys

__all__ = ["FIRST", "TRAIL", "Cursor", "Position", "Trail"]

#: In place of an id: the beginning of the archive, before its first message. No server gives this id.
FIRST = ""

#: A message that the archive shows late is found if at most this many messages overtook it,
OVERTAKING = 50
#: and if its time is at most this much before that of the last one.
LATE = timedelta(seconds=60)

#: So a place in an archive is told by this many messages at most.
TRAIL = OVERTAKING + 2

#: Seconds that writing down may take at the end.
LAST_SAVE = 2.0


class Position(NamedTuple):
    """A place in an archive: behind the messages with the ids `tail`, which follow each other, the oldest first.

    The first one may be `FIRST`; there is none if the place is known by its time alone. `stamp` is the time of the last
    message.
    """

    tail: tuple[str, ...]
    stamp: datetime


class Trail:
    """The messages before a place that moves on through an archive."""

    def __init__(self, begin: Position | None) -> None:
        self._steps: list[tuple[str, datetime]] = [] if begin is None else [(id, begin.stamp) for id in begin.tail]

    def add(self, id: str, stamp: datetime) -> None:
        """Move on behind the next message."""
        self._steps.append((id, stamp))

    def rewind(self, id: str) -> None:
        """Go back in front of a message that is read again."""
        for place, (each, _) in enumerate(self._steps):
            if each == id:
                del self._steps[place:]
                return

    def position(self) -> Position | None:
        """Return the place, if any message is before it.

        Its tail begins with two messages that a late one does not come before: what follows the first of them begins
        with the second, and all that is not known behind that is late.
        """
        steps = self._steps
        if not steps:
            return None
        first, stamp = len(steps) - 1, steps[-1][1]
        while first > 0 and len(steps) - first <= OVERTAKING and stamp - steps[first][1] <= LATE:
            first -= 1
        return Position(tuple([id for id, _ in steps[max(first - 1, 0) :]]), stamp)


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
            tail, stamp, done = note["tail"], note["stamp"], note["done"]
            if not all(isinstance(each, str) for each in (*tail, *done)):
                raise TypeError
            position = None if stamp is None else Position(tuple(tail), datetime.fromtimestamp(stamp, UTC))
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return ()  # there is none, or it is damaged: begin anew
        self.position = position
        self._done.extend(done)
        return self._done

    def move(self, position: Position) -> None:
        """The application is done with everything up to here."""
        self.position = position
        self.moved.set()

    def finish(self, keys: Keys) -> None:
        """The application is done with the message that has these keys."""
        key, mark = keys
        if key is not None:
            self._done.append(key)
        self._done.append(mark)
        self.finished += 1
        self.moved.set()

    async def save(self) -> None:
        """Write down what has changed. Raises `StoreError`. If cancelled, it may be written all the same."""
        if not self.moved.is_set():
            await trio.lowlevel.checkpoint()
            return
        self.moved = trio.Event()
        finished = self.finished
        tail, stamp = self.position or ((), None)
        note: dict[str, Any] = {
            "tail": [*tail],
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
