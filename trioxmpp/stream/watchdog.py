"""Whether the link is still alive: the only task with a clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import trio

from ..errors import StreamTimeout
from .xmlstream import XmlStream

__all__ = ["Liveness", "LivenessKnobs", "Watchdog"]


@dataclass(frozen=True, slots=True)
class Liveness:
    """How much silence is tolerated, in seconds.

    After `soft_timeout` without a byte the server is asked to say something; if it does not within `round_trip_time`,
    the link is dead. None for `round_trip_time` means never dead, None for `soft_timeout` never asked either; neither
    is wise, since TCP alone takes many minutes to notice.
    """

    soft_timeout: float | timedelta | None = 60.0
    round_trip_time: float | timedelta | None = 60.0


def _seconds(value: float | timedelta | None) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if value is not None and not value >= 0:
        raise ValueError("a time limit is a number of seconds, a timedelta, or None")
    return value


class LivenessKnobs:
    """The two limits as they are now. A change applies to the silence that is going on."""

    def __init__(self, limits: Liveness) -> None:
        self._soft_timeout = _seconds(limits.soft_timeout)
        self._round_trip_time = _seconds(limits.round_trip_time)
        self.changed = trio.lowlevel.ParkingLot()

    @property
    def soft_timeout(self) -> float | None:
        """Seconds of silence after which the server is asked to say something; None: never.

        Settable at any time, also to a timedelta.
        """
        return self._soft_timeout

    @soft_timeout.setter
    def soft_timeout(self, value: float | timedelta | None) -> None:
        self._soft_timeout = _seconds(value)
        self.changed.unpark_all()

    @property
    def round_trip_time(self) -> float | None:
        """Seconds that the server then has to say anything; None: for ever.

        Settable at any time, also to a timedelta. It has nothing to do with how long a request may take.
        """
        return self._round_trip_time

    @round_trip_time.setter
    def round_trip_time(self, value: float | timedelta | None) -> None:
        self._round_trip_time = _seconds(value)
        self.changed.unpark_all()


class Watchdog:
    """Watches one XML stream. Any byte counts as a sign of life, whether or not it answers what was asked."""

    def __init__(self, xmlstream: XmlStream, knobs: LivenessKnobs, ask: Callable[[], None]) -> None:
        self._xmlstream = xmlstream
        self._knobs = knobs
        self._ask = ask

    async def run(self) -> None:
        """Wait until the silence is too long, and raise StreamTimeout."""
        asked = -math.inf  # the start of the silence in which we asked
        while True:
            heard, now, limits = self._xmlstream.heard, trio.current_time(), self._knobs
            deadline = math.inf
            if limits.soft_timeout is not None:
                deadline = heard + limits.soft_timeout
                if now >= deadline and asked != heard:
                    asked = heard
                    self._ask()
                if asked == heard:
                    deadline = math.inf
                if limits.round_trip_time is not None:
                    dead = heard + limits.soft_timeout + limits.round_trip_time
                    if now >= dead:
                        raise StreamTimeout(f"timeout: nothing was heard from the server for {now - heard:.3g} seconds")
                    deadline = min(deadline, dead)
            with trio.CancelScope(deadline=deadline):
                await self._knobs.changed.park()
