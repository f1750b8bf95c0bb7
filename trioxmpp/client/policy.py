"""The settings of the user for sessions and their repair, and the decisions that follow: no clock, no wire."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TypeAlias

from ..record import record, replace
from .cause import Cause

__all__ = ["AskCredentials", "BackoffState", "Cause", "Decision", "GiveUp", "ReconnectPolicy", "SMPolicy", "Wait"]


@record
class SMPolicy:
    """How XEP-0198 is used.

    `resume` asks the server to keep the session when the link breaks; `max` is for how many seconds, as a wish. While
    much is queued, an acknowledgement is requested after `ack_after` stanzas; what is sent last always has one
    requested.
    """

    resume: bool = True
    max: int | None = None
    ack_after: int = 64


@record
class Wait:
    """Try again in `seconds`."""

    seconds: float


@record
class AskCredentials:
    """Try again at once, with credentials that are asked for anew."""


@record
class GiveUp:
    """Do not try again."""

    reason: str


Decision: TypeAlias = Wait | AskCredentials | GiveUp


@record
class BackoffState:
    """The attempts to get a link since one last lasted, and their outcome."""

    number: int = 1
    """Of the attempt that comes next."""
    delay: float = 0.0
    """Seconds before the one that has failed."""
    refused: int = 0
    """How many links in a row the server has ended with an error."""
    redirected: int = 0
    """How often the server has sent us elsewhere."""
    asked: int = 0
    """How often credentials were asked for anew."""

    def failed(self, cause: Cause) -> BackoffState:
        """The attempt, or the link that came of it, has ended for that cause."""
        return replace(
            self,
            refused=self.refused + 1 if cause.is_refusal else 0,
            redirected=self.redirected + (cause is Cause.SEE_OTHER_HOST),
        )

    def decided(self, decision: Decision) -> BackoffState:
        """The next one, which is to be made as was decided."""
        delay = self.delay if isinstance(decision, GiveUp) else getattr(decision, "seconds", 0.0)
        asked = self.asked + isinstance(decision, AskCredentials)
        return replace(self, number=self.number + 1, delay=delay, asked=asked)


@record
class ReconnectPolicy:
    """How a broken link is repaired.

    `renew` tells whether a session that could not be resumed is replaced by a new one, which the events Destroyed and
    Established tell of; otherwise the block ends with SessionLost. Before each attempt there is a random delay of
    between `initial` seconds and three times the one before, `maximum` at most; it starts over once a link has
    lasted for `stable` seconds, so that a server that throws us out at once is not stormed.

    A server that has ended `breaker` links in a row with an error, none of which lasted, is left alone for `cool_down`
    seconds, or up to twice as long, before each further attempt. Where it sends us elsewhere (*see-other-host*), it is
    followed at once, `redirects` times at most. `ask_again` tells how often a function for credentials is asked again
    at once, if those that it gave are refused during a repair: for functions that ask a person.

    `first` retries the first connection, too, if it fails for a transient cause: no network, no server, silence. It is
    off for `connect`, whose caller can decide, and on for `serve`: a bot in a container starts before its network.
    """

    renew: bool = True
    initial: float = 1.0
    maximum: float = 60.0
    stable: float = 30.0
    breaker: int = 5
    cool_down: float = 300.0
    redirects: int = 3
    ask_again: int = 0
    first: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum:
            raise ValueError("0 < initial <= maximum: without a delay, a server that is down would be stormed")

    def decide(self, cause: Cause, outage: BackoffState, rng: random.Random | None = None) -> Decision:
        """Return what to do after `cause`, given the attempts so far: the same for the same draws of `rng`."""
        draw = (rng or random).uniform
        if cause is Cause.AUTH and outage.asked < self.ask_again:
            return AskCredentials()
        if cause.is_hopeless:
            return GiveUp(cause.value)
        if cause is Cause.SEE_OTHER_HOST and outage.redirected <= self.redirects:
            return Wait(0.0)
        if outage.refused >= self.breaker:
            return Wait(draw(self.cool_down, self.cool_down * 2))
        # Also the first: all that a server has lost in one moment must not be back in one moment.
        before = min(max(outage.delay, self.initial), self.maximum)
        return Wait(min(self.maximum, draw(self.initial, before * 3)))

    def delays(self, rng: random.Random | None = None) -> Iterator[float]:
        """The delays before one attempt after the other, in seconds: exponential backoff, decorrelated by chance."""
        outage = BackoffState()
        while True:
            decision = self.decide(Cause.TCP, outage, rng)
            assert isinstance(decision, Wait)
            outage = outage.decided(decision)
            yield decision.seconds
