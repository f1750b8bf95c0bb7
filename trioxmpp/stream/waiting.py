"""Stanzas that arrived before anybody could say that he wants them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from .holding import Hold
from .inbox import DEFAULT_CAPACITY

__all__ = ["Waiting"]

logger = logging.getLogger(__name__)

S = TypeVar("S")


class Waiting(Generic[S]):
    """What waits for somebody, in order of arrival, and is not counted as handled meanwhile."""

    def __init__(self) -> None:
        self._stanzas: deque[tuple[S, Hold | None]] = deque()
        self.handing_out = False
        self._hold: Hold | None = None

    def add(self, stanza: S, hold: Hold | None) -> None:
        """Keep a stanza that nobody wanted. Of those that nobody counts, so many at most."""
        if hold is None and len(self._stanzas) >= DEFAULT_CAPACITY:
            logger.warning("nobody wants %r, and too many wait already", stanza)
            return
        self._stanzas.append((stanza, hold))

    def hand_out(self, dispatch: Callable[[S], bool]) -> None:
        """Offer everything again; `dispatch` tells whether somebody wanted it."""
        offered, self._stanzas = self._stanzas, deque()
        self.handing_out = True
        try:
            for stanza, hold in offered:
                self._hold = hold
                if not dispatch(stanza):
                    self._stanzas.append((stanza, hold))
                elif hold is not None:
                    hold.finish()
        finally:
            self.handing_out = False
            self._hold = None

    def share(self) -> Hold | None:
        """What holds back the stanza that is just being offered: one more has it."""
        if self._hold is not None:
            self._hold.users += 1
        return self._hold

    def let_go(self) -> None:
        """Nobody came."""
        stanzas, self._stanzas = self._stanzas, deque()
        for _, hold in stanzas:
            if hold is not None:
                hold.finish()
