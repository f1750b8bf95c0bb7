"""The events of a client."""

from __future__ import annotations

from ..jid import JID
from ..record import field, record
from ..stream.outbound.token import StanzaToken
from .policy import Cause
from .session import Session

__all__ = ["Destroyed", "Established", "Event", "Resumed", "Suspended", "Trouble", "in_words"]


@record
class Established:
    """There is a new session, bound to `jid`, and the services have set it up as far as `Step.PRESENCE`.

    Others see a new resource: what is not the business of a service, like our presence, is to be sent anew.
    """

    jid: JID
    session: Session | None = field(default=None, compare=False)


@record
class Suspended:
    """The link is broken, because of `cause`. Resumed or Destroyed will follow.

    The next attempt to get a new one is number `attempt` since a link lasted; it begins `delay` seconds after the last
    one failed, at `retry_at` on trio's clock. Both are None if there will be no attempt.
    """

    cause: Exception
    attempt: int = 1
    delay: float | None = None
    retry_at: float | None = None

    @property
    def kind(self) -> Cause:
        """The kind of the cause."""
        return Cause.of(self.cause)


@record
class Resumed:
    """The session goes on; nothing was lost."""

    session: Session | None = field(default=None, compare=False)


@record
class Trouble:
    """A service could not do something because of `exception`, and is going to try again.

    `service` names it. Session, client and the other services go on. If the service failed at a stanza, `service` is
    the name of its function; that stanza is lost to it. This is told once for each function and type of exception.
    """

    service: str
    exception: Exception = field(compare=False)


@record
class Destroyed:
    """The session is over, because of `reason`.

    `undelivered` holds the tokens, in order, of what the server did not acknowledge. Those in state DISCONNECTED it
    never got; the fate of those in state SENT_WITHOUT_SM is unknown.
    """

    reason: Exception
    undelivered: tuple[StanzaToken, ...] = ()


Event = Established | Suspended | Resumed | Destroyed | Trouble


def in_words(event: Event) -> str:
    """Return `event` as a sentence for the log."""
    match event:
        case Established(jid=jid):
            return f"connected as {jid}, in a new session"
        case Suspended(cause=cause):
            return f"the session is without a link: {cause}"
        case Resumed():
            return "the session is resumed"
        case Destroyed(reason=reason, undelivered=undelivered):
            return f"the session is over: {reason}; stanzas in doubt: {len(undelivered)}"
        case Trouble(service=service, exception=exception):
            return f"{service} has failed, and goes on: {exception!r}"
