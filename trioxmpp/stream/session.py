"""All that survives a broken link: what stands between binding a resource and the end of the session."""

from __future__ import annotations

from typing import Protocol

import trio

from ..errors import DestructionRequested, OutboxFull, StanzaTooLarge
from ..protocol.sm import Enabled, Resume, StreamManagement
from ..protocol.stanza import IQ, Message, Presence
from .attempts import ResumptionAttempts
from .home import Home
from .ids import new_id
from .inbound.handled import HandledCounter
from .inbound.replies import ReplyTable
from .liveness import Pings
from .outbound.channels import Doorbell, OutgoingChannel
from .outbound.token import ACKED, ACTIVE, SENT, OutgoingStanza, StanzaState, StanzaToken
from .outbound.unconfirmed import Unconfirmed

__all__ = ["MAX_OUTGOING", "Journal", "SessionState", "closed_session"]

#: How many octets of stanzas may wait to be sent and acknowledged. An application that makes more is told to wait.
MAX_OUTGOING = 16 << 20

#: By how much a text may grow when it is written as XML: each ``"`` becomes ``&quot;``.
_WORST_GROWTH = 6

#: A stanza in flight: a token, and the bytes to send again after a resumption (filters have seen them already).
Sent = tuple[OutgoingStanza, bytes]


class Journal(Protocol):
    """Writes down what is to outlive the process, before the server or the application learns of it."""

    def enqueued(self, token: OutgoingStanza, session: SessionState) -> None:
        """A stanza was enqueued in `session`."""

    def sent(self, token: OutgoingStanza, data: bytes) -> None:
        """A stanza is about to be sent with stream management, as `data`."""

    async def commit(self, session: SessionState) -> None:
        """Write down what is new in `session`. Stanzas that are sent from now on may rely on it."""


