"""How far a conversation was read by our account, with whichever client (XEP-0333, XEP-0490)."""

from __future__ import annotations

from collections.abc import Iterator

from ..provenance import Sender
from .lines import Displayed, Line, TalkEvent
from .table import Table, archived

__all__ = ["Reading"]


class Reading:
    """The last line of a table that a client of our account has displayed. It never goes back."""

    def __init__(self, table: Table) -> None:
        self._lines = table
        self._read: int | None = None
        self._expected: tuple[str, Sender] | None = None
        """The id of the line in the archive, if it is not known yet, and our account."""

    @property
    def line(self) -> Line | None:
        """The last line that was displayed, as far as that is known."""
        return None if self._read is None or self._read not in self._lines else self._lines[self._read]

    @property
    def unread(self) -> int:
        """The number of lines of others behind it."""
        return sum(not line.by_us for number, line in self._lines.items() if self._read is None or number > self._read)

    def has(self, line: Line) -> bool:
        """Return whether a line was displayed, or one behind it."""
        number = self._lines.last(line.id)
        return number is not None and self._read is not None and number <= self._read

    def up_to(self, line: Line, by: Sender) -> Iterator[TalkEvent]:
        """Our account, `by`, has displayed everything up to a line."""
        number = self._lines.last(line.id)
        if number is not None:
            yield from self.up_to_number(number, by)

    def up_to_archived(self, archive_id: str, by: Sender) -> Iterator[TalkEvent]:
        """Our account, `by`, has displayed everything up to the message with this id in the archive."""
        number = self._lines.last(archived(archive_id))
        if number is None:
            self._expected = archive_id, by
        else:
            yield from self.up_to_number(number, by)

    def up_to_number(self, number: int, by: Sender) -> Iterator[TalkEvent]:
        """Our account has displayed everything up to the line with this number."""
        if self._read is None or self._read < number:
            self._read, self._expected = number, None
            yield Displayed(self._lines[number], by, True)

    def added(self, number: int) -> Iterator[TalkEvent]:
        """There is a new line: it may be the one up to which our account has read."""
        if self._expected is not None and self._lines[number].archive_id == self._expected[0]:
            yield from self.up_to_number(number, self._expected[1])

    def archived_up_to(self, line: Line) -> Line | None:
        """Return the last line up to this one that has an id in the archive, or None."""
        limit, found = self._lines.last(line.id), None
        for number, each in self._lines.items():
            if limit is not None and number <= limit and each.archive_id is not None:
                found = each
        return found
