"""The events of a room, as values to `match`.

async with room.events() as events:
    async for event in events:
        match event:
            case RoomMessage(entry=entry) if not entry.by_us: ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from ...client import Inbox, Subscription
from ...errors import XMPPError
from ...jid import JID
from ...protocol.elements.muc import Affiliation
from ...protocol.stanza import Message
from ...record import field, record
from ..encryption import Encryption
from .occupants import Occupant, OccupantState
from .problems import RoomLost

__all__ = [
    "AffiliationNoted",
    "Announcements",
    "ConfigChanged",
    "InvitationDeclined",
    "LeaveCause",
    "MessageModerated",
    "NickChanged",
    "OccupantChanged",
    "OccupantJoined",
    "OccupantLeft",
    "PrivateFailed",
    "PrivateMessage",
    "RoomBack",
    "RoomEntry",
    "RoomEvent",
    "RoomMessage",
    "RoomSource",
    "SubjectChanged",
    "VoiceRequested",
]

#: The events that wait for the first subscription, and the characters of their messages; the oldest go first.
EARLY, EARLY_TEXT = 1_000, 4 << 20


class RoomSource(Enum):
    """How a message came to us."""

    LIVE = "as it was sent"
    HISTORY = "with the history that a room sends to a new occupant"
    ARCHIVE = "from the archive of the room"


@record
class RoomEntry:
    """A message in a room, and what of it is to be believed.

    `nick` is the nick of the sender when it spoke, None for the room itself; `occupant` is the sender if it is there
    now and the message is live; `occupant_id` the id of the sender, if the room announces ids (XEP-0421). `by_us`: our
    account sent it. `sent` is the time at which the room got it, or at which it came to us. `archive_id` is the id that
    the archive of the room gave it (XEP-0359), if that can be believed. `encryption` is how it was protected, if the
    room is read through ``open_encrypted_room``.
    """

    message: Message = field(repr=False)
    source: RoomSource
    room: JID
    nick: str | None
    occupant: Occupant | None
    occupant_id: str | None
    by_us: bool
    sent: datetime
    archive_id: str | None
    encryption: Encryption | None = None

    @property
    def text(self) -> str | None:
        """The text of the message, or None."""
        return self.message.body

    @property
    def id(self) -> str | None:
        """The id that a reply, a reaction or a moderation names (XEP-0461 §3.1): in a room that of the archive."""
        return self.archive_id or self.message.id


@record
class RoomMessage:
    """An occupant, or the room itself, spoke to all."""

    entry: RoomEntry


@record
class PrivateMessage:
    """An occupant spoke to us alone (XEP-0045 §7.5)."""

    entry: RoomEntry


@record
class PrivateFailed:
    """A private message of ours with this `id` was not delivered, for example since the occupant has left."""

    id: str | None
    nick: str | None
    error: XMPPError = field(compare=False)


@record
class SubjectChanged:
    """The room has another subject, ``""`` for an empty one; `nick` is that of the occupant that set it."""

    subject: str
    nick: str | None
    by_us: bool


@record
class MessageModerated:
    """A moderator retracted the message with the archive id `id` (XEP-0425). `by` is its address in the room."""

    id: str
    by: JID | None
    occupant_id: str | None
    reason: str | None


@record
class OccupantJoined:
    """An occupant entered, or had entered while we were away."""

    who: Occupant


class LeaveCause(Enum):
    """Why an occupant is not there any more."""

    LEFT = "it left"
    KICKED = "a moderator kicked it"
    BANNED = "it was banned"
    MEMBERSHIP = "only members may stay"
    REMOVED = "the service put it out for technical reasons"
    SHUTDOWN = "the service is being shut down"
    AWAY = "it left while we were not in the room"


@record
class OccupantLeft:
    """An occupant left. `actor` is the nick or address of the one that put it out, `text` its reason in words."""

    who: Occupant
    cause: LeaveCause = LeaveCause.LEFT
    actor: str | None = None
    text: str | None = None


@record
class OccupantChanged:
    """The state of an occupant, maybe ours, is `after` instead of `before`: role, affiliation, status.

    `actor` is the nick or address of the occupant that changed it, `reason` what that one says; None if the room does
    not tell.
    """

    who: Occupant
    before: OccupantState
    after: OccupantState
    actor: str | None = None
    reason: str | None = None


@record
class NickChanged:
    """An occupant, maybe ours, has another nick."""

    who: Occupant
    before: str
    after: str


@record
class AffiliationNoted:
    """An account that is not in the room has another affiliation; owners and moderators are told (XEP-0045 §9)."""

    jid: JID
    affiliation: Affiliation


@record
class ConfigChanged:
    """The configuration of the room was changed; `codes` are those of XEP-0045 §10.2.1, such as 104 or 172."""

    codes: frozenset[int]


@record
class VoiceRequested:
    """A visitor asks the moderators for voice (XEP-0045 §8.6). `who` is that occupant, if it is still there."""

    nick: str
    jid: JID | None
    who: Occupant | None


@record
class InvitationDeclined:
    """An account declines our invitation."""

    jid: JID
    reason: str | None


@record
class RoomBack:
    """We are in the room again, after `RoomLost`. `missed` is the history that the room sent, oldest first."""

    nick: str
    missed: tuple[RoomEntry, ...] = ()


RoomEvent: TypeAlias = (
    RoomMessage
    | PrivateMessage
    | PrivateFailed
    | SubjectChanged
    | MessageModerated
    | OccupantJoined
    | OccupantLeft
    | OccupantChanged
    | NickChanged
    | AffiliationNoted
    | ConfigChanged
    | VoiceRequested
    | InvitationDeclined
    | RoomLost
    | RoomBack
)


class Announcements:
    """Tells events to each subscription. Events before the first one wait for it, in bounds."""

    def __init__(self) -> None:
        self._inboxes: list[Inbox[RoomEvent]] = []
        self._listeners: list[Callable[[RoomEvent], object]] = []
        self._early: deque[RoomEvent] | None = deque()
        self._early_text = 0
        self._closed: Exception | bool = False

    def emit(self, event: RoomEvent) -> None:
        """Tell of an event."""
        if self._early is not None:
            self._keep(self._early, event)
        for inbox in self._inboxes:
            inbox.put(event)
        for listener in (*self._listeners,):
            listener(event)

    @contextmanager
    def listen(self, listener: Callable[[RoomEvent], object]) -> Iterator[None]:
        """See `Room.listen`."""
        for event in self._early or ():
            listener(event)
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _keep(self, early: deque[RoomEvent], event: RoomEvent) -> None:
        early.append(event)
        self._early_text += _length(event)
        while len(early) > EARLY or self._early_text > EARLY_TEXT:
            self._early_text -= _length(early.popleft())

    def subscribe(self, capacity: float) -> Subscription[RoomEvent]:
        """``async with`` block that gives an inbox of events."""
        return Subscription(self._attach, self._inboxes.remove, Inbox(capacity))

    def _attach(self, inbox: Inbox[RoomEvent]) -> None:
        early, self._early = self._early, None
        for event in early or ():
            inbox.put(event)
        self._inboxes.append(inbox)
        if self._closed:
            inbox.close(self._closed if isinstance(self._closed, Exception) else None)

    def close(self, reason: Exception | None = None) -> None:
        """End each inbox, once its consumer had what is in it, with `reason` or without one."""
        self._closed = reason or True
        for inbox in self._inboxes:
            inbox.close(reason)


def _length(event: RoomEvent) -> int:
    return len(event.entry.text or "") if isinstance(event, RoomMessage | PrivateMessage) else 0
