"""Every exception of the library, in one tree:

    ConnectionError (builtin)
    ├── ConnectError               no endpoint accepted us; .attempts gives the reason for each
    ├── StreamNegotiationFailure   the server does not accept our conditions, or we do not accept the server's
    │   ├── TLSFailure             not offered, not trusted, wrong name
    │   └── AuthenticationFailure  .condition .retry; fatal, never retried blindly
    ├── StreamError                .condition .text: a stream error of the server, or of ours, ended the stream
    ├── StreamTimeout              silence longer than soft_timeout + round_trip_time
    ├── SessionLost                the session could not be resumed; .undelivered
    └── DestructionRequested       the application asked to destroy the stream
    StanzaError
    ├── XMPPError  .condition .text .texts .application .address .by
    │   └── XMPPAuthError XMPPCancelError XMPPContinueError XMPPModifyError XMPPWaitError
    └── ErroneousStanza            arrived, but could not be parsed; .partial
    RuntimeError: StanzaAborted, StanzaDropped, InboxOverflow, OutboxFull, StoreError
    ValueError: JIDError, StanzaTooLarge, ElementError (.path says where)

A fault of the network is a `ConnectionError`, so ``except OSError`` catches it. An error that a peer reports for one
stanza is a `StanzaError`. All others are mistakes of the calling program.

All of them can be copied and pickled, as a pool of processes does with an exception. Their texts are chosen by peers:
``str()`` shows them without control characters, and cut to a length that fits a log; the attributes hold them whole.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..jid import JID, JIDError
from ..record import record
from ..text import printable
from .conditions import ErrorType, StanzaCondition, StreamCondition

__all__ = [
    "Attempt",
    "AuthenticationFailure",
    "ConnectError",
    "DestructionRequested",
    "ElementError",
    "ErroneousStanza",
    "ErrorType",
    "InboxOverflow",
    "JIDError",
    "OutboxFull",
    "SessionLost",
    "Stage",
    "StanzaAborted",
    "StanzaCondition",
    "StanzaDropped",
    "StanzaError",
    "StanzaRefused",
    "StanzaTooLarge",
    "StoreError",
    "StreamCondition",
    "StreamError",
    "StreamNegotiationFailure",
    "StreamTimeout",
    "TLSFailure",
    "XMPPAuthError",
    "XMPPCancelError",
    "XMPPContinueError",
    "XMPPError",
    "XMPPModifyError",
    "XMPPWaitError",
]


def _restored(cls: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    error = cls.__new__(cls)
    error.args = args
    return error


class _Copyable:
    """Base of exceptions whose constructor takes other arguments than the message, which Python's own copies need."""

    __slots__ = ()

    def __reduce__(self: Any) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), self.__dict__


class Stage(enum.StrEnum):
    """The step at which an attempt to connect failed."""

    RESOLVING = "looking it up"
    CONNECTING = "connecting"
    TLS = "securing the link"
    STREAM = "opening the stream"
    FEATURES = "waiting for the features of the server"
    AUTHENTICATION = "logging in"


@record
class Attempt:
    """An attempt to connect that failed. It is also a pair, to be unpacked: ``endpoint, error = attempt``.

    `endpoint` is the endpoint, for example ``xmpps://host:5223``, and `address` its network address, where that is
    known and differs. `stage` is the step that failed, `error` the reason.
    """

    endpoint: str
    address: str | None
    stage: Stage
    error: BaseException

    def __iter__(self) -> Iterator[Any]:
        return iter((self.endpoint, self.error))

    def __getitem__(self, index: int) -> Any:
        return (self.endpoint, self.error)[index]

    def __str__(self) -> str:
        address = f" at {self.address}" if self.address else ""
        reason = getattr(self.error, "strerror", None) or str(self.error) or type(self.error).__name__
        return f"{self.endpoint}{address}, {self.stage.value}: {reason}"


class ConnectError(_Copyable, ConnectionError):
    """No endpoint accepted us.

    `attempts` holds an `Attempt` for each endpoint and address, in the order in which they failed.
    """

    def __init__(self, message: str, attempts: Sequence[Attempt] = ()) -> None:
        self.attempts: tuple[Attempt, ...] = tuple(attempts)
        if len(self.attempts) == 1:
            message = f"{message} ({self.attempts[0]})"
        elif self.attempts:
            message = "".join([f"{message}; what was tried:", *(f"\n- {attempt}" for attempt in self.attempts)])
        super().__init__(message)


