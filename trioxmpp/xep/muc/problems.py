"""Why a room cannot be entered, why a stay is over, and why there will be no other (XEP-0045 §7.2, §8, §9, §10.9)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from ...errors import StanzaCondition, StanzaError, XMPPError
from ...jid import JID, JIDError

__all__ = ["GoneReason", "JoinProblem", "JoinRefused", "LossCause", "RoomGone", "RoomLost", "refusal_of"]


class JoinProblem(enum.Enum):
    """Why a room did not let us in."""

    NICK_TAKEN = "another occupant has this nick, or an account has reserved it"
    PASSWORD = "the room wants a password, or another one"
    MEMBERS_ONLY = "only members may enter"
    BANNED = "our account is banned from the room"
    FULL = "the room is full"
    NO_ROOM = "there is no such room"
    LOCKED = "the room exists, but its owner has not configured it yet"
    NICK_LOCKED = "the room allows no other nick than the reserved one"
    NICK_MALFORMED = "the nick cannot be part of an address"
    VANISHED = "the room was created anew: the one that we were in is gone"
    UNREACHABLE = "the room service does not answer, or cannot be reached"
    OTHER = "the room gave another reason"


class GoneReason(enum.Enum):
    """Why we can be in a room no more."""

    DESTROYED = "an owner destroyed the room"
    KICKED = "a moderator kicked us"
    BANNED = "our account was banned"
    MEMBERSHIP = "only members may stay, and our account is not a member"
    VANISHED = "the room does not exist any more"
    TOO_BIG = "the room has more occupants than we are willing to remember"


class LossCause(enum.Enum):
    """Why a stay is over that another one will follow."""

    KICKED = "a moderator kicked us, and we come back"
    REMOVED = "the service put us out for technical reasons"
    SHUTDOWN = "the service is being shut down"
    NOT_IN_ROOM = "the room does not know us"
    SESSION = "the session with our server is over"
    DISORDER = "the room contradicts itself about who we are"


class JoinRefused(XMPPError):
    """A room did not let us in; `reason` says why.

    The other attributes are those of the stanza error. `alternate` is the room to use instead, or None.
    """

    def __init__(
        self,
        reason: JoinProblem,
        condition: StanzaCondition = StanzaCondition.UNDEFINED_CONDITION,
        text: str | Mapping[str, str] | None = None,
        *,
        alternate: JID | None = None,
        by: JID | None = None,
        condition_name: str | None = None,
    ) -> None:
        super().__init__(condition, text, by=by, condition_name=condition_name)
        self.reason = reason
        self.alternate = alternate
        details = "; ".join(part for part in (self.text, str(alternate or "")) if part)
        self.args: tuple[Any, ...] = (reason.value + (f" ({details})" if details else ""),)


class RoomGone(StanzaError):
    """We can be in the room no more; leaves the block of `open_room`.

    `room` is its address and `reason` says why. `alternate` is the room that an owner names instead, `actor` the nick
    or address of the occupant that put us out, `text` its reason in words; each None if that is not known.
    """

    def __init__(
        self,
        room: JID,
        reason: GoneReason,
        text: str | None = None,
        *,
        alternate: JID | None = None,
        actor: str | None = None,
    ) -> None:
        self.room = room
        self.reason = reason
        self.text = text
        self.alternate = alternate
        self.actor = actor
        super().__init__(f"{room}: {reason.value}{f' ({text[:200]})' if text else ''}")


class RoomLost(StanzaError):
    """We are not in the room at the moment, and will be again; the events of a room tell of it with `RoomLost`.

    `say` raises it if it cannot know whether the room has the message. `cause` is the reason, `text` the words that the
    room gave, or None.
    """

    def __init__(self, room: JID, cause: LossCause, text: str | None = None) -> None:
        self.room = room
        self.cause = cause
        self.text = text
        super().__init__(f"{room}: {cause.value}{f' ({text[:200]})' if text else ''}")


_PROBLEMS = {
    StanzaCondition.CONFLICT: JoinProblem.NICK_TAKEN,
    StanzaCondition.NOT_AUTHORIZED: JoinProblem.PASSWORD,
    StanzaCondition.REGISTRATION_REQUIRED: JoinProblem.MEMBERS_ONLY,
    StanzaCondition.FORBIDDEN: JoinProblem.BANNED,
    StanzaCondition.SERVICE_UNAVAILABLE: JoinProblem.FULL,
    StanzaCondition.RESOURCE_CONSTRAINT: JoinProblem.FULL,
    StanzaCondition.GONE: JoinProblem.NO_ROOM,
    StanzaCondition.ITEM_NOT_FOUND: JoinProblem.NO_ROOM,
    StanzaCondition.NOT_ACCEPTABLE: JoinProblem.NICK_LOCKED,
    StanzaCondition.JID_MALFORMED: JoinProblem.NICK_MALFORMED,
    StanzaCondition.REMOTE_SERVER_NOT_FOUND: JoinProblem.UNREACHABLE,
    StanzaCondition.REMOTE_SERVER_TIMEOUT: JoinProblem.UNREACHABLE,
    StanzaCondition.RECIPIENT_UNAVAILABLE: JoinProblem.UNREACHABLE,
    StanzaCondition.NOT_ALLOWED: JoinProblem.NO_ROOM,
}


def refusal_of(error: XMPPError) -> JoinRefused:
    """Return what the error presence of a room means for a join (XEP-0045 §7.2; what real servers send)."""
    reason = _PROBLEMS.get(error.condition, JoinProblem.OTHER)
    if error.condition is StanzaCondition.NOT_ALLOWED and "remote" in (error.text or "").lower():
        reason = JoinProblem.UNREACHABLE  # ejabberd: federation with that domain is switched off
    return JoinRefused(
        reason,
        error.condition,
        error.texts,
        alternate=_alternate(error.address),
        by=error.by,
        condition_name=error.condition_name,
    )


def _alternate(address: str | None) -> JID | None:
    """Return the room that an ``xmpp:`` address names; a page of the web is no room."""
    if not address:
        return None
    try:
        return JID.parse(address.removeprefix("xmpp:").partition("?")[0])
    except JIDError:
        return None
