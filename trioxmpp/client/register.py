"""A stream on which no account has logged in: what registers an account (XEP-0077) speaks on it.

It is a stream of its own, always under TLS: a password is going to be sent on it. The other end is the server alone,
since no other entity can reach an entity without an address.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import trio

from ..errors import StreamNegotiationFailure, XMPPError
from ..jid import JID
from ..protocol.features import StreamFeatures
from ..protocol.sasl import Credentials
from ..protocol.stanza import IQ, Get, Set, parse_stanza
from ..stream.bare import bare
from ..stream.ids import new_id
from ..stream.xmlstream import XmlStream
from ..transport.discovery import Resolver
from ..transport.proxy import Proxy
from .answers import read_answer
from .dial import Dialler, EndpointLike

__all__ = ["StrangerStream", "open_stranger_stream"]

R = TypeVar("R")

#: How many stanzas that are not the answer a server may send before it.
MAX_OTHERS = 100


class StrangerStream:
    """Asks the server of a domain, without an account. `features` are what it offers to strangers."""

    def __init__(self, xmlstream: XmlStream, domain: str, features: StreamFeatures, timeout: float) -> None:
        self.domain = domain
        self.features = features
        self._xmlstream = xmlstream
        self._timeout = timeout

    async def request(self, payload: Get[R] | Set[R]) -> R:
        """Ask the server and return its answer: ``Get[R]`` and ``Set[R]`` give an ``R``.

        Raises `XMPPError` if the server refuses, `ErroneousStanza` if its answer cannot be understood, TimeoutError if
        it is silent for too long, ConnectionError if the stream ends. After a cancellation, or any of these but an
        `XMPPError`, the stream is of no use any more.
        """
        iq = IQ.request(payload, to=JID(None, self.domain, None), id=new_id())
        with trio.move_on_after(self._timeout):
            await self._xmlstream.send(iq.serialise().encode())
            reply = await self._reply(iq.id)
            if isinstance(reply.error, XMPPError):
                raise reply.error
            return cast(R, read_answer(payload, reply))
        raise TimeoutError(f"the server of {self.domain} did not answer within {self._timeout:g} seconds")

    async def _reply(self, id: str | None) -> IQ:
        for _ in range(MAX_OTHERS):
            stanza = parse_stanza(await self._xmlstream.receive_element())
            if isinstance(stanza, IQ) and stanza.id == id and not stanza.type.is_request:
                return stanza
        raise StreamNegotiationFailure("the server sends a stranger everything but the answer")


@asynccontextmanager
async def open_stranger_stream(
    domain: str,
    *,
    endpoint: EndpointLike | Sequence[EndpointLike] | None = None,
    tls: ssl.SSLContext | None = None,
    proxy: Proxy | str | None = None,
    resolver: Resolver | None = None,
    timeout: float = 60.0,
) -> AsyncIterator[StrangerStream]:
    """A block with a stream to the server of `domain` on which no account logs in; it is closed with the block.

    The other arguments are those of `connect`; there is no link without TLS. Connecting, and each request, may take
    `timeout` seconds. Raises `TLSFailure`, `ConnectError` and other ConnectionErrors. Cancelling closes the stream.
    """
    dialler = Dialler(
        JID(None, domain, None),
        _no_credentials,
        endpoint=endpoint,
        tls=tls,
        allow_plaintext=False,
        timeout=timeout,
        proxy=proxy,
        resolver=resolver,
    )
    with bare() as inside:
        async with trio.open_nursery() as nursery:  # where a WebSocket lives
            xmlstream, features = await dialler.reach(nursery)
            try:
                with inside:
                    yield StrangerStream(xmlstream, dialler.domain, features, timeout)
                await xmlstream.say_goodbye()
            finally:
                with trio.CancelScope(shield=True):
                    await xmlstream.aclose()
                nursery.cancel_scope.cancel(reason="the stream is closed")


def _no_credentials() -> Credentials:
    raise StreamNegotiationFailure("a stranger does not log in")
