"""XEP-0428: Fallback Indication."""

from __future__ import annotations

from typing import Final

from ... import xml

__all__ = ["Body", "Fallback", "Subject"]

NS: Final = "urn:xmpp:fallback:0"


@xml.structure
class _Region:
    start: int | None = xml.attr(default=None, codec=xml.integer(0))
    end: int | None = xml.attr(default=None, codec=xml.integer(0))


@xml.element(NS, "body")
class Body(_Region):
    """The part of the body from code point `start` to before `end` is a fallback; without them all of it (§3)."""


@xml.element(NS, "subject")
class Subject(_Region):
    """The part of the subject from code point `start` to before `end` is a fallback; without them all of it (§3)."""


@xml.element(NS, "fallback")
class Fallback:
    """Parts of the message are there for clients that do not support the extension `for_`; without parts all is."""

    for_: str | None = xml.attr(default=None)
    bodies: tuple[Body, ...] = xml.children(lenient=True)
    subjects: tuple[Subject, ...] = xml.children(lenient=True)
