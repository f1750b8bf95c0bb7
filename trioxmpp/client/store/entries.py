"""The outgoing stanzas of a client that are not settled, and which of the durable ones wait for what."""

from __future__ import annotations

import trio

from ... import xml
from ...errors import ElementError, ErroneousStanza, StoreError
from ...protocol import ns
from ...protocol.stanza import IQ, Message, Presence, parse_stanza
from ...stream.lifecycle import Lifecycle
from ...stream.session import Session
from ...stream.token import StanzaToken
from ..durable import Posted
from .ticket import StoredStanza

__all__ = ["Entries", "Entry", "stored_stanza"]

#: In so many sessions at most it is asked what became of a message. What ends each of them may be the question.
QUESTIONS = 3


class Entry:
    """One outgoing stanza."""

    __slots__ = ("data", "doubtful", "number", "posted", "recorded", "sent", "session", "stanza")

    def __init__(self, number: int, stanza: Message | Presence | IQ, posted: Posted | None = None) -> None:
        self.number = number
        self.stanza = stanza
        self.posted = posted
        self.session: Session | None = None
        """The one that it is enqueued in. A durable stanza may be waiting for one."""
        self.sent: int | None = None
        self.data = b""
        self.doubtful = False
        """It may have been sent in a session that is over, and nobody has said whether the server has it."""
        self.recorded = False
        """Whether the store knows it."""

    def stored(self) -> StoredStanza:
        """As it is written down. Raises ValueError if it cannot be written as XML."""
        text = self.stanza.serialise() if self.sent is None else self.data.decode()
        return StoredStanza(self.number, text, self.sent, self.posted is not None, self.doubtful)

    @property
    def written(self) -> Message | Presence | IQ:
        """What was written to a link, if that is known, else what was enqueued: filters come in between."""
        return stored_stanza(self.data.decode()) if self.data else self.stanza


class Entries:
    """Those that a `Recorder` looks after.

    While it is being asked whether the server has those in doubt, nothing durable is enqueued: what is behind them must
    not overtake them.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._entries: dict[int, Entry] = {}
        self._posting: dict[StanzaToken, Entry] = {}
        # What has changed since something was written down.
        self._put: dict[int, Entry] = {}
        self._drop: set[int] = set()
        self._questions = 0
        self._asked_in: Session | None = None
        self._answered = trio.Event()
        self._answered.set()

    @property
    def posted(self) -> tuple[Posted, ...]:
        """The durable messages that the server does not have yet, in order."""
        return tuple(entry.posted for entry in self._in_order() if entry.posted is not None)

    @property
    def in_doubt(self) -> list[Entry]:
        """The durable messages of which nobody knows whether the server has them, in order."""
        return [entry for entry in self._in_order() if entry.doubtful]

    @property
    def questioning(self) -> bool:
        """Whether what is in doubt keeps the others waiting in the session of now."""
        return self._asked_in is self._lifecycle.session

    async def answered(self) -> None:
        """Wait until nothing waits for an answer any more."""
        await self._answered.wait()

    def admit(self) -> None:
        """There is a new session: have what waits for one enqueued, or wait until it is `settled` what is in doubt."""
        self._ask(self._lifecycle.session)
        if not self.in_doubt or self._questions > QUESTIONS:
            self.settled(self._lifecycle.session)

    def arrived(self, entry: Entry) -> None:
        """The server has this one, which was in doubt."""
        if entry.doubtful and entry.posted is not None and not entry.posted.settled:
            entry.doubtful = False
            self._forget(entry)
            entry.posted._settle(None)

    def settled(self, session: Session) -> None:
        """The question that was asked in `session` has its answer, or will have none: what waits is enqueued."""
        if session is not self._asked_in:
            return
        if self.questioning and session.ended is None:
            self._questions = 0
            for entry in self._in_order():
                if entry.session is None:
                    self._enqueue(entry)
        self._asked_in = None
        self._answered.set()

    def abandoned(self, session: Session) -> None:
        """Nobody asks any more in `session`, whatever came of it: who waits for an answer need not."""
        if session is self._asked_in:
            self._answered.set()

    def _ask(self, session: Session) -> None:
        self._questions += 1
        self._asked_in = session
        self._answered.set()
        self._answered = trio.Event()

    def _in_order(self) -> list[Entry]:
        return [self._entries[number] for number in sorted(self._entries)]

    def _enqueue(self, entry: Entry) -> None:
        entry.sent, entry.data, entry.doubtful = None, b"", False
        token = StanzaToken(entry.stanza)
        self._posting[token] = entry
        self._lifecycle.session.enqueue(entry.stanza, token)

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.number]
        self._put.pop(entry.number, None)
        if entry.recorded:
            self._drop.add(entry.number)


def stored_stanza(text: str) -> Message | Presence | IQ:
    """The stanza that was written down as `text`. Raises StoreError if it is none."""
    try:
        stanza = parse_stanza(xml.fromstring(f"<stored xmlns='{ns.CLIENT}'>{text}</stored>")[0])
    except (ElementError, ErroneousStanza, IndexError) as exc:
        raise StoreError(f"the stored session is damaged: {exc!r}") from exc
    if stanza is None:
        raise StoreError("the stored session is damaged: what should be a stanza is none")
    return stanza
