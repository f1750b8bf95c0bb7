"""Every exception of the library, drawn once:

    ConnectionError (builtin)
    ├── ConnectError               no endpoint let us in; .attempts says why, one by one
    ├── StreamNegotiationFailure   the server would not have us on our terms
    │   ├── TLSFailure             not offered, not trusted, wrong name
    │   └── AuthenticationFailure  .condition .retry; fatal, never retried blindly
    ├── StreamError                .condition .text: the stream was ended with a stream error, by them or by us
    ├── StreamTimeout              silence longer than soft_timeout + round_trip_time
    ├── SessionLost                the session could not be resumed; .undelivered
    └── DestructionRequested       we were asked to destroy the stream
    StanzaError
    ├── XMPPError  .condition .text .application .address .by
    │   └── XMPPAuthError XMPPCancelError XMPPContinueError XMPPModifyError XMPPWaitError
    └── ErroneousStanza            arrived, could not be parsed; .partial
    RuntimeError: StanzaAborted, StanzaDropped, InboxOverflow, StoreError
    ValueError: JIDError, ElementError (.path says where)

What the network does is a `ConnectionError`, so ``except OSError`` catches it. What a peer says about one
stanza is a `StanzaError`. Everything else is a mistake in the program that called us.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from .jid import JID, JIDError
from .record import record

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
    "SessionLost",
    "Stage",
    "StanzaAborted",
    "StanzaCondition",
    "StanzaDropped",
    "StanzaError",
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


class ErrorType(enum.Enum):
    """What the sender of a failed stanza may do about it (RFC 6120 §8.3.2)."""

    AUTH = "auth"
    CANCEL = "cancel"
    CONTINUE = "continue"
    MODIFY = "modify"
    WAIT = "wait"


class StanzaCondition(enum.Enum):
    """The defined conditions of a stanza error (RFC 6120 §8.3.3)."""

    BAD_REQUEST = "bad-request"
    CONFLICT = "conflict"
    FEATURE_NOT_IMPLEMENTED = "feature-not-implemented"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    ITEM_NOT_FOUND = "item-not-found"
    JID_MALFORMED = "jid-malformed"
    NOT_ACCEPTABLE = "not-acceptable"
    NOT_ALLOWED = "not-allowed"
    NOT_AUTHORIZED = "not-authorized"
    POLICY_VIOLATION = "policy-violation"
    RECIPIENT_UNAVAILABLE = "recipient-unavailable"
    REDIRECT = "redirect"
    REGISTRATION_REQUIRED = "registration-required"
    REMOTE_SERVER_NOT_FOUND = "remote-server-not-found"
    REMOTE_SERVER_TIMEOUT = "remote-server-timeout"
    RESOURCE_CONSTRAINT = "resource-constraint"
    SERVICE_UNAVAILABLE = "service-unavailable"
    SUBSCRIPTION_REQUIRED = "subscription-required"
    UNDEFINED_CONDITION = "undefined-condition"
    UNEXPECTED_REQUEST = "unexpected-request"


class StreamCondition(enum.Enum):
    """The defined conditions of a stream error (RFC 6120 §4.9.3)."""

    BAD_FORMAT = "bad-format"
    BAD_NAMESPACE_PREFIX = "bad-namespace-prefix"
    CONFLICT = "conflict"
    CONNECTION_TIMEOUT = "connection-timeout"
    HOST_GONE = "host-gone"
    HOST_UNKNOWN = "host-unknown"
    IMPROPER_ADDRESSING = "improper-addressing"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    INVALID_FROM = "invalid-from"
    INVALID_NAMESPACE = "invalid-namespace"
    INVALID_XML = "invalid-xml"
    NOT_AUTHORIZED = "not-authorized"
    NOT_WELL_FORMED = "not-well-formed"
    POLICY_VIOLATION = "policy-violation"
    REMOTE_CONNECTION_FAILED = "remote-connection-failed"
    RESET = "reset"
    RESOURCE_CONSTRAINT = "resource-constraint"
    RESTRICTED_XML = "restricted-xml"
    SEE_OTHER_HOST = "see-other-host"
    SYSTEM_SHUTDOWN = "system-shutdown"
    UNDEFINED_CONDITION = "undefined-condition"
    UNSUPPORTED_ENCODING = "unsupported-encoding"
    UNSUPPORTED_FEATURE = "unsupported-feature"
    UNSUPPORTED_STANZA_TYPE = "unsupported-stanza-type"
    UNSUPPORTED_VERSION = "unsupported-version"


class Stage(enum.Enum):
    """How far an attempt to connect came: what was being done when it failed."""

    RESOLVING = "looking it up"
    CONNECTING = "connecting"
    TLS = "securing the link"
    STREAM = "opening the stream"
    FEATURES = "waiting for what the server offers"
    AUTHENTICATION = "logging in"


@record
class Attempt:
    """One way to a server that led nowhere. It is also a pair, to be unpacked: ``endpoint, error = attempt``.

    `endpoint` is what was tried, say ``xmpps://host:5223``, and `address` which address of it, where that is known
    and not the same. `stage` is how far it came, `error` why no farther.
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


