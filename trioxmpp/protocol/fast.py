"""FAST (XEP-0484): a token in place of the password, which logs in with one message."""

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
    """The server gives tokens for these mechanisms, and for no others."""

    tls_0rtt: bool = xml.attr("tls-0rtt", default=False, codec=FLAG)
    """Whether it takes them in the early data of TLS 1.3, which somebody may replay: then every login is counted."""
    each: tuple[_Mechanism, ...] = xml.children()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for mechanism in self.each if (name := mechanism.name.strip()))


@xml.element(ns.FAST, "fast")
class Fast:
    """This login is by a token. `count` grows from one to the next; `invalidate` makes it the last one."""

    count: int | None = xml.attr(default=None)
    invalidate: bool = xml.attr(default=False)


@xml.element(ns.FAST, "request-token")
class RequestToken:
    """Please give me a token for this mechanism."""

    mechanism: str = xml.attr()


@xml.element(ns.FAST, "token")
class Token:
    """A token, in place of any before it. It is a text: what it looks like means nothing."""

    token: str | None = xml.attr(default=None, repr=False)
    expiry: datetime | None = xml.attr(default=None, codec=xml.lenient(xml.Codec(decode_datetime, encode_datetime)))
