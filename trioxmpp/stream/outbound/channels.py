"""The two channels that the writer takes from: one of the session, with stanzas, and one of the link, with control.

Stanzas wait on the `OutgoingChannel` of the session, which outlives a broken link. Control of one link only (an
acknowledgement that is owed, a request for one, the footer) waits on the `ControlChannel` of that link and dies with
it: nothing has to be reset. trio has no wait for two memory channels at once, and its channels cannot be looked into,
which a session has to do when it ends. So these are channels of our own, with trio's interface and meaning; both ring
the `Doorbell` of the session, at which the writer waits.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from .token import ACTIVE, OutgoingStanza

__all__ = ["Control", "ControlChannel", "Doorbell", "OutgoingChannel"]


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
            self.is_awaited = False
            self._lot.unpark()

    def knock(self) -> None:
        """Have the task that waits serve in the turn of the caller; wake it if there is more to do than that."""
        if self.is_awaited:
            self.is_awaited = False
            done = False
            try:
                done = self._serve is not None and self._serve()
            finally:
                if done:
                    self.is_awaited = True
                else:
                    self._lot.unpark()

    async def wait(self, serve: Callable[[], bool] | None = None) -> None:
        """Wait until the bell rings. It does not remember rings: look at the channels first. Cancelling is harmless.

        `serve` is called for each knock, and returns whether nothing is left to do.
        """
        self.is_awaited, self._serve = True, serve
        try:
            await self._lot.park()
        finally:
            self.is_awaited, self._serve = False, None


class OutgoingChannel(trio.abc.SendChannel[OutgoingStanza], trio.abc.ReceiveChannel[OutgoingStanza]):
    """The stanzas of a session that are not written yet, in order. Any task sends; only the writer receives."""

    __slots__ = ("_doorbell", "_drained", "_is_closed", "octets", "queue")

    def __init__(self, doorbell: Doorbell) -> None:
        self.queue: deque[OutgoingStanza] = deque()
        """The stanzas that wait, in order: to look at."""
        self.octets: int = 0
        """The octets of what waits, roughly."""
        self._drained = trio.lowlevel.ParkingLot()
        self._doorbell = doorbell
        self._is_closed = False

    def __len__(self) -> int:
        return len(self.queue)

    def send_nowait(self, value: OutgoingStanza, *, at_once: bool = False) -> None:
        """Append a stanza. Raises trio.ClosedResourceError when the session is over.

        `at_once`: the caller is going to wait for what comes of it, so have it written in this turn, if possible.
        """
        if self._is_closed:
            raise trio.ClosedResourceError
        self.octets += value.size
        self.queue.append(value)
        if at_once:
            self._doorbell.knock()
        elif self._doorbell.is_awaited:  # usually no task waits: of many stanzas, only the first wakes it
            self._doorbell.ring()

    async def send(self, value: OutgoingStanza) -> None:
        """Append a stanza. If cancelled, nothing was appended."""
        await trio.lowlevel.checkpoint()
        self.send_nowait(value)

    def receive_nowait(self) -> OutgoingStanza:
        """Take the oldest stanza. Raises trio.WouldBlock if nothing waits, trio.EndOfChannel at the end."""
        if self.queue:
            value = self.queue.popleft()
            self.octets -= value.size
            if not self.queue and self._drained:
                self._drained.unpark_all()
            return value
        raise trio.EndOfChannel if self._is_closed else trio.WouldBlock

    async def receive(self) -> OutgoingStanza:
        """Wait for the oldest stanza, and take it. Cancelling loses nothing. Raises trio.EndOfChannel at the end."""
        await trio.lowlevel.checkpoint()
        while not self.queue and not self._is_closed:
            await self._doorbell.wait()
        return self.receive_nowait()

    def take_active(self) -> OutgoingStanza | None:
        """Take the oldest stanza that was not aborted while it waited; None if there is none."""
        queue, taken = self.queue, None
        while queue and taken is None:
            token = queue.popleft()
            self.octets -= token.size
            if token.state is ACTIVE:
                taken = token
        if not queue and self._drained:
            self._drained.unpark_all()
        return taken

    def put_back(self, value: OutgoingStanza) -> None:
        """Return a stanza that was taken, but not written, to the head of the queue."""
        self.octets += value.size
        self.queue.appendleft(value)

    async def wait_drained(self) -> None:
        """Wait until everything was taken. Cancelling changes nothing."""
        await trio.lowlevel.checkpoint()
        while self.queue:
            await self._drained.park()

    def close(self) -> None:
        """Take no more stanzas. Stanzas that wait can still be received."""
        self._is_closed = True
        self._doorbell.ring()

    async def aclose(self) -> None:
        """See `close`. A checkpoint; the channel is closed even if this is cancelled."""
        self.close()
        await trio.lowlevel.checkpoint()


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
