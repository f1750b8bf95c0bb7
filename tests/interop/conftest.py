"""Real servers on which our clients meet clients of others. `make interop` runs these tests, `make test` does not."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

import trioxmpp
from tests.capable import befriend
from tests.e2e.kinds import KINDS
from tests.interop.driver import SlixmppClient, open_slixmpp
from trioxmpp import Client, Presence
from trioxmpp.testing.servers import RealServer

#: Set by `make interop`. Without it nothing here is collected.
INTEROP = bool(os.environ.get("TRIOXMPP_INTEROP"))
collect_ignore_glob = [] if INTEROP else ["test_*.py"]

ACCOUNTS = {f"guest{n}": f"masque-{n}" for n in range(400)}


class Stage:
    """A server that runs, and accounts that no test has used before."""

    def __init__(self, server: RealServer, names: Iterator[str]) -> None:
        self.server = server
        self.domain = server.domain
        self._names = names

    def user(self) -> str:
        """Return the name of an account that no test has used."""
        return next(self._names)

    async def friends(self) -> tuple[str, str]:
        """Return two accounts that no test has used, and that are subscribed to each other."""
        one, other = self.user(), self.user()
        async with self.ours(one, "friend") as first, self.ours(other, "friend") as second:
            for client in (first, second):
                await client.send(Presence())
            await befriend(first, second)
        return one, other

    def runs(self, name: str, *version: int) -> bool:
        """Return whether the server is this one, in a version that begins with these numbers."""
        return self.server.name == name and self.server.version[: len(version)] == version

    def jid(self, user: str) -> str:
        return f"{user}@{self.domain}"

    def room(self) -> str:
        """Return the address of a room that does not exist yet."""
        return f"room-{self.user()}@conference.{self.domain}"

    def options(self, **more: Any) -> dict[str, Any]:
        return {"endpoint": self.server.endpoint, "tls": self.server.ssl_context(), "connect_timeout": 20.0, **more}

    def ours(self, user: str, resource: str = "ours", **options: Any) -> AbstractAsyncContextManager[Client]:
        """Return the block of a client of this library."""
        jid = f"{user}@{self.domain}/{resource}"
        return trioxmpp.connect(jid, self.server.accounts[user], **self.options(**options))

    def ours_with(self, user: str, password: str) -> AbstractAsyncContextManager[Client]:
        """Return the block of a client of this library, of an account that a test has created."""
        return trioxmpp.connect(f"{user}@{self.domain}/ours", password, **self.options())

    def slixmpp(
        self, user: str, resource: str = "slixmpp", **options: Any
    ) -> AbstractAsyncContextManager[SlixmppClient]:
        """Return the block of a client of slixmpp."""
        return open_slixmpp(self.server, user, resource, **options)


@pytest.fixture(scope="session", params=list(KINDS))
def running_server(request: pytest.FixtureRequest) -> Iterator[RealServer]:
    kind = KINDS[request.param]
    if not kind.installed:
        pytest.fail(f"{request.param} is not installed; as root: make servers", pytrace=False)
    server = kind(accounts=ACCOUNTS, archive=True)
    trio.run(server.start)
    yield server
    server.close()


@pytest.fixture(scope="session")
def names() -> Iterator[str]:
    return itertools.cycle(ACCOUNTS)


@pytest.fixture
def stage(running_server: RealServer, names: Iterator[str]) -> Stage:
    """Each kind of server in turn."""
    return Stage(running_server, names)
