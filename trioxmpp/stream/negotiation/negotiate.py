"""From the header to ready: TLS, SASL, resource binding (RFC 6120 §4.3), told top to bottom."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from typing import Any

from ...errors import ErroneousStanza, Stage, StreamNegotiationFailure, TLSFailure, XMPPError
from ...jid import JID
from ...protocol import starttls
from ...protocol.auth import SASLExchange
from ...protocol.bind import Bind, LegacySession, parse_bound
from ...protocol.features import StreamFeatures
from ...protocol.loginstate import LoginState
from ...protocol.sasl import Channel, Credentials, MechanismOffer, choose
from ...protocol.stanza import IQ, IQType, parse_stanza
from ...record import field, record
from ...transport.tcp import ignore_stage
from ...transport.tls import shared_context
from ..ids import new_id
from ..xmlstream import XmlStream
from .credentials import CredentialsLike, run_exchange, with_credentials
from .sasl2 import InlineRequests, LoggedIn, Resumable, SASL2Login, SaveLogin, save_nothing

__all__ = ["NegotiationOptions", "Opened", "bind", "log_in", "negotiate", "secure"]


@record
class NegotiationOptions:
    """Our identity, and our demands. `credentials` may be a function, which is called when they are needed."""

    jid: JID
    credentials: CredentialsLike
    allow_plaintext: bool = False
    memory: LoginState = field(default_factory=LoginState)
    """The memory from login to login: the same for all of one client."""
    inline: InlineRequests = InlineRequests()
    """The requests to make inline with the login (SASL2)."""
    resuming: Resumable | None = None
    """The session to go on with, along with the login or after it."""
    save: SaveLogin = save_nothing
    """Writes down what is in `memory`; called before a token is used."""


@record
class Opened:
    """A stream that is open, and as secure as it is going to be."""

    features: StreamFeatures
    login: SASL2Login
    """The one by SASL2, which may have begun."""


async def negotiate(xmlstream: XmlStream, options: NegotiationOptions, tls: ssl.SSLContext | None = None) -> LoggedIn:
    """Open the stream, secure it, log in; return what is offered to us then, and the results of inline requests.

    `tls` None trusts what the system trusts. The login is that of SASL2 (XEP-0388), if the server has it.

    Raises ConnectionError, in particular TLSFailure and AuthenticationFailure. Cancelling leaves a stream that is
    useless but for `XmlStream.aclose`.
    """
    return await log_in(xmlstream, await secure(xmlstream, options, tls), options)


async def secure(
    xmlstream: XmlStream,
    options: NegotiationOptions,
    tls: ssl.SSLContext | None = None,
    report: Callable[[Stage], None] = ignore_stage,
) -> Opened:
    """The first half of `negotiate`: open the stream, and secure it; return what the server offers before the login.

    `report` is told how far it has come.
    """
    if not xmlstream.upgradable and not xmlstream.secure and not options.allow_plaintext:
        raise TLSFailure("a WebSocket without TLS is not safe; use wss://, or say allow_plaintext=True")
    report(Stage.STREAM)
    login = SASL2Login(xmlstream, options.memory, options.credentials, options.inline, options.resuming, options.save)
    features = await (login.open(_from(xmlstream, options)) if xmlstream.secure else xmlstream.open())
    if xmlstream.upgradable and not xmlstream.secure and (features.starttls or not options.allow_plaintext):
        report(Stage.TLS)
        await _start_tls(xmlstream, features, tls)
        report(Stage.STREAM)
        features = await login.open(_from(xmlstream, options))
    return Opened(features, login)


async def log_in(xmlstream: XmlStream, opened: Opened, options: NegotiationOptions) -> LoggedIn:
    """The second half of `negotiate`: log in on what `secure` has opened."""
    inside = await opened.login.run(opened.features)
    if inside is not None:
        return inside
    await _authenticate(xmlstream, opened.features, options)
    return LoggedIn(await xmlstream.open(from_=_from(xmlstream, options)))


async def _start_tls(xmlstream: XmlStream, features: StreamFeatures, tls: ssl.SSLContext | None) -> None:
    if not features.starttls:
        raise TLSFailure(
            "the server does not offer TLS, or an attacker in between took the offer away; if this link needs no TLS, "
            "say allow_plaintext=True"
        )
    await xmlstream.send(starttls.REQUEST.encode())
    answer = await xmlstream.receive_element()
    if answer.tag != starttls.PROCEED:
        raise TLSFailure("the server offered TLS, but refused to begin it")
    await xmlstream.start_tls(tls or await shared_context())


def _from(xmlstream: XmlStream, options: NegotiationOptions) -> str | None:
    """Our address, if we have one already, once no other party can read it (RFC 6120 §4.7.1)."""
    return str(options.jid) if xmlstream.secure and options.jid.local is not None else None


async def _authenticate(xmlstream: XmlStream, features: StreamFeatures, options: NegotiationOptions) -> None:
    transport, memory = xmlstream.transport, options.memory
    offer = MechanismOffer(features.mechanisms, features.channel_bindings)
    channel = Channel(xmlstream.secure, transport.channel_bindings(), transport.tls_version)

    async def prove(credentials: Credentials) -> None:
        nonce = secrets.token_urlsafe(24)
        attempt = choose(offer, credentials, channel, nonce=nonce, pinned_strength=memory.strength)
        exchange = SASLExchange(attempt)
        keys = await run_exchange(xmlstream, exchange, memory)
        memory.record_success(attempt.strength, keys, credentials, exchange.unproven)

    await with_credentials(options.credentials, memory, prove, xmlstream.logger)


async def bind(xmlstream: XmlStream, features: StreamFeatures, resource: str | None) -> JID:
    """Bind `resource`, or one of the server's choice, and return the full JID that is ours (RFC 6120 §7).

    Raises StreamNegotiationFailure if the server does not want to, ConnectionError if the link breaks. Cancelling
    leaves a stream that is useless but for `XmlStream.aclose`.
    """
    if not features.bind:
        raise StreamNegotiationFailure("the server does not offer to bind a resource")
    result = await _ask(xmlstream, Bind(resource=resource))
    jid = parse_bound(result, xmlstream.domain)
    if features.session_required:
        await _ask(xmlstream, LegacySession())
    return jid


async def _ask(xmlstream: XmlStream, payload: Any) -> Any:
    """The payload of the answer to a request to the server, before there is a session."""
    request = IQ(type=IQType.SET, payload=payload, id=new_id())
    await xmlstream.send(request.serialise().encode())
    while True:
        try:
            reply = parse_stanza(await xmlstream.receive_element())
        except ErroneousStanza as exc:
            raise StreamNegotiationFailure(f"the server's answer is malformed: {exc}") from exc
        if isinstance(reply, IQ) and reply.id == request.id and not reply.type.is_request:
            break  # the other end is the server alone: no other entity can be heard before we are bound
    if reply.type is IQType.ERROR:
        error = reply.error
        assert isinstance(error, XMPPError)
        raise StreamNegotiationFailure(f"the server refused {type(payload).__name__.lower()}: {error}") from error
    return reply.payload
