"""TLS sessions, kept from one link for the next to the same place (RFC 8446 §2.2, RFC 5077).

To go on with a session skips the server's certificate and, with TLS 1.2, one round trip. A server that does not accept
the session makes a whole handshake, as if none had been offered.

The certificate is not checked again. So a session is only offered if all that was checked is the same: the context and
its demands, the name, and the date.
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

#: Places whose session is kept. A client connects to few.
MAX_PLACES = 8


@record
class _Terms:
    """The demands on the server when a session began. None of them is checked again when it goes on."""

    context: ssl.SSLContext
    host: str
    checks: tuple[object, ...]
    """The demands of the context on a certificate, as far as they can be read. Authorities can only be added to it."""

    @classmethod
    def of(cls, context: object, host: str) -> Self | None:
        """Return the present demands; None for a context that cannot tell them, such as that of `exporter`."""
        if not isinstance(context, ssl.SSLContext):
            return None
        revoked = context.cert_store_stats()["crl"]
        return cls(context, host, (context.verify_mode, context.check_hostname, context.verify_flags, revoked))


@record
class _CachedSession:
    """A session that a link can go on with."""

    session: ssl.SSLSession
    terms: _Terms
    expiry: float
    """The time when the certificate expires, in seconds since 1970."""
    is_old: bool
    """Whether it is a session of TLS 1.2 or older."""


class TLSSessionCache:
    """The TLS sessions of one client, by the place that it connected to. A session is used once (RFC 8446 C.4)."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _CachedSession] = OrderedDict()
        self._no_reuse: set[Hashable] = set()

    def at(self, place: Hashable) -> SessionReuse:
        """Return the view of this cache for one link to that place."""
        return SessionReuse(self, place)

    def forget_old(self) -> None:
        """Forget the sessions of TLS 1.2: a login on a link that goes on with one cannot be bound by ``tls-unique``."""
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
    """The part of a `TLSSessionCache` that one link takes from and leaves to."""

    def __init__(self, memory: TLSSessionCache, place: Hashable) -> None:
        self.offered: bool = False
        """Whether a session was offered to the server."""
        self.resumed: bool = False
        """Whether the server accepted it."""
        self._memory = memory
        self._place = place
        self._terms: _Terms | None = None
        self._expiry = 0.0
        self._is_old = False

    def begin(self, stream: trio.SSLStream[Any], context: ssl.SSLContext, host: str) -> None:
        """Offer a session, if there is one, before the handshake. The certificate has to be for `host`."""
        self._terms = _Terms.of(context, host)
        session = self._memory._take(self._place, self._terms)
        self.offered, self.resumed = session is not None, False
        if session is not None:
            stream.session = session

    def begun(self, stream: trio.SSLStream[Any]) -> None:
        """Note the outcome of the handshake."""
        if self._terms is not None:
            self.resumed = self.offered and stream.session_reused
            self._expiry = _expiry(stream)
            self._is_old = stream.version() in OLD

    def end(self, stream: trio.SSLStream[Any]) -> None:
        """Keep the session at the end of the link: with TLS 1.3, it arrives some time after the handshake."""
        session: ssl.SSLSession | None = None if self._terms is None else stream.session
        if self._terms is not None and session is not None and (session.has_ticket or (self._is_old and session.id)):
            self._memory._keep(self._place, _CachedSession(session, self._terms, self._expiry, self._is_old))

    def forget(self) -> None:
        """Never offer a session at this place again: the server cannot cope with it."""
        self._memory._avoid(self._place)


def _expiry(stream: trio.SSLStream[Any]) -> float:
    until = (stream.getpeercert() or {}).get("notAfter")  # a certificate that was not checked is not told
    return float("inf") if until is None else float(ssl.cert_time_to_seconds(until))
