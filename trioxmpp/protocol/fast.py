"""FAST (XEP-0484): a token that logs in with one message, in place of the password."""

from __future__ import annotations

from datetime import datetime

from .. import xml
from ..xml.times import decode_datetime, encode_datetime
from . import ns
from .codecs import FLAG

__all__ = ["Fast", "FastOffer", "RequestToken", "Token"]


@xml.element(ns.FAST, "mechanism")
class _Mechanism:
    name: str = xml.text()


@xml.element(ns.FAST, "fast")
class FastOffer:
    """The server gives tokens for these mechanisms."""

    tls_0rtt: bool = xml.attr("tls-0rtt", default=False, codec=FLAG)
    """Whether it accepts them in the early data of TLS 1.3, which an attacker may replay: then logins are counted."""
    each: tuple[_Mechanism, ...] = xml.children()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The names of the mechanisms."""
        return tuple(name for mechanism in self.each if (name := mechanism.name.strip()))


@xml.element(ns.FAST, "fast")
class Fast:
    """The login is by a token. `count` grows with each login; `invalidate` makes it the last one with this token."""

    count: int | None = xml.attr(default=None)
    invalidate: bool = xml.attr(default=False)


@xml.element(ns.FAST, "request-token")
class RequestToken:
    """A request for a token for this mechanism."""

    mechanism: str = xml.attr()


@xml.element(ns.FAST, "token")
class Token:
    """A token, which replaces any earlier one. It is opaque text."""

    token: str | None = xml.attr(default=None, repr=False)
    expiry: datetime | None = xml.attr(default=None, codec=xml.lenient(xml.Codec(decode_datetime, encode_datetime)))
