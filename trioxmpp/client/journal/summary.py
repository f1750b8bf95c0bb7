"""The part of a session that is written down beside its stanzas: small enough to be compared each time."""

from __future__ import annotations

from ...protocol.sm import StreamManagement
from ...record import record
from ...stream.outbound.channels import Sent
from ...stream.session import SessionState
from ..store.login import Login
from ..store.storedsession import PendingRequest, Setbacks, StoredSession, Suspect

__all__ = ["SessionSummary", "resumable"]


@record
class SessionSummary:
    """Comparing two of these tells whether there is something to write down. `id` None: nothing can be resumed."""

    id: str | None
    counts: tuple[int, int]
    """How many stanzas we handled, and how many of ours the server did."""
    requests: tuple[PendingRequest, ...]
    login: Login
    setbacks: Setbacks

    @classmethod
    def of(cls, session: SessionState, login: Login, suspect: Suspect | None) -> SessionSummary:
        """As things are. `suspect` is the stanza that may be to blame for the ends of links."""
        management = resumable(session)
        if management is None:
            return cls(None, (0, 0), (), login, Setbacks(suspect=suspect))
        requests = tuple(PendingRequest(id_, to) for to, id_, _ in session.replies.pending())
        setbacks = Setbacks(session.attempts.vain_logins, session.attempts.unanswered, suspect)
        return cls(management.granted.id, (management.handled, management.base), requests, login, setbacks)

    @classmethod
    def written(cls, stored: StoredSession) -> SessionSummary:
        """As it is in the store."""
        return cls(stored.id, (stored.handled, stored.base), stored.requests, stored.login, stored.setbacks)


def resumable(session: SessionState) -> StreamManagement[Sent] | None:
    """Return the management of `session`, if another process can go on with it."""
    return session.sm if session.resumable else None
