"""XEP-0198 as the server keeps its books. Written without a look at the client's, so that one checks the other."""

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
    """Whether it was ever written to a link; while there is none, stanzas only queue."""


@dataclass(slots=True)
class ServerQueue:
    """The stream management of one session: what came in, and what went out and was not acknowledged."""

    id: str
    resumable: bool
    patience: float
    """Seconds that the session survives without a link."""
    handled: int = 0
    """The h that the server reports: how many stanzas of the client it has handled, modulo 2**32."""
    acknowledged: int = 0
    """The h that the client reported last."""
    unacked: deque[Delivery] = field(default_factory=deque)
    """What the client has not acknowledged, oldest first."""

    @property
    def sent(self) -> int:
        """How many stanzas have been written to the client, modulo 2**32."""
        return (self.acknowledged + sum(delivery.written for delivery in self.unacked)) % WRAP

    def count(self) -> None:
        """One more stanza of the client was handled."""
        self.handled = (self.handled + 1) % WRAP

    def acknowledge(self, h: int) -> None:
        """The client says that it has handled `h` stanzas.

        Raises StreamError, *undefined-condition* with *handled-count-too-high*, if that is more than were written.
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
