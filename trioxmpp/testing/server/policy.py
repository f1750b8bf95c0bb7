"""What kind of server it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict

__all__ = ["Certificate", "Policy", "PolicyOptions", "StartTLS"]

StartTLS: TypeAlias = Literal["required", "offered", "none"]
Certificate: TypeAlias = Literal["valid", "wrong-name", "untrusted"]


@dataclass(kw_only=True, slots=True)
class Policy:
    """How a `Server` behaves. May be changed while it runs; what is settled already stays as it is."""

    hibernation: float = 300.0
    """Seconds that a session survives without a link; a client may ask for less."""
    sm: bool = True
    """Whether stream management is offered."""
    starttls: StartTLS | None = None
    """Whether STARTTLS is offered, and nothing else works before it. None: required over TCP, none in memory."""
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
    """The SASL mechanisms that are offered; those that need TLS (EXTERNAL, -PLUS), only there."""
    channel_bindings: tuple[str, ...] | None = ("tls-server-end-point",)
    """What a login can be bound to, and is said to be (XEP-0440), where a -PLUS is offered. None: tls-unique on TLS
    1.2, without a word, as before there was that XEP."""
    prove_offer: bool = True
    """Whether SCRAM proves what was offered (XEP-0474), and the version of TLS (XEP-0515)."""
    sasl2: bool = False
    """Whether SASL2 is offered under TLS (XEP-0388), and in it Bind 2, resumption, and tokens."""
    fast: tuple[str, ...] = ("HT-SHA-256-ENDP", "HT-SHA-256-NONE")
    """The mechanisms that there are tokens for (XEP-0484)."""
    upgrades: tuple[str, ...] = ()
    """The mechanisms, without -PLUS, whose keys clients are asked for (XEP-0480), if an account has others alone."""
    count_tokens: bool = False
    """Whether logins by a token are counted, as if they came in the early data of TLS. Not a higher count: a replay."""
    carbons: bool = True
    """Whether a session can have copies of the messages of others of the same account (XEP-0280)."""
    csi: bool = True
    """Whether clients may say that nobody is looking (XEP-0352). It is noted, and changes nothing."""
    session_required: bool = False
    """Whether the session of RFC 3921 §3 is mandatory, as on some old servers."""
    resume_h_in_failed: bool = True
    """Whether a failed resumption tells what the server had handled of the session, if it has expired."""
    ack_requests: bool = True
    """Whether the server asks for an acknowledgement behind every burst of stanzas."""
    archive: Literal["silent"] | bool = False
    """Whether messages are archived, and can be asked for (XEP-0313). ``silent``: nobody gets an answer."""
    registration: bool = False
    """Whether clients may create accounts before they log in (XEP-0077)."""
    location: str | None = None
    """Where clients are told to resume: the ``location`` of ``<enabled/>``."""
    certificate: Certificate = "valid"
    """What clients find under TLS: a certificate for the domain, for another one, or by nobody whom they trust."""
    history: int = 10_000
    """How many accepted stanzas each session, each account and the server remember, at most."""
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
    archive: Literal["silent"] | bool
    registration: bool
    location: str | None
    certificate: Certificate
    history: int
    forge: bool
