"""The forms of rooms: configuration, information, registration, requests for voice (XEP-0045 §15.5)."""

from __future__ import annotations

import enum
from typing import Final

from ...jid import JID
from ..forms import Form, FormField, boolean, choice, integer, jid, jids, multi, private, text, texts

__all__ = ["VOICE", "RegistrationForm", "RoomConfig", "RoomInfo", "VoiceForm", "WhoIs"]

_MUC: Final = "http://jabber.org/protocol/muc"
VOICE: Final = f"{_MUC}#request"


class WhoIs(enum.StrEnum):
    """The occupants that see the real addresses of the others."""

    MODERATORS = "moderators"
    ANYONE = "anyone"


class RoomConfig(Form, form_type=f"{_MUC}#roomconfig"):
    """The configuration of a room (§15.5.3). Fields that are not here are there by name: ``config["muc#..."]``."""

    name: FormField[str | None] = text("muc#roomconfig_roomname")
    description: FormField[str | None] = text("muc#roomconfig_roomdesc")
    language: FormField[str | None] = text("muc#roomconfig_lang")
    persistent: FormField[bool | None] = boolean("muc#roomconfig_persistentroom")
    public: FormField[bool | None] = boolean("muc#roomconfig_publicroom")
    members_only: FormField[bool | None] = boolean("muc#roomconfig_membersonly")
    moderated: FormField[bool | None] = boolean("muc#roomconfig_moderatedroom")
    password_protected: FormField[bool | None] = boolean("muc#roomconfig_passwordprotectedroom")
    password: FormField[str | None] = private("muc#roomconfig_roomsecret")
    whois: FormField[WhoIs | None] = choice("muc#roomconfig_whois", WhoIs)
    may_change_subject: FormField[bool | None] = boolean("muc#roomconfig_changesubject")
    may_invite: FormField[bool | None] = boolean("muc#roomconfig_allowinvites")
    max_occupants: FormField[str | None] = text("muc#roomconfig_maxusers")
    archived: FormField[bool | None] = boolean("muc#roomconfig_enablearchiving")
    admins: FormField[tuple[JID, ...]] = jids("muc#roomconfig_roomadmins")
    owners: FormField[tuple[JID, ...]] = jids("muc#roomconfig_roomowners")
    broadcast_roles: FormField[tuple[str, ...]] = texts("muc#roomconfig_presencebroadcast")


class RoomInfo(Form, form_type=f"{_MUC}#roominfo"):
    """The description of a room in disco#info (§15.5.4)."""

    description: FormField[str | None] = text("muc#roominfo_description")
    subject: FormField[str | None] = text("muc#roominfo_subject")
    language: FormField[str | None] = text("muc#roominfo_lang")
    occupants: FormField[int | None] = integer("muc#roominfo_occupants")
    contacts: FormField[tuple[JID, ...]] = jids("muc#roominfo_contactjid")
    logs: FormField[str | None] = text("muc#roominfo_logs")
    avatar_hashes: FormField[tuple[str, ...]] = multi("muc#roominfo_avatarhash")


class RegistrationForm(Form, form_type=f"{_MUC}#register"):
    """The questions of a room to an account that registers (§15.5.1)."""

    nick: FormField[str | None] = text("muc#register_roomnick")
    first_name: FormField[str | None] = text("muc#register_first")
    last_name: FormField[str | None] = text("muc#register_last")
    url: FormField[str | None] = text("muc#register_url")
    email: FormField[str | None] = text("muc#register_email")


class VoiceForm(Form, form_type=VOICE):
    """A request for voice, and its answer (§15.5.2)."""

    role: FormField[str | None] = text("muc#role")
    jid: FormField[JID | None] = jid("muc#jid")
    nick: FormField[str | None] = text("muc#roomnick")
    allow: FormField[bool | None] = boolean("muc#request_allow")
