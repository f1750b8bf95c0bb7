"""All mutants."""

from __future__ import annotations

from .protocol import MUTANTS as PROTOCOL
from .stream import MUTANTS as STREAM

MUTANTS = [*STREAM, *PROTOCOL]
