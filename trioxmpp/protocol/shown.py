"""How a text of a peer is shown to a person: in an exception, or in a log."""

from __future__ import annotations

from typing import Final

__all__ = ["LONGEST_TEXT", "shown"]

#: Characters of a text that are shown.
LONGEST_TEXT: Final = 500


def shown(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text in one line, printable, and cut to at most `longest` characters.

    So no text can fill a log, begin a line of its own, or give orders to a terminal.
    """
    cut = text[: 4 * longest]
    clean = " ".join("".join(char if char.isprintable() or char.isspace() else "\ufffd" for char in cut).split())
    return clean if len(clean) <= longest and len(cut) == len(text) else f"{clean[: longest - 1]}\u2026"
