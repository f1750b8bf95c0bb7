"""Whether the link is still alive: the only task with a clock.

There are two silences. If the *server* has said nothing for `soft_timeout`, it is asked to say something; only when it
has been asked, and `round_trip_time` has passed since, the link is dead. A process that stood still (SIGSTOP, a machine
that slept) has not waited, however late it is: it asks again. If *we* have said nothing for some minutes, or for most
of the time that the server tolerates (XEP-0478 `idle-seconds`), we say something, or the server may think that we are
gone (RFC 6120 §4.6.1).

On a slow link, the question stands behind all that was written before. So the patience begins when all that
was written before has arrived (`XmlStream.arrives_by`), as far as that is more than a usual buffer.

A machine that sleeps stops the clock that timeouts are measured by, and goes on with the one on the wall. If one of the
two clocks jumps against the other, the link is checked at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import trio

from ..errors import StreamTimeout
from ..jid import JID
from ..protocol.elements.ping import Ping
from ..protocol.stanza import IQ, IQType
from ..record import record
from .ids import new_id
from .inbound.replies import ReplyTable
from .outbound.unconfirmed import Unconfirmed
from .xmlstream import SLOWEST_LINK, XmlStream

__all__ = ["Alarm", "Clocks", "Liveness", "LivenessSettings", "Pings", "Watchdog"]

#: Seconds of silence after which a link is idle, and frees the memory that it needs for reading only.
IDLE_AFTER = 5.0

#: We say something at least every few minutes, and in this share of the time that the server tolerates.
KEEPALIVE = 240.0
KEEPALIVE_SHARE = 0.75

#: A buffer that is usual: octets on the way that do not make us more patient.
USUAL_BUFFER = 65536

#: If the watchdog wakes up this many seconds too late, the process stood still.
LATE = 5.0

#: The clocks are compared every few seconds. A difference that changes by this many seconds is a jump.
COMPARED_EVERY = 5.0
JUMP = 10.0
PATIENCE_AFTER_JUMP = 10.0


@record
class Liveness:
    """How much silence is tolerated, in seconds.

    After `soft_timeout` without a byte the server is asked to say something; if it does not within `round_trip_time`
    from then on, the link is dead. None for `round_trip_time` means never dead, None for `soft_timeout` never asked
    either; neither is wise, since TCP alone takes many minutes to notice. The default is below the 60 seconds after
    which common proxies cut a silent link.
    """

    soft_timeout: float | timedelta | None = 45.0
    round_trip_time: float | timedelta | None = 60.0


class Clocks(NamedTuple):
    """The two clocks that are compared: both give seconds. Only `wall` goes on while the machine sleeps."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic

    def difference(self) -> float:
        """Return by how much one is ahead of the other."""
        return self.wall() - self.steady()


class LinkCheck(NamedTuple):
    """A link is in doubt from one moment on, until anything is heard, or for `patience` seconds at most."""

    since: float = -math.inf
    patience: float = 0.0


class Question(NamedTuple):
    """The server was asked to say something."""

    silence: float
    """The beginning of the silence in which it was asked."""
    check: LinkCheck
    """The doubt about which it was asked."""
    asked: float
    """When it was asked."""
    delay: float
    """How many seconds what was written before may still be on the way."""


def _seconds(value: float | timedelta | None) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if value is not None and not value >= 0:
        raise ValueError("a time limit is a number of seconds, a timedelta, or None")
    return value


class LivenessSettings:
    """The two limits as they are now. A change applies to the silence that is going on."""

    def __init__(self, limits: Liveness, clocks: Clocks | None = None) -> None:
        self._soft_timeout = _seconds(limits.soft_timeout)
        self._round_trip_time = _seconds(limits.round_trip_time)
        self.clocks: Clocks = clocks or Clocks()
        self.changed: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        self.check: LinkCheck = LinkCheck()

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


class Alarm:
    """One call that is to be made at some time. The watchdog makes it, so that no task has to wait for that time alone.

    While there is no link, it waits for one.
    """

    __slots__ = ("_call", "due")

    def __init__(self) -> None:
        self.due: float = math.inf
        """The time of the call; infinite if none is wanted."""
        self._call: Callable[[], None] | None = None

    def set(self, due: float, call: Callable[[], None]) -> None:
        """Have `call` made at this time, or some seconds later."""
        self.due, self._call = due, call

    def clear(self) -> None:
        """Have no call made."""
        self.due, self._call = math.inf, None

    def ring(self) -> None:
        """The time has come."""
        call = self._call
        self.clear()
        if call is not None:
            call()


