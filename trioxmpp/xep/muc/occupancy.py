"""Our stay in one room, as the presences of the room tell it: who is there, which one is us, and how it ends.

The room is the only witness. A presence counts if it comes from an address of the room and has the element that rooms
add; our own one is marked with status 110, or has the address that we are known to have (XEP-0045 §7.2.2). So the state
here is a function of what the room has sent. `keeping` draws the conclusions: it joins, asks, and joins again.
"""

from __future__ import annotations

import trio

from ...errors import StanzaCondition, XMPPCancelError
from ...jid import JID
from ...protocol.elements.muc import Affiliation, Item
from ...protocol.elements.muc import Occupant as OccupantElement
from ...protocol.elements.vcard_update import VCardUpdate
from ...protocol.stanza import Presence, PresenceType
from .events import Announcements, LeaveCause, NickChanged, OccupantChanged, OccupantJoined, OccupantLeft
from .join import Joining
from .occupants import Features, Occupant, Occupants
from .outcome import Outcome
from .problems import GoneReason, LossCause, RoomGone, RoomLost, refusal_of

__all__ = ["Occupancy"]

#: Status codes (XEP-0045 §15.6).
SELF, KICKED, BANNED, RENAMED = 110, 307, 301, 303
NOT_MEMBER, MEMBERS_ONLY, SHUTDOWN, TECHNICAL = 321, 322, 332, 333


