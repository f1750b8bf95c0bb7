"""All sessions of a server: how they begin, hibernate, are resumed, and end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence

import trio

from ...errors import StreamCondition, StreamError
from ...jid import JID
from .account import Account
from .acknowledgements import Delivery, ServerQueue
from .link import Link
from .policy import Policy
from .session import ServerSession

__all__ = ["NotResumed", "Sessions"]


class NotResumed(Exception):
    """A session cannot be resumed; `h` is its count, if the server still knows it."""

    def __init__(self, h: int | None) -> None:
        super().__init__(h)
        self.h = h


class Sessions(Mapping[str, ServerSession]):
    """The sessions by full JID, including hibernating ones, in the order in which they were bound.

    `on_end` is called with each session that has ended, and with the stanzas that its client has not acknowledged.
    """

    def __init__(
        self,
        policy: Policy,
        nursery: trio.Nursery,
        on_end: Callable[[ServerSession, Sequence[Delivery]], None],
        changed: Callable[[], object],
    ) -> None:
        self._policy = policy
        self._nursery = nursery
        self._on_end = on_end
        self._changed = changed
        self._by_jid: dict[str, ServerSession] = {}
        self._by_id: dict[str, ServerSession] = {}
        self._by_link: dict[Link, ServerSession] = {}
        self._timers: dict[str, trio.CancelScope] = {}

    def __getitem__(self, jid: str) -> ServerSession:
        return self._by_jid[jid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_jid)

    def __len__(self) -> int:
        return len(self._by_jid)

    def of(self, account: Account) -> list[ServerSession]:
        """Return the sessions of one account; the one that was bound last is at the end."""
        return [session for session in self._by_jid.values() if session.account is account]

    def on(self, link: Link) -> ServerSession | None:
        """Return the session that uses this link, if one was bound or resumed on it and did not go elsewhere since."""
        session = self._by_link.get(link)
        return None if session is None or session.link is not link else session

    def bind(self, link: Link, account: Account, resource: str | None) -> ServerSession:
        """Bind a new session. An old session with the same resource ends. Raises JIDError."""
        jid = str(JID.parse(account.jid).replace(resource=resource or secrets.token_hex(4)))
        if (old := self._by_jid.get(jid)) is not None:
            self.end(old, StreamError(StreamCondition.CONFLICT, "Replaced by new connection", by_us=True))
        policy = self._policy
        session = ServerSession(account, jid, link, history=policy.history, ack_requests=policy.ack_requests)
        self._by_jid[jid] = session
        self._by_link[link] = session
        self._changed()
        return session

    def enable_sm(self, session: ServerSession, *, resumable: bool, wish: float | None) -> ServerQueue:
        """Enable stream management; the session survives `wish` seconds without a link, within the server's limit."""
        limit = self._policy.hibernation
        patience = limit if wish is None else min(limit, wish)
        session.sm = ServerQueue(secrets.token_urlsafe(8), resumable, patience)
        self._by_id[session.sm.id] = session
        return session.sm

    def indicate(self, session: ServerSession, *, active: bool) -> None:
        """Note whether the client of a session is active (XEP-0352)."""
        session.active = active
        self._changed()

    def find(self, account: Account, previd: str) -> ServerSession | None:
        """Return the session with this stream management id, if it can be resumed."""
        session = self._by_id.get(previd)
        if session is None or session.account is not account or session.sm is None or not session.sm.resumable:
            return None
        return session

    def resume(self, link: Link, account: Account, previd: str, h: int) -> ServerSession:
        """Put a session on another link; an old link that it still has ends.

        Raises NotResumed, and StreamError for an impossible `h`; then the session stays as it was.
        """
        session = self.find(account, previd)
        if session is None or session.sm is None:
            raise NotResumed(account.recall(previd) if self._policy.resume_h_in_failed else None)
        session.sm.acknowledge(h)
        if session.link is not None:
            conflict = StreamError(StreamCondition.CONFLICT, "Resumed on another connection", by_us=True)
            session.link.end(conflict, keep_session=True)
        self._stop_timer(session)
        session.link, self._by_link[link] = link, session
        session.resumptions += 1
        session.active = True  # each link begins active (XEP-0352 §5.2)
        self._changed()
        return session

    def link_lost(self, link: Link) -> None:
        """Let the session of a closed link hibernate, if it can be resumed, or end it."""
        session = self._by_link.pop(link, None)
        if session is not None and session.link is link:
            session.link = None
            if link.keep_session and session.sm is not None and session.sm.resumable:
                timer = self._timers[session.jid] = trio.CancelScope()
                self._nursery.start_soon(self._hibernate, session, session.sm.patience, timer)
            else:
                self.end(session)
        self._changed()

    async def _hibernate(self, session: ServerSession, patience: float, timer: trio.CancelScope) -> None:
        with timer:
            await trio.sleep(patience)
            self.end(session)

    def end(self, session: ServerSession, error: StreamError | None = None) -> None:
        """End a session that expires or is closed. Stanzas that the client has not acknowledged are rerouted.

        If it has a link, the stream is closed, with `error` if one is given.
        """
        self._remove(session, remember=True)
        if session.link is not None:
            link, session.link = session.link, None
            link.end(error)
        self._on_end(session, tuple(session.sm.unacked) if session.sm is not None else ())
        self._changed()

    def forget(self, session: ServerSession) -> None:
        """Forget a session as if it had never existed: its count and its unacknowledged stanzas are lost."""
        self._remove(session, remember=False)
        if session.link is not None:
            link, session.link = session.link, None
            link.reset()
        self._on_end(session, ())
        self._changed()

    def _remove(self, session: ServerSession, *, remember: bool) -> None:
        self._stop_timer(session)
        session.ended = True
        if self._by_jid.get(session.jid) is session:
            del self._by_jid[session.jid]
        if session.sm is not None:
            self._by_id.pop(session.sm.id, None)
            if remember and session.sm.resumable:
                session.account.remember(session.sm.id, session.sm.handled)

    def _stop_timer(self, session: ServerSession) -> None:
        if (timer := self._timers.pop(session.jid, None)) is not None:
            timer.cancel()
