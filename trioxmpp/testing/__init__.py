"""Tests of programs that talk XMPP: a server in memory, planned faults, and a peer that follows a script.

There are two ways, for two kinds of tests:

- `open_server` gives a whole `Server`, in the same process and under the same clock. Clients connect to it in memory
  or over TCP. A plan (`Faults`) or the test itself (`Link`) cuts, stalls or swallows any link::

      async def test_my_bot_survives(autojump_clock):
          async with open_server(accounts={"bot": "secret"}) as server:
              async with trioxmpp.connect("bot@example.test/1", "secret", **server.options) as client:
                  server.sessions["bot@example.test/1"].reset_link()
                  await server.until(lambda: server.sessions["bot@example.test/1"].resumptions)

- `ScriptedPeer` and `ScriptedServer` follow a script, element by element, for dialogs that no correct server has.

Everything timed goes by trio's clock. With `trio.testing.MockClock`, or the ``autojump_clock`` of pytest-trio, ten
minutes of outage take a millisecond. Certificates need `trustme`: ``pip install trioxmpp[testing]``.

Real servers are in `trioxmpp.testing.servers`.
"""

from .inject import inject
from .peer import ScriptedPeer, ScriptedServer, open_peer_pair
from .script import Script
from .server import (
    Accepted,
    Account,
    Certificate,
    Delivery,
    Dialect,
    Features,
    Link,
    Policy,
    Server,
    ServerOptions,
    ServerQueue,
    ServerSession,
    Sessions,
    StartTLS,
    WebSockets,
    open_server,
    open_websockets,
)
from .virtual.cancelling import cancelled_after
from .virtual.clock import hold_clock_for_threads
from .virtual.faults import Direction, Faults, FaultyStream
from .virtual.memory import MemoryStream, memory_link

__all__ = [
    "Accepted",
    "Account",
    "Certificate",
    "Delivery",
    "Dialect",
    "Direction",
    "Faults",
    "FaultyStream",
    "Features",
    "Link",
    "MemoryStream",
    "Policy",
    "Script",
    "ScriptedPeer",
    "ScriptedServer",
    "Server",
    "ServerOptions",
    "ServerQueue",
    "ServerSession",
    "Sessions",
    "StartTLS",
    "WebSockets",
    "cancelled_after",
    "hold_clock_for_threads",
    "inject",
    "memory_link",
    "open_peer_pair",
    "open_server",
    "open_websockets",
]
