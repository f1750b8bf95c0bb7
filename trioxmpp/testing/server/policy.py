"""The policy of a server: the features that it has, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict

__all__ = ["Certificate", "Policy", "PolicyOptions", "StartTLS"]

StartTLS: TypeAlias = Literal["required", "offered", "none"]
Certificate: TypeAlias = Literal["valid", "wrong-name", "untrusted"]


@dataclass(kw_only=True, slots=True)
class Policy:
    """The settings of a `Server`. A change while it runs affects later logins and requests."""

    hibernation: float = 300.0
    """The time that a session survives without a link, in seconds; a client may ask for less."""
    sm: bool = True
    """Whether stream management is offered."""
    starttls: StartTLS | None = None
    """Whether STARTTLS is offered, or required before all else. None: required over TCP, not offered in memory."""
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
    """The SASL mechanisms that are offered; EXTERNAL and -PLUS only under TLS."""
    channel_bindings: tuple[str, ...] | None = ("tls-server-end-point",)
    """The channel bindings that are announced (XEP-0440) where a -PLUS is offered. None: tls-unique on TLS 1.2, and no
    announcement, as before that XEP."""
    prove_offer: bool = True
    """Whether SCRAM proves what was offered (XEP-0474), and the version of TLS (XEP-0515)."""
    sasl2: bool = False
    """Whether SASL2 is offered under TLS (XEP-0388), with Bind 2, resumption, and tokens inline."""
    fast: tuple[str, ...] = ("HT-SHA-256-ENDP", "HT-SHA-256-NONE")
    """The mechanisms for tokens (XEP-0484)."""
    upgrades: tuple[str, ...] = ()
    """The mechanisms, without -PLUS, whose keys clients are asked for (XEP-0480), if an account has only others."""
    count_tokens: bool = False
    """Whether logins by a token are counted, as for the early data of TLS. A count that is not higher is a replay."""
    carbons: bool = True
    """Whether carbons are offered (XEP-0280)."""
    csi: bool = True
    """Whether client state indication is offered (XEP-0352). The server notes the state, and does nothing else."""
    session_required: bool = False
    """Whether the session of RFC 3921 §3 is mandatory, as on some old servers."""
    resume_h_in_failed: bool = True
    """Whether a failed resumption has the count of the session, if it has expired."""
    ack_requests: bool = True
    """Whether the server asks for an acknowledgement behind every burst of stanzas."""
    roster_versions: bool = True
    """Whether roster versions are offered (RFC 6121 §2.6)."""
    archive: Literal["silent"] | bool = False
    """Whether messages are archived, and queries answered (XEP-0313). "silent": archived, but queries get no answer."""
    room_archive: Literal["refused"] | bool = True
    """Whether rooms have an archive, and give ids. "refused": they announce one, and refuse queries."""
    registration: bool = False
    """Whether clients may create accounts before they log in (XEP-0077)."""
    registration_token: str | None = None
    """The token that a client must present before it registers (XEP-0445). None: none is needed."""
    location: str | None = None
    """The ``location`` of ``<enabled/>``, at which clients shall resume."""
    certificate: Certificate = "valid"
    """The certificate that clients find: for the domain, for another one, or of an authority that they do not trust."""
    history: int = 10_000
    """The number of stanzas that each session, each account, each archive and the server remember, at most."""
    max_stanza: int | None = None
    """A stanza with more octets ends the stream (*policy-violation*), as servers do that announce no limit."""
    forge: bool = False
    """Whether the server passes on whatever a user claims: for tests of attacks by a hostile server."""


class PolicyOptions(TypedDict, total=False):
    """The attributes of a `Policy`, as arguments of `open_server`. A test compares the two."""

    hibernation: float
    sm: bool
    starttls: StartTLS | None
    mechanisms: tuple[str, ...]
    channel_bindings: tuple[str, ...] | None
    prove_offer: bool
    sasl2: bool
    fast: tuple[str, ...]
    upgrades: tuple[str, ...]
    count_tokens: bool
    carbons: bool
    csi: bool
    session_required: bool
    resume_h_in_failed: bool
    ack_requests: bool
    roster_versions: bool
    archive: Literal["silent"] | bool
    room_archive: Literal["refused"] | bool
    registration: bool
    registration_token: str | None
    location: str | None
    certificate: Certificate
    history: int
    max_stanza: int | None
    forge: bool
