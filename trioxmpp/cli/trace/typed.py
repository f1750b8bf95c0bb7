"""XML that a person types, line by line, until a stanza is complete."""

from __future__ import annotations

import secrets
from typing import Protocol
from xml.parsers import expat

from ... import xml
from ...errors import ElementError, ErroneousStanza
from ...protocol import ns
from ...protocol.stanza import IQ, Message, Presence, parse_stanza

__all__ = ["Incomplete", "Lines", "TypedError", "read_stanza"]

#: Octets of the longest stanza that can be typed.
MAX_TYPED = 1 << 18


class TypedError(ValueError):
    """The text is not a stanza."""


class Incomplete(ValueError):
    """The text is the beginning of a stanza."""


class Lines(Protocol):
    """A place that lines come from."""

    async def line(self) -> str | None:
        """Wait for the next line; None at the end."""
        ...


def read_stanza(text: str) -> Message | Presence | IQ:
    """Return the stanza that was typed; its namespace and its id need not be given.

    Raises Incomplete if more has to come, TypedError if it is not a stanza.
    """
    if len(text) > MAX_TYPED:
        raise TypedError(f"longer than {MAX_TYPED:,} characters")
    _check_complete(text)
    try:
        around = xml.fromstring(f"<x xmlns='{ns.CLIENT}'>{text}</x>")
        if len(around) != 1:
            raise TypedError("one stanza at a time")
        if not around[0].get("id"):
            around[0].set("id", secrets.token_urlsafe(9))  # an IQ must have one, and each answer names it
        stanza = parse_stanza(around[0])
    except (ElementError, ErroneousStanza, ValueError) as exc:
        raise TypedError(str(exc)) from exc
    if stanza is None:
        raise TypedError("only <message/>, <presence/> and <iq/> can be sent by hand")
    return stanza


def _check_complete(text: str) -> None:
    """Raise Incomplete if an element is open at the end, TypedError if it cannot be XML."""
    depth = elements = 0

    def opened(*_: object) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1

    def closed(*_: object) -> None:
        nonlocal depth
        depth -= 1

    text = text.strip()
    if text and not text.startswith("<"):  # which expat says only when more comes
        raise TypedError("a stanza begins with <")
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    try:
        parser.Parse(text, False)
    except expat.ExpatError as exc:
        raise TypedError(expat.errors.messages.get(exc.code, "no XML")) from exc
    if depth or not elements:
        raise Incomplete
