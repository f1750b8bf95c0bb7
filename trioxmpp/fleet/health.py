"""How the accounts of a fleet do."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator

from ..jid import JID
from ..record import field, record
from ..text import because

__all__ = ["FleetHealth", "MemberHealth", "MemberState"]


class MemberState(enum.Enum):
    """Where an account of a fleet stands."""

    WAITING = "waits for its turn to start"
    CONNECTING = "is connecting for the first time"
    ONLINE = "has a session with a link"
    SUSPENDED = "is getting its link or session back"
    RESTARTING = "has lost its client, and waits for the next one"
    DOWN = "has lost its client for good"
    FINISHED = "has logged out for good"

    @property
    def is_final(self) -> bool:
        """Whether nothing changes any more by itself."""
        return self in (MemberState.DOWN, MemberState.FINISHED)


@record
class MemberHealth:
    """How one account does, as `Member.health` found it.

    `seconds` is for how long the account has been in its `state`, `starts` how often a client was begun, `error` the
    reason why the last client ended, or why the last attempt to repair the link failed; None once all is well again.
    `retry_in` is the number of seconds until the next start while it is RESTARTING.
    """

    jid: JID
    state: MemberState
    seconds: float
    starts: int
    error: Exception | None = field(default=None, compare=False)
    retry_in: float | None = None

    def __str__(self) -> str:
        text = f"{self.jid} {self.state.value}"
        return text if self.error is None else because(text, self.error)


@record
class FleetHealth:
    """How all accounts do: one entry each, in the order in which they were added."""

    members: tuple[MemberHealth, ...]

    @property
    def counts(self) -> dict[MemberState, int]:
        """How many accounts are in which state; states without an account are left out."""
        return dict(Counter(member.state for member in self.members))

    @property
    def online(self) -> int:
        """How many accounts have a session with a link."""
        return self.counts.get(MemberState.ONLINE, 0)

    @property
    def ok(self) -> bool:
        """Whether every account is online, or has finished."""
        return not [*self.troubled()]

    def troubled(self) -> Iterator[MemberHealth]:
        """Yield the accounts that are neither online nor finished."""
        well = (MemberState.ONLINE, MemberState.FINISHED)
        return (member for member in self.members if member.state not in well)

    def __str__(self) -> str:
        return f"{self.online} of {len(self.members)} accounts are online" + "".join(
            f"\n  {member}" for member in self.troubled()
        )
