"""Components (XEP-0114): a program that speaks for a whole domain, and gets the stanzas of that domain from a server.

A `Component` is a `Client` whose address is a domain. All differences follow from that:

- It has many addresses. Each stanza that it sends says from which one, and a reply counts only if it is to the address
  that asked. A room may be claimed for each of its users.
- It has no account: no roster, no resource, no archive. A request needs a recipient.
- There is no stream management. Each link is a session of its own, and what the server has not shown to have handled
  when a link breaks is in doubt: the event `Destroyed` holds it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeVar, cast

from ..jid import JID
from ..protocol.elements.disco import Identity
from ..protocol.elements.version import Version
from ..protocol.stanza import IQ, Get, Message, Presence, Set
from ..stream.liveness import Liveness
from ..stream.signal import Signal
from ..stream.stanzastream import StanzaStream
from ..stream.tracing import Trace
from .block import Service, client_block
from .candidate import StreamSettings
from .client import Client
from .component_dial import ComponentDialler
from .dial import EndpointLike
from .events import Event
from .offers import Offers
from .policy import ReconnectPolicy
from .supervisor import Supervisor

__all__ = ["Component", "connect_component"]

R = TypeVar("R")

DEFAULT_IDENTITY = Identity(category="component", type="generic")


class Component(Client):
    """Sends and receives the stanzas of a domain. `jid` is the domain; `from_` of each stanza is an address of it.

    Enqueueing and sending raise ValueError for a stanza without `to`, or with a `from_` of another domain. A stanza
    that arrives for another domain, or from no address, is dropped and logged. Questions about the domain itself are
    answered as a client's are (`offers`); those to its other addresses are for the application.
    """

    async def request(
        self,
        payload: Get[R] | Set[R],
        *,
        to: JID | str | None = None,
        from_: JID | str | None = None,
        timeout: float | None = None,
    ) -> R:
        """Ask `to`, in the name of `from_` (None: the domain), and return the answer.

        Raises as `send` does, ValueError without `to`, and may be cancelled as `send`.
        """
        iq = IQ.request(payload, to=to, from_=self.jid if from_ is None else from_)
        return cast(R, await self.send(iq, timeout=timeout))

    def claim(
        self,
        jid: JID | str,
        on_message: Callable[[Message], object],
        on_presence: Callable[[Presence], object],
        *,
        user: JID | str | None = None,
    ) -> AbstractContextManager[None]:
        """See `Client.claim`. With `user`, only the stanzas to that address of ours, whatever its resource.

        So each of our users can be in the same room. A claim for a user precedes one for all.
        """
        own = JID.parse(user) if isinstance(user, str) else user
        sender = JID.parse(jid) if isinstance(jid, str) else jid
        return self.stream.core.router.claims.claim(sender, on_message, on_presence, own)

    def claimed(self, jid: JID, user: JID | None = None) -> bool:
        """Return whether the bare JID of `jid` is claimed, for all our addresses or for `user`."""
        claims = self.stream.core.router.claims
        return jid in claims or (user is not None and claims.is_claimed(jid, user))


@asynccontextmanager
async def connect_component(
    domain: JID | str,
    secret: str,
    *,
    endpoint: EndpointLike | Sequence[EndpointLike],
    server: JID | str | None = None,
    tls: ssl.SSLContext | None = None,
    allow_plaintext: bool = False,
    liveness: Liveness = Liveness(),
    reconnect: ReconnectPolicy | None = ReconnectPolicy(),
    identity: Identity = DEFAULT_IDENTITY,
    software: Version | None = None,
    trace: Trace | None = None,
    logger: logging.Logger | None = None,
    services: Iterable[Service] = (),
    connect_timeout: float = 60.0,
    close_timeout: float = 15.0,
) -> AsyncIterator[Component]:
    """A block during which we speak for `domain` as a component of a server (XEP-0114); gives a `Component`.

    `secret` is what the server's configuration has for this domain. `endpoint` is where the server listens for
    components: ``xmpp://127.0.0.1:5347`` (plain TCP), ``xmpps://host:5348`` (TLS from the first byte; the certificate
    is for the host), an async function that returns a `trio.abc.Stream`, or a sequence of them, which are tried in
    order. Plain TCP goes to this machine only, unless `allow_plaintext`. `tls` is an SSL context; None trusts what the
    system trusts. `server` is the address that is asked for signs of life; None is the domain without its first label.
    Any answer counts, also an error. `liveness`, `reconnect`, `identity`, `software`, `trace`, `logger` and
    `services` are as for `connect`.

    Connecting takes `connect_timeout` seconds at most. When the link breaks it is replaced: that is a new session, of
    which the events Destroyed and Established tell. ``Destroyed.undelivered`` holds what was not sent, and what was
    sent and is in doubt. If the server says *conflict* then, it still has our old link, and we try again; the same word
    at first, or on a link that lives, means that another program speaks for the domain: it ends the block.

    Raises, as one bare exception: `AuthenticationFailure` if the server does not take the secret, `TLSFailure`,
    `StreamError`, `ConnectError`; from the block `SessionLost` and what ended the last session for good. Leaving the
    block waits until everything is written, and closes the stream, in `close_timeout` seconds at most. Cancelling while
    connecting leaves nothing behind.
    """
    address = JID.parse(domain) if isinstance(domain, str) else domain
    if address.local is not None or address.resource is not None:
        raise ValueError(f"a component speaks for a domain, and {address} is more than that")
    dialler = ComponentDialler(
        address,
        secret,
        endpoint=endpoint,
        tls=tls,
        allow_plaintext=allow_plaintext,
        timeout=connect_timeout,
        streams=StreamSettings(trace=trace, logger=logger or logging.getLogger("trioxmpp")),
    )
    serving = _server_of(address) if server is None else _jid(server)
    stream = StanzaStream(address, liveness=liveness, logger=logger, server=serving)
    stream.messages.retain_unclaimed(defers=False)
    events: Signal[Event] = Signal()
    supervisor = Supervisor(stream.core, dialler, None, None, reconnect, (), events)
    offers = Offers(identity, software or Version(name=identity.name or "trioxmpp"))
    offers.answer(stream.core.router.requests, at=address)
    component = Component(stream, address, supervisor=supervisor, events=events, offers=offers)
    async with client_block(component, supervisor, tuple(services), close_timeout):
        yield component


def _server_of(domain: JID) -> JID:
    """Return the server that a component most likely belongs to: the domain without its first label."""
    return JID(None, domain.domain.partition(".")[2] or domain.domain, None)


def _jid(address: JID | str) -> JID:
    return JID.parse(address) if isinstance(address, str) else address
