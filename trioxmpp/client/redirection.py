"""Where a server wants us to be instead: *see-other-host* (RFC 6120 §4.9.3.19), see-other-uri (RFC 7395 §3.6.1)."""

from __future__ import annotations

from ..errors import ConnectError, StreamCondition, StreamError
from ..transport.endpoint import Endpoint

__all__ = ["redirection"]


def redirection(cause: BaseException) -> Endpoint | None:
    """Where the server sends us, if that is why there is no link; None if it names no place that could be one.

    A host is only another place: the certificate there must be for the same domain as before. The URI of a WebSocket
    is as good as the one that it came from, which had to be secured, too: it must be ``wss``, and its certificate is
    for the host in it.
    """
    told = [attempt.error for attempt in cause.attempts] if isinstance(cause, ConnectError) else [cause]
    for exc in told:
        if isinstance(exc, StreamError) and exc.condition is StreamCondition.SEE_OTHER_HOST and not exc.by_us:
            # Never the text of an error: over TCP it can be somebody else's, as long as there is no TLS.
            return _host(exc.text or "") if exc.uri is None else _websocket(exc.uri)
    return None


def _host(text: str) -> Endpoint | None:
    bare_v6 = text.count(":") > 1 and not text.startswith("[")
    return _endpoint(f"xmpp://[{text}]" if bare_v6 else f"xmpp://{text}")


def _websocket(uri: str) -> Endpoint | None:
    endpoint = _endpoint(uri)
    return endpoint if endpoint is not None and endpoint.scheme == "wss" else None


def _endpoint(url: str) -> Endpoint | None:
    try:
        return Endpoint.parse(url)
    except ValueError:
        return None
