"""XEP-0085: Chat State Notifications."""

from __future__ import annotations

from typing import Final, TypeAlias

from ... import xml
from ..stanza import Message

__all__ = ["CHAT_STATES", "Active", "ChatState", "Composing", "Gone", "Inactive", "Paused", "chat_state"]

NS: Final = "http://jabber.org/protocol/chatstates"


@xml.element(NS, "active")
class Active:
    """A person pays attention to the chat (§2)."""


@xml.element(NS, "composing")
class Composing:
    """A person is writing a message (§2)."""


@xml.element(NS, "paused")
class Paused:
    """A person was writing a message, but has stopped (§2)."""


@xml.element(NS, "inactive")
class Inactive:
    """A person has not paid attention to the chat for some time (§2)."""


@xml.element(NS, "gone")
class Gone:
    """A person has ended the chat (§2)."""


ChatState: TypeAlias = Active | Composing | Paused | Inactive | Gone
CHAT_STATES: Final[tuple[type[ChatState], ...]] = (Active, Composing, Paused, Inactive, Gone)


def chat_state(message: Message) -> ChatState | None:
    """Return the chat state that a message carries, or None. A message carries one at most (§5.3)."""
    for cls in CHAT_STATES:
        if (state := message.get(cls)) is not None:
            return state
    return None
