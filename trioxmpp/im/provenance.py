"""What is believed, of whom, and what becomes of it otherwise: the rules of all services, as one table.

An XMPP stanza proves one thing only: the server of its sender has checked ``from``. Everything inside of it is a claim
of that sender. So each kind of claim has one rule here, which names the entity that may make it. A claim that fails its
rule is not an error: servers pass forgeries on, and a forgery must not cost its victim a message.

`RULES` maps each `Claim` to its `Rule`, whose `judge` takes the message and a `Context`, which holds what is known from
elsewhere. It returns what is believed, or None.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from ..client import sent_by_archive
from ..jid import JID
from ..protocol import ns
from ..protocol.elements import muc, occupant_id, pubsub_event
from ..protocol.elements.correction import Replace
from ..protocol.elements.delay import Delay
from ..protocol.elements.hats import NS as HATS
from ..protocol.elements.hats import Hats
from ..protocol.elements.mam import Result
from ..protocol.elements.retraction import Retract
from ..protocol.elements.stanza_ids import StanzaId
from ..protocol.stanza import Message, MessageType
from ..record import field, record
from ..xep.carbons import verified_carbon

__all__ = [
    "RULES",
    "Account",
    "Claim",
    "Context",
    "Occupant",
    "Otherwise",
    "Room",
    "Rule",
    "Sender",
    "believed",
    "clamped",
    "may_change",
    "stanza_id",
]


# --- senders, as far as they are verified


@record
class Account:
    """An account: its server has checked the address."""

    jid: JID


@record
class Occupant:
    """An occupant of a room. `occupant_id` and `real` are those that the room says, or None.

    A nick says little: others may take it once it is free. `stay` is the same for one stay of one occupant, where it is
    known.
    """

    room: JID
    nick: str
    occupant_id: str | None = None
    real: JID | None = None
    stay: int | None = None


@record
class Room:
    """A room itself."""

    jid: JID


Sender: TypeAlias = Account | Occupant | Room


def may_change(sender: Sender, author: Sender) -> bool:
    """Return whether `sender` may correct or retract what `author` wrote.

    Accounts are compared by their address; occupants by the id that the room gives them, else by their real address,
    else by nick within one stay. No sender may change what an unknown author wrote.
    """
    if isinstance(sender, Account) and isinstance(author, Account):
        return sender.jid == author.jid
    if isinstance(sender, Occupant) and isinstance(author, Occupant) and sender.room == author.room:
        if sender.occupant_id is not None or author.occupant_id is not None:
            return sender.occupant_id == author.occupant_id
        if sender.real is not None or author.real is not None:
            return sender.real == author.real
        return sender.stay is not None and sender.stay == author.stay and sender.nick == author.nick
    return False


# --- the table


class Claim(enum.Enum):
    """What an element in a message says."""

    CARBON = "this is a copy of another message"
    ARCHIVE_RESULT = "this is an archived message"
    STANZA_ID = "this is its id in an archive"
    OCCUPANT_ID = "this is the id of the occupant"
    HATS = "these are the hats of the occupant"
    DELAY = "this is when it was sent"
    MUC_USER = "this is what the room says"
    EVENT = "this is what happened to a node"
    CORRECTION = "this replaces another message"
    RETRACTION = "this takes another message back"
    MODERATION = "a moderator takes another message back"


class Otherwise(enum.Enum):
    """What becomes of a message whose claim is not believed."""

    DROPPED = "the whole message is dropped, and counted"
    IGNORED = "the message counts, as if it did not have the element"


def _never(owner: JID, node: str) -> bool:
    return False


@record
class Context:
    """What is known from elsewhere.

    `account` is our own bare JID, and `features` are what our account announces. `room` is the bare JID of the room, if
    the message comes from one in which we are; `room_features` is what it announces, and `in_history` tells whether it
    is still sending its history, between our own presence and the subject. `archive` is the archive that was asked by
    the query `queryid`, until its ``<fin/>`` has come. ``watches(owner, node)`` tells whether a watch is open for a
    node. `sender` and `author` are the senders of this message, and of the one that it is about.
    """

    account: JID
    features: frozenset[str] = frozenset()
    room: JID | None = None
    room_features: frozenset[str] = frozenset()
    in_history: bool = False
    archive: JID | None = None
    queryid: str | None = None
    watches: Callable[[JID, str], bool] = field(default=_never, compare=False)
    sender: Sender | None = None
    author: Sender | None = None


@record
class Rule:
    """One row: `judge` returns what is believed, or None; `otherwise` is what becomes of the message then."""

    judge: Callable[[Message, Context], Any]
    otherwise: Otherwise
    section: str


def believed(claim: Claim, message: Message, context: Context) -> Any:
    """Return what is believed of a claim that `message` makes, or None if it makes none or is not believed."""
    return RULES[claim].judge(message, context)


def stanza_id(message: Message, by: JID) -> str | None:
    """Return the id that the archive `by` gave a message, if there is exactly one: a forged one may stand beside it.

    The caller has checked that the archive announces that it gives ids, and so removes forged ones.
    """
    found = None
    for each in message.get_all(StanzaId):
        if each.by == by:
            if found is not None:
                return None
            found = each.id
    return found


def clamped(stamp: datetime, now: datetime) -> datetime:
    """Return a time that is not in the future."""
    return min(stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC), now)


def _carbon(message: Message, context: Context) -> Any:
    """The server sends it in the name of our account; one level deep; of a message of our account."""
    return verified_carbon(message, context.account)


def _archive_result(message: Message, context: Context) -> Result | None:
    """The archive that was asked sends it, with the id of the query, before its ``<fin/>``."""
    if context.archive is None or not sent_by_archive(message, context.archive, context.account):
        return None
    result = message.get(Result)
    return result if result is not None and result.queryid == context.queryid is not None else None


def _stanza_id(message: Message, context: Context) -> str | None:
    """The archive gave it, which announces that it does; there is exactly one of it."""
    by, features = (
        (context.account, context.features) if context.room is None else (context.room, context.room_features)
    )
    return stanza_id(message, by) if ns.SID in features or ns.MAM in features else None


def _of_room(message: Message, context: Context) -> bool:
    return context.room is not None and message.from_ is not None and message.from_.bare == context.room


def _occupant_id(message: Message, context: Context) -> str | None:
    """The room announces that it gives ids, and so removes forged ones."""
    if not _of_room(message, context) or occupant_id.NS not in context.room_features:
        return None
    found = message.get(occupant_id.OccupantId)
    return None if found is None else found.id


def _hats(message: Message, context: Context) -> Hats | None:
    """The room announces that it gives hats, and so removes forged ones."""
    return message.get(Hats) if _of_room(message, context) and HATS in context.room_features else None


def _delay(message: Message, context: Context) -> datetime | None:
    """Our server or our account says it; in a room, the room does, while it sends its history."""
    for delay in message.get_all(Delay):
        if context.room is not None:
            if context.in_history and _of_room(message, context) and delay.from_ in (context.room, None):
                return clamped(delay.stamp, datetime.now(UTC))
        elif delay.from_ in (context.account, JID(None, context.account.domain, None)):
            return clamped(delay.stamp, datetime.now(UTC))
    return None


def _muc_user(message: Message, context: Context) -> muc.Occupant | None:
    """The bare JID of the room sends it."""
    return message.get(muc.Occupant) if context.room is not None and message.from_ == context.room else None


def _event(message: Message, context: Context) -> pubsub_event.Event | None:
    """The bare JID of the owner sends it, for a node that is watched."""
    owner = message.from_ or context.account
    event = message.get(pubsub_event.Event)
    if event is None or not owner.is_bare:
        return None
    named = (event.items, event.configuration, event.delete, event.purge, event.subscription)
    nodes = [each.node for each in named if each is not None]
    return event if len(nodes) == 1 and nodes[0] is not None and context.watches(owner, nodes[0]) else None


def _changes(message: Message, context: Context) -> bool:
    if context.sender is None or context.author is None or message.type is MessageType.ERROR:
        return False
    return may_change(context.sender, context.author)


def _correction(message: Message, context: Context) -> str | None:
    """The author of the other message sends it."""
    found = message.get(Replace)
    return found.id if found is not None and _changes(message, context) else None


def _retraction(message: Message, context: Context) -> str | None:
    """The author of the other message sends it."""
    found = message.get(Retract)
    return found.id if found is not None and found.moderated is None and _changes(message, context) else None


def _moderation(message: Message, context: Context) -> Retract | None:
    """The bare JID of the room sends it."""
    if context.room is None or message.from_ != context.room or message.type is not MessageType.GROUPCHAT:
        return None
    found = message.get(Retract)
    return found if found is not None and found.moderated is not None else None


RULES: Final[Mapping[Claim, Rule]] = MappingProxyType({
    Claim.CARBON: Rule(_carbon, Otherwise.DROPPED, "XEP-0280 §11"),
    Claim.ARCHIVE_RESULT: Rule(_archive_result, Otherwise.DROPPED, "XEP-0313 §4.2"),
    Claim.STANZA_ID: Rule(_stanza_id, Otherwise.IGNORED, "XEP-0359 §5"),
    Claim.OCCUPANT_ID: Rule(_occupant_id, Otherwise.IGNORED, "XEP-0421 §5"),
    Claim.HATS: Rule(_hats, Otherwise.IGNORED, "XEP-0317 §5"),
    Claim.DELAY: Rule(_delay, Otherwise.IGNORED, "XEP-0203 §5"),
    Claim.MUC_USER: Rule(_muc_user, Otherwise.IGNORED, "XEP-0045 §7"),
    Claim.EVENT: Rule(_event, Otherwise.DROPPED, "XEP-0163 §4"),
    Claim.CORRECTION: Rule(_correction, Otherwise.IGNORED, "XEP-0308 §5"),
    Claim.RETRACTION: Rule(_retraction, Otherwise.IGNORED, "XEP-0424 §7"),
    Claim.MODERATION: Rule(_moderation, Otherwise.IGNORED, "XEP-0425 §5"),
})  # fmt: skip
