"""One conversation: what we say in it, and what is said."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

import trio

from ...client import Client, Signal, Subscription, supervised
from ...jid import JID
from ...protocol.elements import chat_states, markers, muc, receipts, replies
from ...protocol.elements.correction import Replace
from ...protocol.elements.fallback import Body, Fallback
from ...protocol.elements.hints import NoStore, Store
from ...protocol.elements.reactions import Reactions
from ...protocol.elements.retraction import NS as RETRACTION
from ...protocol.elements.retraction import Retract
from ...protocol.elements.stanza_ids import OriginId
from ...protocol.stanza import Message, MessageType
from ...xep.encryption import Sealed
from ..displayed import Displays, Position
from ..provenance import Account
from ..timeline import Entry as TimelineEntry
from ..timeline import Source
from .book import MAX_REACTION_LENGTH, MAX_REACTIONS, Book
from .fallbacks import quote
from .lines import Delivery, Entry, Line, TalkEvent

__all__ = ["Composition", "Conversation", "Pages", "Seal"]

#: Seconds without a key after which a person has paused.
PAUSED_AFTER = 30.0

#: Gives what is sent in the place of a message, for example the same encrypted. None: nothing is sent. An exception
#: fails the message.
Seal: TypeAlias = Callable[[Message], Awaitable[Sealed | None]]
#: Seconds that the timeline of a room has to give what the room has reflected.
NOTED_WITHIN = 2.0

#: The text that clients show which know no retractions.
RETRACTED_TEXT = "A message was retracted, but your client does not support that."


#: Returns the last messages with a peer before an entry, or the last ones for None, the oldest first; none at the end.
Pages: TypeAlias = Callable[[JID, TimelineEntry | None, int], Awaitable[Sequence[TimelineEntry]]]


class Composition:
    """A message that a person is writing; `key_pressed` says that the person goes on."""

    def __init__(self) -> None:
        self.state: chat_states.ChatState = chat_states.Composing()
        self.changed: trio.Event = trio.Event()

    def key_pressed(self) -> None:
        """Record that the person has pressed a key."""
        changed, self.changed = self.changed, trio.Event()
        changed.set()


class Conversation:
    """A conversation with `peer`: a bare JID, a room, or the full JID of an occupant for private messages in a room.

    `lines` is what was said, as it stands now; ``async with talk.events() as events`` gives each change.
    """

    def __init__(
        self,
        client: Client,
        peer: JID,
        *,
        is_room: bool = False,
        receipts: bool = True,
        markers: bool = True,
        visible: Callable[[], bool] = lambda: True,
        displays: Displays | None = None,
        pages: Pages | None = None,
        capacity: int = 2_000,
        seal: Seal | None = None,
    ) -> None:
        self.peer = peer
        self.on_event: Signal[TalkEvent] = Signal()
        """Emits each change of the conversation."""
        self.book: Book = Book(peer, is_room=is_room, capacity=capacity)
        """The conversation as values."""
        self._client = client
        self._is_private = not is_room and peer.resource is not None
        self._type = MessageType.GROUPCHAT if is_room else MessageType.CHAT
        self._wants_receipts = receipts and not is_room and not self._is_private
        self._wants_markers = markers
        self._visible = visible
        self._seal = seal
        self._displays = displays
        self._pages = pages
        self._oldest: TimelineEntry | None = None
        """The oldest entry with an id in the archive: before it the next page ends."""
        self._paging = trio.Lock()
        self._changed = trio.lowlevel.ParkingLot()
        self._said = 0
        if displays is not None and peer in displays:
            self.read_up_to(displays[peer])

    def __repr__(self) -> str:
        return f"<Conversation with {self.peer}, {len(self.book.lines)} lines>"

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines as they stand now, the oldest first."""
        return self.book.lines

    def line(self, id: str) -> Line | None:
        """Return the line of that id as it stands now, or None."""
        return self.book.get(id)

    def events(self, *, capacity: int = 10_000) -> Subscription[TalkEvent]:
        """``async with`` block that gives an inbox of the changes that come."""
        return self.on_event.subscribe(capacity)

    @property
    def read(self) -> Line | None:
        """The last line that a client of our account has displayed, as far as that is known."""
        return self.book.reading.line

    @property
    def unread(self) -> int:
        """The number of lines of others behind `read`."""
        return self.book.reading.unread

    def apply(self, entry: Entry) -> None:
        """Note a message, of either side, and tell what it changes."""
        self.tell(self.note(entry))

    def note(self, entry: Entry) -> list[TalkEvent]:
        """Note a message, and return what it changes, without telling of it."""
        if entry.archive_id is not None:
            if self._oldest is None and isinstance(entry, TimelineEntry):
                self._oldest = entry
            if self._displays is not None:
                self._displays.learn(self.peer, entry.archive_id, entry.sent)
        return self.book.apply(entry)

    def read_up_to(self, position: Position) -> None:
        """Another client of our account has displayed everything up to this position (XEP-0490)."""
        self.tell([*self.book.reading.up_to_archived(position.id, Account(self._client.jid.bare))])

    async def older(self, size: int = 50) -> tuple[Line, ...]:
        """Put an older page of the archive in front of the lines; return its lines, as they stand now.

        Changes of them that are known already are in them. Lines beyond the capacity of the conversation are returned,
        and not kept. An empty tuple says that there is nothing older, or no archive to ask. No event tells of older
        lines. Raises what reading the archive raises. Cancelling changes nothing.
        """
        async with self._paging:
            while self._pages is not None and (page := await self._pages(self.peer, self._oldest, size)):
                self._oldest = page[0]
                if lines := self.book.put_in_front(page):
                    return lines
        return ()

    async def wait_noted(self, id: str) -> bool:
        """Wait until there is a line with this id, for `NOTED_WITHIN` seconds at most; return whether there is.

        Cancelling changes nothing.
        """
        with trio.move_on_after(NOTED_WITHIN):
            while self.book.get(id) is None:
                await self._changed.park()
        return self.book.get(id) is not None

    def tell(self, events: Collection[TalkEvent]) -> None:
        """Emit events, and wake the tasks that wait for one."""
        for event in events:
            self.on_event.emit(event)
        self._changed.unpark_all()

    # --- what we say

    async def say(self, text: str, *, reply_to: Line | None = None, thread: str | None = None) -> Line:
        """Say something; return the line. With a store the message is written down before this returns.

        A reply quotes the text that it answers, for clients that do not know replies (XEP-0461). Raises ValueError for
        a text that XML cannot carry, and what `Client.send` or `Client.post` raises; in a conversation that is
        encrypted, what ``Omemo.encrypt`` raises. If cancelled, it may be sent all the same.
        """
        message = self._message(text, thread=thread or (None if reply_to is None else reply_to.thread))
        if reply_to is not None:
            quoted = quote(reply_to.text or "")
            message.body = quoted + text
            fallback = Fallback(for_=replies.NS, bodies=(Body(start=0, end=len(quoted)),))
            message.payloads += [replies.Reply(id=reply_to.id, to=self._author(reply_to)), fallback]
        return await self._speak(message)

    async def correct(self, line: Line, text: str) -> Line:
        """Replace what we said (XEP-0308); return the line as it is then. Raises and is cancelled as `say`.

        ValueError for a line of another author.
        """
        self._check_ours(line)
        original = self._current(line)
        first = self._original_id(original)
        message = self._message(text, thread=original.thread)
        message.payloads.append(Replace(id=first))
        await self._speak(message)
        return self._current(line)

    async def retract(self, line: Line) -> Line:
        """Take back what we said (XEP-0424). Others may have seen it. Raises and is cancelled as `correct`."""
        self._check_ours(line)
        fallback = Fallback(for_=RETRACTION)
        message = self._bare_message(Retract(id=self._current(line).id), fallback, Store(), body=RETRACTED_TEXT)
        await self._send_and_note(message)
        return self._current(line)

    async def react(self, line: Line, reactions: Collection[str]) -> Line:
        """React to a line by these emoji, in place of our reactions so far; none takes them back (XEP-0444).

        Raises ValueError for more than six, or for one of more than 32 characters. Otherwise it raises, and is
        cancelled, as `say`.
        """
        chosen = tuple(dict.fromkeys(reactions))
        if len(chosen) > MAX_REACTIONS or any(not 0 < len(each) <= MAX_REACTION_LENGTH for each in chosen):
            raise ValueError(f"at most {MAX_REACTIONS} reactions, each of 1 to {MAX_REACTION_LENGTH} characters")
        message = self._bare_message(Reactions(id=self._current(line).id, reactions=chosen), Store())
        await self._send_and_note(message)
        return self._current(line)

    async def displayed(self, line: Line) -> None:
        """Say that everything up to this line of another was seen: to its sender, if that wants to know (XEP-0333).

        In a conversation that is encrypted, the sender is told nothing if that cannot be encrypted.
        Our other clients are told, too, if the conversation has `displays` (XEP-0490): up to the last line that has an
        id in the archive. Nothing is told of a line that any of our clients has displayed. Raises and is cancelled
        as `say`.
        """
        await trio.lowlevel.checkpoint()
        if line.by_us or self.book.reading.has(line):
            return
        if self._displays is not None and (last := self.book.reading.archived_up_to(line)) is not None:
            by = self.peer if self.book.is_room else self._client.jid.bare
            self._displays.mark(self.peer, last.archive_id or "", by=by, sent=last.sent)
        if self._wants_markers and line.message.get(markers.Markable) is not None:
            await self._send_and_note(self._bare_message(markers.Displayed(id=line.id), Store()))
        self.tell([*self.book.reading.up_to(line, Account(self._client.jid.bare))])

    async def wait_received(self, line: Line) -> Line:
        """Wait until the other side has received a line of ours; return it as it is then.

        Raises the `XMPPError` of the server or the other side if it could not be delivered, or the exception with which
        it could not be sent. Cancelling changes nothing.
        """
        await trio.lowlevel.checkpoint()
        while (now := self._current(line)).delivery is Delivery.SENT:
            await self._changed.park()
        if now.delivery is Delivery.FAILED:
            assert now.error is not None
            raise now.error
        return now

    @asynccontextmanager
    async def typing(self, *, paused_after: float = PAUSED_AFTER) -> AsyncIterator[Composition]:
        """A block during which a person is writing a message (XEP-0085); gives a `Composition`.

        After `paused_after` seconds without ``composition.key_pressed()`` the person has paused. At the end of the
        block the other side is told so, unless something was said in it. Nothing is told to a peer that has never sent
        a chat state, nor while we are invisible, nor if the conversation is encrypted and a chat state cannot be.
        Raises what `Client.send` raises, and `StoreError`. Cancelling ends the block.
        """
        composition, before = Composition(), self._said

        async def follow() -> None:
            while True:
                changed = composition.changed
                with trio.move_on_after(paused_after) as scope:
                    await changed.wait()
                if scope.cancelled_caught:
                    await self._tell_state(composition, chat_states.Paused())
                    await changed.wait()
                    await self._tell_state(composition, chat_states.Composing())

        await self._send_state(composition.state)
        async with supervised(self._client, follow, name="conversation"):
            yield composition
        if self._said == before and not isinstance(composition.state, chat_states.Paused):
            await self._send_state(chat_states.Paused())

    async def set_state(self, state: chat_states.ChatState) -> None:
        """Tell the other side that we are active, inactive or gone (XEP-0085), under the conditions of `typing`.

        Raises as `typing`. If cancelled, it may be told all the same.
        """
        await self._send_state(state)

    # --- how

    async def _tell_state(self, composition: Composition, state: chat_states.ChatState) -> None:
        composition.state = state
        await self._send_state(state)

    async def _send_state(self, state: chat_states.ChatState) -> None:
        if self.book.states.are_known and self._visible():
            message = self._bare_message(state, NoStore(), has_id=False)
            sealed = Sealed(message) if self._seal is None else await self._seal(message)
            if sealed is not None:
                await self._send_now(sealed.message)
        else:
            await trio.lowlevel.checkpoint()

    def _message(self, text: str, *, thread: str | None) -> Message:
        payloads: list[Any] = []
        if self._visible():
            payloads.append(chat_states.Active())
        if self._wants_receipts:
            payloads.append(receipts.Request())
        if self._wants_markers:
            payloads.append(markers.Markable())
        return self._bare_message(*payloads, body=text, thread=thread)

    def _bare_message(
        self, *payloads: Any, body: str | None = None, thread: str | None = None, has_id: bool = True
    ) -> Message:
        message = Message(to=self.peer, type=self._type, body=body, thread=thread, payloads=payloads)
        if self._is_private:
            message.payloads.append(muc.Occupant())  # XEP-0045 §7.5
        if has_id:
            message.id = secrets.token_urlsafe(15)
            message.payloads.append(OriginId(id=message.id))
        return message

    async def _speak(self, message: Message) -> Line:
        self._said += 1
        await self._send_and_note(message)
        assert message.id is not None
        line = self.book.get(message.id)
        assert line is not None
        return line

    async def _send_and_note(self, message: Message) -> None:
        """Send durably if there is a store, else wait until it is sent."""
        message.validate()
        # Noted before it is sent: a receipt or an error may be here before the sending task runs again.
        own = Account(self._client.jid.bare)
        self.apply(TimelineEntry(message, Source.OWN, self.peer, own, True, datetime.now(UTC), None, True))
        assert message.id is not None
        try:
            sealed = Sealed(message) if self._seal is None else await self._seal(message)
            if sealed is not None:
                self.book.protect(message.id, sealed.encryption)
                await self._send(sealed.message)
        except Exception as exc:
            self.tell([*self.book.not_sent(message.id, exc)])
            raise

    async def _send(self, message: Message) -> None:
        """Send a message, durably if there is a store."""
        if self._client.durable:
            await self._client.post(message)
        else:
            await self._client.send(message)

    async def _send_now(self, message: Message) -> None:
        """Send a message that is worth nothing later."""
        await self._client.send(message)

    def _author(self, line: Line) -> JID | None:
        return line.message.from_ or (self._client.jid.bare if line.by_us else None)

    def _current(self, line: Line) -> Line:
        names = (line.id, line.message.id)
        return next((now for name in names if name and (now := self.book.get(name)) is not None), line)

    def _original_id(self, line: Line) -> str:
        """Return the id of what was said first: a correction of a correction names that, too (XEP-0308 §4)."""
        replaced = line.message.get(Replace)
        return replaced.id if replaced is not None and line.corrected else line.message.id or line.id

    def _check_ours(self, line: Line) -> None:
        if not line.by_us:
            raise ValueError("only the author of a message corrects or retracts it")
