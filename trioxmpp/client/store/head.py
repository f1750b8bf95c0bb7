"""What is written down of a session beside its stanzas, and of the login: small enough to be compared each time."""

from __future__ import annotations

from ...protocol.sm import StreamManagement
from ...record import record
from ...stream.session import Sent, Session
from .login import Login
from .ticket import PendingRequest, Ticket

__all__ = ["Head", "resumable"]


@record
class Head:
    """What tells whether something is new. `id` None: there is nothing to resume."""

    id: str | None
    counts: tuple[int, int]
    """How many stanzas we handled, and how many of ours the server did."""
    requests: tuple[PendingRequest, ...]
    login: Login

    @classmethod
    def of(cls, session: Session, login: Login) -> Head:
        """As things are."""
        management = resumable(session)
        if management is None:
            return cls(None, (0, 0), (), login)
        requests = tuple(PendingRequest(id_, to) for to, id_ in session.replies.pending())
        return cls(management.granted.id, (management.handled, management.base), requests, login)

    @classmethod
    def written(cls, ticket: Ticket) -> Head:
        """As it is in the store."""
        return cls(ticket.id, (ticket.handled, ticket.base), ticket.requests, ticket.login)


def resumable(session: Session) -> StreamManagement[Sent] | None:
    """The management of `session`, if another process can go on with that."""
    return session.sm if session.resumable else None
