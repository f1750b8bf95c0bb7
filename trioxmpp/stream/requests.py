"""The requests that we answer: who handles which IQ get or set, and that each is answered exactly once."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import trio

from .. import xml
from ..errors import (
    ElementError,
    ErroneousStanza,
    StanzaCondition,
    XMPPCancelError,
    XMPPError,
    XMPPModifyError,
    XMPPWaitError,
)
from ..protocol.stanza import IQ, IQType
from .inbox import DEFAULT_CAPACITY, Inbox, Subscription
from .session import Session
from .token import StanzaState, StanzaToken

__all__ = ["Handler", "Request", "RequestHandlers"]

logger = logging.getLogger(__name__)

Handler = Callable[..., Any]


class Request:
    """One IQ get or set that we owe an answer to.

    `iq` is the request as it arrived, its payload parsed. Calling ``request.reply(payload)`` answers it.
    """

    __slots__ = ("_deadline", "_session", "iq", "token")

    def __init__(self, iq: IQ, session: Session) -> None:
        self.iq = iq
        self.token: StanzaToken | None = None
        self._session = session
        self._deadline: str | None = None

    @property
    def payload(self) -> Any:
        """What is asked, as an object of the class that the handler was registered for."""
        return self.iq.payload

    @property
    def answered(self) -> bool:
        """Whether there was an answer."""
        return self.token is not None

    def reply(self, result: Any = None) -> StanzaToken:
        """Enqueue the answer now: a result with this payload (None: empty), or an error if `result` is an `XMPPError`.

        Returns the token of the answer. What cannot be a payload is logged, and answered with *undefined-condition*.
        Raises RuntimeError if there was an answer already, or if it is too late for one.
        """
        if self.token is not None:
            raise RuntimeError("this request was answered already: it is answered exactly once (RFC 6120 §8.2.3)")
        if self._deadline is not None:
            raise RuntimeError(f"it is too late to reply: {self._deadline}")
        if isinstance(result, XMPPError):
            answer = self.iq.make_error(result)
        elif _may_be_payload(result):
            answer = self.iq.make_result(result)
        else:
            logger.error("a handler answered %r with %r, which is no payload", self.iq, result)
            answer = self.iq.make_error(_undefined())
        self.token = self._session.enqueue(answer)
        if answer.type is IQType.RESULT:
            self.token._watchers.append(self._result_written)
        return self.token

    def close(self, why: str) -> None:
        """From now on it is too late to reply."""
        self._deadline = why

    def _result_written(self, state: StanzaState) -> None:
        # A payload can turn out to be unserialisable only now. The requester still gets an answer.
        if state is StanzaState.FAILED:
            self._session.enqueue(self.iq.make_error(_undefined()))


class _Slot(NamedTuple):
    payload_cls: type[Any]
    handler: Handler
    with_send_reply: bool = False
    deferred: bool = False
    """The handler takes the `Request` and answers it when it likes."""


class RequestHandlers:
    """Who answers requests, by type and payload class. Outlives sessions; the answers do not."""

    def __init__(self) -> None:
        self._slots: dict[tuple[IQType, str], _Slot] = {}

    def register(
        self, type_: IQType, payload_cls: type[Any], handler: Handler, *, with_send_reply: bool = False
    ) -> None:
        """Claim the requests of this type with this very class of payload (not a subclass).

        Raises TypeError if `type_` is not an IQType, ValueError if it is not GET or SET or the slot is taken.
        """
        self._claim(type_, _Slot(payload_cls, handler, with_send_reply))

    def unregister(self, type_: IQType, payload_cls: type[Any]) -> None:
        """Free the slot; handlers that are running go on. KeyError if nobody has it."""
        key = self._key(type_, payload_cls)
        if key not in self._slots or self._slots[key].payload_cls is not payload_cls:
            raise KeyError((type_, payload_cls))
        del self._slots[key]

    @contextmanager
    def handler(
        self, type_: IQType, payload_cls: type[Any], handler: Handler, *, with_send_reply: bool = False
    ) -> Iterator[None]:
        """`handler` has the slot while the block runs."""
        self.register(type_, payload_cls, handler, with_send_reply=with_send_reply)
        try:
            yield
        finally:
            self.unregister(type_, payload_cls)

    def requests(
        self, type_: IQType, payload_cls: type[Any], *, capacity: float = DEFAULT_CAPACITY
    ) -> Subscription[Request]:
        """``async with`` block that claims the slot and gives an inbox of `Request`.

        Those that are unanswered when the block is left are answered with *service-unavailable*, those that the inbox
        has no room for with *resource-constraint*.
        """
        pending: set[Request] = set()

        def attach(inbox: Inbox[Request]) -> None:
            def arrived(request: Request) -> None:
                if len(inbox) >= capacity:
                    request.reply(XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT))
                    return
                pending.difference_update([old for old in pending if old.answered])
                pending.add(request)
                inbox.put(request)

            self._claim(type_, _Slot(payload_cls, arrived, deferred=True))

        def detach(inbox: Inbox[Request]) -> None:
            self.unregister(type_, payload_cls)
            for request in pending:
                if not request.answered:
                    request.reply(_unavailable())

        return Subscription(attach, detach, capacity)

    def dispatch(self, iq: IQ, session: Session, start_soon: Callable[..., None]) -> None:
        """Have the request answered: a plain function now, an async one in a task that `start_soon` starts."""
        request = Request(iq, session)
        payload = iq.payload
        slot = None if payload is None else self._slots.get((iq.type, payload.tag))
        if slot is None:
            logger.info("nobody handles %r", iq)
            request.reply(_unavailable())
            return
        try:
            iq.payload = xml.parse(slot.payload_cls, payload)
        except ElementError as exc:
            request.reply(XMPPModifyError(StanzaCondition.BAD_REQUEST, str(exc)))
            return
        if slot.deferred:
            slot.handler(request)
            return
        args = (iq, request.reply) if slot.with_send_reply else (iq,)
        try:
            result = slot.handler(*args)
        except Exception as exc:
            _finish(request, _error_for(exc, request))
            return
        if inspect.isawaitable(result):
            start_soon(_run, request, result, session)
        else:
            _finish(request, result)

    def refuse(self, iq: IQ, session: Session, problem: ErroneousStanza) -> None:
        """Answer a request that cannot be understood."""
        Request(iq, session).reply(XMPPModifyError(StanzaCondition.BAD_REQUEST, str(problem)))

    def _claim(self, type_: IQType, slot: _Slot) -> None:
        key = self._key(type_, slot.payload_cls)
        if key in self._slots:
            raise ValueError(f"only one listener allowed for {type_} of {slot.payload_cls.__name__}")
        self._slots[key] = slot

    @staticmethod
    def _key(type_: IQType, payload_cls: type[Any]) -> tuple[IQType, str]:
        if not isinstance(type_, IQType):
            raise TypeError(f"{type_!r} is not an IQType")
        if not type_.is_request:
            raise ValueError(f"{type_} is not a request")
        return type_, xml.tag_of(payload_cls)


async def _run(request: Request, answer: Awaitable[Any], session: Session) -> None:
    """Wait for the handler's answer and send it; a handler that is cancelled sends none, now or later."""
    with trio.CancelScope() as scope:
        session.running.add(scope)
        result: Any
        try:
            result = await answer
        except Exception as exc:
            result = _error_for(exc, request)
        finally:
            session.running.discard(scope)
        _finish(request, result)
        return
    request.close("the session has ended")


def _finish(request: Request, result: Any) -> None:
    if not request.answered:
        request.reply(result)
    request.close("the handler has finished")


def _error_for(exc: Exception, request: Request) -> XMPPError:
    """The error that tells the requester about an exception, without leaking the text of one not meant for him."""
    while isinstance(exc, ExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    if isinstance(exc, XMPPError) and not request.answered:
        return exc
    logger.error("the handler of %r failed", request.iq, exc_info=exc)
    return _undefined()


def _may_be_payload(value: Any) -> bool:
    if value is None or isinstance(value, xml.Element):
        return True
    try:
        xml.tag_of(type(value))
    except TypeError:
        return False
    return True


def _undefined() -> XMPPError:
    return XMPPCancelError(StanzaCondition.UNDEFINED_CONDITION)


def _unavailable() -> XMPPError:
    return XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
