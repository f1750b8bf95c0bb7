"""Invitations to rooms: through the room (XEP-0045 §7.8.2), and directly (XEP-0249).

A room that passes on an invitation can vouch for the inviter, and can let it into a room for members; some rooms permit
it to moderators only. A direct invitation is a message like any other: its sender claims to know the room.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from ...client import Client, Inbox, Stage
from ...jid import JID
from ...protocol.elements.direct_invite import DirectInvite
from ...protocol.elements.muc import Decline, Invite
from ...protocol.elements.muc import Occupant as OccupantElement
from ...protocol.stanza import Message, MessageType
from ...record import field, record

__all__ = [
    "Invitation",
    "InvitationWay",
    "Invitations",
    "decline",
    "direct_invitation",
    "mediated_invitation",
    "open_invitations",
]

_logger = logging.getLogger(__name__)

_TYPES = frozenset({MessageType.NORMAL, MessageType.CHAT})
_TAGS = frozenset({"{http://jabber.org/protocol/muc#user}x", "{jabber:x:conference}x"})


class InvitationWay(enum.Enum):
    """The way that an invitation takes."""

    MEDIATED = "through the room"
    DIRECT = "from account to account"


@record
class Invitation:
    """An invitation to `room`. `sender` is the inviter: if it came through the room, the room vouches for it."""

    room: JID
    sender: JID
    way: InvitationWay
    reason: str | None = None
    password: str | None = field(default=None, repr=False)


class Invitations(Inbox[Invitation]):
    """The invitations that wait, in order of arrival. While it is full, further ones are dropped and counted."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, overflow="drop_newest")

    def take(self, message: Message) -> Message | None:
        """Take an invitation out of the way of an inbound message; return any other message as it is."""
        if message.type not in _TYPES or message.from_ is None:
            return message
        if not any(getattr(payload, "tag", None) in _TAGS for payload in message.payloads):
            return message
        invitation = _mediated(message, message.from_) or _direct(message, message.from_)
        if invitation is None:
            return message
        self.put(invitation)
        return None


def _mediated(message: Message, sender: JID) -> Invitation | None:
    """Return an invitation that a room passes on; only its bare address can do that."""
    element = message.get(OccupantElement)
    if element is None or not element.invites or not sender.is_bare or sender.local is None:
        return None
    invite = element.invites[0]
    if invite.from_ is None:
        return None
    return Invitation(sender, invite.from_, InvitationWay.MEDIATED, invite.reason, element.password)


def _direct(message: Message, sender: JID) -> Invitation | None:
    direct = message.get(DirectInvite)
    if direct is None or not direct.jid.is_bare or direct.jid.local is None:
        return None
    return Invitation(direct.jid, sender, InvitationWay.DIRECT, direct.reason, direct.password)


@asynccontextmanager
async def open_invitations(client: Client, *, capacity: int = 100) -> AsyncIterator[Invitations]:
    """A block during which invitations to rooms come into the inbox that it gives, and not to ``client.messages``.

    At most `capacity` wait; further ones are dropped, since strangers can send them. Nothing is entered by itself:

        async for invitation in invitations:
            nursery.start_soon(be_in, invitation.room, invitation.password)

    A checkpoint; cancelling leaves nothing behind.
    """
    inbox = Invitations(capacity)
    await trio.lowlevel.checkpoint()
    with client.at_stage(Stage.NOTICE, message=inbox.take), client.offers("jabber:x:conference"):
        try:
            yield inbox
        finally:
            inbox.close()


async def decline(client: Client, invitation: Invitation, *, reason: str | None = None) -> None:
    """Decline an invitation (XEP-0045 §7.8.2). A direct one has no answer: then nothing is sent.

    Returns when the server has the message. Cancelling retracts it if it is not sent yet.
    """
    await trio.lowlevel.checkpoint()
    if invitation.way is InvitationWay.MEDIATED:
        element = OccupantElement(declines=(Decline(to=invitation.sender, reason=reason),))
        await client.send(Message(to=invitation.room, payloads=[element]))


def mediated_invitation(room: JID, account: JID, reason: str | None) -> Message:
    """Return the message that asks a room to invite an account."""
    return Message(to=room, payloads=[OccupantElement(invites=(Invite(to=account, reason=reason),))])


def direct_invitation(room: JID, account: JID, reason: str | None, password: str | None) -> Message:
    """Return the message that invites an account to a room, whether or not we are in it (XEP-0249)."""
    return Message(to=account, payloads=[DirectInvite(jid=room, reason=reason, password=password)])
