"""All mutants."""

from __future__ import annotations

from .conversations import MUTANTS as CONVERSATIONS
from .protocol import MUTANTS as PROTOCOL
from .stream import MUTANTS as STREAM
from .timeline import MUTANTS as TIMELINE

MUTANTS = [*STREAM, *PROTOCOL, *TIMELINE, *CONVERSATIONS]
