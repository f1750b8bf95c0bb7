"""The count of handled stanzas (XEP-0198 §4), of which a receipt may defer a part.

A stanza that went to a handler counts at once. One that waits in an inbox counts when a task takes it; one of an
application that acknowledges manually, when that has finished with it (a *firm* receipt). Only a contiguous prefix can
be reported, so what arrives behind a deferred stanza is deferred, too. After a resumption the server sends all of that
again: stanzas that the application still has are then passed over, and those that it abandoned are delivered anew.

The server keeps every stanza that we have not acknowledged, and gives the session up if there are too many: Prosody
beyond 500 as packaged, ejabberd beyond 5,000. Hence two bounds. Beyond `UNTAKEN` the oldest stanzas that merely wait in
an inbox are counted. Beyond `LIMIT` stanzas behind one with a firm receipt, we give the link up, and the server keeps
the others until the session is resumed.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ...protocol.sm import StreamManagement
from ..outbound.channels import Control, ControlChannel

__all__ = ["LIMIT", "UNTAKEN", "HandledCounter", "Receipt"]

#: How many stanzas may wait behind one that the application has not finished with. It is below 5,000, at which
#: ejabberd ends the session, by what may be on its way to us.
LIMIT = 4_000

#: How many stanzas are deferred only since no task has taken them yet. It is below 500, beyond which Prosody does not
#: let the session be resumed.
UNTAKEN = 400


class Receipt:
    """Defers the count of one stanza until all its users have finished with it."""

    __slots__ = ("_counter", "abandoned", "is_firm", "users")

    def __init__(self, counter: HandledCounter) -> None:
        self._counter = counter
        self.users: int = 0
        self.is_firm: bool = False
        """Whether a user has to finish with the stanza before it may be counted, however long that takes."""
        self.abandoned: bool = False
        """Whether a user went away without finishing."""

    @property
    def finished(self) -> bool:
        """Whether the stanza may be counted."""
        return not self.users and not self.abandoned

    def share(self, *, firm: bool = True) -> Receipt:
        """Add a user."""
        self.users += 1
        self.is_firm = self.is_firm or firm
        return self

    def finish(self) -> None:
        """One user has finished."""
        self.users -= 1
        self._counter.count_finished()

    def abandon(self) -> None:
        """One user will not finish: deliver the stanza again, if there is an opportunity."""
        self.users -= 1
        self.abandoned = True


class HandledCounter:
    """Counts the inbound stanzas of one session. The reader calls `arrived`, delivers, and calls `processed`."""

    __slots__ = (
        "_asked_by",
        "_behind",
        "_current",
        "_is_new",
        "_limit",
        "_management",
        "_processing",
        "_repeated",
    )

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._management: StreamManagement[Any] | None = None
        self._behind: deque[Receipt | None] = deque()
        """The stanzas from the first unfinished one on. None: nothing defers this one but its predecessors."""
        self._repeated = 0
        """How many of the last of these the server will send again."""
        self._processing = False
        self._is_new = True
        self._current: Receipt | None = None
        """The receipt of the stanza that is being processed."""
        self._asked_by: ControlChannel | None = None
        """The link on which the server asked for a count while some stanzas were deferred."""

    def __len__(self) -> int:
        return len(self._behind)

    def limit_to(self, limit: int) -> None:
        """From now on at most this number of stanzas may wait behind an unfinished one."""
        self._limit = limit

    def arrived(self, management: StreamManagement[Any]) -> bool:
        """Begin to process a stanza; return False if the application has this one already.

        Raises ConnectionError if too many stanzas wait: the server sends what was not counted after a resumption.
        """
        self._management = management
        self._is_new = not self._repeated
        if self._repeated:
            index = len(self._behind) - self._repeated
            self._repeated -= 1
            receipt = self._behind[index] if index >= 0 else None
            if receipt is None or receipt.users or not receipt.abandoned:
                return False
            receipt.abandoned = False
            self._current = receipt
        elif len(self._behind) >= self._limit:
            raise ConnectionError(f"{self._limit} stanzas wait for one that the application has not finished with")
        self._processing = True
        return True

    def receipt(self, *, firm: bool = True) -> Receipt | None:
        """Defer the count of the stanza that is being processed, for one more user; None if nothing counts it.

        `firm`: until that user has finished; else only until there are `UNTAKEN` newer ones.
        """
        if not self._processing:
            return None
        if self._current is None:
            self._current = Receipt(self)
        return self._current.share(firm=firm)

    def processed(self) -> None:
        """Count the stanza, unless its receipt or one before it defers that."""
        receipt, self._current, self._processing = self._current, None, False
        if self._is_new:
            if not self._behind and (receipt is None or receipt.finished):
                assert self._management is not None
                self._management.received()
                return
            self._behind.append(receipt)
        self.count_finished()
        if len(self._behind) > UNTAKEN:
            self._count(untaken=True)

    def asked(self, control: ControlChannel) -> None:
        """The server asks for the count: answer now and, if stanzas are deferred, again when the count grows."""
        self._asked_by = control if self._behind else None
        control.send_nowait(Control.OWE_ACK)

    def resuming(self) -> None:
        """The server learns the count now, and will send the other stanzas again."""
        self._repeated = len(self._behind)
        self._asked_by = None

    def end(self) -> None:
        """The session is over: count no more."""
        self._behind.clear()
        self._repeated = 0

    def count_finished(self) -> None:
        """Count the finished stanzas, up to the first unfinished one."""
        if self._behind and not self._processing:
            self._count()

    def _count(self, *, untaken: bool = False) -> None:
        """Count from the oldest stanza on. `untaken`: also one that merely waits in an inbox, if too many do."""
        assert self._management is not None
        before = len(self._behind)
        while self._behind and ((first := self._behind[0]) is None or first.finished or untaken):
            if untaken and first is not None and (len(self._behind) <= UNTAKEN or first.is_firm):
                break
            self._behind.popleft()
            self._management.received()
        if self._asked_by is not None and len(self._behind) < before:
            # The writer takes its time: it writes fewer acks than there are stanzas.
            self._asked_by.send_nowait(Control.OWE_ACK)
            if not self._behind:
                self._asked_by = None
