"""The forms of rooms: configuration, information, registration, requests for voice (XEP-0045 §15.5)."""

from __future__ import annotations

import enum
from typing import Final

from ..forms import Form, boolean, choice, integer, jid, jids, multi, private, text, texts

__all__ = ["VOICE", "RegistrationForm", "RoomConfig", "RoomInfo", "VoiceForm", "WhoIs"]

_MUC: Final = "http://jabber.org/protocol/muc"
VOICE: Final = f"{_MUC}#request"


class WhoIs(enum.StrEnum):
    """The occupants that see the real addresses of the others."""

    MODERATORS = "moderators"
    ANYONE = "anyone"


class RoomConfig(Form, form_type=f"{_MUC}#roomconfig"):
    """The configuration of a room (§15.5.3). Fields that are not here are there by name: ``config["muc#..."]``."""

    name = text("muc#roomconfig_roomname")
    description = text("muc#roomconfig_roomdesc")
    language = text("muc#roomconfig_lang")
    persistent = boolean("muc#roomconfig_persistentroom")
    public = boolean("muc#roomconfig_publicroom")
    members_only = boolean("muc#roomconfig_membersonly")
    moderated = boolean("muc#roomconfig_moderatedroom")
    password_protected = boolean("muc#roomconfig_passwordprotectedroom")
    password = private("muc#roomconfig_roomsecret")
    whois = choice("muc#roomconfig_whois", WhoIs)
    may_change_subject = boolean("muc#roomconfig_changesubject")
    may_invite = boolean("muc#roomconfig_allowinvites")
    max_occupants = text("muc#roomconfig_maxusers")
    archived = boolean("muc#roomconfig_enablearchiving")
    admins = jids("muc#roomconfig_roomadmins")
    owners = jids("muc#roomconfig_roomowners")
    broadcast_roles = texts("muc#roomconfig_presencebroadcast")


class RoomInfo(Form, form_type=f"{_MUC}#roominfo"):
    """The description of a room in disco#info (§15.5.4)."""

    description = text("muc#roominfo_description")
    subject = text("muc#roominfo_subject")
    language = text("muc#roominfo_lang")
    occupants = integer("muc#roominfo_occupants")
    contacts = jids("muc#roominfo_contactjid")
    logs = text("muc#roominfo_logs")
    avatar_hashes = multi("muc#roominfo_avatarhash")


class RegistrationForm(Form, form_type=f"{_MUC}#register"):
    """The questions of a room to an account that registers (§15.5.1)."""

    nick = text("muc#register_roomnick")
    first_name = text("muc#register_first")
    last_name = text("muc#register_last")
    url = text("muc#register_url")
    email = text("muc#register_email")


class VoiceForm(Form, form_type=VOICE):
    """A request for voice, and its answer (§15.5.2)."""

    role = text("muc#role")
    jid = jid("muc#jid")
    nick = text("muc#roomnick")
    allow = boolean("muc#request_allow")
