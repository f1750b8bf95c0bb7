"""Writes a session into a store while it lives, and brings it back to life in another process.

The order in which things are written down is what makes it safe: a stanza before its bytes are offered to the
transport, so that the server never counts one that the store does not know; the count of what we handled before the
server is told, so that it never forgets one that the store would ask for again. Both are one and the same moment:
before the writer sends a batch it has everything written down that is new. So the cost is one write for each batch.

A token is written down before it is used, and that it was (XEP-0484): what else is new of the login goes along with the
session that came of it, for until the new token is used the one before is still good.
"""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio

from ...errors import StoreError
from ...jid import JID
from ...protocol.sm import Enabled, StreamManagement
from ...protocol.stanza import Message
from ...record import record, replace
from ...stream.lifecycle import Lifecycle
from ...stream.session import Session
from ...stream.stanzastream import StanzaStream
from ...stream.token import StanzaState, StanzaToken
from ..dial import Dialler
from ..durable import Posted
from .entries import Entries, Entry, stored_stanza
from .head import Head, resumable
from .login import Login
from .ticket import Change, PendingRequest, SessionStore, StoredStanza, Ticket

__all__ = ["Recorder", "Restored"]

logger = logging.getLogger(__name__)


@record
class Restored:
    """What a process found in its store.

    `resumed` tells whether the session of the process before goes on. `tokens` follow the stanzas that the server had
    not acknowledged to it, in order: if the session goes on, they are under way; if not, they are settled, and those
    that are durable are sent in the new session. `orphaned` are the requests whose replies nobody waits for any more.
    """

    jid: JID
    resumed: bool
    tokens: tuple[StanzaToken, ...]
    orphaned: tuple[PendingRequest, ...]


