"""From an address to an authenticated XML stream: whatever gets there first, under one deadline."""

from __future__ import annotations

import copy
import math
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import trio

from ..errors import (
    Attempt,
    AuthenticationFailure,
    ConnectError,
    Stage,
    StreamError,
    StreamNegotiationFailure,
    TLSFailure,
)
from ..jid import JID
from ..protocol.features import StreamFeatures
from ..protocol.loginstate import FastToken, LoginState
from ..protocol.sasl import Credentials, Strength
from ..record import replace
from ..stream.negotiation.credentials import CredentialsLike, ask
from ..stream.negotiation.negotiate import NegotiationOptions
from ..stream.negotiation.sasl2 import InlineRequests, LoggedIn, Resumable, SaveLogin, save_nothing
from ..stream.xmlstream import XmlStream
from ..transport.discovery import Resolver
from ..transport.endpoint import Endpoint
from ..transport.hostmeta import host_meta_of
from ..transport.proxy import Proxy
from ..transport.tlssessions import TLSSessionCache
from .candidate import (
    DEFAULT_STREAMS,
    Candidate,
    CandidateSource,
    ConnectAttempt,
    Dial,
    StreamSettings,
    candidates_for,
    discovery,
    host_meta,
)
from .race import FAILURES, Race
from .store.login import Login

__all__ = ["Connected", "Dialler", "EndpointLike", "LinkDialler", "account_dialler"]

EndpointLike = str | Endpoint | Dial

T = TypeVar("T")


class Connected(NamedTuple):
    """An XML stream that is authenticated and not bound, unless that was done along with the login."""

    xmlstream: XmlStream
    login: LoggedIn


