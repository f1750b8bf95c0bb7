"""The live messages that wait until a timeline has caught up.

The archive shows most of them meanwhile, in its order. So each one is found by its keys, as `Seen` knows them: to look
through all of them for each page of the archive would take longer than the page. A message that the archive shows does
not wait any more. That needs no memory of what was given long ago, however many pages follow.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from .archives import Arrival
from .duplicates import Keys
from .entry import WEAK

__all__ = ["Held", "Waiting"]

_logger = logging.getLogger(__name__)


class Waiting(NamedTuple):
    """A live message that waits, the id that the archive gave it, and its keys."""

    arrival: Arrival
    archive_id: str | None
    keys: Keys


class Held:
    """At most `limit` live messages in the order of their arrival, each one once.

    Messages without an id and with equal texts may be different ones, of which `Seen` keeps count. They all wait, and
    the archive takes none of them away.
    """

    def __init__(self, limit: int) -> None:
        self.dropped: int = 0
        """The number of messages for which there was no room, and of all that came after the first of them."""
        self._limit = limit
        self._waiting: dict[int, Waiting] = {}
        """The messages by the number of their arrival."""
        self._numbers: dict[str, int] = {}
        """Those numbers by the keys of the messages."""
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def copy_of(self, keys: Keys) -> Waiting | None:
        """Return the waiting copy of the message that has these keys; None if there is none."""
        number = self._number(keys)
        return None if number is None else self._waiting[number]

    def add(self, arrival: Arrival, archive_id: str | None, keys: Keys) -> None:
        """Have a message wait of which no copy does, or drop it if there is no room."""
        if self.dropped or len(self._waiting) >= self._limit:
            if not self.dropped:
                _logger.warning("more than %d messages wait: the archive will be asked for the others", self._limit)
            self.dropped += 1
            return
        self._arrivals += 1
        self._waiting[self._arrivals] = Waiting(arrival, archive_id, keys)
        self._point(keys, self._arrivals)

    def merge(self, archive_id: str | None, keys: Keys) -> bool:
        """If a copy of a message waits already, note the id in the archive, if that is new. Return whether one does.

        It never does for a message without an id, unless the archive gave it one.
        """
        number = self._number(keys)
        if number is None or self._is_one_of_many(self._waiting[number]):
            return False
        first = self._waiting[number]
        if first.archive_id is None:
            self._waiting[number] = Waiting(first.arrival, archive_id, keys)
            self._point(keys, number)
        return True

    def drop(self, keys: Keys) -> bool:
        """Let the copy of a message that the archive has shown wait no more. Return whether it waited."""
        number = self._number(keys)
        if number is None or self._is_one_of_many(self._waiting[number]):
            return False
        for each in self._waiting.pop(number).keys:
            if each is not None and self._numbers.get(each) == number:
                del self._numbers[each]
        return True

    def take_all(self) -> list[Waiting]:
        """Return all messages, in their order; none of them waits any more."""
        waiting = [*self._waiting.values()]
        self._waiting.clear()
        self._numbers.clear()
        return waiting

    def _number(self, keys: Keys) -> int | None:
        """Return the number of the waiting copy of a message."""
        for each in keys:
            number = None if each is None else self._numbers.get(each)
            if number is not None:
                return number
        return None

    def _point(self, keys: Keys, number: int) -> None:
        """Have a message found by its keys. Where the archive gave an id, a text alone names no message."""
        key, mark = keys
        if key is not None:
            self._numbers[key] = number
        if key is None or not mark.startswith(WEAK):
            self._numbers[mark] = number

    @staticmethod
    def _is_one_of_many(waiting: Waiting) -> bool:
        key, mark = waiting.keys
        return key is None and mark.startswith(WEAK)
