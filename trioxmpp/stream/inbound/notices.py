"""Log lines that a stranger can cause: the first ones are written, then only their number.

Any stranger can send us stanzas that exceed a limit. One line for each would fill a disk, and none would hide an
attack.
"""

from __future__ import annotations

import logging

from ...protocol.streamevents import Skipped
from .losses import Losses

__all__ = ["Notices"]

#: The stanzas for each of which one line is written; later, a line is written when their number has doubled.
LINES = 10

#: The kinds of unknown element that are told apart.
KINDS = 100


class Notices:
    """The elements that were passed over on one link. They are logged at WARNING."""

    def __init__(self, logger: logging.Logger, losses: Losses) -> None:
        self._logger = logger
        self._losses = losses
        self._kinds: set[str] = set()
        self.skipped: int = 0
        """The number of stanzas that were passed over."""

    def stanza(self, event: Skipped) -> None:
        """A stanza was passed over."""
        self.skipped += 1
        self._losses.passed_over += 1
        if self.skipped <= LINES:
            sender = "our server" if event.from_ is None else f"{event.from_!r:.200}"
            name = event.tag.rpartition("}")[2]
            self._logger.warning(
                "passed over a %s of %d octets from %s: %s", name, event.octets, sender, event.reason[:200]
            )
        elif not self.skipped & (self.skipped - 1):
            self._logger.warning("passed over %d stanzas on this link so far", self.skipped)

    def element(self, tag: str, reason: str) -> None:
        """An element that is not a stanza was ignored. Only the first of its kind is logged."""
        if tag not in self._kinds and len(self._kinds) < KINDS:
            self._kinds.add(tag)
            self._logger.warning("ignored %.200r: %.200s", tag, reason)