class SessionState:
    """The state of one session. It is replaced, not reset, when the session is over."""

    __slots__ = (
        "_being_written",
        "_bytes_offered",
        "_condemned",
        "_room",
        "asked",
        "attempts",
        "doorbell",
        "ended",
        "established",
        "handled",
        "home",
        "in_flight",
        "journal",
        "max_bytes",
        "outgoing",
        "pings",
        "replies",
        "running",
        "sent_unmanaged",
        "sm",
        "suspected",
        "unconfirmed",
    )

    def __init__(
        self,
        ended: Exception | None = None,
        journal: Journal | None = None,
        unconfirmed: Unconfirmed | None = None,
    ) -> None:
        self.doorbell: Doorbell = Doorbell()
        """Wakes the writer."""
        self.outgoing: OutgoingChannel = OutgoingChannel(self.doorbell)
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
        self.unconfirmed: Unconfirmed | None = unconfirmed
        """The stanzas of a component that are in doubt; None for a client."""
        self.pings: Pings = Pings(self.replies, unconfirmed)
        """The requests for a sign of life."""
        self.ended = ended
        """Why nothing can be enqueued any more."""
        self.in_flight: int = 0
        """The octets of the stanzas that were sent and not acknowledged."""
        self.max_bytes: int | None = None
        """The most octets of a stanza that the server takes (XEP-0478); None if it has not said."""
        self.sent_unmanaged: int = 0
        """The number of stanzas that were written without stream management."""
        self._room = trio.lowlevel.ParkingLot()
        self.suspected: OutgoingStanza | None = None
        """The stanza behind which nothing is sent before it is acknowledged."""
        self._condemned: tuple[OutgoingStanza, Exception] | None = None
        # Without stream management: what the writer is writing, and whether the transport may have some of it.
        self._being_written: list[OutgoingStanza] = []
        self._bytes_offered = False

    @property
    def resumable(self) -> bool:
        """Whether a broken link leaves this session alive."""
        return self.sm is not None and self.sm.resumable

    def begins_link(self, home: Home, max_bytes: int | None, max_unhandled: int) -> None:
        """A link begins, in the thread of `home`, to a server that takes stanzas of `max_bytes`, if it has said so.

        At most `max_unhandled` stanzas may wait behind one that the application has not finished with.
        """
        self.handled.limit_to(max_unhandled)
        self.home = home
        self.in_flight = 0 if self.sm is None else sum(len(data) for _, data in self.sm.unacked)
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

    @property
    def has_room(self) -> bool:
        """Whether another stanza may be enqueued: `MAX_OUTGOING` is not reached."""
        return self.outgoing.octets + self.in_flight < MAX_OUTGOING

    async def wait_for_room(self) -> None:
        """Wait until there is room for another stanza, or the session is over. Cancelling changes nothing.

        No checkpoint if there is room now.
        """
        while not self.has_room and self.ended is None:
            await self._room.park()

    def enqueue(self, stanza: Message | Presence | IQ, token: OutgoingStanza | None = None) -> OutgoingStanza:
        """Put `stanza` on the outgoing channel; give it an id if it has none. A session that is over takes none.

        Raises RuntimeError, before anything changes, in another thread than that of the stream.
        """
        self.home.check()
        token = token or OutgoingStanza(stanza)
        self.append(token)
        return token

    def append(self, token: OutgoingStanza, *, needs_room: bool = False, at_once: bool = False) -> None:
        """Put the stanza of `token` on the outgoing channel, as `enqueue` does. The caller has checked the thread.

        `at_once`: the caller waits for what comes of it. On an idle link it is written before this returns.

        If it `needs_room`, raises `OutboxFull`, before anything changes, while `MAX_OUTGOING` is reached.
        """
        if needs_room and self.outgoing.octets + self.in_flight >= MAX_OUTGOING:
            raise OutboxFull(
                f"{MAX_OUTGOING:,} octets of stanzas wait to be sent and acknowledged; use send(), which waits for room"
            )
        stanza = token.stanza
        if not stanza.id:
            stanza.id = new_id()
        if self.ended is not None:
            token.become(StanzaState.DISCONNECTED)
        else:
            self.outgoing.send_nowait(token, at_once=at_once)
            if self.journal is not None:
                self.journal.enqueued(token, self)

    def sending(self, token: OutgoingStanza, data: bytes) -> None:
        """The writer is about to write the stanza, as `data`.

        With stream management it is in flight from now on: its ack may be here before the writer's call returns.
        """
        management = self.sm or self.asked
        if management is None:
            token.take()
            self._being_written.append(token)
            return
        management.sent((token, data))
        self.in_flight += len(data)
        if self.journal is not None and self.sm is not None:
            self.journal.sent(token, data)
        token.become(SENT)

    # --- whether the server manages the stream

    def asks_ahead(self) -> None:
        """The server is asked to manage the stream. If it agrees, it counts from now on (XEP-0198 §4)."""
        self.asked = StreamManagement()

    def answered(self, granted: Enabled | None) -> None:
        """The server agreed, and counts since it was asked; or it refused (None), and nothing tells what it has."""
        management, self.asked = self.asked or StreamManagement(), None
        if granted is None:
            self.in_flight = 0
            self.sent_unmanaged += len(management.unacked)
            for token, _ in management.unacked:
                token.become(StanzaState.SENT_WITHOUT_SM)
            self.got_room()
            return
        management.granted = granted
        if self.journal is not None:
            for token, data in management.unacked:
                self.journal.sent(token, data)
        self.sm = management

    def offering(self) -> None:
        """The transport is about to get the bytes of the stanzas that are being written."""
        self._bytes_offered = True

    def written(self) -> None:
        """The transport has taken all bytes."""
        self._bytes_offered = False
        if self._being_written:
            tokens, self._being_written = self._being_written, []
            self.sent_unmanaged += len(tokens)
            for token in tokens:
                if self.unconfirmed is not None:
                    self.unconfirmed.written(token)
                token.become(StanzaState.SENT_WITHOUT_SM)

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
        self.carry_out()

    def acked(self, h: int) -> None:
        """The server handled `h` stanzas. Raises HandledCountTooHigh if we never sent that many."""
        assert self.sm is not None
        for token, data in self.sm.acked(h):
            self.in_flight -= len(data)
            token.become(ACKED)
        self.got_room()

    def got_room(self) -> None:
        """Less waits to be sent or acknowledged: the writer, and tasks that wait for room, may go on."""
        if self._room and self.has_room:
            self._room.unpark_all()
        if self.doorbell.is_awaited and (self.outgoing.queue or self.suspected is not None):
            self.doorbell.ring()

    # --- a stanza that ends every link on which it is sent

    @property
    def first_in_flight(self) -> OutgoingStanza | None:
        """The oldest stanza that was sent and not acknowledged."""
        return self.sm.unacked[0][0] if self.sm is not None and self.sm.unacked else None

    def suspect(self, token: OutgoingStanza) -> None:
        """On the next link, send this stanza alone, and nothing behind it before it is acknowledged.

        For a stanza that was the first in flight when several links ended in the same way: if a link ends once more,
        it is to blame.
        """
        self.suspected = token

    def condemn(self, token: OutgoingStanza, reason: Exception) -> None:
        """When the session is resumed, and the server has not handled this stanza, do not send it again: it FAILED.

        The stanzas behind it go on. The server never counted it, so neither do we. If it is not the first in flight any
        more when the server has told its count, nothing happens.
        """
        self._condemned = token, reason

    def carry_out(self) -> None:
        """The server has told how much it handled: fail the stanza that is condemned, if it was not handled."""
        condemned, self._condemned = self._condemned, None
        if condemned is None or self.sm is None or self.first_in_flight is not condemned[0]:
            return
        token, reason = condemned
        _, data = self.sm.retract_first()
        self.in_flight -= len(data)
        self.suspected = None
        token.become(StanzaState.FAILED, reason)

    @property
    def suspect_in_flight(self) -> bool:
        """Whether the suspect is not acknowledged yet."""
        return self.suspected is not None and self.suspected is self.first_in_flight

    def unsettled(self) -> list[OutgoingStanza]:
        """The tokens of everything that was enqueued and is not settled yet, in order."""
        management = self.sm or self.asked
        sent = [] if management is None else [token for token, _ in management.unacked]
        waiting = [token for token in self.outgoing.queue if not token.state.is_final]
        return sent + self._being_written + waiting

    def undelivered(self) -> list[StanzaToken]:
        """The tokens of what may not have been delivered, if the session ends now, in order."""
        doubtful: tuple[StanzaToken, ...] = () if self.unconfirmed is None else self.unconfirmed.tokens
        return [*doubtful, *self.unsettled()]

    def end(self, reason: Exception, *, unacked: StanzaState = StanzaState.SENT_WITHOUT_SM) -> None:
        """Settle everything: no task waits any longer for anything of this session.

        `unacked` is what becomes of the stanzas that were sent but not acknowledged: their fate is unknown, unless the
        server said in ``<failed h=.../>`` that it never had them (XEP-0198 §5).
        """
        self.ended = reason
        self._room.unpark_all()
        self.handled.end()
        failure = reason if isinstance(reason, ConnectionError) else ConnectionError(str(reason))
        self.replies.fail_all(failure)
        for scope in list(self.running):
            scope.cancel(reason="the session has ended")
        management, self.sm, self.asked = self.sm or self.asked, None, None
        if management is not None:
            for token, _ in management.unacked:
                token.become(unacked)
        self._disconnect()

    def _disconnect(self) -> None:
        """Settle what was not sent.

        Of what the writer was writing, the last was not written as a whole. Of those before it the fate is unknown.
        """
        unknown = self._being_written[:-1] if self._bytes_offered else []
        unsent, self._being_written, self._bytes_offered = self._being_written[len(unknown) :], [], False
        for token in unknown:
            token.become(StanzaState.SENT_WITHOUT_SM)
        for token in unsent:
            token.become(StanzaState.DISCONNECTED)
        self.outgoing.close()
        while self.outgoing.queue:
            token = self.outgoing.receive_nowait()
            if token.state is ACTIVE:
                token.become(StanzaState.DISCONNECTED)


def closed_session() -> SessionState:
    """Return the state that a closed stream has in place of a session."""
    return SessionState(ended=DestructionRequested("close() called"))
