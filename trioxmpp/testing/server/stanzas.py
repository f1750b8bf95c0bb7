"""Stanzas as a server handles them: elements that it passes on unchanged, and answers of its own."""

from __future__ import annotations

import copy
import datetime
from typing import Any

from lxml import etree

from ... import xml
from ...errors import ErrorType, StanzaCondition
from ...protocol import ns

__all__ = ["NAMES", "build", "child_tag", "delay", "error_for", "new_stanza", "now", "result_for", "text_of"]

NAMES = {f"{{{ns.CLIENT}}}{name}": name for name in ("message", "presence", "iq")}
"""The names of the three kinds of stanzas, by their tags."""


def text_of(element: xml.Element) -> str:
    """Return the element as it is written into a stream, of whose header it does not repeat the default namespace."""
    return xml.serialise(element).replace(f' xmlns="{ns.CLIENT}"', "", 1)


def child_tag(element: xml.Element) -> str | None:
    """Return the tag of the first child, or None."""
    return str(element[0].tag) if len(element) else None


def new_stanza(name: str, **attributes: str | None) -> xml.Element:
    """Return a stanza with these attributes; ``from_`` stands for ``from``, and None is left out."""
    element = etree.Element(f"{{{ns.CLIENT}}}{name}", nsmap={None: ns.CLIENT})
    for key, value in attributes.items():
        if value is not None:
            element.set(key.rstrip("_"), value)
    return element


def result_for(request: xml.Element, payload: xml.Element | None = None, *, from_: str | None = None) -> xml.Element:
    """Return the result of a request, from `from_`."""
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
    echo: bool = True,
    text: str | None = None,
    application: Any = None,
    by: str | None = None,
) -> xml.Element:
    """Return the error that tells the sender of `stanza` what became of it (RFC 6120 §8.3).

    `echo` repeats the payload, as RFC 6120 §8.3.1 permits. `application` is an element, parsed or typed.
    """
    error = new_stanza(NAMES[str(stanza.tag)], type="error", id=stanza.get("id"))
    if (sender := stanza.get("from")) is not None:
        error.set("to", sender)
    if from_ is not None:
        error.set("from", from_)
    if echo:
        error.extend(copy.deepcopy(child) for child in stanza)
    reason = etree.SubElement(error, f"{{{ns.CLIENT}}}error", type=type.value)
    if by is not None:
        reason.set("by", by)
    etree.SubElement(reason, f"{{{ns.STANZA_ERRORS}}}{condition.value}", nsmap={None: ns.STANZA_ERRORS})
    if text is not None:
        etree.SubElement(reason, f"{{{ns.STANZA_ERRORS}}}text", nsmap={None: ns.STANZA_ERRORS}).text = text
    if application is not None:
        reason.append(xml.fromstring(xml.serialise(application, "")))
    return error


def build(
    namespace: str, name: str, /, *children: xml.Element | None, text: str | None = None, **attributes: str | None
) -> xml.Element:
    """Return an element. Children and attributes that are None are left out; ``from_`` stands for ``from``."""
    element = etree.Element(f"{{{namespace}}}{name}", nsmap={None: namespace})
    for key, value in attributes.items():
        if value is not None:
            element.set(key.rstrip("_"), value)
    element.extend(child for child in children if child is not None)
    element.text = text
    return element


def now() -> str:
    """Return the time of now, as XEP-0082 writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def delay(from_: str | None, stamp: str) -> xml.Element:
    """Return a note that a stanza is late (XEP-0203)."""
    return build(ns.DELAY, "delay", from_=from_, stamp=stamp)
