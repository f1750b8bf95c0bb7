"""Entering, changing the nick, and leaving (XEP-0045 §7.1, §7.6, §7.14)."""

from __future__ import annotations

import copy
import datetime
from typing import Protocol

from ... import xml
from ...errors import ErrorType, StanzaCondition
from ...jid import JID
from ...protocol import ns
from .dialect import Dialect
from .post import Post
from .room import MUC, Occupant, Room
from .room_presence import OCCUPANT_ID, Announcer
from .stanzas import build, delay, error_for, new_stanza

__all__ = ["Entrance"]

_JOIN = f"{{{MUC}}}x"


class RoomList(Protocol):
    """The part of the room service that this needs."""

    def assign(self, nick: str) -> str:
        """Return the nick that is given for the one that is asked for."""
        ...

    def room(self, jid: str) -> Room | None:
        """Return a room."""
        ...

    def create(self, jid: str, creator: str) -> Room:
        """Create a room."""
        ...

    def drop_if_empty(self, room: Room) -> None:
        """Forget a room that is not persistent and has no occupant."""
        ...


class Refusal(Exception):
    """A client is not let in."""

    def __init__(self, condition: StanzaCondition, type: ErrorType, by: str | None = None) -> None:
        super().__init__(condition.value)
        self.condition: StanzaCondition = condition
        self.type: ErrorType = type
        self.by: str | None = by


