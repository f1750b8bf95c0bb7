"""A client that sends and receives numbered messages, and keeps a tally of both."""

from __future__ import annotations

from collections.abc import Callable

import trio

from ... import JID, Client, Message, MessageType
from .ledger import Direction

__all__ = ["Talker"]


class Talker:
    """One of the two: says numbered messages to the other, and notes down those that come from there."""

    def __init__(
        self, client: Client, other: JID, *, says: Direction, hears: Direction, changed: Callable[[], None]
    ) -> None:
        self._client = client
        self._other = other
        self._says = says
        self._hears = hears
        self._changed = changed

    def say(self, padding: int = 0) -> None:
        """Send the next number, and `padding` characters more. Without a link the message waits."""
        body = f"{self._says.sent + 1} {'.' * padding}"
        token = self._client.enqueue(Message(to=self._other, type=MessageType.CHAT, body=body))
        self._says.tokens.append(token)
        self._changed()

    async def talk(self, pace: float, over: trio.Event) -> None:
        """Say a number every `pace` seconds until it is `over`, link or no link."""
        while not over.is_set():
            self.say()
            await trio.sleep(pace)

    async def listen(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Note down the numbers that arrive, until cancelled."""
        async with self._client.messages.subscribe(MessageType.CHAT, from_=self._other) as inbox:
            task_status.started()
            async for message in inbox:
                self._hears.arrivals.append(int((message.body or "").split()[0]))
                self._changed()
