"""Moderation: a moderator retracts the message of an occupant (XEP-0425), in both of its versions."""

from __future__ import annotations

import copy
from dataclasses import replace

from lxml import etree

from ... import xml
from ...errors import StanzaCondition, XMPPAuthError, XMPPCancelError, XMPPModifyError
from ...protocol import ns
from .dialect import Dialect
from .room import Occupant, Room
from .room_presence import OCCUPANT_ID
from .room_speech import Speech
from .services import Request
from .stanzas import build, new_stanza

__all__ = ["MODERATE_0", "MODERATE_1", "moderate"]

MODERATE_0 = "urn:xmpp:message-moderate:0"
MODERATE_1 = "urn:xmpp:message-moderate:1"
FASTEN = "urn:xmpp:fasten:0"
RETRACT_0 = "urn:xmpp:message-retract:0"
RETRACT_1 = "urn:xmpp:message-retract:1"


def moderate(room: Room, request: Request, speech: Speech, dialect: Dialect) -> None:
    """Retract the message with the archive id that a moderator names, and tell all. Raises XMPPError."""
    if not dialect.moderation:
        raise XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
    payload = request.payload
    id = payload.get("id", "")
    inner = payload if payload.tag == f"{{{MODERATE_1}}}moderate" else payload.find(f"{{{MODERATE_0}}}moderate")
    actor = room.occupant_of(request.sender)
    if actor is None or actor.role != "moderator":
        raise XMPPAuthError(StanzaCondition.FORBIDDEN)
    places = [place for place, item in enumerate(room.archive.items) if item.id == id]
    if inner is None or not places:
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
    reason = next((child.text for child in inner if etree.QName(child).localname == "reason"), None)
    message = new_stanza("message", type="groupchat", from_=room.jid)
    if MODERATE_0 in dialect.moderation:
        message.append(_fastened(room, actor, id, reason))
    if MODERATE_1 in dialect.moderation:
        occupant = _occupant(actor) if dialect.occupant_ids else None
        within, beside = (None, occupant) if dialect.moderation_signed_beside else (occupant, None)
        moderated = build(MODERATE_1, "moderated", within, by=f"{room.jid}/{actor.nick}")
        namespace = MODERATE_1 if dialect.moderation_reason_moved else RETRACT_1
        explained = None if reason is None else build(namespace, "reason", text=reason)
        message.append(build(RETRACT_1, "retract", moderated, explained, id=id))
        if beside is not None:
            message.append(beside)
    _leave_tombstone(room, places[0], message)
    speech.tell_all(room, message)


def _fastened(room: Room, actor: Occupant, id: str, reason: str | None) -> xml.Element:
    explained = None if reason is None else build(MODERATE_0, "reason", text=reason)
    retract = build(RETRACT_0, "retract")
    moderated = build(MODERATE_0, "moderated", retract, explained, by=f"{room.jid}/{actor.nick}")
    return build(FASTEN, "apply-to", moderated, id=id)


def _occupant(actor: Occupant) -> xml.Element:
    return build(OCCUPANT_ID, "occupant-id", id=actor.id)


def _leave_tombstone(room: Room, place: int, message: xml.Element) -> None:
    """Put a note in the place of the archived message (XEP-0424 §5.3)."""
    item = room.archive.items[place]
    tombstone = new_stanza("message", type="groupchat", from_=item.stanza.get("from"), id=item.stanza.get("id"))
    moderated = next(message.iter(f"{{{MODERATE_1}}}moderated"), None)
    tombstone.append(build(RETRACT_1, "retracted", copy.deepcopy(moderated), stamp=item.stamp))
    room.archive.items[place] = replace(item, stanza=tombstone)
    for late in [each for each in room.history if _has_id(each, room, item.id)]:
        room.history.remove(late)


def _has_id(message: xml.Element, room: Room, id: str) -> bool:
    sids = message.iterchildren(f"{{{ns.SID}}}stanza-id")
    return any(sid.get("id") == id and sid.get("by") == room.jid for sid in sids)
