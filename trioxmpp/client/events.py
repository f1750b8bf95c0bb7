"""What happens to a client's session."""

from __future__ import annotations

from dataclasses import dataclass

from ..jid import JID
from ..stream.token import StanzaToken

__all__ = ["Destroyed", "Established", "Event", "Resumed", "Suspended"]


@dataclass(frozen=True, slots=True)
class Established:
    """There is a new session, bound to `jid`: others see a new resource, without presence, and nothing is enabled."""

    jid: JID


@dataclass(frozen=True, slots=True)
class Suspended:
    """The link is broken, because of `cause`. Resumed or Destroyed will follow."""

    cause: Exception


@dataclass(frozen=True, slots=True)
class Resumed:
    """The session goes on; nothing was lost."""


@dataclass(frozen=True, slots=True)
class Destroyed:
    """The session is over, because of `reason`.

    `undelivered` holds the tokens, in order, of what the server did not acknowledge. Those in state DISCONNECTED it
    never got; of those in state SENT_WITHOUT_SM nobody knows.
    """

    reason: Exception
    undelivered: tuple[StanzaToken, ...] = ()


Event = Established | Suspended | Resumed | Destroyed