class LinkDialler(Protocol):
    """Gets to an authenticated stream: `Dialler` for a client, `ComponentDialler` for a component."""

    @property
    def resource(self) -> str | None:
        """The resource to bind; None: the server chooses it, or there is none to bind."""
        ...

    @property
    def may_follow(self) -> bool:
        """Whether the server may send us elsewhere."""
        ...

    @property
    def login(self) -> Login:
        """The state of logins that another process needs to get in like us."""
        ...

    async def dial(
        self,
        nursery: trio.Nursery,
        *,
        inline: InlineRequests = ...,
        resuming: Resumable | None = None,
        save: SaveLogin = ...,
        location: tuple[str, int | None] | None = None,
        elsewhere: Endpoint | None = None,
    ) -> Connected:
        """See `Dialler.dial`."""
        ...

    async def within_deadline(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """See `Dialler.within_deadline`."""
        ...


class Dialler:
    """Knows where to connect to and how to log in there, and remembers where that worked last."""

    def __init__(
        self,
        jid: JID,
        credentials: CredentialsLike,
        *,
        endpoint: EndpointLike | Sequence[EndpointLike] | None,
        tls: ssl.SSLContext | None,
        allow_plaintext: bool,
        timeout: float,
        proxy: str | Proxy | None = None,
        resolver: Resolver | None = None,
        streams: StreamSettings = DEFAULT_STREAMS,
    ) -> None:
        self.domain: str = jid.domain
        self.resource: str | None = jid.resource
        self._endpoints = None if endpoint is None else _parse_endpoints(endpoint)
        self._tls = tls
        self._credentials = credentials
        self._options = NegotiationOptions(jid.bare, credentials, allow_plaintext)
        self._timeout = timeout
        self._proxy = Proxy.parse(proxy) if isinstance(proxy, str) else proxy
        self._resolver = resolver
        self._streams = streams
        self._last: Endpoint | Dial | None = None
        self._sessions = TLSSessionCache()
        self._is_unconfirmed = False
        """Whether what we know of logins is what another process has found out, and not yet confirmed."""
        self._deadline = 0.0

    @property
    def may_follow(self) -> bool:
        """Whether the server may send us elsewhere: never to less than TLS, nor past a function that dials for us."""
        its_own = self._endpoints is None or all(isinstance(each, Endpoint) for each in self._endpoints)
        return its_own and not self._options.allow_plaintext

    @property
    def login(self) -> Login:
        """The state that another process needs to log in as quickly and as safely as this one."""
        memory = self.memory
        endpoint = self._last if isinstance(self._last, Endpoint) else None
        is_found = endpoint is not None and self._endpoints is None
        return Login(memory.strength, memory.user_agent_id, memory.fast_token, memory.sasl2, endpoint, is_found)

    def restore(self, login: Login) -> None:
        """Go on from what another process knew, as far as that goes together with what we were told."""
        memory, credentials, endpoint = self.memory, self._credentials, login.endpoint
        memory.strength, memory.user_agent_id, memory.sasl2 = login.strength, login.agent, login.offer
        # A function is not asked for this: it is taken to be for the same account as before.
        memory.fast_token = login.token_for(credentials) if isinstance(credentials, Credentials) else login.token
        self._is_unconfirmed = True
        # An endpoint that was looked up, or that the server sent us to, is as good as one that is looked up anew,
        # unless TLS may be left out here. One that an application gave may have a certificate for another name.
        if endpoint in self._endpoints if self._endpoints is not None else login.found and self.may_follow:
            self._last = endpoint

    @property
    def memory(self) -> LoginState:
        """The state that is kept from login to login."""
        return self._options.memory

    @property
    def _unconfirmed_count(self) -> int:
        """How much there is that we rely on, and have not found out ourselves."""
        known = (self.memory.fast_token, self.memory.sasl2) if self._is_unconfirmed else ()
        return sum(each is not None for each in known)

    def use_credentials(self, credentials: CredentialsLike) -> None:
        """Log in with these from now on. A token and keys of the old ones are forgotten."""
        self._credentials = credentials
        self._options = replace(self._options, credentials=credentials)
        self.memory.forget_secrets()

    def by_token_alone(self, ticket: FastToken) -> Dialler:
        """Return another dialler, which logs in by that token or not at all."""
        memory, other = LoginState(self.memory.strength, self.memory.user_agent_id, ticket), copy.copy(self)
        memory.sasl2 = self.memory.sasl2
        other._options = replace(self._options, memory=memory)
        other._credentials = _no_credentials
        return other

    async def dial(
        self,
        nursery: trio.Nursery,
        *,
        inline: InlineRequests = InlineRequests(),
        resuming: Resumable | None = None,
        save: SaveLogin = save_nothing,
        location: tuple[str, int | None] | None = None,
        elsewhere: Endpoint | None = None,
    ) -> Connected:
        """Return an authenticated, unbound XML stream, what the server offers on it, and what the login achieved.

        `nursery` has to last for as long as the stream is in use: a WebSocket lives in it, and lets nothing out.
        `inline` is what to ask for along with the login, `resuming` the session to go on with; `save` writes down the
        state of logins. `location` is where the server wants us to resume; it goes first, if we `may_follow`, and then
        what worked last. If the server has sent us `elsewhere`, nothing else is tried. All are raced until one says
        what it offers; only then, and only there, we log in. Raises AuthenticationFailure at once; after other failures
        the others go on. In the end raises TLSFailure if there was nothing else, or the one StreamError or
        StreamNegotiationFailure there was, or ConnectError. Cancelling leaves nothing open.
        """
        self._deadline = trio.current_time() + self._timeout
        self._options = replace(
            self._options, credentials=_Once(self._credentials), inline=inline, resuming=resuming, save=save
        )
        if self.memory.strength is Strength.BOUND:
            self._sessions.forget_old()
        attempt = self._attempt_in(nursery)
        with trio.move_on_at(self._deadline):
            while True:
                unconfirmed = self._unconfirmed_count
                fallbacks = [host_meta(attempt)] if self._endpoints is None and elsewhere is None else []
                sources = (
                    self._sources(attempt, location) if elsewhere is None else [candidates_for(attempt, elsewhere)]
                )
                reached = await self._first(Race(sources), fallbacks)
                if reached is not None:
                    return reached
                if self._unconfirmed_count >= unconfirmed:
                    raise self._failure(attempt.attempts)
                # Not all that we relied on was true: once more without it, and without anything of the link before.
                self._sessions = TLSSessionCache()
                attempt = replace(attempt, sessions=self._sessions)
        raise self._too_late(attempt.attempts)

    def _attempt_in(self, nursery: trio.Nursery) -> ConnectAttempt:
        return ConnectAttempt(
            self.domain,
            self._options,
            self._tls,
            self._proxy,
            nursery,
            self._deadline,
            self._sessions,
            self._streams,
        )

    async def reach(self, nursery: trio.Nursery) -> tuple[XmlStream, StreamFeatures]:
        """Return a secured XML stream on which no account has logged in, and what the server offers there.

        `nursery` has to last for as long as the stream is in use. Endpoints are raced as by `dial`. Raises as `dial`.
        Cancelling leaves nothing open.
        """
        self._deadline = trio.current_time() + self._timeout
        attempt = self._attempt_in(nursery)
        with trio.move_on_at(self._deadline):
            race = Race(self._sources(attempt, None))
            winner = await race.next_winner()
            if winner is None and self._endpoints is None:
                race.add(host_meta(attempt))
                winner = await race.next_winner()
            if winner is None:
                raise self._failure(attempt.attempts)
            return winner.opened()
        raise self._too_late(attempt.attempts)

    async def within_deadline(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """Call `function` under the deadline of the last `dial`; ConnectError when it passes."""
        with trio.move_on_at(self._deadline):
            return await function(*args)
        raise self._too_late()

    async def _first(self, race: Race[Candidate], fallbacks: list[CandidateSource]) -> Connected | None:
        """Log in at the first candidate that lets us; return None if none does.

        The `fallbacks` are for when all have failed, or half of the time has passed: a firewall is often silent.
        """
        while True:
            winner, remaining = None, self._deadline - trio.current_time()
            with trio.move_on_after(remaining / 2 if fallbacks else math.inf):
                winner = await race.next_winner()
            if winner is None and not fallbacks:
                return None
            if winner is None:
                race.add(fallbacks.pop())
                continue
            remaining = self._deadline - trio.current_time()
            # A server that stalls during login must leave time for the other candidates.
            try:
                reached = await winner.log_in(remaining / 2 if fallbacks or not race.is_over else remaining)
            except AuthenticationFailure:
                raise
            except FAILURES:
                continue
            self._last, self._is_unconfirmed = winner.endpoint, False
            return Connected(*reached)

    def _sources(self, attempt: ConnectAttempt, location: tuple[str, int | None] | None) -> list[CandidateSource]:
        first: list[Endpoint | Dial] = []
        if location is not None and self.may_follow:
            try:
                first.append(Endpoint("xmpp", location[0], location[1] or 5222))
            except ValueError as exc:
                error = ConnectError(f"no place to resume at: {exc}")
                attempt.attempts.append(Attempt(location[0], None, Stage.RESOLVING, error))
        if self._last is not None:
            first.append(self._last)
        endpoints = list(dict.fromkeys([*first, *(self._endpoints or ())]))
        sources = [candidates_for(attempt, endpoint) for endpoint in endpoints]
        if self._endpoints is None:
            sources.append(discovery(attempt, self._resolver, endpoints))
        return sources

    def _failure(self, attempts: Sequence[Attempt]) -> ConnectionError:
        # That the web server is of no help either is not what is wrong.
        errors = [attempt.error for attempt in attempts if attempt.endpoint != host_meta_of(self.domain)]
        refusals = [error for error in errors if isinstance(error, TLSFailure)]
        if errors and len(refusals) == len(errors):
            return refusals[0]
        if len(errors) == 1 and isinstance(only := errors[0], (StreamError, StreamNegotiationFailure)):
            return only
        error = ConnectError(f"could not connect to the XMPP server of {self.domain}", attempts)
        if errors:
            error.__cause__ = errors[-1]
        return error

    def _too_late(self, attempts: Sequence[Attempt] = ()) -> ConnectError:
        error = ConnectError(f"the server of {self.domain} did not answer within {self._timeout:g} seconds", attempts)
        error.__cause__ = TimeoutError()
        return error


class _Once:
    """Credentials that are asked for when the first endpoint wants them, and not again for the others."""

    def __init__(self, given: CredentialsLike) -> None:
        self._given = given

    async def __call__(self) -> Credentials:
        self._given = await ask(self._given)
        return self._given


def _no_credentials() -> Credentials:
    raise StreamNegotiationFailure("the server does not take a token on this link, and nothing else may be used")


def _parse_endpoints(given: EndpointLike | Sequence[EndpointLike]) -> list[Endpoint | Dial]:
    several = [given] if isinstance(given, (str, Endpoint)) or callable(given) else list(given)
    return [Endpoint.parse(each) if isinstance(each, str) else each for each in several]


def account_dialler(dialler: LinkDialler) -> Dialler:
    """Return the dialler of an account; RuntimeError if it is that of a component."""
    if not isinstance(dialler, Dialler):
        raise RuntimeError("a component has no account, and logs in by the secret of its domain alone")
    return dialler
