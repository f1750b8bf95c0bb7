"""From the outbox to the wire: the only task that writes."""

from __future__ import annotations

import logging
from typing import Protocol

from ..protocol import framing, sm
from ..protocol.stanza import IQ, Message, Presence
from .incarnation import Incarnation
from .token import ACTIVE, SENT, StanzaState, StanzaToken

__all__ = ["OutboundFilters", "Writer"]

logger = logging.getLogger(__name__)

#: A batch ends after so many stanzas or bytes, so that an ack is never far behind.
BATCH_STANZAS = 64
BATCH_BYTES = 65536


class OutboundFilters(Protocol):
    """What happens to a stanza on its way out. None: it is dropped."""

    def filter_outbound(self, stanza: Message | Presence | IQ) -> Message | Presence | IQ | None:
        """The stanza to send in place of `stanza`."""


class Writer:
    """Writes one incarnation of a session to one XML stream.

    What is queued when it wakes goes out at once. With stream management a stanza counts as sent *before* its
    bytes are offered to the transport: its acknowledgement may be here before the call that sends it has returned.
    """

    def __init__(self, incarnation: Incarnation, filters: OutboundFilters, ack_after: int) -> None:
        self._incarnation = incarnation
        self._session = incarnation.session
        self._outbox = incarnation.session.outbox
        self._xmlstream = incarnation.xmlstream
        self._filters = filters
        self._ack_after = ack_after
        self._unrequested = 0
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Write until the footer is written. After stop() not one more byte of a stanza is offered to the transport."""
        await self._resend()
        while not self._outbox.said_goodbye:
            await self._outbox.wait()
            batch = self._next_batch()
            if batch and self._session.journal is not None:
                await self._session.journal.commit()  # before the server hears of it
            if batch and not self._incarnation.over:
                self._outbox.offered = True
                await self._xmlstream.send(*batch)
                self._written()
            if self._failure is not None:
                raise self._failure

    async def _resend(self) -> None:
        """After a resumption: what is in flight goes out again, in its order, as it was, before anything newer."""
        if self._session.sm is None:
            return
        batch, size = [], 0
        for _, data in self._session.sm.in_flight():
            batch.append(data)
            size += len(data)
            if size >= BATCH_BYTES:
                await self._xmlstream.send(*batch)
                batch, size = [], 0
        if batch:
            self._outbox.want_ack = True
            await self._xmlstream.send(*batch)

    def _next_batch(self) -> list[bytes]:
        """Everything that is to be written now. No call to the transport, so nothing here can be cut in half."""
        outbox, pieces = self._outbox, list[bytes]()
        if outbox.owe_ack:
            outbox.owe_ack = False
            if self._session.sm is not None:
                pieces.append(sm.ack(self._session.sm.handled).encode())
        if outbox.enable is not None:
            pieces.append(outbox.enable.encode())
            outbox.enable, outbox.gated = None, True
        if outbox.aside is not None:
            pieces.append(outbox.aside.encode())
            outbox.aside = None
        if not (outbox.footer or outbox.gated):
            pieces += self._stanzas()
            if self._session.sm is not None and self._ack_is_due():
                pieces.append(sm.REQUEST.encode())
                self._unrequested = 0
            outbox.want_ack = False
        if outbox.footer:
            if self._session.sm is not None:
                pieces.append(sm.ack(self._session.sm.handled).encode())
            pieces.append(framing.FOOTER)
            outbox.said_goodbye = True
        return pieces

    def _ack_is_due(self) -> bool:
        if self._outbox.want_ack:
            return True
        return self._unrequested > 0 and (self._unrequested >= self._ack_after or not self._outbox.queue)

    def _stanzas(self) -> list[bytes]:
        queue, pieces, size = self._outbox.queue, list[bytes](), 0
        while queue and len(pieces) < BATCH_STANZAS and size < BATCH_BYTES and self._may_write():
            token = queue.popleft()
            if token._state is not ACTIVE:
                continue  # aborted while it waited
            data = self._prepare(token)
            if data is None:
                continue
            if self._incarnation.over:  # stopped by a filter, say; the stanza has not gone out
                queue.appendleft(token)
                break
            pieces.append(data)
            size += len(data)
            self._take(token, data)
        return pieces

    def _may_write(self) -> bool:
        # Asked again for each stanza: a filter or a listener of a token may have called stop() or closed the stream.
        return not (self._incarnation.over or self._failure is not None or self._outbox.footer)

    def _take(self, token: StanzaToken, data: bytes) -> None:
        management = self._session.sm
        if management is None:
            token._taken = True
            self._outbox.in_hand.append(token)
        else:
            management.sent((token, data))
            self._unrequested += 1
            token._set_state(SENT)

    def _prepare(self, token: StanzaToken) -> bytes | None:
        """The bytes of a stanza, or None with its token settled."""
        try:
            stanza = self._filters.filter_outbound(token.stanza)
        except Exception as exc:
            # An exception in a filter is fatal for the stream, but what was taken before is still to be sent.
            self._failure = exc
            if token._state is ACTIVE:
                token._set_state(StanzaState.FAILED, exc)
            return None
        if token._state is not ACTIVE:
            return None  # aborted by a filter, which has the stanza but not the last word
        if stanza is None:
            token._set_state(StanzaState.DROPPED)
            return None
        try:
            return stanza.serialise().encode()
        except Exception as exc:
            logger.debug("cannot send %r: %s", stanza, exc)
            token._set_state(StanzaState.FAILED, exc)
            return None

    def _written(self) -> None:
        tokens, self._outbox.in_hand, self._outbox.offered = self._outbox.in_hand, [], False
        for token in tokens:
            token._set_state(StanzaState.SENT_WITHOUT_SM)
