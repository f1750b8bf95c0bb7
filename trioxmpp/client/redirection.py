"""Where a server wants us to be instead: *see-other-host* (RFC 6120 §4.9.3.19)."""

from __future__ import annotations

from typing import TypeAlias

from ..errors import ConnectError, StreamCondition, StreamError
from ..transport.endpoint import Endpoint

__all__ = ["Redirection", "redirection"]

#: A host, and a port or None.
Redirection: TypeAlias = tuple[str, int | None]


def redirection(cause: BaseException) -> Redirection | None:
    """Where the server sends us, if that is why there is no link; None if it names no place that could be one.

    Only the place is another: the certificate there must be for the same domain as before.
    """
    told = [attempt.error for attempt in cause.attempts] if isinstance(cause, ConnectError) else [cause]
    for exc in told:
        if isinstance(exc, StreamError) and exc.condition is StreamCondition.SEE_OTHER_HOST and not exc.by_us:
            return _place(exc.text or "")
    return None


def _place(text: str) -> Redirection | None:
    bare_v6 = text.count(":") > 1 and not text.startswith("[")
    try:
        endpoint = Endpoint.parse(f"xmpp://[{text}]" if bare_v6 else f"xmpp://{text}")
    except ValueError:
        return None
    return endpoint.host, endpoint.port
