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
from ..filters import Filter
from ..link import LIVE, OVER, Link
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

_REQUEST: Final = sm.REQUEST.encode()


class OutboundFilters(Protocol):
    """The filters that a stanza passes on its way out."""

    @property
    def outbound_filters(self) -> tuple[Filter[Message], Filter[Message], Filter[Presence], Filter[Presence]]:
        """The filters that `filter_outbound` applies. While all are empty, it need not be called."""
        ...

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
        self._chains = filters.outbound_filters
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
        session, link, xmlstream = self._session, self._link, self._xmlstream
        while self.state is not DONE:
            await self._wait()
            if self._left is not None and xmlstream.unsent and link.state not in OVER:
                await xmlstream.flush()
            batch, self._left = self._left or self._next_batch(), None
            if batch and session.journal is not None:
                await session.journal.commit(session)  # before the server hears of it
            if batch and link.state not in OVER:
                # To write without waiting takes a third of the time, through TLS. Without stream management, a link
                # that ends meanwhile tells which stanzas are lost, by the octets that were not written.
                if session.sm is None or not xmlstream.send_nowait(*batch):
                    await self._write(batch)
                elif xmlstream.unsent:
                    await xmlstream.flush()
            if self._failure is not None:
                raise self._failure

    async def _write(self, batch: list[bytes]) -> None:
        """Write a batch, and wait until the transport has all of it."""
        outgoing = self._outgoing
        outgoing.offering()
        await self._xmlstream.send(*batch)
        outgoing.written()
        if outgoing.unconfirmed is not None and outgoing.unconfirmed.is_ping_due:
            self._ask()

    def _serve(self) -> bool:
        """Write the one stanza that waits in the turn of its caller; return whether nothing is left for this task.

        Only while nothing is on the way: of a burst, the first stanza goes out alone, and the others together. A stanza
        of a session with a journal is written down first, and that takes time.
        """
        session, outgoing = self._session, self._outgoing
        if session.sm is None or outgoing.in_flight or session.journal is not None:
            return False
        if len(outgoing.queue) != 1 or self._control.waiting or not self._has_work:
            return False
        batch = self._next_batch()
        if self._failure is not None or (
            batch and not (self._link.state in OVER or self._xmlstream.send_nowait(*batch))
        ):
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
        doorbell = self._session.doorbell
        try:
            while not self._has_work:
                await doorbell.attend(self._serve).park()
        except trio.Cancelled:
            doorbell.leave()
            raise

    @property
    def _window_is_open(self) -> bool:
        """Whether another stanza may be on the way."""
        session, outgoing = self._session, self._outgoing
        if session.sm is None:
            return session.asked is None or outgoing.in_flight < WINDOW
        if self._resending:
            # They count as in flight already, and are few enough. Behind a suspect nothing is sent.
            return not outgoing.suspect_in_flight or len(self._resending) == len(session.sm.unacked)
        return outgoing.in_flight < WINDOW and (outgoing.suspected is None or not outgoing.suspect_in_flight)

    def _next_batch(self) -> list[bytes]:
        """Return the bytes to write now: acks first, then requests to the server, then stanzas, and the footer last."""
        pieces: list[bytes] = []
        if self.state is WriterState.RESENDING:
            self.state = OPEN
            self._take_stanzas(pieces, is_all=False)  # before an ack that is owed already, as servers expect it
            return pieces
        speaks = bool(self._control.waiting) and self._obey(pieces)
        if self.state is OPEN:
            if self._ping:
                self._take_ping(pieces)
            self._take_stanzas(pieces)
        if speaks and not pieces:
            pieces.append(b" ")
        return pieces

    def _obey(self, pieces: list[bytes]) -> bool:
        """Take all control that waits, and add what it has us write. Return whether to say something in any case."""
        control, management = self._control.take_all(), self._session.sm
        if Control.OWE_ACK in control and management is not None:
            pieces.append(sm.ack(management.handled).encode())
        if Control.ENABLE in control:
            # Whether the stanzas that follow are counted is known when the answer is here (XEP-0198 §3).
            pieces.append(control[Control.ENABLE].encode())
            self.state = WriterState.AWAITS_ENABLED
        if Control.ENABLE_AHEAD in control:
            pieces.append(control[Control.ENABLE_AHEAD].encode())
            if Control.ANSWERED not in control:  # a server may answer before it is asked: no answer follows then
                self._session.asks_ahead()
        if Control.ANSWERED in control:
            self.state = OPEN
            self._wants_ack = self._wants_ack or self._outgoing.in_flight > 0
        if Control.CLIENT_STATE in control:
            pieces.append(control[Control.CLIENT_STATE].encode())
        self._wants_ack = self._wants_ack or Control.WANT_ACK in control
        self._ping = control.get(Control.PING, self._ping)
        if Control.FOOTER in control:
            self.state = DONE
            pieces += self._last_words()
            return False
        return Control.KEEPALIVE in control

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

    def _take_stanzas(self, pieces: list[bytes], *, is_all: bool = True) -> None:
        """Add the next stanzas to `pieces`: first those that are sent again, then those that were not sent yet.

        The server is asked for its count behind each `ack_after` of them, and, if this `is_all` of a batch, at its end.
        """
        outgoing, queue, link, size = self._outgoing, self._outgoing.queue, self._link, 0
        # Behind the stanzas of a component comes a ping, at the end of a batch (`unconfirmed`).
        most = BATCH_STANZAS if outgoing.unconfirmed is None else PING_AFTER
        # Look again for each stanza: a filter or a listener of a token may have called stop() or closed the stream.
        while link.state is LIVE and self._failure is None and len(pieces) < most and size < BATCH_BYTES:
            if self._resending:
                if not self._window_is_open:
                    break
                data: bytes | None = self._resending.pop()
                self._wants_ack = self._wants_ack or not self._resending
            elif not queue or outgoing.in_flight >= WINDOW or (outgoing.suspected and not self._window_is_open):
                break
            else:
                data = self._take(queue[0])
            if data is None:
                continue
            pieces.append(data)
            size += len(data)
            if self._session.sm is not None:
                self._unrequested += 1
                self._octets_unrequested += len(data)
                if self._unrequested >= self._ack_after or self._octets_unrequested >= ACK_AFTER_OCTETS:
                    pieces.append(_REQUEST)
                    self._unrequested = self._octets_unrequested = 0
                    self._wants_ack = False
        if not is_all:
            return
        if self._session.sm is not None:
            nothing_follows = not (queue or self._resending) or not self._window_is_open
            if self._wants_ack or (self._unrequested and nothing_follows):
                pieces.append(_REQUEST)
                self._unrequested = self._octets_unrequested = 0
        self._wants_ack = False

    def _take(self, token: OutgoingStanza) -> bytes | None:
        """Return the bytes of the oldest stanza that waits, which counts as sent from now on.

        None if there is nothing to write of it: its token is settled, or it goes on waiting since the link is over.
        """
        outgoing, stanza = self._outgoing, token.stanza
        if token.state is not ACTIVE:
            outgoing.discard()  # it was aborted while it waited
            return None
        app_messages, messages, app_presences, presences = self._chains
        if app_messages.chain or messages.chain or app_presences.chain or presences.chain:
            filtered = self._filtered(token)
            if filtered is None:
                return None
            stanza = filtered
        try:
            data = stanza.serialise().encode()
            if self._session.max_bytes is not None:
                self._session.check_octets(len(data))
        except Exception as exc:
            self._logger.warning("cannot send %r: %s", stanza, exc)
            outgoing.discard()
            token.become(StanzaState.FAILED, exc)
            return None
        if self._link.state in OVER:  # stopped by a filter, say
            return None  # it has not gone out, and goes on waiting as the first one
        outgoing.sent(data)
        return data

    def _filtered(self, token: OutgoingStanza) -> Message | Presence | IQ | None:
        """Return what to send in place of the oldest stanza that waits; None if nothing, and then it is settled."""
        try:
            stanza = self._filters.filter_outbound(token.stanza)
        except Exception as exc:
            # An exception in a filter is fatal for the stream, but what was taken before is still to be sent.
            self._failure = exc
            self._outgoing.discard()
            if token.state is ACTIVE:
                token.become(StanzaState.FAILED, exc)
            return None
        if token.state is not ACTIVE:
            self._outgoing.discard()
            return None  # aborted by a filter, which has the stanza but not the last word
        if stanza is None:
            self._outgoing.discard()
            token.become(StanzaState.DROPPED)
        return stanza
