"""Ack after processing: stanzas that are not reported as handled before the application has finished with them.

Only a contiguous prefix can be reported (XEP-0198 §4), so what arrives behind a stanza that is held back is held back,
too. After a resumption the server sends all of that again: what the application still has in hand is then passed over,
and what was abandoned is handed out anew.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ..protocol.sm import MODULUS, StreamManagement
from .outbox import Outbox

__all__ = ["LIMIT", "Hold", "Holding"]

#: How many stanzas may wait behind one that is not finished. Then the link is given up: the server keeps the others.
LIMIT = 10_000


class Hold:
    """One stanza that is held back until all who have it have finished it."""

    __slots__ = ("_holding", "abandoned", "users")

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self.users = 0
        self.abandoned = False
        """Somebody who had it went away without finishing it."""

    @property
    def finished(self) -> bool:
        """Whether it may be counted."""
        return not self.users and not self.abandoned

    def finish(self) -> None:
        """One who had it has finished with it."""
        self.users -= 1
        if self._holding._behind and not self._holding._in_step:
            self._holding._count()

    def abandon(self) -> None:
        """One who had it will not finish it: it is to be delivered again, if there is an opportunity."""
        self.users -= 1
        self.abandoned = True


class Holding:
    """The stanzas of one session from the first that is held back on."""

    __slots__ = ("_again", "_asked", "_behind", "_current", "_in_step", "_management", "_outbox")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._management: StreamManagement[Any] | None = None
        self._behind: deque[Hold | None] = deque()
        """The first is not finished. None: it was never held back, but one before it is."""
        self._again = 0
        """So many of those that arrived last will arrive again."""
        self._in_step = False
        self._current: Hold | None = None
        """What holds back the stanza that is just being processed."""
        self._asked = False

    def __len__(self) -> int:
        return len(self._behind)

    def arrived(self, management: StreamManagement[Any]) -> bool:
        """Count a stanza that is to be processed now; False if it is one that the application has had already.

        Raises ConnectionError if too many wait: what is not counted now will be sent again after a resumption.
        """
        if self._again:
            index = len(self._behind) - self._again
            self._again -= 1
            hold = self._behind[index] if index >= 0 else None
            if hold is None or hold.users or not hold.abandoned:
                return False
            hold.abandoned = False
            self._current = hold
        elif not self._behind:
            management.received()
        elif len(self._behind) >= LIMIT:
            raise ConnectionError(f"{LIMIT} stanzas wait for one that the application has not finished with")
        else:
            self._behind.append(None)
        self._management = management
        self._in_step = True
        return True

    def hold(self) -> Hold | None:
        """Hold back the stanza that is just being processed; None if there is none, or nobody counts."""
        if not self._in_step:
            return None
        assert self._management is not None
        if self._current is None:
            self._current = Hold(self)
            if self._behind:
                self._behind[-1] = self._current
            else:
                self._management.handled = (self._management.handled - 1) % MODULUS
                self._behind.append(self._current)
        self._current.users += 1
        return self._current

    def processed(self) -> None:
        """The stanza went where it should go."""
        self._in_step = False
        self._current = None
        if self._behind:
            self._count()

    def asked(self) -> None:
        """The server asks how much we handled. If that is not all, it is told when it is more."""
        self._asked = bool(self._behind)

    def resuming(self) -> None:
        """The server is told how much was handled now, and will send the rest again."""
        self._again = len(self._behind)

    def end(self) -> None:
        """The session is over: there is nothing to count any more."""
        self._behind.clear()
        self._again = 0

    def _count(self) -> None:
        """Count what is finished, up to the first that is not."""
        assert self._management is not None
        before = len(self._behind)
        while self._behind and ((first := self._behind[0]) is None or first.finished):
            self._behind.popleft()
            self._management.received()
        if self._asked and len(self._behind) < before:
            # The writer takes its time, so these are as many acks as it can write, not one for each stanza.
            self._asked = bool(self._behind)
            self._outbox.owe_ack = True
            self._outbox.wake()
