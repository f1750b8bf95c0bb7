"""What a SASL mechanism is, and what it needs to know."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Generator, Mapping
from typing import Self

from ...jid import JID
from ...record import field, record

__all__ = ["Channel", "Credentials", "CredentialsKind", "Derivation", "Mechanism", "SASLAttempt", "Strength"]


@record
class Derivation:
    """A key to be derived, which takes long: ``hashlib.pbkdf2_hmac(algorithm, password, salt, iterations)``."""

    algorithm: str
    password: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    iterations: int

    def compute(self) -> bytes:
        """The key. Meant for a thread."""
        return hashlib.pbkdf2_hmac(self.algorithm, self.password, self.salt, self.iterations)


#: Yields what we say and is sent what they say, None for a success that says nothing; or yields a `Derivation` and is
#: sent the key. When it ends, the server is who it should be. An AuthenticationFailure is thrown into it when the
#: server refuses; it may say more about it, and raises it in any case.
Mechanism = Generator[bytes | Derivation, bytes | None, None]


class Strength(enum.IntEnum):
    """What a login gives away to somebody in between who has a certificate that we trust."""

    DISCLOSED = 0
    """The password itself."""
    PROVED = 1
    """Nothing that would do to log in elsewhere, but this login, and all that follows."""
    BOUND = 2
    """Nothing: it fails there."""


class CredentialsKind(enum.Enum):
    """What there is to prove who we are."""

    PASSWORD = "password"
    CERTIFICATE = "certificate"
    TOKEN = "token"
    NOTHING = "nothing"


@record
class Credentials:
    """Who logs in, and how.

    `authcid` is the user name, `authzid` whom to act as, if it is somebody else. `allow_plain` permits PLAIN, under
    TLS only: whoever runs the server, or breaks into it, then gets the password itself. `require_binding` permits
    nothing but a login that is bound to the TLS link (SCRAM with -PLUS): then not even somebody in between with a
    certificate that we trust gets in, but old servers, and those behind a proxy that ends TLS, do not have that.

    For other ways than a password there are `external`, `oauth` and `anonymous`.
    """

    authcid: str
    password: str = field(repr=False)
    authzid: str | None = None
    allow_plain: bool = False
    require_binding: bool = False
    kind: CredentialsKind = CredentialsKind.PASSWORD

    @classmethod
    def of(cls, jid: JID, password: str | None) -> Self:
        """The usual ones: the local part of our address and a password."""
        if password is None or jid.local is None:
            raise ValueError("logging in takes an address with a local part, and a password or credentials")
        return cls(jid.local, password)

    @classmethod
    def external(cls, authzid: JID | str | None = None) -> Self:
        """Those of the client certificate (EXTERNAL, XEP-0178) that the SSL context shows to the server.

        `authzid` is the bare address to act as. It is to be given if the certificate holds several addresses, or none
        that the server knows; and not to be given if it holds one alone, which is ours.
        """
        return cls("", "", None if authzid is None else str(authzid), kind=CredentialsKind.CERTIFICATE)

    @classmethod
    def oauth(cls, token: str, authzid: JID | str | None = None) -> Self:
        """An access token of OAuth 2.0 (OAUTHBEARER, RFC 7628), which is given to nobody without TLS."""
        return cls("", token, None if authzid is None else str(authzid), kind=CredentialsKind.TOKEN)

    @classmethod
    def anonymous(cls) -> Self:
        """None: the server makes up an address for as long as the session lasts (ANONYMOUS, RFC 4505, XEP-0175)."""
        return cls("", "", kind=CredentialsKind.NOTHING)

    def hide(self, text: str) -> str:
        """`text` without the password or token, in case a server repeats it."""
        return text.replace(self.password, "…") if self.password else text


@record
class Channel:
    """The link that a login happens on: `bindings` are what it can be bound to, by type (RFC 5056)."""

    secure: bool = False
    bindings: Mapping[str, bytes] = field(default_factory=dict)
    tls_version: str | None = None
    """As the ssl module has it, ``TLSv1.3``; None without TLS, and if only somebody else can know."""


@record
class SASLAttempt:
    """A login that is about to be tried: with which mechanism, how strong it is, and what else was offered."""

    name: str
    mechanism: Mechanism = field(repr=False)
    credentials: Credentials = field(repr=False)
    strength: Strength = Strength.DISCLOSED
    offered: tuple[str, ...] = ()
