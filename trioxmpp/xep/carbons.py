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

from ..client import Client, Inbox, Session, Stage, Step
from ..errors import StanzaError
from ..jid import JID
from ..protocol import ns
from ..protocol.elements.carbons import Disable, Enable, Received, Sent
from ..protocol.stanza import IQ, Message, MessageType
from ..record import record

__all__ = ["Carbon", "Carbons", "Direction", "open_carbons"]

logger = logging.getLogger(__name__)

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
        self.dropped = 0
        """How many wrappers were dropped, since they were forged or malformed."""

    def unwrap(self, message: Message, account: JID) -> Message | None:
        """Take a wrapper out of the way of an inbound message; return any other message as it is."""
        wrapper = message.get(Received) or message.get(Sent)
        if wrapper is None:
            if any(getattr(payload, "tag", None) in _WRAPPERS for payload in message.payloads):
                self.dropped += 1
                return None
            return message
        carbon = None
        if message.from_ is None or message.from_ == account:
            carbon = _verified(wrapper, account)
        if carbon is None:
            self.dropped += 1
            logger.debug("dropped a forged copy from %s", message.from_)
        else:
            self.put(carbon)
        return None


_WRAPPERS = frozenset({f"{{{ns.CARBONS}}}received", f"{{{ns.CARBONS}}}sent"})


def _verified(wrapper: Received | Sent, account: JID) -> Carbon | None:
    """Return the copy in a wrapper from our account, if it is one of a message of ours."""
    inner = wrapper.forwarded.message
    if inner is None or inner.type not in _TYPES or inner.get(Received) is not None or inner.get(Sent) is not None:
        return None
    if isinstance(wrapper, Sent):
        ours, direction = inner.from_, Direction.SENT
    else:
        ours, direction = inner.to, Direction.RECEIVED
    return Carbon(direction, inner) if ours is None or ours.bare == account else None


@asynccontextmanager
async def open_carbons(client: Client, *, capacity: float = 10_000) -> AsyncIterator[Carbons]:
    """A block during which each session has carbons; gives the inbox of verified copies.

    A server without carbons is logged, and gives none. To have them along with the login, where the server can do
    that, pass ``connect(inline=[carbons.Enable()])`` as well. More than `capacity` unread copies end the inbox with
    `InboxOverflow`. Leaving the block asks for no more copies. Cancelling while entering leaves nothing behind.
    """
    inbox = Carbons(capacity)

    async def enable(session: Session) -> None:
        if ns.CARBONS in session.begun and not session.adopted:
            return
        try:
            await session.request(Enable())
        except StanzaError as exc:
            logger.warning("going on without carbons: %s", exc)

    with client.at_stage(Stage.CARBON, message=lambda message: inbox.unwrap(message, client.jid.bare)):
        try:
            async with client.each_session(Step.SYNC, enable):
                yield inbox
        finally:
            inbox.close()
            if client.established:
                client.enqueue(_disable())


def _disable() -> IQ:
    return IQ(type=Disable.IQ_TYPE, payload=Disable())
