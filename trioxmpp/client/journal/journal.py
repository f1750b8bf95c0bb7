"""Writes a session into a store while it lives, and brings it back to life in another process.

The order in which things are written down is what makes it safe: a stanza before its bytes are offered to the
transport, so that the server never counts one that the store does not know; the count of what we handled before the
server is told, so that the server never forgets one that the store would ask for again. Both are one and the same
moment: before the writer sends a batch it has everything written down that is new. So the cost is one write a batch.

A token is written down before it is used, together with its count (XEP-0484): what else is new of the login goes along
with the session that came of it, for until the new token is used the one before is still good.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio

from ...errors import StoreError
from ...jid import JID
from ...protocol.sm import Enabled, StreamManagement
from ...protocol.stanza import Message
from ...record import record, replace
from ...stream.attempts import ResumptionAttempts
from ...stream.outbound.token import OutgoingStanza, StanzaToken
from ...stream.session import SessionState
from ..store.login import Login
from ..store.storedsession import Change, PendingRequest, SessionStore, StoredSession, StoredStanza
from .durable import DurableMessage
from .outbox import JournalEntry, OutboxJournal
from .summary import SessionSummary, resumable

__all__ = ["MAX_UNANSWERED_RESUMPTIONS", "Restored", "SessionJournal", "open_journal"]

_logger = logging.getLogger(__name__)

#: A session is given up after this many requests in a row to resume it that the server did not answer, over processes.
MAX_UNANSWERED_RESUMPTIONS = 3


@record
class Restored:
    """The session that a process found in its store.

    `resumed` tells whether the session of the process before goes on. `tokens` follow the stanzas that the server had
    not acknowledged to it, in order: if the session goes on, they are under way; if not, they are settled, and the
    durable ones are sent in the new session. `orphaned` are the requests whose replies no task waits for any more.
    """

    jid: JID
    resumed: bool
    tokens: tuple[StanzaToken, ...]
    orphaned: tuple[PendingRequest, ...]


class SessionJournal:
    """Writes down the session of one client, and remembers what the store knows."""

    def __init__(self, store: SessionStore, jid: JID) -> None:
        self.outbox: OutboxJournal = OutboxJournal()
        """The outgoing stanzas, and the durable messages among them."""
        self.restored: Restored | None = None
        self._store = store
        self._account = jid.bare
        self._bound: JID | None = None
        self._frozen: Exception | None = None
        """Why nothing that is written down changes any more."""
        self._turn = trio.Lock()
        self._login = Login()
        """The state of logins as it is to be written down."""
        # The summary that was written down last, and when.
        self._written: SessionSummary | None = None
        self._saved = 0.0

    @property
    def login(self) -> Login:
        """The state of logins that is, or will be, written down."""
        return self._login

    @property
    def jid(self) -> JID | None:
        """The full JID that is bound in the session that is written down."""
        return self._bound

    async def load(self) -> SessionState | None:
        """Return the session that is in the store, to be resumed; None if there is none. Raises StoreError."""
        stored = await self._store.load()
        if stored is None:
            return None
        if stored.jid.bare != self._account:
            if stored.has_session:
                raise StoreError(f"the session in the store is one of {stored.jid.bare}, not of {self._account}")
            return None  # the logins of another account are of no use
        self._written, self._saved, self._login = SessionSummary.written(stored), stored.saved, stored.login
        if not stored.has_session:
            return None
        self._bound = stored.jid
        session = self._restore(stored)
        tokens = () if session is None else tuple(session.unsettled())
        self.restored = Restored(stored.jid, session is not None, tokens, stored.requests)
        for request in stored.requests:
            _logger.warning("no task waits any more for the reply of %s to request %r", request.to, request.id)
        return session

    def _restore(self, stored: StoredSession) -> SessionState | None:
        session, unanswered = None, stored.setbacks.unanswered
        if stored.id is not None and unanswered >= MAX_UNANSWERED_RESUMPTIONS:
            _logger.warning("the stored session is given up: the server did not answer %d requests for it", unanswered)
        elif stored.id is not None:
            session = SessionState(journal=self)
            session.attempts = ResumptionAttempts(stored.setbacks.vain_logins, unanswered)
            granted = Enabled(id=stored.id, resumable=True, max=stored.max, location=stored.location)
            session.manage(StreamManagement(granted, stored.handled, stored.base))
            session.established = True
            for request in stored.requests:
                session.replies.disregard((request.to, request.id, None))
        self.outbox.restore(stored.stanzas, session)
        self.outbox.note_suspect(stored.setbacks.suspect)
        if session is not None and self.outbox.unconfirmed:
            self.outbox.begin_reconciling(session)
        return session

    # --- what happens to a session

    def not_resumed(self) -> None:
        """The server did not resume the session of the process before."""
        if self.restored is not None:
            self.restored = replace(self.restored, resumed=False)

    def begins(self, session: SessionState, jid: JID) -> None:
        """A new session begins. Durable messages wait until its services have set it up."""
        self._bound = jid
        self.outbox.begin_reconciling(session)

    async def logged_in(self, session: SessionState, login: Login) -> None:
        """Write down the state of logins, too."""
        self._login = login
        await self.commit(session)

    async def save_token(self, session: SessionState, login: Login) -> None:
        """A token is about to be used: the next process must know it, and how often it was used."""
        if self._written is None or self._written.login.token != login.token:
            await self.logged_in(session, login)

    async def post(self, stanza: Message, session: SessionState, *, ready: bool) -> DurableMessage:
        """Write down a durable message, and have it sent: in `session` if it is `ready`, else in the next one."""
        if self._frozen is not None:
            raise self._frozen
        stanza.serialise()  # if that is impossible, the caller should learn it now
        posted = self.outbox.post(stanza, session if ready else None)
        await self.commit(session)
        return posted

    def enqueued(self, token: OutgoingStanza, session: SessionState) -> None:
        """A stanza was enqueued in `session`."""
        self.outbox.enqueued(token, session)

    def sent(self, token: OutgoingStanza, data: bytes) -> None:
        """A stanza is about to be sent with stream management."""
        self.outbox.sent(token, data)

    async def commit(self, session: SessionState) -> None:
        """Write down what is new in `session`. If that fails, or is cancelled, it is still new."""
        async with self._turn:
            if self._frozen is not None:
                return
            summary = SessionSummary.of(session, self._login, self.outbox.suspect)
            if self._written is None or self._written.id != summary.id:
                await self._save(session)
            else:
                await self._update(summary, self._written)

    async def keep(self, session: SessionState, login: Login) -> None:
        """Write down what is new, and change nothing any more: another process may go on with the session."""
        try:
            await self.logged_in(session, login)
        except StoreError as exc:
            _logger.error("what the store knows of the session is out of date: %s", exc)
        self._freeze(session.ended)

    async def finish(self, login: Login) -> None:
        """The session is over: only durable messages stay, and the state of logins."""
        async with self._turn:
            if self._frozen is not None:
                return
            self._freeze(None)
            self._login = login
            if self._login != Login() or self.outbox.posted:
                await self._save(SessionState())
            else:
                await self._store.clear()

    def _freeze(self, reason: Exception | None) -> None:
        self._frozen = reason or ConnectionError("the client was closed")
        for posted in self.outbox.posted:
            posted.settle(ConnectionError("the client was closed before the server had it; the store keeps it"))

    # --- writing

    async def _save(self, session: SessionState) -> None:
        """Write down all there is."""
        stored = self._snapshot(session)
        change = self.outbox.take_change(durable_only=False)
        try:
            await self._store.save(stored)
        except BaseException:
            self.outbox.give_back(change)
            raise
        self._written, self._saved = SessionSummary.written(stored), stored.saved

    async def _update(self, summary: SessionSummary, before: SessionSummary) -> None:
        """Write down what has changed."""
        outbox = self.outbox.take_change(durable_only=summary.id is None)
        is_alive = bool(outbox.put or outbox.drop) or summary.counts != before.counts
        if not is_alive and summary == before:
            return
        change = Change(
            time.time() if is_alive else self._saved,  # there may be no link just now
            *summary.counts,
            put=tuple(_stored(outbox.put.values())),
            drop=tuple(sorted(outbox.drop)),
            requests=None if summary.requests == before.requests else summary.requests,
            login=None if summary.login == before.login else summary.login,
            setbacks=None if summary.setbacks == before.setbacks else summary.setbacks,
        )
        try:
            await self._store.update(change)
        except BaseException:
            self.outbox.give_back(outbox)
            raise
        self._written, self._saved = summary, change.saved

    def _snapshot(self, session: SessionState) -> StoredSession:
        summary, management = SessionSummary.of(session, self._login, self.outbox.suspect), resumable(session)
        granted = Enabled() if management is None else management.granted
        entries = [
            entry
            for entry in self.outbox.in_order()
            if entry.posted is not None or (management and entry.session is session)
        ]
        return StoredSession(
            self._bound or self._account,
            time.time(),
            summary.id,
            *summary.counts,
            max=granted.max,
            location=granted.location,
            stanzas=tuple(_stored(entries)),
            requests=summary.requests,
            login=summary.login,
            setbacks=summary.setbacks,
        )


@asynccontextmanager
async def open_journal(store: SessionStore | None, jid: JID) -> AsyncIterator[SessionJournal | None]:
    """A block during which the store is in use, and the sessions of `jid` are written into it; None without a store."""
    if store is None:
        yield None
        return
    try:
        yield SessionJournal(store, jid)
    finally:
        with trio.CancelScope(shield=True):
            await store.aclose()


def _stored(entries: Iterable[JournalEntry]) -> Iterable[StoredStanza]:
    for entry in entries:
        try:
            yield entry.stored()
            entry.recorded = True
        except Exception:
            # It cannot be written as XML, so it will not be sent, as its token will tell.
            _logger.debug("cannot write down %r", entry.stanza)
