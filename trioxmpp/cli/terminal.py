"""Text that strangers wrote, made fit for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["error_text", "for_terminal", "listed"]

#: Items of a list that are shown one by one.
MANY = 10

#: Characters of one name in a list.
NAME = 100


def for_terminal(text: str, limit: int = 1000) -> str:
    """Return `text` with an escape for each character that could move a cursor, change a colour or the direction."""
    escaped = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:limit])
    return escaped if len(text) <= limit else f"{escaped}…"


def listed(names: Sequence[str], nothing: str = "none") -> str:
    """Return names in one line of bounded length."""
    more = [f"and {len(names) - MANY} more"] if len(names) > MANY else []
    return ", ".join([*(for_terminal(name, NAME) for name in names[:MANY]), *more]) or nothing


def error_text(error: Exception) -> str:
    """Return the text of an error, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
