"""What is written down of a session, and of what changes in it: values, and their form in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Protocol

from ...errors import StoreError
from ...jid import JID
from ...record import record

__all__ = ["VERSION", "Book", "Change", "PendingRequest", "SessionStore", "StoredStanza", "Ticket"]

#: Of the form. Who finds a higher one leaves it alone: it was written by a later trioxmpp.
VERSION = 1


@record
class StoredStanza:
    """One outgoing stanza that the server has not acknowledged.

    `number` tells the order in which they were enqueued, `sent` that in which they were sent, and when: in microseconds
    since the epoch (None: not yet). Of one that was sent, `xml` is what was written, else what was enqueued. A
    `durable` one outlives its session. A `doubtful` one has: nobody knows whether the server of that session had it.
    """

    number: int
    xml: str
    sent: int | None = None
    durable: bool = False
    doubtful: bool = False


@record
class PendingRequest:
    """A request that was enqueued and had no reply yet. `to` None: our own account."""

    id: str
    to: JID | None


@record
class Ticket:
    """All that a new process needs to go on with a session (XEP-0198 §5).

    `jid` is the full JID that was bound, `id` the server's name for the session (None: there is nothing to resume, only
    durable stanzas wait), `handled` how many stanzas we may say that we handled, `base` how many of ours the server
    said that it did. `saved` is when this was written, in seconds since the epoch; the server keeps the session for
    `max` seconds from the loss of the link on, if it said so.
    """

    jid: JID
    saved: float
    id: str | None = None
    handled: int = 0
    base: int = 0
    max: int | None = None
    location: tuple[str, int | None] | None = None
    stanzas: tuple[StoredStanza, ...] = ()
    requests: tuple[PendingRequest, ...] = ()

    @property
    def expires(self) -> float | None:
        """When, at the earliest, the server gives the session up, if it said: the link broke after `saved`."""
        return None if self.max is None else self.saved + self.max

    def to_json(self) -> dict[str, Any]:
        """As what `json` can write."""
        fields = {"version": VERSION, **asdict(self), "jid": str(self.jid)}
        fields["stanzas"] = [_stanza_to_json(stanza) for stanza in self.stanzas]
        fields["requests"] = _requests_to_json(self.requests)
        return fields

    @classmethod
    def from_json(cls, said: Any) -> Ticket:
        """The other way round. Raises StoreError for what is damaged, or was written by a later version."""
        try:
            version = said["version"]
            if not isinstance(version, int) or version < 1:
                raise ValueError(f"version {version!r}")
            if version > VERSION:
                raise StoreError(
                    f"the session was stored in version {version} of the form, and this trioxmpp knows {VERSION}: "
                    "update it, or let the store be cleared by the program that wrote it"
                )
            fields = {name: said[name] for name in cls.__dataclass_fields__}
            location = fields["location"]
            return cls(
                **{
                    **fields,
                    "jid": JID.parse(fields["jid"]),
                    "location": None if location is None else (str(location[0]), location[1]),
                    "stanzas": tuple(_stanza_from_json(each) for each in fields["stanzas"]),
                    "requests": _requests_from_json(fields["requests"]),
                }
            )
        except (KeyError, IndexError, TypeError, ValueError) as exc:
            raise StoreError(f"the stored session is damaged: {exc!r}") from exc


@record
class Change:
    """What is new since the last time: to be written down as one, or not at all.

    Doing it again changes nothing. `put` are stanzas that came, or were sent, `drop` the numbers of those that went;
    `requests` is None if they are as they were.
    """

    saved: float
    handled: int
    base: int
    put: tuple[StoredStanza, ...] = ()
    drop: tuple[int, ...] = ()
    requests: tuple[PendingRequest, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """As what `json` can write, and as short as it can be: one of these is written with each batch of stanzas."""
        fields: dict[str, Any] = {"saved": self.saved, "handled": self.handled, "base": self.base}
        if self.put:
            fields["put"] = [_stanza_to_json(stanza) for stanza in self.put]
        if self.drop:
            fields["drop"] = self.drop
        if self.requests is not None:
            fields["requests"] = _requests_to_json(self.requests)
        return fields

    @classmethod
    def from_json(cls, said: Any) -> Change:
        """The other way round. Raises StoreError for what is damaged."""
        try:
            requests = said.get("requests")
            return cls(
                saved=said["saved"],
                handled=said["handled"],
                base=said["base"],
                put=tuple(_stanza_from_json(each) for each in said.get("put", ())),
                drop=tuple(said.get("drop", ())),
                requests=None if requests is None else _requests_from_json(requests),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise StoreError(f"the stored session is damaged: {exc!r}") from exc


class Book:
    """A ticket that changes are written into. Each takes time for what changes, not for all there is."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._requests = ticket.requests
        self._last: Change | None = None
        self._stanzas = {stanza.number: stanza for stanza in ticket.stanzas}

    def write(self, change: Change) -> None:
        """Make one change."""
        self._last = change
        for stanza in change.put:
            self._stanzas[stanza.number] = stanza
        for number in change.drop:
            self._stanzas.pop(number, None)
        if change.requests is not None:
            self._requests = change.requests

    @property
    def ticket(self) -> Ticket:
        """What is written in it now."""
        before, last = self._ticket, self._last or self._ticket
        return Ticket(
            jid=before.jid,
            saved=last.saved,
            id=before.id,
            handled=last.handled,
            base=last.base,
            max=before.max,
            location=before.location,
            stanzas=tuple(self._stanzas[number] for number in sorted(self._stanzas)),
            requests=self._requests,
        )


class SessionStore(Protocol):
    """Where a session is written down, so that another process can go on with it: `MemoryStore`, `FileStore`,
    `SQLiteStore`, or your own.

    One store holds one session at a time. Nothing is called while something else is running. When `save` or `update`
    returns, what it got has to be safe from whatever the store promises to survive; what was interrupted must have
    happened as a whole or not at all. Whatever goes wrong is raised as `StoreError`, and ends the client.
    """

    async def load(self) -> Ticket | None:
        """What was written down last; None if that is nothing. Called first, and once."""

    async def save(self, ticket: Ticket) -> None:
        """Write down `ticket` in place of all there is."""

    async def update(self, change: Change) -> None:
        """Write down what has changed: once for each batch of stanzas, so it had better be quick."""

    async def clear(self) -> None:
        """The session is over, and nothing waits: forget it."""

    async def aclose(self) -> None:
        """Nothing will be written any more until the next `load`."""


def dumps(fields: dict[str, Any]) -> str:
    """JSON in one line."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _stanza_to_json(stanza: StoredStanza) -> list[Any]:
    return [stanza.number, stanza.xml, stanza.sent, stanza.durable, stanza.doubtful]


def _stanza_from_json(said: Any) -> StoredStanza:
    number, text, sent, durable, doubtful = said
    if not (isinstance(number, int) and isinstance(text, str) and (sent is None or isinstance(sent, int))):
        raise ValueError("what should be a stanza is none")
    return StoredStanza(number, text, sent, bool(durable), bool(doubtful))


def _requests_to_json(requests: tuple[PendingRequest, ...]) -> list[Any]:
    return [[request.id, None if request.to is None else str(request.to)] for request in requests]


def _requests_from_json(said: Any) -> tuple[PendingRequest, ...]:
    return tuple(PendingRequest(str(id_), None if to is None else JID.parse(to)) for id_, to in said)
