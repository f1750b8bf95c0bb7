"""The writer: the only task that waits to write to an XML stream.

It takes stanzas from the channel of the session and control from the channel of the link. No task of the application
ever waits to write, so no cancellation by the application can cut a stanza in half.

With stream management, a batch is offered to the transport by one call of the system, which does not wait; the writer
waits for the rest only. While it waits for work, and nothing is on the way, a caller that will wait for an answer has
its stanza written in its own turn (`Writer._serve`). The writer's task writes the rest.

With stream management, at most `WINDOW` octets and one stanza are on the way and not acknowledged. More would only fill
buffers between here and the server. Then our acknowledgements, which the server waits for, would stand behind minutes
of stanzas; and a link that breaks would have to carry all of it again, so that a slow one never got anywhere.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from typing import Final, Protocol

import trio

from ...protocol import framing, sm
from ...protocol.stanza import IQ, Message, Presence
from ..link import LIVE, Link
from .channels import Control
from .token import ACTIVE, OutgoingStanza, StanzaState
from .unconfirmed import PING_AFTER

__all__ = ["DONE", "OutboundFilters", "Writer", "WriterState"]

_logger = logging.getLogger(__name__)

#: A batch ends after this number of stanzas or octets, so that an ack is never far behind. Short stanzas are many: a
#: writer that took fewer in its turn would fall behind an application that lets it have one now and then.
BATCH_STANZAS = 256
BATCH_BYTES = 32768

#: The stanzas after which the server is asked to acknowledge them, unless the application chooses a number.
ACK_AFTER_STANZAS = 64

#: The octets that may be on the way, not acknowledged, before another stanza is written.
WINDOW = 131072

#: The octets of stanzas after which the server is asked to acknowledge them.
ACK_AFTER_OCTETS = WINDOW // 4


class WriterState(enum.Enum):
    """The states of the writer, by what it may write."""

    RESENDING = "what is in flight, before anything else: an ack that is owed already comes after it"
    OPEN = "stanzas"
    AWAITS_ENABLED = "no stanza: the server has not yet said if it counts (XEP-0198 §3)"
    DONE = "nothing: the footer is written, and what arrives now is not acknowledged any more"


#: The usual ones. Before Python 3.12 it takes five times as long to look up a member of an enum as a global name.
OPEN: Final = WriterState.OPEN
DONE: Final = WriterState.DONE


class OutboundFilters(Protocol):
    """The filters that a stanza passes on its way out."""

    def filter_outbound(self, stanza: Message | Presence | IQ) -> Message | Presence | IQ | None:
        """The stanza to send in place of `stanza`."""


class Writer:
    """Writes the stanzas of a session, and what only concerns the link, to one XML stream.

    Stanzas that wait when the writer wakes go out at once. With stream management a stanza counts as sent *before* its
    bytes are offered to the transport: its acknowledgement may be here before the call that sends it has returned.
    `ask` has a server without stream management say how far it is.
    """

    def __init__(
        self,
        link: Link,
        filters: OutboundFilters,
        ack_after: int,
        ask: Callable[[], object],
        logger: logging.Logger = _logger,
    ) -> None:
        self._logger = logger
        self._resending: list[bytes] = []
        """After a resumption: what is in flight and was not sent again yet, the oldest last."""
        self.state: WriterState = OPEN
        self._ping = ""
        """The request for a sign of life that may not be written yet."""
        self._link = link
        self._control = link.control
        self._session = link.session
        self._outgoing = link.session.outgoing
        self._xmlstream = link.xmlstream
        self._filters = filters
        self._ack_after = ack_after
        self._ask = ask
        self._wants_ack = False
        """Whether to ask the server for a count as soon as stanzas may be written."""
        self._unrequested = 0
        """How many stanzas were written since an ack was requested."""
        self._octets_unrequested = 0
        """Their octets."""
        self._failure: Exception | None = None
        self._left: list[bytes] | None = None
        """The batch that `_serve` could not write, or an empty one to have the task look; None if all is done."""

    async def run(self) -> None:
        """Write until the footer is written. After stop() not one more byte of a stanza is offered to the transport."""
        if self._session.sm is not None:
            # In their order, as they were, before anything newer (XEP-0198 §5).
            self._resending = [data for _, data in self._session.sm.in_flight()][::-1]
            if self._resending:
                self.state = WriterState.RESENDING
        while self.state is not DONE:
            await self._wait()
            if self._left is not None and self._xmlstream.unsent and not self._link.over:
                await self._xmlstream.flush()
            batch, self._left = self._left or self._next_batch(), None
            if batch and self._session.journal is not None:
                await self._session.journal.commit(self._session)  # before the server hears of it
            if batch and not self._link.over:
                await self._write(batch)
            if self._failure is not None:
                raise self._failure

    async def _write(self, batch: list[bytes]) -> None:
        """Write a batch.

        With stream management, what the transport has room for does not wait: through TLS, that takes a third of the
        time. Without, a link that ends meanwhile tells by what was not written which stanzas are lost.
        """
        session, xmlstream = self._session, self._xmlstream
        session.offering()
        if session.sm is None or not xmlstream.send_nowait(*batch):
            await xmlstream.send(*batch)
        elif xmlstream.unsent:
            await xmlstream.flush()
        session.written()
        if session.unconfirmed is not None and session.unconfirmed.is_ping_due:
            self._ask()

    def _serve(self) -> bool:
        """Write the one stanza that waits in the turn of its caller; return whether nothing is left for this task.

        Only while nothing is on the way: of a burst, the first stanza goes out alone, and the others together. A stanza
        of a session with a journal is written down first, and that takes time.
        """
        session = self._session
        if session.sm is None or session.in_flight or session.journal is not None:
            return False
        if len(self._outgoing.queue) != 1 or self._control.waiting or not self._has_work:
            return False
        batch = self._next_batch()
        if self._failure is not None or (batch and not (self._link.over or self._xmlstream.send_nowait(*batch))):
            self._left = batch
            return False
        if self._xmlstream.unsent:
            self._left = []
        return not self._has_work

    @property
    def _has_work(self) -> bool:
        """Whether something could be written now."""
        if self._control.waiting or self._left is not None:
            return True
        if self.state is WriterState.AWAITS_ENABLED:
            return False
        if (self._wants_ack or self._ping) and self._session.asked is None:
            return True
        return bool(self._resending or self._outgoing.queue) and self._window_is_open

    async def _wait(self) -> None:
        """Wait until there is something to write. Cancelling loses nothing."""
        if self._has_work:
            await trio.lowlevel.checkpoint()  # meanwhile the work may have gone; then there is nothing to write
            return
        await self._session.doorbell.wait(self._serve)
        while not self._has_work:
            await self._session.doorbell.wait(self._serve)

    @property
    def _window_is_open(self) -> bool:
        """Whether another stanza may be on the way."""
        session = self._session
        if session.sm is None:
            return session.asked is None or session.in_flight < WINDOW
        if self._resending:
            # They count as in flight already, and are few enough. Behind a suspect nothing is sent.
            return not session.suspect_in_flight or len(self._resending) == len(session.sm.unacked)
        return session.in_flight < WINDOW and (session.suspected is None or not session.suspect_in_flight)

    def _next_batch(self) -> list[bytes]:
        """Return the bytes to write now: acks first, then requests to the server, then stanzas, and the footer last."""
        management, pieces = self._session.sm, list[bytes]()
        if self.state is WriterState.RESENDING:
            self.state = OPEN
            return self._stanzas()  # before an ack that is owed already, as servers expect it
        control = self._control.take_all()
        if Control.OWE_ACK in control and management is not None:
            pieces.append(sm.ack(management.handled).encode())
        if Control.ENABLE in control:
            # Whether the stanzas that follow are counted is known when the answer is here (XEP-0198 §3).
            pieces.append(control[Control.ENABLE].encode())
            self.state = WriterState.AWAITS_ENABLED
        if Control.ENABLE_AHEAD in control:
            pieces.append(control[Control.ENABLE_AHEAD].encode())
            self._session.asks_ahead()
        if Control.ANSWERED in control:
            self.state = OPEN
            self._wants_ack = self._wants_ack or self._session.in_flight > 0
        if Control.CLIENT_STATE in control:
            pieces.append(control[Control.CLIENT_STATE].encode())
        self._wants_ack = self._wants_ack or Control.WANT_ACK in control
        self._ping = control.get(Control.PING, self._ping)
        if Control.FOOTER in control:
            self.state = DONE
            return [*pieces, *self._last_words()]
        if self.state is OPEN:
            self._take_ping(pieces)
            pieces += self._stanzas()
            if management is not None and self._ack_is_due():
                self._request_ack(pieces)
            self._wants_ack = False
        if Control.KEEPALIVE in control and not pieces:
            pieces.append(b" ")
        return pieces

    def _last_words(self) -> list[bytes]:
        """Return a last ack, so that the server does not deliver again what was handled, and the footer."""
        management = self._session.sm
        return [framing.FOOTER] if management is None else [sm.ack(management.handled).encode(), framing.FOOTER]

    def _take_ping(self, pieces: list[bytes]) -> None:
        """Ask for a sign of life. On a stream that is managed by now, an ack is one, and a ping would be counted.

        While it is not known which of them, there is an answer to come, which is a sign of life, too.
        """
        if self._session.asked is not None:
            return
        if self._ping and self._session.sm is None:
            pieces.append(self._ping.encode())
        elif self._ping:
            self._wants_ack = True
        self._ping = ""

    def _ack_is_due(self) -> bool:
        """Whether to ask for a count at the end of a batch. `_stanzas` asks in the middle of one."""
        if self._wants_ack:
            return True
        if not self._unrequested:
            return False
        return not (self._outgoing.queue or self._resending) or not self._window_is_open

    def _request_ack(self, pieces: list[bytes]) -> None:
        """Ask the server how much it handled, behind `pieces`."""
        pieces.append(sm.REQUEST.encode())
        self._unrequested = self._octets_unrequested = 0
        self._wants_ack = False

    def _stanzas(self) -> list[bytes]:
        """Return the next stanzas: first those that are sent again, then those that were not sent yet."""
        session, outgoing, pieces, size = self._session, self._outgoing, list[bytes](), 0
        # Behind the stanzas of a component comes a ping, at the end of a batch (`unconfirmed`).
        most = BATCH_STANZAS if session.unconfirmed is None else PING_AFTER
        while len(pieces) < most and size < BATCH_BYTES and self._may_write():
            if self._resending:
                data: bytes | None = self._resending.pop()
                self._wants_ack = self._wants_ack or not self._resending
            else:
                token = outgoing.take_active()
                if token is None:
                    break
                data = self._prepare(token)
            if data is None:
                continue
            pieces.append(data)
            size += len(data)
            if session.sm is not None:
                self._unrequested += 1
                self._octets_unrequested += len(data)
                if self._unrequested >= self._ack_after or self._octets_unrequested >= ACK_AFTER_OCTETS:
                    self._request_ack(pieces)
        session.got_room()
        return pieces

    def _may_write(self) -> bool:
        # Asked again for each stanza: a filter or a listener of a token may have called stop() or closed the stream.
        link, session = self._link, self._session
        if link.state is not LIVE or self._failure is not None:
            return False
        if self._resending or session.suspected is not None or session.sm is None:
            return self._window_is_open
        return session.in_flight < WINDOW

    def _prepare(self, token: OutgoingStanza) -> bytes | None:
        """Return the bytes of a stanza, which counts as sent from now on.

        None if there is nothing to write of it: its token is settled, or it waits again since the link is over.
        """
        try:
            stanza = self._filters.filter_outbound(token.stanza)
        except Exception as exc:
            # An exception in a filter is fatal for the stream, but what was taken before is still to be sent.
            self._failure = exc
            if token.state is ACTIVE:
                token.become(StanzaState.FAILED, exc)
            return None
        if token.state is not ACTIVE:
            return None  # aborted by a filter, which has the stanza but not the last word
        if stanza is None:
            token.become(StanzaState.DROPPED)
            return None
        try:
            data = stanza.serialise().encode()
            if self._session.max_bytes is not None:
                self._session.check_octets(len(data))
        except Exception as exc:
            self._logger.warning("cannot send %r: %s", stanza, exc)
            token.become(StanzaState.FAILED, exc)
            return None
        if self._link.over:  # stopped by a filter, say
            self._outgoing.put_back(token)  # it has not gone out
            return None
        self._session.sending(token, data)
        return data
