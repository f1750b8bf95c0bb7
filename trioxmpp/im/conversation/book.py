"""The book of one conversation: what was said, and what became of it. Without I/O and without a clock.

A message changes the book by what `provenance` lets its sender change; and a line that came encrypted is changed by
encrypted messages only. A correction, retraction, receipt or marker that its sender may not make counts for nothing;
the text of a forged correction is a message like any other. A change of a line that is not known yet is kept: older
lines may be put in front later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from ...jid import JID
from ...protocol.elements import markers, receipts
from ...protocol.elements.correction import Replace
from ...protocol.elements.hints import NoStore
from ...protocol.elements.reactions import Reactions
from ...protocol.elements.replies import Reply
from ...protocol.elements.retraction import Retract
from ...protocol.elements.retraction import Retracted as Tombstone
from ...protocol.stanza import Message, MessageType
from ...record import replace
from ...xep.encryption import Encryption, Unreadable, may_touch
from ..provenance import Account, Occupant, Room, may_change
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
    key_of,
)
from .reading import Reading
from .states import ChatStates
from .table import Table, archived

__all__ = ["Book"]

#: The most reactions of one author to one line, characters of one, and authors that are counted there.
MAX_REACTIONS: Final = 6
MAX_REACTION_LENGTH: Final = 32
MAX_AUTHORS: Final = 1_000

#: Senders whose position is known at a time.
MAX_SENDERS: Final = 1_000

#: Changes of lines that are not known yet.
MAX_UNRESOLVED: Final = 100

#: Lines of one page that is put in front.
MAX_PAGE: Final = 10_000


class Book:
    """The lines of one conversation with `peer`, the latest `capacity` of them."""

    def __init__(self, peer: JID, *, is_room: bool = False, capacity: int = 2_000) -> None:
        self.peer = peer
        self.is_room = is_room
        self.states: ChatStates = ChatStates()
        """The chat states of others."""
        self.displayed: dict[tuple[object, ...], str] = {}
        """The id of the last line that each sender has seen."""
        self._lines = Table(capacity)
        self.reading: Reading = Reading(self._lines)
        """How far our account has read."""
        self._unresolved: deque[Entry] = deque(maxlen=MAX_UNRESOLVED)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the conversation, the oldest first."""
        return self._lines.lines

    def get(self, id: str) -> Line | None:
        """Return the last line of that id, or None."""
        number = self._lines.last(id)
        return None if number is None else self._lines[number]

    def apply(self, entry: Entry) -> list[TalkEvent]:
        """Note one message; return what it changes, in order."""
        message = entry.message
        if message.type is MessageType.ERROR:
            return [*self._failed(message)]
        events = [*self.states.take(entry), *self._changes(entry)]
        if message.get(Retract) is None:  # the body of a retraction is for clients that do not know it
            events += self._said(entry)
        return events

    def _changes(self, entry: Entry) -> list[TalkEvent]:
        readers = (self._receipt, self._marker, self._reaction, self._retraction)
        return [event for reader in readers for event in reader(entry)]

    # --- what is said

    def _said(self, entry: Entry) -> Iterator[TalkEvent]:
        message, tombstone = entry.message, entry.message.get(Tombstone)
        is_secret = _is_missed(entry)
        if (tombstone is None and message.body is None and not is_secret) or self._is_noted(entry):
            return
        correction = message.get(Replace)
        corrects = None
        if correction is not None:
            number = self._find(correction.id, entry)
            if number is not None:
                yield from self._corrected(entry, number)
                return
            # Of a message that is not known it may be true; of one by another author it is not.
            corrects = None if self._lines.named(correction.id) else correction.id
            if corrects is not None:
                self._unresolved.append(entry)
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
            archive_id=entry.archive_id,
        )
        number = self._lines.add(line, line.id, message.id, archived(entry.archive_id))
        yield Said(line, entry.caught_up)
        yield from self.reading.added(number)

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
        self._lines.name(number, self._id(entry), entry.message.id, archived(entry.archive_id))
        yield Corrected(after, before)

    def protect(self, id: str, encryption: Encryption | None) -> None:
        """Note how a message of ours is protected, which was noted before it was encrypted."""
        for number in self._lines.named(id) if encryption is not None else ():
            if self._lines[number].by_us and self._lines[number].message.id == id:
                self._lines[number] = replace(self._lines[number], encryption=encryption)

    def _id(self, entry: Entry) -> str:
        """Return the id by which others name this message: in a room that of its archive (XEP-0461 §3.1)."""
        own = entry.message.id or entry.archive_id or f"{self.peer} {self._lines.next}"
        return entry.archive_id or own if self.is_room else own

    def _is_noted(self, entry: Entry) -> bool:
        """Return whether a message is noted already: it is ours, or a page of the archive has brought it.

        A message of ours may get an id by its archive, which in a room is the one that counts.
        """
        archive_id = entry.archive_id
        if self._lines.last(archived(archive_id)) is not None:
            return True
        number = self._lines.last(entry.message.id, lambda line: _is_copy(entry, line))
        if number is None:
            return False
        line = self._lines[number]
        if archive_id is not None:
            own_id, sender = (archive_id, entry.sender) if self.is_room else (line.id, line.sender)
            self._lines[number] = replace(line, id=own_id, sender=sender, archive_id=archive_id)
            self._lines.name(number, own_id, archived(archive_id))
        return True

    # --- what was said before

    def put_in_front(self, entries: Iterable[Entry]) -> tuple[Line, ...]:
        """Put what was said before all lines in front of them; return the new lines, as they stand with all changes.

        Lines beyond the capacity of the book are returned, and not kept.
        """
        older = Book(self.peer, is_room=self.is_room, capacity=MAX_PAGE)
        for entry in entries:
            if not self._is_noted(entry):
                older.apply(entry)
        numbers = self._lines.put_in_front(older.table)
        for number in numbers:
            deque(self.reading.added(number), maxlen=0)
        unresolved = [*older.unresolved, *self._unresolved]
        self._unresolved.clear()
        for entry in unresolved:
            self._resolve(entry)
        left = older.lines[: len(older.lines) - len(numbers)]
        return (*left, *(self._lines[number] for number in numbers if number in self._lines))

    @property
    def table(self) -> Table:
        """The lines with their numbers and names."""
        return self._lines

    @property
    def unresolved(self) -> tuple[Entry, ...]:
        """Changes of lines that are not known."""
        return tuple(self._unresolved)

    def _resolve(self, entry: Entry) -> None:
        """Try again to change a line that was not known."""
        correction = entry.message.get(Replace)
        if correction is None:
            self._changes(entry)
            return
        number = self._find(correction.id, entry)
        if number is None:
            self._unresolved.append(entry)
            return
        alone = self._lines.last(self._id(entry), lambda line: line.corrects == correction.id)
        if alone is not None:
            self._lines.remove(alone)
        deque(self._corrected(entry, number), maxlen=0)

    # --- what becomes of it

    def _retraction(self, entry: Entry) -> Iterator[TalkEvent]:
        retract = entry.message.get(Retract)
        if retract is None or retract.id is None:
            return
        by_room = isinstance(entry.sender, Room)
        if (retract.moderated is not None) != by_room:
            return  # only a room says that a moderator has done it (XEP-0425 §5)
        number = self._lines.last(retract.id) if by_room else self._find(retract.id, entry)
        if number is not None:
            yield from self._retracted(number)
        elif not self._lines.named(retract.id):
            self._unresolved.append(entry)

    def moderated(self, id: str) -> Iterator[TalkEvent]:
        """A room has told that a moderator retracted a line (XEP-0425)."""
        number = self._lines.last(id)
        if number is not None:
            yield from self._retracted(number)

    def _retracted(self, number: int) -> Iterator[TalkEvent]:
        before = self._lines[number]
        if not before.retracted:
            after = self._lines[number] = replace(before, text=None, retracted=True, reactions={})
            yield Retracted(after, before)

    def _reaction(self, entry: Entry) -> Iterator[TalkEvent]:
        reactions = entry.message.get(Reactions)
        if reactions is None:
            return
        number = self._lines.last(reactions.id, lambda line: _may_touch(entry, line))
        if number is None:
            self._unresolved.append(entry)
            return
        after = _reacted(self._lines[number], key_of(entry.sender), reactions)
        if after is not None:
            self._lines[number] = after
            yield Reacted(after, entry.sender, after.reactions.get(key_of(entry.sender), ()))

    def _receipt(self, entry: Entry) -> Iterator[TalkEvent]:
        received = entry.message.get(receipts.Received)
        if received is None or not self._is_of_peer(entry):
            return
        number = self._lines.last(received.id, lambda line: line.by_us and _may_touch(entry, line))
        if number is not None:
            yield from self._advance(number, Delivery.RECEIVED)
        else:
            self._unresolved.append(entry)

    def _marker(self, entry: Entry) -> Iterator[TalkEvent]:
        marker = entry.message.get(markers.Displayed)
        if marker is None or (not self.is_room and not entry.by_us and not self._is_of_peer(entry)):
            return
        number = self._lines.last(marker.id, lambda line: _may_touch(entry, line))
        if number is None:
            self._unresolved.append(entry)
            return
        key, line = key_of(entry.sender), self._lines[number]
        seen = self.displayed.get(key)
        before = self._lines.last(seen)
        if (before is not None and before >= number) or (seen is None and len(self.displayed) >= MAX_SENDERS):
            return  # a marker never goes back (XEP-0333 §4)
        self.displayed[key] = line.id
        if not entry.by_us and not self.is_room:
            for each, known in self._lines.items():
                if known.by_us and (before is None or before <= each) and each <= number:
                    yield from self._advance(each, Delivery.DISPLAYED)
        if entry.by_us:
            yield from self.reading.up_to_number(number, entry.sender)
        else:
            yield Displayed(self._lines[number], entry.sender, entry.by_us)

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
        if isinstance(entry.sender, Occupant):
            return self.peer.resource is not None and entry.sender.room == self.peer.bare
        return not self.is_room and isinstance(entry.sender, Account) and entry.sender.jid == self.peer

    def _own(self, id: str) -> int | None:
        return self._lines.last(id, lambda line: line.by_us)

    def _find(self, id: str, entry: Entry) -> int | None:
        """Return the number of the last line of this id that the sender of `entry` may change, by such a message."""
        return self._lines.last(id, lambda line: may_change(entry.sender, line.sender) and _may_touch(entry, line))


