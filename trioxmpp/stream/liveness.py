"""Whether the link is still alive: the only task with a clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import trio

from ..errors import StreamTimeout
from ..record import record
from .xmlstream import XmlStream

__all__ = ["Liveness", "LivenessSettings", "Watchdog"]


@record
class Liveness:
    """How much silence is tolerated, in seconds.

    After `soft_timeout` without a byte the server is asked to say something; if it does not within `round_trip_time`,
    the link is dead. None for `round_trip_time` means never dead, None for `soft_timeout` never asked either; neither
    is wise, since TCP alone takes many minutes to notice.
    """

    soft_timeout: float | timedelta | None = 60.0
    round_trip_time: float | timedelta | None = 60.0


class LinkCheck(NamedTuple):
    """A link is in doubt from one moment on, until anything is heard, or for so many seconds at most."""

    since: float = -math.inf
    patience: float = 0.0


def _seconds(value: float | timedelta | None) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if value is not None and not value >= 0:
        raise ValueError("a time limit is a number of seconds, a timedelta, or None")
    return value


class LivenessSettings:
    """The two limits as they are now. A change applies to the silence that is going on."""

    def __init__(self, limits: Liveness) -> None:
        self._soft_timeout = _seconds(limits.soft_timeout)
        self._round_trip_time = _seconds(limits.round_trip_time)
        self.changed = trio.lowlevel.ParkingLot()
        self.check = LinkCheck()

    def check_link(self, patience: float = 5.0) -> None:
        """Have the server asked at once for a sign of life; without one within `patience` seconds, the link is dead.

        For when there is reason to doubt it: the network has changed, the machine has slept. Returns at once, and does
        nothing if there is no link.
        """
        self.check = LinkCheck(trio.current_time(), _seconds(patience) or 0.0)
        self.changed.unpark_all()

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


#: Seconds of silence after which a link is idle, and lets go of the memory that it needs for reading only.
IDLE_AFTER = 5.0


class Watchdog:
    """Watches one XML stream. `XmlStream.heard` decides what counts as a sign of life.

    A sign of life need not answer what was asked.
    """

    def __init__(self, xmlstream: XmlStream, settings: LivenessSettings, ask: Callable[[], None]) -> None:
        self._xmlstream = xmlstream
        self._settings = settings
        self._ask = ask

    async def run(self) -> None:
        """Wait until the silence is too long, and raise StreamTimeout."""
        asked: tuple[float, LinkCheck] | None = None  # in which silence we asked, and after which doubt
        rested = -math.inf  # the start of the silence in which we let go of what an idle link needs not
        looked = False
        while True:
            heard, check, now = self._xmlstream.heard, self._settings.check, trio.current_time()
            question, death = self._deadlines(heard, check)
            if asked == (heard, check):
                question = math.inf
            quiet = math.inf if rested == heard else heard + IDLE_AFTER
            if now < min(question, death, quiet):
                looked = False
                with trio.CancelScope(deadline=min(question, death, quiet)):
                    await self._settings.changed.park()
            elif now >= quiet:
                rested = heard
                self._xmlstream.release_buffers()
            elif not looked:
                # If the program was busy until now, there may be bytes that the reader is only about to read.
                looked = True
                await trio.lowlevel.checkpoint()
            elif now >= death:
                raise StreamTimeout(f"timeout: nothing was heard from the server for {now - heard:.3g} seconds")
            else:
                asked = heard, check
                self._ask()

    def _deadlines(self, heard: float, check: LinkCheck) -> tuple[float, float]:
        """When to ask, and when to give up, if nothing was heard since `heard`."""
        soft, round_trip = self._settings.soft_timeout, self._settings.round_trip_time
        question = math.inf if soft is None else heard + soft
        death = math.inf if round_trip is None else question + round_trip
        if check.since > heard:
            question, death = min(question, check.since), min(death, check.since + check.patience)
        return question, death
