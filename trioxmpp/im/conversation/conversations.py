"""All conversations of an account, fed by one timeline."""

from __future__ import annotations

import enum
import logging
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import trio

from ...client import Client, Signal, Subscription, supervised
from ...jid import JID
from ...protocol.elements import receipts as elements
from ...protocol.elements.hints import Store
from ...protocol.stanza import Message, MessageType
from ...xep.encryption import Encrypted, Encryption, Sealed
from ...xep.muc import Room
from ..displayed import Displays, Position
from ..provenance import Account, Sender
from ..timeline import Entry as TimelineEntry
from ..timeline import Timeline
from .conversation import Conversation, Pages, Seal
from .lines import Entry, TalkEvent, Typing, key_of
from .private import PrivateConversation, PrivateTalks

__all__ = ["Conversations", "Receipts", "open_conversations"]

_logger = logging.getLogger(__name__)

#: Seconds after which a chat state of another is not true any more.
STATE_LASTS = 60.0

#: How a message came for which a receipt may be due: not by a copy, nor from an archive.
_DIRECT = frozenset({"LIVE", "OFFLINE"})


#: A receipt, and how the message was encrypted.
_Due: TypeAlias = tuple[Message, Encryption | None]


class Receipts(enum.Enum):
    """The peers that are told that a message has come (XEP-0184). It tells, too, that and when we are online."""

    NEVER = "no peer"
    CONTACTS = "contacts that see our presence"
    ALWAYS = "each peer that asks"


class Conversations:
    """The conversations of an account, by peer; the `limit` that were used last are kept, and some private talks."""

    def __init__(
        self,
        client: Client,
        may_know: Callable[[JID], bool],
        *,
        markers: bool,
        visible: Callable[[], bool],
        displays: Displays | None,
        pages: Pages | None,
        rooms: Mapping[JID, Room],
        limit: int,
        capacity: int,
        seal: Seal | None = None,
    ) -> None:
        self.on_event: Signal[Conversation, TalkEvent] = Signal()
        """Emits each change of each conversation, also of one that another has just begun."""
        self._client = client
        self._may_know = may_know
        self._markers = markers
        self._visible = visible
        self._seal = seal
        self._displays = displays
        self._pages = pages
        self._private = PrivateTalks(rooms, self._open_private)
        self._limit = limit
        self._capacity = capacity
        self._talks: OrderedDict[JID, Conversation] = OrderedDict()
        self._ages: OrderedDict[tuple[JID, tuple[object, ...]], float] = OrderedDict()
        """When each chat state of another was told, the oldest first."""
        self._aged = trio.Event()
        self.receipts_due: tuple[trio.MemorySendChannel[_Due], trio.MemoryReceiveChannel[_Due]] = (
            trio.open_memory_channel[_Due](1_000)
        )
        """Receipts that are to be sent. If too many wait, one is left out: a receipt is a courtesy."""

    def __len__(self) -> int:
        return len(self._talks) + len(self._private)

    def __iter__(self) -> Iterator[Conversation]:
        return iter((*self._talks.values(), *self._private))

    def __getitem__(self, peer: JID | str) -> Conversation:
        """Return the conversation with a bare JID, or with the occupant of a room that has this full JID now."""
        jid = JID.parse(peer) if isinstance(peer, str) else peer
        private = self._private.at(jid)
        return self._known(jid) if private is None else private

    def _known(self, jid: JID) -> Conversation:
        talk = self._talks.get(jid)
        if talk is None:
            talk = self._talks[jid] = Conversation(
                self._client,
                jid,
                markers=self._markers,
                visible=self._visible,
                displays=self._displays,
                pages=None if jid.resource is not None else self._pages,
                capacity=self._capacity,
                seal=self._seal,
            )
            talk.on_event.connect(partial(self.on_event.emit, talk))
            while len(self._talks) > self._limit:
                self._talks.popitem(last=False)
        self._talks.move_to_end(jid)
        return talk

    def _open_private(self, room: Room, peer: JID, first: Sender | None) -> PrivateConversation:
        talk = PrivateConversation(
            room,
            peer,
            first,
            markers=self._markers,
            visible=self._visible,
            displays=self._displays,
            capacity=self._capacity,
            seal=self._seal,
        )
        talk.on_event.connect(partial(self.on_event.emit, talk))
        return talk

    def events(self, *, capacity: int = 10_000) -> Subscription[tuple[Conversation, TalkEvent]]:
        """``async with`` block that gives an inbox of the changes that come, each with its conversation."""
        return self.on_event.subscribe(capacity)

    def apply(self, entry: Entry) -> None:
        """Note a message in its conversation, and a receipt that is due."""
        talk = self._private.of(entry) or self._known(entry.peer)
        events = talk.note(entry)
        for event in events:
            if isinstance(event, Typing):
                self._note_state(talk.peer, event)
        talk.tell(events)
        if self._is_receipt_due(entry):
            message = entry.message
            assert message.id is not None
            receipt = Message(to=message.from_, type=message.type, payloads=[elements.Received(id=message.id), Store()])
            try:
                self.receipts_due[0].send_nowait((receipt, entry.encryption))
            except trio.WouldBlock:
                _logger.warning("left out: a receipt for %r, since %d wait", message, 1_000)

    def displayed_elsewhere(self, position: Position) -> None:
        """Another client of our account has displayed more of a chat."""
        talk = self._private.at(position.chat, is_new=False) or self._talks.get(position.chat)
        if talk is not None:
            talk.read_up_to(position)

    def close(self) -> None:
        """Hear of no room any more."""
        self._private.close()

    def _is_receipt_due(self, entry: Entry) -> bool:
        message = entry.message
        return (
            entry.caught_up
            and not entry.by_us
            and entry.source.name in _DIRECT
            and isinstance(entry.sender, Account)
            and message.type in (MessageType.CHAT, MessageType.NORMAL)
            and message.id is not None
            and message.body is not None
            and message.get(elements.Request) is not None
            and message.get(elements.Received) is None
            and self._may_know(entry.sender.jid)
        )

    async def read(self, entries: AsyncIterable[Entry]) -> None:
        """Note all entries. Raises what iterating over them raises."""
        async for entry in entries:
            self.apply(entry)

    async def acknowledge(self) -> None:
        """Send the receipts that are due, until cancelled: encrypted for a message that was, as a whole."""
        async for receipt, encryption in self.receipts_due[1]:
            is_secret = isinstance(encryption, Encrypted) and encryption.whole
            sealed = Sealed(receipt) if self._seal is None or not is_secret else await self._seal(receipt)
            if sealed is not None:
                await self._client.send(sealed.message)

    # --- chat states grow old

    def _note_state(self, peer: JID, event: Typing) -> None:
        key = peer, key_of(event.sender)
        self._ages.pop(key, None)
        if event.state is not None:
            self._ages[key] = trio.current_time()
            self._aged.set()

    async def forget_states(self) -> None:
        """Forget each chat state that is older than `STATE_LASTS`; runs until cancelled."""
        while True:
            if not self._ages:
                self._aged = trio.Event()
                await self._aged.wait()
                continue
            key, since = next(iter(self._ages.items()))
            if (rest := since + STATE_LASTS - trio.current_time()) > 0:
                await trio.sleep(rest)
                continue
            del self._ages[key]
            talk = self._private.at(key[0], is_new=False) or self._talks.get(key[0])
            if talk is not None:
                talk.tell([*talk.book.states.forget(key[1])])


