"""Totals over all links and sessions of a stream, from counts that exist anyway.

Nothing is added for each stanza: stream management counts them (XEP-0198 §4), and an XML stream counts its elements.
When a link or a session ends, its counts are added here; `Tally.now` adds those of the present ones.
"""

from __future__ import annotations

from ..record import record
from .inbound.losses import Losses
from .session import SessionState
from .xmlstream import XmlStream

__all__ = ["StreamCounts", "Tally"]


@record
class StreamCounts:
    """The figures of a stream. `trioxmpp.Counters` adds those that only a client knows.

    Those that `Counters.GAUGES` names are of the present moment. All others only grow, over all links and sessions.
    """

    links: int
    """Links of sessions: the first one, and one for each reconnect."""
    elements_received: int
    """First-level elements that arrived in sessions: stanzas, and the acknowledgements and requests between them."""
    stanzas_handled: int
    """Inbound stanzas that count as handled (XEP-0198 §4); those of sessions without stream management do not."""
    stanzas_sent: int
    """Stanzas that were sent. A stanza that had to be sent again counts once."""
    stanzas_acked: int
    """Stanzas that the server has acknowledged; 0 without stream management."""
    queued: int
    """Stanzas that wait to be sent."""
    queued_octets: int
    """Their octets, roughly."""
    in_flight: int
    """Stanzas that were sent and are not acknowledged; 0 without stream management."""
    in_flight_octets: int
    """Their octets."""
    deferred: int
    """Inbound stanzas that do not count as handled yet, since a consumer still has them, or one before them."""
    pending_requests: int
    """Requests that wait for a reply."""
    dropped: int
    """Inbound stanzas that were dropped from an inbox, since its consumer was too slow."""
    unclaimed: int
    """Inbound stanzas that were dropped, since nothing had subscribed to them."""
    passed_over: int
    """Inbound stanzas that were passed over, since they exceeded a limit or could not be read."""


class Tally:
    """The totals of links and sessions that are over."""

    __slots__ = ("_acked", "_elements", "_handled", "_links", "_losses", "_sent")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._links = self._elements = 0
        self._handled = self._acked = self._sent = 0

    def link_begins(self) -> None:
        """There is another link."""
        self._links += 1

    def link_ends(self, xmlstream: XmlStream) -> None:
        """Add the counts of a link that is over."""
        self._elements += xmlstream.elements_received

    def session_ends(self, session: SessionState) -> None:
        """Add the counts of a session, right before it settles its stanzas."""
        handled, acked, sent = _managed(session)
        self._handled += handled
        self._acked += acked
        self._sent += sent

    def now(self, session: SessionState, xmlstream: XmlStream | None) -> StreamCounts:
        """Return the totals, with those of the session and the link of now."""
        handled, acked, sent = _managed(session)
        return StreamCounts(
            links=self._links,
            elements_received=self._elements + (0 if xmlstream is None else xmlstream.elements_received),
            stanzas_handled=self._handled + handled,
            stanzas_sent=self._sent + sent,
            stanzas_acked=self._acked + acked,
            queued=len(session.outgoing.queue),
            queued_octets=session.outgoing.octets,
            in_flight=0 if session.sm is None else len(session.sm.unacked),
            in_flight_octets=session.outgoing.in_flight,
            deferred=len(session.handled),
            pending_requests=len(session.replies),
            dropped=self._losses.overflowed,
            unclaimed=self._losses.unclaimed,
            passed_over=self._losses.passed_over,
        )


def _managed(session: SessionState) -> tuple[int, int, int]:
    """Return the stanzas of a session that were handled, acknowledged, and sent."""
    if session.sm is None:
        return 0, 0, session.outgoing.sent_unmanaged
    acked = session.sm.acked_in_total
    return session.sm.handled_in_total, acked, session.outgoing.sent_unmanaged + acked + session.sm.sent_unacked
