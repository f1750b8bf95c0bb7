"""The block during which there is a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Unpack

import trio

from ...stream.bare import bare
from ..virtual.clock import hold_clock_for_threads
from .dialect import Dialect
from .policy import Policy, PolicyOptions
from .server import Server

__all__ = ["open_server"]


@asynccontextmanager
async def open_server(
    domain: str = "example.test",
    accounts: Mapping[str, str] | None = None,
    *,
    contacts: Iterable[tuple[str, str]] = (),
    rooms: bool = False,
    dialect: Dialect = Dialect.PROSODY_13,
    **policy: Unpack[PolicyOptions],
) -> AsyncIterator[Server]:
    """Run an XMPP server during the block; gives a `Server`::

        async with open_server(accounts={"romeo": "secret"}) as server:
            async with trioxmpp.connect("romeo@example.test", "secret", **server.options) as client:
                ...
                server.sessions[str(client.jid)].reset_link()

    `accounts` are passwords by user name; the default is romeo and juliet, whose password is ``secret``. The two users
    of each pair in `contacts` see each other's presence. With `rooms` there are rooms (XEP-0045) at ``conference.``
    before `domain`. `dialect` is the kind of server that it plays, where servers differ. All other arguments are
    attributes of its `Policy`, which may be changed later, too.

    Nothing listens on a network until `Server.listen` is called. Leaving the block ends everything at once, without
    farewell. Exceptions of the body leave unchanged. Under a `trio.testing.MockClock`, time stands still while a thread
    is at work (`hold_clock_for_threads`).
    """
    hold_clock_for_threads()
    with bare() as inside:
        async with trio.open_nursery() as nursery:
            server = Server(domain, nursery, Policy(**policy), dialect)
            for name, password in ({"romeo": "secret", "juliet": "secret"} if accounts is None else accounts).items():
                server.add_account(name, password)
            for one, other in contacts:
                server.add_contacts(one, other)
            if rooms:
                server.rooms.serve()
            try:
                with inside:
                    yield server
            finally:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await server.close_links()
