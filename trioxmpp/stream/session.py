"""All that survives a broken link: what stands between binding a resource and the end of the session."""

from __future__ import annotations

from threading import get_ident
from typing import Protocol

import trio

from ..errors import DestructionRequested, StanzaTooLarge
from ..protocol.sm import Enabled, Resume, StreamManagement
from ..protocol.stanza import IQ, Message, Presence
from .attempts import ResumptionAttempts
from .home import Home
from .inbound.handled import HandledCounter
from .inbound.replies import ReplyTable
from .liveness import Pings
from .outbound.channels import Doorbell, OutgoingChannel, Sent
from .outbound.token import OutgoingStanza, StanzaState, StanzaToken
from .outbound.unconfirmed import Unconfirmed

__all__ = ["Journal", "SessionState", "closed_session"]

#: By how much a text may grow when it is written as XML: each ``"`` becomes ``&quot;``.
_WORST_GROWTH = 6


class Journal(Protocol):
    """Writes down what is to outlive the process, before the server or the application learns of it."""

    def enqueued(self, token: OutgoingStanza, session: SessionState) -> None:
        """A stanza was enqueued in `session`."""

    def sent(self, token: OutgoingStanza, data: bytes) -> None:
        """A stanza is about to be sent with stream management, as `data`."""

    async def commit(self, session: SessionState) -> None:
        """Write down what is new in `session`. Stanzas that are sent from now on may rely on it."""


class _Notes:
    """The journal, as the outgoing channel of one session knows it."""

    __slots__ = ("_journal", "_session")

    def __init__(self, journal: Journal, session: SessionState) -> None:
        self._journal = journal
        self._session = session

    def enqueued(self, token: OutgoingStanza) -> None:
        """A stanza was enqueued."""
        self._journal.enqueued(token, self._session)

    def sent(self, token: OutgoingStanza, data: bytes) -> None:
        """A stanza is about to be sent with stream management, as `data`."""
        self._journal.sent(token, data)


