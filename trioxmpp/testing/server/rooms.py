"""The room service: a domain whose users are rooms (XEP-0045 §4, §6).

It finds the room of each stanza, answers for rooms that do not exist, and passes requests between occupants. Tests
reach its rooms by `Rooms.room`, and can make it fail: `Rooms.evict`, `Rooms.restart`, `Rooms.nick_assigned`.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition, XMPPAuthError, XMPPCancelError, XMPPError
from ...jid import JID
from ...protocol import ns
from .disco import DISCO_ITEMS, info
from .forms import form
from .mam import MAM, answer_query, query_form
from .post import Post
from .room import ADMIN, MUC, OWNER, Occupant, Room
from .room_entrance import Entrance
from .room_moderation import FASTEN, MODERATE_1, moderate
from .room_nicks import NICKS, register, registration
from .room_presence import OCCUPANT_ID, Announcer
from .room_rule import Rule
from .room_speech import Speech
from .services import Features, Request
from .stanzas import NAMES, build, child_tag, error_for

__all__ = ["Rooms"]

VCARD = "vcard-temp"

#: The requests between occupants that wait for an answer, at most; the oldest is forgotten.
MAX_PASSED = 1000


class Rooms:
    """All rooms of one service."""

    def __init__(self, post: Post, domain: str, history: int) -> None:
        self.domain = domain
        self.nick_assigned: Callable[[str], str] | None = None
        """The nick that a room gives for the one that is asked for; None leaves it as it is."""
        self._post = post
        self._dialect = post.dialect
        self._history = history
        self._rooms: dict[str, Room] = {}
        self._destroyed: set[str] = set()
        self._passed: dict[str, tuple[str, str, str]] = {}
        announcer = Announcer(post)
        self._entrance = Entrance(post, announcer, self)
        self._speech = Speech(post, announcer, self._entrance)
        self._rule = Rule(post, announcer, self._speech, self._destroy)
        self._answers: dict[str, Callable[[Room, Request], xml.Element | None]] = {
            f"get {{{ns.DISCO_INFO}}}query": self._info,
            f"get {{{DISCO_ITEMS}}}query": lambda room, request: build(DISCO_ITEMS, "query"),
            f"get {{{ADMIN}}}query": self._rule.lists,
            f"set {{{ADMIN}}}query": self._rule.change,
            f"get {{{OWNER}}}query": self._rule.configuration,
            f"set {{{OWNER}}}query": self._rule.configure,
            f"get {{{MAM}}}query": lambda room, request: query_form(self._dialect),
            f"set {{{MAM}}}query": self._query_archive,
            f"set {{{MODERATE_1}}}moderate": self._moderate,
            f"set {{{FASTEN}}}apply-to": self._moderate,
            f"get {{{NICKS}}}query": registration,
            f"set {{{NICKS}}}query": register,
            f"get {{{ns.PING}}}ping": lambda room, request: None,
        }

    def serve(self) -> None:
        """Take the stanzas for the domain, and show it to those who look for services."""
        self._post.hosts[self.domain] = self.receive
        self._post.services.features.domain.items.append((self.domain, "Rooms"))

    # --- the rooms

    def room(self, jid: str) -> Room | None:
        """Return the room with this JID, if there is one."""
        return self._rooms.get(jid)

    def create(self, jid: str, creator: str) -> Room:
        """Create a room whose owner is `creator`, locked if the dialect says so."""
        self._destroyed.discard(jid)
        room = Room(jid, creator, locked=self._dialect.new_room_locked, history=self._history)
        self._rooms[jid] = room
        return room

    def assign(self, nick: str) -> str:
        """Return the nick that a room gives for the one that is asked for."""
        return nick if self.nick_assigned is None else self.nick_assigned(nick)

    def drop_if_empty(self, room: Room) -> None:
        """Forget a room that is not persistent and has no occupant."""
        if not room.occupants and not room.is_set("persistentroom"):
            self._rooms.pop(room.jid, None)

    def _destroy(self, room: Room) -> None:
        self._rooms.pop(room.jid, None)
        if self._dialect.remembers_destroyed and room.is_set("persistentroom"):
            self._destroyed.add(room.jid)

    # --- faults

    def evict(self, jid: str, nick: str) -> None:
        """Forget an occupant without a word, as a service does that lost its link to the server of the occupant."""
        room = self._rooms[jid]
        del room.occupants[nick]
        self.drop_if_empty(room)

    def remove(self, jid: str, nick: str, *codes: str) -> None:
        """Put an occupant out with these status codes, such as 332 (shutdown), or 307 and 333 (technical reasons)."""
        room = self._rooms[jid]
        self._rule.remove(room, room.occupants[nick], *codes)
        self.drop_if_empty(room)

    def restart(self) -> None:
        """Forget all occupants without a word, and all rooms that are not persistent: the service has crashed."""
        for room in [*self._rooms.values()]:
            room.occupants.clear()
            self.drop_if_empty(room)

    # --- stanzas

    def receive(self, stanza: xml.Element) -> None:
        """Deal with a stanza for this domain."""
        try:
            to = JID.parse(stanza.get("to", ""))
        except JIDError:
            return
        name, room = NAMES[str(stanza.tag)], self._rooms.get(str(to.bare))
        if to.local is None:
            self._to_service(name, stanza)
        elif name == "presence":
            self._presence(stanza, to)
        elif room is None:
            self._refuse(stanza, StanzaCondition.ITEM_NOT_FOUND, by=self.domain)
        elif name == "message":
            self._speech.message(room, stanza, to)
        elif to.resource is None:
            self._to_room(room, stanza)
        else:
            self._to_occupant(room, stanza, to.resource)

    def _refuse(
        self, stanza: xml.Element, condition: StanzaCondition, type: ErrorType = ErrorType.CANCEL, *, by: str
    ) -> None:
        if stanza.get("type") not in ("error", "result"):
            finder, echo = by if self._dialect.errors_have_by else None, self._dialect.echoes_request
            to = stanza.get("to")
            self._post.hand_over(error_for(stanza, condition, type, from_=to, echo=echo, by=finder))

    def _presence(self, stanza: xml.Element, to: JID) -> None:
        if str(to.bare) in self._destroyed and stanza.get("type") is None:
            self._refuse(stanza, StanzaCondition.GONE, by=str(to.bare))
        else:
            self._entrance.presence(stanza, to)

    # --- requests

    def _request(self, stanza: xml.Element) -> Request:
        session = self._post.sessions.get(stanza.get("from", ""))
        return Request(stanza, "domain", None, session, self._dialect, self._post.hand_over)

    def _answer(self, stanza: xml.Element, answer: Callable[[Request, str], xml.Element | None]) -> None:
        if stanza.get("type") in ("error", "result") or len(stanza) != 1:
            return
        request = self._request(stanza)
        try:
            payload = answer(request, f"{request.kind} {child_tag(stanza)}")
        except XMPPError as error:
            request.refuse(error)
        else:
            request.reply(payload)

    def _to_service(self, name: str, stanza: xml.Element) -> None:
        if name == "iq":
            self._answer(stanza, self._answer_for_service)

    def _answer_for_service(self, request: Request, what: str) -> xml.Element | None:
        if what == f"get {{{ns.DISCO_INFO}}}query":
            return info(Features([("conference", "text", "Rooms")], [ns.DISCO_INFO, DISCO_ITEMS, MUC]))
        if what == f"get {{{DISCO_ITEMS}}}query":
            public = [room for room in self._rooms.values() if room.is_set("publicroom") and not room.locked]
            items = (build(DISCO_ITEMS, "item", jid=r.jid, name=r.config["roomname"] or None) for r in public)
            return build(DISCO_ITEMS, "query", *items)
        if what == f"get {{{ns.PING}}}ping":
            return None
        raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)

    def _to_room(self, room: Room, stanza: xml.Element) -> None:
        self._answer(stanza, lambda request, what: self._answer_for_room(room, request, what))

    def _answer_for_room(self, room: Room, request: Request, what: str) -> xml.Element | None:
        if (answer := self._answers.get(what)) is None:
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        return answer(room, request)

    def _query_archive(self, room: Room, request: Request) -> xml.Element:
        if not self._post.policy.room_archive:
            raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
        if self._post.policy.room_archive == "refused":
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)
        return answer_query(request, room.archive, room.jid, self._dialect, self._post.hand_over)

    def _moderate(self, room: Room, request: Request) -> None:
        moderate(room, request, self._speech, self._dialect)

    def _info(self, room: Room, request: Request) -> xml.Element:
        if request.payload.get("node") == "x-roomuser-item":  # the reserved nick (XEP-0045 §7.12)
            if self._dialect.echoes_request:
                raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
            nick = room.nicks.get(request.sender.partition("/")[0])
            identities: list[tuple[str, str, str | None]] = [] if nick is None else [("conference", "text", nick)]
            return info(Features(identities), node="x-roomuser-item")
        archive = [MAM, ns.SID] if self._post.policy.room_archive else []
        return info(_describe(room, self._dialect.occupant_ids, [*archive, *self._dialect.moderation]))

    # --- between occupants

    def _to_occupant(self, room: Room, stanza: xml.Element, nick: str) -> None:
        """Pass on a request or an answer; a ping of oneself is answered at once (XEP-0410 §3)."""
        if stanza.get("type") in ("result", "error"):
            self._pass_back(stanza)
            return
        sender, target = room.occupant_of(stanza.get("from", "")), room.occupants.get(nick)
        if sender is None:
            type = ErrorType.CANCEL if self._dialect.errors_have_by else ErrorType.MODIFY
            self._refuse(stanza, StanzaCondition.NOT_ACCEPTABLE, type, by=room.jid)
        elif target is None:
            self._refuse(stanza, StanzaCondition.ITEM_NOT_FOUND, by=room.jid)
        elif target is sender and child_tag(stanza) == f"{{{ns.PING}}}ping":
            self._request(stanza).reply()
        elif child_tag(stanza) == f"{{{VCARD}}}vCard":
            account = self._post.account(target.account)
            vcard = None if account is None else copy.deepcopy(account.vcard)
            self._request(stanza).reply(build(VCARD, "vCard") if vcard is None else vcard)
        else:
            self._pass_on(room, sender, target, stanza)

    def _pass_on(self, room: Room, sender: Occupant, target: Occupant, stanza: xml.Element) -> None:
        id = secrets.token_hex(8)
        while len(self._passed) >= MAX_PASSED:
            del self._passed[next(iter(self._passed))]
        self._passed[id] = (stanza.get("from", ""), stanza.get("id", ""), f"{room.jid}/{target.nick}")
        passed = copy.deepcopy(stanza)
        passed.set("from", f"{room.jid}/{sender.nick}")
        passed.set("to", target.newest)
        passed.set("id", id)
        self._post.hand_over(passed)

    def _pass_back(self, stanza: xml.Element) -> None:
        asked = self._passed.pop(stanza.get("id", ""), None)
        if asked is not None:
            client, id, from_ = asked
            reply = copy.deepcopy(stanza)
            reply.set("from", from_)
            reply.set("to", client)
            reply.set("id", id)
            self._post.hand_over(reply)


def _describe(room: Room, occupant_ids: bool, more: list[str]) -> Features:
    """Return what disco#info says of a room (XEP-0045 §6.4, §15.5)."""
    kinds = [
        "muc_public" if room.is_set("publicroom") else "muc_hidden",
        "muc_persistent" if room.is_set("persistentroom") else "muc_temporary",
        "muc_membersonly" if room.is_set("membersonly") else "muc_open",
        "muc_moderated" if room.is_set("moderatedroom") else "muc_unmoderated",
        "muc_semianonymous" if room.anonymous else "muc_nonanonymous",
        "muc_passwordprotected" if room.is_set("passwordprotectedroom") else "muc_unsecured",
    ]
    features = [MUC, f"{MUC}#stable_id", f"{MUC}#self-ping-optimization", f"{MUC}#request", *more]
    if occupant_ids:
        features.append(OCCUPANT_ID)
    about = {
        "muc#roominfo_description": room.config["roomdesc"],
        "muc#roominfo_subject": "" if room.subject is None else room.subject.text,
        "muc#roominfo_occupants": str(len(room.occupants)),
    }
    identity = ("conference", "text", room.config["roomname"] or None)
    return Features([identity], [*kinds, *features], [], [form("result", f"{MUC}#roominfo", about)])
