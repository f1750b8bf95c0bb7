"""Errors that end a command, each with its exit status."""

from __future__ import annotations

__all__ = [
    "CommandError",
    "LoginRefused",
    "NotDelivered",
    "OutputClosed",
    "RoomRefused",
    "TookTooLong",
    "Unreachable",
    "UploadImpossible",
    "UsageError",
]


class CommandError(Exception):
    """Ends a command with one sentence for a person. `status` is the exit status."""

    status = 1


class NotDelivered(CommandError):
    """A message was refused, or it cannot be known what became of it."""


class UsageError(CommandError):
    """The arguments, or the settings that they name, cannot be used: the command has not begun."""

    status = 2


class Unreachable(CommandError):
    """The server was not reached, or the session was lost for good."""

    status = 3


class LoginRefused(CommandError):
    """The server was reached, and does not let us log in."""

    status = 4


class UploadImpossible(CommandError):
    """The file was not uploaded."""

    status = 5


class RoomRefused(CommandError):
    """A room does not let us in, or put us out for good."""

    status = 6


class TookTooLong(CommandError):
    """The time for the command is over."""

    status = 7


class OutputClosed(Exception):
    """The reader of our standard output has closed it: it wants no more."""
