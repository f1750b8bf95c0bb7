"""Figures of a client for monitoring: totals since it was made, and the lengths of its queues now."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from ..record import record
from ..stream.core import StreamCore
from ..stream.signal import Signal
from ..stream.tally import StreamCounts
from .events import Destroyed, Established, Event, Resumed, Suspended, Trouble
from .reconnector import Reconnector

__all__ = ["Counters", "Figures"]


@record
class Counters(StreamCounts):
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
            **{name: getattr(counts, name) for name in counts.__match_args__},
            linked=linked,
            failures=0 if self._reconnector is None else self._reconnector.failures,
            sessions=self._events[Established],
            sessions_lost=self._events[Destroyed],
            suspensions=self._events[Suspended],
            resumptions=self._events[Resumed],
            troubles=self._events[Trouble],
        )
