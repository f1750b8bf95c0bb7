"""The front doors: `connect`, a block with a client in it, and `serve`, the same for a nursery."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import trio

from ..jid import JID
from ..protocol.elements.disco import Identity
from ..protocol.elements.version import Version
from ..protocol.sasl import Credentials
from ..stream.bare import bare, reraise
from ..stream.liveness import Liveness
from ..stream.negotiation.credentials import CredentialsLike
from ..stream.signal import Signal
from ..stream.stanzastream import StanzaStream
from ..transport.discovery import Resolver
from ..transport.proxy import Proxy
from .client import Client
from .dial import Dialler, EndpointLike
from .events import Event
from .journal.journal import open_journal
from .notes import Notebook
from .offers import DEFAULT_IDENTITY, Offers
from .policy import ReconnectPolicy, SMPolicy
from .steps import preparing
from .store.storedsession import SessionStore
from .supervisor import Supervisor

__all__ = ["connect", "serve"]

Service = Callable[[Client], AbstractAsyncContextManager[Any]]


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
    inline: Iterable[Any] = (),
    identity: Identity = DEFAULT_IDENTITY,
    software: Version | None = None,
    services: Iterable[Service] = (),
    proxy: Proxy | str | None = None,
    resolver: Resolver | None = None,
    connect_timeout: float = 60.0,
    close_timeout: float = 15.0,
) -> AsyncIterator[Client]:
    """A block during which we are connected as `jid`; gives a `Client`.

    `jid` is our address; with a resource, the server is asked for that one. `credentials` in place of `password` say
    more (`Credentials`), or are a function, async or not, that returns them (a prompt, a keyring, a vault): it is
    called when a login needs them anew. `endpoint` says where to connect to: ``xmpp://host:5222`` (STARTTLS),
    ``xmpps://host:5223`` (direct TLS), ``wss://host/path`` (WebSocket; its certificate is for the host), an async
    function that returns a `trio.abc.Stream` (a tunnel, a test server), or a sequence of them, the best first; None
    looks it up in the DNS (RFC 6120 §3.2, XEP-0368). What there is to be tried is raced, each a quarter of a second
    after the one before, until one says what it offers; only then, and only there, we log in. `tls` is an SSL context;
    the default trusts what the system trusts, demands TLS 1.2, and always checks the certificate against the domain of
    `jid`. `allow_plaintext` permits a link without TLS: for tests, Tor, local sockets. `sm` is how XEP-0198 is used
    (None: not), `liveness` how much silence is tolerated, `reconnect` how a broken link is repaired (None: it is not,
    the block ends). `store` is where the session is written down, so that another process can go on with it
    (`SessionStore`): if there is one in it, it is resumed, and ``client.restored`` tells what came of that; and how to
    log in without a password, if the server gives tokens for that.
    `inline` holds elements of features that each session shall begin with, where the server can do that along with the
    login (XEP-0386): ``carbons.Enable()``, say. `identity` and
    `software` are what others learn of us (XEP-0030, XEP-0092); None for `software` tells a name and nothing else.
    `services` are called with the client and entered, in order, before the body.
    `proxy` is a way out, for whatever is not a function: ``socks5://user:password@host:1080``, or ``http://`` for
    one that knows CONNECT. It looks up the names of hosts; only SRV records are asked for here, and not even these if
    there is an `endpoint`. `resolver`, one of dnspython's, is asked for them in place of the system's name servers.

    Connecting takes `connect_timeout` seconds at most, over all endpoints and steps. Leaving the block waits until
    everything is sent and, with stream management, acknowledged, and closes the stream properly, in `close_timeout`
    seconds at most; leaving it by an exception, or by cancellation, takes no more than two.

    Raises, always as one bare exception: `AuthenticationFailure`, `TLSFailure`, other `StreamNegotiationFailure`,
    `ConnectError` when nothing let us in; from the block `SessionLost`, `StreamError` (say, *conflict*: somebody
    else has our resource) and whatever else ended the session for good, in which case the body is cancelled. What
    the body raises leaves as it is. Cancelling while connecting leaves nothing behind.
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
    )
    async with open_journal(store, address) as journal:
        restored = None if journal is None else await journal.load()
        if journal is not None:
            dialler.restore(journal.login)
        ack_after = (sm or SMPolicy()).ack_after
        stream = StanzaStream(address.bare, liveness=liveness, ack_after=ack_after, journal=journal, session=restored)
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
            async with _supervised(supervisor):
                async with AsyncExitStack() as stack:
                    await _enter(client, services, stack, supervisor)
                    yield client
                if supervisor.ended is None:  # what was suspended, or closed by the application, has nothing to finish
                    await _finish(client, close_timeout)
                await trio.lowlevel.checkpoint()  # a body that the end of the client has cancelled notices it now
        finally:
            if journal is not None:
                with trio.CancelScope(shield=True):
                    await journal.finish(dialler.login)


@asynccontextmanager
async def _supervised(supervisor: Supervisor) -> AsyncIterator[None]:
    """A block during which the supervisor runs in the background. What ends the client ends the block, bare."""
    with bare() as inside:
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run, nursery)
            try:
                # Not sooner: until start() returns, cancelling the caller must cancel the supervisor.
                supervisor.shield()
                with inside, supervisor.body:
                    yield
            except Exception as exc:
                if supervisor.failure is not None:
                    exc.add_note(f"(the XMPP session had already ended: {supervisor.failure!r})")
                raise
            finally:
                with trio.CancelScope(shield=True):
                    await supervisor.close()
    if supervisor.failure is not None and supervisor.body.cancelled_caught:
        reraise(supervisor.failure)


async def _enter(client: Client, services: Iterable[Service], stack: AsyncExitStack, supervisor: Supervisor) -> None:
    """Enter the services, in order; then have them set up the first session."""
    with preparing(supervisor.first):
        for service in services:
            await stack.enter_async_context(service(client))
    supervisor.services_entered()
    await supervisor.wait_first_session()


async def _finish(client: Client, patience: float) -> None:
    """Wait until everything is sent, and close the stream properly."""
    with trio.move_on_after(patience):
        await client.drain()
        await client.stream.aclose()


async def serve(
    jid: JID | str,
    password: str | None = None,
    *,
    task_status: trio.TaskStatus[Client] = trio.TASK_STATUS_IGNORED,
    **options: Any,
) -> None:
    """Stay connected as `jid` until cancelled: ``client = await nursery.start(serve, jid, password)``.

    Takes the options of `connect`, reports the `Client` when there is a session, and raises what the block of
    `connect` would. Cancelling it ends the session, in two seconds at most.
    """
    async with connect(jid, password, **options) as client:
        task_status.started(client)
        await trio.sleep_forever()
