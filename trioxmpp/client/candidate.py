"""One way to a server: to an address, through TLS, to the stream features; and from there to a login."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

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
from ..protocol.features import StreamFeatures
from ..protocol.limits import Limits
from ..record import field, record
from ..stream.encoding import StreamEncoding
from ..stream.negotiation.negotiate import NegotiationOptions, Opened, log_in, secure
from ..stream.negotiation.sasl2 import LoggedIn
from ..stream.tracing import Trace
from ..stream.xmlstream import XmlStream
from ..transport.base import Transport
from ..transport.discovery import Resolver, discover
from ..transport.endpoint import Endpoint
from ..transport.hostmeta import find_websockets, host_meta_of
from ..transport.proxy import Proxy
from ..transport.tcp import StreamTransport, find_addresses, open_transport
from ..transport.tlssessions import TLSSessionCache
from .race import FAILURES, Search

__all__ = [
    "DEFAULT_STREAMS",
    "Candidate", "CandidateSource", "ConnectAttempt", "Dial", "StreamSettings", "candidates_for", "discovery",
    "host_meta",
]  # fmt: skip

Dial = Callable[[], Awaitable[trio.abc.Stream | Transport]]


@record
class StreamSettings:
    """How the XML streams of a client are opened and read, and who is told of what they carry."""

    lang: str | None = None
    limits: Limits = Limits()
    trace: Trace | None = None
    logger: logging.Logger = logging.getLogger("trioxmpp")

    def stream(self, transport: Transport, domain: str, encoding: StreamEncoding | None = None) -> XmlStream:
        """Return an XML stream on `transport` to the server of `domain`. `encoding` is as for `XmlStream`."""
        return XmlStream(
            transport,
            domain,
            lang=self.lang,
            limits=self.limits,
            trace=self.trace,
            logger=self.logger.getChild("XmlStream"),
            encoding=encoding,
        )


#: As a client has it that says nothing else.
DEFAULT_STREAMS = StreamSettings()


@record
class ConnectAttempt:
    """The settings that all candidates of one attempt to connect share. WebSockets live in its `nursery`."""

    domain: str
    options: NegotiationOptions
    tls: ssl.SSLContext | None
    proxy: Proxy | None
    nursery: trio.Nursery
    deadline: float
    sessions: TLSSessionCache
    streams: StreamSettings
    attempts: list[Attempt] = field(default_factory=list)
    """The failures so far."""

    def note(self, endpoint: str, address: str | None, stage: Stage, error: BaseException, silence: str) -> None:
        """Note a failure, unless the winner has cancelled this candidate. `silence` is the error text of a timeout."""
        if isinstance(error, FAILURES):
            self.attempts.append(Attempt(endpoint, address, stage, error))
        elif not isinstance(error, Exception) and trio.current_time() >= self.deadline:
            self.attempts.append(Attempt(endpoint, address, stage, TimeoutError(silence)))


class Candidate:
    """An address to log in at. `run` gets to the stream features and no farther: the login is for one candidate."""

    def __init__(self, attempt: ConnectAttempt, endpoint: Endpoint | Dial, address: str | None = None) -> None:
        self.endpoint = endpoint
        self._attempt = attempt
        self._address = address
        self._stage = Stage.CONNECTING
        self._resumption = attempt.sessions.at(endpoint)
        self._xmlstream: XmlStream | None = None
        self._opened: Opened | None = None

    async def run(self) -> None:
        """See `Runner.run`."""
        with self._noting():
            try:
                await self._open()
            except TLSFailure:
                if not self._resumption.offered:
                    raise
                self._resumption.forget()  # some servers cannot cope with it
                await self._open()

    async def _open(self) -> None:
        self._xmlstream = None
        self._at(Stage.CONNECTING)
        xmlstream = self._xmlstream = self._attempt.streams.stream(await self._connect(), self._attempt.domain)
        try:
            self._opened = await secure(xmlstream, self._attempt.options, self._attempt.tls, self._at)
        except BaseException as exc:
            await self._give_up(exc)  # noqa: ASYNC102  (it shields what it must do)
            raise

    def opened(self) -> tuple[XmlStream, StreamFeatures]:
        """Return the stream that `run` has opened, and what is offered on it."""
        assert self._xmlstream is not None
        assert self._opened is not None
        return self._xmlstream, self._opened.features

    async def log_in(self, patience: float) -> tuple[XmlStream, LoggedIn]:
        """An authenticated stream, and what is offered on it, in `patience` seconds, or one of `FAILURES`."""
        with self._noting():
            self._at(Stage.AUTHENTICATION)
            try:
                return await self._log_in(patience)
            except AuthenticationFailure as exc:
                if not self._may_be_due_to_resumption(exc):
                    raise
                self._resumption.forget()
                text = f"the login has to be tried on a link that takes nothing from an earlier one: {exc}"
                raise StreamNegotiationFailure(text) from exc

    async def _log_in(self, patience: float) -> tuple[XmlStream, LoggedIn]:
        assert self._xmlstream is not None
        assert self._opened is not None
        try:
            with trio.move_on_after(patience):
                return self._xmlstream, await log_in(self._xmlstream, self._opened, self._attempt.options)
            raise TimeoutError("no answer in time")
        except BaseException as exc:
            await self._give_up(exc)  # noqa: ASYNC102  (it shields what it must do)
            raise

    def _may_be_due_to_resumption(self, failure: AuthenticationFailure) -> bool:
        """Whether that was no word about the password: one of the certificates may be another by now, say."""
        is_about_tls = any(name.endswith("-PLUS") or name == "EXTERNAL" for name in failure.tried)
        return self._resumption.resumed and not failure.retry and (is_about_tls or failure.condition is None)

    async def aclose(self) -> None:
        """See `Runner.aclose`."""
        if self._xmlstream is not None:
            await self._xmlstream.aclose()

    async def _connect(self) -> Transport:
        if isinstance(self.endpoint, Endpoint):
            return await open_transport(
                self.endpoint,
                domain=self._attempt.domain,
                tls=self._attempt.tls,
                nursery=self._attempt.nursery,
                address=self._address,
                proxy=self._attempt.proxy,
                report=self._at,
                max_message=self._attempt.streams.limits.ceiling,
                session_reuse=self._resumption,
            )
        link = await self.endpoint()
        return StreamTransport(link, self._resumption) if isinstance(link, trio.abc.Stream) else link

    async def _give_up(self, exc: BaseException) -> None:
        try:
            if self._xmlstream is not None and isinstance(exc, StreamError) and exc.by_us:
                await self._xmlstream.say_goodbye(exc)
        finally:
            with trio.CancelScope(shield=True):
                await self.aclose()

    def _at(self, stage: Stage) -> None:
        self._stage = stage

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what goes wrong, and how far we came."""
        try:
            yield
        except BaseException as exc:
            stage, xmlstream = self._stage, self._xmlstream
            if stage is Stage.STREAM and xmlstream is not None and xmlstream.header is not None:
                stage = Stage.FEATURES
            self._attempt.note(_name(self.endpoint), self._shown_address, stage, exc, self._silence)
            raise

    @property
    def _silence(self) -> str:
        proxy = self._attempt.proxy
        if self._stage is Stage.CONNECTING and proxy is not None and isinstance(self.endpoint, Endpoint):
            return f"no answer in time from the proxy {proxy}"
        return "no answer in time"

    @property
    def _shown_address(self) -> str | None:
        is_known = isinstance(self.endpoint, Endpoint) and self.endpoint.host == self._address
        return None if is_known else self._address


