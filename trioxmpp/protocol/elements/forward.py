"""XEP-0297: Stanza Forwarding."""

from __future__ import annotations

from ... import xml
from ...errors import ElementError, ErroneousStanza
from .. import ns
from ..stanza import Message, parse_stanza
from .delay import Delay

__all__ = ["Forwarded"]


@xml.element(ns.FORWARD, "forwarded")
class Forwarded:
    """A copy of a stanza that was sent before, and when that was. It is not a stanza for the receiver (§3)."""

    delay: Delay | None = xml.child(default=None)
    others: tuple[xml.Element, ...] = xml.rest()

    @property
    def message(self) -> Message | None:
        """The forwarded message; None if there is none, or if it cannot be parsed."""
        for other in self.others:
            try:
                stanza = parse_stanza(other)
            except (ElementError, ErroneousStanza):
                continue
            if isinstance(stanza, Message):
                return stanza
        return None
