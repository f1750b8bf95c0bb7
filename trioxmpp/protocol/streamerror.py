"""The stream error (RFC 6120 §4.9) as an exception, and back.

A stream error may come from any attacker on the path before TLS, and its texts are shown in exceptions and logs. So
they are cut and cleaned (`shown`).
"""

from __future__ import annotations

from typing import Final

from .. import xml
from ..errors import StreamCondition, StreamError
from . import ns
from .pullparser import NOT_XML
from .shown import shown

__all__ = ["parse_stream_error", "stream_error"]

#: Characters of an application-specific condition, as XML, that is kept.
LONGEST_APPLICATION: Final = 4096

_CONDITIONS: Final = {condition.value: condition for condition in StreamCondition}


def stream_error(error: StreamError) -> bytes:
    """Write a stream error (RFC 6120 §4.9.2), to be followed by the `FOOTER`.

    The text of *see-other-host* is the host. Never raises for a text: a character that XML cannot carry is replaced.
    """
    name, text = error.condition.value, xml.escape(NOT_XML.sub("\ufffd", error.text or ""))
    condition = f"<{name} xmlns='{ns.STREAM_ERRORS}'/>"
    if text and error.condition is StreamCondition.SEE_OTHER_HOST:
        condition = f"<{name} xmlns='{ns.STREAM_ERRORS}'>{text}</{name}>"
    elif text:
        condition += f"<text xmlns='{ns.STREAM_ERRORS}' xml:lang='en'>{text}</text>"
    return f"<stream:error>{condition}{error.application or ''}</stream:error>".encode()


@xml.element(ns.STREAM_ERRORS, "text")
class _Text:
    text: str = xml.text()


@xml.element(ns.STREAM, "error")
class _Error:
    """The others are a condition and, perhaps, one of an application (RFC 6120 §4.9.4)."""

    texts: tuple[_Text, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()


def parse_stream_error(element: xml.Element) -> StreamError:
    """Read a stream error (RFC 6120 §4.9). Never raises; a condition that we do not know is *undefined-condition*.

    The text is that of ``<text/>``, or else the one in the condition itself. In *see-other-host* the condition holds
    the host, which is always the text. See `shown` for what becomes of a text. An application-specific condition that
    is too long is left out.
    """
    parsed = xml.parse(_Error, element)
    condition: StreamCondition | None = None
    inside = application = None
    for other in parsed.others:
        namespace, _, name = str(other.tag)[1:].rpartition("}")
        if namespace != ns.STREAM_ERRORS:
            application = application or _application(other)
        elif condition is None:
            condition = _CONDITIONS.get(name, StreamCondition.UNDEFINED_CONDITION)
            inside = (other.text or "").strip() or None
    if condition is None:
        condition = StreamCondition.UNDEFINED_CONDITION
    text = next(filter(None, [text.text for text in parsed.texts]), None)
    if condition is StreamCondition.SEE_OTHER_HOST and inside:
        text = inside
    text = text or inside
    return StreamError(condition, None if text is None else shown(text), application=application)


def _application(element: xml.Element) -> str | None:
    """Return an application-specific condition (RFC 6120 §4.9.4) as XML, if it is not too long."""
    written = xml.serialise(element, "")
    return written if len(written) <= LONGEST_APPLICATION else None
