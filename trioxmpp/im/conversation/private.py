"""A private talk with an occupant of a room (XEP-0045 §7.5), which ends when another one has the nick.

A nick is a place, and the address of a private message has nothing else. So the conversation knows its occupant, by the
object that the room block has for one stay or, where the room gives occupant ids, for one account. It follows a change
of the nick, and it never speaks to the next one that sits in that place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Final

import trio

from ...errors import StanzaCondition, XMPPCancelError
from ...jid import JID
from ...protocol.stanza import Message, MessageType
from ...xep.muc import NickChanged, Occupant, OccupantJoined, OccupantLeft, Room, RoomEvent, occupant_jid
from .. import provenance
from ..displayed import Displays
from ..provenance import Sender
from .conversation import Conversation, Seal
from .lines import Ended, Entry, PeerBack, PeerLeft, PeerRenamed, key_of

__all__ = ["PrivateConversation", "PrivateTalks"]

#: Private talks that are kept, and the former ones beside them.
FORMER: Final = 1_000


class PrivateConversation(Conversation):
    """A private talk in `room` with the occupant that has the nick of `peer` now, or with the author of `first`.

    `is_over` says that another occupant has the nick, or had it before: then nothing can be said here.
    """

    def __init__(
        self,
        room: Room,
        peer: JID,
        first: Sender | None = None,
        *,
        markers: bool,
        visible: Callable[[], bool],
        displays: Displays | None,
        capacity: int,
        seal: Seal | None = None,
    ) -> None:
        super().__init__(
            room.client,
            peer,
            receipts=False,
            markers=markers,
            visible=visible,
            displays=displays,
            capacity=capacity,
            seal=seal,
        )
        now = room.occupant(peer.resource or "")
        self.room = room
        self.occupant: Occupant | None = now
        """The occupant with which we talk; None if it is not known, or is not in the room."""
        self.is_over: bool = False
        self._first = first if isinstance(first, provenance.Occupant) else None
        if self._first is not None and (now is None or not _is_same(_sender_of(room, now), self._first)):
            self.occupant, self.is_over = None, True

    @property
    def author(self) -> provenance.Occupant | None:
        """The occupant as the sender of its messages, if it is known."""
        return self._first if self.occupant is None else _sender_of(self.room, self.occupant)

    def is_with(self, author: Sender) -> bool:
        """Return whether this is the author of a private message: the same occupant, not only the same nick."""
        known = self.author
        return known is not None and isinstance(author, provenance.Occupant) and _is_same(author, known)

    # --- what happens to the occupant

    def end(self) -> None:
        """Another occupant has the nick."""
        if not self.is_over:
            self.is_over = True
            self.tell([Ended()])

    def moved(self, peer: JID) -> None:
        """The occupant has another nick."""
        before = self.peer
        self.peer = peer
        self.tell([PeerRenamed(before, peer)])

    def left(self) -> None:
        """The occupant has left the room."""
        self.tell([PeerLeft()])

    def back(self) -> None:
        """The occupant is in the room again."""
        self.tell([PeerBack()])

    # --- how

    async def _send(self, message: Message) -> None:
        """Send to the occupant, if it is there. Never later: another one may have the nick by then."""
        if self.occupant is None or self.is_over:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND, f"{self.peer.resource} is another occupant now")
        await self.room.whisper(self.occupant, message)

    async def _send_now(self, message: Message) -> None:
        """Tell a chat state to the occupant, if it is there."""
        if self.occupant is None or self.is_over or self.room.occupant(self.occupant.nick) is not self.occupant:
            await trio.lowlevel.checkpoint()
        else:
            await self.room.whisper(self.occupant, message)


def _is_same(one: provenance.Occupant, other: provenance.Occupant) -> bool:
    """Return whether these are one occupant: by the id that the room gives, else by their stay, or real address."""
    if one.occupant_id is not None or other.occupant_id is not None:
        return one.occupant_id == other.occupant_id
    if one.stay is not None and other.stay is not None:
        return one.stay == other.stay
    return one.real is not None and one.real == other.real


def _sender_of(room: Room, occupant: Occupant) -> provenance.Occupant:
    return provenance.Occupant(room.jid, occupant.nick, occupant.id, occupant.jid, occupant.stay)


class PrivateTalks:
    """The private talks in `rooms`, by address; ``create(room, address, author)`` makes one.

    At one address there is the talk with the occupant that has the nick now. Talks that are over are kept by author,
    the last `FORMER` of them, for what the archive brings late.
    """

    def __init__(
        self, rooms: Mapping[JID, Room], create: Callable[[Room, JID, Sender | None], PrivateConversation]
    ) -> None:
        self._rooms = rooms
        self._create = create
        self._talks: OrderedDict[JID, PrivateConversation] = OrderedDict()
        self._former: OrderedDict[tuple[object, ...], PrivateConversation] = OrderedDict()
        self._heard: dict[JID, tuple[Room, ExitStack]] = {}
        """The rooms whose events are heard."""

    def __len__(self) -> int:
        return len(self._talks) + len(self._former)

    def __iter__(self) -> Iterator[PrivateConversation]:
        return iter((*self._talks.values(), *self._former.values()))

    def at(self, address: JID, *, is_new: bool = True) -> PrivateConversation | None:
        """Return the talk with the occupant at an address; None if we are not in its room.

        `is_new` says that a talk is to be opened if there is none.
        """
        room = self._rooms.get(address.bare) if self._rooms and address.resource is not None else None
        if room is None:
            return None
        talk = self._talks.get(address)
        is_empty = room.occupant(address.resource or "") is None
        if talk is not None and not talk.is_over and (talk.occupant is not None or is_empty or not is_new):
            return talk
        return self._open(room, address, None) if is_new else None

    def of(self, entry: Entry) -> PrivateConversation | None:
        """Return the talk that an entry belongs to; None if it is no private one in a room in which we are."""
        room = self._rooms.get(entry.peer.bare) if self._rooms and entry.peer.resource is not None else None
        if room is None:
            return None
        talk = self._talks.get(entry.peer)
        if entry.by_us or entry.message.type is MessageType.ERROR:
            return talk or self._open(room, entry.peer, None)
        if talk is not None and talk.is_with(entry.sender):
            return talk
        former = self._former.get(key_of(entry.sender))
        if former is not None:
            return former
        opened = self._create(room, entry.peer, entry.sender)
        if opened.is_over and talk is not None and not talk.is_over:
            self._keep(key_of(entry.sender), opened)  # an earlier occupant said that
            return opened
        self._put(room, opened)
        return opened

    def close(self) -> None:
        """Hear of no room any more."""
        for _, stack in self._heard.values():
            stack.close()
        self._heard.clear()

    # --- the places

    def _open(self, room: Room, address: JID, author: Sender | None) -> PrivateConversation:
        talk = self._create(room, address, author)
        self._put(room, talk)
        return talk

    def _put(self, room: Room, talk: PrivateConversation) -> None:
        """A talk has this address from now on; the one that had it is over."""
        self._hear(room)
        before = self._talks.pop(talk.peer, None)
        if before is not None and before is not talk:
            before.end()
            if before.author is not None:
                self._keep(key_of(before.author), before)
        self._talks[talk.peer] = talk
        while len(self._talks) > FORMER:
            self._talks.popitem(last=False)

    def _keep(self, key: tuple[object, ...], talk: PrivateConversation) -> None:
        self._former[key] = talk
        while len(self._former) > FORMER:
            self._former.popitem(last=False)

    # --- what the rooms tell

    def _hear(self, room: Room) -> None:
        known = self._heard.get(room.jid)
        if known is not None and known[0] is room:
            return
        if known is not None:
            known[1].close()
        stack = ExitStack()
        stack.enter_context(room.listen(partial(self._take, room)))
        self._heard[room.jid] = room, stack

    def _take(self, room: Room, event: RoomEvent) -> None:
        match event:
            case NickChanged(who=who, before=before, after=after):
                talk = self._talks.get(occupant_jid(room.jid, before))
                if talk is not None and talk.occupant is who:
                    del self._talks[talk.peer]
                    talk.moved(occupant_jid(room.jid, after))
                    self._put(room, talk)
                else:
                    self._taken(room, who)
            case OccupantLeft(who=who):
                talk = self._talks.get(occupant_jid(room.jid, who.nick))
                if talk is not None and talk.occupant is who:
                    talk.left()
            case OccupantJoined(who=who):
                self._taken(room, who)

    def _taken(self, room: Room, who: Occupant) -> None:
        """An occupant has this nick now."""
        talk = self._talks.get(occupant_jid(room.jid, who.nick))
        if talk is None or talk.is_over:
            return
        if talk.occupant is who:
            talk.back()
        elif talk.occupant is not None:
            talk.end()
