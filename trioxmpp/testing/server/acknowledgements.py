"""Stream management (XEP-0198) on the server's side. It shares no code with the client: each checks the other."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ... import xml
from ...errors import StreamCondition, StreamError
from ...protocol import ns

__all__ = ["Delivery", "ServerQueue"]

WRAP = 1 << 32


@dataclass(slots=True)
class Delivery:
    """A stanza on its way to a client."""

    element: xml.Element
    text: str
    written: bool = False
    """Whether it was ever written to a link; without a link, stanzas only queue."""


@dataclass(slots=True)
class ServerQueue:
    """The counters of one session, and the stanzas that its client has not acknowledged."""

    id: str
    resumable: bool
    patience: float
    """The time that the session survives without a link, in seconds."""
    handled: int = 0
    """The h that the server reports: the number of stanzas of the client that it has handled, modulo 2**32."""
    acknowledged: int = 0
    """The h that the client reported last."""
    unacked: deque[Delivery] = field(default_factory=deque)
    """The stanzas that the client has not acknowledged, oldest first."""

    @property
    def sent(self) -> int:
        """The number of stanzas that have been written to the client, modulo 2**32."""
        return (self.acknowledged + sum(delivery.written for delivery in self.unacked)) % WRAP

    def count(self) -> None:
        """Count one more stanza of the client as handled."""
        self.handled = (self.handled + 1) % WRAP

    def acknowledge(self, h: int) -> None:
        """Note that the client has handled `h` stanzas.

        Raises StreamError, *undefined-condition* with *handled-count-too-high*, if fewer were written.
        """
        news = (h - self.acknowledged) % WRAP
        if news > len(self.unacked) or (news and not self.unacked[news - 1].written):
            raise StreamError(
                StreamCondition.UNDEFINED_CONDITION,
                f"You acknowledged {h} stanzas, but I only sent you {self.sent} so far.",
                by_us=True,
                application=f"<handled-count-too-high xmlns='{ns.SM}' h='{h}' send-count='{self.sent}'/>",
            )
        for _ in range(news):
            self.unacked.popleft()
        self.acknowledged = h % WRAP
