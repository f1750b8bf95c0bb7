"""The conversation in a room (XEP-0045), in the words of all others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from enum import Enum
from typing import Protocol

from ...client import Client, supervised
from ...jid import JID
from ...protocol.stanza import Message
from ...record import record
from ...xep.encryption import Encryption
from ...xep.muc import MessageModerated, Occupant, RoomBack, RoomEntry, RoomEvent, RoomMessage
from .. import provenance
from ..provenance import Sender
from .conversation import Conversation

__all__ = ["RoomConversation", "SpeakingRoom", "open_room_conversation"]

#: Occupants whose stay is known at a time: those that have spoken last.
MAX_STAYS = 2_000


@record
class _SpokenEntry:
    """A message in a room, as an `Entry`."""

    message: Message
    peer: JID
    sender: Sender
    by_us: bool
    sent: datetime
    archive_id: str | None
    caught_up: bool
    source: Enum
    encryption: Encryption | None = None


class SpeakingRoom(Protocol):
    """The part of a room that a conversation needs: `Room` has it, and a room whose messages are encrypted."""

    @property
    def client(self) -> Client:
        """The client that is in the room."""
        ...

    @property
    def jid(self) -> JID:
        """The address of the room."""
        ...

    @property
    def history(self) -> tuple[RoomEntry, ...]:
        """The messages that the room sent with the join."""
        ...

    async def say(self, message: str | Message, /) -> RoomEntry:
        """Speak to all; return the message as the room reflects it."""
        ...

    def events(self) -> AbstractAsyncContextManager[AsyncIterable[RoomEvent]]:
        """``async with`` block that gives the events of the room."""
        ...


class RoomConversation(Conversation):
    """The conversation in a room. Its verbs return when the room has reflected what we said."""

    def __init__(self, room: SpeakingRoom, *, markers: bool, capacity: int) -> None:
        super().__init__(room.client, room.jid, is_room=True, markers=markers, capacity=capacity)
        self._room = room
        self._stays: OrderedDict[int, tuple[Occupant, int]] = OrderedDict()
        self._count = 0

    async def _send_and_note(self, message: Message) -> None:
        self.apply(self._entry(await self._room.say(message)))

    def take(self, event: object) -> None:
        """Note what an event of the room tells."""
        match event:
            case RoomMessage(entry=entry):
                self.apply(self._entry(entry))
            case RoomBack(missed=missed):
                self.take_all(missed)
            case MessageModerated(id=id):
                self.tell([*self.book.moderated(id)])

    def take_all(self, entries: Iterable[RoomEntry]) -> None:
        """Note messages that were not heard when they were said."""
        for entry in entries:
            self.apply(self._entry(entry, caught_up=False))

    def _entry(self, entry: RoomEntry, *, caught_up: bool = True) -> _SpokenEntry:
        sender: Sender = provenance.Room(entry.room)
        if entry.nick is not None:
            occupant = entry.occupant
            sender = provenance.Occupant(
                entry.room,
                entry.nick,
                entry.occupant_id,
                None if occupant is None else occupant.jid,
                None if occupant is None else self._stay_of(occupant),
            )
        return _SpokenEntry(
            entry.message,
            entry.room,
            sender,
            entry.by_us,
            entry.sent,
            entry.archive_id,
            caught_up,
            entry.source,
            entry.encryption,
        )

    def _stay_of(self, occupant: Occupant) -> int:
        """Return a number that is the same for one stay of one occupant: the room block has one object for it."""
        known = self._stays.get(id(occupant))
        if known is None:
            self._count += 1
            known = self._stays[id(occupant)] = occupant, self._count  # kept, so that its identity is not used again
            while len(self._stays) > MAX_STAYS:
                self._stays.popitem(last=False)
        return known[1]


@asynccontextmanager
async def open_room_conversation(
    room: SpeakingRoom, *, markers: bool = False, capacity: int = 2_000
) -> AsyncIterator[Conversation]:
    """A block with the conversation in a room: ``async with open_room(...) as room, open_room_conversation(room)``.

    It begins with what the room has sent of its history (``open_room(history=...)``), of which no event tells. It has
    the same verbs as one with an account; no receipts are sent in a room. An `EncryptedRoom` can stand for the room.
    `markers` is whether we ask for displayed markers and send them. Its `capacity` last lines are kept. Ends with the
    room: a verb raises what ``room.say`` raises. Cancelling forgets the conversation.
    """
    talk = RoomConversation(room, markers=markers, capacity=capacity)
    talk.take_all(room.history)

    async with room.events() as events:

        async def read() -> None:
            async for event in events:
                talk.take(event)

        async with supervised(room.client, read, name="conversation"):
            yield talk
