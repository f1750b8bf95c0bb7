"""From an address to an authenticated XML stream: endpoints, one after the other, under one deadline."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import trio

from ..errors import AuthenticationFailure, ConnectError, StreamError, StreamNegotiationFailure, TLSFailure
from ..jid import JID
from ..protocol.features import StreamFeatures
from ..protocol.sasl import Credentials
from ..stream.negotiate import CredentialsLike, Terms, ask, negotiate
from ..stream.xmlstream import XmlStream
from ..transport.base import Transport
from ..transport.discovery import discover
from ..transport.endpoint import Endpoint
from ..transport.tcp import StreamTransport, open_transport

__all__ = ["Dialler", "EndpointLike"]

Dial = Callable[[], Awaitable[trio.abc.Stream | Transport]]
EndpointLike = str | Endpoint | Dial

T = TypeVar("T")


class Dialler:
    """Knows where to connect to and how to log in there."""

    def __init__(
        self,
        jid: JID,
        credentials: CredentialsLike,
        *,
        endpoint: EndpointLike | Sequence[EndpointLike] | None,
        tls: ssl.SSLContext | None,
        allow_plaintext: bool,
        timeout: float,
    ) -> None:
        self.domain = jid.domain
        self.resource = jid.resource
        self._endpoints = None if endpoint is None else _parse_endpoints(endpoint)
        self._tls = tls
        self._credentials = credentials
        self._terms = Terms(jid.bare, credentials, allow_plaintext)
        self._timeout = timeout
        self._deadline = 0.0

    async def dial(
        self, nursery: trio.Nursery, preferred: tuple[str, int | None] | None = None
    ) -> tuple[XmlStream, StreamFeatures]:
        """An authenticated, unbound XML stream, and what the server offers on it.

        `nursery` has to last for as long as the stream is in use: a WebSocket lives in it, and lets nothing out.
        `preferred` is where the server wants us to resume; it is tried first. Raises AuthenticationFailure at once;
        for what else goes wrong the next endpoint is tried. In the end TLSFailure if that was among it, or the one
        StreamError or StreamNegotiationFailure there was, or ConnectError. Cancelling leaves nothing open.
        """
        self._deadline = trio.current_time() + self._timeout
        self._terms = replace(self._terms, credentials=_Once(self._credentials))
        attempts: list[tuple[str, BaseException]] = []
        endpoints = await self.within_deadline(self._discover)
        if preferred is not None:
            endpoints = [Endpoint("xmpp", preferred[0], preferred[1] or 5222), *endpoints]
        for index, endpoint in enumerate(endpoints):
            remaining = self._deadline - trio.current_time()
            # An endpoint that never answers leaves the others their share of the time.
            with trio.move_on_after(remaining / (len(endpoints) - index)) as attempt:
                try:
                    return await self._try(endpoint, nursery)
                except AuthenticationFailure:
                    raise
                except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                    attempts.append((_name(endpoint), exc))
            if attempt.cancelled_caught:
                attempts.append((_name(endpoint), TimeoutError("no answer in time")))
        raise self._failure(attempts)

    async def within_deadline(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """Call `function` under the deadline of the last `dial`; ConnectError when it passes."""
        with trio.move_on_at(self._deadline):
            return await function(*args)
        raise ConnectError(f"the server of {self.domain} did not answer within {self._timeout:g} seconds")

    async def _discover(self) -> Sequence[Endpoint | Dial]:
        if self._endpoints is not None:
            return self._endpoints
        return await discover(self.domain)

    async def _try(self, endpoint: Endpoint | Dial, nursery: trio.Nursery) -> tuple[XmlStream, StreamFeatures]:
        transport: Transport
        if isinstance(endpoint, Endpoint):
            transport = await open_transport(endpoint, domain=self.domain, tls=self._tls, nursery=nursery)
        else:
            link = await endpoint()
            transport = StreamTransport(link) if isinstance(link, trio.abc.Stream) else link
        xmlstream = XmlStream(transport, self.domain)
        try:
            return xmlstream, await negotiate(xmlstream, self._terms, self._tls)
        except BaseException as exc:
            with trio.CancelScope(shield=True):
                if isinstance(exc, StreamError) and exc.by_us:
                    await xmlstream.say_goodbye(exc)
                await xmlstream.aclose()
            raise

    def _failure(self, attempts: list[tuple[str, BaseException]]) -> ConnectionError:
        for _, exc in attempts:
            if isinstance(exc, TLSFailure):
                return exc
        if len(attempts) == 1 and isinstance(only := attempts[0][1], (StreamError, StreamNegotiationFailure)):
            return only
        error = ConnectError(f"could not connect to the XMPP server of {self.domain}", attempts)
        if attempts:
            error.__cause__ = attempts[-1][1]
        return error


class _Once:
    """Credentials that are asked for when the first endpoint wants them, and not again for the others."""

    def __init__(self, given: CredentialsLike) -> None:
        self._given = given

    async def __call__(self) -> Credentials:
        self._given = await ask(self._given)
        return self._given


def _parse_endpoints(given: EndpointLike | Sequence[EndpointLike]) -> list[Endpoint | Dial]:
    several = [given] if isinstance(given, (str, Endpoint)) or callable(given) else list(given)
    return [Endpoint.parse(each) if isinstance(each, str) else each for each in several]


def _name(endpoint: Endpoint | Dial) -> str:
    return str(endpoint) if isinstance(endpoint, Endpoint) else getattr(endpoint, "__qualname__", repr(endpoint))
