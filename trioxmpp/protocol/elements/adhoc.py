"""XEP-0050: Ad-Hoc Commands."""

from __future__ import annotations

import enum
from typing import Final

from ... import xml
from ..stanza import Set
from .forms import DataForm

__all__ = ["NS", "Action", "Actions", "Command", "CommandRequest", "Condition", "Note", "NoteType", "Status"]

#: The node of the commands (§3.1), and the namespace.
NS: Final = "http://jabber.org/protocol/commands"


class Action(enum.StrEnum):
    """The actions of a requester (§4.2)."""

    EXECUTE = "execute"
    CANCEL = "cancel"
    PREV = "prev"
    NEXT = "next"
    COMPLETE = "complete"


class Status(enum.StrEnum):
    """The states of a command (§4.2)."""

    EXECUTING = "executing"
    COMPLETED = "completed"
    CANCELED = "canceled"


class NoteType(enum.StrEnum):
    """The weight of a note (§4.3)."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class Condition(enum.StrEnum):
    """The application-specific conditions of errors (§4.4): names of elements in this namespace."""

    BAD_ACTION = "bad-action"
    BAD_LOCALE = "bad-locale"
    BAD_PAYLOAD = "bad-payload"
    BAD_SESSIONID = "bad-sessionid"
    MALFORMED_ACTION = "malformed-action"
    SESSION_EXPIRED = "session-expired"


@xml.element(NS, "note")
class Note:
    """A text about the state of a command (§4.3)."""

    type: NoteType | str = xml.attr(default=NoteType.INFO)
    text: str = xml.text()


@xml.element(NS, "actions")
class Actions:
    """The actions that are allowed now, and the one that *execute* stands for (§3.4)."""

    execute: Action | str | None = xml.attr(default=None)
    prev: bool = xml.flag()
    next: bool = xml.flag()
    complete: bool = xml.flag()


@xml.structure
class _Command:
    node: str = xml.attr()
    sessionid: str | None = xml.attr(default=None)
    action: Action | str | None = xml.attr(default=None)
    lang: str | None = xml.attr("xml:lang", default=None)
    form: DataForm | None = xml.child(default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "command")
class Command(_Command):
    """A stage of a command, as the responder describes it (§3)."""

    status: Status | str | None = xml.attr(default=None)
    actions: Actions | None = xml.child(default=None)
    notes: tuple[Note, ...] = xml.children(lenient=True)


@xml.element(NS, "command")
class CommandRequest(_Command, Set[Command]):
    """Asks a responder to begin, continue or cancel a command (§3)."""
