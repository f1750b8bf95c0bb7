"""The entries of a timeline, and how two copies of one message are told to be the same."""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from ... import xml
from ...jid import JID
from ...protocol import ns
from ...protocol.elements import muc
from ...protocol.elements.stanza_ids import OriginId
from ...protocol.stanza import Message, MessageType
from ...record import record
from ...xep.encryption import Encryption
from ..provenance import Account, Occupant, Room, Sender

__all__ = ["CaughtUp", "Entry", "Gap", "NoArchive", "Source", "TimelineEvent", "entry_of", "fingerprint"]


class Source(enum.Enum):
    """How an entry came to the timeline."""

    LIVE = "it has just arrived"
    OFFLINE = "the server kept it until we were available"
    CARBON_RECEIVED = "another resource of ours received it"
    CARBON_SENT = "another resource of ours sent it"
    ARCHIVE = "the archive had it"
    OWN = "this client sent it"
    ROOM_HISTORY = "the room sent it with its history"


@record
class Entry:
    """One message of the account, or of a room.

    `peer` is the other side of the conversation: a bare JID, or the full JID of an occupant for a private message in a
    room; in the timeline of a room, that room. `sender` is who wrote it, as far as that is verified; `by_us` says that
    it was our account, with whichever resource. `sent` is the time that the archive, the room or our server gives, else
    when it came; never in the future. `archive_id` is its id in the archive of our account, or of the room, or None if
    that is not known. While `caught_up` is false the entry belongs to what was missed: do not notify, and do not answer
    by a receipt. `encryption` is how it was protected, if the entry comes through ``Omemo.read``.
    """

    message: Message
    source: Source
    peer: JID
    sender: Sender
    by_us: bool
    sent: datetime
    archive_id: str | None
    caught_up: bool
    encryption: Encryption | None = None


@record
class CaughtUp:
    """All that was missed has been given; what follows is new. Told once in each session."""


@record
class Gap:
    """The archive no longer has what followed `since`; it goes on at `until`, or has nothing, if that is None."""

    since: datetime
    until: datetime | None


@record
class NoArchive:
    """The account, or the room, has no archive: what is said while we are away is not in the timeline."""


TimelineEvent = CaughtUp | Gap | NoArchive


def entry_of(
    message: Message,
    source: Source,
    account: JID,
    claimed: Callable[[JID], bool],
    sent: datetime,
    archive_id: str | None,
    caught_up: bool,
) -> Entry:
    """Return the entry of a message that our account sent or received. `claimed` tells the addresses of known rooms."""
    from_ = message.from_
    by_us = from_ is None or from_.bare == account
    other = (message.to if by_us else from_) or account
    peer = other.bare
    author: Sender = _account(account if by_us else peer)
    if claimed(other) or (other.resource is not None and _is_of_occupant(message)):
        if other.resource is not None:
            peer = other  # a private message in a room (XEP-0045 §7.5)
        if not by_us:
            author = Room(other) if other.resource is None else Occupant(other.bare, other.resource)
    return Entry(message, source, peer, author, by_us, sent, archive_id, caught_up)


#: Most messages are of a few accounts: an object for each message would only be work for the collector of garbage.
_account = lru_cache(1024)(Account)


def _is_of_occupant(message: Message) -> bool:
    """Return whether a message has what rooms add (XEP-0045 §7.5). Few have: so look at the tags first."""
    for payload in message.payloads:
        if (payload.tag if payload.__class__ is xml.Element else xml.tag_of(type(payload))) == _MUC_USER:
            return message.get(muc.Occupant) is not None
    return False


_MUC_USER = xml.tag_of(muc.Occupant)
_ORIGIN_ID = f"{{{ns.SID}}}origin-id"

#: The elements that servers add to a message, or take away: copies of one message may differ in them.
_ADDED = frozenset({
    f"{{{ns.SID}}}stanza-id",
    _ORIGIN_ID,
    f"{{{ns.DELAY}}}delay",
    "{jabber:x:delay}x",
    "{urn:xmpp:mam:tmp}archived",
    "{http://jabber.org/protocol/address}addresses",
    f"{{{ns.CARBONS}}}private",
    "{urn:xmpp:hints}no-copy",
    "{urn:xmpp:hints}no-store",
    "{urn:xmpp:hints}no-permanent-store",
    "{urn:xmpp:hints}store",
    "{http://jabber.org/protocol/muc#user}x",
    "{urn:xmpp:occupant-id:0}occupant-id",
})  # fmt: skip

#: Elements that hold a message whose body no server sees: two messages are the same only if these are.
_ENCRYPTED = frozenset({"{urn:xmpp:omemo:2}encrypted", "{eu.siacs.conversations.axolotl}encrypted"})

# Python 3.11 takes longer to find the member of an enumeration, and its value, than to compare two.
_NORMAL, _CHAT = MessageType.NORMAL, MessageType.CHAT

WEAK = "~"
"""The first character of the fingerprint of a message without an id: another message may have the same."""


def fingerprint(message: Message, account: JID) -> str:
    """Return what copies of one message have in common: sender, id, type, bodies, tags of payloads, and ciphers.

    An id alone would not do, since there are clients that use one twice; nor would an archive id, since servers archive
    a retransmission again, under another one.
    """
    parts: list[str] = []
    id, from_, kind = message.id, message.from_, message.type
    for payload in message.payloads:
        is_element = payload.__class__ is xml.Element
        tag: Any = payload.tag if is_element else xml.tag_of(type(payload))
        if tag not in _ADDED:
            parts.append(tag)
            if tag in _ENCRYPTED:
                element = payload if is_element else xml.fromstring(xml.serialise(payload))
                parts.append("".join(element.itertext()))
        elif id is None and tag == _ORIGIN_ID and (origin := message.get(OriginId)) is not None:
            id = origin.id
    if len(parts) > 1:
        parts.sort()
    if from_ is None or from_.bare == account:
        # Sent again in another session, it has another resource.
        parts += (str(account), "" if message.to is None else str(message.to.bare))
    else:
        parts.append(str(from_))
    if kind is not _NORMAL:
        parts.append("chat" if kind is _CHAT else kind.value)
    bodies = message.bodies
    if len(bodies) == 1:
        parts += bodies.values()
    elif bodies:
        for lang in sorted(bodies):
            parts += (lang, bodies[lang])
    parts.append(id or "")
    digest = blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=10).hexdigest()
    return digest if id is not None else WEAK + digest[1:]
