"""The outgoing stanzas of a client that are not settled: which the store knows, and which wait for what.

A durable message outlives its session. If that ended with the message in flight, and the server did not say whether it
had it, the message is *unconfirmed*: the archive is asked before it is sent again. Meanwhile no durable message is
enqueued, since one that was posted later must not overtake it.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable
from typing import NamedTuple

import trio

from ... import xml
from ...errors import ElementError, ErroneousStanza, StoreError
from ...protocol import ns
from ...protocol.stanza import IQ, Message, Presence, parse_stanza
from ...stream.outbound.token import OutgoingStanza, StanzaState
from ...stream.session import SessionState
from ..store.storedsession import StoredStanza, Suspect
from .durable import PostedMessage

__all__ = ["JournalEntry", "OutboxChange", "OutboxJournal", "stored_stanza"]

_logger = logging.getLogger(__name__)

#: In how many sessions at most the archive is asked: the query itself may be what ends them.
MAX_SESSIONS_ASKED = 3


class JournalEntry:
    """One outgoing stanza."""

    __slots__ = ("data", "number", "posted", "recorded", "sent", "session", "stanza", "unconfirmed")

    def __init__(self, number: int, stanza: Message | Presence | IQ, posted: PostedMessage | None = None) -> None:
        self.number: int = number
        self.stanza: Message | Presence | IQ = stanza
        self.posted: PostedMessage | None = posted
        self.session: SessionState | None = None
        """The session that it is enqueued in. A durable message may wait for one."""
        self.sent: int | None = None
        self.data: bytes = b""
        self.unconfirmed: bool = False
        """It may have been sent in a session that is over, and whether the server has it is not known."""
        self.recorded: bool = False
        """Whether the store knows it."""

    def stored(self) -> StoredStanza:
        """As it is written down. Raises ValueError if it cannot be written as XML."""
        text = self.stanza.serialise() if self.sent is None else self.data.decode()
        return StoredStanza(self.number, text, self.sent, self.posted is not None, self.unconfirmed)

    @property
    def written(self) -> Message | Presence | IQ:
        """The stanza as it was written to a link, if that is known, else as it was enqueued, before the filters."""
        return stored_stanza(self.data.decode()) if self.data else self.stanza

    def forget_sending(self) -> None:
        """It was not sent, or shall be sent anew."""
        self.sent, self.data, self.unconfirmed = None, b"", False


class OutboxChange(NamedTuple):
    """Changes that the store does not know yet: new and changed entries, and the numbers of those that are gone."""

    put: dict[int, JournalEntry]
    drop: set[int]


class OutboxJournal:
    """The entries in the order of their numbers, and what has changed since something was written down."""

    def __init__(self) -> None:
        self._entries: dict[int, JournalEntry] = {}
        self._of_token: dict[OutgoingStanza, JournalEntry] = {}
        self._change = OutboxChange({}, set())
        self._set_aside: set[int] = set()
        """The numbers of stored stanzas that cannot be read."""
        self.suspect: Suspect | None = None
        """The stanza that may be to blame for the ends of links."""
        self._alone: JournalEntry | None = None
        """The message that is to be sent with nothing behind it."""
        self._given_up: dict[JournalEntry, Exception] = {}
        """The messages that are given up if their session ends, each with its error."""
        self._numbers = itertools.count(1)
        self._last_sent = 0
        self._times_asked = 0
        self._asked_in: SessionState | None = None
        self._reconciled = trio.Event()
        self._reconciled.set()

    # --- what there is

    def in_order(self) -> list[JournalEntry]:
        """All entries, in the order in which they were enqueued or posted."""
        return [self._entries[number] for number in sorted(self._entries)]

    @property
    def posted(self) -> tuple[PostedMessage, ...]:
        """The durable messages that the server does not have yet, in order."""
        return tuple(entry.posted for entry in self.in_order() if entry.posted is not None)

    @property
    def unconfirmed(self) -> list[JournalEntry]:
        """The durable messages of which it is not known whether the server has them, in order."""
        return [entry for entry in self.in_order() if entry.unconfirmed]

    def first_in_flight(self, session: SessionState) -> JournalEntry | None:
        """Return the first durable message that was written to a link of `session` and is not acknowledged.

        Without one, return the first stanza of any kind.
        """
        first = session.first_in_flight
        other = None if first is None else self._of_token.get(first)
        if self.is_reconciling(session):
            return other
        durable = (entry for entry in self.in_order() if entry.posted is not None and entry.sent is not None)
        return next(durable, other)

    def note_suspect(self, suspect: Suspect | None) -> None:
        """Remember which stanza may be to blame, if it is still there."""
        self.suspect = suspect if suspect is not None and suspect.number in self._entries else None

    @property
    def suspected(self) -> JournalEntry | None:
        """The entry of the `suspect`."""
        return None if self.suspect is None else self._entries.get(self.suspect.number)

    # --- what happens to a stanza

    def post(self, stanza: Message, session: SessionState | None) -> PostedMessage:
        """Take a durable message, and enqueue it in `session` if it need not wait."""
        posted = PostedMessage(stanza)
        entry = JournalEntry(next(self._numbers), stanza, posted)
        self._put(entry)
        if session is not None and session is not self._asked_in:
            self._enqueue(entry, session)
        return posted

    def enqueued(self, token: OutgoingStanza, session: SessionState) -> None:
        """Take note of a stanza that was enqueued in `session`."""
        entry = self._of_token.get(token)
        if entry is None:
            entry = JournalEntry(next(self._numbers), token.stanza)
        self._follow(entry, token, session)

    def sent(self, token: OutgoingStanza, data: bytes) -> None:
        """Take note of a stanza that is about to be sent as `data`."""
        entry = self._of_token.get(token)
        if entry is not None:
            self._last_sent = entry.sent = max(self._last_sent + 1, int(time.time() * 1e6))
            entry.data = data
            self._put(entry)

    def send_alone(self, entry: JournalEntry) -> None:
        """Send this message on the next link with nothing behind it, in this session or another one."""
        self._alone = entry
        for token, each in self._of_token.items():
            if each is entry and entry.session is not None:
                entry.session.suspect(token)

    def give_up(self, entry: JournalEntry, error: Exception) -> None:
        """Do not send this message again: it fails with `error`, if it waits for a session then when it gets one."""
        token = next((token for token, each in self._of_token.items() if each is entry), None)
        self._given_up[entry] = error
        if token is not None and entry.session is not None:
            entry.session.condemn(token, error)

    def _fail(self, entry: JournalEntry, error: Exception | None) -> None:
        self._forget(entry)
        if entry.posted is not None and not entry.posted.settled:
            entry.posted.settle(error)

    def arrived(self, entry: JournalEntry) -> None:
        """The server has this one, which was unconfirmed."""
        if entry.unconfirmed and entry.posted is not None and not entry.posted.settled:
            entry.unconfirmed = False
            self._forget(entry)
            entry.posted.settle(None)

    def _follow(self, entry: JournalEntry, token: OutgoingStanza, session: SessionState) -> None:
        entry.session = session
        self._of_token[token] = entry
        self._put(entry)
        token.watch(lambda state: self._changed(entry, token, session, state))

    def _changed(self, entry: JournalEntry, token: OutgoingStanza, session: SessionState, state: StanzaState) -> None:
        if state is StanzaState.SENT:
            return
        del self._of_token[token]
        given_up = self._given_up.pop(entry, None)
        if given_up is not None and _outlives(state, session):
            self._fail(entry, given_up)
        elif entry.posted is not None and _outlives(state, session):
            entry.session, entry.unconfirmed = None, state is StanzaState.SENT_WITHOUT_SM
            if not entry.unconfirmed:  # the server never had it
                entry.forget_sending()
            self._put(entry)
        else:
            self._fail(entry, token.exception)

    def _enqueue(self, entry: JournalEntry, session: SessionState) -> None:
        if entry in self._given_up:
            self._fail(entry, self._given_up[entry])
            return
        entry.forget_sending()
        token = OutgoingStanza(entry.stanza)
        self._of_token[token] = entry
        if entry is self._alone:
            session.suspect(token)
        session.enqueue(entry.stanza, token)

    # --- reconciling

    def is_reconciling(self, session: SessionState) -> bool:
        """Whether the archive is being asked in `session`, so that durable messages wait."""
        return self._asked_in is session

    async def wait_reconciled(self) -> None:
        """Wait until no durable message waits for the archive."""
        await self._reconciled.wait()

    def admit(self, session: SessionState) -> None:
        """Enqueue in `session` what waits for one, unless the archive is to be asked about some of it."""
        self._times_asked += 1
        if not self.unconfirmed or self._times_asked > MAX_SESSIONS_ASKED:
            self.reconciled(session)

    def begin_reconciling(self, session: SessionState) -> None:
        """Durable messages wait from now on, until they are `reconciled`."""
        self._asked_in = session
        self._reconciled.set()
        self._reconciled = trio.Event()

    def reconciled(self, session: SessionState) -> None:
        """The archive has answered in `session`, or will not: enqueue what waits."""
        if session is not self._asked_in:
            return
        if session.ended is None:
            self._times_asked = 0
            self._asked_in = None
            for entry in self.in_order():
                if entry.session is None:
                    self._enqueue(entry, session)
        self._asked_in = None
        self._reconciled.set()

    def stop_waiting(self, session: SessionState) -> None:
        """`session` will get no answer: no task need wait for it."""
        if session is self._asked_in:
            self._reconciled.set()

    # --- what is written down

    def restore(self, stanzas: Iterable[StoredStanza], session: SessionState | None) -> None:
        """Bring back what another process wrote down; into `session`, if that can be resumed."""
        everything = sorted(stanzas, key=lambda stored: (stored.sent is None, stored.sent, stored.number))
        first_unconfirmed = min((stored.number for stored in everything if stored.doubtful), default=None)
        for stored in everything:
            try:
                entry = JournalEntry(stored.number, stored_stanza(stored.xml))
            except StoreError as exc:
                # The other stanzas are of use without it; and a store that one entry spoils would be spoilt for ever.
                _logger.error("set aside stanza %d of the store: %s", stored.number, exc)
                self._set_aside.add(stored.number)
                continue
            entry.recorded = True
            if stored.durable:
                entry.posted = PostedMessage(entry.stanza)
            if stored.sent is not None:
                entry.sent, entry.data = stored.sent, stored.xml.encode()
            waits_behind = stored.sent is None and first_unconfirmed is not None and stored.number > first_unconfirmed
            if session is None or session.sm is None or stored.doubtful:
                # Without stream management the store does not know of the last stanza that was sent.
                entry.unconfirmed = stored.durable
                if not entry.data:
                    entry.data = stored.xml.encode()
                self._entries[entry.number] = entry
            elif stored.durable and waits_behind:
                self._entries[entry.number] = entry
            else:
                token = OutgoingStanza(entry.stanza)
                session.outgoing.restore(token, None if stored.sent is None else entry.data)
                self._follow(entry, token, session)
        self._change.put.clear()
        self._change.drop.update(self._set_aside)
        self._numbers = itertools.count(max((stored.number for stored in everything), default=0) + 1)
        self._last_sent = max((entry.sent or 0 for entry in self._entries.values()), default=0)

    def take_change(self, *, durable_only: bool) -> OutboxChange:
        """Take what the store does not know yet. If it cannot be written down, `give_back`."""
        change, self._change = self._change, OutboxChange({}, set())
        if durable_only:
            put = {number: entry for number, entry in change.put.items() if entry.posted is not None}
            return OutboxChange(put, change.drop)
        return change

    def give_back(self, change: OutboxChange) -> None:
        """Take back a change that was not written down."""
        self._change.drop.update(change.drop)
        for entry in change.put.values():
            if entry.number in self._entries:
                self._change.put[entry.number] = entry
            elif entry.recorded:
                self._change.drop.add(entry.number)

    def _put(self, entry: JournalEntry) -> None:
        self._entries[entry.number] = self._change.put[entry.number] = entry

    def _forget(self, entry: JournalEntry) -> None:
        del self._entries[entry.number]
        self._given_up.pop(entry, None)
        if entry is self._alone:
            self._alone = None
        if self.suspect is not None and self.suspect.number == entry.number:
            self.suspect = None
        self._change.put.pop(entry.number, None)
        if entry.recorded:
            self._change.drop.add(entry.number)


def _outlives(state: StanzaState, session: SessionState) -> bool:
    """Return whether a durable message in this state is to be sent in another session.

    Its session has ended, and the server is not known to have the message.
    """
    return session.ended is not None and state in (StanzaState.DISCONNECTED, StanzaState.SENT_WITHOUT_SM)


def stored_stanza(text: str) -> Message | Presence | IQ:
    """Return the stanza that was written down as `text`. Raises StoreError if it is damaged."""
    try:
        stanza = parse_stanza(xml.fromstring(f"<stored xmlns='{ns.CLIENT}'>{text}</stored>")[0])
    except (ElementError, ErroneousStanza, IndexError) as exc:
        raise StoreError(f"the stored session is damaged: {exc!r}") from exc
    if stanza is None:
        raise StoreError("the stored session is damaged: it holds an element in place of a stanza")
    return stanza
