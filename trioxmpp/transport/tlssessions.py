"""What is left of one TLS link for the next to the same place: a session (RFC 8446 §2.2, RFC 5077).

Who comes back with one is spared the server's certificate, and on TLS 1.2 a round trip. A server that does not know it
any more, or does not want to, goes through the whole handshake, as if there had been none.
"""

from __future__ import annotations

import ssl
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Self

import trio

from ..record import record
from .channelbinding import OLD

__all__ = ["SessionReuse", "TLSSessionCache"]

#: Places that are remembered: a client goes to few.
MAX_PLACES = 8


@record
class _Terms:
    """Who the server had to be when a session began: nothing of that is checked again when it goes on."""

    context: ssl.SSLContext
    host: str
    checks: tuple[object, ...]
    """What the context demanded of a certificate, as far as it can be asked. Its authorities can only become more."""

    @classmethod
    def of(cls, context: object, host: str) -> Self | None:
        """Those of now; None for a context that cannot tell, as that of `exporter`."""
        if not isinstance(context, ssl.SSLContext):
            return None
        revoked = context.cert_store_stats()["crl"]
        return cls(context, host, (context.verify_mode, context.check_hostname, context.verify_flags, revoked))


@record
class _CachedSession:
    """A session that can go on."""

    session: ssl.SSLSession
    terms: _Terms
    expiry: float
    """When the certificate expires, in seconds since 1970."""
    is_old: bool
    """Whether it is of TLS 1.2, or an older one."""


class TLSSessionCache:
    """The TLS sessions of one client, by the place where it had them. A session is used once (RFC 8446 C.4)."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _CachedSession] = OrderedDict()
        self._no_reuse: set[Hashable] = set()

    def at(self, place: Hashable) -> SessionReuse:
        """For one link to that place."""
        return SessionReuse(self, place)

    def forget_old(self) -> None:
        """Forget the sessions of TLS 1.2: a link that goes on with one cannot be bound to by ``tls-unique``."""
        for place in [place for place, kept in self._kept.items() if kept.is_old]:
            del self._kept[place]

    def _take(self, place: Hashable, terms: _Terms | None) -> ssl.SSLSession | None:
        kept = self._kept.pop(place, None)
        if kept is None or kept.terms != terms or kept.expiry <= time.time():
            return None
        return kept.session

    def _keep(self, place: Hashable, kept: _CachedSession) -> None:
        if place in self._no_reuse:
            return
        self._kept[place] = kept
        self._kept.move_to_end(place)
        while len(self._kept) > MAX_PLACES:
            self._kept.popitem(last=False)

    def _avoid(self, place: Hashable) -> None:
        self._kept.pop(place, None)
        self._no_reuse.add(place)


class SessionReuse:
    """What one link takes from a `TLSSessionCache`, and leaves there."""

    def __init__(self, memory: TLSSessionCache, place: Hashable) -> None:
        self.offered = False
        """Whether the server was shown a session."""
        self.resumed = False
        """Whether it goes on with that one."""
        self._memory = memory
        self._place = place
        self._terms: _Terms | None = None
        self._expiry = 0.0
        self._is_old = False

    def begin(self, stream: trio.SSLStream[Any], context: ssl.SSLContext, host: str) -> None:
        """Offer what there is, before the handshake. `host` is whom the certificate has to be for."""
        self._terms = _Terms.of(context, host)
        session = self._memory._take(self._place, self._terms)
        self.offered, self.resumed = session is not None, False
        if session is not None:
            stream.session = session

    def begun(self, stream: trio.SSLStream[Any]) -> None:
        """The handshake has come to its end."""
        if self._terms is not None:
            self.resumed = self.offered and stream.session_reused
            self._expiry = _expiry(stream)
            self._is_old = stream.version() in OLD

    def end(self, stream: trio.SSLStream[Any]) -> None:
        """Keep what the server has given by now: with TLS 1.3, that comes some time after the handshake."""
        session: ssl.SSLSession | None = None if self._terms is None else stream.session
        if self._terms is not None and session is not None and (session.has_ticket or (self._is_old and session.id)):
            self._memory._keep(self._place, _CachedSession(session, self._terms, self._expiry, self._is_old))

    def forget(self) -> None:
        """Never offer a session at this place again: it did no good."""
        self._memory._avoid(self._place)


def _expiry(stream: trio.SSLStream[Any]) -> float:
    until = (stream.getpeercert() or {}).get("notAfter")  # of one that was not checked, nothing is known
    return float("inf") if until is None else float(ssl.cert_time_to_seconds(until))
