"""What strangers wrote, fit for a terminal."""

from __future__ import annotations

__all__ = ["shown"]


def shown(text: str, limit: int = 1000) -> str:
    """`text` with everything written out that would move a cursor, change a colour or turn the direction round."""
    escaped = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:limit])
    return escaped if len(text) <= limit else f"{escaped}…"
