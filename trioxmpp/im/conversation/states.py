"""The chat states of the others in a conversation (XEP-0085)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...protocol.elements.chat_states import ChatState, chat_state
from ...protocol.elements.retraction import Retract
from ...xep.encryption import Plain
from ..provenance import Sender
from .lines import Entry, TalkEvent, Typing, key_of

__all__ = ["ChatStates"]

#: Senders whose chat state is known at a time.
MAX_SENDERS: Final = 1_000


class ChatStates:
    """The chat states of others, by sender (`key_of`)."""

    def __init__(self) -> None:
        self.are_known: bool = False
        """Whether the other side has ever sent a chat state."""
        self._states: dict[tuple[object, ...], tuple[Sender, ChatState]] = {}

    def __len__(self) -> int:
        return len(self._states)

    def take(self, entry: Entry) -> Iterator[TalkEvent]:
        """Note the chat state in a message of another; a text without one ends that of its author."""
        state = chat_state(entry.message)
        if entry.by_us:
            return
        if isinstance(entry.encryption, Plain):
            state = None  # a server could write it
        if state is not None:
            self.are_known = True
        elif entry.message.body is None or entry.message.get(Retract) is not None:
            return
        key = key_of(entry.sender)
        if not entry.caught_up or (key not in self._states and (state is None or len(self) >= MAX_SENDERS)):
            return
        before = self._states.pop(key, None)
        if state is not None:
            self._states[key] = entry.sender, state
        if type(state) is not (None if before is None else type(before[1])) and (state is not None or before):
            yield Typing(entry.sender, state)

    def forget(self, key: tuple[object, ...]) -> Iterator[TalkEvent]:
        """The chat state of a sender is too old to be true."""
        before = self._states.pop(key, None)
        if before is not None:
            yield Typing(before[0], None)