class Entrance:
    """Deals with the presence that clients send to rooms."""

    def __init__(self, post: Post, announcer: Announcer, rooms: RoomList) -> None:
        self._post = post
        self._dialect: Dialect = post.dialect
        self._announcer = announcer
        self._rooms = rooms

    def presence(self, stanza: xml.Element, to: JID) -> None:
        """Deal with presence for an occupant's address, or for the room's."""
        jid, client = str(to.bare), stanza.get("from", "")
        room, kind = self._rooms.room(jid), stanza.get("type")
        occupant = None if room is None else room.occupant_of(client)
        if kind == "unavailable":
            if room is not None and occupant is not None:
                self.leave(room, occupant, client)
            return
        if kind is not None:
            return
        try:
            nick = to.resource
            if nick is None:
                raise Refusal(StanzaCondition.JID_MALFORMED, ErrorType.MODIFY, jid)
            if room is not None and occupant is not None and (occupant.nick != nick or stanza.find(_JOIN) is None):
                self._update(room, occupant, client, nick, stanza)
            else:
                self._join(jid, room, nick, client, stanza)
        except Refusal as refusal:
            by = refusal.by if self._dialect.errors_have_by else None
            echo, from_ = self._dialect.echoes_request, stanza.get("to")
            self._post.hand_over(error_for(stanza, refusal.condition, refusal.type, from_=from_, echo=echo, by=by))

    # --- joining

    def _join(self, jid: str, room: Room | None, nick: str, client: str, stanza: xml.Element) -> None:
        account = client.partition("/")[0]
        statuses: list[str] = []
        if room is None:
            if stanza.find(_JOIN) is None:
                raise Refusal(StanzaCondition.ITEM_NOT_FOUND, ErrorType.CANCEL, jid.partition("@")[2])
            room = self._rooms.create(jid, account)
            statuses.append("201")
        self._check(room, account, stanza)
        nick = self._nick(room, account, nick, statuses)
        occupant = room.occupants.get(nick)
        if occupant is None:
            occupant = Occupant(nick, account, room.role_for(account), room.occupant_id(account))
            room.occupants[nick] = occupant
        occupant.clients.pop(client, None)
        occupant.clients[client] = copy.deepcopy(stanza)
        self._announcer.room_present(room, client)
        for other in room.occupants.values():
            if other is not occupant:
                self._announcer.show(room, other, client)
        if not room.anonymous:
            statuses.append("100")
        self._announcer.show(room, occupant, client, *statuses)
        self._tell_history(room, client, stanza)
        self.tell_subject(room, client, is_new=True)
        self._announcer.show_all(room, occupant, but=client)

    def _check(self, room: Room, account: str, stanza: xml.Element) -> None:
        """Raise Refusal if an account may not enter (XEP-0045 §7.2.5 to §7.2.11)."""
        affiliation, full = room.affiliation(account), self._dialect.full_room_waits
        privileged = affiliation in ("owner", "admin")
        if room.locked and affiliation != "owner":
            raise Refusal(StanzaCondition.ITEM_NOT_FOUND, ErrorType.CANCEL, room.jid.partition("@")[2])
        if affiliation == "outcast":
            raise Refusal(StanzaCondition.FORBIDDEN, ErrorType.AUTH, room.jid)
        if affiliation == "none" and room.is_set("membersonly"):
            raise Refusal(StanzaCondition.REGISTRATION_REQUIRED, ErrorType.AUTH, room.jid)
        password = stanza.findtext(f"{_JOIN}/{{{MUC}}}password")
        if room.is_set("passwordprotectedroom") and password != room.config["roomsecret"] and affiliation != "owner":
            raise Refusal(StanzaCondition.NOT_AUTHORIZED, ErrorType.AUTH, room.jid)
        limit = int(room.config["maxusers"] or 0)
        if limit and len(room.occupants) >= limit and not privileged:
            condition = StanzaCondition.RESOURCE_CONSTRAINT if full else StanzaCondition.SERVICE_UNAVAILABLE
            raise Refusal(condition, ErrorType.WAIT, room.jid)

    def _nick(self, room: Room, account: str, nick: str, statuses: list[str]) -> str:
        """Return the nick that an account gets; 210 says that it is not the one it asked for. Raises Refusal."""
        if (assigned := self._rooms.assign(nick)) != nick:
            nick = assigned
            statuses.append("210")
        reserved = {each for owner, each in room.nicks.items() if owner != account}
        taken = nick in room.occupants and room.occupants[nick].account != account
        if taken or nick in reserved:
            raise Refusal(StanzaCondition.CONFLICT, ErrorType.CANCEL, room.jid)
        return nick

    def _tell_history(self, room: Room, client: str, stanza: xml.Element) -> None:
        """Send as much of the history as the client wants (XEP-0045 §7.2.14)."""
        wanted = stanza.find(f"{_JOIN}/{{{MUC}}}history")
        messages = [*room.history]
        if wanted is not None:
            if (since := wanted.get("since")) is not None:
                messages = [message for message in messages if _stamp(message) >= since]
            if (seconds := wanted.get("seconds", "")).isdigit():
                oldest = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=int(seconds))
                messages = [message for message in messages if _stamp(message) >= oldest.strftime("%Y-%m-%dT%H:%M:%S")]
            if (limit := wanted.get("maxstanzas", "")).isdigit():
                messages = messages[max(len(messages) - int(limit), 0) :]
            if wanted.get("maxchars") == "0":
                messages = []
        for message in messages:
            late = copy.deepcopy(message)
            late.set("to", client)
            self._post.hand_over(late)

    def tell_subject(self, room: Room, client: str, *, is_new: bool = False) -> None:
        """Send the subject, which may be empty; it ends what a client gets when it joins (XEP-0045 §7.2.15)."""
        subject = room.subject
        sender = room.jid if subject is None else subject.sender
        message = new_stanza("message", type="groupchat", from_=sender, to=client)
        if self._dialect.subject_keeps_id and self._dialect.occupant_ids:
            message.append(build(OCCUPANT_ID, "occupant-id", id=room.occupant_id(sender)))
        message.append(build(ns.CLIENT, "subject", text=None if subject is None else subject.text))
        if subject is not None and not self._dialect.subject_keeps_id:
            message.append(delay(room.jid, subject.stamp))
        self._post.hand_over(message)

    # --- staying

    def _update(self, room: Room, occupant: Occupant, client: str, nick: str, stanza: xml.Element) -> None:
        """Deal with presence of a client in the room: a change of the nick, or of its status."""
        if nick == occupant.nick:
            occupant.clients[client] = copy.deepcopy(stanza)
            self._announcer.show_all(room, occupant)
            return
        reserved = {each for owner, each in room.nicks.items() if owner != occupant.account}
        if nick in room.occupants or nick in reserved:
            raise Refusal(StanzaCondition.CONFLICT, ErrorType.CANCEL, room.jid)
        for each, _ in room.clients():
            self._announcer.gone(room, occupant, each, "303", nick=nick, forced=True)
        del room.occupants[occupant.nick]
        room.occupants[nick], occupant.nick = occupant, nick
        occupant.clients[client] = copy.deepcopy(stanza)
        self._announcer.show_all(room, occupant)

    def leave(self, room: Room, occupant: Occupant, client: str) -> None:
        """Let a client leave; the occupant goes with its last one."""
        if len(occupant.clients) > 1:
            self._announcer.leave_one_of_many(room, occupant, client)
            del occupant.clients[client]
            return
        for each, _ in room.clients():
            self._announcer.gone(room, occupant, each)
        del room.occupants[occupant.nick]
        self._rooms.drop_if_empty(room)


def _stamp(message: xml.Element) -> str:
    late = message.find(f"{{{ns.DELAY}}}delay")
    return "" if late is None else late.get("stamp", "")
