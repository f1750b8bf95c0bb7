"""Why there is no link, sorted by what can be done about it; and where the server wants us to be instead.

A server redirects by *see-other-host* (RFC 6120 §4.9.3.19) or, over WebSocket, by see-other-uri (RFC 7395 §3.6.1).
"""

from __future__ import annotations

import enum
import socket

from ..errors import (
    AuthenticationFailure,
    ConnectError,
    StanzaCondition,
    StreamCondition,
    StreamError,
    StreamNegotiationFailure,
    StreamTimeout,
    TLSFailure,
    XMPPError,
)
from ..transport.endpoint import Endpoint

__all__ = ["Cause", "redirection"]


class Cause(enum.Enum):
    """Why a link is broken, or could not be had."""

    DNS = "no server was found for the domain"
    TCP = "the connection broke, or could not be made"
    SILENCE = "nothing was heard from the server"
    TLS = "the link could not be secured"
    AUTH = "the login was refused"
    AUTH_LATER = "the server cannot check a login just now"
    CONFLICT = "another client has taken our resource"
    POLICY = "the server does not let us in, or does not like what we do"
    STREAM_ERROR = "the stream was ended with an error"
    SHUTDOWN = "the server is going down"
    SEE_OTHER_HOST = "the server wants us to go elsewhere"
    MISTAKE = "the program has made a mistake"

    @property
    def is_hopeless(self) -> bool:
        """Whether another attempt cannot help, or would only throw another client out."""
        return self in _HOPELESS

    @property
    def is_transient(self) -> bool:
        """Whether the same attempt may succeed a little later by itself."""
        return self in _TRANSIENT

    @property
    def is_refusal(self) -> bool:
        """Whether the server was reached, and ended the stream for what we are or do."""
        return self in _REFUSALS

    @classmethod
    def of(cls, exc: BaseException) -> Cause:
        """The cause that an exception tells of."""
        if isinstance(exc, StreamError):
            return _BY_CONDITION.get(exc.condition, cls.STREAM_ERROR)
        if isinstance(exc, AuthenticationFailure):
            return cls.AUTH_LATER if exc.retry else cls.AUTH
        if isinstance(exc.__cause__, XMPPError) and exc.__cause__.condition is StanzaCondition.CONFLICT:
            return cls.CONFLICT  # what a refusal to bind says
        if isinstance(exc, ConnectError):
            return _of_attempts(exc)
        for kind, cause in _BY_TYPE.items():
            if isinstance(exc, kind):
                return cause
        return cls.MISTAKE


_HOPELESS = frozenset({Cause.AUTH, Cause.CONFLICT, Cause.MISTAKE})
_TRANSIENT = frozenset({Cause.DNS, Cause.TCP, Cause.SILENCE, Cause.AUTH_LATER, Cause.SHUTDOWN})
_REFUSALS = frozenset({Cause.POLICY, Cause.STREAM_ERROR, Cause.SEE_OTHER_HOST})

_BY_CONDITION = {
    StreamCondition.CONFLICT: Cause.CONFLICT,
    StreamCondition.CONNECTION_TIMEOUT: Cause.SILENCE,
    StreamCondition.POLICY_VIOLATION: Cause.POLICY,
    StreamCondition.RESOURCE_CONSTRAINT: Cause.POLICY,
    StreamCondition.SEE_OTHER_HOST: Cause.SEE_OTHER_HOST,
    StreamCondition.SYSTEM_SHUTDOWN: Cause.SHUTDOWN,
}

_BY_TYPE: dict[type[BaseException], Cause] = {  # the narrower ones first
    TLSFailure: Cause.TLS,
    StreamNegotiationFailure: Cause.POLICY,
    StreamTimeout: Cause.SILENCE,
    TimeoutError: Cause.SILENCE,
    socket.gaierror: Cause.DNS,
    OSError: Cause.TCP,
}

# Report the attempt that got farthest; unreachable addresses matter only if all are.
_FARTHEST_LAST = (Cause.DNS, Cause.TCP, Cause.SILENCE)


def _of_attempts(error: ConnectError) -> Cause:
    causes = {Cause.of(attempt.error) for attempt in error.attempts}
    if isinstance(error.__cause__, TimeoutError):
        causes.add(Cause.SILENCE)
    if not causes:
        return Cause.DNS
    return max(causes, key=lambda cause: _FARTHEST_LAST.index(cause) if cause in _FARTHEST_LAST else 99)


def redirection(cause: BaseException) -> Endpoint | None:
    """Where the server sends us, if that is why there is no link; None if it names no place that could be one.

    A host is only another place: the certificate there must be for the same domain as before. The URI of a WebSocket
    is as good as the one that it came from, which had to be secured, too: it must be ``wss``, and its certificate is
    for the host in it.
    """
    errors = [attempt.error for attempt in cause.attempts] if isinstance(cause, ConnectError) else [cause]
    for exc in errors:
        if isinstance(exc, StreamError) and exc.condition is StreamCondition.SEE_OTHER_HOST and not exc.by_us:
            # Never the text of an error: over TCP an attacker may have written it, as long as there is no TLS.
            return _host(exc.text or "") if exc.uri is None else _websocket(exc.uri)
    return None


def _host(text: str) -> Endpoint | None:
    try:
        return Endpoint.see_other_host(text)
    except ValueError:
        return None


def _websocket(uri: str) -> Endpoint | None:
    endpoint = _endpoint(uri)
    return endpoint if endpoint is not None and endpoint.scheme == "wss" else None


def _endpoint(url: str) -> Endpoint | None:
    try:
        return Endpoint.parse(url)
    except ValueError:
        return None
