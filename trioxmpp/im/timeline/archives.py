"""The archive that a timeline reads, of our account or of a room, and what an entry of it says.

The books of a timeline are the same for both. They differ in the address that is asked, in what two copies of one
message have in common, and in who is believed to have written a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from ...client import Client
from ...jid import JID
from ...protocol.elements.delay import Delay
from ...protocol.elements.retraction import Retract
from ...protocol.stanza import Message
from ...record import replace
from ...xep.muc import Room, RoomEntry, RoomSource
from .. import provenance
from ..provenance import Claim, Context, Sender, believed, stanza_id
from .duplicates import archive_key
from .entry import Entry, Source, entry_of, fingerprint

__all__ = ["AccountArchive", "Archive", "Arrival", "RoomArchive", "entry_in_room"]


#: Python 3.11 takes as long to find the member of an enumeration as to call a function.
_ARCHIVE = Source.ARCHIVE


class Arrival(NamedTuple):
    """A live message, and when it came. `heard` is what a room has believed of it."""

    message: Message
    source: Source
    at: datetime
    heard: RoomEntry | None = None


class Archive(Protocol):
    """An archive, and how its messages are read."""

    @property
    def address(self) -> JID | None:
        """The address that is asked; None for the archive of our account."""
        ...

    @property
    def owner(self) -> JID:
        """The bare JID under which the cursor is written down."""
        ...

    def fingerprint(self, message: Message) -> str:
        """Return what copies of one message have in common."""
        ...

    def key(self, message: Message, archive_id: str) -> str:
        """Return what is remembered of a message that has this id in the archive."""
        ...

    def id_of(self, arrival: Arrival) -> str | None:
        """Return the id that the archive gave a live message, if that is believed."""
        ...

    def live(self, arrival: Arrival, archive_id: str | None) -> Entry:
        """Return the entry of a live message."""
        ...

    def archived(self, message: Message, id: str | None, sent: datetime) -> Entry | None:
        """Return the entry of an archived message; None if a timeline does not give it."""
        ...


class AccountArchive:
    """The archive of our account. `rooms` are those in which we are: their occupants can be told from each other."""

    address: JID | None = None

    def __init__(self, client: Client, rooms: Mapping[JID, Room]) -> None:
        self.owner: JID = client.jid.bare
        self._client = client
        self._rooms = rooms

    def fingerprint(self, message: Message) -> str:
        """See `Archive`."""
        return fingerprint(message, self.owner)

    def key(self, message: Message, archive_id: str) -> str:
        """See `Archive`. All addresses of our account count as one."""
        return archive_key(archive_id, self.owner if message.from_ is None else message.from_.bare)

    def id_of(self, arrival: Arrival) -> str | None:
        """See `Archive`. The caller knows whether the account gives ids."""
        return stanza_id(arrival.message, self.owner)

    def live(self, arrival: Arrival, archive_id: str | None) -> Entry:
        """See `Archive`. A message that the server kept for us has the time at which it came there."""
        message, source, sent = arrival.message, arrival.source, arrival.at
        if source is Source.LIVE and message.get(Delay) is not None:
            stamp = believed(Claim.DELAY, message, Context(self.owner))
            if stamp is not None:
                sent, source = stamp, Source.OFFLINE
        entry = self._entry(message, source, sent, archive_id, caught_up=True)
        return entry if arrival.heard is None else replace(entry, sender=_sender(arrival.heard))

    def archived(self, message: Message, id: str | None, sent: datetime) -> Entry:
        """See `Archive`."""
        entry = self._entry(message, _ARCHIVE, sent, id, caught_up=False)
        if self._rooms and isinstance(entry.sender, provenance.Occupant):
            heard = self.heard(message, is_live=False)
            return entry if heard is None else replace(entry, sender=_sender(heard))
        return entry

    def _entry(
        self, message: Message, source: Source, sent: datetime, archive_id: str | None, *, caught_up: bool
    ) -> Entry:
        return entry_of(message, source, self.owner, self._client.claimed, sent, archive_id, caught_up)

    def heard(self, message: Message, *, is_live: bool = True) -> RoomEntry | None:
        """Return what is believed of a private message of an occupant; None if we are not in its room."""
        sender = message.from_
        if not self._rooms or sender is None or sender.is_bare or (room := self._rooms.get(sender.bare)) is None:
            return None
        return room.private_entry(message, is_live=is_live)


class RoomArchive:
    """The archive of a room."""

    def __init__(self, room: Room) -> None:
        self.address: JID | None = room.jid
        self.owner: JID = room.jid
        self._room = room

    def fingerprint(self, message: Message) -> str:
        """See `Archive`. A moderation by the room is the same message in whichever words."""
        if message.from_ == self.owner:
            retract = message.get(Retract)
            if retract is not None and retract.moderated is not None and retract.id is not None:
                message = Message(from_=self.owner, id=f"moderated {retract.id}")
        return fingerprint(message, _NO_ACCOUNT)

    def key(self, message: Message, archive_id: str) -> str:
        """See `Archive`. One room gives all ids of its archive."""
        return archive_key(archive_id, self.owner)

    def id_of(self, arrival: Arrival) -> str | None:
        """See `Archive`."""
        return None if arrival.heard is None else arrival.heard.archive_id

    def live(self, arrival: Arrival, archive_id: str | None) -> Entry:
        """See `Archive`."""
        assert arrival.heard is not None
        return entry_in_room(arrival.heard)

    def archived(self, message: Message, id: str | None, sent: datetime) -> Entry | None:
        """See `Archive`. A change of the subject is left out."""
        if message.subjects and not message.bodies:
            return None
        heard = self._room.archived_entry(message, id, sent)
        return None if heard is None else entry_in_room(heard)


#: In a room all senders have the address of the room: none of them is our account.
_NO_ACCOUNT = JID.parse("invalid")

_SOURCES = {
    RoomSource.LIVE: Source.LIVE,
    RoomSource.HISTORY: Source.ROOM_HISTORY,
    RoomSource.ARCHIVE: Source.ARCHIVE,
}


def entry_in_room(heard: RoomEntry) -> Entry:
    """Return a message that a room has passed on to all as an entry."""
    is_live = heard.source is RoomSource.LIVE
    sent = heard.sent if is_live else provenance.clamped(heard.sent, datetime.now(UTC))
    return Entry(
        heard.message,
        _SOURCES[heard.source],
        heard.room,
        _sender(heard),
        heard.by_us,
        sent,
        heard.archive_id,
        is_live,
        heard.encryption,
    )


def _sender(heard: RoomEntry) -> Sender:
    if heard.nick is None:
        return provenance.Room(heard.room)
    occupant = heard.occupant
    real, stay = (None, None) if occupant is None else (occupant.jid, occupant.stay)
    return provenance.Occupant(heard.room, heard.nick, heard.occupant_id, real, stay)
