"""What happens to a client's session."""

from __future__ import annotations

from ..jid import JID
from ..record import record
from ..stream.token import StanzaToken
from .policy import Cause

__all__ = ["Destroyed", "Established", "Event", "Resumed", "Suspended"]


@record
class Established:
    """There is a new session, bound to `jid`: others see a new resource, without presence, and nothing is enabled."""

    jid: JID


@record
class Suspended:
    """The link is broken, because of `cause`. Resumed or Destroyed will follow.

    The next attempt to get a new one is number `attempt` since a link lasted; it begins `delay` seconds after the last
    one failed, at `retry_at` on trio's clock. Both are None if there is to be none.
    """

    cause: Exception
    attempt: int = 1
    delay: float | None = None
    retry_at: float | None = None

    @property
    def kind(self) -> Cause:
        """What kind of cause it is."""
        return Cause.of(self.cause)


@record
class Resumed:
    """The session goes on; nothing was lost."""


@record
class Destroyed:
    """The session is over, because of `reason`.

    `undelivered` holds the tokens, in order, of what the server did not acknowledge. Those in state DISCONNECTED it
    never got; of those in state SENT_WITHOUT_SM nobody knows.
    """

    reason: Exception
    undelivered: tuple[StanzaToken, ...] = ()


Event = Established | Suspended | Resumed | Destroyed
