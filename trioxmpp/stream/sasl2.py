"""Logging in by SASL2 (XEP-0388), and what goes along: Bind 2 (XEP-0386), resumption, FAST (XEP-0484)."""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from functools import partial

from ..errors import AuthenticationFailure, StreamNegotiationFailure
from ..protocol import ns, sm
from ..protocol.bind2 import Bind
from ..protocol.elements import carbons, csi
from ..protocol.fast import Fast, RequestToken
from ..protocol.features import StreamFeatures
from ..protocol.sasl import Attempt, Channel, Credentials, Kind, LoginMemory, Offer, Strength, Ticket, choose
from ..protocol.sasl.ht import BINDINGS, choose_ht, ht
from ..protocol.sasl.upgrade import choose_upgrade
from ..protocol.sasl2 import Dialogue2, Requests, SASL2Offer, Success, UserAgent
from ..record import record, replace
from .credentials import CredentialsLike, with_credentials
from .login import converse
from .xmlstream import XmlStream

__all__ = ["KeepLike", "SASL2Login", "Wish", "WishLike", "keep_nothing", "no_wish"]

#: What others see of us in our resource, and servers in their lists of sessions.
TAG = SOFTWARE = "trioxmpp"

logger = logging.getLogger(__name__)


@record
class Wish:
    """What is to come of a login, if the server can do it in the same breath.

    `resume` is the session to go on with. `bind` tells whether a new one may begin, in place of it if there is one:
    not if the resource is to be ours to choose, which Bind 2 does not allow. `enable` is how it is to be managed,
    `carbons` whether it is to have copies of what our others send and get, `inactive` whether nobody is looking.
    `invalidate` has the server forget the token by which we log in; then nothing else will do.
    """

    resume: sm.Resume | None = None
    bind: bool = False
    enable: sm.Enable | None = None
    carbons: bool = False
    inactive: bool = False
    invalidate: bool = False


#: Gives it, when it is time to say so.
WishLike = Callable[[], Awaitable[Wish]]


async def no_wish() -> Wish:  # noqa: ASYNC124  (others have to wait)
    """None: just to be let in."""
    return Wish()


#: Makes what is in the memory of logins outlive the process.
KeepLike = Callable[[], Awaitable[None]]


async def keep_nothing() -> None:  # noqa: ASYNC124  (others have to wait)
    """The memory is only for this process."""


