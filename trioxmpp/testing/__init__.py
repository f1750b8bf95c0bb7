"""Testing what talks XMPP: a server in memory, a plan of what goes wrong, and a peer that follows a script.

Two ways, for two kinds of tests:

- `open_server` gives a whole `Server`, in the same process and under the same clock. Clients connect to it in memory
  or over TCP, and any link may be cut, stalled or swallowed, by a plan (`Faults`) or at will (`Link`)::

      async def test_my_bot_survives(autojump_clock):
          async with open_server(accounts={"bot": "secret"}) as server:
              async with trioxmpp.connect(
                  "bot@example.test/1", "secret", endpoint=server.endpoint, allow_plaintext=True
              ) as client:
                  server.sessions["bot@example.test/1"].link.reset()
                  await server.until(lambda: server.sessions["bot@example.test/1"].resumptions)

- `ScriptedPeer` and `ScriptedServer` follow a script, element by element, for what a decent server would never say.

Everything timed goes by trio's clock. With `trio.testing.MockClock`, or the ``autojump_clock`` of pytest-trio, ten
minutes of outage take a millisecond. Certificates need `trustme`: ``pip install trioxmpp[testing]``.

Real servers are in `trioxmpp.testing.servers`.
"""

from .account import Account
from .acknowledgements import Delivery, ServerQueue
from .cancelling import cancelled_after
from .clock import hold_clock_for_threads
from .faults import Direction, Faults, FaultyStream
from .feed import feed
from .link import Link
from .memory import MemoryStream, memory_link
from .peer import ScriptedPeer, ScriptedServer, open_peer_pair
from .policy import Certificate, Policy, StartTLS
from .script import Script
from .server import Accepted, Server, open_server
from .session import Session
from .sessions import Sessions
from .websockets import WebSockets, open_websockets

__all__ = [
    "Accepted",
    "Account",
    "Certificate",
    "Delivery",
    "Direction",
    "Faults",
    "FaultyStream",
    "Link",
    "MemoryStream",
    "Policy",
    "Script",
    "ScriptedPeer",
    "ScriptedServer",
    "Server",
    "ServerQueue",
    "Session",
    "Sessions",
    "StartTLS",
    "WebSockets",
    "cancelled_after",
    "feed",
    "hold_clock_for_threads",
    "memory_link",
    "open_peer_pair",
    "open_server",
    "open_websockets",
]
