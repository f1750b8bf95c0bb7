"""XEP-0297: Stanza Forwarding."""

from __future__ import annotations

from ... import xml
from .. import ns
from ..stanza import IQ, Message, Presence
from .delay import Delay

__all__ = ["Forwarded"]


@xml.element(ns.FORWARD, "forwarded")
class Forwarded:
    """A copy of a stanza that was sent before, and when that was. It is not a stanza for the receiver (§3).

    The sender of the outer stanza can have made it up: who may forward it is a rule of the protocol around it.
    """

    delay: Delay | None = xml.child(default=None, lenient=True)
    stanza: Message | Presence | IQ | None = xml.child(default=None, lenient=True)
    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def message(self) -> Message | None:
        """The forwarded stanza, if it is a message."""
        return self.stanza if isinstance(self.stanza, Message) else None
