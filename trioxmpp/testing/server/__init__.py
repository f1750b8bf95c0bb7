"""An XMPP server for tests: one domain, in the same process, in memory or on loopback.

`server` holds the `Server` and its block. From there the way of a stanza is: `link` (one connection) to `conversation`
(login, binding, stream management) to `router` (where the stanza goes) to `session` (the client that receives it).
Each subject that the server itself answers has a file; rooms have several, which begin with
``room``.
"""

from .account import Account
from .acknowledgements import Delivery, ServerQueue
from .dialect import Dialect
from .link import Link
from .opening import open_server
from .policy import Certificate, Policy, StartTLS
from .server import Accepted, Server, ServerOptions
from .services import Features, Request, Services
from .session import ServerSession
from .sessions import Sessions
from .websockets import WebSockets, open_websockets

__all__ = [
    "Accepted",
    "Account",
    "Certificate",
    "Delivery",
    "Dialect",
    "Features",
    "Link",
    "Policy",
    "Request",
    "Server",
    "ServerOptions",
    "ServerQueue",
    "ServerSession",
    "Services",
    "Sessions",
    "StartTLS",
    "WebSockets",
    "open_server",
    "open_websockets",
]
