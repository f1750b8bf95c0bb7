"""The book of one conversation: what was said, and what became of it. Without I/O and without a clock.

A message changes the book by what `provenance` lets its sender change. A correction, retraction, receipt or marker
that its sender may not make counts for nothing; the text of a forged correction is a message like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...jid import JID
from ...protocol.elements import markers, receipts
from ...protocol.elements.chat_states import ChatState, chat_state
from ...protocol.elements.correction import Replace
from ...protocol.elements.reactions import Reactions
from ...protocol.elements.replies import Reply
from ...protocol.elements.retraction import Retract
from ...protocol.elements.retraction import Retracted as Tombstone
from ...protocol.stanza import Message, MessageType
from ...record import replace
from ...xep.encryption import Encryption, Unreadable
from ..provenance import Account, Room, Sender, may_change
from .fallbacks import text_of
from .lines import (
    Corrected,
    Delivery,
    DeliveryChanged,
    Displayed,
    Entry,
    Line,
    Reacted,
    Retracted,
    Said,
    TalkEvent,
    Typing,
    key_of,
)

__all__ = ["Book"]

#: The most reactions of one author to one line, characters of one, and authors that are counted there.
MAX_REACTIONS: Final = 6
MAX_REACTION_LENGTH: Final = 32
MAX_AUTHORS: Final = 1_000

#: Senders whose chat state and position are known at a time.
MAX_SENDERS: Final = 1_000


class Book:
    """The lines of one conversation with `peer`, the latest `capacity` of them."""

    def __init__(self, peer: JID, *, is_room: bool = False, capacity: int = 2_000) -> None:
        self.peer = peer
        self.is_room = is_room
        self.states: dict[tuple[object, ...], tuple[Sender, ChatState]] = {}
        """The chat states of others, by sender."""
        self.displayed: dict[tuple[object, ...], str] = {}
        """The id of the last line that each sender has seen."""
        self.knows_states: bool = False
        """Whether the other side has ever sent a chat state."""
        self._capacity = capacity
        self._lines: dict[int, Line] = {}
        self._names: dict[str, list[int]] = {}
        """The numbers of the lines that an id names: more than one author may use it."""
        self._named: dict[int, list[str]] = {}
        self._next = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the conversation, the oldest first."""
        return tuple(self._lines.values())

    def get(self, id: str) -> Line | None:
        """Return the last line of that id, or None."""
        numbers = self._names.get(id)
        return self._lines[numbers[-1]] if numbers else None

    def apply(self, entry: Entry) -> list[TalkEvent]:
        """Note one message; return what it changes, in order."""
        message = entry.message
        if message.type is MessageType.ERROR:
            return [*self._failed(message)]
        events: list[TalkEvent] = []
        for reader in (self._state, self._receipt, self._marker, self._reaction, self._retraction):
            events += reader(entry)
        if message.get(Retract) is None:  # the body of a retraction is for clients that do not know it
            events += self._said(entry)
        return events

    # --- what is said

    def _said(self, entry: Entry) -> Iterator[TalkEvent]:
        message, tombstone = entry.message, entry.message.get(Tombstone)
        is_secret = isinstance(entry.encryption, Unreadable) and not entry.encryption.repeated
        if (tombstone is None and message.body is None and not is_secret) or self._is_noted(entry):
            return
        correction = message.get(Replace)
        corrects = None
        if correction is not None:
            number = self._find(correction.id, entry.sender)
            if number is not None:
                yield from self._corrected(entry, number)
                return
            # Of a message that is not known it may be true; of one by another author it is not.
            corrects = None if correction.id in self._names else correction.id
        reply = message.get(Reply)
        line = Line(
            self._id(entry),
            message,
            entry.sender,
            entry.by_us,
            entry.sent,
            None if tombstone is not None or is_secret else text_of(message),
            reply_to=None if reply is None else reply.id,
            thread=message.thread,
            corrects=corrects,
            retracted=tombstone is not None,
            delivery=Delivery.SENT if entry.by_us else None,
            encryption=entry.encryption,
        )
        self._add(line)
        yield Said(line, entry.caught_up)

    def _corrected(self, entry: Entry, number: int) -> Iterator[TalkEvent]:
        before = self._lines[number]
        if before.retracted:
            return
        after = replace(
            before,
            message=entry.message,
            text=text_of(entry.message),
            corrected=before.corrected + 1,
            encryption=entry.encryption,
        )
        self._lines[number] = after
        self._name(number, self._id(entry), entry.message.id)
        yield Corrected(after, before)

    def protect(self, id: str, encryption: Encryption | None) -> None:
        """Note how a message of ours is protected, which was noted before it was encrypted."""
        for number in self._names.get(id, ()) if encryption is not None else ():
            if self._lines[number].by_us and self._lines[number].message.id == id:
                self._lines[number] = replace(self._lines[number], encryption=encryption)

    def _id(self, entry: Entry) -> str:
        """Return the id by which others name this message: in a room that of its archive (XEP-0461 §3.1)."""
        own = entry.message.id or entry.archive_id or f"{self.peer} {self._next}"
        return entry.archive_id or own if self.is_room else own

    def _is_noted(self, entry: Entry) -> bool:
        """Return whether a message of ours is noted already. In a room its archive may give it an id."""
        if not entry.by_us or entry.message.id is None:
            return False
        for number in self._names.get(entry.message.id, ()):
            line = self._lines[number]
            if line.by_us and (line.message.id == entry.message.id or line.corrected):
                if self.is_room and entry.archive_id is not None:
                    self._lines[number] = replace(line, id=entry.archive_id, sender=entry.sender)
                    self._name(number, entry.archive_id)
                return True
        return False

    # --- what becomes of it

    def _retraction(self, entry: Entry) -> Iterator[TalkEvent]:
        retract = entry.message.get(Retract)
        if retract is None or retract.id is None:
            return
        by_room = isinstance(entry.sender, Room)
        if (retract.moderated is not None) != by_room:
            return  # only a room says that a moderator has done it (XEP-0425 §5)
        number = self._last(retract.id) if by_room else self._find(retract.id, entry.sender)
        if number is not None:
            yield from self._retracted(number)

    def moderated(self, id: str) -> Iterator[TalkEvent]:
        """A room has told that a moderator retracted a line (XEP-0425)."""
        number = self._last(id)
        if number is not None:
            yield from self._retracted(number)

    def _retracted(self, number: int) -> Iterator[TalkEvent]:
        before = self._lines[number]
        if not before.retracted:
            after = self._lines[number] = replace(before, text=None, retracted=True, reactions={})
            yield Retracted(after, before)

    def _reaction(self, entry: Entry) -> Iterator[TalkEvent]:
        reactions = entry.message.get(Reactions)
        number = None if reactions is None else self._last(reactions.id)
        if reactions is None or number is None:
            return
        line, key = self._lines[number], key_of(entry.sender)
        shown = tuple(each for each in dict.fromkeys(reactions.reactions) if 0 < len(each) <= MAX_REACTION_LENGTH)[
            :MAX_REACTIONS
        ]
        if line.retracted or (key not in line.reactions and len(line.reactions) >= MAX_AUTHORS):
            return
        others = {author: theirs for author, theirs in line.reactions.items() if author != key}
        after = self._lines[number] = replace(line, reactions={**others, key: shown} if shown else others)
        yield Reacted(after, entry.sender, shown)

    def _receipt(self, entry: Entry) -> Iterator[TalkEvent]:
        received = entry.message.get(receipts.Received)
        if received is None or not self._is_of_peer(entry):
            return
        number = self._own(received.id)
        if number is not None:
            yield from self._advance(number, Delivery.RECEIVED)

    def _marker(self, entry: Entry) -> Iterator[TalkEvent]:
        marker = entry.message.get(markers.Displayed)
        number = None if marker is None else self._last(marker.id)
        if number is None or (not self.is_room and not entry.by_us and not self._is_of_peer(entry)):
            return
        key, line = key_of(entry.sender), self._lines[number]
        seen = self.displayed.get(key)
        before = None if seen is None else self._last(seen)
        if (before is not None and before >= number) or (seen is None and len(self.displayed) >= MAX_SENDERS):
            return  # a marker never goes back (XEP-0333 §4)
        self.displayed[key] = line.id
        if not entry.by_us and not self.is_room:
            for each in range(next(iter(self._lines)) if before is None else before, number + 1):
                if each in self._lines and self._lines[each].by_us:
                    yield from self._advance(each, Delivery.DISPLAYED)
        yield Displayed(self._lines[number], entry.sender, entry.by_us)

    def _state(self, entry: Entry) -> Iterator[TalkEvent]:
        state = chat_state(entry.message)
        if entry.by_us:
            return
        if state is not None:
            self.knows_states = True
        elif entry.message.body is None or entry.message.get(Retract) is not None:
            return
        key = key_of(entry.sender)
        if not entry.caught_up or (key not in self.states and (state is None or len(self.states) >= MAX_SENDERS)):
            return
        before = self.states.pop(key, None)
        if state is not None:
            self.states[key] = entry.sender, state
        if type(state) is not (None if before is None else type(before[1])) and (state is not None or before):
            yield Typing(entry.sender, state)

    def forget_state(self, key: tuple[object, ...]) -> Iterator[TalkEvent]:
        """The chat state of a sender is too old to be true."""
        before = self.states.pop(key, None)
        if before is not None:
            yield Typing(before[0], None)

    def _failed(self, message: Message) -> Iterator[TalkEvent]:
        number = None if message.id is None else self._own(message.id)
        if number is not None and message.error is not None:
            line = self._lines[number] = replace(self._lines[number], delivery=Delivery.FAILED, error=message.error)
            yield DeliveryChanged(line)

    def not_sent(self, id: str, error: Exception) -> Iterator[TalkEvent]:
        """A message of ours could not be sent."""
        number = self._own(id)
        if number is not None and self._lines[number].message.id == id:
            line = self._lines[number] = replace(self._lines[number], delivery=Delivery.FAILED, error=error)
            yield DeliveryChanged(line)

    def _advance(self, number: int, delivery: Delivery) -> Iterator[TalkEvent]:
        line = self._lines[number]
        if line.delivery is not None and line.delivery < delivery:
            line = self._lines[number] = replace(line, delivery=delivery)
            yield DeliveryChanged(line)

    # --- who may, and where it is

    def _is_of_peer(self, entry: Entry) -> bool:
        """Return whether the peer itself says this; a third party cannot receive or see our messages for it."""
        return not self.is_room and isinstance(entry.sender, Account) and entry.sender.jid == self.peer

    def _own(self, id: str) -> int | None:
        for number in reversed(self._names.get(id, ())):
            if self._lines[number].by_us:
                return number
        return None

    def _find(self, id: str, sender: Sender) -> int | None:
        """Return the number of the last line of this id that `sender` may change."""
        for number in reversed(self._names.get(id, ())):
            if may_change(sender, self._lines[number].sender):
                return number
        return None

    def _last(self, id: str) -> int | None:
        numbers = self._names.get(id)
        return numbers[-1] if numbers else None

    def _add(self, line: Line) -> None:
        number, self._next = self._next, self._next + 1
        self._lines[number] = line
        self._name(number, line.id, line.message.id)
        while len(self._lines) > self._capacity:
            oldest = next(iter(self._lines))
            del self._lines[oldest]
            for name in self._named.pop(oldest):
                self._names[name].remove(oldest)
                if not self._names[name]:
                    del self._names[name]

    def _name(self, number: int, *names: str | None) -> None:
        for name in names:
            if name is not None and number not in (numbers := self._names.setdefault(name, [])):
                numbers.append(number)
                self._named.setdefault(number, []).append(name)
