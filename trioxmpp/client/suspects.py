"""Which stanza of ours makes the server end one link after the other.

A server may end the stream for a stanza that it does not take: for its size, say, if it announced no limit. The stanza
is sent again on the next link, or in the next session, and ends that as well; nothing behind it ever leaves. The server
does not say which stanza it means. It reads them in order, so a stanza that is the first one in flight each time is the
one to try: it is sent alone once. If that link ends in the same way, the stanza fails, and the others go on.
"""

from __future__ import annotations

import logging

from ..errors import StanzaRefused
from ..stream.outbound.token import OutgoingStanza
from ..stream.session import SessionState
from .cause import Cause
from .journal.outbox import JournalEntry, OutboxJournal

__all__ = ["Suspects"]

_logger = logging.getLogger(__name__)

#: A stanza is sent alone after it was the first one in flight at this number of ends in a row; at the next, it fails.
ENDS_BEFORE_ALONE = 2

#: The server ended the stream for what we have sent.
_FOR_A_STANZA = frozenset({Cause.POLICY, Cause.STREAM_ERROR})


class Suspects:
    """Counts the ends of links for the stanza that was the first in flight."""

    def __init__(self, outbox: OutboxJournal | None) -> None:
        self._outbox = outbox
        self._first: JournalEntry | OutgoingStanza | None = None
        self._ends = 0

    def link_ended(self, session: SessionState, cause: Exception) -> bool:
        """Take note of the end of a link of `session`. Return whether a stanza is to blame; it has failed, then.

        A link that breaks without a word of the server says nothing about any stanza.
        """
        if Cause.of(cause) not in _FOR_A_STANZA:
            return False
        first = self._first_in_flight(session)
        self._ends = self._ends + 1 if first is not None and first is self._first else 1
        self._first = first
        if first is None or self._ends < ENDS_BEFORE_ALONE:
            return False
        if self._ends == ENDS_BEFORE_ALONE:
            _logger.warning("the server ended %d links on which it got %r; it is sent alone", self._ends, first.stanza)
            self._send_alone(first, session)
            return False
        error = StanzaRefused(first.stanza.id, self._ends, str(cause))
        error.__cause__ = cause
        self._fail(first, session, error)
        return True

    def _first_in_flight(self, session: SessionState) -> JournalEntry | OutgoingStanza | None:
        """Return the first durable message in flight, or else the first stanza."""
        durable = None if self._outbox is None else self._outbox.first_in_flight(session)
        return durable or session.first_in_flight

    def _send_alone(self, first: JournalEntry | OutgoingStanza, session: SessionState) -> None:
        if isinstance(first, OutgoingStanza):
            session.suspect(first)
        elif self._outbox is not None:
            self._outbox.send_alone(first)

    def _fail(self, first: JournalEntry | OutgoingStanza, session: SessionState, error: StanzaRefused) -> None:
        _logger.error("%r is given up: %s", first.stanza, error)
        self._first, self._ends = None, 0
        if isinstance(first, OutgoingStanza):
            session.condemn(first, error)
        elif self._outbox is not None:
            self._outbox.give_up(first, error)
