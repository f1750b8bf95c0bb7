"""The stream error (RFC 6120 §4.9) as an exception, and back."""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from .. import xml
from ..errors import StreamCondition, StreamError
from . import ns

__all__ = ["parse_stream_error", "stream_error"]

_CONDITIONS: Final = {condition.value: condition for condition in StreamCondition}
_NOT_XML: Final = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def stream_error(error: StreamError) -> bytes:
    """Write a stream error (RFC 6120 §4.9.2), to be followed by the `FOOTER`.

    The text of *see-other-host* is the host. Never raises for a text: what XML cannot carry is replaced.
    """
    name, text = error.condition.value, xml.escape(_NOT_XML.sub("\ufffd", error.text or ""))
    condition = f"<{name} xmlns='{ns.STREAM_ERRORS}'/>"
    if text and error.condition is StreamCondition.SEE_OTHER_HOST:
        condition = f"<{name} xmlns='{ns.STREAM_ERRORS}'>{text}</{name}>"
    elif text:
        condition += f"<text xmlns='{ns.STREAM_ERRORS}' xml:lang='en'>{text}</text>"
    return f"<stream:error>{condition}{error.application or ''}</stream:error>".encode()


def parse_stream_error(element: xml.Element) -> StreamError:
    """Read a stream error (RFC 6120 §4.9). Never raises; what it does not know is *undefined-condition*.

    What stands in the condition itself is the text if there is no ``<text/>``. In *see-other-host* it is the host,
    and always the text.
    """
    condition: StreamCondition | None = None
    text = inside = application = None
    for child in element.iterchildren(etree.Element):
        namespace, _, name = str(child.tag)[1:].rpartition("}")
        if namespace != ns.STREAM_ERRORS:
            application = application or etree.tostring(child, encoding="unicode", with_tail=False)
        elif name == "text":
            text = text or child.text
        elif condition is None:
            condition = _CONDITIONS.get(name, StreamCondition.UNDEFINED_CONDITION)
            inside = (child.text or "").strip() or None
    if condition is None:
        condition = StreamCondition.UNDEFINED_CONDITION
    if condition is StreamCondition.SEE_OTHER_HOST and inside:
        text = inside
    return StreamError(condition, text or inside, application=application)
