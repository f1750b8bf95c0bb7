"""The type of a SASL mechanism, and the values that it works on."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Generator, Mapping
from typing import Self

from ...jid import JID
from ...record import field, record
from .redaction import hide

__all__ = [
    "Channel",
    "Credentials",
    "CredentialsKind",
    "Derivation",
    "Mechanism",
    "PlainMechanism",
    "SASLAttempt",
    "Strength",
]


@record
class Derivation:
    """A key to derive, which takes long: ``hashlib.pbkdf2_hmac(algorithm, password, salt, iterations)``."""

    algorithm: str
    password: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    iterations: int

    def compute(self) -> bytes:
        """Return the key. Call this in a thread."""
        return hashlib.pbkdf2_hmac(self.algorithm, self.password, self.salt, self.iterations)


#: Yields our messages and is sent the server's, None for a success without one; or yields a `Derivation` and is sent
#: the key. When it ends, the server has proved all that this mechanism proves. It returns whether the server has proved
#: its offer, too (XEP-0474). If the server refuses, an AuthenticationFailure is thrown into it; it raises that, or one
#: that tells more.
Mechanism = Generator[bytes | Derivation, bytes | None, bool | None]

#: A mechanism that does not know of proofs of an offer.
PlainMechanism = Generator[bytes | Derivation, bytes | None, None]


class Strength(enum.IntEnum):
    """The secrets that a login gives away to a man in the middle whose certificate we trust."""

    DISCLOSED = 0
    """The password itself."""
    PROVED = 1
    """This login and all that follows, but nothing to log in with elsewhere."""
    BOUND = 2
    """Nothing: the login fails there."""


class CredentialsKind(enum.Enum):
    """The kind of credentials."""

    PASSWORD = "password"
    CERTIFICATE = "certificate"
    TOKEN = "token"
    NOTHING = "nothing"


@record
class Credentials:
    """The account to log in to, and how.

    `authcid` is the user name. `authzid` is the identity to act as, if that is another. `allow_plain` permits PLAIN,
    under TLS only: the operator of the server, and an attacker who breaks into it, can then read the password.
    `require_binding` permits nothing but a login that is bound to the TLS link (SCRAM with -PLUS): then even a man in
    the middle whose certificate we trust gets nowhere. Old servers, and those behind a proxy that ends TLS, do not
    have that.

    For other ways than a password there are `external`, `oauth` and `anonymous`.
    """

    authcid: str
    password: str = field(repr=False)
    authzid: str | None = None
    allow_plain: bool = False
    require_binding: bool = False
    kind: CredentialsKind = CredentialsKind.PASSWORD

    @classmethod
    def of(cls, jid: JID | str, password: str | None) -> Self:
        """Return the usual credentials: the local part of our address and a password. Raises ValueError without one."""
        if isinstance(jid, str):
            jid = JID.parse(jid)
        if password is None or jid.local is None:
            raise ValueError("logging in takes an address with a local part, and a password or credentials")
        return cls(jid.local, password)

    @classmethod
    def external(cls, authzid: JID | str | None = None) -> Self:
        """Return credentials for the client certificate (EXTERNAL, XEP-0178) that the SSL context shows to the server.

        `authzid` is the bare address to act as. Give it if the certificate holds several addresses, or no address
        that the server knows. Leave it out if the certificate holds one address, which is ours.
        """
        return cls("", "", None if authzid is None else str(authzid), kind=CredentialsKind.CERTIFICATE)

    @classmethod
    def oauth(cls, token: str, authzid: JID | str | None = None) -> Self:
        """Return credentials for an access token of OAuth 2.0 (OAUTHBEARER, RFC 7628). It is only sent under TLS."""
        return cls("", token, None if authzid is None else str(authzid), kind=CredentialsKind.TOKEN)

    @classmethod
    def anonymous(cls) -> Self:
        """Return no credentials: the server makes up an address for the session (ANONYMOUS, RFC 4505, XEP-0175)."""
        return cls("", "", kind=CredentialsKind.NOTHING)

    def hide(self, text: str) -> str:
        """Return `text` without the password or token, in whatever encoding a server repeats it."""
        return hide(self.password, text)


@record
class Channel:
    """The link that a login happens on. `bindings` is the data to bind it to, by type (RFC 5056)."""

    secure: bool = False
    bindings: Mapping[str, bytes] = field(default_factory=dict)
    tls_version: str | None = None
    """The version as the ssl module names it, ``TLSv1.3`` say; None without TLS, and where a proxy may end it."""


@record
class SASLAttempt:
    """A login that is about to be tried: its mechanism, its strength, and the mechanisms that the server offered."""

    name: str
    mechanism: Mechanism = field(repr=False)
    credentials: Credentials = field(repr=False)
    strength: Strength = Strength.DISCLOSED
    offered: tuple[str, ...] = ()
    unproven: str | None = None
    """See `Choice.unproven`."""
