"""XEP-0280: Message Carbons: copies of the messages that other resources of our account send and receive.

A server wraps each copy in a message from our own bare JID. Any stranger can send something that looks alike, and some
servers pass it on, so only that sender is believed (CVE-2017-5589, §11); a copy is one level deep, and it is of a
message of ours. A wrapper that fails this is dropped and counted. No wrapper ever reaches ``client.messages``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from .. import xml
from ..client import Client, Inbox, Session, Stage, Step
from ..errors import StanzaError
from ..jid import JID
from ..protocol import ns
from ..protocol.elements.carbons import Disable, Enable, Received, Sent
from ..protocol.stanza import IQ, Message, MessageType
from ..record import record

__all__ = ["Carbon", "Carbons", "Direction", "enable", "is_carbon", "open_carbons", "verified_carbon"]

_logger = logging.getLogger(__name__)

_TYPES = frozenset({MessageType.CHAT, MessageType.NORMAL, MessageType.ERROR})


class Direction(Enum):
    """Which way the copied message went."""

    SENT = "another resource of ours sent it"
    RECEIVED = "another resource of ours received it"


@record
class Carbon:
    """A verified copy: `message` as another resource of ours sent or received it."""

    direction: Direction
    message: Message


class Carbons(Inbox[Carbon]):
    """The copies, in order of arrival."""

    def __init__(self, capacity: float) -> None:
        super().__init__(capacity)
        self.dropped: int = 0
        """How many wrappers were dropped, since they were forged or malformed."""

    def unwrap(self, message: Message, account: JID) -> Message | None:
        """Take a wrapper out of the way of an inbound message; return any other message as it is."""
        if not is_carbon(message):
            return message
        carbon = verified_carbon(message, account)
        if carbon is None:
            self.dropped += 1
            _logger.debug("dropped a forged copy from %s", message.from_)
        else:
            self.put(carbon)
        return None


_WRAPPERS = frozenset({f"{{{ns.CARBONS}}}received", f"{{{ns.CARBONS}}}sent"})


def is_carbon(message: Message) -> bool:
    """Return whether a message looks like the wrapper of a copy, from whichever sender."""
    for payload in message.payloads:
        if (payload.tag in _WRAPPERS) if isinstance(payload, xml.Element) else isinstance(payload, Received | Sent):
            return True
    return False


def verified_carbon(message: Message, account: JID) -> Carbon | None:
    """Return the copy that a message wraps, if it is genuine (§11); `account` is our own bare JID.

    Only the server may send one, in the name of our account. It is one level deep, and of a message that our account
    sent or received.
    """
    if message.from_ is not None and message.from_ != account:
        return None
    wrapper = message.get(Received) or message.get(Sent)
    inner = None if wrapper is None else wrapper.forwarded.message
    if inner is None or inner.type not in _TYPES or is_carbon(inner):
        return None
    if isinstance(wrapper, Sent):
        ours, direction = inner.from_, Direction.SENT
    else:
        ours, direction = inner.to, Direction.RECEIVED
    return Carbon(direction, inner) if ours is None or ours.bare == account else None


async def enable(session: Session) -> None:
    """Have copies in `session`, unless it began with them. A server that refuses is logged.

    Raises as `Session.request`. If cancelled, they may be enabled all the same.
    """
    if ns.CARBONS in session.begun and not session.adopted:
        return
    try:
        await session.request(Enable())
    except StanzaError as exc:
        _logger.warning("going on without carbons: %s", exc)


@asynccontextmanager
async def open_carbons(client: Client, *, capacity: float = 10_000) -> AsyncIterator[Carbons]:
    """A block during which each session has carbons; gives the inbox of verified copies.

    A server without carbons is logged, and gives none. To have them along with the login, where the server can do
    that, pass ``connect(inline=[carbons.Enable()])`` as well. More than `capacity` unread copies end the inbox with
    `InboxOverflow`. Leaving the block asks for no more copies. Cancelling while entering leaves nothing behind.
    """
    inbox = Carbons(capacity)

    with client.at_stage(Stage.CARBON, message=lambda message: inbox.unwrap(message, client.jid.bare)):
        try:
            async with client.each_session(Step.SYNC, enable):
                yield inbox
        finally:
            inbox.close()
            if client.established:
                client.enqueue(_disable())


def _disable() -> IQ:
    return IQ.request(Disable())
