"""What a client can do so that something outlives it: with a store, messages and the session itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

import trio

from ..protocol.stanza import Message
from ..stream.ids import new_id
from .durable import Posted
from .store.recorder import Recorder, Restored

__all__ = ["Outliving"]


class Outliving(ABC):
    """The part of a `Client` that needs ``connect(store=...)``."""

    _recorder: Recorder | None = None
    _suspend: Callable[[], Awaitable[None]] | None = None

    @property
    @abstractmethod
    def established(self) -> bool:
        """Whether stanzas can be enqueued."""

    async def post(self, message: Message) -> Posted:
        """Have `message` sent, and survive: it is written down before this returns, and kept until the server has it.

        It is sent in this session or, if that ends before the server has acknowledged it, in the next one, be it that
        of another process, always with the same id: what the server says that it never had is sent once more. If it
        does not say, its archive is asked first (XEP-0313); if that does not have it either, or there is none, it is
        sent once more, and then the recipient may get it twice, and can tell by the id (which is in an
        ``<origin-id/>``, too, XEP-0359). While there is no session it waits, as it does while the archive is asked what
        became of one before it. ``await posted`` waits until the server has it.

        Needs ``connect(store=...)``, RuntimeError otherwise. Raises ValueError if the message is not valid, and
        `StoreError` if it cannot be written down. If cancelled, it may be sent all the same.
        """
        from ..protocol.elements.stanza_ids import OriginId  # few need it

        if self._recorder is None:
            raise RuntimeError("what is posted must survive: connect(store=...) says where to keep it")
        message.validate()
        message.id = message.id or new_id()
        if message.get(OriginId) is None:
            message.payloads.append(OriginId(id=message.id))
        return await self._recorder.post(message, ready=self.established)

    @property
    def posted(self) -> tuple[Posted, ...]:
        """What was posted, here or by processes before, and the server does not have yet, in order."""
        return () if self._recorder is None else self._recorder.posted

    @property
    def restored(self) -> Restored | None:
        """What the store held when we connected; None if that was nothing."""
        return None if self._recorder is None else self._recorder.restored

    async def _answered(self) -> None:
        """Wait until nothing that was posted waits for what the archive has to say. A checkpoint in any case."""
        await trio.lowlevel.checkpoint()
        if self._recorder is not None:
            await self._recorder.answered()

    async def suspend(self) -> None:
        """Leave the session to another process: write all down, and drop the link without a word.

        What is not acknowledged yet, and what is still queued, goes with it. The client is of no more use, here; what
        it raises from now on says so. Without a session that can be resumed, only what was posted stays. RuntimeError
        without ``connect(store=...)``. If cancelled, it is suspended all the same.
        """
        if self._recorder is None or self._suspend is None:
            raise RuntimeError("there is nowhere to leave the session: connect(store=...) says where")
        await self._suspend()
