"""Tables, as text for a terminal and as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Table", "table"]


@dataclass(frozen=True)
class Table:
    """A title, headings, and rows of cells."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return it in columns."""
        widths = [max(len(row[index]) for row in (self.headings, *self.rows)) for index in range(len(self.headings))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (self.headings, *self.rows)
        ]
        return "\n".join([self.title, "=" * len(self.title), *(line for line in lines if line)])

    def markdown(self) -> str:
        """Return it in Markdown, without the title."""
        rows = [self.headings, ["---"] * len(self.headings), *self.rows]
        return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text."""
    return Table(title, headings, rows).text()
