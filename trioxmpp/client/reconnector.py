"""From the end of one link to the next attempt: what is decided, where to, and the wait until it is time."""

from __future__ import annotations

import logging

import trio

from ..errors import SessionLost
from ..stream.core import StreamCore
from ..stream.negotiation.sasl2 import InlineRequests, SaveLogin
from ..stream.session import SessionState
from ..transport.endpoint import Endpoint
from .cause import redirection
from .dial import Connected, LinkDialler
from .events import Suspended
from .journal.journal import MAX_UNANSWERED_RESUMPTIONS
from .journal.outbox import OutboxJournal
from .policy import BackoffState, Cause, Decision, GiveUp, ReconnectPolicy, Wait
from .suspects import Suspects

__all__ = ["Reconnector"]

_logger = logging.getLogger(__name__)

#: A session is given up after this many resumptions in a row that led nowhere.
MAX_VAIN_RESUMPTIONS = 2

#: A server that did not acknowledge anything for this many seconds, though it was asked to, is not going to.
ANSWER_TIME = 25.0

_LOGIN_REFUSED = frozenset({Cause.AUTH, Cause.AUTH_LATER})


class ResumptionProgress:
    """Whether what is in flight gets anywhere from one resumption to the next.

    Prosody 0.12 goes on reading with the parser of the link before. If that was cut within a stanza, everything that
    we send is taken for the rest of it, and never acknowledged: we resume, wait in vain, and resume again. A stanza for
    which the server ends every stream does the same, since it is sent again each time. And some servers answer the
    request to resume by ending the stream, or not at all. A request may be part of a login (XEP-0388): then it is the
    login that never succeeds.
    """

    def __init__(self) -> None:
        self._base: int | None = None
        """The count that the server had acknowledged when the session was resumed last."""
        self._in_vain = 0
        self.is_unanswered: bool = False
        """Whether the last attempt ended between the request to resume and its answer."""

    def resumed(self, session: SessionState) -> None:
        """The session goes on, on a new link; what is in flight is sent again."""
        self._base = None if session.sm is None else session.sm.base
        self.is_unanswered = False

    def established(self) -> None:
        """There is a new session."""
        self._base, self._in_vain, self.is_unanswered = None, 0, False

    def blamed(self) -> None:
        """A stanza was to blame for what came to nothing, and is not going to be sent again."""
        self._base, self._in_vain = None, 0

    def ended(self, session: SessionState, cause: Exception, lasted: float) -> SessionLost | None:
        """Record the end of an attempt, or of a link that lasted so long; return an error if nothing gets anywhere."""
        base, self._base = self._base, None
        self.is_unanswered = False
        if session.sm is None:
            return None
        kind = Cause.of(cause)
        self.is_unanswered = session.attempts.ended(refused=kind in _LOGIN_REFUSED)
        if session.attempts.unanswered >= MAX_UNANSWERED_RESUMPTIONS:
            return SessionLost(f"the server does not answer the requests to resume the session: {cause}")
        if base is None:
            return None
        # The server may well have said something all the time, but not what it was asked for.
        tells = kind is Cause.SILENCE or kind.is_refusal or lasted >= ANSWER_TIME
        if tells and session.sm.unacked and session.sm.base == base:
            self._in_vain += 1
        else:
            self._in_vain = 0
        if self._in_vain < MAX_VAIN_RESUMPTIONS:
            return None
        return SessionLost(f"the server resumes the session, but takes nothing of what we send in it: {cause}")


