"""XML streams in WebSocket messages (RFC 7395): each message is an XML document of its own, with one element in it.

There is no stream element around them. ``<open/>`` stands for its opening tag and ``<close/>`` for its closing tag, so
`DocumentFraming` gives the same events as `framing.Framing`. Nothing is inherited: neither namespaces nor the language.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Final

from lxml import etree

from .. import xml
from ..errors import ElementError, StreamCondition, StreamError
from ..xml.markup import read_document
from . import ns
from .framing import FIRST_LEVEL_NAMESPACES, FOOTER, Framing, header
from .limits import Limits
from .pullparser import DOCUMENTS, has_markup, refuse
from .shown import shown
from .streamevents import Event, Skipped, StreamFooter, StreamHeader, read_header

__all__ = ["CLOSE", "DocumentFraming", "document", "open_"]

CLOSE: Final = f"<close xmlns='{ns.FRAMING}'/>".encode()

_OPEN: Final = f"{{{ns.FRAMING}}}open"
_CLOSE: Final = f"{{{ns.FRAMING}}}close"
_NAMESPACES: Final = FIRST_LEVEL_NAMESPACES | {ns.FRAMING}

_STANZAS: Final = tuple(f"<{name}".encode() for name in ns.STANZA_NAMES)
_USUAL: Final = ns.STANZA_TAGS | {f"{{{ns.SM}}}r", f"{{{ns.SM}}}a"}
_SPACE: Final = b" \t\r\n"
_SPACES: Final = " \t\r\n"
_BETWEEN: Final = b"<?_?>"
_PREFIX: Final = b" xmlns:"
_TAG: Final = re.compile(rb"""(<[^ \t\r\n=<>'"/!?]+)((?:[ \t\r\n]+[^ \t\r\n=<>'"/]+=(?:'[^'<]*'|"[^"<]*"))*)""")
_ATTRIBUTES: Final = re.compile(rb"""([^ \t\r\n=<>'"/]+)=(?:'[^'<]*'|"[^"<]*")""")


class DocumentFraming:
    """The inbound half of one XML stream in WebSocket messages: one call reads one whole message.

    It behaves as `framing.Framing` does, which it feeds. A message that is not exactly one element ends the stream with
    *bad-format*; white space around the element is dropped, and a message of white space is nothing.

    **The rule for namespaces.** Every document should declare its own (RFC 7395 §3.3.3). Some servers forget it, mostly
    in stream errors. So each message is read as if it stood in a stream whose header declares ``jabber:client`` and the
    prefix ``stream``: an element without ``xmlns`` is one of ``jabber:client``, and no other.

    Most messages are whole, usual stanzas, too short to exceed any limit, and acknowledgements of such. They are read
    as the documents that they are, and those that came together as one document (`_read_together`). All others go the
    longer way, which finds the right error.

    ``<close see-other-uri="…"/>`` is the StreamError *see-other-host*, with the URI as its text and its `uri`.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._framing = Framing(limits, namespaces=_NAMESPACES)
        self._framing.feed(header(to=None, lang=None))
        self._fast_path_limit = self._framing.fast_path_limit
        self._error: StreamError | None = None
        self._ended = False

    @property
    def incomplete(self) -> int:
        """See `Framing.incomplete`: messages are always complete."""
        return 0

    def feed(self, data: bytes, *more: bytes, goes_on: bool = False) -> tuple[list[Event], StreamError | None]:
        """Read one message, and `more` of them. Return their elements, and the stream error that stopped us, if any."""
        if more and not self._ended and self._error is None:
            together = _read_together((data, *more), self._fast_path_limit)
            if together is not None:
                return together, None
        events: list[Event] = []
        for message in (data, *more):
            event, _, _ = self.feed_one(message)
            if event is not None:
                events.append(event)
        return events, self._error

    def feed_one(self, data: bytes) -> tuple[Event | None, bytes, StreamError | None]:
        """Like `feed`. Nothing is ever left of a message: the bytes in the middle are empty."""
        if self._error is None and not self._ended:
            try:
                return self._read(data), b"", None
            except StreamError as exc:
                self._error = exc.with_traceback(None)  # it is kept, and its traceback would keep frames
        return None, b"", self._error

    def isolate(self) -> None:
        """See `Framing.isolate`."""
        self._fast_path_limit = 0
        self._framing.isolate()

    def release_buffers(self) -> None:
        """See `Framing.release_buffers`."""
        self._framing.release_buffers()

    def _read_usual(self, data: bytes) -> xml.Element | None:
        """Read one of the usual elements, if it is beyond doubt."""
        # Without a declaration it is UTF-8, unless it begins otherwise or has octets of value 0.
        if len(data) > self._fast_path_limit or not data.startswith(b"<"):
            return None
        if b"\0" in data or has_markup(data):
            return None
        try:
            element = read_document(data, DOCUMENTS)
        except ElementError:
            return None
        if element.tag not in _USUAL:
            return None
        if _PREFIX in data:
            etree.cleanup_namespaces(element)  # declared on the stanza, it would go with each payload that we forward
        return element

    def _read(self, data: bytes) -> Event | None:
        usual = self._read_usual(data)
        if usual is not None:
            return usual
        data = data.strip(_SPACE)
        if not data:
            return None
        if not data.startswith(b"<"):
            raise refuse(StreamCondition.BAD_FORMAT, "a message that does not begin with <")
        events, error = self._framing.feed(data)
        if error is not None:
            raise error
        event = events[0] if len(events) == 1 and self._framing.between else None
        if event is None or isinstance(event, (StreamHeader, StreamFooter)):
            raise refuse(StreamCondition.BAD_FORMAT, "a message that is not one whole element")
        if isinstance(event, Skipped) or not str(event.tag).startswith(f"{{{ns.FRAMING}}}"):
            return event
        return self._framed(event, len(data))

    def _framed(self, element: xml.Element, octets: int) -> Event:
        """Take ``<open/>`` or ``<close/>`` (RFC 7395 §3.4, §3.6)."""
        if element.tag == _OPEN:
            return read_header(element)
        if element.tag != _CLOSE:
            return Skipped("", None, None, None, None, f"we do not know the element {element.tag!r:.200}", octets)
        if (uri := element.get("see-other-uri")) is not None:
            raise StreamError(StreamCondition.SEE_OTHER_HOST, shown(uri), uri=uri)
        self._ended = True
        return StreamFooter()


def _read_together(messages: Sequence[bytes], longest: int) -> list[Event] | None:
    """Return the elements of several messages, if each is one of the usual ones; None if there is any doubt.

    They are the children of one document, with a processing instruction between each two of them. No message has one,
    so these are ours. If all of them are children of the root, no message has to do with what another one opens. Each
    message begins with its element, as there is no text before it.
    """
    octets = b"".join(messages)
    if b"\0" in octets or has_markup(octets) or (b"&" in octets and b"&#" in octets):
        return None
    if max(map(len, messages)) > longest:
        return None
    try:
        root = read_document(b"<_>" + _BETWEEN.join(messages) + b"</_>", DOCUMENTS)
    except ElementError:
        return None
    children = [*root]
    elements, between = children[::2], children[1::2]
    if len(elements) != len(messages) or root.text is not None:
        return None
    for child in between:
        if child.tag is not etree.PI or child.tail is not None:
            return None
    for element, message in zip(elements, messages, strict=True):
        tail = element.tail
        if element.tag not in _USUAL or (tail is not None and tail.strip(_SPACES)):
            return None
        element.tail = None
        if _PREFIX in message:
            etree.cleanup_namespaces(element)
    root.clear()  # now each element is a tree of its own
    return [*elements]


def open_(*, to: str | None, from_: str | None = None, lang: str | None = None, id: str | None = None) -> bytes:
    """Write ``<open/>`` (RFC 7395 §3.4).

    A value that is None is left out; `id` is for servers. Raises ValueError for characters that XML cannot carry.
    """
    given = (("to", to), ("from", from_), ("id", id), ("version", "1.0"), ("xml:lang", lang))
    attributes = "".join(f" {name}='{xml.escape_attr(value)}'" for name, value in given if value is not None)
    return f"<open xmlns='{ns.FRAMING}'{attributes}/>".encode()


def document(element: bytes, *, lang: str | None = None) -> bytes:
    """Make a document of an element that was written to stand in a stream; of the `FOOTER`, make ``<close/>``.

    The document declares what the element would inherit there: the namespace, if it has none of its own; the prefix of
    stream errors; and for stanzas `lang`, the language of the stream (RFC 7395 §3.3.3). Raises ValueError if `element`
    is not an element.
    """
    head = element[: element.find(b">")]
    end = max(head.find(b" "), 0)
    # A stanza as we write it: if the quotation marks are in pairs, its tag ends there, and it declares nothing.
    if head[:end] in _STANZAS and b"xml" not in head and b'"' not in head and not head.count(b"'") % 2:
        return element[:end] + _inherited(lang) + element[end:]
    if element == FOOTER:
        return CLOSE
    tag = _TAG.match(element)
    if tag is None:
        raise ValueError(f"not an element: {element[:40]!r}")
    start, declared = tag[1], _ATTRIBUTES.findall(tag[2])
    inherited = b""
    if b"xmlns" not in declared:
        inherited = _inherited(None)
    if start.startswith(b"<stream:") and b"xmlns:stream" not in declared:
        inherited += f" xmlns:stream='{ns.STREAM}'".encode()
    if lang is not None and start in _STANZAS and b"xml:lang" not in declared:
        inherited += _language(lang)
    return element[: tag.end(1)] + inherited + element[tag.end(1) :]


@functools.lru_cache(maxsize=16)
def _inherited(lang: str | None) -> bytes:
    """Return the declarations that a stanza without any inherits from a stream."""
    return f" xmlns='{ns.CLIENT}'".encode() + (b"" if lang is None else _language(lang))


def _language(lang: str) -> bytes:
    return f" xml:lang='{xml.escape_attr(lang)}'".encode()
