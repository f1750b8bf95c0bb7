"""The requests that we answer: who handles which IQ get or set, and that each is answered exactly once."""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import trio

from ... import xml
from ...errors import (
    ElementError,
    ErroneousStanza,
    StanzaCondition,
    XMPPCancelError,
    XMPPError,
    XMPPModifyError,
    XMPPWaitError,
)
from ...jid import JID
from ...protocol.stanza import IQ, IQType
from ..asyncness import is_async
from ..outbound.token import OutgoingStanza, StanzaState, StanzaToken
from ..session import SessionState
from .inbox import DEFAULT_CAPACITY, Inbox, Subscription
from .turns import Turns

__all__ = ["MAX_RUNNING", "MAX_RUNNING_OF_A_SENDER", "Handler", "Request", "RequestHandlers"]

_module_logger = logging.getLogger(__name__)

Handler = Callable[..., Any]

#: How many handlers run at the same time, and how many of them for one bare JID: each is a task of some kilobytes. A
#: request beyond that is answered with *resource-constraint*, type wait (RFC 6120 §8.3.3.18).
MAX_RUNNING = 1_000
MAX_RUNNING_OF_A_SENDER = 100


class Request:
    """One IQ get or set that we owe an answer to.

    `iq` is the request as it arrived, its payload parsed. Calling ``request.reply(payload)`` answers it.
    """

    __slots__ = ("_logger", "_on_answer", "_session", "_too_late", "iq", "octets", "token")

    def __init__(self, iq: IQ, session: SessionState, logger: logging.Logger = _module_logger, octets: int = 0) -> None:
        self.iq: IQ = iq
        self._logger = logger
        self.octets: int = octets
        """The octets of the request as it arrived."""
        self.token: OutgoingStanza | None = None
        self._session = session
        self._on_answer: Callable[[Request], None] | None = None
        self._too_late: str | None = None

    @property
    def payload(self) -> Any:
        """The question, as an object of the class that the handler was registered for."""
        return self.iq.payload

    @property
    def answered(self) -> bool:
        """Whether there was an answer."""
        return self.token is not None

    def reply(self, result: Any = None) -> StanzaToken:
        """Enqueue the answer now: a result with this payload (None: empty), or an error if `result` is an `XMPPError`.

        Returns the token of the answer. A result that cannot be a payload, or cannot be written, is logged and answered
        with *undefined-condition*; so is the request if its answer is retracted, by `abort` or by cancelling who awaits
        the token. Raises RuntimeError if there was an answer already, or if it is too late for one.
        """
        if self.token is not None:
            raise RuntimeError("this request was answered already: it is answered exactly once (RFC 6120 §8.2.3)")
        if self._too_late is not None:
            raise RuntimeError(f"it is too late to reply: {self._too_late}")
        if isinstance(result, XMPPError):
            answer = self.iq.make_error(result)
        elif _may_be_payload(result):
            answer = self.iq.make_result(result)
        else:
            self._logger.error("a handler answered %r with %r, which is no payload", self.iq, result)
            answer = self.iq.make_error(_undefined())
        self.token = self._session.enqueue(answer)
        self.token.watch(self._answer_settled)
        if self._on_answer is not None:
            self._on_answer(self)
        return self.token

    def finish(self, result: Any) -> None:
        """The handler has finished with this result: it is the answer, unless there was one already."""
        if not self.answered:
            self.reply(result)
        self.close("the handler has finished")

    def error_for(self, exc: Exception) -> XMPPError:
        """Return the error that tells the requester about an exception. Only the text of an `XMPPError` is for it."""
        while isinstance(exc, ExceptionGroup) and len(exc.exceptions) == 1:
            exc = exc.exceptions[0]
        if isinstance(exc, XMPPError) and not self.answered:
            return exc
        self._logger.error("the handler of %r failed", self.iq, exc_info=exc)
        return _undefined()

    def close(self, why: str) -> None:
        """From now on it is too late to reply."""
        self._too_late = why

    def _answer_settled(self, state: StanzaState) -> None:
        # An answer can turn out to be unserialisable only now. The requester still gets one.
        if state is StanzaState.FAILED:
            assert self.token is not None
            self._logger.error("the answer to %r could not be written", self.iq, exc_info=self.token.exception)
        if state is StanzaState.FAILED or state is StanzaState.ABORTED:
            self._session.enqueue(self.iq.make_error(_undefined()))