class Recorder(Entries):
    """The journal of one client: what there is to be written down, and what of it has been."""

    def __init__(self, store: SessionStore, lifecycle: Lifecycle, dialler: Dialler, jid: JID) -> None:
        super().__init__(lifecycle)
        self._store = store
        self._dialler = dialler
        self._jid = jid.bare
        self._now = time.time
        self.jid: JID | None = None
        """The full JID that is bound."""
        self.restored: Restored | None = None
        self._frozen = False
        self._turn = trio.Lock()
        self._numbers = itertools.count(1)
        self._last_sent = 0
        self._login = Login()
        """As it is to be written down."""
        # What has been written down, and when.
        self._written: Head | None = None
        self._saved = 0.0

    async def load(self) -> Session | None:
        """The session that is in the store, to be resumed; None if there is none. Raises StoreError."""
        ticket = await self._store.load()
        if ticket is None:
            return None
        if ticket.jid.bare != self._jid:
            if ticket.has_session:
                raise StoreError(f"the session in the store is one of {ticket.jid.bare}, not of {self._jid}")
            return None  # how somebody else logs in is of no use
        self._written, self._saved, self._login = Head.written(ticket), ticket.saved, ticket.login
        self._dialler.recall(ticket.login)
        if not ticket.has_session:
            return None
        self.jid = ticket.jid
        session = self._restore(ticket)
        tokens = () if session is None else tuple(session.unsettled())
        self.restored = Restored(ticket.jid, session is not None, tokens, ticket.requests)
        for request in ticket.requests:
            logger.warning("nobody waits any more for the reply of %s to request %r", request.to, request.id)
        return session

    def not_resumed(self) -> None:
        """The server would not have it."""
        if self.restored is not None:
            self.restored = replace(self.restored, resumed=False)

    async def token_used(self) -> None:
        """A token is about to be used: it, and how often it was, must be known to whoever comes after us."""
        if self._written is None or self._written.login.token != self._dialler.login.token:
            await self.logged_in()

    async def logged_in(self) -> None:
        """Write down what the login was like, too."""
        self._login = self._dialler.login
        await self.commit()

    async def established(self) -> None:
        """There is a new session: write it down. What is durable and waits for one goes into it, in order; behind what
        is in doubt, once that is settled.
        """
        self.admit()
        await self.logged_in()

    async def post(self, stanza: Message, *, ready: bool) -> Posted:
        """Write down a durable stanza, and have it sent, in this session if it is `ready`."""
        self._check()
        stanza.serialise()  # or it would turn out only now and then, in another process perhaps, that it cannot be sent
        posted = Posted(stanza)
        entry = Entry(next(self._numbers), stanza, posted)
        self._entries[entry.number] = self._put[entry.number] = entry
        if ready and not self.questioning:
            self._enqueue(entry)
        await self.commit()
        return posted

    def enqueued(self, token: StanzaToken, session: Session) -> None:
        """Take note of a stanza that was enqueued in `session`."""
        entry = self._posting.pop(token, None)
        if entry is None:
            entry = Entry(next(self._numbers), token.stanza)
        entry.session = session
        self._follow(entry, token)

    async def commit(self) -> None:
        """Write down what is new, if anything is. If that fails, or is cancelled, it is still new."""
        async with self._turn:
            if self._frozen:
                return
            session = self._lifecycle.session
            head = Head.of(session, self._login)
            if self._written is None or self._written.id != head.id:
                await self._save(session)
            else:
                await self._update(head, self._written)

    async def keep(self) -> None:
        """Write down what is new, and leave it at that: somebody else may go on with the session."""
        try:
            await self.logged_in()
        except StoreError as exc:
            logger.error("what the store knows of the session is out of date: %s", exc)
        self._freeze()

    async def finish(self) -> None:
        """The session is over: only durable stanzas stay, and how to log in."""
        async with self._turn:
            if self._frozen:
                return
            self._freeze()
            self._login = self._dialler.login
            if self._login != Login() or any(entry.posted is not None for entry in self._entries.values()):
                await self._save(Session())
            else:
                await self._store.clear()

    def _freeze(self) -> None:
        """From now on nothing changes what is written down."""
        self._frozen = True
        for posted in self.posted:
            posted._settle(ConnectionError("the client was closed before the server had it; the store keeps it"))

    def _check(self) -> None:
        if self._frozen:
            raise self._lifecycle.session.ended or ConnectionError("the client was closed")

    def _follow(self, entry: Entry, token: StanzaToken) -> None:
        self._entries[entry.number] = self._put[entry.number] = entry
        token._watch(lambda state: self._changed(entry, token, state))

    def _changed(self, entry: Entry, token: StanzaToken, state: StanzaState) -> None:
        session = entry.session
        assert session is not None
        if state is StanzaState.SENT:
            assert session.sm is not None
            self._last_sent = entry.sent = max(self._last_sent + 1, int(self._now() * 1e6))
            entry.data = session.sm.unacked[-1][1]
            self._put[entry.number] = entry
        elif entry.posted is not None and _outlives(state, session):
            entry.session, entry.doubtful = None, state is StanzaState.SENT_WITHOUT_SM
            if not entry.doubtful:  # the server never had it
                entry.sent, entry.data = None, b""
            self._put[entry.number] = entry
        else:
            self._forget(entry)
            if entry.posted is not None and not entry.posted.settled:
                entry.posted._settle(token.exception)

    async def _save(self, session: Session) -> None:
        """Write down all there is."""
        ticket = self._snapshot(session)
        put, self._put, drop, self._drop = self._put, {}, self._drop, set()
        try:
            await self._store.save(ticket)
        except BaseException:
            self._still_new(put.values(), drop)
            raise
        self._written, self._saved = Head.written(ticket), ticket.saved

    async def _update(self, head: Head, before: Head) -> None:
        """Write down what has changed."""
        if head.id is None:
            self._put = {number: entry for number, entry in self._put.items() if entry.posted is not None}
        is_alive = bool(self._put or self._drop) or head.counts != before.counts
        if not is_alive and head == before:
            return
        put, self._put, drop, self._drop = self._put, {}, self._drop, set()
        change = Change(
            self._now() if is_alive else self._saved,  # there may be no link just now
            *head.counts,
            put=tuple(_stored(put.values())),
            drop=tuple(sorted(drop)),
            requests=None if head.requests == before.requests else head.requests,
            login=None if head.login == before.login else head.login,
        )
        try:
            await self._store.update(change)
        except BaseException:
            self._still_new(put.values(), drop)
            raise
        self._written, self._saved = head, change.saved

    def _still_new(self, put: Iterable[Entry], drop: set[int]) -> None:
        self._drop |= drop
        for entry in put:
            if entry.number in self._entries:
                self._put[entry.number] = entry
            elif entry.recorded:
                self._drop.add(entry.number)

    def _snapshot(self, session: Session) -> Ticket:
        head, management = Head.of(session, self._login), resumable(session)
        granted = Enabled() if management is None else management.granted
        entries = [e for e in self._in_order() if e.posted is not None or (management and e.session is session)]
        return Ticket(
            self.jid or self._jid,
            self._now(),
            head.id,
            *head.counts,
            max=granted.max,
            location=granted.location,
            stanzas=tuple(_stored(entries)),
            requests=head.requests,
            login=head.login,
        )

    def _restore(self, ticket: Ticket) -> Session | None:
        session = Session(journal=self)
        if ticket.id is not None:
            granted = Enabled(id=ticket.id, resumable=True, max=ticket.max, location=ticket.location)
            session.sm = StreamManagement(granted, ticket.handled, ticket.base)
            session.established = True
        first_in_doubt = min((each.number for each in ticket.stanzas if each.doubtful), default=math.inf)
        for stored in sorted(ticket.stanzas, key=lambda each: (each.sent is None, each.sent, each.number)):
            entry = Entry(stored.number, stored_stanza(stored.xml))
            entry.recorded = True
            if stored.durable:
                entry.posted = Posted(entry.stanza)
            if session.sm is None or stored.doubtful:
                # Without stream management the store does not know of the last that was sent.
                entry.doubtful = stored.durable
                entry.sent, entry.data = stored.sent, stored.xml.encode()
                self._entries[entry.number] = entry  # waits for a session
                continue
            if stored.durable and stored.sent is None and stored.number > first_in_doubt:
                self._entries[entry.number] = entry  # waits behind it
                continue
            entry.session = session
            token = StanzaToken(entry.stanza)
            if stored.sent is None:
                session.outbox.put(token)
            else:
                entry.sent, entry.data = stored.sent, stored.xml.encode()
                session.sm.sent((token, entry.data))
                token._set_state(StanzaState.SENT)
            self._follow(entry, token)
        self._put.clear()
        self._numbers = itertools.count(max((each.number for each in ticket.stanzas), default=0) + 1)
        self._last_sent = max((each.sent or 0 for each in ticket.stanzas), default=0)
        if session.sm is None:
            return None
        if self.in_doubt:
            self._ask(session)
        return session


