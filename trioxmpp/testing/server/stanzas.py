"""Stanzas as a server handles them: elements that it passes on, whatever may be in them, and answers of its own."""

from __future__ import annotations

import copy

from lxml import etree

from ... import xml
from ...errors import ErrorType, StanzaCondition
from ...protocol import ns

__all__ = ["NAMES", "child_tag", "error_for", "new_stanza", "result_for", "text_of"]

NAMES = {f"{{{ns.CLIENT}}}{name}": name for name in ("message", "presence", "iq")}
"""The names of the three kinds of stanzas, by their tags."""


def text_of(element: xml.Element) -> str:
    """The element, as it is written into a stream.

    What the stream header declares is not declared again. The first that is written is the element's own declaration;
    a payload that uses the prefix ``stream`` still finds it in the stream header.
    """
    text = etree.tostring(element, encoding="unicode", with_tail=False)
    return text.replace(f' xmlns:stream="{ns.STREAM}"', "", 1).replace(f' xmlns="{ns.CLIENT}"', "", 1)


def child_tag(element: xml.Element) -> str | None:
    """The tag of the first child."""
    return str(element[0].tag) if len(element) else None


def new_stanza(name: str, **attributes: str | None) -> xml.Element:
    """A stanza with these attributes; ``from_`` is the sender, and None is left out."""
    element = etree.Element(f"{{{ns.CLIENT}}}{name}", nsmap={None: ns.CLIENT})
    for key, value in attributes.items():
        if value is not None:
            element.set(key.rstrip("_"), value)
    return element


def result_for(request: xml.Element, payload: xml.Element | None = None, *, from_: str | None = None) -> xml.Element:
    """The result of a request, from `from_`."""
    result = new_stanza("iq", type="result", id=request.get("id"), to=request.get("from"), from_=from_)
    if payload is not None:
        result.append(payload)
    return result


def error_for(
    stanza: xml.Element,
    condition: StanzaCondition,
    type: ErrorType = ErrorType.CANCEL,
    *,
    from_: str | None = None,
) -> xml.Element:
    """The error that tells the sender of `stanza` what became of it, with the payload that it had (RFC 6120 §8.3)."""
    error = copy.copy(stanza)
    error.attrib.pop("from", None)
    error.attrib.pop("to", None)
    error.set("type", "error")
    if (sender := stanza.get("from")) is not None:
        error.set("to", sender)
    if from_ is not None:
        error.set("from", from_)
    reason = etree.SubElement(error, f"{{{ns.CLIENT}}}error", type=type.value)
    etree.SubElement(reason, f"{{{ns.STANZA_ERRORS}}}{condition.value}", nsmap={None: ns.STANZA_ERRORS})
    return error
