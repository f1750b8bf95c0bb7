"""The findings. Each class is an object of ``--json``, field by field, as docs/doctor.md describes them."""

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

#: The version of the shape of ``--json``. It changes if a name is removed or gets another meaning.
VERSION = 1

#: The steps, in words for a person. Most are those of `errors.Stage`.
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
    """The software that made the diagnosis."""

    trioxmpp: str
    python: str
    openssl: str
    clock: str
    """The time by the clock of this machine."""
    proxy: str | None = None
    """The proxy, without its password."""


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
    """The answer of the DNS."""

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
    """A step that took time; `name` is a key of `STEPS`."""

    name: str
    seconds: float = 0.0


@dataclass(slots=True)
class TLS:
    """The TLS of a link."""

    version: str | None
    bindings: tuple[str, ...] = ()
    """The types of channel binding that this Python can export from it."""


@dataclass(slots=True)
class Certificate:
    """The certificate of the server. A field that is not known is None, or empty."""

    trusted: bool
    """Whether it was verified. If not, a second handshake has read it, which trusts any certificate."""
    sha256: str
    readable: bool = True
    """Whether its contents could be read: that needs the package cryptography, if it is not trusted."""
    dns: tuple[str, ...] = ()
    srv: tuple[str, ...] = ()
    xmpp: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    common_name: str | None = None
    covers: bool | None = None
    """Whether it has the right name in subjectAltName (RFC 9525)."""
    issuer: str | None = None
    self_signed: bool | None = None
    not_before: str | None = None
    not_after: str | None = None
    days_left: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All names, each with its kind if that is not DNS."""
        others = (("SRV", self.srv), ("XMPP", self.xmpp), ("IP", self.ip))
        return self.dns + tuple(f"{kind} {name}" for kind, names in others for name in names)


@dataclass(slots=True)
class Limits:
    """The limits that the server announces (XEP-0478)."""

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
    """The offer of SASL2 (XEP-0388)."""

    mechanisms: tuple[str, ...] = ()
    bind2: bool = False
    inline: tuple[str, ...] = ()
    """The namespaces of the features that can be enabled while binding (XEP-0386)."""
    resumes: bool = False
    """Whether a session can be resumed along with the login (XEP-0198 §6.2)."""
    fast: tuple[str, ...] = ()
    """The mechanisms for tokens (XEP-0484)."""
    tls_0rtt: bool = False
    upgrades: tuple[str, ...] = ()
    """The upgrade tasks (XEP-0480)."""


@dataclass(slots=True)
class Offer:
    """Stream features."""

    starttls: str | None = None
    """``offered`` or ``required``."""
    mechanisms: tuple[str, ...] = ()
    bindings: tuple[str, ...] | None = None
    """The types of channel binding that are announced (XEP-0440); None if none are announced."""
    sasl2: SASL2 | None = None
    sm: bool = False
    limits: Limits | None = None
    caps: Caps | None = None
    features: tuple[str, ...] = ()
    """The tags of all of them, as ``{namespace}name``."""


@dataclass(slots=True)
class Plan:
    """How we would log in by a password."""

    profile: str
    """``SASL`` or ``SASL2``."""
    mechanism: str | None = None
    binding: str | None = None
    """The type of channel binding that the login would use."""
    token: str | None = None
    """The mechanism for which we would request a token (XEP-0484)."""
    refusal: str | None = None
    """The reason why we would not log in."""


@dataclass(slots=True)
class Visit:
    """How far we came at one address of one endpoint, and the findings there."""

    endpoint: str
    address: str | None = None
    found_in: str = "arguments"
    """``dns``, ``host-meta`` or ``arguments``; ``see-other-host`` if a server redirects us there."""
    steps: list[Step] = field(default_factory=list)
    error: str | None = None
    """The reason why we came no farther."""
    fault: str | None = None
    """The code of that reason, see `advice_texts`."""
    sent_to: str | None = None
    """The endpoint that the server redirects us to."""
    tls: TLS | None = None
    certificate: Certificate | None = None
    before_tls: Offer | None = None
    offer: Offer | None = None
    plan: Plan | None = None

    @property
    def could_log_in(self) -> bool:
        """Whether a login that does not give the password away is offered."""
        return self.error is None and self.plan is not None and self.plan.refusal is None

    @property
    def place(self) -> str:
        """The endpoint and its address, for a person."""
        is_known = self.address is None or self.address in self.endpoint
        return self.endpoint if is_known else f"{self.endpoint} at {self.address}"


@dataclass(slots=True)
class Managed:
    """The stream management that was granted (XEP-0198)."""

    resumable: bool
    id: str | None = None
    max: int | None = None
    """The seconds for which the server keeps a session without a link, if it tells."""
    location: str | None = None


@dataclass(slots=True)
class Login:
    """The outcome of the login."""

    endpoint: str
    address: str | None = None
    steps: list[Step] = field(default_factory=list)
    error: str | None = None
    condition: str | None = None
    """The condition of the failure (RFC 6120 §6.5)."""
    profile: str | None = None
    mechanism: str | None = None
    bound: bool = False
    """Whether the login was bound to the TLS link."""
    token: str | None = None
    """The mechanism of the token that we were given: the next login would use it."""
    jid: str | None = None
    sm: Managed | None = None
    ping: float | None = None
    """The seconds of a round trip."""
    offer: Offer | None = None
    """The features that are offered after the login."""


@dataclass(slots=True)
class Diagnosis:
    """All findings about a target."""

    domain: str
    tool: Tool
    seconds: float = 0.0
    dns: Lookup | None = None
    host_meta: list[HostMeta] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    left_out: int = 0
    """The number of candidates that were not tried."""
    login: Login | None = None

    @property
    def ok(self) -> bool:
        """Whether a login is possible; if it was tried, whether it succeeded."""
        if self.login is not None:
            return self.login.error is None
        return any(visit.could_log_in for visit in self.visits)
