"""Figures of a client for monitoring: totals since it was made, and the lengths of its queues now."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from ..record import record
from ..stream.core import StreamCore
from ..stream.signal import Signal
from .events import Destroyed, Established, Event, Resumed, Suspended, Trouble
from .reconnector import Reconnector

__all__ = ["Counters", "Figures"]


@record
class Counters:
    """The figures of a client, as `Client.counters` found them.

    Those in `GAUGES` are of the present moment. All others only grow, over all links and sessions of the client.
    """

    GAUGES: ClassVar[frozenset[str]] = frozenset(
        {
            "linked",
            "queued",
            "queued_octets",
            "in_flight",
            "in_flight_octets",
            "deferred",
            "pending_requests",
        }
    )
    """The names of the fields that may fall."""

    linked: bool
    """Whether there is a session with a link."""
    links: int
    """Links of sessions: the first one, and one for each reconnect."""
    failures: int
    """Links that ended without being closed, and attempts to get one that failed."""
    sessions: int
    """New sessions that were established."""
    sessions_lost: int
    """Sessions that could not be resumed."""
    suspensions: int
    """Breaks of a link, as the event Suspended tells."""
    resumptions: int
    """Sessions that went on: on another link, or from another process."""
    troubles: int
    """Failures of services, as the event Trouble tells."""
    elements_received: int
    """First-level elements that arrived in sessions: stanzas, and the acknowledgements and requests between them."""
    stanzas_handled: int
    """Inbound stanzas that count as handled (XEP-0198 §4); those of sessions without stream management do not."""
    stanzas_sent: int
    """Stanzas that were sent, each once, however often it had to be sent again."""
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


class Figures:
    """The places that know the figures of a client. It counts the events of the client itself."""

    __slots__ = ("_core", "_events", "_reconnector")

    def __init__(self, core: StreamCore, events: Signal[Event], reconnector: Reconnector | None) -> None:
        self._core = core
        self._reconnector = reconnector
        self._events: Counter[type[Event]] = Counter()
        events.connect(self._hear)

    def _hear(self, event: Event) -> None:
        self._events[type(event)] += 1

    def now(self, *, linked: bool) -> Counters:
        """Return the figures. `linked` is whether there is a session with a link."""
        counts = self._core.counts()
        return Counters(
            linked=linked,
            failures=0 if self._reconnector is None else self._reconnector.failures,
            sessions=self._events[Established],
            sessions_lost=self._events[Destroyed],
            suspensions=self._events[Suspended],
            resumptions=self._events[Resumed],
            troubles=self._events[Trouble],
            **{name: getattr(counts, name) for name in counts.__match_args__},
        )
