"""Real XMPP servers as child processes, to test a client or a bot against the servers that it will meet.

    async with Prosody(sm_timeout=3) as server:
        async with trioxmpp.connect(
            "romeo@example.test", server.accounts["romeo"], endpoint=server.endpoint, tls=server.ssl_context()
        ) as client:
            ...
            await server.restart()      # a crash, and the server comes back

Each lives in a temporary directory with a configuration, a certificate authority and accounts of its own, listens on
free ports of the loopback interface only, needs no privileges (it drops those it finds) and dies with the thread that
started it. The distribution's package must be installed (``apt-get install prosody ejabberd``), or unpacked somewhere
with all that it needs (`tree`), and `trustme` (the extra ``trioxmpp[testing]``). Prosody 0.12 and 13, ejabberd from
23.01 on; each offers what its version knows.

Between a client and any server on TCP, `open_relay` puts a wire that can be cut.
"""

from trioxmpp.testing.servers.ejabberd import Ejabberd
from trioxmpp.testing.servers.errors import ServerError
from trioxmpp.testing.servers.prosody import Prosody
from trioxmpp.testing.servers.realserver import RealServer
from trioxmpp.testing.servers.relay import Relay, open_relay

__all__ = ["SERVERS", "Ejabberd", "Prosody", "RealServer", "Relay", "ServerError", "open_relay"]

SERVERS: dict[str, type[RealServer]] = {"prosody": Prosody, "ejabberd": Ejabberd}
"""Each kind of server by its name, which is the name of its Debian package too."""
