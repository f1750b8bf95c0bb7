"""Logging in by SASL2 (XEP-0388), and what goes along: Bind 2 (XEP-0386), resumption, FAST (XEP-0484)."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from ... import xml
from ...errors import AuthenticationFailure, StreamNegotiationFailure
from ...protocol import ns, sm
from ...protocol.bind2 import Bind
from ...protocol.fast import Fast, RequestToken
from ...protocol.features import StreamFeatures
from ...protocol.loginstate import FastToken, LoginState
from ...protocol.sasl import Channel, Credentials, CredentialsKind, MechanismOffer, SASLAttempt, Strength, choose
from ...protocol.sasl.ht import BINDINGS, choose_ht, ht
from ...protocol.sasl.upgrade import choose_upgrade
from ...protocol.sasl2 import InlineResults, LoginRequests, SASL2Exchange, SASL2Offer, Success, UserAgent
from ...record import field, record, replace
from ..xmlstream import XmlStream
from .credentials import CredentialsLike, run_exchange, with_credentials

__all__ = ["InlineRequests", "LoggedIn", "Resumable", "SASL2Login", "SaveLogin", "save_nothing"]

#: The name that others see of us in our resource, and servers in their lists of sessions.
TAG = SOFTWARE = "trioxmpp"


@record
class InlineRequests:
    """The requests of a client along with a login, as far as the server can do it inline (XEP-0388 §2.3).

    `bind` tells whether a new session may begin, in place of an old one if there is one; the server then chooses the
    resource (XEP-0386). `enable` is how the new session is to be managed. `features` are the elements of what it shall
    begin with, say ``carbons.Enable()``. `invalidate` has the server forget the token that this login uses (XEP-0484
    §3.6); then the login uses nothing else.
    """

    bind: bool = False
    enable: sm.Enable | None = None
    features: tuple[Any, ...] = ()
    invalidate: bool = False


class Resumable(Protocol):
    """A session that a login may resume inline. Its count is settled in the moment in which the request is written."""

    @property
    def resumable(self) -> bool:
        """Whether there is something to resume."""
        ...

    async def resume_request(self, *, in_login: bool = False) -> sm.Resume | None:
        """Return the request, or None if there is nothing to resume, or the server is to be asked after the login."""


@record
class LoggedIn:
    """The results of a login: the features that are offered then, and the results of the inline requests."""

    features: StreamFeatures
    results: InlineResults = field(default_factory=InlineResults)


#: Writes down the state of logins. A token and its count must be written down before they are used, and only the login
#: knows when that is: hence a function, and not a value.
SaveLogin = Callable[[], Awaitable[None]]


async def save_nothing() -> None:  # noqa: ASYNC124  (others have to wait)
    """The state of logins is only for this process."""


class SASL2Login:
    """A login on `xmlstream`, over TLS alone. `open`, then `run`; where the server has shown before that it can be
    done, both in one flight.

    `credentials` are for when there is no token. `inline` is what to ask for along with the login, `resuming` the
    session to go on with, if there is one. `save` is called before a token is used.
    """

    def __init__(
        self,
        xmlstream: XmlStream,
        memory: LoginState,
        credentials: CredentialsLike,
        inline: InlineRequests,
        resuming: Resumable | None = None,
        save: SaveLogin = save_nothing,
    ) -> None:
        self._xmlstream = xmlstream
        self._memory = memory
        self._credentials = credentials
        self._inline = inline
        self._resuming = resuming
        self._save = save
        self._early: SASL2Exchange | None = None
        self._resume: sm.Resume | None = None
        self._ticket: FastToken | None = None

    async def open(self, from_: str | None) -> StreamFeatures:
        """Begin the stream; say along with the header, if we may, what is going to be said anyway.

        Raises ConnectionError. Then the next login is going to wait for the features again.
        """
        memory = self._memory
        known, memory.sasl2 = memory.sasl2, None
        if known is not None and from_ is not None and self._xmlstream.secure:
            self._early = await self._by_token(known)
        follow = (self._early.outgoing or "").encode() if self._early is not None else b""
        return await self._xmlstream.open(from_=from_, follow=follow)

    async def run(self, features: StreamFeatures) -> LoggedIn | None:
        """Log in. Return None, with nothing said, if this is not possible: then there is the login of RFC 6120.

        Raises AuthenticationFailure, or ConnectionError in general. Cancelling leaves a stream that is useless
        but for `XmlStream.aclose`.
        """
        offer = features.sasl2 if self._xmlstream.secure else None
        if offer is None:
            if self._early is not None:
                raise StreamNegotiationFailure("the server does not offer any more what it did a moment ago (SASL2)")
            return None
        exchange = self._early or await self._by_token(offer)
        if exchange is not None:
            try:
                return await self._exchange(exchange, offer, is_early=self._early is not None)
            except AuthenticationFailure as failure:
                # Whatever became of the token: that is no word about the password.
                self._memory.fast_token = None
                if failure.condition is None or exchange.invalidates:
                    raise  # it could not prove who it is; or there is nothing left to be done
                self._xmlstream.logger.info("logging in by a token: %s; there is still the password", failure)
                return await self._by_credentials_again(features, offer)
        return await self._by_credentials(features, offer)

    async def _by_credentials_again(self, features: StreamFeatures, offer: SASL2Offer) -> LoggedIn | None:
        """The same, where a token was refused: Prosody 13 proves another offer then (XEP-0474) than it made."""
        try:
            return await self._by_credentials(features, offer)
        except AuthenticationFailure as failure:
            if failure.condition is not None:
                raise
            # It was us who refused the server. On a new link, where there is no token, that will be final.
            raise StreamNegotiationFailure(f"the login has to be tried on a new link: {failure}") from failure

    async def _by_token(self, offer: SASL2Offer) -> SASL2Exchange | None:
        """Return the exchange with our token, if we have one that will do here."""
        ticket, bindings = self._memory.fast_token, self._xmlstream.transport.channel_bindings()
        if ticket is None or ticket.mechanism not in offer.fast:
            return None
        if ticket.expiry is not None and ticket.expiry <= datetime.now(UTC):
            return None
        kind = BINDINGS[ticket.mechanism]
        if kind not in bindings if kind is not None else self._memory.strength is Strength.BOUND:
            return None
        count = None
        if offer.counts:
            count = ticket.count + 1
            ticket = self._memory.fast_token = replace(ticket, count=count)
        self._ticket = ticket
        await self._save()
        mechanism = ht(ticket.mechanism, ticket.authcid, ticket.token, bindings)
        credentials = Credentials(ticket.authcid, ticket.token)
        attempt = SASLAttempt(ticket.mechanism, mechanism, credentials, offered=offer.fast)
        requests = await self._requests(offer)
        return SASL2Exchange(attempt, replace(requests, fast=Fast(count=count, invalidate=self._inline.invalidate)))

    async def _by_credentials(self, features: StreamFeatures, offer: SASL2Offer) -> LoggedIn | None:
        prove = partial(self._prove, features, offer)
        return await with_credentials(self._credentials, self._memory, prove, self._xmlstream.logger)

    async def _prove(self, features: StreamFeatures, offer: SASL2Offer, credentials: Credentials) -> LoggedIn | None:
        transport, memory = self._xmlstream.transport, self._memory
        bindings = transport.channel_bindings()
        try:
            attempt = choose(
                MechanismOffer(offer.mechanisms, features.channel_bindings, sasl2=True),
                credentials,
                Channel(True, bindings, transport.tls_version),
                nonce=secrets.token_urlsafe(24),
                pinned_strength=memory.strength,
            )
        except AuthenticationFailure:
            if not features.mechanisms:
                raise
            return None
        upgrade = choose_upgrade((each.task.strip() for each in offer.upgrades), attempt)
        requests, self._ticket = replace(await self._requests(offer), upgrade=upgrade), None
        if memory.wants_tokens and credentials.kind is CredentialsKind.PASSWORD and credentials.authzid is None:
            insists = credentials.require_binding or Strength.BOUND in (memory.strength, attempt.strength)
            name = choose_ht(offer.fast, bindings, bound=insists)
            if name is not None:
                requests = replace(requests, request_token=RequestToken(mechanism=name))
                self._ticket = FastToken(name, credentials.authcid, "")
        return await self._exchange(SASL2Exchange(attempt, requests), offer, attempt=attempt)

    async def _requests(self, offer: SASL2Offer) -> LoginRequests:
        """Return the requests to make along with the login; to be written at once."""
        self._memory.user_agent_id = self._memory.user_agent_id or str(uuid.uuid4())
        is_resuming = self._resuming is not None and self._resuming.resumable
        if self._resuming is not None and offer.resumes and self._resume is None:
            self._resume = await self._resuming.resume_request(in_login=True)  # once, also if a token is refused
        bind = None
        may_bind = not is_resuming or self._resume is not None  # or else it would be the end of the old session
        if self._inline.bind and may_bind and offer.inline.bind is not None:
            bind = _bind(self._inline, offer.begins_with)
        return LoginRequests(
            user_agent=UserAgent(id=self._memory.user_agent_id, software=SOFTWARE),
            resume=self._resume,
            bind=bind,
        )

    async def _exchange(
        self, exchange: SASL2Exchange, offer: SASL2Offer, *, attempt: SASLAttempt | None = None, is_early: bool = False
    ) -> LoggedIn:
        """Log in, then apply the results in order: proof, token, resumption or binding."""
        if is_early:
            exchange.outgoing = None
        keys = await run_exchange(self._xmlstream, exchange, self._memory)  # now we know whose word it is
        assert exchange.success is not None
        if attempt is not None:
            self._memory.record_success(attempt.strength, keys, attempt.credentials, exchange.unproven)
        self._keep_token(exchange.success)
        self._memory.sasl2 = offer
        results, knows_csi = exchange.results(self._xmlstream.domain), ns.CSI in offer.begins_with
        if results.resumed:
            # The offer was known before, and most servers do not say it again (XEP-0388 §2.6.1); Prosody does.
            self._xmlstream.features_due = True
            return LoggedIn(StreamFeatures(sm=True, csi=knows_csi), results)
        features = await self._features()
        return LoggedIn(replace(features, csi=features.csi or knows_csi), results)

    def _keep_token(self, success: Success) -> None:
        """Keep a new token, whatever comes after it."""
        token = next(iter(success.tokens), None)
        if token is not None and token.token and self._ticket is not None and self._memory.wants_tokens:
            self._memory.fast_token = replace(self._ticket, token=token.token, expiry=token.expiry, count=0)

    async def _features(self) -> StreamFeatures:
        """Return the offer inside. A server may ask for an acknowledgement before it says so."""
        while True:
            features = await self._xmlstream.receive_features(sm.TAG_REQUEST)
            if features is not None:
                return features
            await self._xmlstream.send(sm.ack(0).encode())


def _bind(inline: InlineRequests, offered: Collection[str]) -> Bind:
    """Ask for a new session, with those of the wanted features that the server offers to begin one with."""
    wanted = [xml.fromstring(xml.serialise(feature)) for feature in inline.features]
    return Bind(
        tag=TAG,
        enable=inline.enable if ns.SM in offered else None,
        features=tuple(element for element in wanted if str(element.tag)[1:].partition("}")[0] in offered),
    )
