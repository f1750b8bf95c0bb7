"""All conversations of an account, fed by one timeline."""

from __future__ import annotations

import enum
import logging
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from ...client import Client, Signal, Subscription, supervised
from ...jid import JID
from ...protocol.elements import receipts as elements
from ...protocol.elements.hints import Store
from ...protocol.stanza import Message, MessageType
from ..provenance import Account
from .conversation import Conversation, Seal
from .lines import Entry, TalkEvent, Typing, key_of

__all__ = ["Conversations", "Receipts", "open_conversations"]

_logger = logging.getLogger(__name__)

#: Seconds after which a chat state of another is not true any more.
STATE_LASTS = 60.0

#: How a message came for which a receipt may be due: not by a copy, nor from an archive.
_DIRECT = frozenset({"LIVE", "OFFLINE"})


class Receipts(enum.Enum):
    """The peers that are told that a message has come (XEP-0184). It tells, too, that and when we are online."""

    NEVER = "no peer"
    CONTACTS = "contacts that see our presence"
    ALWAYS = "each peer that asks"


class Conversations:
    """The conversations of an account, by peer; the `limit` that were used last are kept."""

    def __init__(
        self,
        client: Client,
        may_know: Callable[[JID], bool],
        *,
        markers: bool,
        visible: Callable[[], bool],
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
        self._limit = limit
        self._capacity = capacity
        self._talks: OrderedDict[JID, Conversation] = OrderedDict()
        self._ages: OrderedDict[tuple[JID, tuple[object, ...]], float] = OrderedDict()
        """When each chat state of another was told, the oldest first."""
        self._aged = trio.Event()
        self.receipts_due: tuple[trio.MemorySendChannel[Message], trio.MemoryReceiveChannel[Message]] = (
            trio.open_memory_channel[Message](1_000)
        )
        """Receipts that are to be sent. If too many wait, one is left out: a receipt is a courtesy."""

    def __len__(self) -> int:
        return len(self._talks)

    def __iter__(self) -> Iterator[Conversation]:
        return iter(tuple(self._talks.values()))

    def __getitem__(self, peer: JID | str) -> Conversation:
        """Return the conversation with a bare JID, or with the full JID of an occupant of a room."""
        jid = JID.parse(peer) if isinstance(peer, str) else peer
        talk = self._talks.get(jid)
        if talk is None:
            talk = self._talks[jid] = Conversation(
                self._client,
                jid,
                markers=self._markers,
                visible=self._visible,
                capacity=self._capacity,
                seal=self._seal,
            )
            talk.on_event.connect(partial(self.on_event.emit, talk))
            while len(self._talks) > self._limit:
                self._talks.popitem(last=False)
        self._talks.move_to_end(jid)
        return talk

    def events(self, *, capacity: int = 10_000) -> Subscription[tuple[Conversation, TalkEvent]]:
        """``async with`` block that gives an inbox of the changes that come, each with its conversation."""
        return self.on_event.subscribe(capacity)

    def apply(self, entry: Entry) -> None:
        """Note a message in its conversation, and a receipt that is due."""
        talk = self[entry.peer]
        events = talk.book.apply(entry)
        for event in events:
            if isinstance(event, Typing):
                self._note_state(talk.peer, event)
        talk.tell(events)
        if self._is_receipt_due(entry):
            message = entry.message
            assert message.id is not None
            receipt = Message(to=message.from_, type=message.type, payloads=[elements.Received(id=message.id), Store()])
            try:
                self.receipts_due[0].send_nowait(receipt)
            except trio.WouldBlock:
                _logger.warning("left out: a receipt for %r, since %d wait", message, 1_000)

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
            talk = self._talks.get(key[0])
            if talk is not None:
                talk.tell([*talk.book.forget_state(key[1])])


@asynccontextmanager
async def open_conversations(
    client: Client,
    entries: AsyncIterable[Entry],
    *,
    receipts: Receipts = Receipts.CONTACTS,
    sees_us: Callable[[JID], bool] | None = None,
    markers: bool = True,
    visible: Callable[[], bool] = lambda: True,
    limit: int = 1_000,
    capacity: int = 2_000,
    seal: Seal | None = None,
) -> AsyncIterator[Conversations]:
    """A block with all conversations of the account: ``talks["juliet@example.org"]``.

    `entries` is a timeline; this block iterates over it. `receipts` says which peers are told that their messages have
    come; ``sees_us(jid)`` tells whether a contact sees our presence, and without it no peer counts as a contact.
    `markers` is whether we ask and tell what was displayed, ``visible()`` whether others may know that we are here: if
    not, no chat state is sent. `limit` conversations are kept, and `capacity` lines of each. ``await seal(message)``
    gives what is sent in the place of a message: ``omemo.seal`` encrypts it. Receipts and chat states are sent as they
    are.

    Raises what iterating over `entries` raises. Leaving the block forgets the conversations; cancelling does the same.
    """
    allowed = {
        Receipts.NEVER: lambda jid: False,
        Receipts.CONTACTS: sees_us or (lambda jid: False),
        Receipts.ALWAYS: lambda jid: True,
    }[receipts]
    talks = Conversations(client, allowed, markers=markers, visible=visible, limit=limit, capacity=capacity, seal=seal)

    async def read() -> None:
        async for entry in entries:
            talks.apply(entry)

    async def acknowledge() -> None:
        async for receipt in talks.receipts_due[1]:
            await client.send(receipt)

    async with (
        supervised(client, read, name="conversations"),
        supervised(client, acknowledge, name="conversations"),
        supervised(client, talks.forget_states, name="conversations"),
    ):
        yield talks