def _is_missed(entry: Entry) -> bool:
    """Return whether a message cannot be read. One that no archive shall keep is a chat state, and is not missed."""
    mark = entry.encryption
    return isinstance(mark, Unreadable) and not mark.repeated and entry.message.get(NoStore) is None


def _may_touch(entry: Entry, line: Line) -> bool:
    """Return whether a message is protected enough to change a line. Messages of this client come by no server."""
    return entry.source.name == "OWN" or may_touch(entry.encryption, line.encryption)


def _is_copy(entry: Entry, line: Line) -> bool:
    """Return whether an entry is the message of a line of the same id once more.

    Of ours the id suffices. Others may use one twice, so they must have said the same, and no archive tells them apart.
    """
    is_same = line.message.id == entry.message.id or line.corrected > 0
    if entry.by_us or line.by_us:
        return is_same and entry.by_us and line.by_us
    is_told_apart = entry.archive_id is not None and line.archive_id is not None
    says_the_same = line.corrected > 0 or line.message.body == entry.message.body
    return is_same and says_the_same and not is_told_apart and key_of(entry.sender) == key_of(line.sender)


def _reacted(line: Line, key: tuple[object, ...], reactions: Reactions) -> Line | None:
    """Return a line with the reactions of one author in place of those of before; None if that changes nothing."""
    shown = tuple([each for each in dict.fromkeys(reactions.reactions) if 0 < len(each) <= MAX_REACTION_LENGTH])
    shown = shown[:MAX_REACTIONS]
    if line.retracted or (key not in line.reactions and len(line.reactions) >= MAX_AUTHORS):
        return None
    if shown == line.reactions.get(key, ()):
        return None  # the same message once more, as our own by the timeline
    others = {author: theirs for author, theirs in line.reactions.items() if author != key}
    return replace(line, reactions={**others, key: shown} if shown else others)
