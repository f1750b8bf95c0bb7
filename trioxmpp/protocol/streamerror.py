"""The stream error (RFC 6120 §4.9) as an exception, and back.

A stream error may come from any attacker on the path before TLS, and its texts are shown in exceptions and logs. So
they are cut and cleaned (`shown`).
"""

from __future__ import annotations

from typing import Final

from .. import xml
from ..errors import StreamCondition, StreamError
from ..xml.markup import ILLEGAL
from . import ns
from .shown import shown

__all__ = ["parse_stream_error", "stream_error"]

#: Characters of an application-specific condition, as XML, that is kept.
LONGEST_APPLICATION: Final = 4096

#: Characters of the name of a language that are kept.
MAX_LANG: Final = 64

_CONDITIONS: Final = {condition.value: condition for condition in StreamCondition}


def stream_error(error: StreamError) -> bytes:
    """Write a stream error (RFC 6120 §4.9.2), to be followed by the `FOOTER`.

    The text of *see-other-host* is the host. Never raises for a text: characters that XML cannot carry are replaced.
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
    lang: str = xml.attr("xml:lang", default="")
    text: str = xml.text()


@xml.element(ns.STREAM, "error")
class _Error:
    """The others are the condition and, perhaps, one of an application (RFC 6120 §4.9.4)."""

    texts: tuple[_Text, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()


def parse_stream_error(element: xml.Element) -> StreamError:
    """Read a stream error (RFC 6120 §4.9). Never raises; an unknown condition is *undefined-condition*.

    The content of the condition itself is the text if there is no ``<text/>``. In *see-other-host* it is the host, and
    always the text. See `shown` for what becomes of a text. An application-specific condition that is too long is left
    out.
    """
    parsed = xml.parse(_Error, element)
    condition: StreamCondition | None = None
    name = inside = application = None
    for other in parsed.others:
        namespace, _, local_name = str(other.tag)[1:].rpartition("}")
        if namespace != ns.STREAM_ERRORS:
            application = application or _application(other)
        elif condition is None:
            condition, name = _CONDITIONS.get(local_name, StreamCondition.UNDEFINED_CONDITION), local_name
            inside = (other.text or "").strip() or None
    texts: dict[str, str] = {}
    for child in parsed.texts:
        if child.text:
            texts.setdefault(child.lang[:MAX_LANG], shown(child.text))
    if inside and (condition is StreamCondition.SEE_OTHER_HOST or not texts):
        texts = {"": shown(inside), **{lang: text for lang, text in texts.items() if lang}}
    condition = condition or StreamCondition.UNDEFINED_CONDITION
    return StreamError(condition, texts, application=application, condition_name=None if name is None else shown(name))


def _application(element: xml.Element) -> str | None:
    """Return an application-specific condition (RFC 6120 §4.9.4) as XML, if it is not too long."""
    written = xml.serialise(element, "")
    return written if len(written) <= LONGEST_APPLICATION else None
