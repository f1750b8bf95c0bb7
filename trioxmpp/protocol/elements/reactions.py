"""XEP-0444: Message Reactions."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Reactions"]

NS: Final = "urn:xmpp:reactions:0"


@xml.element(NS, "reactions")
class Reactions:
    """All reactions of the sender to the message with this id; they replace those sent before (§4)."""

    id: str = xml.attr()
    reactions: tuple[str, ...] = xml.child_texts("reaction")
