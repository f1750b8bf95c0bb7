"""For a store of messages: which ones are worth keeping, and which other message each of them is about."""

from __future__ import annotations

from typing import Final

from ...protocol.elements.correction import Replace
from ...protocol.elements.markers import Displayed
from ...protocol.elements.reactions import Reactions
from ...protocol.elements.receipts import Received
from ...protocol.elements.retraction import Retract, Retracted
from ...protocol.stanza import Message

__all__ = ["about", "is_lasting"]

_CHANGES: Final[tuple[type[Replace | Retract | Reactions | Displayed | Received], ...]] = (
    Replace, Retract, Reactions, Displayed, Received,
)  # fmt: skip


def about(message: Message) -> str | None:
    """Return the id of the message that this one corrects, retracts, reacts to, or says to be received or displayed."""
    for element in _CHANGES:
        found = message.get(element)
        if found is not None:
            return found.id
    return None


def is_lasting(message: Message) -> bool:
    """Return whether a message says something, or changes what was said. A chat state does not."""
    return message.body is not None or message.get(Retracted) is not None or about(message) is not None
