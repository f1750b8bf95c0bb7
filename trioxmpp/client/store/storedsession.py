"""The values that are written down of a session and of logins, and their form in JSON."""

from __future__ import annotations

import enum
import json
from typing import Any, Protocol

from ...errors import StoreError
from ...jid import JID
from ...record import field, record, replace
from .jsonvalues import counter, flag, listed, optional, real, text, whole
from .login import Login

__all__ = [
    "VERSION",
    "Change",
    "PendingRequest",
    "SessionStore",
    "Setbacks",
    "StoredSession",
    "StoredSessionState",
    "StoredStanza",
    "Suspect",
    "SuspectStage",
]

#: The version of the form. A higher one was written by a later trioxmpp, and is left alone. Version 1 had no `Login`.
VERSION = 2


@record
class StoredStanza:
    """One outgoing stanza that the server has not acknowledged.

    `number` tells the order in which they were enqueued, `sent` that in which they were sent, and when: in microseconds
    since the epoch (None: not yet). Of one that was sent, `xml` is what was written, else what was enqueued. A
    `durable` one outlives its session. A `doubtful` one has, and it is not known whether the
    server of that session had it.
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


class SuspectStage(enum.IntEnum):
    """The steps from a suspicion to a verdict."""

    SUSPECTED = 0
    SENT_ALONE = 1
    GIVEN_UP = 2


@record
class Suspect:
    """The stanza with this `number` was the first one in flight at `ends` ends of links in a row.

    `weight` is the weight of these ends: some say more than others.
    """

    number: int
    ends: int
    weight: int
    stage: SuspectStage = SuspectStage.SUSPECTED


@record
class Setbacks:
    """The failures in a row that count over processes: the next one does not begin anew, and not for ever.

    `vain_logins` is the number of logins in a row that led to nothing, and along with which the server was asked to
    resume the session; `unanswered` is that of the attempts in a row in which it was asked after the login.
    """

    vain_logins: int = 0
    unanswered: int = 0
    suspect: Suspect | None = None

    def to_json(self) -> list[Any]:
        """As what `json` can write."""
        suspect = self.suspect
        values = None if suspect is None else [suspect.number, suspect.ends, suspect.weight, suspect.stage]
        return [self.vain_logins, self.unanswered, values]

    @classmethod
    def from_json(cls, value: Any) -> Setbacks:
        """The other way round. Raises ValueError or TypeError for what is damaged."""
        vain_logins, unanswered, suspect = value
        return cls(whole(vain_logins), whole(unanswered), optional(_suspect, suspect))


@record
class StoredSession:
    """All that a new process needs to go on with a session (XEP-0198 §5), and to get in without one.

    `jid` is the full JID that was bound, `id` the server's name for the session (None: there is nothing to resume, but
    durable stanzas may wait), `handled` how many stanzas we may say that we handled, `base` how many of ours the server
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
    login: Login = field(default_factory=Login)
    setbacks: Setbacks = Setbacks()

    @property
    def has_session(self) -> bool:
        """Whether there is something of a session: one to be resumed, or stanzas that wait for one."""
        return self.id is not None or bool(self.stanzas)

    @property
    def expires(self) -> float | None:
        """When, at the earliest, the server gives the session up, if it said so: the link broke after `saved`."""
        return None if self.max is None else self.saved + self.max

    def to_json(self) -> dict[str, Any]:
        """As what `json` can write."""
        return {
            "version": VERSION,
            "jid": str(self.jid),
            "saved": self.saved,
            "id": self.id,
            "handled": self.handled,
            "base": self.base,
            "max": self.max,
            "location": self.location,
            "stanzas": [_stanza_to_json(stanza) for stanza in self.stanzas],
            "requests": _requests_to_json(self.requests),
            "login": self.login.to_json(),
            "setbacks": self.setbacks.to_json(),
        }

    @classmethod
    def from_json(cls, value: Any) -> StoredSession:
        """The other way round. Raises StoreError for what is damaged, or was written by a later version."""
        try:
            version = value["version"]
            if not isinstance(version, int) or version < 1:
                raise ValueError(f"version {version!r}")
            if version > VERSION:
                raise StoreError(
                    f"the session was stored in version {version} of the form, and this trioxmpp knows {VERSION}: "
                    "update it, or let the store be cleared by the program that wrote it"
                )
            return cls(
                jid=JID.parse(text(value["jid"])),
                saved=real(value["saved"]),
                id=optional(text, value["id"]),
                handled=counter(value["handled"]),
                base=counter(value["base"]),
                max=optional(whole, value["max"]),
                location=optional(_location, value["location"]),
                stanzas=listed(_stanza_from_json, value["stanzas"]),
                requests=listed(_request_from_json, value["requests"]),
                login=Login() if version == 1 else Login.from_json(value["login"]),
                setbacks=Setbacks.from_json(value.get("setbacks", [0, 0, None])),  # earlier processes wrote none
            )
        except (KeyError, IndexError, TypeError, ValueError) as exc:
            raise StoreError(f"the stored session is damaged: {exc!r}") from exc


