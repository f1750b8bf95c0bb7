"""Rooms whose messages are encrypted for their members (XEP-0384 §6).

The recipients are the accounts with an affiliation, and those that are in the room; so the room has to show them. In a
room that is open to all, a stranger that enters can read what is said from then on, so a room for members is asked for.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final

import trio

from ...client import Client, Subscription
from ...errors import XMPPError
from ...jid import JID
from ...protocol.elements.muc import Affiliation
from ...protocol.stanza import Message
from ...record import replace
from ...xep.encryption import Sealed
from ...xep.muc import Room, RoomBack, RoomEntry, RoomEvent, RoomMessage, affiliations
from .errors import CannotEncrypt, RoomUnfit
from .service import Omemo

__all__ = ["EncryptedRoom", "RoomReading", "open_encrypted_room"]

_logger = logging.getLogger(__name__)

#: Seconds for which the lists of members count.
MEMBERS_LAST: Final = 60.0
#: Messages of a room that are kept as they were opened: each subscription is given the same.
MAX_OPENED: Final = 1_000

_AFFILIATED: Final = (Affiliation.OWNER, Affiliation.ADMIN, Affiliation.MEMBER)


class EncryptedRoom:
    """A room in plain text: what is said is encrypted, and what is heard is decrypted, with a mark how it came."""

    def __init__(self, omemo: Omemo, room: Room, members_last: float, *, strict: bool = True) -> None:
        self.room = room
        self.history: tuple[RoomEntry, ...] = ()
        """The messages that the room sent with the join, in plain text."""
        self.left_out: frozenset[JID] = frozenset()
        """The members for which the last message could not be encrypted."""
        self._omemo = omemo
        self._strict = strict
        self._members_last = members_last
        self._members: frozenset[JID] = frozenset()
        self._fetched = -members_last
        self._present: frozenset[object] = frozenset()
        self._opened: OrderedDict[int, tuple[Message, RoomEntry]] = OrderedDict()
        self._turn = trio.Lock()

    @property
    def client(self) -> Client:
        """The client that is in the room."""
        return self.room.client

    @property
    def jid(self) -> JID:
        """The address of the room."""
        return self.room.jid

    async def members(self) -> frozenset[JID]:
        """Return the accounts that messages are encrypted for, without our own.

        A room that does not tell its lists is taken to have the members that are in it. Raises what `Client.send`
        raises. Cancelling changes nothing.
        """
        present = frozenset(
            (jid.bare, occupant.affiliation) for occupant in self.room.occupants for jid in occupant.state.jids
        )
        if present != self._present or trio.current_time() - self._fetched >= self._members_last:
            self._members = await self._fetch_members()
            self._present, self._fetched = present, trio.current_time()
        else:
            await trio.lowlevel.checkpoint()
        own = self.client.jid.bare
        outcasts = {jid for jid, affiliation in present if affiliation is Affiliation.OUTCAST}
        return frozenset({*self._members, *(jid for jid, _ in present)} - outcasts - {own})

    async def _fetch_members(self) -> frozenset[JID]:
        found: set[JID] = set()
        for affiliation in _AFFILIATED:
            try:
                listed = await affiliations(self.client, self.jid, affiliation)
            except XMPPError as exc:
                _logger.info("%s does not tell its list of %ss: %s", self.jid, affiliation.value, exc)
                continue
            found |= {each.jid.bare for each in listed}
        return frozenset(found)

    async def say(self, message: str | Message, *, timeout: float = 60.0) -> RoomEntry:
        """Speak to all members; return the message as the room reflects it, in plain text.

        Raises `Undecided` and `NoDevices` before anything is said, and what `Room.say` raises. Cancelling retracts a
        message that is not sent yet.
        """
        stanza = Message(body=message) if isinstance(message, str) else message
        sealed, self.left_out = await self._omemo.encrypt_in_room(
            self.jid, stanza, await self.members(), strict=self._strict
        )
        return await self.open(await self.room.say(sealed, timeout=timeout))

    async def seal(self, message: Message) -> Sealed | None:
        """Give a chat state encrypted for the members that can read it; None if there are none, or it is undecided.

        Raises what `members` raises, and `StoreError`. If cancelled, nothing can be sent.
        """
        try:
            members = await self.members()
            sealed, _ = await self._omemo.encrypt_in_room(self.jid, message, members, strict=False)
        except CannotEncrypt:
            return None
        return Sealed(sealed)

    def events(self, *, capacity: float = 10_000) -> RoomReading:
        """``async with`` block that gives an asynchronous iterator of events, with messages in plain text.

        An event of another kind comes as it is. It ends as ``Room.events`` does.
        """
        return RoomReading(self, self.room.events(capacity=capacity))

    async def open(self, entry: RoomEntry) -> RoomEntry:
        """Return an entry of the room in plain text, with its mark. Raises `StoreError`.

        If cancelled, the entry can be opened again.
        """
        async with self._turn:
            known = self._opened.get(id(entry.message))
            if known is None:
                opened = await self._omemo.open_room_entry(entry, self._candidates(entry))
                known = self._opened[id(entry.message)] = entry.message, opened
                while len(self._opened) > MAX_OPENED:
                    self._opened.popitem(last=False)
        return replace(entry, message=known[1].message, encryption=known[1].encryption)

    def _candidates(self, entry: RoomEntry) -> list[JID]:
        """Return the accounts that may have sent a message: the one that the room names, else all members.

        A session belongs to one device of one account, so the one that decrypts the message has sent it.
        """
        if entry.by_us:
            return [self.client.jid.bare]
        if entry.occupant is not None and entry.occupant.jid is not None:
            return [entry.occupant.jid.bare]
        return sorted(self._members, key=str)


class RoomReading:
    """The events of a room in plain text; see `EncryptedRoom.events`."""

    def __init__(self, room: EncryptedRoom, subscription: Subscription[RoomEvent]) -> None:
        self._room = room
        self._subscription = subscription
        self._events: Any = None
        self._next: RoomEvent | None = None

    async def __aenter__(self) -> RoomReading:
        """Begin to collect. If cancelled, nothing has begun."""
        self._events = await self._subscription.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._subscription.__aexit__(exc_type, exc, traceback)  # noqa: ASYNC102  (it shields what it does)

    def __aiter__(self) -> RoomReading:
        return self

    async def __anext__(self) -> RoomEvent:
        """Return the next event. Cancelling loses none. Raises what `Room.events` raises, and `StoreError`."""
        event: RoomEvent = await anext(self._events) if self._next is None else self._next
        self._next = opened = event
        match event:
            case RoomMessage(entry=entry):
                opened = RoomMessage(await self._room.open(entry))
            case RoomBack(missed=missed):
                opened = replace(event, missed=tuple([await self._room.open(entry) for entry in missed]))
        self._next = None
        return opened


@asynccontextmanager
async def open_encrypted_room(
    omemo: Omemo,
    room: Room,
    *,
    members_only: bool = True,
    members_last: float = MEMBERS_LAST,
    strict: bool = True,
) -> AsyncIterator[EncryptedRoom]:
    """A block during which a room that we are in is encrypted; gives it, with the same verbs.

    It can be given to ``open_room_conversation`` in the place of the room. With `members_only` the room has to be one
    for members. The lists of its members are asked for again after `members_last` seconds, or when an occupant came or
    went, before the next message. With `strict`, speaking raises `NoDevices` if a member has no device that can be
    reached; otherwise such members are left out, and `EncryptedRoom.left_out` names them.

    Raises `RoomUnfit` if the room hides the accounts of its occupants, or is open to all, and what `Client.send`
    raises. Cancelling, or leaving the block, changes nothing in the room.
    """
    features = frozenset() if room.disco is None else room.disco.features
    if "muc_nonanonymous" not in features:
        raise RoomUnfit(f"{room.jid} hides the accounts of its occupants: there is no telling for which to encrypt")
    if members_only and "muc_membersonly" not in features:
        raise RoomUnfit(f"{room.jid} is open to all: a stranger that enters could read what is said")
    secret = EncryptedRoom(omemo, room, members_last, strict=strict)
    await secret.members()
    secret.history = tuple([await secret.open(entry) for entry in room.history])
    yield secret
