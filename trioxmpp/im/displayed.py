"""XEP-0490: Message Displayed Synchronization: how far the clients of our account have displayed each chat.

Ids of archives have no order, and a position is nothing but an id. So the order comes from the time at which a message
was sent, which the application, or its timeline, knows: `Displays.learn` takes it, and so does `Displays.mark`. A
position that is known to be older than the one that we have changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import trio

from ..client import Client, Signal, Step, Subscription, supervised
from ..jid import JID, JIDError
from ..protocol.elements import mds
from ..protocol.elements.stanza_ids import StanzaId
from ..record import record
from ..xep.pep import Mirror, mirrored
from ..xep.pubsub import PRIVATE, Change, Node, Published, publish

__all__ = ["Displays", "Position", "open_displayed"]

NODE: Final = Node(mds.NS, mds.Displayed, multi=True, options=PRIVATE)

#: Seconds without a further mark after which positions are published.
QUIET = 2.0
#: Chats whose positions are kept, and messages whose times are.
LIMIT = 10_000
#: Seconds that leaving the block may take to publish what waits.
LEAVE_DEADLINE = 5.0


@record
class Position:
    """The last message of a chat that was displayed: its id in the archive `by`, and when it was sent, if known.

    `chat` is the bare JID of the contact or room; for a private message in a room, the full JID of the occupant.
    """

    chat: JID
    id: str
    by: JID
    sent: datetime | None = None


class Displays(Mapping[JID, Position]):
    """The positions by chat. `open_displayed` gives one."""

    def __init__(self, client: Client, limit: int) -> None:
        self.on_change: Signal[Position] = Signal()
        """Emitted when another client of our account has displayed more of a chat."""
        self._client = client
        self._limit = limit
        self._positions: dict[JID, Position] = {}
        self._times: OrderedDict[tuple[JID, str], datetime] = OrderedDict()
        self._unpublished: dict[JID, Position] = {}
        self._marked = trio.lowlevel.ParkingLot()

    def __getitem__(self, chat: JID) -> Position:
        return self._positions[chat]

    def __iter__(self) -> Iterator[JID]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)

    def changes(self, *, capacity: float = 10_000) -> Subscription[Position]:
        """``async with`` block that gives an inbox of the positions that other clients have reached."""
        return self.on_change.subscribe(capacity)

    def learn(self, chat: JID, id: str, sent: datetime) -> None:
        """Note when the message with this id in the archive was sent, so that positions can be compared."""
        self._times[chat, id] = sent
        self._times.move_to_end((chat, id))
        if len(self._times) > self._limit:
            self._times.popitem(last=False)

    def mark(self, chat: JID, id: str, *, by: JID, sent: datetime) -> bool:
        """Note that this client has displayed a message, and all before it; return whether that is new.

        `id` is the id that the archive `by` gave the message, our own account's or the room's, and `sent` the time of
        the message. The position is published once there was no further mark for a while. Returns at once. ValueError
        if `by` is neither our account nor the chat.
        """
        if not self._may_be(chat, by):
            raise ValueError(f"{by} does not keep the archive of {chat}")
        self.learn(chat, id, sent)
        position = Position(chat, id, by, sent)
        if not self._advance(position):
            return False
        self._unpublished[chat] = position
        self._marked.unpark_all()
        return True

    async def flush(self) -> None:
        """Publish what waits, now. Raises, and may be cancelled, as `publish`; what was not published waits on."""
        await trio.lowlevel.checkpoint()
        while self._unpublished:
            chat, position = next(iter(self._unpublished.items()))
            payload = mds.Displayed(stanza_id=StanzaId(id=position.id, by=position.by))
            await publish(self._client, NODE, payload, id=str(chat))
            if self._unpublished.get(chat) == position:
                del self._unpublished[chat]

    # --- for the block

    async def publish_when_quiet(self, quiet: float) -> None:
        """Publish positions, each time that no mark came for `quiet` seconds, until cancelled."""
        while True:
            while not self._unpublished:
                await self._marked.park()
            while True:
                with trio.move_on_after(quiet) as scope:
                    await self._marked.park()
                if scope.cancelled_caught:
                    break
            await self.flush()

    def hear(self, change: Change[mds.Displayed]) -> None:
        """Take a change of the node: a position that any client of our account has published."""
        if not isinstance(change, Published) or change.payload is None or change.item_id is None:
            return
        try:
            chat = JID.parse(change.item_id)
        except JIDError:
            return
        stanza_id = change.payload.stanza_id
        if not self._may_be(chat, stanza_id.by):
            return
        position = Position(chat, stanza_id.id, stanza_id.by, self._times.get((chat, stanza_id.id)))
        if self._advance(position):
            self._unpublished.pop(chat, None)
            self.on_change.emit(position)

    def _may_be(self, chat: JID, by: JID) -> bool:
        return by in (self._client.jid.bare, chat.bare)

    def _advance(self, position: Position) -> bool:
        """Take a position, unless it is that which we have, or is known to be older."""
        old = self._positions.get(position.chat)
        if old is not None:
            if old.id == position.id:
                return False
            known = old.sent or self._times.get((old.chat, old.id))
            if known is not None and position.sent is not None and position.sent <= known:
                return False
            if known is not None and position.sent is None and position.chat in self._unpublished:
                return False  # ours is newer than what the others know, and will tell them
        elif len(self._positions) >= self._limit:
            return False
        self._positions[position.chat] = position
        return True


@asynccontextmanager
async def open_displayed(client: Client, *, quiet: float = QUIET, limit: int = LIMIT) -> AsyncIterator[Displays]:
    """A block during which our clients agree how far each chat was displayed.

    The positions are fetched in each session, with the archives, and then follow the events of our other clients. Our
    own marks are published privately, after `quiet` seconds without a further one, and at the end of the block. At most
    `limit` chats are kept, and the times of `limit` messages.

    Entering raises what fetching raises, for the session of now. Cancelling loses marks that are not published yet.
    """
    displays = Displays(client, limit)

    def hear_all(mirror: Mirror[mds.Displayed]) -> None:
        for item in mirror.values():
            displays.hear(Published(mirror.owner, NODE.name, item.id, item.payload))

    async with mirrored(client, NODE, step=Step.CATCH_UP, limit=limit) as mirror:
        hear_all(mirror)
        with mirror.on_change.context_connect(displays.hear):
            try:
                async with supervised(
                    client, lambda: displays.publish_when_quiet(quiet), name="displayed synchronization"
                ):
                    yield displays
            finally:
                displays.on_change.close()
            if client.linked:
                with trio.move_on_after(LEAVE_DEADLINE):
                    await displays.flush()
