"""From nothing to a link: dial, log in; then resume the session, adopt that of another process, or bind a new one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import trio

from ..errors import StreamNegotiationFailure
from ..jid import JID
from ..protocol import ns
from ..protocol.elements.csi import Inactive
from ..protocol.sm import Enable, Enabled, Failed
from ..stream.core import StreamCore
from ..stream.link import Link, SMNegotiation
from ..stream.negotiation.negotiate import bind
from ..stream.negotiation.resumption import ResumptionRefused
from ..stream.negotiation.sasl2 import InlineRequests, LoggedIn
from .clientstate import ClientStateIndication
from .dial import Connected, LinkDialler
from .journal.journal import SessionJournal
from .policy import Decision, SMPolicy
from .reconnector import Reconnector

__all__ = ["Arrival", "LinkMaker", "SessionOver", "drop"]

_logger = logging.getLogger(__name__)


class Arrival(NamedTuple):
    """A link, and the session on it."""

    link: Link
    jid: JID
    login: LoggedIn
    adopted: bool


class SessionOver(Exception):
    """The inner loop ends: there will be no further link for this session.

    `cause` is why; None if we closed the stream. `decision` is how long to wait for the next attempt, or None if there
    is an authenticated stream, `connected`, that is good for a new session.
    """

    def __init__(
        self, cause: Exception | None, *, decision: Decision | None = None, connected: Connected | None = None
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.decision = decision
        self.connected = connected


class LinkMaker:
    """Makes the links of one client. `ending` is called before a session is destroyed, with the reason.

    WebSockets live in the nursery `websockets`.
    """

    def __init__(
        self,
        core: StreamCore,
        dialler: LinkDialler,
        journal: SessionJournal | None,
        reconnector: Reconnector,
        sm: SMPolicy | None,
        inline: tuple[Any, ...],
        client_state: ClientStateIndication,
        ending: Callable[[Exception], object],
    ) -> None:
        self._core = core
        self._dialler = dialler
        self._journal = journal
        self._reconnector = reconnector
        self._sm = sm
        self._inline = inline
        self._client_state = client_state
        self._ending = ending

    async def dial(self, websockets: trio.Nursery) -> Connected:
        """Return an authenticated stream. Raises ConnectionError."""
        management = self._core.session.sm
        location = None if management is None else management.granted.location
        return await self._reconnector.dial(websockets, location, self._inline_requests(), self.save_login)

    def _inline_requests(self) -> InlineRequests:
        """Return the requests to make along with the next login."""
        policy = self._sm
        resume = policy is not None and policy.resume and policy.max != 0
        return InlineRequests(
            bind=self._dialler.resource is None,
            enable=None if policy is None else Enable(resume=resume, max=policy.max if resume else None),
            features=(*self._inline, *(() if self._client_state.active else (Inactive(),))),
        )

    async def save_login(self) -> None:
        """Write down the state of logins, before a token is used."""
        if self._journal is not None:
            await self._journal.save_token(self._core.session, self._dialler.login)

    async def settle(self, connected: Connected, *, may_adopt: bool) -> Arrival:
        """Adopt the session of another process, if there is one, or bind a new one. Raises ConnectionError."""
        xmlstream, login = connected
        try:
            if may_adopt and self._journal is not None and self._core.session.resumable:
                try:
                    link = await self.resume(connected)
                    assert self._journal.jid is not None
                    self._core.router.bound_as(self._journal.jid)
                    return Arrival(link, self._journal.jid, login, adopted=True)
                except ResumptionRefused:
                    self._journal.not_resumed()
                    if xmlstream.closed:
                        raise
            jid = login.results.jid
            if jid is None:
                jid = await self._dialler.within_deadline(bind, xmlstream, login.features, self._dialler.resource)
            self._core.router.bound_as(jid)
            managed = login.results.managed
            link = self._core.bound(xmlstream, managed if isinstance(managed, Enabled) else None)
            return Arrival(link, jid, login, adopted=False)
        except BaseException:
            await drop(connected)  # noqa: ASYNC102  (it shields)
            raise

    async def resume(self, connected: Connected) -> Link:
        """Resume the session of now, by the answer that came with the login, or else by asking.

        Raises ResumptionRefused, with the session destroyed, if the server refuses; ConnectionError otherwise.
        """
        xmlstream, login = connected
        answer = login.results.resumption
        try:
            if not self._core.session.resumable:
                raise ConnectionAbortedError("the session was given up while it was being resumed")
            if answer is None and (not login.features.sm or login.results.jid is not None):
                raise ResumptionRefused("the server does not offer stream management any more")
            link = await self._dialler.within_deadline(self._core.resumed, xmlstream, answer)
        except ResumptionRefused as refusal:
            if self._core.session.sm is not None:
                self._ending(refusal)
                self._core.destroy(refusal, unacked=refusal.unacked)
            raise
        if link is None:
            raise ConnectionAbortedError("the stream was stopped")
        return link

    # --- the beginning of a session

    def begins(self, arrival: Arrival) -> SMNegotiation | None:
        """The link of `arrival` lives. Return what tells whether the server manages the stream; None if that is known.

        The first stanzas leave behind the request, and count if the server agrees: it takes no round trip of its own.
        """
        login = arrival.login
        if arrival.adopted:
            self._client_state.resumed(login.features, arrival.link)
            return None
        if self._journal is not None:
            self._journal.begins(self._core.session, arrival.jid)
        negotiation = self._ask_for_sm(login)
        self._client_state.begins(login.features, arrival.link, inactive=ns.CSI in login.results.begun)
        return negotiation

    def _ask_for_sm(self, login: LoggedIn) -> SMNegotiation | None:
        answer = login.results.managed
        if isinstance(answer, Failed):
            _logger.warning("going on without stream management: it was refused: %s", answer.condition)
        if self._sm is None or not login.features.sm or answer is not None:
            return None
        return self._core.ask_for_sm(self._sm.resume, self._sm.max, ahead=True)

    async def agree(self, arrival: Arrival, negotiation: SMNegotiation, agreed: trio.Event) -> None:
        """Wait for the answer of `negotiation`, and tell `agreed`, or have the link fail."""
        try:
            await self._dialler.within_deadline(negotiation.wait)
        except StreamNegotiationFailure as exc:
            _logger.warning("going on without stream management: %s", exc)
        except ConnectionError as exc:
            arrival.link.fail(exc)  # no effect if the link has failed already
            return
        await self.begun(arrival)
        agreed.set()

    async def begun(self, arrival: Arrival) -> None:
        """It is known how the session is managed: write that down."""
        self._reconnector.linked(resumed=arrival.adopted)
        if self._journal is not None:
            await self._journal.logged_in(self._core.session, self._dialler.login)


async def drop(connected: Connected | None) -> None:
    """Close a stream that will not be used."""
    if connected is not None:
        with trio.CancelScope(shield=True):
            await connected.xmlstream.aclose()