class SASL2Login:
    """A login on `xmlstream`, over TLS alone. `open`, then `run`; where the server has shown before that it can be
    done, both in one flight.

    `credentials` are for when there is no token. `wish` is called when something is said, and `keep` before a token is
    used: by then it has to be written down, and that it was used.
    """

    def __init__(
        self,
        xmlstream: XmlStream,
        memory: LoginMemory,
        credentials: CredentialsLike,
        wish: WishLike,
        keep: KeepLike = keep_nothing,
    ) -> None:
        self._xmlstream = xmlstream
        self._memory = memory
        self._credentials = credentials
        self._wish = wish
        self._keep = keep
        self._early: Dialogue2 | None = None
        self._ticket: Ticket | None = None

    async def open(self, from_: str | None) -> StreamFeatures:
        """Begin the stream; say along with the header, if we may, what is going to be said anyway.

        Raises ConnectionError. Then the next login is going to wait for the features again.
        """
        memory = self._memory
        known, memory.sasl2 = memory.sasl2, None
        if known is not None and from_ is not None and self._xmlstream.secure:
            self._early = await self._by_token(known)
        follow = (self._early.say or "").encode() if self._early is not None else b""
        return await self._xmlstream.open(from_=from_, follow=follow)

    async def run(self, features: StreamFeatures) -> StreamFeatures | None:
        """Log in; return what is offered then, and what is settled. None, with nothing said, if this is not possible:
        then there is the login of RFC 6120.

        Raises AuthenticationFailure, or ConnectionError in general. Cancelling leaves a stream that is good for
        nothing but `XmlStream.aclose`.
        """
        offer = features.sasl2 if self._xmlstream.secure else None
        if offer is None:
            if self._early is not None:
                raise StreamNegotiationFailure("the server does not offer any more what it did a moment ago (SASL2)")
            return None
        dialogue = self._early or await self._by_token(offer)
        if dialogue is not None:
            try:
                return await self._talk(dialogue, offer, is_early=self._early is not None)
            except AuthenticationFailure as failure:
                # Whatever became of the token: that is no word about the password.
                self._memory.ticket = None
                if failure.condition is None or dialogue.invalidates:
                    raise  # it could not prove who it is; or there is nothing left to be done
                logger.info("logging in by a token: %s; there is still the password", failure)
                return await self._by_credentials_again(features, offer)
        return await self._by_credentials(features, offer)

    async def _by_credentials_again(self, features: StreamFeatures, offer: SASL2Offer) -> StreamFeatures | None:
        """The same, where a token was refused: Prosody 13 proves another offer then (XEP-0474) than it made."""
        try:
            return await self._by_credentials(features, offer)
        except AuthenticationFailure as failure:
            if failure.condition is not None:
                raise
            # It was us who refused the server. On a new link, where there is no token, that will be final.
            raise StreamNegotiationFailure(f"the login has to be tried on a new link: {failure}") from failure

    async def _by_token(self, offer: SASL2Offer) -> Dialogue2 | None:
        """What we say with our token, if we have one that will do here."""
        ticket, bindings = self._memory.ticket, self._xmlstream.transport.channel_bindings()
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
            ticket = self._memory.ticket = replace(ticket, count=count)
        self._ticket = ticket
        await self._keep()
        mechanism = ht(ticket.mechanism, ticket.authcid, ticket.token, bindings)
        credentials = Credentials(ticket.authcid, ticket.token)
        attempt = Attempt(ticket.mechanism, mechanism, credentials, offered=offer.fast)
        wish = await self._wish()
        fast = Fast(count=count, invalidate=wish.invalidate)
        return Dialogue2(attempt, replace(self._requests(offer, wish), fast=fast))

    async def _by_credentials(self, features: StreamFeatures, offer: SASL2Offer) -> StreamFeatures | None:
        prove = partial(self._prove, features, offer)
        return await with_credentials(self._credentials, self._memory, prove)

    async def _prove(
        self, features: StreamFeatures, offer: SASL2Offer, credentials: Credentials
    ) -> StreamFeatures | None:
        transport, memory = self._xmlstream.transport, self._memory
        bindings = transport.channel_bindings()
        try:
            attempt = choose(
                Offer(offer.mechanisms, features.channel_bindings, sasl2=True),
                credentials,
                Channel(True, bindings, transport.tls_version),
                nonce=secrets.token_urlsafe(24),
                pinned=memory.strength,
            )
        except AuthenticationFailure:
            if not features.mechanisms:
                raise
            return None
        upgrade = choose_upgrade((each.task.strip() for each in offer.upgrades), attempt)
        requests, self._ticket = replace(self._requests(offer, await self._wish()), upgrade=upgrade), None
        if memory.wants_tokens and credentials.kind is Kind.PASSWORD and credentials.authzid is None:
            insists = credentials.require_binding or Strength.BOUND in (memory.strength, attempt.strength)
            name = choose_ht(offer.fast, bindings, bound=insists)
            if name is not None:
                requests = replace(requests, request_token=RequestToken(mechanism=name))
                self._ticket = Ticket(name, credentials.authcid, "")
        return await self._talk(Dialogue2(attempt, requests), offer, attempt=attempt)

    def _requests(self, offer: SASL2Offer, wish: Wish) -> Requests:
        self._memory.agent = self._memory.agent or str(uuid.uuid4())
        bind = None
        may_bind = wish.resume is None or offer.resumes  # or else it would be the end of the old session
        if wish.bind and may_bind and offer.inline.bind is not None:
            bind = _bind(wish, offer.begins_with)
        return Requests(
            user_agent=UserAgent(id=self._memory.agent, software=SOFTWARE),
            resume=wish.resume if offer.resumes else None,
            bind=bind,
        )

    async def _talk(
        self, dialogue: Dialogue2, offer: SASL2Offer, *, attempt: Attempt | None = None, is_early: bool = False
    ) -> StreamFeatures:
        """Log in, and take what comes of it in the one order in which it can be believed."""
        if is_early:
            dialogue.say = None
        keys = await converse(self._xmlstream, dialogue, self._memory)  # now we know whose word it is
        assert dialogue.success is not None
        if attempt is not None:
            self._memory.succeeded(attempt.strength, keys, attempt.credentials)
        self._keep_token(dialogue.success)
        self._memory.sasl2 = offer
        settled, knows_csi = dialogue.settled(), ns.CSI in offer.begins_with
        if settled.resumed:
            # What is offered was known before, and most servers do not say it again (XEP-0388 §2.6.1); Prosody does.
            self._xmlstream.features_due = True
            return StreamFeatures(sm=True, csi=knows_csi, settled=settled)
        features = await self._features()
        return replace(features, csi=features.csi or knows_csi, settled=settled)

    def _keep_token(self, success: Success) -> None:
        """Keep a new token, whatever comes after it."""
        token = next(iter(success.tokens), None)
        if token is not None and token.token and self._ticket is not None and self._memory.wants_tokens:
            self._memory.ticket = replace(self._ticket, token=token.token, expiry=token.expiry, count=0)

    async def _features(self) -> StreamFeatures:
        """What is offered inside. A server may ask for an acknowledgement before it says so."""
        while True:
            features = await self._xmlstream.receive_features(sm.TAG_REQUEST)
            if features is not None:
                return features
            await self._xmlstream.send(sm.ack(0).encode())


def _bind(wish: Wish, able: Collection[str]) -> Bind:
    """What to bind, with what the server is able to begin a session with."""
    return Bind(
        tag=TAG,
        enable=wish.enable if ns.SM in able else None,
        carbons=carbons.Enable() if wish.carbons and ns.CARBONS in able else None,
        inactive=csi.Inactive() if wish.inactive and ns.CSI in able else None,
    )
