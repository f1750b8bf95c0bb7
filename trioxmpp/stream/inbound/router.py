"""Where a stanza goes: through stages and filters, and then to the task or function that waits for it.

::

    message, presence:  stages of services -> service filters -> application filters -> claims -> signals, dispatcher
    iq request:         the handler of its payload class
    iq reply:           the task that waits for it
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ...errors import ErroneousStanza
from ...jid import JID
from ...protocol.stanza import IQ, IQType, Message, MessageType, Presence, PresenceType
from ..filters import AppFilter, Filter
from ..session import SessionState
from ..signal import Signal
from .dispatch import Dispatcher
from .failures import ServiceFailures
from .losses import Losses
from .requests import RequestHandlers
from .stages import Claims, Stage, Stages
from .turns import Turns

__all__ = ["Router"]

_REQUESTS = (IQType.GET, IQType.SET)


class Router:
    """The registries of a `StanzaStream`. They outlive its sessions. IQs pass no filter, in neither direction."""

    def __init__(
        self,
        local_jid: JID | None,
        start_soon: Callable[..., None],
        logger: logging.Logger,
        domain: JID | None = None,
    ) -> None:
        self.local_jid = local_jid
        """Our own address, as far as it is known."""
        self.domain = domain
        """The domain for which we speak, if we are a component; None if we are a client."""
        self._start_soon = start_soon
        self._logger = logger
        self.turns: Turns = Turns()
        """The turns of the tasks that take what arrives."""
        self.losses: Losses = Losses()
        """How many stanzas reached no consumer."""
        self._unawaited = {"late": 0, "unexpected": 0}  # replies: too late, or to no request of ours
        self._malformed = 0  # stanzas that could not be understood, and that were not requests or replies
        self._octets = 0  # of the stanza that is being routed
        turns, losses = self.turns, self.losses
        self.requests: RequestHandlers = RequestHandlers(turns, logger)
        self.messages: Dispatcher[Message, MessageType] = Dispatcher(
            MessageType, self._get_local_jid, turns, losses=losses, logger=logger
        )
        self.presences: Dispatcher[Presence, PresenceType] = Dispatcher(
            PresenceType, self._get_local_jid, turns, any_type=False, losses=losses, logger=logger
        )
        self.on_message_received: Signal[Message] = Signal(turns=turns, weigh=self._weigh, losses=losses, logger=logger)
        self.on_presence_received: Signal[Presence] = Signal(
            turns=turns, weigh=self._weigh, losses=losses, logger=logger
        )
        self.failures: ServiceFailures = ServiceFailures(logger)
        """The failures of services at the stages, and of those that claimed a sender."""
        self.message_stages: Stages[Message] = Stages(self.failures)
        self.presence_stages: Stages[Presence] = Stages(self.failures)
        self.claims: Claims = Claims(self.failures)
        self.service_inbound_message_filter: Filter[Message] = Filter()
        self.service_inbound_presence_filter: Filter[Presence] = Filter()
        self.service_outbound_message_filter: Filter[Message] = Filter()
        self.service_outbound_presence_filter: Filter[Presence] = Filter()
        self.app_inbound_message_filter: AppFilter[Message] = AppFilter()
        self.app_inbound_presence_filter: AppFilter[Presence] = AppFilter()
        self.app_outbound_message_filter: AppFilter[Message] = AppFilter()
        self.app_outbound_presence_filter: AppFilter[Presence] = AppFilter()

    def _get_local_jid(self) -> JID | None:
        return self.local_jid

    def _weigh(self, stanza: Message | Presence) -> int:
        return self._octets

    def bound_as(self, jid: JID) -> None:
        """Learn our own address: by it we recognise replies that the server sends in our own name."""
        self.local_jid = jid.bare

    @contextmanager
    def at_stage(
        self,
        stage: Stage,
        message: Callable[[Message], Message | None] | None,
        presence: Callable[[Presence], Presence | None] | None = None,
    ) -> Iterator[None]:
        """Call these functions with each inbound message and presence at `stage`, while the block runs."""
        with ExitStack() as stack:
            if message is not None:
                stack.enter_context(self.message_stages.at(stage, message))
            if presence is not None:
                stack.enter_context(self.presence_stages.at(stage, presence))
            yield

    def route(self, stanza: Message | Presence | IQ, session: SessionState, octets: int = 0) -> None:
        """Hand an inbound stanza with its size to what it concerns. Raises only what a filter raises."""
        if self.domain is not None and not self._is_for_us(stanza):
            self._logger.warning("ignored: a stanza to or from an address that it cannot have: %r", stanza)
        elif isinstance(stanza, Message):
            self._route_message(stanza, session, octets)
        elif isinstance(stanza, Presence):
            self._route_presence(stanza, session, octets)
        elif stanza.type in _REQUESTS:
            self.requests.dispatch(stanza, session, self._start_soon, octets)
        else:
            self._deliver(stanza, session)

    def own(self, address: JID | None) -> JID | None:
        """Return which address of ours takes part, if we have many of them; None if we are a client."""
        return None if self.domain is None else address

    def check_sender(self, stanza: Message | Presence | IQ) -> None:
        """Check that a component sends in the name of its own domain, and to some address (XEP-0114 §3).

        Raises ValueError. The server would end the stream for that, with all that is under way.
        """
        if self.domain is None:
            return
        if stanza.from_ is None or stanza.from_.domain != self.domain.domain:
            raise ValueError(f"a component sends from an address of its own domain, {self.domain}, not {stanza.from_}")
        if stanza.to is None:
            raise ValueError("a component has no account: each of its stanzas needs an address in `to`")

    def _is_for_us(self, stanza: Message | Presence | IQ) -> bool:
        """Return whether a stanza has a sender, and is for our domain."""
        assert self.domain is not None
        to = stanza.to
        return stanza.from_ is not None and to is not None and to.domain == self.domain.domain

    def _route_message(self, message: Message, session: SessionState, octets: int) -> None:
        result: Message | None = message
        if self.message_stages.chain:
            result = self.message_stages.pass_through(message)
        if result is not None and self.service_inbound_message_filter.chain:
            result = self.service_inbound_message_filter.filter(result)
        if result is not None and self.app_inbound_message_filter.chain:
            result = self.app_inbound_message_filter.filter(result)
        if result is None or (self.claims.messages and self.claims.take_message(result, self.own(result.to))):
            return
        if self.on_message_received.listeners:
            self._octets = octets
            self.on_message_received.emit(result)
        self.messages.dispatch(result, session.handled, octets)

    def _route_presence(self, presence: Presence, session: SessionState, octets: int) -> None:
        result: Presence | None = presence
        if self.presence_stages.chain:
            result = self.presence_stages.pass_through(presence)
        if result is not None and self.service_inbound_presence_filter.chain:
            result = self.service_inbound_presence_filter.filter(result)
        if result is not None and self.app_inbound_presence_filter.chain:
            result = self.app_inbound_presence_filter.filter(result)
        if result is None or (self.claims.messages and self.claims.take_presence(result, self.own(result.to))):
            return
        if self.on_presence_received.listeners:
            self._octets = octets
            self.on_presence_received.emit(result)
        self.presences.dispatch(result, session.handled, octets)

    def refuse(self, problem: ErroneousStanza, session: SessionState, *, is_logged: bool = False) -> None:
        """Deal with a stanza that cannot be understood: tell the task that waits for it, or the sender of a request.

        If it `is_logged` already, it gets no other line. Strangers can send such stanzas: not each one gets a line.
        """
        partial = problem.partial
        if not isinstance(partial, IQ) or (self.domain is not None and not self._is_for_us(partial)):
            self._malformed += 1
            if not (is_logged or self._malformed & (self._malformed - 1)):
                self._logger.warning("ignored: %s (number %d of such)", problem, self._malformed)
        elif partial.type is IQType.RESULT or partial.type is IQType.ERROR:
            self._deliver(partial, session, problem, is_logged=is_logged)
        else:
            self.requests.refuse(partial, session, problem)

    def _deliver(
        self, reply: IQ, session: SessionState, problem: ErroneousStanza | None = None, *, is_logged: bool = False
    ) -> None:
        """Give a reply to the task that waits for it. Strangers can send replies: not each one gets a line."""
        replies, own = session.replies, self.own(reply.to)
        if replies.deliver(reply, self.local_jid, problem, own=own):
            return
        is_late = replies.ignore(reply, self.local_jid, own=own)
        if is_late is False:
            self._logger.debug("ignored: no task waits for this reply: %.300s", repr(reply))
            return
        kind = "late" if is_late else "unexpected"
        self._unawaited[kind] += 1
        number = self._unawaited[kind]
        if not (is_logged or number & (number - 1)):
            self._logger.warning("%s reply: %.300s (number %d of such)", kind, repr(reply), number)

    def close(self, reason: Exception | None) -> None:
        """End every inbox, once its consumer had what is in it, with `reason` or without one."""
        for registry in (self.messages, self.presences, self.requests):
            registry.close(reason)
        self.on_message_received.close(reason)
        self.on_presence_received.close(reason)

    @property
    def outbound_filters(self) -> tuple[Filter[Message], Filter[Message], Filter[Presence], Filter[Presence]]:
        """Those that `filter_outbound` applies. While the chains of all are empty, it changes nothing."""
        return (
            self.app_outbound_message_filter,
            self.service_outbound_message_filter,
            self.app_outbound_presence_filter,
            self.service_outbound_presence_filter,
        )

    def filter_outbound(self, stanza: Message | Presence | IQ) -> Message | Presence | IQ | None:
        """Return what to send in place of `stanza`; None drops it. Service filters come after application filters."""
        if isinstance(stanza, Message):
            message = self.app_outbound_message_filter.filter(stanza)
            return None if message is None else self.service_outbound_message_filter.filter(message)
        if isinstance(stanza, Presence):
            presence = self.app_outbound_presence_filter.filter(stanza)
            return None if presence is None else self.service_outbound_presence_filter.filter(presence)
        return stanza
