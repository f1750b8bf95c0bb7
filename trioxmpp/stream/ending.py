"""What the end of a run means: who ended it, and how the session was managed (S051 of the seed's map)."""

from __future__ import annotations

import enum
from typing import NamedTuple

from .session import Session

__all__ = ["END_OF_RUN", "Effect", "EndedBy", "Management"]


class EndedBy(enum.Enum):
    """Who ended the run."""

    STOP = "stop() was called"
    FAILURE = "the stream failed"
    CLOSE = "close() was called"

    @classmethod
    def of(cls, *, closing: bool, cause: Exception | None) -> EndedBy:
        """Who it was; a failure has a cause only if it came before anything else."""
        if cause is not None:
            return cls.FAILURE
        return cls.CLOSE if closing else cls.STOP


class Management(enum.Enum):
    """What XEP-0198 promised for this session."""

    NONE = "stream management is off"
    NOT_RESUMABLE = "stream management is on, but not resumable"
    RESUMABLE = "the session can be resumed"

    @classmethod
    def of(cls, session: Session) -> Management:
        """How `session` is managed."""
        if session.sm is None:
            return cls.NONE
        return cls.RESUMABLE if session.sm.resumable else cls.NOT_RESUMABLE


class Effect(NamedTuple):
    """What happens at the end of a run."""

    destroy: bool
    """The session is over: tokens settle, waiters get an error, handlers are cancelled."""
    report: bool
    """It is a failure: `run` raises it and on_failure tells of it."""


END_OF_RUN: dict[tuple[EndedBy, Management], Effect] = {
    (EndedBy.STOP, Management.NONE): Effect(destroy=True, report=False),
    (EndedBy.STOP, Management.NOT_RESUMABLE): Effect(destroy=True, report=False),
    (EndedBy.STOP, Management.RESUMABLE): Effect(destroy=False, report=False),
    (EndedBy.FAILURE, Management.NONE): Effect(destroy=True, report=True),
    (EndedBy.FAILURE, Management.NOT_RESUMABLE): Effect(destroy=True, report=True),
    (EndedBy.FAILURE, Management.RESUMABLE): Effect(destroy=False, report=True),
    (EndedBy.CLOSE, Management.NONE): Effect(destroy=True, report=False),
    (EndedBy.CLOSE, Management.NOT_RESUMABLE): Effect(destroy=True, report=False),
    (EndedBy.CLOSE, Management.RESUMABLE): Effect(destroy=True, report=False),
}