@asynccontextmanager
async def recording(
    store: SessionStore | None, stream: StanzaStream, dialler: Dialler, jid: JID
) -> AsyncIterator[Recorder | None]:
    """A block around the life of `stream` in which its sessions are in `store`, and what `dialler` knows of logins;
    nothing at all without one."""
    if store is None:
        yield None
        return
    lifecycle = stream._lifecycle
    recorder = Recorder(store, lifecycle, dialler, jid)
    try:
        session = await recorder.load()
        dialler.keep = recorder.token_used
        lifecycle.journal = recorder
        lifecycle.session = session or Session(journal=recorder)
        # The server sends again at once what was not finished: before the application can say what it wants.
        stream.messages.keep_waiting()
        try:
            yield recorder
        finally:
            with trio.CancelScope(shield=True):
                await recorder.finish()
    finally:
        with trio.CancelScope(shield=True):
            await store.aclose()


def _outlives(state: StanzaState, session: Session) -> bool:
    """Whether a durable stanza, in this state, has to be sent in another session: this one ended, and the server is not
    known to have it.
    """
    return session.ended is not None and state in (StanzaState.DISCONNECTED, StanzaState.SENT_WITHOUT_SM)


def _stored(entries: Iterable[Entry]) -> Iterable[StoredStanza]:
    for entry in entries:
        try:
            yield entry.stored()
            entry.recorded = True
        except Exception:
            # It cannot be written as XML, so it will not be sent, as its token will tell.
            logger.debug("cannot write down %r", entry.stanza)
