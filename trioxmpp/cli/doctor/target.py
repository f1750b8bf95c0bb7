"""The target of a diagnosis, and the candidates for its server."""

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
    """The domain to diagnose, and how. All of it takes `timeout` seconds at most."""

    domain: str
    jid: JID | None = None
    password: str | None = field(default=None, repr=False)
    endpoints: tuple[Endpoint, ...] = ()
    """Endpoints to try in place of those that the DNS and the host-meta name."""
    tls: ssl.SSLContext | None = None
    timeout: float = 30.0
    resolver: Resolver | None = None
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address of an endpoint to try. The address is None if a proxy looks it up."""

    endpoint: Endpoint
    address: str | None
    found_in: str
    looked_up_in: float | None = None

    @property
    def is_websocket(self) -> bool:
        """Whether the endpoint is a WebSocket."""
        return self.endpoint.scheme in ("ws", "wss")

    def named(self, domain: str) -> str:
        """Return the name that the certificate must have: for a WebSocket the host, else `domain`."""
        return self.endpoint.host if self.is_websocket else domain