class StreamNegotiationFailure(_Copyable, ConnectionError):
    """The server does not accept our conditions, or we do not accept the server's."""


class TLSFailure(StreamNegotiationFailure):
    """The link could not be secured: TLS was not offered, the certificate is not trusted or has another name."""


class AuthenticationFailure(StreamNegotiationFailure):
    """The login failed. Another attempt with the same credentials would only lock the account, unless `retry`.

    `condition` is the SASL error condition of RFC 6120 §6.5 as the server sent it, or None if the client refused the
    server, for example because the server did not prove that it knows the password. `offered` are the mechanisms that
    the server offered, `tried` those of them that were begun. `retry` is whether the same login may succeed later.
    """

    def __init__(
        self,
        message: str,
        condition: str | None = None,
        *,
        offered: Sequence[str] = (),
        tried: Sequence[str] = (),
        retry: bool | None = None,
    ) -> None:
        self.condition = condition
        self.offered: tuple[str, ...] = tuple(offered)
        self.tried: tuple[str, ...] = tuple(tried)
        self.retry: bool = condition == "temporary-auth-failure" if retry is None else retry
        super().__init__(message)


class StreamError(_Copyable, ConnectionError):
    """A stream error ended the stream (RFC 6120 §4.9). `by_us` is whether it was ours.

    `condition` and `text` are those of the error, and `texts` all its texts by language, ``""`` for one without. A
    condition that RFC 6120 does not define is UNDEFINED_CONDITION; `condition_name` keeps its name. `application` is
    the application-specific condition as XML (RFC 6120 §4.9.4), or None. `uri` is the address to connect to instead,
    which the server of a WebSocket gives (RFC 7395 §3.6.1), or None.
    """

    def __init__(
        self,
        condition: StreamCondition,
        text: str | Mapping[str, str] | None = None,
        *,
        by_us: bool = False,
        application: str | None = None,
        uri: str | None = None,
        condition_name: str | None = None,
    ) -> None:
        if not isinstance(condition, StreamCondition):
            raise TypeError(f"condition must be a StreamCondition, not {type(condition).__name__}")
        self.condition = condition
        self.condition_name: str = condition_name or condition.value
        self.texts: dict[str, str] = _by_language(text)
        self.text: str | None = next(iter(self.texts.values()), None)
        self.by_us = by_us
        self.application = application
        self.uri = uri
        subject = "the client ended the stream" if by_us else "the server ended the stream"
        detail = f" ({printable(self.text)})" if self.text else ""
        super().__init__(f"{subject}: {printable(self.condition_name, 100)}{detail}")


class StreamTimeout(ConnectionError):
    """The server was silent for soft_timeout + round_trip_time: a timeout of the whole stream."""


class SessionLost(_Copyable, ConnectionError):
    """The session could not be resumed.

    `undelivered` holds the tokens of the stanzas that the server never acknowledged, in the order in which they
    were enqueued. Whether those that had been written did arrive cannot be known (XEP-0198 §5).
    """

    def __init__(self, message: str, undelivered: Sequence[Any] = ()) -> None:
        self.undelivered: tuple[Any, ...] = tuple(undelivered)
        super().__init__(message)


class DestructionRequested(ConnectionError):
    """The application requested the destruction of the stream, directly or indirectly."""


class StanzaError(_Copyable, Exception):
    """An error of one stanza; the stream goes on."""


def _by_language(text: str | Mapping[str, str] | None) -> dict[str, str]:
    if text is None or isinstance(text, str):
        return {} if text is None else {"": text}
    if not isinstance(text, Mapping):
        raise TypeError(f"text must be a str or a mapping of languages to texts, not {type(text).__name__}")
    return dict(text)


