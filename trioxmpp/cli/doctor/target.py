"""Who is examined, and the candidates where that is done."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from ...jid import JID
from ...transport.discovery import Resolver
from ...transport.endpoint import Endpoint
from ...transport.proxy import Proxy

__all__ = ["Candidate", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be examined, and how. All of it takes `timeout` seconds at most."""

    domain: str
    jid: JID | None = None
    password: str | None = field(default=None, repr=False)
    endpoints: tuple[Endpoint, ...] = ()
    """In place of what the DNS and the host-meta say."""
    tls: ssl.SSLContext | None = None
    timeout: float = 30.0
    resolver: Resolver | None = None
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somewhere to go: one address of an endpoint; None where the proxy looks for it."""

    endpoint: Endpoint
    address: str | None
    found_in: str
    looked_up_in: float | None = None

    @property
    def is_websocket(self) -> bool:
        """Whether XMPP is spoken over WebSocket there."""
        return self.endpoint.scheme in ("ws", "wss")

    def named(self, domain: str) -> str:
        """Whom the certificate has to name: for a WebSocket the host, else the domain."""
        return self.endpoint.host if self.is_websocket else domain