@record
class Change:
    """The changes since the last time: to be written down as one, or not at all.

    Doing it again changes nothing. `put` are stanzas that came, or were sent, `drop` the numbers of those that went;
    `requests`, `login` and `setbacks` are None if they are as they were.
    """

    saved: float
    handled: int
    base: int
    put: tuple[StoredStanza, ...] = ()
    drop: tuple[int, ...] = ()
    requests: tuple[PendingRequest, ...] | None = None
    login: Login | None = None
    setbacks: Setbacks | None = None

    def to_json(self) -> dict[str, Any]:
        """As what `json` can write, and as short as it can be: one of these is written with each batch of stanzas."""
        fields: dict[str, Any] = {"saved": self.saved, "handled": self.handled, "base": self.base}
        if self.put:
            fields["put"] = [_stanza_to_json(stanza) for stanza in self.put]
        if self.drop:
            fields["drop"] = self.drop
        if self.requests is not None:
            fields["requests"] = _requests_to_json(self.requests)
        if self.login is not None:
            fields["login"] = self.login.to_json()
        if self.setbacks is not None:
            fields["setbacks"] = self.setbacks.to_json()
        return fields

    @classmethod
    def from_json(cls, value: Any) -> Change:
        """The other way round. Raises StoreError for what is damaged."""
        try:
            requests, login, setbacks = value.get("requests"), value.get("login"), value.get("setbacks")
            return cls(
                saved=real(value["saved"]),
                handled=counter(value["handled"]),
                base=counter(value["base"]),
                put=listed(_stanza_from_json, value.get("put", [])),
                drop=listed(whole, value.get("drop", [])),
                requests=None if requests is None else listed(_request_from_json, requests),
                login=None if login is None else Login.from_json(login),
                setbacks=None if setbacks is None else Setbacks.from_json(setbacks),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise StoreError(f"the stored session is damaged: {exc!r}") from exc


class StoredSessionState:
    """A ticket that changes are written into. Each takes time for what changes, not for all there is."""

    def __init__(self, ticket: StoredSession) -> None:
        self._ticket = ticket
        self._requests, self._login, self._setbacks = ticket.requests, ticket.login, ticket.setbacks
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
        if change.login is not None:
            self._login = change.login
        if change.setbacks is not None:
            self._setbacks = change.setbacks

    @property
    def ticket(self) -> StoredSession:
        """The session as it is now."""
        last = self._last or self._ticket
        return replace(
            self._ticket,
            saved=last.saved,
            handled=last.handled,
            base=last.base,
            stanzas=tuple(self._stanzas[number] for number in sorted(self._stanzas)),
            requests=self._requests,
            login=self._login,
            setbacks=self._setbacks,
        )


class SessionStore(Protocol):
    """Where a session is written down, and how to log in, so that another process can go on: `MemoryStore`,
    `FileStore`, `SQLiteStore`, or your own.

    One store holds one session at a time. Nothing is called while something else is running. When `save` or `update`
    returns, what it got has to be safe from whatever the store promises to survive; what was interrupted must have
    happened as a whole or not at all. Whatever goes wrong is raised as `StoreError`, and ends the client.
    """

    async def load(self) -> StoredSession | None:
        """Return the session that was written down last; None if there is none. Called first, and once."""

    async def save(self, ticket: StoredSession) -> None:
        """Write down `ticket` in place of all there is."""

    async def update(self, change: Change) -> None:
        """Write down a change: once for each batch of stanzas, so it should be quick."""

    async def clear(self) -> None:
        """Forget all that is written down."""

    async def aclose(self) -> None:
        """Nothing will be written any more until the next `load`."""


def dumps(fields: dict[str, Any]) -> str:
    """JSON in one line."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _stanza_to_json(stanza: StoredStanza) -> list[Any]:
    return [stanza.number, stanza.xml, stanza.sent, stanza.durable, stanza.doubtful]


def _stanza_from_json(value: Any) -> StoredStanza:
    number, markup, sent, durable, doubtful = value if len(value) == 5 else (*value, False)  # version 1 knew no doubt
    return StoredStanza(whole(number), text(markup), optional(whole, sent), flag(durable), flag(doubtful))


def _requests_to_json(requests: tuple[PendingRequest, ...]) -> list[Any]:
    return [[request.id, None if request.to is None else str(request.to)] for request in requests]


def _request_from_json(value: Any) -> PendingRequest:
    id_, to = value
    return PendingRequest(text(id_), None if to is None else JID.parse(text(to)))


def _suspect(value: Any) -> Suspect:
    number, ends, weight, stage = value
    return Suspect(whole(number), whole(ends), whole(weight), SuspectStage(whole(stage)))


def _location(value: Any) -> tuple[str, int | None]:
    host, port = value
    return text(host), optional(whole, port)
