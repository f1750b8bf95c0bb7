"""The host: what a conversation with one client needs of the server."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Protocol

from ... import xml
from .account import Account
from .dialect import Dialect
from .policy import Policy
from .session import ServerSession
from .sessions import Sessions

__all__ = ["Host"]


class Host(Protocol):
    """The part of a `Server` that its conversations, logins and resumptions use."""

    domain: str
    policy: Policy
    accounts: Mapping[str, Account]
    sessions: Sessions
    dialect: Dialect

    def tls_context(self) -> ssl.SSLContext:
        """Return the context for the server's side of TLS."""
        ...

    def end_point(self) -> bytes | None:
        """Return the ``tls-server-end-point`` binding of the server's certificate (RFC 5929)."""
        ...

    def add_account(self, name: str, password: str) -> Account:
        """Create an account. Raises JIDError."""
        ...

    def remove_account(self, name: str) -> None:
        """Forget an account."""
        ...

    def accepted(self, session: ServerSession, stanza: xml.Element) -> None:
        """Count a stanza that came in on `session`, and route it."""
        ...
