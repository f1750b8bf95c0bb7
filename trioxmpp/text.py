"""Text that a stranger wrote, made fit for our errors and logs."""

from __future__ import annotations

__all__ = ["because", "printable"]

#: Characters of a stranger's text that an error or a log line shows.
MAX_SHOWN = 500


def printable(text: str, limit: int = MAX_SHOWN) -> str:
    """Return the first `limit` characters, with a space in place of each that is not printable.

    The rest cannot break a log line, move a terminal's cursor or turn the direction of writing around.
    """
    shown = "".join(char if char.isprintable() else " " for char in text[:limit]).strip()
    return shown if len(text) <= limit else f"{shown}…"


def because(what: str, reason: object, limit: int = MAX_SHOWN) -> str:
    """Return ``what: reason``, or `what` alone if there are no words for the reason."""
    words = printable(str(reason), limit)
    return f"{what}: {words}" if words else what
