"""The one inbox for the messages and events of all accounts of a fleet.

Each client has its own bounded subscription, and a task that carries its messages over. So an account that is flooded
fills its own subscription, and takes no other account's turn: the tasks wait in line for the one consumer.
"""

from __future__ import annotations

import logging
from typing import TypeAlias

import trio

from ..client import Client, Signal
from ..protocol.stanza import Message, MessageType
from ..record import field, record
from .events import FleetEvent
from .member import Member

__all__ = ["Arrival", "Carrier", "Happened", "Received"]

logger: logging.Logger = logging.getLogger(__name__)


@record
class Happened:
    """Something happened to an account."""

    member: Member
    event: FleetEvent


@record
class Received:
    """A message arrived for an account, at `client`, which may be over by now: `Member.client` is the one of now."""

    member: Member
    client: Client = field(repr=False)
    message: Message


#: An item of the inbox of a fleet.
Arrival: TypeAlias = Received | Happened


class Carrier:
    """Carries the messages and events of all accounts to one channel, in the tasks of `nursery`."""

    def __init__(self, nursery: trio.Nursery, types: tuple[MessageType, ...], capacity: int) -> None:
        self._nursery = nursery
        self._types = types
        self._channel: trio.MemorySendChannel[Arrival]
        self.inbox: trio.MemoryReceiveChannel[Arrival]
        self._channel, self.inbox = trio.open_memory_channel[Arrival](capacity)

    def close(self) -> None:
        """Nothing new begins: when all that waits has been taken, the inbox ends."""
        self._channel.close()

    def begins(self, member: Member, client: Client) -> None:
        """Carry the messages of a new client, until that ends."""
        self._nursery.start_soon(self._messages, member, client)

    async def _messages(self, member: Member, client: Client) -> None:
        try:
            async with (
                self._channel.clone() as channel,
                client.messages.subscribe(*self._types, overflow="drop_oldest") as inbox,
            ):
                async for message in inbox:
                    await channel.send(Received(member, client, message))
        except Exception as exc:  # of the client, which the member tells of; or the consumer has closed its end
            logger.debug("no more messages of %s: %r", member.jid, exc)

    async def listen(
        self, signal: Signal[Happened], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Carry events, from when this has started until there will be no more."""
        try:
            async with self._channel.clone() as channel, signal.subscribe(overflow="drop_oldest") as inbox:
                task_status.started()
                async for happened in inbox:
                    await channel.send(happened)
        except trio.BrokenResourceError:
            logger.debug("the consumer has closed the inbox of the fleet")