class XMPPError(StanzaError):
    """A stanza error (RFC 6120 §8.3): a request failed at the peer or, raised by a handler, at the client.

    `text` is the text that a person may read, and `texts` all texts by language, ``""`` for one without; the first of
    them is `text`. A condition that RFC 6120 does not define is UNDEFINED_CONDITION; `condition_name` keeps its name.
    `application` is the application-specific condition: a typed element, the parsed XML element, or None. `address` is
    the URI to use instead, for *gone* and *redirect*; `by` is the JID of the entity that found the error, or None.
    Raise one of the subclasses; their names are the error types. A bare `XMPPError` has type *cancel*.
    """

    TYPE: ClassVar[ErrorType] = ErrorType.CANCEL

    def __init__(
        self,
        condition: StanzaCondition,
        text: str | Mapping[str, str] | None = None,
        application: Any = None,
        *,
        address: str | None = None,
        by: JID | None = None,
        condition_name: str | None = None,
    ) -> None:
        if not isinstance(condition, StanzaCondition):
            raise TypeError(f"condition must be a StanzaCondition, not {type(condition).__name__}")
        self.condition = condition
        self.condition_name: str = condition_name or condition.value
        self.texts: dict[str, str] = _by_language(text)
        self.text: str | None = next(iter(self.texts.values()), None)
        self.application = application
        self.address = address
        self.by = by
        details = "; ".join(printable(part) for part in (self.text, address) if part)
        super().__init__(printable(self.condition_name, 100) + (f": {details}" if details else ""))


class XMPPAuthError(XMPPError):
    """Try again after providing credentials."""

    TYPE: ClassVar[ErrorType] = ErrorType.AUTH


class XMPPCancelError(XMPPError):
    """Do not try again: the error cannot be remedied."""

    TYPE: ClassVar[ErrorType] = ErrorType.CANCEL


class XMPPContinueError(XMPPError):
    """Go on: the condition was only a warning."""

    TYPE: ClassVar[ErrorType] = ErrorType.CONTINUE


class XMPPModifyError(XMPPError):
    """Try again after changing the data sent."""

    TYPE: ClassVar[ErrorType] = ErrorType.MODIFY


class XMPPWaitError(XMPPError):
    """Try again after waiting: the error is temporary."""

    TYPE: ClassVar[ErrorType] = ErrorType.WAIT


class ErroneousStanza(StanzaError):
    """A stanza arrived but could not be parsed.

    `partial` is the stanza with the attributes that could be read, without its payload; None if they were malformed.
    """

    def __init__(self, message: str, partial: Any = None) -> None:
        self.partial = partial
        super().__init__(message)


class StanzaAborted(RuntimeError):
    """The stanza was retracted before it was sent."""


class StanzaDropped(RuntimeError):
    """The stanza was dropped by a filter."""


class InboxOverflow(RuntimeError):
    """A subscription ended because its consumer did not keep up.

    The stanzas that did fit were delivered first; at least one after them was not.
    """


class OutboxFull(RuntimeError):
    """Too much waits to be sent and acknowledged: the link is slower than the application, or there is none.

    Nothing was enqueued. ``await client.send(...)`` waits for room instead.
    """


class StanzaTooLarge(_Copyable, ValueError):
    """The server has said that it does not take a stanza of this size (XEP-0478). Nothing was sent.

    `octets` is the size of the stanza, `limit` what the server takes.
    """

    def __init__(self, octets: int, limit: int) -> None:
        super().__init__(f"the stanza has {octets:,} octets, and the server takes {limit:,} (XEP-0478)")
        self.octets = octets
        self.limit = limit


class StanzaRefused(_Copyable, ValueError):
    """The server ended each link on which it got this stanza, also one on which it was sent alone.

    `id` is that of the stanza. `ends` is how many links ended, and `reason` says why the last one did.
    """

    def __init__(self, id: str | None, ends: int, reason: str) -> None:
        super().__init__(f"the server ended {ends} links in a row on which it got this stanza: {reason}")
        self.id = id
        self.ends = ends
        self.reason = reason


class StoreError(RuntimeError):
    """A session cannot be stored, or a stored one cannot be read: it is damaged, of a newer version, or in use."""


class ElementError(_Copyable, ValueError):
    """An element does not have the form that its class declares, or the declaration contradicts itself.

    `path` names the place, for example ``query/item[2]/@jid``; it grows while the error is on its way up.
    """

    def __init__(self, message: str, path: str = "") -> None:
        self.path = path
        super().__init__(message, path)

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{self.path}: {message}" if self.path else message