class _Slot(NamedTuple):
    payload_cls: type[Any]
    handler: Handler
    with_send_reply: bool = False
    deferred: bool = False
    """The handler takes the `Request` and answers it when it likes."""


class RequestHandlers:
    """The handlers that answer requests, by type and payload class. They outlive sessions; the answers do not."""

    def __init__(self, turns: Turns | None = None, logger: logging.Logger = _module_logger) -> None:
        self._turns = turns
        self._logger = logger
        self._running: Counter[JID | None] = Counter()
        """How many handlers run for each bare JID."""
        self._slots: dict[tuple[IQType, str], _Slot] = {}
        self._fallbacks: dict[tuple[IQType, str], _Slot] = {}
        """The handlers of slots that nothing has claimed."""
        self._inboxes: set[Inbox[Request]] = set()

    def register(
        self, type_: IQType, payload_cls: type[Any], handler: Handler, *, with_send_reply: bool = False
    ) -> None:
        """Claim the requests of this type with this very class of payload (not a subclass).

        Raises TypeError if `type_` is not an IQType, ValueError if it is not GET or SET or the slot is taken.
        """
        self._claim(type_, _Slot(payload_cls, handler, with_send_reply))

    def unregister(self, type_: IQType, payload_cls: type[Any]) -> None:
        """Free the slot; handlers that are running go on. KeyError if it is free."""
        key = self._key(type_, payload_cls)
        if key not in self._slots or self._slots[key].payload_cls is not payload_cls:
            raise KeyError((type_, payload_cls))
        del self._slots[key]

    def fallback(self, type_: IQType, payload_cls: type[Any], handler: Handler) -> None:
        """Have `handler` answer requests of this class while nothing claims them."""
        self._fallbacks[self._key(type_, payload_cls)] = _Slot(payload_cls, handler)

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

        Those that are unanswered when the block is left are answered with *service-unavailable*. While `capacity`
        requests are unanswered, or the inbox is full, others are answered with *resource-constraint*.
        """
        pending: dict[Request, None] = {}

        def attach(inbox: Inbox[Request]) -> None:
            def arrived(request: Request) -> None:
                if len(pending) >= capacity or not inbox.put(request, request.octets):
                    request.reply(_too_many())
                    return
                pending[request] = None
                request._on_answer = pending.pop

            self._claim(type_, _Slot(payload_cls, arrived, deferred=True))
            self._inboxes.add(inbox)

        def detach(inbox: Inbox[Request]) -> None:
            self._inboxes.discard(inbox)
            self.unregister(type_, payload_cls)
            for request in list(pending):
                request.reply(_unavailable())

        queue: Inbox[Request] = Inbox(capacity, overflow="drop_newest", turns=self._turns, logger=self._logger)
        return Subscription(attach, detach, queue)

    def dispatch(self, iq: IQ, session: SessionState, start_soon: Callable[..., None], octets: int = 0) -> None:
        """Have the request answered: a plain function now, an async one in a task that `start_soon` starts."""
        request = Request(iq, session, self._logger, octets)
        payload = iq.payload
        if payload is None:
            text = "an IQ of type get or set has exactly one payload (RFC 6120 §8.2.3)"
            request.reply(XMPPModifyError(StanzaCondition.BAD_REQUEST, text))
            return
        slot = self._slots.get(key := (iq.type, payload.tag)) or self._fallbacks.get(key)
        if slot is None:
            self._logger.info("nothing handles %r", iq)
            request.reply(_unavailable())
            return
        try:
            iq.payload = xml.parse(slot.payload_cls, payload)
        except ElementError as exc:
            request.reply(XMPPModifyError(StanzaCondition.BAD_REQUEST, str(exc)))
            return
        except Exception as exc:  # the class cannot read anything at all: no reason to end the stream
            request.reply(request.error_for(exc))
            return
        if slot.deferred:
            slot.handler(request)
            return
        self._call(slot, request, session, start_soon)

    def _call(self, slot: _Slot, request: Request, session: SessionState, start_soon: Callable[..., None]) -> None:
        """Call the handler. One that is async runs in a task, if the number of those allows it."""
        sender = None if request.iq.from_ is None else request.iq.from_.bare
        if is_async(slot.handler) and self._is_busy(sender):
            request.reply(_too_many())
            return
        args = (request.iq, request.reply) if slot.with_send_reply else (request.iq,)
        try:
            result = slot.handler(*args)
        except Exception as exc:
            request.finish(request.error_for(exc))
            return
        if not inspect.isawaitable(result):
            request.finish(result)
        elif not inspect.iscoroutinefunction(slot.handler) and self._is_busy(sender):
            if inspect.iscoroutine(result):
                result.close()
            request.finish(_too_many())
        else:
            # Known from the start, so that a session that ends before the task begins cancels it all the same.
            scope = trio.CancelScope()
            try:
                start_soon(self._run, request, result, session, scope, sender)
            except RuntimeError as exc:  # there is no place for a task
                if inspect.iscoroutine(result):
                    result.close()
                request.finish(request.error_for(exc))
                return
            session.running.add(scope)
            self._running[sender] += 1

    def _is_busy(self, sender: JID | None) -> bool:
        return self._running[sender] >= MAX_RUNNING_OF_A_SENDER or self._running.total() >= MAX_RUNNING

    async def _run(
        self,
        request: Request,
        answer: Awaitable[Any],
        session: SessionState,
        scope: trio.CancelScope,
        sender: JID | None,
    ) -> None:
        """Wait for the handler's answer and send it. A handler that the end of the session cancels sends none."""
        try:
            with scope:
                request.finish(await answer)
        except Exception as exc:
            request.finish(request.error_for(exc))
        except BaseException as exc:
            # Cancelled by something else, though the session may go on: then the requester is owed an answer.
            request.finish(_undefined())
            if isinstance(exc, BaseExceptionGroup):
                failure, cancelled = exc.split(Exception)
                if failure is not None and cancelled is not None:
                    request.error_for(failure)
                    raise cancelled from None  # noqa: ASYNC104  (which is what it says)
            raise
        finally:
            session.running.discard(scope)
            self._running[sender] -= 1
            if not self._running[sender]:
                del self._running[sender]
            request.close("the handler has finished" if session.ended is None else "the session has ended")

    def refuse(self, iq: IQ, session: SessionState, problem: ErroneousStanza) -> None:
        """Answer a request that cannot be understood."""
        Request(iq, session, self._logger).reply(XMPPModifyError(StanzaCondition.BAD_REQUEST, str(problem)))

    def close(self, reason: Exception | None) -> None:
        """End all iterations over requests, once their consumers had what is in them, with `reason` or without one."""
        for inbox in self._inboxes:
            inbox.close(reason)

    def _claim(self, type_: IQType, slot: _Slot) -> None:
        key = self._key(type_, slot.payload_cls)
        if (taken := self._slots.get(key)) is not None:
            names = f"{slot.payload_cls.__name__}: {taken.payload_cls.__name__} has the slot"
            raise ValueError(f"only one listener allowed for {type_} of {names}")
        self._slots[key] = slot

    @staticmethod
    def _key(type_: IQType, payload_cls: type[Any]) -> tuple[IQType, str]:
        if not isinstance(type_, IQType):
            raise TypeError(f"{type_!r} is not an IQType")
        if not type_.is_request:
            raise ValueError(f"{type_} is not a request")
        return type_, xml.tag_of(payload_cls)


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


def _too_many() -> XMPPError:
    return XMPPWaitError(StanzaCondition.RESOURCE_CONSTRAINT)


def _unavailable() -> XMPPError:
    return XMPPCancelError(StanzaCondition.SERVICE_UNAVAILABLE)
