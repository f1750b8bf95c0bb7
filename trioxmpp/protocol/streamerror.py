"""The stream error (RFC 6120 §4.9) as an exception, and back."""

from __future__ import annotations

from typing import Final

from .. import xml
from ..errors import StreamCondition, StreamError
from ..xml.markup import ILLEGAL
from . import ns

__all__ = ["parse_stream_error", "stream_error"]

_CONDITIONS: Final = {condition.value: condition for condition in StreamCondition}


def stream_error(error: StreamError) -> bytes:
    """Write a stream error (RFC 6120 §4.9.2), to be followed by the `FOOTER`.

    The text of *see-other-host* is the host. Never raises for a text: what XML cannot carry is replaced.
    """
    name, text = error.condition.value, xml.escape(ILLEGAL.sub("\ufffd", error.text or ""))
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
    """Read a stream error (RFC 6120 §4.9). Never raises; what it does not know is *undefined-condition*.

    What stands in the condition itself is the text if there is no ``<text/>``. In *see-other-host* it is the host,
    and always the text.
    """
    said = xml.parse(_Error, element)
    condition: StreamCondition | None = None
    inside = application = None
    for other in said.others:
        namespace, _, name = str(other.tag)[1:].rpartition("}")
        if namespace != ns.STREAM_ERRORS:
            application = application or xml.serialise(other, "")
        elif condition is None:
            condition = _CONDITIONS.get(name, StreamCondition.UNDEFINED_CONDITION)
            inside = (other.text or "").strip() or None
    if condition is None:
        condition = StreamCondition.UNDEFINED_CONDITION
    text = next(filter(None, [text.text for text in said.texts]), None)
    if condition is StreamCondition.SEE_OTHER_HOST and inside:
        text = inside
    return StreamError(condition, text or inside, application=application)