class Watchdog:
    """Watches one XML stream. `XmlStream.heard` decides what counts as a sign of life.

    A sign of life need not answer what was asked. `ask` has the server say something, `speak` says something to it.
    """

    def __init__(
        self,
        xmlstream: XmlStream,
        settings: LivenessSettings,
        alarm: Alarm,
        ask: Callable[[], None],
        speak: Callable[[], None],
    ) -> None:
        self._xmlstream = xmlstream
        self._settings = settings
        self._alarm = alarm
        self._ask = ask
        self._speak = speak
        self._question: Question | None = None
        self._difference = settings.clocks.difference()
        idle = None if xmlstream.limits is None else xmlstream.limits.idle_seconds
        self._keepalive = KEEPALIVE if idle is None else min(KEEPALIVE, idle * KEEPALIVE_SHARE)

    async def run(self) -> None:
        """Wait until the silence is too long, and raise StreamTimeout."""
        rested = -math.inf  # the start of the silence in which we freed what an idle link needs not
        spoke = -math.inf  # when we said something only so as not to be silent
        looked = False
        compare = trio.current_time() + COMPARED_EVERY
        while True:
            heard, now = self._xmlstream.heard, trio.current_time()
            ask, death = self._deadlines(heard, self._settings.check)
            quiet = math.inf if rested == heard else heard + IDLE_AFTER
            silent = max(self._xmlstream.spoken, spoke) + self._keepalive
            due = min(ask, death, quiet, silent, compare, self._alarm.due)
            if now < due:
                looked = False
                with trio.CancelScope(deadline=due):
                    await self._settings.changed.park()
                if trio.current_time() > due + LATE:
                    self._question = None  # we stood still, and have not waited for an answer
            elif now >= compare:
                compare = now + COMPARED_EVERY
                self._compare_clocks()
            elif now >= self._alarm.due:
                self._alarm.ring()
            elif now >= silent:
                spoke = now
                self._speak()
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
                delay = max(0.0, self._xmlstream.arrives_by - now - USUAL_BUFFER / SLOWEST_LINK)
                self._question = Question(heard, self._settings.check, now, delay)
                self._ask()

    def _deadlines(self, heard: float, check: LinkCheck) -> tuple[float, float]:
        """When to ask, and when to give up, if nothing was heard since `heard`. One of them is infinite."""
        soft, round_trip = self._settings.soft_timeout, self._settings.round_trip_time
        in_doubt, question = check.since > heard, self._question
        is_open = question is not None and (heard == question.silence or heard < question.asked)
        if question is None or not is_open or (in_doubt and question.check != check):
            ask = math.inf if soft is None else heard + soft
            return (min(ask, check.since) if in_doubt else ask), math.inf
        death = math.inf if round_trip is None else question.asked + round_trip + question.delay
        if in_doubt:
            death = min(death, question.asked + check.patience + question.delay)
        return math.inf, death

    def _compare_clocks(self) -> None:
        """Check the link if one of the clocks has jumped against the other: the machine has slept."""
        before, self._difference = self._difference, self._settings.clocks.difference()
        if abs(self._difference - before) >= JUMP:
            self._settings.check_link(PATIENCE_AFTER_JUMP)


class Pings:
    """Requests for a sign of life of a server that does not manage the stream (XEP-0199). Any reply will do.

    They are no stanzas of the application: they have no token, and do not wait behind any.
    """

    __slots__ = ("_id", "_replies", "_unconfirmed")

    def __init__(self, replies: ReplyTable, unconfirmed: Unconfirmed | None) -> None:
        self._id: str | None = None
        self._replies = replies
        self._unconfirmed = unconfirmed

    def request(self, local_jid: JID | None, server: JID | None = None) -> str:
        """Return the request, to be written at once.

        A client asks its own account. A component has none: it asks its `server`, in the name of its domain. A server
        that never answers, but says other things, is asked again with the same id.
        """
        own = None if server is None else local_jid
        if self._id is None or not self._replies.expects(server, self._id, local_jid, own=own):
            self._id = new_id()
            self._replies.expect(server, self._id, local_jid, self._answered, own=own)
        if self._unconfirmed is not None:
            self._unconfirmed.pinged()
        return IQ(type=IQType.GET, to=server, from_=own, payload=Ping(), id=self._id).serialise()

    def _answered(self, reply: IQ) -> None:
        if self._unconfirmed is not None:
            self._unconfirmed.confirmed()
