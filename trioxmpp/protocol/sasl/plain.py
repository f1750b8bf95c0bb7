"""PLAIN (RFC 4616): the password as it is. Only for links that TLS protects, and accounts that allow it."""

from __future__ import annotations

from ...errors import AuthenticationFailure
from .mechanism import Credentials, Mechanism

__all__ = ["plain"]


def plain(credentials: Credentials) -> Mechanism:
    """The one message of PLAIN. The server proves nothing by it: that it is who it should be, TLS has to tell.

    Raises AuthenticationFailure if the message cannot carry these credentials (RFC 4616 §2).
    """
    parts = (credentials.authzid or "", credentials.authcid, credentials.password)
    # Looked for, not caught: a UnicodeEncodeError holds the whole text, and so the password.
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for part in parts for char in part):
        raise AuthenticationFailure("PLAIN cannot carry a user name or password with NUL or half a character in it")
    if not credentials.authcid or not credentials.password:
        raise AuthenticationFailure("PLAIN takes a user name and a password; one of them is empty")
    yield "\0".join(parts).encode()
