"""An account of a fleet, and when its client is begun again."""

from __future__ import annotations

import random
from typing import Any

from ..client import Cause, ConnectOptions
from ..jid import JID
from ..record import field, record

__all__ = ["Account", "RestartPolicy"]


@record
class RestartPolicy:
    """When an account whose client has ended gets another client.

    A client repairs its link and replaces its session by itself (`ReconnectPolicy`), so it ends only by what that
    cannot mend: a first connection that fails, a password that is refused, a *conflict*, an exception of the program.

    Before each restart there is a random delay of between `initial` seconds and three times the one before, `maximum`
    at most; it starts over once a client has lasted for `stable` seconds. After `attempts` ends in a row, none of
    which lasted, the account stays down; None: never. After an end for a cause in `never` it stays down at once: by
    default after a login that was refused, since repeating it may lock the account, and after a *conflict*, since two
    programs with one resource would throw each other out for ever.
    """

    initial: float = 5.0
    maximum: float = 600.0
    stable: float = 60.0
    attempts: int | None = None
    never: frozenset[Cause] = frozenset({Cause.AUTH, Cause.CONFLICT})

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum:
            raise ValueError("0 < initial <= maximum: without a delay, a server that is down would be stormed")

    def delay(self, error: Exception, ends: int, before: float, rng: random.Random | None = None) -> float | None:
        """Return the seconds until the restart, or None if there is none.

        `ends` is the number of ends in a row, this one included, `before` the delay before the last start.
        """
        if Cause.of(error) in self.never or (self.attempts is not None and ends >= self.attempts):
            return None
        base = min(max(before, self.initial), self.maximum)
        return min(self.maximum, (rng or random).uniform(self.initial, base * 3))


@record
class Account:
    """One account of a fleet.

    `jid` and `password`, or `credentials`, are those of `connect`. `options` are further options of it, for this
    account alone, for example a `store`. `restart` replaces the policy of the fleet.
    """

    jid: JID | str
    password: str | None = field(default=None, repr=False)
    credentials: Any = field(default=None, repr=False)
    options: ConnectOptions = field(default_factory=ConnectOptions)
    restart: RestartPolicy | None = None

    @property
    def address(self) -> JID:
        """The address, by which the fleet knows the account. Raises JIDError if it is malformed."""
        return JID.parse(self.jid) if isinstance(self.jid, str) else self.jid
