"""Requests of moderators, admins and owners: roles, affiliations, configuration, destruction (XEP-0045 §8 to §10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from ... import xml
from ...errors import JIDError, StanzaCondition, XMPPAuthError, XMPPCancelError, XMPPModifyError
from ...jid import JID
from ...protocol import ns
from .forms import form, read_form
from .post import Post
from .room import ADMIN, MUC, OWNER, USER, Affiliation, Occupant, Role, Room
from .room_presence import Actor, Announcer
from .room_speech import Speech
from .services import Request
from .stanzas import build, new_stanza

__all__ = ["Rule"]

CONFIG = f"{MUC}#roomconfig"
_RANKS = {"outcast": 0, "none": 1, "member": 2, "admin": 3, "owner": 4}


class Rule:
    """Answers the requests that change a room."""

    def __init__(self, post: Post, announcer: Announcer, speech: Speech, destroy: Callable[[Room], None]) -> None:
        self._post = post
        self._dialect = post.dialect
        self._announcer = announcer
        self._speech = speech
        self._destroy = destroy

    # --- roles and affiliations

    def lists(self, room: Room, request: Request) -> xml.Element:
        """Return the accounts with an affiliation, or the occupants with a role (XEP-0045 §8, §9)."""
        asked, rank = request.payload.find(f"{{{ADMIN}}}item"), self._rank(room, request)
        if asked is None:
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        wanted, role = asked.get("affiliation"), asked.get("role")
        if rank < _RANKS["admin"] and not (wanted == "member" and rank >= _RANKS["member"] and not room.anonymous):
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)
        if role is not None:
            return build(
                ADMIN, "query", *(_listed(room, each) for each in room.occupants.values() if each.role == role)
            )
        found = []
        for jid, (each, reason) in room.affiliations.items():
            if each == wanted:
                shown = (
                    None if reason is None or not self._dialect.lists_reasons else build(ADMIN, "reason", text=reason)
                )
                found.append(build(ADMIN, "item", shown, jid=jid, affiliation=each))
        return build(ADMIN, "query", *found)

    def change(self, room: Room, request: Request) -> None:
        """Change roles by nick, affiliations by bare JID. Nothing is changed if one of them may not be."""
        actor = room.occupant_of(request.sender)
        items = [item for item in request.payload if item.tag == f"{{{ADMIN}}}item"]
        if not items:
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        changes = []
        for item in items:
            plan = self._role if "role" in item.attrib else self._affiliation
            changes.append(plan(room, request, actor, item))
        for change in changes:
            change()

    def _rank(self, room: Room, request: Request) -> int:
        return _RANKS[room.affiliation(request.sender.partition("/")[0])]

    def _role(self, room: Room, request: Request, actor: Occupant | None, item: xml.Element) -> Callable[[], None]:
        role, target = item.get("role"), room.occupants.get(item.get("nick", ""))
        if target is None:
            raise XMPPCancelError(StanzaCondition.ITEM_NOT_FOUND)
        if role not in get_args(Role):
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        target_rank = _RANKS[room.affiliation(target.account)]
        may = actor is not None and actor.role == "moderator" and target_rank <= self._rank(room, request)
        if not may or (role == "moderator" and self._rank(room, request) < _RANKS["admin"]):
            raise XMPPCancelError(StanzaCondition.NOT_ALLOWED)
        why = Actor(actor, item.findtext(f"{{{ADMIN}}}reason"))

        def change() -> None:
            if role == "none":
                self.remove(room, target, "307", actor=why)
            else:
                target.role = role  # type: ignore[assignment]
                self._announcer.show_all(room, target, actor=why)

        return change

    def _affiliation(
        self, room: Room, request: Request, actor: Occupant | None, item: xml.Element
    ) -> Callable[[], None]:
        affiliation, rank = item.get("affiliation", ""), self._rank(room, request)
        by_nick = room.occupants.get(item.get("nick", ""))
        try:
            jid = by_nick.account if by_nick is not None else str(JID.parse(item.get("jid", "")).bare)
        except JIDError:
            raise XMPPModifyError(StanzaCondition.JID_MALFORMED) from None
        if affiliation not in get_args(Affiliation):
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        target = _RANKS[room.affiliation(jid)]
        if rank < _RANKS["admin"] or (rank < _RANKS["owner"] and max(target, _RANKS[affiliation]) >= rank):
            raise XMPPCancelError(StanzaCondition.NOT_ALLOWED)
        owners = [each for each, (kind, _) in room.affiliations.items() if kind == "owner"]
        if owners == [jid] and affiliation != "owner":
            raise XMPPCancelError(StanzaCondition.CONFLICT)  # a room has an owner (XEP-0045 §10.4)
        why = Actor(actor, item.findtext(f"{{{ADMIN}}}reason"))
        return lambda: self.affiliate(room, jid, affiliation, why)  # type: ignore[arg-type]

    def affiliate(self, room: Room, jid: str, affiliation: Affiliation, why: Actor) -> None:
        """Give an account an affiliation, and tell those who have to know."""
        room.affiliations.pop(jid, None)
        if affiliation != "none":
            room.affiliations[jid] = (affiliation, why.reason)
        present = [occupant for occupant in room.occupants.values() if occupant.account == jid]
        for occupant in present:
            if affiliation == "outcast":
                self.remove(room, occupant, "301", actor=why)
            elif affiliation == "none" and room.is_set("membersonly"):
                self.remove(room, occupant, "321", actor=why)
            else:
                occupant.role = room.role_for(jid)
                self._announcer.show_all(room, occupant, actor=why)
        if not present:
            self._tell_of_absent(room, jid, affiliation)

    def _tell_of_absent(self, room: Room, jid: str, affiliation: str) -> None:
        """Tell moderators of the affiliation of an account that is not there (XEP-0045 §9.1)."""
        role = None if self._dialect.actor_of_changes else "none"
        for client, occupant in room.clients():
            if occupant.role == "moderator":
                message = new_stanza("message", from_=room.jid, to=client)
                message.append(build(USER, "x", build(USER, "item", affiliation=affiliation, role=role, jid=jid)))
                self._post.hand_over(message)

    def remove(self, room: Room, occupant: Occupant, *codes: str, actor: Actor | None = None) -> None:
        """Put an occupant out of the room, with the status codes that say why."""
        for client, _ in room.clients():
            self._announcer.gone(room, occupant, client, *codes, actor=actor, forced=True)
        room.occupants.pop(occupant.nick, None)

    # --- configuration

    def configuration(self, room: Room, request: Request) -> xml.Element:
        """Return the form for the owner (XEP-0045 §10.2)."""
        self._check_owner(room, request)
        booleans = {name: room.is_set(name) if value in ("0", "1") and name != "maxusers" else value
                    for name, value in room.config.items()}  # fmt: skip
        values = {f"muc#roomconfig_{name}": value for name, value in booleans.items()}
        return build(OWNER, "query", form("form", CONFIG, values, title=f"Configuration for {room.jid}"))

    def configure(self, room: Room, request: Request) -> None:
        """Take the form of the owner, or destroy the room (XEP-0045 §10.1, §10.2, §10.9)."""
        self._check_owner(room, request)
        if (destroy := request.payload.find(f"{{{OWNER}}}destroy")) is not None:
            self.destroy(room, destroy)
            return
        submitted = request.payload.find(f"{{{ns.FORMS}}}x")
        if submitted is None or submitted.get("type") not in ("submit", "cancel"):
            raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
        if submitted.get("type") == "cancel":
            if room.locked:
                self.destroy(room, build(OWNER, "destroy"))
            return
        was_locked, room.locked = room.locked, False
        before = dict(room.config)
        for name, values in read_form(request.payload).items():
            key = name.removeprefix("muc#roomconfig_")
            if key in room.config:
                value = values[0] if values else ""
                room.config[key] = {"true": "1", "false": "0"}.get(value, value)
        if room.config != before or (not was_locked and self._dialect.new_room_locked):
            self._tell_of_change(room, before)

    def _tell_of_change(self, room: Room, before: dict[str, str]) -> None:
        codes = ["104"]
        if room.config["whois"] != before["whois"]:
            codes.append("173" if room.anonymous else "172")
        for client, _ in room.clients():
            self._announcer.room_present(room, client)
        message = new_stanza("message", type="groupchat", from_=room.jid)
        message.append(build(USER, "x", *(build(USER, "status", code=code) for code in codes)))
        self._speech.tell_all(room, message)
        if room.is_set("membersonly") and before["membersonly"] != room.config["membersonly"]:
            for occupant in [*room.occupants.values()]:
                if room.affiliation(occupant.account) == "none":
                    self.remove(room, occupant, "322")

    def _check_owner(self, room: Room, request: Request) -> None:
        if self._rank(room, request) < _RANKS["owner"]:
            raise XMPPAuthError(StanzaCondition.FORBIDDEN)

    def destroy(self, room: Room, destroy: xml.Element) -> None:
        """End the room for all."""
        reason = destroy.findtext(f"{{{OWNER}}}reason")
        told = build(
            USER, "destroy", None if reason is None else build(USER, "reason", text=reason), jid=destroy.get("jid")
        )
        for occupant in [*room.occupants.values()]:
            for client in [*occupant.clients]:
                self._announcer.gone(room, occupant, client, destroyed=told, forced=True)
        room.occupants.clear()
        self._destroy(room)


def _listed(room: Room, occupant: Occupant) -> xml.Element:
    affiliation = room.affiliation(occupant.account)
    return build(ADMIN, "item", nick=occupant.nick, role=occupant.role, jid=occupant.newest, affiliation=affiliation)
