"""Registration with a room: the reserved nick of an account (XEP-0045 §7.10), which also makes it a member."""

from __future__ import annotations

from ... import xml
from ...errors import StanzaCondition, XMPPAuthError, XMPPCancelError, XMPPModifyError
from .forms import form, read_form
from .room import MUC, Room
from .services import Request
from .stanzas import build

__all__ = ["NICKS", "register", "registration"]

NICKS = "jabber:iq:register"


def registration(room: Room, request: Request) -> xml.Element:
    """Return the form, or the nick that the account has. Raises XMPPAuthError if it may not have any."""
    account = _allowed(room, request)
    if (nick := room.nicks.get(account)) is not None:
        return build(NICKS, "query", build(NICKS, "registered"), build(NICKS, "username", text=nick))
    return build(NICKS, "query", form("form", f"{MUC}#register", {"muc#register_roomnick": None}))


def register(room: Room, request: Request) -> None:
    """Reserve a nick. Raises XMPPError, *conflict* if another account has it."""
    account = _allowed(room, request)
    if request.payload.find(f"{{{NICKS}}}remove") is not None:
        room.nicks.pop(account, None)
        return
    nick = next(iter(read_form(request.payload).get("muc#register_roomnick", [])), "")
    if not nick:
        raise XMPPModifyError(StanzaCondition.BAD_REQUEST)
    if any(nick == other and owner != account for owner, other in room.nicks.items()):
        raise XMPPCancelError(StanzaCondition.CONFLICT)
    room.nicks[account] = nick
    if room.affiliation(account) == "none":
        room.affiliations[account] = ("member", None)


def _allowed(room: Room, request: Request) -> str:
    account = request.sender.partition("/")[0]
    if room.affiliation(account) in ("none", "outcast"):
        raise XMPPAuthError(StanzaCondition.REGISTRATION_REQUIRED)
    return account