@asynccontextmanager
async def open_conversations(
    client: Client,
    entries: AsyncIterable[Entry],
    *,
    receipts: Receipts = Receipts.CONTACTS,
    sees_us: Callable[[JID], bool] | None = None,
    markers: bool = True,
    visible: Callable[[], bool] = lambda: True,
    displays: Displays | None = None,
    pages: Pages | None = None,
    rooms: Mapping[JID, Room] = MappingProxyType({}),
    limit: int = 1_000,
    capacity: int = 2_000,
    seal: Seal | None = None,
) -> AsyncIterator[Conversations]:
    """A block with all conversations of the account: ``talks["juliet@example.org"]``.

    `entries` is a timeline; this block iterates over it. `receipts` says which peers are told that their messages have
    come; ``sees_us(jid)`` tells whether a contact sees our presence, and without it no peer counts as a contact.
    `markers` is whether we ask and tell what was displayed, ``visible()`` whether others may know that we are here: if
    not, no chat state is sent. `displays` (`open_displayed`) has our clients agree how far each conversation was read.
    `limit` conversations are kept, and `capacity` lines of each. ``await seal(message)`` gives what is sent in the
    place of a message, or None: ``omemo.seal`` encrypts it. That goes for chat states, too, and for the receipts of
    messages that came encrypted. A line that came encrypted is changed by encrypted messages only.

    ``pages(peer, entry, size)`` gives the older pages for `Conversation.older`; without it a timeline that is `entries`
    gives them. `rooms` are the rooms in which we are, the same ones as for `open_timeline`: then a private talk in one
    of them is with an occupant, and not with whichever occupant has a nick.

    Raises what iterating over `entries` raises. Leaving the block forgets the conversations; cancelling does the same.
    """
    talks = Conversations(
        client,
        _allowed(receipts, sees_us),
        markers=markers,
        visible=visible,
        displays=displays,
        pages=pages or _pages_of(entries),
        rooms=rooms,
        limit=limit,
        capacity=capacity,
        seal=seal,
    )

    with ExitStack() as stack:
        stack.callback(talks.close)
        if displays is not None:
            stack.enter_context(displays.on_change.context_connect(talks.displayed_elsewhere))
        async with (
            supervised(client, lambda: talks.read(entries), name="conversations"),
            supervised(client, talks.acknowledge, name="conversations"),
            supervised(client, talks.forget_states, name="conversations"),
        ):
            yield talks


def _allowed(receipts: Receipts, sees_us: Callable[[JID], bool] | None) -> Callable[[JID], bool]:
    """Return the function that tells which accounts get receipts."""
    if receipts is Receipts.CONTACTS and sees_us is not None:
        return sees_us
    return lambda jid: receipts is Receipts.ALWAYS


def _pages_of(entries: AsyncIterable[Entry]) -> Pages | None:
    """Return what gives the older pages of a timeline, if `entries` is one."""
    if not isinstance(entries, Timeline):
        return None
    timeline = entries

    async def page(peer: JID, entry: TimelineEntry | None, size: int) -> Sequence[TimelineEntry]:
        async for found in timeline.before(peer, entry, size=size):
            return found
        return ()

    return page
