"""Messages that outlive their session: `Client.post` gives one, and the store keeps it until the server has it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import trio

from ...protocol.stanza import IQ, Message, Presence

__all__ = ["DurableMessage", "PostedMessage"]


class DurableMessage:
    """A durable message. ``await message`` waits until the server has it, through as many sessions as it takes.

    `stanza` is what was posted, with its id. Cancelling the waiting retracts nothing.
    """

    def __init__(self, stanza: Message | Presence | IQ) -> None:
        self.stanza = stanza
        self._exception: Exception | None = None
        self._settled = trio.Event()

    def __repr__(self) -> str:
        state = "waiting" if not self.settled else "delivered" if self.delivered else "failed"
        return f"<DurableMessage {state}: {self.stanza!r}>"

    @property
    def exception(self) -> Exception | None:
        """Why it can never be sent: a filter dropped it, or it cannot be written as XML. None otherwise."""
        return self._exception

    @property
    def settled(self) -> bool:
        """Whether nothing will change any more."""
        return self._settled.is_set()

    @property
    def delivered(self) -> bool:
        """Whether the server has it. Without stream management: whether it was written."""
        return self.settled and self._exception is None

    def __await__(self) -> Generator[Any, Any, None]:
        return self._delivered().__await__()

    async def _delivered(self) -> None:
        await self._settled.wait()
        if self._exception is not None:
            raise self._exception


class PostedMessage(DurableMessage):
    """The journal's end of a durable message: the journal alone settles it."""

    def settle(self, exception: Exception | None) -> None:
        """The server has the message, or it will never be sent because of `exception`."""
        self._exception = exception
        self._settled.set()
