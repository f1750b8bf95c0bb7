"""Where a stanza goes: through the filters, and then to whoever waits for it or handles it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..errors import ErroneousStanza
from ..jid import JID
from ..protocol.stanza import IQ, IQType, Message, MessageType, Presence, PresenceType
from .dispatch import Dispatcher
from .filters import AppFilter, Filter
from .requests import RequestHandlers
from .session import Session
from .signal import Signal

__all__ = ["Router"]


class Router:
    """The registries of a `StanzaStream`. They outlive its sessions. IQs pass no filter, in neither direction."""

    def __init__(
        self, local_jid: Callable[[], JID | None], start_soon: Callable[..., None], logger: logging.Logger
    ) -> None:
        self.local_jid = local_jid
        """Our own address, as far as it is known."""
        self._start_soon = start_soon
        self._logger = logger
        self.requests = RequestHandlers()
        self.messages: Dispatcher[Message] = Dispatcher(MessageType, local_jid)
        self.presences: Dispatcher[Presence] = Dispatcher(PresenceType, local_jid, any_type=False)
        self.on_message_received: Signal[Message] = Signal()
        self.on_presence_received: Signal[Presence] = Signal()
        self.on_message_received.connect(self.messages.dispatch)
        self.on_presence_received.connect(self.presences.dispatch)
        self.service_inbound_message_filter: Filter[Message] = Filter()
        self.service_inbound_presence_filter: Filter[Presence] = Filter()
        self.service_outbound_message_filter: Filter[Message] = Filter()
        self.service_outbound_presence_filter: Filter[Presence] = Filter()
        self.app_inbound_message_filter: AppFilter[Message] = AppFilter()
        self.app_inbound_presence_filter: AppFilter[Presence] = AppFilter()
        self.app_outbound_message_filter: AppFilter[Message] = AppFilter()
        self.app_outbound_presence_filter: AppFilter[Presence] = AppFilter()

    def route(self, stanza: Message | Presence | IQ, session: Session) -> None:
        """Hand an inbound stanza to whom it concerns. Raises what a filter raises, and nothing else."""
        if isinstance(stanza, Message):
            message: Message | None = stanza
            if self.service_inbound_message_filter.chain:
                message = self.service_inbound_message_filter.filter(stanza)
            if message is not None and self.app_inbound_message_filter.chain:
                message = self.app_inbound_message_filter.filter(message)
            if message is not None:
                self.on_message_received.emit(message)
        elif isinstance(stanza, Presence):
            presence = self.service_inbound_presence_filter.filter(stanza)
            if presence is not None and (presence := self.app_inbound_presence_filter.filter(presence)) is not None:
                self.on_presence_received.emit(presence)
        elif stanza.type.is_request:
            self.requests.dispatch(stanza, session, self._start_soon)
        else:
            session.replies.deliver(stanza, self.local_jid())

    def refuse(self, problem: ErroneousStanza, session: Session) -> None:
        """Deal with a stanza that cannot be understood: tell who waits for it, or who sent it, if anybody."""
        partial = problem.partial
        if not isinstance(partial, IQ):
            self._logger.warning("ignored: %s", problem)
        elif partial.type is IQType.RESULT or partial.type is IQType.ERROR:
            session.replies.deliver(partial, self.local_jid(), problem)
        else:
            self.requests.refuse(partial, session, problem)

    def close(self, reason: Exception | None) -> None:
        """End every inbox, once its consumer had what is in it, with `reason` or without one."""
        for registry in (self.messages, self.presences, self.requests):
            registry.close(reason)

    def filter_outbound(self, stanza: Message | Presence | IQ) -> Message | Presence | IQ | None:
        """What to send in place of `stanza`; None drops it. Service filters come after application filters."""
        if isinstance(stanza, Message):
            if not (self.app_outbound_message_filter.chain or self.service_outbound_message_filter.chain):
                return stanza
            message = self.app_outbound_message_filter.filter(stanza)
            return None if message is None else self.service_outbound_message_filter.filter(message)
        if isinstance(stanza, Presence):
            presence = self.app_outbound_presence_filter.filter(stanza)
            return None if presence is None else self.service_outbound_presence_filter.filter(presence)
        return stanza
