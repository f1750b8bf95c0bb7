"""Where the demo is played: a server on this machine that lives no longer than the demo."""

from __future__ import annotations

import importlib.util
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..errors import CommandError

__all__ = ["EMBEDDED", "SERVERS", "Stage", "open_stage"]

EMBEDDED = "embedded"
SERVERS = (EMBEDDED, "prosody", "ejabberd")
PASSWORDS = {"romeo": "montague", "juliet": "capulet"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A server that has accounts for romeo and juliet."""

    title: str
    domain: str
    host: str
    port: int
    tls: ssl.SSLContext
    """Trusts its certificate, and no other."""

    @property
    def endpoint(self) -> str:
        """Where it is to be found, for `trioxmpp.connect`."""
        return f"xmpp://{self.host}:{self.port}"

    def password(self, name: str) -> str:
        """Return the password of the account `name`."""
        return PASSWORDS[name]


@asynccontextmanager
async def open_stage(server: str) -> AsyncIterator[Stage]:
    """A block during which the server of that name runs. Raises CommandError if this machine cannot have it."""
    if importlib.util.find_spec("trustme") is None:
        raise CommandError("a certificate to throw away needs trustme; pip install 'trioxmpp[testing]'")
    async with _embedded() if server == EMBEDDED else _real(server) as stage:
        yield stage


@asynccontextmanager
async def _embedded() -> AsyncIterator[Stage]:
    from ...testing import open_server

    async with open_server(accounts=PASSWORDS) as server:
        port = await server.listen()
        title = "the server that comes with trioxmpp.testing"
        yield Stage(title, server.domain, "127.0.0.1", port, server.client_tls_context())


@asynccontextmanager
async def _real(name: str) -> AsyncIterator[Stage]:
    from ...testing.servers import SERVERS, ServerError

    kind = SERVERS[name]
    if not kind.installed():
        raise CommandError(f"{name} is not installed; on Debian, as root: apt-get install {name}")
    server = kind(accounts=PASSWORDS)
    try:
        await server.start()
    except ServerError as exc:
        raise CommandError(str(exc)) from exc
    try:
        yield Stage(f"a real server, {name}", server.domain, "127.0.0.1", server.port, server.ssl_context())
    finally:
        server.close()
