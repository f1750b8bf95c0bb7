"""From an endpoint to the authenticated stream of a component (XEP-0114)."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import trio

from ..errors import (
    Attempt,
    AuthenticationFailure,
    ConnectError,
    Stage,
    StreamCondition,
    StreamError,
    StreamNegotiationFailure,
    TLSFailure,
)
from ..jid import JID
from ..protocol.features import StreamFeatures
from ..protocol.sasl2 import InlineResults
from ..stream.encoding import ComponentEncoding
from ..stream.negotiation.component import handshake
from ..stream.negotiation.sasl2 import LoggedIn
from ..stream.xmlstream import XmlStream
from ..transport.base import Transport
from ..transport.endpoint import Endpoint
from ..transport.tcp import StreamTransport, find_addresses, open_transport
from .candidate import DEFAULT_STREAMS, Dial, StreamSettings
from .dial import Connected, EndpointLike
from .race import FAILURES
from .store.login import Login

__all__ = ["ComponentDialler"]

T = TypeVar("T")

#: One place to try: an endpoint and one of its addresses, or a function that dials.
Place = tuple[Endpoint | Dial, str | None]

_PLAINTEXT = (
    "a component's stream has no TLS of its own, so it may only go to this machine: use xmpps://, or a tunnel, or say "
    "allow_plaintext=True"
)


class ComponentDialler:
    """Knows where the server of a component is, and the secret. Tries its endpoints in order.

    `tls` is used for ``xmpps``; the certificate has to be for the host of the endpoint.
    """

    resource = None
    may_follow = False
    login: Login = Login()
    """Nothing that another process could log in with."""

    def __init__(
        self,
        domain: JID,
        secret: str,
        *,
        endpoint: EndpointLike | Sequence[EndpointLike],
        tls: ssl.SSLContext | None,
        allow_plaintext: bool,
        timeout: float,
        streams: StreamSettings = DEFAULT_STREAMS,
    ) -> None:
        several = [endpoint] if isinstance(endpoint, (str, Endpoint)) or callable(endpoint) else list(endpoint)
        self._endpoints = [Endpoint.parse(each) if isinstance(each, str) else each for each in several]
        for each in self._endpoints:
            if isinstance(each, Endpoint) and each.scheme not in ("xmpp", "xmpps"):
                raise ValueError(f"a component connects by xmpp:// or xmpps://, not by {each.scheme}://")
        if not self._endpoints:
            raise ValueError("a component needs an endpoint: the DNS does not tell where its server is")
        self._domain = domain
        self._secret = secret
        self._tls = tls
        self._allow_plaintext = allow_plaintext
        self._timeout = timeout
        self._streams = streams
        self._deadline = 0.0
        self._had_link = False

    async def dial(self, nursery: trio.Nursery, **options: Any) -> Connected:
        """Return an authenticated stream. The `options` are for logins of clients.

        Raises AuthenticationFailure at once; after other failures the next endpoint is tried. In the end raises
        StreamError or StreamNegotiationFailure if that was all, or ConnectError. Cancelling leaves nothing open.
        """
        self._deadline = trio.current_time() + self._timeout
        attempts: list[Attempt] = []
        places = await self._places(attempts)
        for number, (endpoint, address) in enumerate(places):
            share = (self._deadline - trio.current_time()) / (len(places) - number)
            try:
                with trio.fail_after(share):
                    xmlstream = await self._connect(endpoint, address)
            except AuthenticationFailure:
                raise
            except (*FAILURES, trio.TooSlowError) as exc:
                attempts.append(Attempt(_name(endpoint), address, Stage.CONNECTING, self._meant(exc)))
                continue
            self._had_link = True
            return Connected(xmlstream, LoggedIn(StreamFeatures(), InlineResults(jid=self._domain)))
        raise self._failure(attempts)

    async def within_deadline(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """Call `function` under the deadline of the last `dial`; ConnectError when it passes."""
        with trio.move_on_at(self._deadline):
            return await function(*args)
        raise ConnectError(f"the server of {self._domain} did not answer within {self._timeout:g} seconds")

    async def _places(self, attempts: list[Attempt]) -> list[Place]:
        """Look up the endpoints, and leave out what must not be connected to."""
        places: list[Place] = []
        for number, endpoint in enumerate(self._endpoints):
            if not isinstance(endpoint, Endpoint):
                places.append((endpoint, None))
                continue
            # A name that is never resolved leaves time for the names behind it, and a share for the connections.
            share = (self._deadline - trio.current_time()) / (len(self._endpoints) - number + 1)
            try:
                with trio.fail_after(share):
                    addresses = await find_addresses(endpoint)
            except (*FAILURES, trio.TooSlowError) as exc:
                attempts.append(Attempt(str(endpoint), None, Stage.RESOLVING, self._meant(exc)))
                continue
            for address in addresses:
                if endpoint.scheme == "xmpps" or self._allow_plaintext or _is_loopback(address):
                    places.append((endpoint, address))
                else:
                    attempts.append(Attempt(str(endpoint), address, Stage.CONNECTING, TLSFailure(_PLAINTEXT)))
        return places

    async def _connect(self, endpoint: Endpoint | Dial, address: str | None) -> XmlStream:
        transport = await self._open(endpoint, address)
        xmlstream = self._streams.stream(transport, str(self._domain), ComponentEncoding())
        try:
            await handshake(xmlstream, self._secret)
        except BaseException as exc:
            with trio.CancelScope(shield=True):
                if isinstance(exc, StreamError) and exc.by_us:
                    await xmlstream.say_goodbye(exc)
                await xmlstream.aclose()
            raise
        return xmlstream

    async def _open(self, endpoint: Endpoint | Dial, address: str | None) -> Transport:
        if isinstance(endpoint, Endpoint):
            return await open_transport(endpoint, domain=endpoint.host, tls=self._tls, address=address)
        link = await endpoint()
        is_local = isinstance(link, trio.SocketStream) and _is_local(link.socket)
        transport = StreamTransport(link) if isinstance(link, trio.abc.Stream) else link
        if not (transport.secure or is_local or self._allow_plaintext):
            await transport.aclose()
            raise TLSFailure(_PLAINTEXT)
        return transport

    def _meant(self, exc: BaseException) -> BaseException:
        """Return what a failure means for us."""
        if isinstance(exc, trio.TooSlowError):
            return TimeoutError("no answer in time")
        if isinstance(exc, StreamError) and exc.condition is StreamCondition.CONFLICT and self._had_link:
            # After a break, that other link may well be our own: a server need not have noticed yet that it is gone.
            error = ConnectionAbortedError(f"the server still has another link for {self._domain}")
            error.__cause__ = exc
            return error
        return exc

    def _failure(self, attempts: Sequence[Attempt]) -> BaseException:
        errors = [attempt.error for attempt in attempts]
        if len(errors) == 1 and isinstance(errors[0], (StreamError, StreamNegotiationFailure)):
            return errors[0]
        error = ConnectError(f"could not connect to the server of the component {self._domain}", attempts)
        error.__cause__ = errors[-1]
        return error


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def _is_local(link: trio.socket.SocketType) -> bool:
    """Return whether a socket leads to this machine."""
    if link.family == getattr(socket, "AF_UNIX", None):
        return True
    try:
        return _is_loopback(str(link.getpeername()[0]))
    except (OSError, ValueError):
        return False


def _name(endpoint: Endpoint | Dial) -> str:
    return str(endpoint) if isinstance(endpoint, Endpoint) else getattr(endpoint, "__qualname__", repr(endpoint))
