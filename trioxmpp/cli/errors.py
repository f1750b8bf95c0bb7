"""What a command says when it cannot do what it was asked to."""

from __future__ import annotations

__all__ = ["CommandError"]


class CommandError(Exception):
    """Ends a command with one sentence for a person, and exit status 1."""
