"""What strangers wrote, fit for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["error_text", "for_terminal", "listed"]

#: What there is more than so many of is not told one by one.
MANY = 10

#: Characters of a name that is one of several.
NAME = 100


def for_terminal(text: str, limit: int = 1000) -> str:
    """`text` with everything written out that would move a cursor, change a colour or turn the direction round."""
    escaped = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:limit])
    return escaped if len(text) <= limit else f"{escaped}…"


def listed(names: Sequence[str], nothing: str = "none") -> str:
    """Names, in a line that has an end."""
    more = [f"and {len(names) - MANY} more"] if len(names) > MANY else []
    return ", ".join([*(for_terminal(name, NAME) for name in names[:MANY]), *more]) or nothing


def error_text(error: Exception) -> str:
    """What an error says, without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
