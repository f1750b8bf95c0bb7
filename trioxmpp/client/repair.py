"""How a broken link is repaired: what is decided, where to, and waiting until it is time."""

from __future__ import annotations

import logging

import trio

from ..errors import SessionLost
from ..protocol.features import StreamFeatures
from ..stream.stanzastream import StanzaStream
from ..stream.xmlstream import XmlStream
from ..transport.endpoint import Endpoint
from .dial import Dialler
from .events import Suspended
from .policy import Cause, Decision, GiveUp, Outage, ReconnectPolicy, Wait
from .redirection import redirection
from .stuck import Progress

__all__ = ["Repair"]

logger = logging.getLogger(__name__)


class Repair:
    """From the end of one link to the next attempt. None for `policy`: the first end is the last.

    Of each attempt it has to be told that it `failed`, of each link that it is `linked`.
    """

    def __init__(self, dialler: Dialler, policy: ReconnectPolicy | None) -> None:
        self.suspended: Suspended | None = None
        """How things stand while there is no link."""
        self._dialler = dialler
        self._policy = policy
        self._outage = Outage()
        self._progress = Progress()
        self._redirection: Endpoint | None = None
        self._linked_since: float | None = None
        self._dialling: trio.CancelScope | None = None
        self._waiting: trio.CancelScope | None = None

    def linked(self, stream: StanzaStream, *, resumed: bool) -> None:
        """There is a link."""
        self._linked_since = trio.current_time()
        self.suspended = None
        if resumed:
            self._progress.resumed(stream)
        else:
            self._progress.established()

    def stuck(self, stream: StanzaStream, cause: Exception) -> SessionLost | None:
        """The reason, if the session had better not be resumed any more, after its link or an attempt has ended."""
        lasted = 0.0 if self._linked_since is None else trio.current_time() - self._linked_since
        return self._progress.ended(stream, cause, lasted)

    def failed(self, cause: Exception, *, is_first: bool) -> tuple[Decision, bool]:
        """What to do about the end of a link or of an attempt, and whether it was a link."""
        now, since, self._linked_since = trio.current_time(), self._linked_since, None
        if since is not None and self._policy is not None and now - since >= self._policy.stable:
            self._outage = Outage()
        kind = Cause.of(cause)
        self._outage = self._outage.failed(kind)
        self._redirection = redirection(cause) if self._dialler.may_follow else None
        decision = (self._policy or ReconnectPolicy()).decide(kind, self._outage)
        goes_on_elsewhere = self._redirection is not None and decision == Wait(0.0)
        if not (is_first and goes_on_elsewhere) and (is_first or self._policy is None):
            decision = GiveUp("it is not to be repaired")
        delay = None if isinstance(decision, GiveUp) else _seconds(decision)
        retry_at = None if delay is None else now + delay
        self.suspended = Suspended(cause, self._outage.number, delay, retry_at)
        return decision, since is not None

    async def wait(self, decision: Decision) -> None:
        """Wait as decided, unless somebody is in a hurry."""
        self._outage = self._outage.decided(decision)
        if self.suspended is not None:
            logger.info("there is no link (%s); next attempt in %.1f s", self.suspended.cause, _seconds(decision))
        with trio.move_on_after(_seconds(decision)) as self._waiting:
            await trio.sleep_forever()
        self._waiting = None

    async def dial(
        self, nursery: trio.Nursery, location: tuple[str, int | None] | None
    ) -> tuple[XmlStream, StreamFeatures]:
        """See `Dialler.dial`; where the server has sent us is in place of `location`. It may be begun over again."""
        while True:
            with trio.CancelScope() as self._dialling:
                try:
                    return await self._dialler.dial(nursery, location, self._redirection)
                finally:
                    self._dialling = None

    def hurry(self, afresh: bool) -> None:
        """Do not wait any longer; with `afresh`, begin an attempt that is being made over again, too."""
        if self._waiting is not None:
            self._waiting.cancel(reason="somebody wants to be connected at once")
        elif afresh and self._dialling is not None:
            self._dialling.cancel(reason="the network has changed")


def _seconds(decision: Decision) -> float:
    return decision.seconds if isinstance(decision, Wait) else 0.0