class Occupancy:
    """The state of our stay in `room`; at most `limit` occupants are remembered.

    `returns` says that we come back after a kick; otherwise it is the end.
    """

    def __init__(self, room: JID, limit: int, *, returns: bool) -> None:
        self.room = room
        self.features: Features = Features()
        self.occupants: Occupants = Occupants(self.features)
        self.events: Announcements = Announcements()
        self.nick: str | None = None
        """The nick that the room knows us by; None until it has told us."""
        self.joined: bool = False
        self.verdict: RoomLost | RoomGone | None = None
        """Why the stay of now is over; None while it is not."""
        self.heard_at: float = 0.0
        """The time at which the room sent something last, on trio's clock."""
        self.in_doubt: bool = False
        """Whether something hints that we are not in the room any more: then we have to ask."""
        self.was_away: bool = False
        """Whether a stay has ended since we were in the room: then messages may have been missed."""
        self.absences: int = 0
        """How often a stay has ended: each time messages may have been missed."""
        self.stale: bool = False
        """Whether the application wants all occupants told anew."""
        self.syncs: int = 0
        """How often the room has told all occupants."""
        self.avatar: str | None = None
        """The hash of the avatar of the room, as its own presence tells it (XEP-0486); None if it does not."""
        self.news: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        """Tasks wait here for any of these to change."""
        self._limit = limit
        self._returns = returns
        self._joining: Joining | None = None
        self._leaving: trio.Event | None = None
        self._renames: dict[str, Outcome[str]] = {}
        self._has_been_in = False
        self._disorders = 0

    @property
    def me(self) -> Occupant | None:
        """Our own occupant, or None before the room has told us."""
        return self.occupants.by_nick(self.nick)

    @property
    def joining(self) -> Joining | None:
        """The attempt to join that is under way."""
        return self._joining

    @property
    def has_been_in(self) -> bool:
        """Whether we were in the room before: then what has changed meanwhile is told by events."""
        return self._has_been_in

    def heard(self) -> None:
        """Note that the room has sent something."""
        self.heard_at = trio.current_time()

    # --- what we do

    def begin(self, joining: Joining) -> None:
        """Note that a join was sent: the room is going to tell all occupants anew."""
        self.verdict, self.in_doubt, self.joined, self.stale = None, False, False, False
        self._joining = joining
        self.occupants.begin_resync()

    def complete(self) -> None:
        """Note that we are in: the occupants that the room did not tell have left meanwhile."""
        joining, self._joining = self._joining, None
        assert joining is not None
        self.joined = True
        self.was_away = False
        self.syncs += 1
        for occupant in self.occupants.end_resync():
            if self._has_been_in:
                self.events.emit(OccupantLeft(occupant, LeaveCause.AWAY))
        self._has_been_in = True
        self.heard()
        self.news.unpark_all()

    def give_up(self) -> None:
        """Note that the join has failed, or that its session is over."""
        self._joining = None

    def end(self, verdict: RoomLost | RoomGone) -> None:
        """End the stay. The first verdict counts."""
        if self.verdict is None:
            self.verdict = verdict
        if not self.was_away:
            self.absences += 1
        self.joined, self.was_away = False, True
        for rename in self._renames.values():
            rename.fail(verdict)
        if self._joining is not None:
            self._joining.answered.set()
            self._joining.complete.set()
        self.news.unpark_all()

    def doubt(self) -> None:
        """Something hints that we are not in the room."""
        self.in_doubt = True
        self.news.unpark_all()

    def asked(self) -> None:
        """Note that the room is asked whether we are in it."""
        self.in_doubt = False

    def want_resync(self) -> None:
        """Have the room tell all occupants anew."""
        self.stale = True
        self.news.unpark_all()

    def settled_down(self) -> None:
        """Note that the stay has lasted: the room may contradict itself once more."""
        self._disorders = 0

    def leave(self) -> trio.Event:
        """Note that a farewell was sent. Return the event of its answer."""
        self._leaving = self._leaving or trio.Event()
        return self._leaving

    def expect_rename(self, id: str) -> Outcome[str]:
        """Return the outcome of a presence with this `id` that asks for another nick."""
        return self._renames.setdefault(id, Outcome())

    def forget_rename(self, id: str) -> None:
        """Expect it no more."""
        self._renames.pop(id, None)

    # --- what the room says

    def on_presence(self, presence: Presence) -> None:
        """Take a presence from any address of the room."""
        assert presence.from_ is not None
        self.heard()
        nick = presence.from_.resource
        if presence.type is PresenceType.ERROR:
            self._refused(presence, nick)
        elif nick is None:
            update = presence.get(VCardUpdate) if presence.type is PresenceType.AVAILABLE else None
            self.avatar = self.avatar if update is None else update.photo
        elif presence.type is PresenceType.AVAILABLE:
            element = presence.get(OccupantElement)
            if element is not None and (self.joined or self._joining is not None):
                self._available(nick, presence, element)
        elif presence.type is PresenceType.UNAVAILABLE:
            self._unavailable(nick, presence.get(OccupantElement) or OccupantElement())

    def _refused(self, presence: Presence, nick: str | None) -> None:
        error = presence.error or XMPPCancelError(StanzaCondition.UNDEFINED_CONDITION)
        joining = self._joining
        if joining is not None and joining.own_nick is None and _answers(presence, joining.id, nick, joining.nick):
            joining.refuse(refusal_of(error))
        elif presence.id is not None and presence.id in self._renames:
            self._renames[presence.id].fail(refusal_of(error))
        elif self.joined and nick in (None, self.nick):
            self.doubt()

    def _available(self, nick: str, presence: Presence, element: OccupantElement) -> None:
        codes = element.codes
        is_ours = SELF in codes or (self.joined and nick == self.nick)
        if SELF in codes and self._is_another_self(nick):
            self._contradiction()
            return
        if len(self.occupants) >= self._limit and self.occupants.by_nick(nick) is None:
            self.end(RoomGone(self.room, GoneReason.TOO_BIG))
            return
        seen, displaced = self.occupants.see(nick, presence, element)
        if is_ours:
            self.nick = nick
            if self._joining is not None:
                self._joining.enter(nick, codes)
        if displaced is not None:
            self.events.emit(OccupantLeft(displaced, LeaveCause.AWAY))
        if seen.before is None:
            if self._has_been_in:
                self.events.emit(OccupantJoined(seen.occupant))
            return
        if seen.nick_before not in (None, nick):
            self.events.emit(NickChanged(seen.occupant, str(seen.nick_before), nick))
        if seen.before != seen.occupant.state:
            actor, reason = _actor(element.item)
            self.events.emit(OccupantChanged(seen.occupant, seen.before, seen.occupant.state, actor, reason))

    def _is_another_self(self, nick: str) -> bool:
        if self.joined:
            return nick != self.nick
        return self._joining is not None and self._joining.own_nick not in (None, nick)

    def _contradiction(self) -> None:
        """Note that the room says of two occupants that they are us. Only a hostile or broken one does."""
        self._disorders += 1
        self.end(RoomLost(self.room, LossCause.DISORDER))

    @property
    def is_first_disorder(self) -> bool:
        """Whether the room contradicts itself for the first time: then to join anew may mend it at once."""
        return self._disorders == 1

    def _unavailable(self, nick: str, element: OccupantElement) -> None:
        own = self.nick if self.joined else None if self._joining is None else self._joining.own_nick
        is_ours = SELF in element.codes or nick == own
        if RENAMED in element.codes and element.item is not None and element.item.nick:
            self._renamed(nick, element.item.nick, is_ours)
        elif not is_ours:
            occupant = self.occupants.remove(nick)
            if occupant is not None:
                actor, reason = _actor(element.item)
                self.events.emit(OccupantLeft(occupant, _cause(element), actor, reason))
        elif self._leaving is not None:
            self.joined = False
            self._leaving.set()
        elif own is not None:
            self.end(self._verdict(element))

    def _renamed(self, nick: str, new: str, is_ours: bool) -> None:
        occupant, displaced = self.occupants.rename(nick, new)
        if displaced is not None:
            self.events.emit(OccupantLeft(displaced, LeaveCause.AWAY))
        if occupant is not None and nick != new:
            self.events.emit(NickChanged(occupant, nick, new))
        if not is_ours:
            return
        self.nick = new
        if self._joining is not None:
            self._joining.renamed = True
        for rename in self._renames.values():
            rename.set(new)

    def _verdict(self, element: OccupantElement) -> RoomLost | RoomGone:
        """Return what our own farewell means (XEP-0045 §8.2, §9.1, §9.4, §10.9)."""
        codes, destroyed = element.codes, element.destroy
        actor, reason = _actor(element.item)
        if destroyed is not None:
            return RoomGone(self.room, GoneReason.DESTROYED, destroyed.reason, alternate=destroyed.jid, actor=actor)
        cause = _cause(element)
        if cause is LeaveCause.BANNED:
            return RoomGone(self.room, GoneReason.BANNED, reason, actor=actor)
        if cause is LeaveCause.MEMBERSHIP:
            return RoomGone(self.room, GoneReason.MEMBERSHIP, reason, actor=actor)
        if cause is LeaveCause.KICKED and self._returns:
            return RoomLost(self.room, LossCause.KICKED, reason)
        if cause is LeaveCause.KICKED:
            return RoomGone(self.room, GoneReason.KICKED, reason, actor=actor)
        return RoomLost(self.room, LossCause.SHUTDOWN if SHUTDOWN in codes else LossCause.REMOVED, reason)


def _answers(presence: Presence, id: str, nick: str | None, asked: str) -> bool:
    """Return whether an error answers our join: it has its id or, without any, comes from where we sent the join."""
    return presence.id == id or (presence.id is None and nick in (None, asked))


def _actor(item: Item | None) -> tuple[str | None, str | None]:
    """Return the nick or address of the occupant that caused a presence, and its reason."""
    if item is None:
        return None, None
    jid = None if item.actor_jid is None else str(item.actor_jid)
    return item.actor_nick or jid, item.reason


def _cause(element: OccupantElement) -> LeaveCause:
    codes, item = element.codes, element.item
    if BANNED in codes or (item is not None and item.affiliation == Affiliation.OUTCAST):
        return LeaveCause.BANNED
    if NOT_MEMBER in codes or MEMBERS_ONLY in codes:
        return LeaveCause.MEMBERSHIP
    if SHUTDOWN in codes:
        return LeaveCause.SHUTDOWN
    if TECHNICAL in codes:
        return LeaveCause.REMOVED
    return LeaveCause.KICKED if KICKED in codes else LeaveCause.LEFT
