"""The two channels that the writer takes from: one of the session, with stanzas, and one of the link, with control.

Stanzas wait on the `OutgoingChannel` of the session, which outlives a broken link. Control of one link only (an
acknowledgement that is owed, a request for one, the footer) waits on the `ControlChannel` of that link and dies with
it: nothing has to be reset. trio has no wait for two memory channels at once, and its channels cannot be looked into,
which a session has to do when it ends. So these are channels of our own: many tasks send, and one takes. Both ring the
`Doorbell` of the session, at which the writer waits.

A stanza leaves the queue in the step in which it counts as sent, and not before. The stanzas that the server has not
acknowledged belong to the channel, too: all that is not settled is in one place.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import trio

from ...errors import OutboxFull
from ...protocol.sm import StreamManagement
from ...protocol.stanza import IQ, Message, Presence
from ..ids import new_id
from .token import ACKED, ACTIVE, SENT, OnStateChange, OutgoingStanza, StanzaState
from .unconfirmed import Unconfirmed

__all__ = ["MAX_OUTGOING", "Control", "ControlChannel", "Doorbell", "OutgoingChannel", "Sent", "SentJournal"]

#: How many octets of stanzas may wait to be sent and acknowledged. An application that makes more is told to wait.
MAX_OUTGOING = 16 << 20

#: A stanza in flight: a token, and the bytes to send again after a resumption (filters have seen them already).
Sent = tuple[OutgoingStanza, bytes]


class Doorbell:
    """Wakes one task that waits for several channels, or has it serve a caller while it goes on waiting."""

    __slots__ = ("_lot", "_serve", "is_awaited")

    def __init__(self) -> None:
        self._lot = trio.lowlevel.ParkingLot()
        self._serve: Callable[[], bool] | None = None
        self.is_awaited: bool = False
        """Whether a task waits."""

    def ring(self) -> None:
        """Wake the task that waits, if one does."""
        if self.is_awaited:
            self.leave()
            self._lot.unpark()

    def knock(self) -> None:
        """Have the task that waits serve in the turn of the caller; wake it if there is more to do than that."""
        serve = self._serve
        if serve is not None:
            self.leave()
            done = False
            try:
                done = serve()
            finally:
                if done:
                    self.attend(serve)
                else:
                    self._lot.unpark()

    def attend(self, serve: Callable[[], bool]) -> trio.lowlevel.ParkingLot:
        """Return where the one task that waits is to park, at once, until the bell rings.

        The bell does not remember rings: look at the channels first. `serve` is called for each knock, and returns
        whether nothing is left to do. If the task is cancelled, it has to `leave`.
        """
        self.is_awaited, self._serve = True, serve
        return self._lot

    def leave(self) -> None:
        """The task does not wait any more."""
        self.is_awaited, self._serve = False, None


class SentJournal(Protocol):
    """Takes note of the stanzas of one session, on their way out."""

    def enqueued(self, token: OutgoingStanza) -> None:
        """A stanza was enqueued."""

    def sent(self, token: OutgoingStanza, data: bytes) -> None:
        """A stanza is about to be sent with stream management, as `data`."""


class OutgoingChannel:
    """The stanzas of a session on their way out, in order: those that wait, are being written, or are in flight.

    Any task sends. Only the writer takes, one by one from the head of the `queue`: there a stanza stays until it is
    `sent`, or is of no use any more (`discard`). With stream management, it is in flight from then on until the server
    acknowledges it.
    """

    __slots__ = (
        "_being_written",
        "_bytes_offered",
        "_condemned",
        "_doorbell",
        "_drained",
        "_is_closed",
        "_is_granted",
        "_journal",
        "_room",
        "_sm",
        "_waiting_for_room",
        "in_flight",
        "octets",
        "queue",
        "sent_unmanaged",
        "suspected",
        "unconfirmed",
    )

    def __init__(
        self, doorbell: Doorbell, unconfirmed: Unconfirmed | None = None, journal: SentJournal | None = None
    ) -> None:
        self.queue: deque[OutgoingStanza] = deque()
        """The stanzas that wait, in order: to look at."""
        self.octets: int = 0
        """The octets of what waits, roughly."""
        self.in_flight: int = 0
        """The octets of the stanzas that were sent and not acknowledged."""
        self.sent_unmanaged: int = 0
        """The number of stanzas that were written without stream management."""
        self.suspected: OutgoingStanza | None = None
        """The stanza behind which nothing is sent before it is acknowledged."""
        self.unconfirmed: Unconfirmed | None = unconfirmed
        """The stanzas of a component that are in doubt; None for a client."""
        self._journal = journal
        self._sm: StreamManagement[Sent] | None = None
        self._is_granted = False  # whether the server has agreed to count
        self._drained = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._waiting_for_room = 0  # tasks
        self._doorbell = doorbell
        self._is_closed = False
        self._condemned: tuple[OutgoingStanza, Exception] | None = None
        # Without stream management: what the writer is writing, and whether the transport may have some of it.
        self._being_written: list[OutgoingStanza] = []
        self._bytes_offered = False

    def __len__(self) -> int:
        return len(self.queue)

    # --- the end of those who send

    def put(
        self,
        stanza: Message | Presence | IQ,
        size: int | None = None,
        *,
        token: OutgoingStanza | None = None,
        on_state_change: OnStateChange | None = None,
        needs_room: bool = False,
        at_once: bool = False,
    ) -> OutgoingStanza:
        """Append `stanza`, give it an id if it has none, and return its token, which may be made already.

        A session that is over takes nothing: then the token is DISCONNECTED. `size` is that of the stanza, if it is
        known. `at_once`: the caller waits for what comes of it. On an idle link it is written before this returns.

        If it `needs_room`, raises `OutboxFull`, before anything changes, while `MAX_OUTGOING` is reached.
        """
        if needs_room and self.octets + self.in_flight >= MAX_OUTGOING:
            raise OutboxFull(
                f"{MAX_OUTGOING:,} octets of stanzas wait to be sent and acknowledged; use send(), which waits for room"
            )
        if not stanza.id:
            stanza.id = new_id()
        if self._doorbell.is_awaited and not at_once:  # usually no task waits: of many stanzas, only the first wakes it
            self._doorbell.ring()
        if token is None:
            token = OutgoingStanza(stanza, on_state_change=on_state_change, size=size)
        if self._is_closed:
            token.become(StanzaState.DISCONNECTED)
            return token
        self.octets += token.size
        self.queue.append(token)
        if at_once:
            self._doorbell.knock()
        if self._journal is not None:
            self._journal.enqueued(token)
        return token

    def restore(self, token: OutgoingStanza, data: bytes | None) -> None:
        """Append a stanza that another process has enqueued, and sent as `data` if that is given."""
        if data is None:
            self.octets += token.size
            self.queue.append(token)
        else:
            assert self._sm is not None
            self._sm.sent((token, data))
            token.become(SENT)

    @property
    def has_room(self) -> bool:
        """Whether another stanza may be enqueued: `MAX_OUTGOING` is not reached."""
        return self.octets + self.in_flight < MAX_OUTGOING

    async def wait_for_room(self) -> None:
        """Wait until there is room for another stanza, or the session is over. Cancelling changes nothing.

        No checkpoint if there is room now.
        """
        while not self.has_room and not self._is_closed:
            self._waiting_for_room += 1
            try:
                await self._room.park()
            finally:
                self._waiting_for_room -= 1

    async def wait_drained(self) -> None:
        """Wait until everything was taken. Cancelling changes nothing."""
        await trio.lowlevel.checkpoint()
        while self.queue:
            await self._drained.park()

    # --- the end of the writer

    def discard(self) -> None:
        """Take the oldest stanza away: nothing is to be sent of it."""
        self.octets -= self.queue.popleft().size
        if not self.queue and self._drained:
            self._drained.unpark_all()
        if self._waiting_for_room and self.has_room:
            self._room.unpark_all()

    def sent(self, data: bytes) -> None:
        """The writer is about to write the oldest stanza, as `data`.

        With stream management it is in flight from now on: its ack may be here before the writer's call returns.
        """
        token, sm = self.queue.popleft(), self._sm
        self.octets -= token.size
        if not self.queue and self._drained:
            self._drained.unpark_all()
        if sm is None:
            token.take()
            self._being_written.append(token)
            return
        sm.sent((token, data))
        self.in_flight += len(data)
        if self._waiting_for_room and self.has_room:
            self._room.unpark_all()
        if self._journal is not None and self._is_granted:
            self._journal.sent(token, data)
        token.become(SENT)

    def offering(self) -> None:
        """Without stream management: the transport is about to get the bytes of what is being written."""
        self._bytes_offered = True

    def written(self) -> None:
        """Without stream management: the transport has taken all bytes."""
        self._bytes_offered = False
        tokens, self._being_written = self._being_written, []
        self.sent_unmanaged += len(tokens)
        for token in tokens:
            if self.unconfirmed is not None:
                self.unconfirmed.written(token)
            token.become(StanzaState.SENT_WITHOUT_SM)
        if self._waiting_for_room and self.has_room:
            self._room.unpark_all()

    # --- what the server has

    def asks_ahead(self, management: StreamManagement[Sent]) -> None:
        """The server is asked to count the stanzas that are sent from now on (XEP-0198 §3)."""
        self._sm = management

    def manage(self, management: StreamManagement[Sent]) -> None:
        """The server counts the stanzas that are sent, those that `management` has already included."""
        self._sm, self._is_granted = management, True
        if self._journal is not None:
            for token, data in management.unacked:
                self._journal.sent(token, data)

    def refused(self) -> None:
        """The server does not count: nothing tells what it has of the stanzas that were sent since it was asked."""
        management, self._sm, self.in_flight = self._sm, None, 0
        if management is not None:
            self.sent_unmanaged += len(management.unacked)
            for token, _ in management.unacked:
                token.become(StanzaState.SENT_WITHOUT_SM)
        self._got_room()

    def begins_link(self) -> None:
        """A link begins, on which all that is in flight is sent again."""
        self.in_flight = 0 if self._sm is None else sum(len(data) for _, data in self._sm.unacked)

    def acked(self, stanzas: Sequence[Sent]) -> None:
        """The server has handled these stanzas, which were in flight."""
        for _, data in stanzas:
            self.in_flight -= len(data)
        self._got_room()
        for token, _ in stanzas:
            token.become(ACKED)

    def _got_room(self) -> None:
        """Less waits to be sent or acknowledged: the writer, and tasks that wait for room, may go on."""
        if self._waiting_for_room and self.has_room:
            self._room.unpark_all()
        if self._doorbell.is_awaited and (self.queue or self.suspected is not None):
            self._doorbell.ring()

    @property
    def first_in_flight(self) -> OutgoingStanza | None:
        """The oldest stanza that was sent and not acknowledged; None if the server does not count."""
        return self._sm.unacked[0][0] if self._is_granted and self._sm is not None and self._sm.unacked else None

    # --- a stanza that ends every link on which it is sent

    def suspect(self, token: OutgoingStanza) -> None:
        """On the next link, send this stanza alone, and nothing behind it before it is acknowledged.

        For a stanza that was the first in flight when several links ended in the same way: if a link ends once more,
        it is to blame.
        """
        self.suspected = token

    @property
    def suspect_in_flight(self) -> bool:
        """Whether the suspect is not acknowledged yet."""
        return self.suspected is not None and self.suspected is self.first_in_flight

    def condemn(self, token: OutgoingStanza, reason: Exception) -> None:
        """When the session is resumed, and the server has not handled this stanza, do not send it again: it FAILED.

        The stanzas behind it go on. The server never counted it, so neither do we. If it is not the first in flight any
        more when the server has told its count, nothing happens.
        """
        self._condemned = token, reason

    def carry_out(self) -> None:
        """The server has told how much it handled: fail the stanza that is condemned, if it was not handled."""
        condemned, self._condemned = self._condemned, None
        if condemned is None or self._sm is None or self.first_in_flight is not condemned[0]:
            return
        token, reason = condemned
        _, data = self._sm.retract_first()
        self.in_flight -= len(data)
        self.suspected = None
        token.become(StanzaState.FAILED, reason)

    # --- the end of the session

    def unsettled(self) -> list[OutgoingStanza]:
        """The tokens of everything that was enqueued and is not settled yet, in order."""
        sent = [] if self._sm is None else [token for token, _ in self._sm.unacked]
        waiting = [token for token in self.queue if not token.state.is_final]
        return sent + self._being_written + waiting

    def close(self) -> None:
        """Take no more stanzas, for the session is over."""
        self._is_closed = True
        self._room.unpark_all()
        self._doorbell.ring()

    def settle(self, unacked: StanzaState) -> None:
        """Settle every stanza. Those that were sent and not acknowledged become `unacked`.

        Of what the writer was writing, the last was not written as a whole. Of those before it the fate is unknown.
        """
        management, self._sm, self._is_granted = self._sm, None, False
        if management is not None:
            for token, _ in management.unacked:
                token.become(unacked)
        unknown = self._being_written[:-1] if self._bytes_offered else []
        unsent, self._being_written, self._bytes_offered = self._being_written[len(unknown) :], [], False
        for token in unknown:
            token.become(StanzaState.SENT_WITHOUT_SM)
        for token in unsent:
            token.become(StanzaState.DISCONNECTED)
        while self.queue:
            token = self.queue[0]
            self.discard()
            if token.state is ACTIVE:
                token.become(StanzaState.DISCONNECTED)


class Control(enum.Enum):
    """The words that the tasks of a link tell its writer, in the order in which the writer obeys."""

    # The default hash is that of the name, which costs much more.
    if not TYPE_CHECKING:  # checkers take an alias for a field
        __hash__ = object.__hash__

    OWE_ACK = "the server asked how much we handled"
    ENABLE = "ask the server to manage the stream; then write no stanza before `ANSWERED`"
    ENABLE_AHEAD = "ask the server to manage the stream; what is written behind that counts if it agrees"
    ANSWERED = "the server answered that request"
    CLIENT_STATE = "tell the server whether a person is looking (XEP-0352)"
    WANT_ACK = "ask the server how much it handled"
    PING = "ask the server for a sign of life, without stream management (XEP-0199)"
    KEEPALIVE = "say something, whatever it is (RFC 6120 §4.6.1)"
    FOOTER = "close the stream: write a last ack and the footer"


class ControlChannel:
    """The control of one link. Reader, watchdog and link send; only the writer takes.

    There is at most one of each kind: a second one, sent before the writer took the first, replaces it. So a server
    that asks for an ack a million times cannot fill the channel.
    """

    __slots__ = ("_doorbell", "waiting")

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self.waiting: dict[Control, str] = {}
        """The words that wait: to look at."""

    def send_nowait(self, control: Control, text: str = "") -> None:
        """Tell the writer; `text` is the nonza that it shall write, if the word has one."""
        self.waiting[control] = text
        self._doorbell.ring()

    def take_all(self) -> dict[Control, str]:
        """Take all that waits."""
        taken, self.waiting = self.waiting, {}
        return taken
