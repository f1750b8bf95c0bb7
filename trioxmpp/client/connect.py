"""The front doors: `connect`, a block with a client in it, and `serve`, the same for a nursery."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Unpack

import trio

from .. import xml
from ..jid import JID
from ..protocol.elements.disco import Identity
from ..protocol.elements.version import Version
from ..protocol.limits import Limits
from ..protocol.sasl import Credentials
from ..stream.liveness import Liveness
from ..stream.negotiation.credentials import CredentialsLike
from ..stream.signal import Signal
from ..stream.stanzastream import StanzaStream
from ..stream.tracing import Trace
from ..transport.discovery import Resolver
from ..transport.proxy import Proxy
from .block import Service, client_block
from .candidate import StreamSettings
from .client import Client
from .dial import Dialler, EndpointLike
from .events import Event
from .journal.journal import open_journal
from .notes import Notebook
from .offers import DEFAULT_IDENTITY, Offers
from .options import ConnectOptions
from .policy import ReconnectPolicy, SMPolicy
from .store.storedsession import SessionStore
from .supervisor import Supervisor

__all__ = ["connect", "serve"]


@asynccontextmanager
async def connect(
    jid: JID | str,
    password: str | None = None,
    *,
    credentials: CredentialsLike | None = None,
    endpoint: EndpointLike | Sequence[EndpointLike] | None = None,
    tls: ssl.SSLContext | None = None,
    allow_plaintext: bool = False,
    sm: SMPolicy | None = SMPolicy(),
    liveness: Liveness = Liveness(),
    reconnect: ReconnectPolicy | None = ReconnectPolicy(),
    store: SessionStore | None = None,
    inline: Iterable[xml.Declared] = (),
    lang: str | None = None,
    limits: Limits = Limits(),
    identity: Identity = DEFAULT_IDENTITY,
    software: Version | None = None,
    trace: Trace | None = None,
    logger: logging.Logger | None = None,
    services: Iterable[Service] = (),
    proxy: Proxy | str | None = None,
    resolver: Resolver | None = None,
    connect_timeout: float = 60.0,
    close_timeout: float = 15.0,
) -> AsyncIterator[Client]:
    """A block during which we are connected as `jid`; gives a `Client`.

    Our account, and the way to its server:

    - `jid` is our address; with a resource, the server is asked for that one.
    - `password`, or `credentials`: a `Credentials`, or a function, async or not, that returns one (a prompt, a keyring,
      a vault). The function is called when a login needs them anew.
    - `endpoint` is where to connect to: ``xmpp://host:5222`` (STARTTLS), ``xmpps://host:5223`` (direct TLS),
      ``wss://host/path`` (WebSocket; its certificate is for the host), an async function that returns a
      `trio.abc.Stream` (a tunnel, a test server), or a sequence of these, the best first. None asks the DNS (RFC 6120
      §3.2, XEP-0368). All endpoints are raced, each a quarter of a second after the one before, until one says what it
      offers; the login goes there alone.
    - `tls` is an SSL context. The default trusts what the system trusts and demands TLS 1.2; the certificate is always
      checked against the domain of `jid`. `allow_plaintext` permits a link without TLS: for tests, Tor, local sockets.
    - `proxy` is a way out: ``socks5://user:password@host:1080``, or ``http://`` for a proxy that knows CONNECT. It
      looks up the names of hosts; only SRV records are asked for here, and none if there is an `endpoint`. `resolver`,
      one of dnspython's, is asked in place of the system's name servers.

    How the session lives:

    - `sm` is how stream management (XEP-0198) is used; None does without it. `liveness` is how much silence is
      tolerated. `reconnect` is how a broken link is repaired; None ends the block with the first break.
    - `store` is where the session is written down, so that another process can go on with it (`SessionStore`), and how
      to log in without the password, if the server gives tokens. A session that is in it is resumed;
      ``client.restored`` tells what came of that.
    - `services` are called with the client and entered, in order, before the body. They set up the first session
      together, in the steps of `Client.each_session`. The objects that they give are not kept: a service whose object
      the program needs is entered in the body, by ``async with``.
    - `inline` holds elements of features that each session shall begin with, where the server can do that along with
      the login (XEP-0386): for example ``carbons.Enable()``.
    - `lang` is the language of texts that name none (RFC 6120 §4.7.4). `limits` says how large the parts of an inbound
      stanza may be: a stanza that exceeds a limit is passed over, and the stream lives on.
    - `identity` and `software` are what others learn of us (XEP-0030, XEP-0092). None for `software` tells the name of
      the identity and nothing else.
    - `trace` is called with ``"in"`` or ``"out"``, and the XML of each stanza, nonza, header and footer, secrets left
      out. The logger ``trioxmpp.xml`` has the same at DEBUG. `logger` is the parent of the loggers of the stream; the
      default is ``trioxmpp``.

    Connecting takes `connect_timeout` seconds at most, over all endpoints and steps. Leaving the block waits until
    everything is sent and, with stream management, acknowledged, and closes the stream properly, in `close_timeout`
    seconds at most; leaving it by an exception, or by cancellation, takes no more than two.

    Raises, always as one bare exception: `AuthenticationFailure`, `TLSFailure`, other `StreamNegotiationFailure`,
    `ConnectError` when nothing let us in; from the block `SessionLost`, `StreamError` (for example *conflict*: another
    client has taken our resource), and any other error that ended the session for good. Then the body is cancelled. An
    exception of the body leaves as it is. Cancelling while connecting leaves nothing behind.
    """
    address = JID.parse(jid) if isinstance(jid, str) else jid
    dialler = Dialler(
        address,
        credentials or Credentials.of(address, password),
        endpoint=endpoint,
        tls=tls,
        allow_plaintext=allow_plaintext,
        timeout=connect_timeout,
        proxy=proxy,
        resolver=resolver,
        streams=StreamSettings(lang, limits, trace, logger or logging.getLogger("trioxmpp")),
    )
    async with open_journal(store, address) as journal:
        restored = None if journal is None else await journal.load()
        if journal is not None:
            dialler.restore(journal.login)
        ack_after = (sm or SMPolicy()).ack_after
        stream = StanzaStream(
            address.bare, liveness=liveness, ack_after=ack_after, logger=logger, journal=journal, session=restored
        )
        stream.messages.retain_unclaimed(defers=journal is not None)
        events: Signal[Event] = Signal()
        supervisor = Supervisor(stream.core, dialler, journal, sm, reconnect, tuple(inline), events)
        offers = Offers(identity, software or Version(name=identity.name or "trioxmpp"))
        offers.answer(stream.core.router.requests)
        client = Client(
            stream,
            None if journal is None else journal.jid,
            supervisor=supervisor,
            events=events,
            offers=offers,
            notebook=Notebook(store),
        )
        try:
            async with client_block(client, supervisor, tuple(services), close_timeout):
                yield client
        finally:
            if journal is not None:
                with trio.CancelScope(shield=True):
                    await journal.finish(dialler.login)


async def serve(
    jid: JID | str,
    password: str | None = None,
    *,
    task_status: trio.TaskStatus[Client] = trio.TASK_STATUS_IGNORED,
    **options: Unpack[ConnectOptions],
) -> None:
    """Stay connected as `jid` until cancelled: ``client = await nursery.start(serve, jid, password)``.

    Takes the options of `connect` (`ConnectOptions`), reports the `Client` when there is a session, and raises what the
    block of `connect` would. By default a first connection that fails for a transient cause is tried again, too: a bot
    may start before its network. Cancelling ends the session, in two seconds at most.
    """
    options.setdefault("reconnect", ReconnectPolicy(first=True))
    async with connect(jid, password, **options) as client:
        task_status.started(client)
        await trio.sleep_forever()
