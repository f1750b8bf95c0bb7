"""All that survives a broken link: what stands between binding a resource and the end of the session."""

from __future__ import annotations

from typing import Protocol

import trio

from ..errors import DestructionRequested
from ..jid import JID
from ..protocol.elements.ping import Ping
from ..protocol.sm import StreamManagement
from ..protocol.stanza import IQ, IQType, Message, Presence
from .holding import Holding
from .ids import new_id
from .outbox import Outbox
from .replies import ReplyTable
from .token import ACKED, StanzaState, StanzaToken

__all__ = ["Journal", "Session"]

#: What is in flight: a token, and the bytes to send again after a resumption (filters have seen them already).
Sent = tuple[StanzaToken, bytes]


class Journal(Protocol):
    """Writes down what is to outlive the process, before anybody else hears of it."""

    def enqueued(self, token: StanzaToken, session: Session) -> None:
        """Take note of a stanza that was enqueued in `session`."""

    async def commit(self) -> None:
        """Write down what is new. What is sent from now on may rely on it."""


class Session:
    """The state of one session. It is replaced, not reset, when the session is over."""

    __slots__ = ("_ping_id", "ended", "established", "holding", "journal", "outbox", "replies", "running", "sm")

    def __init__(self, ended: Exception | None = None, journal: Journal | None = None) -> None:
        self.outbox = Outbox()
        self.sm: StreamManagement[Sent] | None = None
        self.holding = Holding(self.outbox)
        """The stanzas that arrived, but are not counted before the application has finished with them."""
        self.journal = journal
        self.replies = ReplyTable(ended)
        self.running: set[trio.CancelScope] = set()
        """The handlers of requests that have no answer yet."""
        self._ping_id: str | None = None
        self.established = False
        self.ended = ended
        """Why nothing can be enqueued any more."""

    @property
    def resumable(self) -> bool:
        """Whether a broken link leaves this session alive."""
        return self.sm is not None and self.sm.resumable

    def enqueue(self, stanza: Message | Presence | IQ, token: StanzaToken | None = None) -> StanzaToken:
        """Put `stanza` into the outbox; give it an id if it has none. A session that is over takes none any more."""
        token = token or StanzaToken(stanza)
        if not stanza.id:
            stanza.id = new_id()
        if self.ended is not None:
            token._set_state(StanzaState.DISCONNECTED)
        else:
            self.outbox.put(token)
            if self.journal is not None:
                self.journal.enqueued(token, self)
        return token

    def ping(self, local_jid: JID | None) -> None:
        """Ask the server for a sign of life (XEP-0199). The reply, whatever it says, is not missed and not reported."""
        if self._ping_id is None or not self.replies.expects(None, self._ping_id, local_jid):
            self._ping_id = new_id()
            self.replies.expect(None, self._ping_id, local_jid)
        # A server that never answers, but says other things, is asked again in the same words.
        self.enqueue(IQ(type=IQType.GET, payload=Ping(), id=self._ping_id))

    async def resuming(self) -> int:
        """How many stanzas we handled, to be said in the request to resume. The server will send the others again."""
        assert self.sm is not None
        handled = self.sm.handled
        self.holding.resuming()
        if self.journal is not None:
            await self.journal.commit()  # another process must not say less: what was acknowledged is gone over there
        return handled

    def acked(self, h: int) -> None:
        """The server handled `h` stanzas. Raises HandledCountTooHigh if we never sent so many."""
        assert self.sm is not None
        for token, _ in self.sm.acked(h):
            token._set_state(ACKED)

    def unsettled(self) -> list[StanzaToken]:
        """The tokens of everything that was enqueued and is not settled yet, in order."""
        sent = [] if self.sm is None else [token for token, _ in self.sm.unacked]
        waiting = [token for token in self.outbox.queue if not token.state.is_final]
        return sent + self.outbox.in_hand + waiting

    def end(self, reason: Exception, *, unacked: StanzaState = StanzaState.SENT_WITHOUT_SM) -> None:
        """Settle everything: nobody who waits for something of this session waits any longer.

        `unacked` is what becomes of the stanzas that were sent but not acknowledged: their fate is unknown, unless the
        server said in ``<failed h=.../>`` that it never had them (XEP-0198 §5).
        """
        self.ended = reason
        self.holding.end()
        failure = reason if isinstance(reason, ConnectionError) else ConnectionError(str(reason))
        self.replies.fail_all(failure)
        for scope in list(self.running):
            scope.cancel(reason="the session has ended")
        sm, self.sm = self.sm, None
        if sm is not None:
            for token, _ in sm.unacked:
                token._set_state(unacked)
        self.outbox.disconnect()


def closed_session() -> Session:
    """What a closed stream has in place of a session."""
    return Session(ended=DestructionRequested("close() called"))