class Reconnector:
    """Decides about the next attempt and makes it. With `policy` None, nothing is retried.

    Call `failed` after each attempt that failed and each link that ended, `linked` for each link.
    """

    def __init__(
        self,
        core: StreamCore,
        dialler: LinkDialler,
        policy: ReconnectPolicy | None,
        outbox: OutboxJournal | None = None,
    ) -> None:
        self.suspended: Suspended | None = None
        """How things stand while there is no link."""
        self.failures: int = 0
        """The number of links that ended, and of attempts to get one that failed."""
        self._core = core
        self._dialler = dialler
        self._policy = policy
        self._backoff = BackoffState()
        self._progress = ResumptionProgress()
        self._suspects = Suspects(outbox)
        self._redirection: Endpoint | None = None
        self._linked_since: float | None = None
        self._dialling: trio.CancelScope | None = None
        self._waiting: trio.CancelScope | None = None
        self._suspects.restored(core.session)

    def linked(self, *, resumed: bool) -> None:
        """There is a link."""
        self._linked_since = trio.current_time()
        self.suspended = None
        if resumed:
            self._progress.resumed(self._core.session)
        else:
            self._progress.established()

    def stuck(self, cause: Exception) -> SessionLost | None:
        """Return why the session should be abandoned, or None to keep resuming it."""
        was_linked = self._linked_since is not None
        if was_linked and self._suspects.link_ended(self._core.session, cause):
            self._progress.blamed()
            return None
        lasted = 0.0 if self._linked_since is None else trio.current_time() - self._linked_since
        return self._progress.ended(self._core.session, cause, lasted)

    def failed(self, cause: Exception, *, is_first: bool) -> tuple[Decision, bool]:
        """Return what to do about the end of a link or of an attempt, and whether it was a link."""
        self.failures += 1
        now, since, self._linked_since = trio.current_time(), self._linked_since, None
        if since is not None and self._policy is not None and now - since >= self._policy.stable:
            self._backoff = BackoffState()
        kind = Cause.of(cause)
        self._backoff = self._backoff.failed(kind)
        self._redirection = redirection(cause) if self._dialler.may_follow else None
        decision = (self._policy or ReconnectPolicy()).decide(kind, self._backoff)
        goes_on_elsewhere = self._redirection is not None and decision == Wait(0.0)
        # A server that does not answer <resume/> is asked again, until another session is bound.
        first_is_retried = self._progress.is_unanswered or (
            self._policy is not None and self._policy.first and kind.is_transient
        )
        if not (goes_on_elsewhere or first_is_retried) if is_first else self._policy is None:
            decision = GiveUp("nothing is retried")
        delay = None if isinstance(decision, GiveUp) else _seconds(decision)
        retry_at = None if delay is None else now + delay
        self.suspended = Suspended(cause, self._backoff.number, delay, retry_at)
        return decision, since is not None

    async def wait(self, decision: Decision) -> None:
        """Wait as decided, unless `hurry` is called."""
        self._backoff = self._backoff.decided(decision)
        if self.suspended is not None:
            _logger.info("there is no link (%s); next attempt in %.1f s", self.suspended.cause, _seconds(decision))
        with trio.move_on_after(_seconds(decision)) as self._waiting:
            await trio.sleep_forever()
        self._waiting = None

    async def dial(
        self,
        nursery: trio.Nursery,
        location: tuple[str, int | None] | None,
        inline: InlineRequests,
        save: SaveLogin,
    ) -> Connected:
        """See `Dialler.dial`. Where the server has sent us replaces `location`. `hurry` may begin it anew."""
        while True:
            self._core.session.attempts.begin()
            with trio.CancelScope() as self._dialling:
                try:
                    return await self._dialler.dial(
                        nursery,
                        inline=inline,
                        resuming=self._core.session,
                        save=save,
                        location=location,
                        elsewhere=self._redirection,
                    )
                finally:
                    self._dialling = None

    def hurry(self, *, afresh: bool) -> None:
        """Do not wait any longer; with `afresh`, begin an attempt that is being made over again, too."""
        if self._waiting is not None:
            self._waiting.cancel(reason="the application wants to be connected at once")
        elif afresh and self._dialling is not None:
            self._dialling.cancel(reason="the network has changed")


def _seconds(decision: Decision) -> float:
    return decision.seconds if isinstance(decision, Wait) else 0.0
