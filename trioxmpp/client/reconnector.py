"""From the end of one link to the next attempt: what is decided, where to, and the wait until it is time."""

from __future__ import annotations

import logging
from typing import NamedTuple

import trio

from ..errors import SessionLost
from ..stream.core import StreamCore
from ..stream.negotiation.sasl2 import InlineRequests, SaveLogin
from ..transport.endpoint import Endpoint
from .cause import redirection
from .dial import Connected, LinkDialler
from .events import Suspended
from .journal.journal import MAX_UNANSWERED_RESUMPTIONS
from .journal.outbox import OutboxJournal
from .policy import BackoffState, Cause, Decision, GiveUp, ReconnectPolicy, Wait
from .suspects import Suspects

__all__ = ["Failure", "Reconnector"]

_logger = logging.getLogger(__name__)

#: A session is given up after this many resumptions in a row that led nowhere.
MAX_VAIN_RESUMPTIONS = 2

#: A server that did not acknowledge anything for this many seconds, though it was asked to, is not going to.
ANSWER_TIME = 25.0

_LOGIN_REFUSED = frozenset({Cause.AUTH, Cause.AUTH_LATER})


class _Linked(NamedTuple):
    """There is a link."""

    since: float
    base: int | None
    """If the session was resumed on it: the count that the server had acknowledged by then."""


class _Waiting(NamedTuple):
    """The next attempt waits until it is time."""

    scope: trio.CancelScope


class _Dialling(NamedTuple):
    """An attempt is under way."""

    scope: trio.CancelScope


class Failure(NamedTuple):
    """The end of a link, or of an attempt to get one."""

    decision: Decision
    was_linked: bool
    """Whether it was a link."""
    stuck: SessionLost | None
    """Why the session should be given up; None to keep resuming it."""


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
        self._suspects = Suspects(outbox)
        self._now: _Linked | _Waiting | _Dialling | None = None
        self._suspects.restored(core.session)

    def linked(self, *, resumed: bool) -> None:
        """There is a link."""
        management = self._core.session.sm
        self._now = _Linked(trio.current_time(), management.base if resumed and management is not None else None)
        self.suspended = None

    def failed(self, cause: Exception, *, is_first: bool) -> Failure:
        """Return what to do about the end of a link, or of an attempt. `is_first`: there was no session before."""
        self.failures += 1
        now, linked = trio.current_time(), self._now if isinstance(self._now, _Linked) else None
        self._now = None
        is_unanswered, stuck = self._progress(cause, linked)
        if linked is not None and self._policy is not None and now - linked.since >= self._policy.stable:
            self._backoff = BackoffState()
        kind = Cause.of(cause)
        self._backoff = self._backoff.failed(kind)
        decision = (self._policy or ReconnectPolicy()).decide(kind, self._backoff)
        goes_on_elsewhere = self._redirection(cause) is not None and decision == Wait(0.0)
        # A server that does not answer <resume/> is asked again, until another session is bound.
        first_is_retried = is_unanswered or (self._policy is not None and self._policy.first and kind.is_transient)
        if not (goes_on_elsewhere or first_is_retried) if is_first else self._policy is None:
            decision = GiveUp("nothing is retried")
        delay = None if isinstance(decision, GiveUp) else _seconds(decision)
        retry_at = None if delay is None else now + delay
        self.suspended = Suspended(cause, self._backoff.number, delay, retry_at)
        return Failure(decision, linked is not None, stuck)

    def _progress(self, cause: Exception, linked: _Linked | None) -> tuple[bool, SessionLost | None]:
        """Return whether a request to resume was not answered, and an error if the session gets nowhere.

        Prosody 0.12 goes on reading with the parser of the link before. If that was cut within a stanza, everything
        that we send is taken for the rest of it, and never acknowledged: we resume, wait in vain, and resume again. A
        stanza for which the server ends every stream does the same, since it is sent again each time. And some servers
        answer the request to resume by ending the stream, or not at all. A request may be part of a login (XEP-0388):
        then it is the login that never succeeds.
        """
        session, kind = self._core.session, Cause.of(cause)
        if linked is not None and self._suspects.link_ended(session, cause):
            session.attempts.link_ended(is_fruitless=False)  # that stanza is not going to be sent again
            return False, None
        if session.sm is None:
            return False, None
        is_unanswered = session.attempts.ended(refused=kind in _LOGIN_REFUSED)
        if session.attempts.unanswered >= MAX_UNANSWERED_RESUMPTIONS:
            text = f"the server does not answer the requests to resume the session: {cause}"
            return is_unanswered, SessionLost(text)
        if linked is None or linked.base is None:
            return is_unanswered, None
        # The server may well have said something all the time, but not what it was asked for.
        tells = kind is Cause.SILENCE or kind.is_refusal or trio.current_time() - linked.since >= ANSWER_TIME
        is_fruitless = tells and bool(session.sm.unacked) and session.sm.base == linked.base
        session.attempts.link_ended(is_fruitless=is_fruitless)
        if session.attempts.fruitless < MAX_VAIN_RESUMPTIONS:
            return is_unanswered, None
        text = f"the server resumes the session, but takes nothing of what we send in it: {cause}"
        return is_unanswered, SessionLost(text)

    def _redirection(self, cause: Exception) -> Endpoint | None:
        """Where the server has sent us, if we may follow."""
        return redirection(cause) if self._dialler.may_follow else None

    async def wait(self, decision: Decision) -> None:
        """Wait as decided, unless `hurry` is called."""
        self._backoff = self._backoff.decided(decision)
        if self.suspended is not None:
            _logger.info("there is no link (%s); next attempt in %.1f s", self.suspended.cause, _seconds(decision))
        with trio.move_on_after(_seconds(decision)) as scope:
            self._now = _Waiting(scope)
            await trio.sleep_forever()
        self._now = None

    async def dial(
        self,
        nursery: trio.Nursery,
        location: tuple[str, int | None] | None,
        inline: InlineRequests,
        save: SaveLogin,
    ) -> Connected:
        """See `Dialler.dial`. Where the server has sent us replaces `location`. `hurry` may begin it anew."""
        elsewhere = None if self.suspended is None else self._redirection(self.suspended.cause)
        while True:
            self._core.session.attempts.begin()
            with trio.CancelScope() as scope:
                self._now = _Dialling(scope)
                try:
                    return await self._dialler.dial(
                        nursery,
                        inline=inline,
                        resuming=self._core.session,
                        save=save,
                        location=location,
                        elsewhere=elsewhere,
                    )
                finally:
                    self._now = None

    def hurry(self, *, afresh: bool) -> None:
        """Do not wait any longer; with `afresh`, begin an attempt that is being made over again, too."""
        match self._now:
            case _Waiting(scope):
                scope.cancel(reason="the application wants to be connected at once")
            case _Dialling(scope) if afresh:
                scope.cancel(reason="the network has changed")


def _seconds(decision: Decision) -> float:
    return decision.seconds if isinstance(decision, Wait) else 0.0