class ConnectError(ConnectionError):
    """No endpoint let us in.

    `attempts` holds an `Attempt` for each way that was tried, in the order in which they failed.
    """

    def __init__(self, message: str, attempts: Sequence[Attempt] = ()) -> None:
        self.attempts = tuple(attempts)
        if len(self.attempts) == 1:
            message = f"{message} ({self.attempts[0]})"
        elif self.attempts:
            message = "".join([f"{message}; what was tried:", *(f"\n- {attempt}" for attempt in self.attempts)])
        super().__init__(message)


class StreamNegotiationFailure(ConnectionError):
    """The server would not have us on our terms."""


class TLSFailure(StreamNegotiationFailure):
    """The link could not be secured: TLS was not offered, the certificate is not trusted or names somebody else."""


class AuthenticationFailure(StreamNegotiationFailure):
    """We could not log in. Trying again with the same credentials would only lock the account, unless `retry`.

    `condition` is the SASL error condition of RFC 6120 §6.5 as the server sent it, or None when it was us who
    refused the server (say, because it does not know the password either). `offered` are the mechanisms that the
    server offered, `tried` those of them that were begun. `retry` tells whether the same may succeed later.
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
        self.offered = tuple(offered)
        self.tried = tuple(tried)
        self.retry = condition == "temporary-auth-failure" if retry is None else retry
        super().__init__(message)


class StreamError(ConnectionError):
    """The stream was ended with a stream error (RFC 6120 §4.9), by them or by us.

    `condition` and `text` are what the error said; `by_us` tells who said it. `application` is a serialised
    application-specific condition (RFC 6120 §4.9.4) that we send along, or None. `uri` is where the server of a
    WebSocket sends us instead (RFC 7395 §3.6.1), or None.
    """

    def __init__(
        self,
        condition: StreamCondition,
        text: str | None = None,
        *,
        by_us: bool = False,
        application: str | None = None,
        uri: str | None = None,
    ) -> None:
        self.condition = condition
        self.text = text
        self.by_us = by_us
        self.application = application
        self.uri = uri
        who = "we ended the stream" if by_us else "the server ended the stream"
        super().__init__(f"{who}: {condition.value}" + (f" ({text})" if text else ""))


class StreamTimeout(ConnectionError):
    """Nothing was heard for soft_timeout + round_trip_time: a timeout of the whole stream."""


class SessionLost(ConnectionError):
    """The session could not be resumed.

    `undelivered` holds the tokens of the stanzas that the server never acknowledged, in the order in which they
    were enqueued. Whether those that had been written did arrive cannot be known (XEP-0198 §5).
    """

    def __init__(self, message: str, undelivered: Sequence[Any] = ()) -> None:
        self.undelivered = tuple(undelivered)
        super().__init__(message)


class DestructionRequested(ConnectionError):
    """The destruction of the stream was requested, directly or indirectly, by its user."""


class StanzaError(Exception):
    """Something is wrong with one stanza; the stream goes on."""


class XMPPError(StanzaError):
    """A stanza error (RFC 6120 §8.3): a request failed, over there or, raised by a handler, here.

    `application` is the application-specific condition: a typed element, the parsed XML element, or None. `address` is
    the URI where to go instead, for *gone* and *redirect*; `by` is the JID of who found the error, if it said so.
    Raise one of the subclasses; their names are the error types. A bare `XMPPError` has type *cancel*.
    """

    TYPE: ClassVar[ErrorType] = ErrorType.CANCEL

    def __init__(
        self,
        condition: StanzaCondition,
        text: str | None = None,
        application: Any = None,
        *,
        address: str | None = None,
        by: JID | None = None,
    ) -> None:
        self.condition = condition
        self.text = text
        self.application = application
        self.address = address
        self.by = by
        said = "; ".join(part for part in (text, address) if part)
        super().__init__(condition.value + (f": {said}" if said else ""))


class XMPPAuthError(XMPPError):
    """Try again after providing credentials."""

    TYPE = ErrorType.AUTH


class XMPPCancelError(XMPPError):
    """Do not try again: the error cannot be remedied."""

    TYPE = ErrorType.CANCEL


class XMPPContinueError(XMPPError):
    """Go on: the condition was only a warning."""

    TYPE = ErrorType.CONTINUE


class XMPPModifyError(XMPPError):
    """Try again after changing the data sent."""

    TYPE = ErrorType.MODIFY


class XMPPWaitError(XMPPError):
    """Try again after waiting: the error is temporary."""

    TYPE = ErrorType.WAIT


class ErroneousStanza(StanzaError):
    """A stanza arrived but could not be parsed.

    `partial` is the stanza with what could be read of it: its attributes, without the payload.
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


class StoreError(RuntimeError):
    """A session cannot be stored, or what is stored cannot be read: it is damaged, newer than this, or in use."""


class ElementError(ValueError):
    """An element does not say what its class expects, or a class expects what no element can say.

    `path` names the place, for example ``query/item[2]/@jid``; it grows while the error is on its way up.
    """

    def __init__(self, message: str, path: str = "") -> None:
        self.path = path
        super().__init__(message, path)

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{self.path}: {message}" if self.path else message
