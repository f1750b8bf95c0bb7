"""The front doors: `connect`, a block with a client in it, and `serve`, the same for a nursery."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any

import trio

from ..errors import DestructionRequested
from ..jid import JID
from ..protocol.sasl import Credentials
from ..stream.bare import bare, reraise
from ..stream.credentials import CredentialsLike
from ..stream.stanzastream import StanzaStream
from ..stream.watchdog import Liveness
from ..transport.discovery import Resolver
from ..transport.proxy import Proxy
from .client import Client
from .dial import Dialler, EndpointLike
from .policy import ReconnectPolicy, SMPolicy
from .store.recorder import Recorder, recording
from .store.ticket import SessionStore
from .supervisor import Supervisor

__all__ = ["connect", "serve"]

#: Seconds for the last words when the block is left by an error or by cancellation.
GRACE = 2.0

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
    carbons: bool = False,
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
    log in without a password, if the server gives tokens for that. `carbons` asks for copies of what our other clients
    send and get (XEP-0280), in every session. `services` are called with the client and entered, in order, before the
    body. `proxy` is a way out, for whatever is not a function: ``socks5://user:password@host:1080``, or ``http://`` for
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
    client = _client(address, liveness, sm, carbons)
    async with recording(store, client.stream, dialler, address) as recorder:
        keeper = _Keeper(client, Supervisor(client, dialler, sm, reconnect, recorder), recorder)
        with bare() as inside:
            async with trio.open_nursery() as nursery, keeper:
                await nursery.start(keeper.run)
                keeper.begin()
                with inside, keeper.body:
                    async with AsyncExitStack() as stack:
                        for service in services:
                            await stack.enter_async_context(service(client))
                        yield client
                    await _finish(client, close_timeout)
    if keeper.failure is not None and keeper.body.cancelled_caught:
        reraise(keeper.failure)


def _client(address: JID, liveness: Liveness, sm: SMPolicy | None, carbons: bool) -> Client:
    client = Client(StanzaStream(address.bare, liveness=liveness, ack_after=(sm or SMPolicy()).ack_after))
    client._desired.carbons = carbons
    return client


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


class _Keeper:
    """Runs the supervisor beside the body. It raises nothing once the body has begun: it cancels the body."""

    def __init__(self, client: Client, supervisor: Supervisor, recorder: Recorder | None) -> None:
        client._state.set_ready(False)
        client._recorder = recorder
        client._suspend = self._suspend
        self._recorder = recorder
        self._repair = trio.CancelScope()
        self._suspended = trio.Event()
        self._client = client
        self._supervisor = supervisor
        self._engine = trio.CancelScope()
        self.body = trio.CancelScope()
        self.failure: Exception | None = None
        # Tasks of the body shall be cancelled before they are told, one by one, that their session has ended: the
        # one exception that comes out of the block tells it.
        client.stream._lifecycle.on_session_ending.connect(self._session_ending)

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.failure is not None and isinstance(exc, Exception):
            exc.add_note(f"(the XMPP session had already ended: {self.failure!r})")
        with trio.CancelScope(shield=True):
            await self._close()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with self._engine:
            async with self._client.stream:
                try:
                    with self._repair:
                        await self._supervisor.run(task_status=task_status)
                    if self._repair.cancel_called:
                        await self._keep()
                    self._client._state.end(DestructionRequested("the stream was closed"))
                except Exception as exc:
                    if self._supervisor.is_first:
                        raise
                    await self._keep()
                    self._fail(exc)
                finally:
                    if self._supervisor.is_first:
                        with trio.move_on_after(GRACE, shield=True):
                            await self._keep()
                    self._suspended.set()

    async def _suspend(self) -> None:
        """End the link without a word, and leave the session for another process."""
        self._client._state.end(DestructionRequested("the session was suspended"))
        self._client.stream.stop()
        self._repair.cancel(reason="the session was suspended")
        await self._suspended.wait()

    async def _keep(self) -> None:
        """What the store has is to stay: the server may still know the session."""
        if self._recorder is not None:
            await self._recorder.keep()

    def begin(self) -> None:
        """The body begins. What is around us must not cut the stream any more: first the body is ended, and then we
        say goodbye.
        """
        # Not a moment sooner: whoever is cancelled while he starts us waits for us to end.
        self._engine.shield = True

    def _session_ending(self, reason: Exception) -> None:
        if not isinstance(reason, DestructionRequested) and self._supervisor.is_fatal(reason):
            self.body.cancel(reason=f"the XMPP session has ended: {reason}")

    def _fail(self, exc: Exception) -> None:
        self.failure = exc
        self.body.cancel(reason=f"the XMPP session has ended: {exc}")
        self._supervisor.abandon(exc)
        self._client._state.end(exc)

    async def _close(self) -> None:
        """End everything, in `GRACE` seconds at most."""
        self._client._state.end(self.failure or DestructionRequested("the client was closed"))
        try:
            await self._client.stream._lifecycle.close(GRACE / 2)
            self._client.stream._router.close(self.failure)
        finally:
            self._engine.cancel(reason="the block of connect() was left")
