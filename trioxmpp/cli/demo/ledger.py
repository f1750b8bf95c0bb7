"""The tallies: messages sent, messages arrived, cuts and their effect. The clients under test do not keep them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ... import StanzaState, StanzaToken

__all__ = ["Direction", "Ledger", "Outage"]


@dataclass(slots=True)
class Direction:
    """The messages from one to the other, which are numbered from 1 on."""

    sender: str
    recipient: str
    tokens: list[StanzaToken] = field(default_factory=list)
    """Of all that was sent; the first is of number 1."""
    arrivals: list[int] = field(default_factory=list)
    """The numbers of what arrived, as it arrived."""

    def __str__(self) -> str:
        return f"{self.sender} -> {self.recipient}: {self.sent} sent, {self.received} received"

    @property
    def sent(self) -> int:
        """How many messages were sent."""
        return len(self.tokens)

    @property
    def received(self) -> int:
        """How many messages arrived, doubled ones included."""
        return len(self.arrivals)

    @property
    def lost(self) -> list[int]:
        """The numbers of those that never arrived."""
        return sorted(set(range(1, self.sent + 1)) - set(self.arrivals))

    @property
    def doubled(self) -> list[int]:
        """The numbers of those that arrived more than once."""
        return sorted(number for number, times in Counter(self.arrivals).items() if times > 1)

    @property
    def in_order(self) -> bool:
        """Whether each arrived after all that were sent before it."""
        return self.arrivals == sorted(self.arrivals)

    def states(self) -> Counter[StanzaState]:
        """How many tokens are in which state."""
        return Counter(token.state for token in self.tokens)

    def summary(self) -> dict[str, Any]:
        """The above, for a machine."""
        return {
            "from": self.sender,
            "to": self.recipient,
            "sent": self.sent,
            "received": self.received,
            "lost": self.lost,
            "doubled": self.doubled,
            "in_order": self.in_order,
        }


@dataclass(slots=True)
class Outage:
    """One cut, and what came of it. Times are in seconds since the demo began."""

    name: str
    at: float
    noticed: float | None = None
    """When the client knew."""
    resumed: float | None = None
    """When it was back."""
    cause: str | None = None
    """The cause as the client saw it."""

    @property
    def time_to_notice(self) -> float | None:
        """From the cut until the client knew."""
        return None if self.noticed is None else self.noticed - self.at

    @property
    def time_to_resume(self) -> float | None:
        """From the cut until the session went on."""
        return None if self.resumed is None else self.resumed - self.at

    def summary(self) -> dict[str, Any]:
        """The above, for a machine."""
        return {
            "cut": self.name,
            "cause": self.cause,
            "seconds_to_notice": _rounded(self.time_to_notice),
            "seconds_to_resume": _rounded(self.time_to_resume),
        }


@dataclass(slots=True)
class Ledger:
    """All of it. `ok` is the verdict: every message arrived once and in order, and every cut was survived."""

    directions: list[Direction]
    cuts: int
    """How many there are to be."""
    outages: list[Outage] = field(default_factory=list)
    failure: str | None = None
    """Why the demo ended early, if it did."""

    @property
    def resumptions(self) -> int:
        """How many times the session went on after a cut."""
        return sum(outage.resumed is not None for outage in self.outages)

    @property
    def lost(self) -> int:
        """How many messages never arrived."""
        return sum(len(direction.lost) for direction in self.directions)

    @property
    def doubled(self) -> int:
        """How many messages arrived more than once."""
        return sum(len(direction.doubled) for direction in self.directions)

    @property
    def ok(self) -> bool:
        """Whether the library has kept its promise."""
        return (
            self.failure is None
            and not self.lost
            and not self.doubled
            and all(direction.in_order and direction.sent for direction in self.directions)
            and set(self.states()) == {StanzaState.ACKED}
            and self.resumptions == self.cuts
        )

    def states(self) -> Counter[StanzaState]:
        """How many tokens are in which state, in both directions."""
        return sum((direction.states() for direction in self.directions), Counter())

    def summary(self) -> dict[str, Any]:
        """The verdict and the figures, for a machine."""
        return {
            "ok": self.ok,
            "failure": self.failure,
            "sent": sum(direction.sent for direction in self.directions),
            "received": sum(direction.received for direction in self.directions),
            "lost": self.lost,
            "doubled": self.doubled,
            "resumptions": self.resumptions,
            "outages": [outage.summary() for outage in self.outages],
            "tokens": {state.value: count for state, count in self.states().items()},
            "directions": [direction.summary() for direction in self.directions],
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
