"""What an examination finds. Each class is an object of ``--json``, field by field: docs/doctor.md tells them all."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "SASL2",
    "TLS",
    "VERSION",
    "Caps",
    "Certificate",
    "Diagnosis",
    "HostMeta",
    "Limits",
    "Login",
    "Lookup",
    "Managed",
    "Offer",
    "Plan",
    "Record",
    "Step",
    "Tool",
    "Visit",
]

#: Of the shape of ``--json``. A name that is new does not change it; one that goes, or means something else, does.
VERSION = 1

#: What is being done, as a person says it. Most are those of `errors.Stage`.
STEPS = {
    "resolving": "looking it up",
    "connecting": "connecting",
    "tls": "securing the link",
    "websocket": "opening the WebSocket",
    "stream": "opening the stream",
    "features": "waiting for what the server offers",
    "authentication": "logging in",
    "binding": "binding a resource",
    "managing": "enabling stream management",
    "ping": "asking for a sign of life",
}


@dataclass(slots=True)
class Tool:
    """With what we looked."""

    trioxmpp: str
    python: str
    openssl: str
    clock: str
    """The time that this machine thinks it is."""
    proxy: str | None = None
    """The way out, without its password."""


@dataclass(slots=True)
class Record:
    """An SRV record."""

    scheme: str
    priority: int
    weight: int
    target: str
    port: int


@dataclass(slots=True)
class Lookup:
    """What the DNS said."""

    seconds: float
    records: list[Record] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


@dataclass(slots=True)
class HostMeta:
    """One form of the host-meta (XEP-0156): ``xrd`` or ``json``."""

    form: str
    url: str
    seconds: float = 0.0
    endpoints: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(slots=True)
class Step:
    """Something that took time; `name` is a key of `STEPS`."""

    name: str
    seconds: float = 0.0


@dataclass(slots=True)
class TLS:
    """What secures the link."""

    version: str | None
    bindings: tuple[str, ...] = ()
    """Types of channel binding that this Python can tell of it."""


@dataclass(slots=True)
class Certificate:
    """What the server showed. What is not known is None, or empty."""

    trusted: bool
    """False: it was looked at by a second handshake, which trusts anybody."""
    sha256: str
    readable: bool = True
    """Whether its contents could be read: one that is not trusted takes the package cryptography."""
    dns: tuple[str, ...] = ()
    srv: tuple[str, ...] = ()
    xmpp: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    common_name: str | None = None
    covers: bool | None = None
    """Whether it names whom it should, in the way that counts (RFC 9525)."""
    issuer: str | None = None
    self_signed: bool | None = None
    not_before: str | None = None
    not_after: str | None = None
    days_left: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each with its kind if it is not the usual one."""
        others = (("SRV", self.srv), ("XMPP", self.xmpp), ("IP", self.ip))
        return self.dns + tuple(f"{kind} {name}" for kind, names in others for name in names)


@dataclass(slots=True)
class Limits:
    """XEP-0478."""

    max_bytes: int | None = None
    idle_seconds: int | None = None


@dataclass(slots=True)
class Caps:
    """The server's own capabilities (XEP-0115 §6.3)."""

    node: str
    ver: str
    hash: str | None = None


@dataclass(slots=True)
class SASL2:
    """XEP-0388."""

    mechanisms: tuple[str, ...] = ()
    bind2: bool = False
    inline: tuple[str, ...] = ()
    """Namespaces of what can be begun along with binding (XEP-0386)."""
    resumes: bool = False
    """Whether a session can be resumed in the same breath (XEP-0198 §6.2)."""
    fast: tuple[str, ...] = ()
    """Mechanisms that there are tokens for (XEP-0484)."""
    tls_0rtt: bool = False
    upgrades: tuple[str, ...] = ()
    """XEP-0480."""


@dataclass(slots=True)
class Offer:
    """Stream features."""

    starttls: str | None = None
    """``offered`` or ``required``."""
    mechanisms: tuple[str, ...] = ()
    bindings: tuple[str, ...] | None = None
    """Types of channel binding that are announced (XEP-0440); None: not told."""
    sasl2: SASL2 | None = None
    sm: bool = False
    limits: Limits | None = None
    caps: Caps | None = None
    features: tuple[str, ...] = ()
    """The tags of all of them, as ``{namespace}name``."""


@dataclass(slots=True)
class Plan:
    """How we would log in, by a password."""

    profile: str
    """``SASL`` or ``SASL2``."""
    mechanism: str | None = None
    binding: str | None = None
    """What the login would be bound to."""
    token: str | None = None
    """The mechanism that we would ask a token for (FAST)."""
    refusal: str | None = None
    """Why we would not."""


@dataclass(slots=True)
class Visit:
    """How far one address of one endpoint let us come, and what was seen there."""

    endpoint: str
    address: str | None = None
    found_in: str = "arguments"
    """``dns``, ``host-meta`` or ``arguments``; ``see-other-host`` if a server sends us there."""
    steps: list[Step] = field(default_factory=list)
    error: str | None = None
    """Why no farther."""
    fault: str | None = None
    """The same as a word: one of those in `advice`."""
    sent_to: str | None = None
    """Where the server wants us to be instead."""
    tls: TLS | None = None
    certificate: Certificate | None = None
    before_tls: Offer | None = None
    offer: Offer | None = None
    plan: Plan | None = None

    @property
    def could_log_in(self) -> bool:
        """Whether it offers a way to log in that does not give a password away."""
        return self.error is None and self.plan is not None and self.plan.refusal is None

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        is_known = self.address is None or self.address in self.endpoint
        return self.endpoint if is_known else f"{self.endpoint} at {self.address}"


@dataclass(slots=True)
class Managed:
    """What stream management was granted (XEP-0198)."""

    resumable: bool
    id: str | None = None
    max: int | None = None
    """For how many seconds the server keeps a lost session, if it says so."""
    location: str | None = None


@dataclass(slots=True)
class Login:
    """What came of logging in."""

    endpoint: str
    address: str | None = None
    steps: list[Step] = field(default_factory=list)
    error: str | None = None
    condition: str | None = None
    """The server's word for the error (RFC 6120 §6.5)."""
    profile: str | None = None
    mechanism: str | None = None
    bound: bool = False
    """Whether the login was bound to the TLS link."""
    token: str | None = None
    """The mechanism that we were given a token for: the next login would be by that."""
    jid: str | None = None
    sm: Managed | None = None
    ping: float | None = None
    """Seconds that a round trip takes."""
    offer: Offer | None = None
    """What is offered inside."""


@dataclass(slots=True)
class Diagnosis:
    """Everything that was found."""

    domain: str
    tool: Tool
    seconds: float = 0.0
    dns: Lookup | None = None
    host_meta: list[HostMeta] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    left_out: int = 0
    """How many more places there are: nobody has that many."""
    login: Login | None = None

    @property
    def ok(self) -> bool:
        """Whether one could log in; if it was tried, whether one did."""
        if self.login is not None:
            return self.login.error is None
        return any(visit.could_log_in for visit in self.visits)
