"""The exceptions of services on the way of a stanza: each kind is told once, however many stanzas cause it.

A stranger may have found the stanza that makes a service fail, and can send it as often as it likes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ...protocol.stanza import Message, Presence
from ..signal import Signal

__all__ = ["ServiceFailures"]

_logger = logging.getLogger(__name__)

#: The kinds of failure that are told apart.
KINDS = 100


class ServiceFailures:
    """Logs the first failure of each kind with its traceback, and then each time their number has doubled."""

    def __init__(self, logger: logging.Logger = _logger) -> None:
        self._logger = logger
        self._counts: dict[tuple[str, str], int] = {}
        self.on_failure: Signal[str, Exception] = Signal(logger=logger)
        """Emitted for the first failure of each kind, with the name of the function and the exception."""

    def happened(
        self, where: str, function: Callable[..., object], stanza: Message | Presence, problem: Exception
    ) -> None:
        """Take note that `function` failed with `problem`, so that the stanza was dropped."""
        service = getattr(function, "__qualname__", type(function).__qualname__)
        kind = (f"{where}, {service}", type(problem).__qualname__)
        if kind not in self._counts and len(self._counts) >= KINDS:
            return
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count == 1:
            self._logger.error("dropped %r: %s failed", stanza, where, exc_info=problem)
            self.on_failure.emit(service, problem)
        elif not count & (count - 1):
            self._logger.error("dropped %r: %s failed (number %d of such)", stanza, where, count)
