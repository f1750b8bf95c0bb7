"""The conversation in a room (XEP-0045), in the words of all others."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Protocol, runtime_checkable

from ...client import Client, supervised
from ...jid import JID
from ...protocol.stanza import Message
from ...record import replace
from ...xep.encryption import Sealed
from ...xep.muc import MessageModerated, RoomBack, RoomEntry, RoomEvent, RoomGone, RoomMessage
from ..displayed import Displays, Position
from ..timeline import Entry, RoomTimeline, entry_in_room
from .conversation import Conversation, Pages

__all__ = ["RoomConversation", "SpeakingRoom", "open_room_conversation"]


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


@runtime_checkable
class SealingRoom(Protocol):
    """A room whose messages are encrypted: it encrypts chat states, too."""

    async def seal(self, message: Message, /) -> Sealed | None:
        """Give what is sent in the place of a message; None: nothing."""
        ...


class RoomConversation(Conversation):
    """The conversation in a room. Its verbs return when the room has reflected what we said."""

    def __init__(
        self, room: SpeakingRoom, *, markers: bool, displays: Displays | None, pages: Pages | None, capacity: int
    ) -> None:
        super().__init__(
            room.client,
            room.jid,
            is_room=True,
            markers=markers,
            displays=displays,
            pages=pages,
            capacity=capacity,
            seal=room.seal if isinstance(room, SealingRoom) else None,
        )
        self._room = room

    async def _send_and_note(self, message: Message) -> None:
        reflection = await self._room.say(message)
        # It is a line when its turn comes: what others have said before it comes before it.
        if reflection.message.body is None or not await self.wait_noted(reflection.id or ""):
            self.apply(entry_in_room(reflection))
        number = self.book.table.last(reflection.id)
        if number is not None:
            self.book.table.name(number, message.id)  # a room may have changed it (XEP-0045 §7.4)

    def take(self, event: RoomEvent | Entry) -> None:
        """Note what an event of the room, or an entry of its timeline, tells."""
        match event:
            case Entry():
                self.apply(event)
            case RoomMessage(entry=entry):
                self.apply(entry_in_room(entry))
            case RoomBack(missed=missed):
                self.take_all(missed)
            case MessageModerated(id=id):
                self.tell([*self.book.moderated(id)])

    def displayed_elsewhere(self, position: Position) -> None:
        """Another client of our account has displayed more of a chat."""
        if position.chat == self.peer:
            self.read_up_to(position)

    def take_all(self, entries: Iterable[RoomEntry]) -> None:
        """Note messages that were not heard when they were said."""
        for entry in entries:
            self.apply(replace(entry_in_room(entry), caught_up=False))


@asynccontextmanager
async def open_room_conversation(
    room: SpeakingRoom,
    entries: AsyncIterable[Entry] | None = None,
    *,
    markers: bool = False,
    displays: Displays | None = None,
    capacity: int = 2_000,
) -> AsyncIterator[Conversation]:
    """A block with the conversation in a room: ``async with open_room(...) as room, open_room_conversation(room)``.

    `entries` is the timeline of the room (`open_room_timeline`); this block iterates over it. Without one the
    conversation begins with what the room has sent of its history (``open_room(history=...)``), of which no event
    tells, and goes on with what is said while we are there. An `EncryptedRoom` can stand for the room, then without
    `entries`.


    It has the same verbs as one with an account; no receipts are sent in a room. `markers` is whether we ask for
    displayed markers and send them. `displays` tells our other clients what was displayed (`open_displayed`). Its
    `capacity` last lines are kept. Ends with the room: a verb raises what ``room.say`` raises. Cancelling forgets the
    conversation.
    """
    talk = RoomConversation(room, markers=markers, displays=displays, pages=_pages_of(entries), capacity=capacity)
    if entries is None:
        talk.take_all(room.history)
    async with AsyncExitStack() as stack:
        source = entries if entries is not None else await stack.enter_async_context(room.events())

        async def read() -> None:
            with suppress(RoomGone):  # `open_room` raises it
                async for each in source:
                    talk.take(each)

        await stack.enter_async_context(supervised(room.client, read, name="conversation"))
        if displays is not None:
            stack.enter_context(displays.on_change.context_connect(talk.displayed_elsewhere))
        yield talk


def _pages_of(entries: AsyncIterable[Entry] | None) -> Pages | None:
    """Return what gives the older pages of the timeline of a room, if `entries` is one."""
    if not isinstance(entries, RoomTimeline):
        return None
    timeline = entries

    async def page(peer: JID, entry: Entry | None, size: int) -> Sequence[Entry]:
        async for found in timeline.before(entry, size=size):
            return found
        return ()

    return page