class SessionState:
    """The state of one session. It is replaced, not reset, when the session is over."""

    __slots__ = (
        "asked",
        "attempts",
        "doorbell",
        "ended",
        "established",
        "handled",
        "home",
        "journal",
        "max_bytes",
        "outgoing",
        "pings",
        "replies",
        "running",
        "sm",
    )

    def __init__(
        self,
        ended: Exception | None = None,
        journal: Journal | None = None,
        unconfirmed: Unconfirmed | None = None,
    ) -> None:
        self.doorbell: Doorbell = Doorbell()
        """Wakes the writer."""
        notes = None if journal is None else _Notes(journal, self)
        self.outgoing: OutgoingChannel = OutgoingChannel(self.doorbell, unconfirmed, notes)
        if ended is not None:
            self.outgoing.close()
        self.home: Home = Home()
        """The thread of the stream."""
        self.sm: StreamManagement[Sent] | None = None
        self.asked: StreamManagement[Sent] | None = None
        """The count of the stanzas that are sent while the answer to ``<enable/>`` is on the way."""
        self.handled: HandledCounter = HandledCounter()
        self.journal: Journal | None = journal
        self.replies: ReplyTable = ReplyTable(ended)
        self.running: set[trio.CancelScope] = set()
        """The handlers of requests that have no answer yet."""
        self.attempts: ResumptionAttempts = ResumptionAttempts()
        """The attempts to resume this session."""
        self.established: bool = False
        self.ended = ended
        """Why nothing can be enqueued any more."""
        self.max_bytes: int | None = None
        """The most octets of a stanza that the server takes (XEP-0478); None if it has not said."""
        self.pings: Pings = Pings(self.replies, unconfirmed)
        """The requests for a sign of life."""

    @property
    def resumable(self) -> bool:
        """Whether a broken link leaves this session alive."""
        return self.sm is not None and self.sm.resumable

    def manage(self, management: StreamManagement[Sent]) -> None:
        """From now on both sides count stanzas (XEP-0198 §3)."""
        self.sm = management
        self.outgoing.manage(management)

    def asks_ahead(self) -> None:
        """The server is asked to manage the stream. If it agrees, it counts from now on (XEP-0198 §4)."""
        self.asked = StreamManagement()
        self.outgoing.asks_ahead(self.asked)

    def answered(self, granted: Enabled | None) -> None:
        """The server agreed, and counts since it was asked; or it refused (None), and nothing tells what it has."""
        management, self.asked = self.asked or StreamManagement(), None
        if granted is None:
            self.outgoing.refused()
        else:
            management.granted = granted
            self.manage(management)

    def begins_link(self, home: Home, max_bytes: int | None, max_unhandled: int) -> None:
        """A link begins, in the thread of `home`, to a server that takes stanzas of `max_bytes`, if it has said so.

        At most `max_unhandled` stanzas may wait behind one that the application has not finished with.
        """
        self.handled.limit_to(max_unhandled)
        self.home = home
        self.outgoing.begins_link()
        if max_bytes is not None:
            self.max_bytes = max_bytes

    # --- what may be enqueued

    def check_size(self, stanza: Message | Presence | IQ) -> None:
        """Raise `StanzaTooLarge` if the server has said that it does not take a stanza of this size (XEP-0478)."""
        if self.max_bytes is not None and self.max_bytes < _WORST_GROWTH * stanza.approximate_size():
            self.check_octets(len(stanza.serialise().encode()))

    def check_octets(self, octets: int) -> None:
        """Raise `StanzaTooLarge` if the server has said that it does not take a stanza of this number of octets."""
        if self.max_bytes is not None and octets > self.max_bytes:
            raise StanzaTooLarge(octets, self.max_bytes)

    def check(self, stanza: Message | Presence | IQ) -> int:
        """Check that `stanza` may be enqueued; return roughly its octets. Changes nothing but the stanza.

        Raises RuntimeError in another thread than that of the stream, ValueError or TypeError for a stanza that cannot
        be written, and `StanzaTooLarge`.
        """
        if get_ident() != self.home.ident:
            self.home.check()
        size = stanza.validate()
        if self.max_bytes is not None:
            self.check_size(stanza)
        return size

    def enqueue(self, stanza: Message | Presence | IQ, token: OutgoingStanza | None = None) -> OutgoingStanza:
        """Put `stanza` on the outgoing channel; give it an id if it has none. A session that is over takes none.

        Raises RuntimeError, before anything changes, in another thread than that of the stream.
        """
        self.home.check()
        return self.outgoing.put(stanza, token=token)

    async def resume_request(self, *, in_login: bool = False) -> Resume | None:
        """Return the request to resume this session, to be written at once; None if it cannot be resumed.

        A request along with a login is left out if such logins led to nothing: then the server is asked later.

        The count in it is settled here: the server will send all later stanzas again. The journal has it before the
        server, since the server forgets what it covers. It also has the number of attempts: if none is answered, the
        next process knows.
        """
        sm = self.sm
        is_left_out = in_login and not self.attempts.may_ask_in_login
        if sm is None or not sm.resumable or sm.granted.id is None or is_left_out:
            await trio.lowlevel.checkpoint()
            return None
        request = Resume(h=sm.handled, previd=sm.granted.id)
        self.attempts.ask(in_login=in_login)
        self.handled.resuming()
        if self.journal is not None:
            await self.journal.commit(self)
        return request

    def resumed(self, h: int) -> None:
        """The server goes on with the session; it has handled `h` stanzas. Raises as `acked` does."""
        self.acked(h)
        self.attempts.answered()
        self.outgoing.carry_out()

    def acked(self, h: int) -> None:
        """The server handled `h` stanzas. Raises HandledCountTooHigh if we never sent that many."""
        assert self.sm is not None
        self.outgoing.acked(self.sm.acked(h))

    # --- a stanza that ends every link on which it is sent

    @property
    def first_in_flight(self) -> OutgoingStanza | None:
        """The oldest stanza that was sent and not acknowledged."""
        return self.outgoing.first_in_flight

    def suspect(self, token: OutgoingStanza) -> None:
        """On the next link, send this stanza alone; see `OutgoingChannel.suspect`."""
        self.outgoing.suspect(token)

    def condemn(self, token: OutgoingStanza, reason: Exception) -> None:
        """Do not send this stanza again, unless the server has it already; see `OutgoingChannel.condemn`."""
        self.outgoing.condemn(token, reason)

    # --- the end

    def unsettled(self) -> list[OutgoingStanza]:
        """The tokens of everything that was enqueued and is not settled yet, in order."""
        return self.outgoing.unsettled()

    def undelivered(self) -> list[StanzaToken]:
        """The tokens of what may not have been delivered, if the session ends now, in order."""
        unconfirmed = self.outgoing.unconfirmed
        return [*(() if unconfirmed is None else unconfirmed.tokens), *self.unsettled()]

    def end(self, reason: Exception, *, unacked: StanzaState = StanzaState.SENT_WITHOUT_SM) -> None:
        """Settle everything: no task waits any longer for anything of this session.

        `unacked` is what becomes of the stanzas that were sent but not acknowledged: their fate is unknown, unless the
        server said in ``<failed h=.../>`` that it never had them (XEP-0198 §5).
        """
        self.ended = reason
        self.outgoing.close()
        self.handled.end()
        failure = reason if isinstance(reason, ConnectionError) else ConnectionError(str(reason))
        self.replies.fail_all(failure)
        for scope in list(self.running):
            scope.cancel(reason="the session has ended")
        self.sm = self.asked = None
        self.outgoing.settle(unacked)


def closed_session() -> SessionState:
    """Return the state that a closed stream has in place of a session."""
    return SessionState(ended=DestructionRequested("close() called"))
