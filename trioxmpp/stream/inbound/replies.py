"""The answers that we wait for: which IQ result or error goes to whom."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import trio

from ...errors import ErroneousStanza
from ...jid import JID
from ...protocol.stanza import IQ, IQType, ReplyKey, reply_key

__all__ = ["DISREGARDED", "ReplyTable", "ReplyWaiter"]

_ERROR = IQType.ERROR

#: The number of requests whose replies are ignored, if they come, without a warning. The newest are remembered.
DISREGARDED: Final = 256


class ReplyWaiter:
    """Waits for the one reply to one request.

    As a context manager it listens from entering the block to leaving it: a reply that comes later is ignored.
    """

    def __init__(self, table: ReplyTable, key: ReplyKey, on_reply: Callable[[IQ], None] | None = None) -> None:
        self._table = table
        self._key = key
        self._on_reply = on_reply
        self._reply: IQ | None = None
        self._error: Exception | None = None
        self._settled = trio.Event()

    @property
    def settled(self) -> bool:
        """Whether there is a reply, or the certainty that there will be none."""
        return self._settled.is_set()

    async def wait(self) -> IQ:
        """The result, as the stanza that arrived.

        Raises the `XMPPError` of an error reply, `ErroneousStanza` if a reply arrived but could not be understood,
        ConnectionError when the session ended first, and RuntimeError if the waiter does not listen any more.
        Cancelling leaves the waiter as it is; call again to go on.
        """
        await self._settled.wait()
        return self.result()

    async def wait_settled(self) -> None:
        """Wait until there is a reply, or the certainty that there will be none. Cancelling changes nothing."""
        await self._settled.wait()

    def result(self) -> IQ:
        """Return or raise as `wait` does, once it is settled."""
        if self._error is not None:
            raise self._error
        assert self._reply is not None
        if self._reply.type is _ERROR:
            assert self._reply.error is not None
            raise self._reply.error
        return self._reply

    def resolve(self, reply: IQ) -> None:
        """The reply is here."""
        self._reply = reply
        self._table.discard(self)
        if self._on_reply is not None:
            try:
                self._on_reply(reply)
            except Exception as exc:
                self._error = exc
        self._settled.set()

    def fail(self, error: Exception) -> None:
        """There will be no reply. Nothing happens if there was one."""
        if not self._settled.is_set():
            self._error = error
            self._table.discard(self)
            self._settled.set()

    def cancel(self) -> None:
        """Listen no more. The key is free again; a task that still waits is told. Nothing happens if it is settled."""
        if not self.settled:
            self.fail(RuntimeError("this waiter does not listen any more"))
            self._table.disregard(self._key, awaited=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()


class ReplyTable:
    """The requests of one session that have no reply yet, by peer and id. `ended` is why there will be no replies.

    The client may have sent a request for whose reply no task waits: its caller gave up, or never wanted the reply, or
    was a process that is gone. Such a reply is *disregarded*: the client has asked for it, so it is not unexpected.
    A caller that gave up may be told that it did so too soon: that reply is late.
    """

    def __init__(self, ended: Exception | None = None) -> None:
        self._waiters: dict[ReplyKey, ReplyWaiter] = {}
        # The oldest first; whether a task has waited for the reply.
        self._disregarded: dict[ReplyKey, bool] = {}
        self.ended: Exception | None = ended

    def __len__(self) -> int:
        return len(self._waiters)

    def expect(
        self,
        to: JID | None,
        id: str,
        local_jid: JID | None,
        on_reply: Callable[[IQ], None] | None = None,
        *,
        own: JID | None = None,
    ) -> ReplyWaiter:
        """Listen for the reply to a request with this recipient and id. ValueError if another waiter does already.

        `own` is which of our addresses asks, if the stream is that of a component.
        """
        key = reply_key(to, id, local_jid, own)
        if key in self._waiters:
            raise ValueError(f"only one listener allowed for replies from {to} with id {id!r}")
        waiter = ReplyWaiter(self, key, on_reply)
        if self.ended is None:
            self._waiters[key] = waiter
        else:
            waiter.fail(self.ended)
        return waiter

    def pending(self) -> list[ReplyKey]:
        """The peers and ids of the replies that are missing, the oldest first."""
        return list(self._waiters)

    def expects(self, to: JID | None, id: str, local_jid: JID | None, *, own: JID | None = None) -> bool:
        """Whether a waiter listens for the reply to a request with this recipient and id."""
        return reply_key(to, id, local_jid, own) in self._waiters

    def deliver(
        self, reply: IQ, local_jid: JID | None, malformed: ErroneousStanza | None = None, *, own: JID | None = None
    ) -> bool:
        """Give `reply` to the task that waits for it, as an error if it is `malformed`. Return whether one does."""
        assert reply.id is not None
        waiter = self._waiters.get(reply_key(reply.from_, reply.id, local_jid, own))
        if waiter is None:
            return False
        if malformed is not None:
            waiter.fail(malformed)
        else:
            waiter.resolve(reply)
        return True

    def disregard(self, key: ReplyKey, *, awaited: bool = False) -> None:
        """Ignore the one reply to this request, which the client has sent. Nothing happens if a task waits for it.

        `awaited`: a task has waited for it, and gave up.
        """
        if self.ended is not None or key in self._waiters:
            return
        self._disregarded.pop(key, None)
        self._disregarded[key] = awaited
        if len(self._disregarded) > DISREGARDED:
            del self._disregarded[next(iter(self._disregarded))]

    def ignore(self, reply: IQ, local_jid: JID | None, *, own: JID | None = None) -> bool | None:
        """Take note of a reply that was not delivered. Return whether it is late; None if it is not disregarded.

        A second reply to the same request is not disregarded.
        """
        assert reply.id is not None
        return self._disregarded.pop(reply_key(reply.from_, reply.id, local_jid, own), None)

    def fail_all(self, error: Exception) -> None:
        """The session is over: there will be no replies any more."""
        self.ended = error
        for waiter in list(self._waiters.values()):
            waiter.fail(error)

    def discard(self, waiter: ReplyWaiter) -> None:
        """Forget `waiter`, if it is still known."""
        if self._waiters.get(waiter._key) is waiter:
            del self._waiters[waiter._key]
