"""What waits to be written: anyone puts, the writer alone takes."""

from __future__ import annotations

from collections import deque

import trio

from .token import StanzaState, StanzaToken

__all__ = ["Outbox"]


class Outbox:
    """The queue of a session, and the flags by which the reader and the watchdog tell the writer what to add.

    It belongs to the session: what is queued while there is no link waits for the next one.
    """

    __slots__ = (
        "_idle",
        "_writer",
        "aside",
        "enable",
        "footer",
        "gated",
        "in_hand",
        "offered",
        "owe_ack",
        "queue",
        "said_goodbye",
        "want_ack",
    )

    def __init__(self) -> None:
        self.queue: deque[StanzaToken] = deque()
        self.in_hand: list[StanzaToken] = []
        """What the writer is just writing without stream management; it stays here if the link breaks meanwhile."""
        self.offered = False
        """The link may have carried some of what is in hand."""
        self.owe_ack = False
        """The peer asked how much we handled."""
        self.want_ack = False
        """The peer is to be asked how much it handled."""
        self.enable: str | None = None
        """A request to manage the stream that is to be written. Behind it the gate closes."""
        self.aside: str | None = None
        """Something that is no stanza, has no answer, and is worth nothing on another link."""
        self.gated = False
        """No stanza may be written: the server has not yet said whether it counts (XEP-0198 §3)."""
        self.footer = False
        """The stream is to be closed: no more stanzas, a last ack, and the footer."""
        self.said_goodbye = False
        """That is done: the ack was our last, so what arrives now will never be acknowledged."""
        self._writer = trio.lowlevel.ParkingLot()
        self._idle = False
        """The writer waits, and nobody has woken it yet."""

    def put(self, token: StanzaToken) -> None:
        """Enqueue a stanza."""
        self.queue.append(token)
        if self._idle:
            self.wake()

    def wake(self) -> None:
        """Have the writer look at the queue and the flags."""
        self._writer.unpark()

    @property
    def has_work(self) -> bool:
        """Whether the writer could write something now."""
        if self.owe_ack or self.footer or self.enable is not None or self.aside is not None:
            return True
        return not self.gated and (self.want_ack or bool(self.queue))

    async def wait(self) -> None:
        """Wait until there may be something to write. Cancelling loses nothing."""
        if self.has_work:
            await trio.lowlevel.checkpoint()
        while not self.has_work:
            self._idle = True
            try:
                await self._writer.park()
            finally:
                self._idle = False

    def new_link(self) -> None:
        """What was meant for a link that is gone does not apply to the next one."""
        self.owe_ack = self.want_ack = self.gated = self.footer = self.said_goodbye = False
        self.enable = self.aside = None

    def disconnect(self) -> None:
        """The session is over: what still waits in the queue was never sent.

        Of what the writer was just writing, the last was not written as a whole. Of those before it nobody knows.
        """
        unknown = self.in_hand[:-1] if self.offered else []
        unsent, self.in_hand, self.offered = self.in_hand[len(unknown) :], [], False
        for token in unknown:
            token._set_state(StanzaState.SENT_WITHOUT_SM)
        for token in unsent:
            token._set_state(StanzaState.DISCONNECTED)
        while self.queue:
            token = self.queue.popleft()
            if token.state is StanzaState.ACTIVE:
                token._set_state(StanzaState.DISCONNECTED)
