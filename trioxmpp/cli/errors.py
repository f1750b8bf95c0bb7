"""Errors that end a command."""

from __future__ import annotations

__all__ = ["CommandError", "UsageError"]


class CommandError(Exception):
    """Ends a command with one sentence for a person. `status` is the exit status."""

    status = 1


class UsageError(CommandError):
    """The arguments cannot be meant: the command has not begun."""

    status = 2
