"""Speaking in a room: messages to all, private ones, the subject, invitations, requests for voice.

A room adds who speaks (the occupant's address and id) and its own archive id, and takes away what only it may say: an
occupant id, if it gives any. It passes on all else that an occupant claims; see `Dialect`.
"""

from __future__ import annotations

import copy

from ... import xml
from ...errors import ErrorType, JIDError, StanzaCondition
from ...jid import JID
from ...protocol import ns
from .forms import form, read_form
from .policy import Policy
from .post import Post
from .room import MUC, USER, Occupant, Room, Subject
from .room_entrance import Entrance
from .room_presence import OCCUPANT_ID, Announcer, forwarded_message
from .stanzas import build, delay, error_for, new_stanza, now

__all__ = ["Speech"]

REQUEST = f"{MUC}#request"
CONFERENCE = "jabber:x:conference"
_BODY = f"{{{ns.CLIENT}}}body"
_SUBJECT = f"{{{ns.CLIENT}}}subject"
_THREAD = f"{{{ns.CLIENT}}}thread"
_INVITE = f"{{{USER}}}x/{{{USER}}}invite"
_DECLINE = f"{{{USER}}}x/{{{USER}}}decline"


class Speech:
    """Deals with the messages that clients send to rooms."""

    def __init__(self, post: Post, announcer: Announcer, entrance: Entrance) -> None:
        self._post = post
        self._policy: Policy = post.policy
        self._dialect = post.dialect
        self._announcer = announcer
        self._entrance = entrance

    def message(self, room: Room, stanza: xml.Element, to: JID) -> None:
        """Deal with a message to a room or to an occupant."""
        client, kind = stanza.get("from", ""), stanza.get("type", "normal")
        occupant = room.occupant_of(client)
        if (decline := stanza.find(_DECLINE)) is not None and to.resource is None:
            self._decline(room, stanza, decline)
        elif occupant is None:
            if kind != "error":
                self._refuse(stanza, StanzaCondition.NOT_ACCEPTABLE, self._outside, by=to.resource is not None)
        elif to.resource is not None:
            self._private(room, occupant, stanza, to.resource)
        elif kind == "groupchat":
            self._public(room, occupant, client, stanza)
        elif stanza.find(_INVITE) is not None:
            self._invite(room, occupant, stanza)
        elif (fields := read_form(stanza)).get("FORM_TYPE") == [REQUEST]:
            self._voice(room, occupant, fields)
        elif kind != "error":
            self._refuse(stanza, StanzaCondition.BAD_REQUEST, ErrorType.MODIFY)

    @property
    def _outside(self) -> ErrorType:
        return ErrorType.CANCEL if self._dialect.errors_have_by else ErrorType.MODIFY

    def _refuse(self, stanza: xml.Element, condition: StanzaCondition, type: ErrorType, *, by: bool = False) -> None:
        to = stanza.get("to", "")
        finder = to.partition("/")[0] if by and self._dialect.errors_have_by else None
        echo = self._dialect.echoes_request
        self._post.hand_over(error_for(stanza, condition, type, from_=to, echo=echo, by=finder))

    # --- to all

    def _public(self, room: Room, occupant: Occupant, client: str, stanza: xml.Element) -> None:
        if occupant.role == "visitor":
            self._refuse(stanza, StanzaCondition.FORBIDDEN, ErrorType.AUTH)
            return
        changes_subject = (
            stanza.find(_SUBJECT) is not None and stanza.find(_BODY) is None and stanza.find(_THREAD) is None
        )
        if changes_subject and occupant.role != "moderator" and not room.is_set("changesubject"):
            self._refuse(stanza, StanzaCondition.FORBIDDEN, ErrorType.AUTH)
            return
        sender = f"{room.jid}/{occupant.nick}"
        passed_on = forwarded_message(stanza, sender, "", without=self._forged())
        keeps = changes_subject and self._dialect.subject_keeps_id
        message = self._stamped(room, occupant, passed_on, always=keeps)
        if changes_subject:
            room.subject = Subject(stanza.findtext(_SUBJECT) or "", sender, now())
            if not self._dialect.subject_keeps_id:
                message = new_stanza("message", type="groupchat", from_=sender)
                message.append(build(ns.CLIENT, "subject", text=room.subject.text))
        else:
            late = copy.deepcopy(message)
            late.append(delay(room.jid, now()))
            room.history.append(late)
        self.tell_all(room, message)

    def _forged(self) -> set[str]:
        """Return the tags that an occupant may not say."""
        if self._policy.forge:
            return set()
        forged = {f"{{{OCCUPANT_ID}}}occupant-id"} if self._dialect.occupant_ids else set()
        return forged | (set() if self._dialect.room_delays_forged else {f"{{{ns.DELAY}}}delay"})

    def _stamped(self, room: Room, occupant: Occupant, message: xml.Element, *, always: bool) -> xml.Element:
        """Return the message with the ids that the room gives it; archive it if it is worth it, or `always`."""
        message.attrib.pop("to")
        if self._dialect.occupant_ids:
            message.append(build(OCCUPANT_ID, "occupant-id", id=occupant.id))
        if not self._policy.room_archive:
            return message
        last = room.archive.items[-1] if room.archive.items else None
        from_ = JID.parse(message.get("from", ""))
        stamped = room.archive.keep(message, from_, room.jid, self._dialect, always=always)
        if self._dialect.room_archive_sids and room.archive.items and room.archive.items[-1] is not last:
            real = build(USER, "item", jid=occupant.newest)
            room.archive.items[-1].stanza.append(build(USER, "x", real))
        return stamped

    def tell_all(self, room: Room, message: xml.Element) -> None:
        """Send a message to all clients in the room."""
        for client, _ in room.clients():
            addressed = copy.deepcopy(message)
            addressed.set("to", client)
            self._post.hand_over(addressed)

    # --- to one

    def _private(self, room: Room, occupant: Occupant, stanza: xml.Element, nick: str) -> None:
        """Pass on a private message (XEP-0045 §7.5). Moderated rooms or not, visitors may send them."""
        target = room.occupants.get(nick)
        kind = stanza.get("type", "normal")
        if kind == "groupchat":
            self._refuse(stanza, StanzaCondition.BAD_REQUEST, ErrorType.MODIFY)
        elif target is None:
            if kind != "error":
                self._refuse(stanza, StanzaCondition.ITEM_NOT_FOUND, ErrorType.CANCEL, by=True)
        else:
            message = forwarded_message(stanza, f"{room.jid}/{occupant.nick}", "", without=self._forged())
            if message.find(f"{{{USER}}}x") is None:
                message.append(build(USER, "x"))
            if self._dialect.occupant_ids:
                message.append(build(OCCUPANT_ID, "occupant-id", id=occupant.id))
            for client in target.clients:
                addressed = copy.deepcopy(message)
                addressed.set("to", client)
                self._post.send(addressed)

    # --- invitations

    def _invite(self, room: Room, occupant: Occupant, stanza: xml.Element) -> None:
        """Pass on invitations that go through the room (XEP-0045 §7.8.2)."""
        allowed = self._dialect.mediated_invitations or room.is_set("allowinvites")
        if not allowed and occupant.role != "moderator":
            self._refuse(stanza, StanzaCondition.NOT_ALLOWED, ErrorType.CANCEL)
            return
        for invite in stanza.iterfind(_INVITE):
            try:
                to = JID.parse(invite.get("to", ""))
            except JIDError:
                self._refuse(stanza, StanzaCondition.JID_MALFORMED, ErrorType.MODIFY)
                return
            if room.is_set("membersonly") and room.affiliation(str(to.bare)) == "none" and occupant.role == "moderator":
                room.affiliations[str(to.bare)] = ("member", None)
            inviter, reason = f"{room.jid}/{occupant.nick}", invite.findtext(f"{{{USER}}}reason")
            secret = room.config["roomsecret"] if room.is_set("passwordprotectedroom") else None
            message = new_stanza("message", from_=room.jid, to=str(to), id=stanza.get("id"))
            reasoned = None if reason is None else build(USER, "reason", text=reason)
            password = None if secret is None else build(USER, "password", text=secret)
            message.append(build(USER, "x", build(USER, "invite", reasoned, from_=inviter), password))
            text = f"{inviter} invited you to the room {room.jid}" + (f" ({reason})" if reason else "")
            message.append(build(ns.CLIENT, "body", text=text))
            message.append(build(CONFERENCE, "x", jid=room.jid, password=secret, text=reason))
            self._post.send(message)

    def _decline(self, room: Room, stanza: xml.Element, decline: xml.Element) -> None:
        """Tell an inviter that its invitation was declined."""
        inviter = decline.get("to", "")
        occupant = room.occupants.get(inviter.partition("/")[2]) if inviter.startswith(f"{room.jid}/") else None
        to = inviter.partition("/")[0] if occupant is None else occupant.account
        client, reason = stanza.get("from", ""), decline.findtext(f"{{{USER}}}reason")
        message = new_stanza("message", from_=room.jid, to=to)
        reasoned = None if reason is None else build(USER, "reason", text=reason)
        message.append(build(USER, "x", build(USER, "decline", reasoned, from_=client)))
        if self._dialect.mediated_invitations:
            text = f"{client} declined your invite to the room {room.jid}" + (f" ({reason})" if reason else "")
            message.append(build(ns.CLIENT, "body", text=text))
        self._post.send(message)

    # --- voice

    def _voice(self, room: Room, occupant: Occupant, fields: dict[str, list[str]]) -> None:
        """Pass on a request for voice, or the answer of a moderator to one (XEP-0045 §7.13, §8.6)."""
        if occupant.role != "moderator":
            values = {"muc#role": "participant", "muc#jid": occupant.newest, "muc#roomnick": occupant.nick}
            question = form("form", REQUEST, {**values, "muc#request_allow": False}, title="Voice Request")
            for other in room.occupants.values():
                for client in other.clients if other.role == "moderator" else ():
                    message = new_stanza("message", from_=room.jid, to=client)
                    message.append(copy.deepcopy(question))
                    self._post.hand_over(message)
            return
        target = room.occupants.get(next(iter(fields.get("muc#roomnick", [])), ""))
        if target is not None and fields.get("muc#request_allow") in (["1"], ["true"]):
            target.role = "participant"
            self._announcer.show_all(room, target)
