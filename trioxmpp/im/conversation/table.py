"""The lines of a conversation in their order, and which of them an id names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from .lines import Line

__all__ = ["Name", "Table", "archived"]

#: An id of a message, which its sender chooses, or a mark of `archived`, which no sender can forge.
Name: TypeAlias = str | tuple[str]


def archived(archive_id: str | None) -> Name | None:
    """Return the name of the message that has this id in the archive."""
    return None if archive_id is None else (archive_id,)


class Table:
    """At most `capacity` lines, by numbers that grow from one line to the next. Older ones may be put in front.

    More than one line may have one id, since more than one author may use it.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lines: dict[int, Line] = {}
        self._numbers: dict[Name, list[int]] = {}
        """The numbers of the lines that an id names, in order."""
        self._names: dict[int, list[Name]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: int) -> Line:
        return self._lines[number]

    def __setitem__(self, number: int, line: Line) -> None:
        self._lines[number] = line

    def __contains__(self, number: int) -> bool:
        return number in self._lines

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines, the oldest first."""
        return tuple(self._lines.values())

    @property
    def next(self) -> int:
        """The number of the next line."""
        return self._next

    def items(self) -> Iterator[tuple[int, Line]]:
        """The lines with their numbers, the oldest first."""
        return iter([*self._lines.items()])

    def named(self, name: Name) -> list[int]:
        """Return the numbers of the lines that have this name, in order."""
        return self._numbers.get(name, [])

    def last(self, name: Name | None, accepts: Callable[[Line], bool] = lambda line: True) -> int | None:
        """Return the number of the last line that has this name and that `accepts` takes, or None."""
        for number in reversed(self._numbers.get(name, ()) if name is not None else ()):
            if accepts(self._lines[number]):
                return number
        return None

    def add(self, line: Line, *names: Name | None) -> int:
        """Add a line at the end, and return its number; the oldest one goes if there are too many."""
        number, self._next = self._next, self._next + 1
        self._lines[number] = line
        self.name(number, *names)
        if len(self._lines) > self._capacity:
            self.remove(next(iter(self._lines)))
        return number

    def remove(self, number: int) -> None:
        """Remove a line."""
        del self._lines[number]
        for name in self._names.pop(number, ()):
            self._numbers[name].remove(number)
            if not self._numbers[name]:
                del self._numbers[name]

    def name(self, number: int, *names: Name | None) -> None:
        """Let these names stand for a line, too."""
        for name in names:
            numbers = self._numbers.setdefault(name, []) if name is not None else [number]
            if name is not None and number not in numbers:
                # Older lines are put in front: their numbers are below all others.
                numbers.insert(0 if numbers and number < numbers[0] else len(numbers), number)
                self._names.setdefault(number, []).append(name)

    def put_in_front(self, older: Table) -> list[int]:
        """Put lines of another table in front, the newest of them, as far as there is room; return their numbers."""
        room = self._capacity - len(self._lines)
        chosen = [*older.items()][-room:] if room > 0 else []
        first = min(next(iter(self._lines), self._next), 0) - len(chosen)
        numbers = [*range(first, first + len(chosen))]
        self._lines = {**dict(zip(numbers, (line for _, line in chosen), strict=True)), **self._lines}
        for new, (old, _) in zip(numbers, chosen, strict=True):
            self.name(new, *older.names_of(old))
        return numbers

    def names_of(self, number: int) -> Iterable[Name]:
        """Return the names of a line."""
        return self._names.get(number, ())
