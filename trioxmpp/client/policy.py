"""What the user decides about sessions and their repair."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ReconnectPolicy", "SMPolicy"]


@dataclass(frozen=True, slots=True)
class SMPolicy:
    """How XEP-0198 is used.

    `resume` asks the server to keep the session when the link breaks; `max` is for how many seconds, as a wish. While
    much is queued, an acknowledgement is requested after `ack_after` stanzas; what is sent last always has one
    requested.
    """

    resume: bool = True
    max: int | None = None
    ack_after: int = 64


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """How a broken link is repaired.

    `renew` tells whether a session that could not be resumed is replaced by a new one, which the events Destroyed and
    Established tell of; otherwise the block ends with SessionLost. Before each attempt there is a random delay of
    between `initial` seconds and three times the one before, `maximum` at most; it starts over once a link has
    lasted for `stable` seconds, so that a server that throws us out at once is not stormed.
    """

    renew: bool = True
    initial: float = 1.0
    maximum: float = 60.0
    stable: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum:
            raise ValueError("0 < initial <= maximum: without a delay, a server that is down would be stormed")

    def delays(self, rng: random.Random | None = None) -> Iterator[float]:
        """The delays before one attempt after the other, in seconds: exponential backoff, decorrelated by chance."""
        draw = (rng or random).uniform
        delay = self.initial
        while True:
            # Also the first: all that a server has lost in one moment must not be back in one moment.
            delay = min(self.maximum, draw(self.initial, delay * 3))
            yield delay
