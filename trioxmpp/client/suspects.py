"""Which stanza of ours makes the server end one link after the other.

A server may end the stream for a stanza that it does not take: for its size, say, if it announced no limit. Some say
so by a stream error, others just close the connection. The stanza is sent again on the next link, or in the next
session, or by the next process, and ends that as well; nothing behind it ever leaves. The server does not say which
stanza it means. It reads them in order, so a stanza that is the first one in flight each time is the one to try: it is
sent alone once. If that link ends in the same way, the stanza fails, and the others go on.

A connection that breaks says less than a stream error, since networks break as well. So it takes more of them.
"""

from __future__ import annotations

import logging
from typing import Final

from ..errors import StanzaRefused
from ..record import replace
from ..stream.outbound.token import OutgoingStanza
from ..stream.session import SessionState
from .cause import Cause
from .journal.outbox import JournalEntry, OutboxJournal
from .store.storedsession import Suspect, SuspectStage

__all__ = ["Suspects"]

_logger = logging.getLogger(__name__)

#: A stanza is sent alone after it was the first one in flight at ends of links in a row that weigh as much; at the
#: next end, it fails. A stream error weighs more than an end without a word.
WEIGHT_BEFORE_ALONE: Final = 4
STREAM_ERROR, SILENT_END = 2, 1

#: The server ended the stream for what we have sent.
_FOR_A_STANZA: Final = frozenset({Cause.POLICY, Cause.STREAM_ERROR})


class Suspects:
    """Counts the ends of links for the stanza that was the first in flight, in the outbox if there is one.

    Then the store has the count, too, and the next process goes on with it.
    """

    def __init__(self, outbox: OutboxJournal | None) -> None:
        self._outbox = outbox
        self._first: OutgoingStanza | None = None
        self._suspect: Suspect | None = None

    def restored(self, session: SessionState) -> None:
        """Go on where another process has stopped: send a stanza alone, or not at all."""
        suspect, entry = (None, None) if self._outbox is None else (self._outbox.suspect, self._outbox.suspected)
        if suspect is None or entry is None:
            return
        if suspect.stage is SuspectStage.SENT_ALONE:
            self._send_alone(entry, session)
        elif suspect.stage is SuspectStage.GIVEN_UP:
            reason = "it was sent alone by another process, and the link ended"
            self._fail(entry, session, StanzaRefused(entry.stanza.id, suspect.ends, reason))

    def link_ended(self, session: SessionState, cause: Exception) -> bool:
        """Take note of the end of a link of `session`. Return whether a stanza is to blame; it fails, then.

        A link on which the server fell silent says nothing about any stanza.
        """
        weight = _weight(cause)
        if not weight:
            return False
        first = self._first_in_flight(session)
        suspect = self._count(first, weight)
        if first is None or suspect.weight < WEIGHT_BEFORE_ALONE:
            return False
        if suspect.stage is SuspectStage.SUSPECTED:
            self._note(replace(suspect, stage=SuspectStage.SENT_ALONE))
            text = "the server ended %d links on which it got %r; it is sent alone"
            _logger.warning(text, suspect.ends, first.stanza)
            self._send_alone(first, session)
            return False
        self._note(replace(suspect, stage=SuspectStage.GIVEN_UP))
        error = StanzaRefused(first.stanza.id, suspect.ends, str(cause))
        error.__cause__ = cause
        self._fail(first, session, error)
        return True

    def _count(self, first: JournalEntry | OutgoingStanza | None, weight: int) -> Suspect:
        """Count an end for the stanza that was the first in flight."""
        number = first.number if isinstance(first, JournalEntry) else 0
        before = self._suspect if self._outbox is None else self._outbox.suspect
        is_the_same = before is not None and before.number == number
        if self._outbox is None:
            is_the_same = is_the_same and first is self._first
            self._first = first if isinstance(first, OutgoingStanza) else None
        suspect = before if before is not None and is_the_same else Suspect(number, 0, 0)
        suspect = replace(suspect, ends=suspect.ends + 1, weight=suspect.weight + weight)
        self._note(None if first is None else suspect)
        return suspect

    def _note(self, suspect: Suspect | None) -> None:
        if self._outbox is None:
            self._suspect = suspect
        else:
            self._outbox.note_suspect(suspect)

    def _first_in_flight(self, session: SessionState) -> JournalEntry | OutgoingStanza | None:
        return session.first_in_flight if self._outbox is None else self._outbox.first_in_flight(session)

    def _send_alone(self, first: JournalEntry | OutgoingStanza, session: SessionState) -> None:
        if isinstance(first, OutgoingStanza):
            session.suspect(first)
        elif self._outbox is not None:
            self._outbox.send_alone(first)

    def _fail(self, first: JournalEntry | OutgoingStanza, session: SessionState, error: StanzaRefused) -> None:
        _logger.error("%r is given up: %s", first.stanza, error)
        if isinstance(first, OutgoingStanza):
            self._first = self._suspect = None
            session.condemn(first, error)
        elif self._outbox is not None:
            self._outbox.give_up(first, error)


def _weight(cause: Exception) -> int:
    """Return how much the end of a link says about the stanzas that were in flight; 0 for nothing."""
    kind = Cause.of(cause)
    if kind in _FOR_A_STANZA:
        return STREAM_ERROR
    # The connection was there, and the other side has closed it. A network that is gone has other errors.
    is_closed = kind is Cause.TCP and isinstance(cause, ConnectionResetError | ConnectionAbortedError | BrokenPipeError)
    return SILENT_END if is_closed else 0
