"""What a SASL mechanism is, and what it needs to know."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ...jid import JID

if TYPE_CHECKING:
    from .scram import Derivation

__all__ = ["Credentials", "Mechanism", "printable"]

#: Yields what we say and is sent what they say, None for a success that says nothing; or yields a `Derivation` and is
#: sent the key. When it ends, the server is who it should be.
Mechanism = Generator["bytes | Derivation", "bytes | None", None]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in, and how.

    `authcid` is the user name, `authzid` whom to act as, if it is somebody else. `allow_plain` permits PLAIN, under
    TLS only: whoever runs the server, or breaks into it, then gets the password itself.
    """

    authcid: str
    password: str = field(repr=False)
    authzid: str | None = None
    allow_plain: bool = False

    @classmethod
    def of(cls, jid: JID, password: str | None) -> Self:
        """The usual ones: the local part of our address and a password."""
        if password is None or jid.local is None:
            raise ValueError("logging in takes an address with a local part, and a password or credentials")
        return cls(jid.local, password)


def printable(text: str, limit: int = 500) -> str:
    """What a server said, fit for an error message: not too long, and nothing that moves a terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text[:limit]).strip()
