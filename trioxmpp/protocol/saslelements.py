"""The elements of SASL (RFC 6120 §6.4)."""

from __future__ import annotations

import base64
from typing import Self

from .. import xml
from . import ns

__all__ = ["Auth", "Challenge", "Failure", "Response", "Success"]


def _decode(text: str) -> bytes:
    try:
        return b"" if text == "=" else base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("not base64") from None


# No data, and data of no length, are two things: the latter is "=" (RFC 6120 §6.4.2).
_DATA = xml.Codec(_decode, lambda data: base64.b64encode(data).decode() or "=", is_plain=True)


@xml.element(ns.SASL, "auth")
class Auth:
    """Let me in, by this mechanism."""

    mechanism: str = xml.attr()
    data: bytes | None = xml.text(default=None, codec=_DATA, repr=False)


@xml.element(ns.SASL, "challenge")
class Challenge:
    """What the server has to say in between."""

    data: bytes = xml.text(codec=_DATA)


@xml.element(ns.SASL, "response")
class Response:
    """The answer to a challenge."""

    data: bytes | None = xml.text(default=None, codec=_DATA, repr=False)


@xml.element(ns.SASL, "success")
class Success:
    """We are in."""

    data: bytes | None = xml.text(default=None, codec=_DATA)


@xml.element(ns.SASL, "text")
class _Text:
    text: str = xml.text()


@xml.element(ns.SASL, "failure")
class Failure:
    """We are not. The condition is one of the others: whatever it is called."""

    texts: tuple[_Text, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()

    @classmethod
    def of(cls, others: tuple[xml.Element, ...], text: str) -> Self:
        """What another profile of SASL says in its own words."""
        return cls(texts=(_Text(text=text),), others=others)

    @property
    def condition(self) -> str:
        """The name of the condition; *not-authorized* if there is none."""
        tags = (str(other.tag).rpartition("}") for other in self.others)
        return next((name for namespace, _, name in tags if namespace == f"{{{ns.SASL}"), "not-authorized")

    @property
    def text(self) -> str:
        """What the server says about it."""
        return self.texts[0].text if self.texts else ""
