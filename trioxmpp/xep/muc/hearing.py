"""The messages of a room: which of them are live, and what of them is believed.

An occupant can put nearly everything into a message, and rooms pass it on. So the status codes and items of *muc#user*
count only from the bare address of the room; an occupant id only if the room announces ids; a delay only between our
own presence and the subject, where the history of the room is; and an archive id only if there is exactly one.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import TypeVar

from ...errors import StanzaCondition, XMPPCancelError
from ...jid import JID
from ...protocol.elements.delay import Delay
from ...protocol.elements.forms import DataForm
from ...protocol.elements.muc import Occupant as OccupantElement
from ...protocol.elements.occupant_id import OccupantId
from ...protocol.elements.retraction import Retract
from ...protocol.elements.stanza_ids import StanzaId
from ...protocol.stanza import Message, MessageType
from .events import (
    AffiliationNoted,
    ConfigChanged,
    InvitationDeclined,
    MessageModerated,
    PrivateFailed,
    PrivateMessage,
    RoomEntry,
    RoomMessage,
    RoomSource,
    SubjectChanged,
    VoiceRequested,
)
from .forms import VOICE, VoiceForm
from .occupancy import Occupancy
from .occupants import affiliation_of
from .reflections import Reflections

__all__ = ["Hearing"]

K = TypeVar("K")

#: The messages of one history that are kept, and the characters of their texts; the oldest go first.
HISTORY, HISTORY_TEXT = 1_000, 4 << 20

#: The ids of messages that are remembered, so that a history does not repeat them and our own are recognised.
REMEMBERED = 2_000


class Hearing:
    """Takes the messages of one room."""

    def __init__(self, occupancy: Occupancy) -> None:
        self.reflections: Reflections = Reflections()
        self.history: deque[RoomEntry] = deque()
        """The messages that came with the last join, oldest first."""
        self.subject: str = ""
        self.subject_nick: str | None = None
        self.last_live: datetime | None = None
        """The time of the last live message."""
        self.config_changes: int = 0
        """How often the room told that its configuration was changed."""
        self._occupancy = occupancy
        self._room = occupancy.room
        self._history_text = 0
        self._seen: OrderedDict[int, None] = OrderedDict()
        """Hashes: a message may be large."""
        self._ours: OrderedDict[str, None] = OrderedDict()

    def begin(self) -> None:
        """Note that a join was sent: the history begins anew."""
        self.history.clear()
        self._history_text = 0

    def sending(self, id: str) -> None:
        """Note that a message with this `id` is about to be sent."""
        _remember(self._ours, id)

    def on_message(self, message: Message) -> None:
        """Take a message from any address of the room."""
        occupancy = self._occupancy
        assert message.from_ is not None
        occupancy.heard()
        nick = message.from_.resource
        if message.type is MessageType.ERROR:
            self._refused(message, nick)
        elif message.type is not MessageType.GROUPCHAT:
            self._to_us_alone(message, nick)
        elif occupancy.joined or occupancy.joining is not None:
            self._to_all(message, nick)

    # --- to all

    def _to_all(self, message: Message, nick: str | None) -> None:
        if nick is None and self._from_the_room(message):
            return
        entry = self._entry(message, nick)
        if message.subjects and not message.bodies and message.thread is None:
            self._take_subject(entry)
            return
        key = hash((entry.archive_id,) if entry.archive_id else (nick, message.id, message.body))
        if entry.source is RoomSource.HISTORY:
            if key not in self._seen:
                self._keep(entry)
                _remember(self._seen, key)
            return
        _remember(self._seen, key)
        self.last_live = entry.sent
        if entry.by_us:
            self.reflections.reflected(entry)
        self._occupancy.events.emit(RoomMessage(entry))

    def _keep(self, entry: RoomEntry) -> None:
        self.history.append(entry)
        self._history_text += len(entry.text or "")
        while len(self.history) > HISTORY or self._history_text > HISTORY_TEXT:
            self._history_text -= len(self.history.popleft().text or "")

    def _take_subject(self, entry: RoomEntry) -> None:
        subject, joining = entry.message.subject or "", self._occupancy.joining
        has_changed = subject != self.subject
        self.subject, self.subject_nick = subject, entry.nick
        if entry.by_us and joining is None:
            self.reflections.subject_reflected(entry)
        if joining is None or (self._occupancy.has_been_in and has_changed):
            self._occupancy.events.emit(SubjectChanged(subject, entry.nick, entry.by_us))
        if joining is not None and joining.own_nick is not None:
            joining.complete.set()

    def _from_the_room(self, message: Message) -> bool:
        """Take what only the room itself may say; return whether there was such a thing."""
        retract = message.get(Retract)
        if retract is not None and retract.moderated is not None and retract.id is not None:
            by = retract.moderated
            # The occupant id of the moderator is within the mark (XEP-0425 §5); ejabberd writes it beside the mark.
            occupant = by.occupant_id or message.get(OccupantId)
            id = None if occupant is None or not self._occupancy.features.occupant_ids else occupant.id
            self._occupancy.events.emit(MessageModerated(retract.id, by.by, id, retract.stated_reason))
            return True
        element = message.get(OccupantElement)
        if element is None or not element.codes or message.bodies:
            return False
        self.config_changes += 1
        self._occupancy.events.emit(ConfigChanged(element.codes))
        self._occupancy.news.unpark_all()
        return True

    # --- to us alone

    def _to_us_alone(self, message: Message, nick: str | None) -> None:
        emit = self._occupancy.events.emit
        if nick is not None:
            emit(PrivateMessage(self._entry(message, nick)))
            return
        form = message.get(DataForm)
        if form is not None and form.form_type == VOICE:
            request = VoiceForm.read(form)
            asker = next(iter(request.values("muc#roomnick") or ()), "")
            emit(VoiceRequested(asker, _jid_in(request), self._occupancy.occupants.by_nick(asker)))
            return
        element = message.get(OccupantElement)
        if element is None:
            if message.bodies:
                emit(PrivateMessage(self._entry(message, None)))
            return
        for decline in element.declines:
            if decline.from_ is not None:
                emit(InvitationDeclined(decline.from_, decline.reason))
        for item in element.items:
            if item.jid is not None and item.affiliation is not None:
                emit(AffiliationNoted(item.jid, affiliation_of(item)))

    def _refused(self, message: Message, nick: str | None) -> None:
        if self.reflections.refused(message):
            self._occupancy.doubt()
        elif nick is not None:
            error = message.error or XMPPCancelError(StanzaCondition.UNDEFINED_CONDITION)
            self._occupancy.events.emit(PrivateFailed(message.id, nick, error))

    # --- what is believed

    def private(self, message: Message, *, is_live: bool) -> RoomEntry:
        """Return the entry of a private message of an occupant, which arrives now or did before."""
        assert message.from_ is not None
        nick, now = message.from_.resource, datetime.now(UTC)
        return self._live(message, nick, now) if is_live else self._old(message, nick, now, RoomSource.ARCHIVE, None)

    def archived(self, message: Message, id: str | None, sent: datetime) -> RoomEntry | None:
        """Return the entry of a message to all that the archive has under `id`; None if it is none of this room."""
        if message.from_ is None or message.from_.bare != self._room or message.type is not MessageType.GROUPCHAT:
            return None
        return self._old(message, message.from_.resource, sent, RoomSource.ARCHIVE, id)

    def _entry(self, message: Message, nick: str | None) -> RoomEntry:
        sent = self._history_stamp(message)
        if sent is None:
            return self._live(message, nick, datetime.now(UTC))
        return self._old(message, nick, sent, RoomSource.HISTORY, self._archive_id(message))

    def _live(self, message: Message, nick: str | None, now: datetime) -> RoomEntry:
        occupancy = self._occupancy
        return RoomEntry(
            message=message,
            source=RoomSource.LIVE,
            room=self._room,
            nick=nick,
            occupant=occupancy.occupants.by_nick(nick),
            occupant_id=self._occupant_id(message),
            by_us=nick is not None and nick == occupancy.nick,
            sent=now,
            archive_id=self._archive_id(message),
        )

    def _old(
        self, message: Message, nick: str | None, sent: datetime, source: RoomSource, archive_id: str | None
    ) -> RoomEntry:
        """Return the entry of a message that was sent before: another occupant may have the nick now."""
        id, me = self._occupant_id(message), self._occupancy.me
        known = id is not None and me is not None and me.id is not None
        return RoomEntry(
            message=message,
            source=source,
            room=self._room,
            nick=nick,
            occupant=None,
            occupant_id=id,
            by_us=(me is not None and id == me.id) if known else message.id in self._ours,
            sent=sent,
            archive_id=archive_id,
        )

    def _occupant_id(self, message: Message) -> str | None:
        claimed = message.get(OccupantId) if self._occupancy.features.occupant_ids else None
        return None if claimed is None else claimed.id

    def _history_stamp(self, message: Message) -> datetime | None:
        """Return the time at which the room got the message, if it is part of its history; else None."""
        joining = self._occupancy.joining
        if joining is None or joining.own_nick is None or message.type is not MessageType.GROUPCHAT:
            return None
        for delay in message.get_all(Delay):
            if delay.from_ is None or delay.from_.bare == self._room:
                return delay.stamp
        return None

    def _archive_id(self, message: Message) -> str | None:
        if not self._occupancy.features.stanza_ids:
            return None
        ids = [stanza_id.id for stanza_id in message.get_all(StanzaId) if stanza_id.by == self._room]
        return ids[0] if len(ids) == 1 else None


def _remember(keys: OrderedDict[K, None], key: K) -> None:
    keys[key] = None
    if len(keys) > REMEMBERED:
        keys.popitem(last=False)


def _jid_in(request: VoiceForm) -> JID | None:
    try:
        return request.jid
    except ValueError:
        return None