#: A candidate that is known already, or a search for candidates.
CandidateSource: TypeAlias = Candidate | Search[Candidate]


async def _addresses(attempt: ConnectAttempt, endpoint: Endpoint) -> list[CandidateSource]:
    """Every address of the host of `endpoint`."""
    try:
        return [Candidate(attempt, endpoint, address) for address in await find_addresses(endpoint)]
    except BaseException as exc:
        silence = f"no answer to the question for the address of {endpoint.host}"
        attempt.note(str(endpoint), None, Stage.RESOLVING, exc, silence)
        raise


async def _discovered(
    attempt: ConnectAttempt, resolver: Resolver | None, known: Sequence[Endpoint | Dial]
) -> list[CandidateSource]:
    """Every endpoint that the DNS has for the domain, other than `known`."""
    try:
        found = await discover(attempt.domain, resolver=resolver)
    except BaseException as exc:
        attempt.note(attempt.domain, None, Stage.RESOLVING, exc, "the DNS did not answer in time")
        raise
    for trouble in found.problems:
        attempt.attempts.append(Attempt(attempt.domain, None, Stage.RESOLVING, ConnectError(trouble)))
    return [candidates_for(attempt, endpoint) for endpoint in found.endpoints if endpoint not in known]


def discovery(attempt: ConnectAttempt, resolver: Resolver | None, known: Sequence[Endpoint | Dial]) -> CandidateSource:
    """The search for the endpoints of the domain in the DNS, other than `known`."""
    return Search(partial(_discovered, attempt, resolver, known))


async def _websockets(attempt: ConnectAttempt) -> list[CandidateSource]:
    """The WebSockets that the domain's web server knows of."""
    try:
        found = await find_websockets(attempt.domain, tls=attempt.tls, proxy=attempt.proxy)
    except BaseException as exc:
        attempt.note(host_meta_of(attempt.domain), None, Stage.RESOLVING, exc, "no answer in time")
        raise
    return [candidates_for(attempt, endpoint) for endpoint in found]


def host_meta(attempt: ConnectAttempt) -> CandidateSource:
    """The search for WebSockets of the domain, by its web server (XEP-0156)."""
    return Search(partial(_websockets, attempt))


def candidates_for(attempt: ConnectAttempt, endpoint: Endpoint | Dial) -> CandidateSource:
    """How to get to an endpoint. A proxy looks for the address itself."""
    if isinstance(endpoint, Endpoint) and attempt.proxy is None:
        return Search(partial(_addresses, attempt, endpoint))
    return Candidate(attempt, endpoint)


def _name(endpoint: Endpoint | Dial) -> str:
    return str(endpoint) if isinstance(endpoint, Endpoint) else getattr(endpoint, "__qualname__", repr(endpoint))
