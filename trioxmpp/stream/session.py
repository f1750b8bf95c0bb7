"""All that survives a broken link: what stands between binding a resource and the end of the session."""

from __future__ import annotations

from typing import Protocol

import trio

from ..errors import DestructionRequested
from ..jid import JID
from ..protocol.elements.ping import Ping
from ..protocol.sm import Resume, StreamManagement
from ..protocol.stanza import IQ, IQType, Message, Presence
from .ids import new_id
from .inbound.handled import HandledCounter
from .inbound.replies import ReplyTable
from .outbound.channels import Doorbell, OutgoingChannel
from .outbound.token import ACKED, ACTIVE, SENT, OutgoingStanza, StanzaState

__all__ = ["Journal", "SessionState", "closed_session"]

#: What is in flight: a token, and the bytes to send again after a resumption (filters have seen them already).
Sent = tuple[OutgoingStanza, bytes]


class Journal(Protocol):
    """Writes down what is to outlive the process, before the server or the application learns of it."""

    def enqueued(self, token: OutgoingStanza, session: SessionState) -> None:
        """A stanza was enqueued in `session`."""

    def sent(self, token: OutgoingStanza, data: bytes) -> None:
        """A stanza is about to be sent with stream management, as `data`."""

    async def commit(self, session: SessionState) -> None:
        """Write down what is new in `session`. What is sent from now on may rely on it."""


class SessionState:
    """The state of one session. It is replaced, not reset, when the session is over."""

    __slots__ = (
        "_being_written",
        "_bytes_offered",
        "_ping_id",
        "doorbell",
        "ended",
        "established",
        "handled",
        "journal",
        "outgoing",
        "replies",
        "resume_requests",
        "running",
        "sm",
    )

    def __init__(self, ended: Exception | None = None, journal: Journal | None = None) -> None:
        self.doorbell = Doorbell()
        """Wakes the writer."""
        self.outgoing = OutgoingChannel(self.doorbell)
        self.sm: StreamManagement[Sent] | None = None
        self.handled = HandledCounter()
        self.journal = journal
        self.replies = ReplyTable(ended)
        self.running: set[trio.CancelScope] = set()
        """The handlers of requests that have no answer yet."""
        self.resume_requests = 0
        """How often the server was asked to resume this session."""
        self.established = False
        self.ended = ended
        """Why nothing can be enqueued any more."""
        # Without stream management: what the writer is writing, and whether the transport may have some of it.
        self._being_written: list[OutgoingStanza] = []
        self._bytes_offered = False
        self._ping_id: str | None = None

    @property
    def resumable(self) -> bool:
        """Whether a broken link leaves this session alive."""
        return self.sm is not None and self.sm.resumable

    def enqueue(self, stanza: Message | Presence | IQ, token: OutgoingStanza | None = None) -> OutgoingStanza:
        """Put `stanza` on the outgoing channel; give it an id if it has none. A session that is over takes none."""
        token = token or OutgoingStanza(stanza)
        if not stanza.id:
            stanza.id = new_id()
        if self.ended is not None:
            token.become(StanzaState.DISCONNECTED)
        else:
            self.outgoing.send_nowait(token)
            if self.journal is not None:
                self.journal.enqueued(token, self)
        return token

    def sending(self, token: OutgoingStanza, data: bytes) -> None:
        """The writer is about to write the stanza, as `data`.

        With stream management it is in flight from now on: its ack may be here before the writer's call returns.
        """
        if self.sm is None:
            token.take()
            self._being_written.append(token)
            return
        self.sm.sent((token, data))
        if self.journal is not None:
            self.journal.sent(token, data)
        token.become(SENT)

    def offering(self) -> None:
        """The transport is about to get the bytes of the stanzas that are being written."""
        self._bytes_offered = True

    def written(self) -> None:
        """The transport has taken all bytes."""
        self._bytes_offered = False
        if self._being_written:
            tokens, self._being_written = self._being_written, []
            for token in tokens:
                token.become(StanzaState.SENT_WITHOUT_SM)

    def ping(self, local_jid: JID | None) -> None:
        """Ask the server for a sign of life (XEP-0199). Any reply will do; none is reported."""
        if self._ping_id is None or not self.replies.expects(None, self._ping_id, local_jid):
            self._ping_id = new_id()
            self.replies.expect(None, self._ping_id, local_jid)
        # A server that never answers, but says other things, is asked again with the same id.
        self.enqueue(IQ(type=IQType.GET, payload=Ping(), id=self._ping_id))

    async def resume_request(self) -> Resume | None:
        """Return the request to resume this session, to be written at once; None if it cannot be resumed.

        The count in it is settled here: the server will send all later stanzas again. The journal has it before the
        server, since the server forgets what it covers.
        """
        sm = self.sm
        if sm is None or not sm.resumable or sm.granted.id is None:
            await trio.lowlevel.checkpoint()
            return None
        request = Resume(h=sm.handled, previd=sm.granted.id)
        self.resume_requests += 1
        self.handled.resuming()
        if self.journal is not None:
            await self.journal.commit(self)
        return request

    def acked(self, h: int) -> None:
        """The server handled `h` stanzas. Raises HandledCountTooHigh if we never sent so many."""
        assert self.sm is not None
        for token, _ in self.sm.acked(h):
            token.become(ACKED)

    def unsettled(self) -> list[OutgoingStanza]:
        """The tokens of everything that was enqueued and is not settled yet, in order."""
        sent = [] if self.sm is None else [token for token, _ in self.sm.unacked]
        waiting = [token for token in self.outgoing.waiting() if not token.state.is_final]
        return sent + self._being_written + waiting

    def end(self, reason: Exception, *, unacked: StanzaState = StanzaState.SENT_WITHOUT_SM) -> None:
        """Settle everything: no task waits any longer for anything of this session.

        `unacked` is what becomes of the stanzas that were sent but not acknowledged: their fate is unknown, unless the
        server said in ``<failed h=.../>`` that it never had them (XEP-0198 §5).
        """
        self.ended = reason
        self.handled.end()
        failure = reason if isinstance(reason, ConnectionError) else ConnectionError(str(reason))
        self.replies.fail_all(failure)
        for scope in list(self.running):
            scope.cancel(reason="the session has ended")
        sm, self.sm = self.sm, None
        if sm is not None:
            for token, _ in sm.unacked:
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
        while self.outgoing:
            token = self.outgoing.receive_nowait()
            if token.state is ACTIVE:
                token.become(StanzaState.DISCONNECTED)


def closed_session() -> SessionState:
    """What a closed stream has in place of a session."""
    return SessionState(ended=DestructionRequested("close() called"))
