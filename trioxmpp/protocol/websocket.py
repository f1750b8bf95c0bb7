"""XML streams in WebSocket messages (RFC 7395): each message is an XML document of its own, with one element in it.

There is no stream element around them. ``<open/>`` stands for its opening tag and ``<close/>`` for its closing tag, so
that what comes out of `DocumentFraming` is what comes out of `framing.Framing`; and nothing is inherited: neither
namespaces nor the language.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from .. import xml
from ..errors import ElementError, StreamCondition, StreamError
from ..xml.markup import read_document
from . import ns
from .framing import FIRST_LEVEL_NAMESPACES, FOOTER, Event, Framing, Limits, StreamFooter, StreamHeader, header
from .pullparser import DOCUMENTS, refuse

__all__ = ["CLOSE", "DocumentFraming", "document", "open_"]

CLOSE: Final = f"<close xmlns='{ns.FRAMING}'/>".encode()

_OPEN: Final = f"{{{ns.FRAMING}}}open"
_CLOSE: Final = f"{{{ns.FRAMING}}}close"
_LANG: Final = f"{{{ns.XML}}}lang"
_NAMESPACES: Final = FIRST_LEVEL_NAMESPACES | {ns.FRAMING}

_STANZAS: Final = (b"<message", b"<presence", b"<iq")
_USUAL: Final = frozenset(
    [f"{{{ns.CLIENT}}}{name}" for name in ("message", "presence", "iq")] + [f"{{{ns.SM}}}{name}" for name in "ra"]
)
_TAG: Final = re.compile(rb"""(<[^ \t\r\n=<>'"/!?]+)((?:[ \t\r\n]+[^ \t\r\n=<>'"/]+=(?:'[^'<]*'|"[^"<]*"))*)""")
_ATTRIBUTES: Final = re.compile(rb"""([^ \t\r\n=<>'"/]+)=(?:'[^'<]*'|"[^"<]*")""")


class DocumentFraming:
    """The inbound half of one XML stream in WebSocket messages: one call, one whole message.

    It behaves as `framing.Framing` does, which it feeds: a message is read as if it stood in a stream whose header
    declares ``jabber:client`` and the prefix ``stream``. Every document should declare them itself (RFC 7395 §3.3.3);
    some servers do not for stream errors. What is not exactly one element ends the stream with *bad-format*.

    Most messages are whole, plain stanzas, too short to exceed any limit, and acknowledgements of such. These are read
    as the documents they are; what is the least bit unusual goes the other way, which knows what to say of it.

    ``<close see-other-uri="…"/>`` is the StreamError *see-other-host*, with the URI as its text and its `uri`.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._framing = Framing(limits, namespaces=_NAMESPACES)
        self._framing.feed(header(to=None, lang=None))
        self._small = self._framing.small
        self._error: StreamError | None = None
        self._ended = False

    def feed(self, data: bytes) -> tuple[list[Event], StreamError | None]:
        """Read one message: its element, and the stream error that stopped us, if one did."""
        event, _, error = self.feed_one(data)
        return [] if event is None else [event], error

    def feed_one(self, data: bytes) -> tuple[Event | None, bytes, StreamError | None]:
        """Like `feed`. Nothing is ever left of a message: what comes in between are the empty bytes."""
        if self._error is None and not self._ended:
            try:
                return self._read(data), b"", None
            except StreamError as exc:
                self._error = exc.with_traceback(None)  # it is kept, and should keep nothing else
        return None, b"", self._error

    def rest(self) -> None:
        """Nothing has come for a while; see `Framing.rest`."""
        self._framing.rest()

    def _read_usual(self, data: bytes) -> xml.Element | None:
        """Read one of the usual elements, if that is beyond doubt."""
        # Without a declaration it is UTF-8, unless it begins otherwise or has octets of value 0.
        if len(data) > self._small or not data.startswith(b"<") or b"\0" in data or b"<!" in data or b"<?" in data:
            return None
        try:
            element = read_document(data, DOCUMENTS)
        except ElementError:
            return None
        return element if element.tag in _USUAL else None

    def _read(self, data: bytes) -> Event:
        usual = self._read_usual(data)
        if usual is not None:
            return usual
        if not data.startswith(b"<"):
            raise refuse(StreamCondition.BAD_FORMAT, "a message that does not begin with <")
        events, error = self._framing.feed(data)
        if error is not None:
            raise error
        element = events[0] if len(events) == 1 and self._framing.between else None
        if element is None or isinstance(element, (StreamHeader, StreamFooter)):
            raise refuse(StreamCondition.BAD_FORMAT, "a message that is not one whole element")
        if not str(element.tag).startswith(f"{{{ns.FRAMING}}}"):
            return element
        if element.tag == _OPEN:
            return _header(element)
        if element.tag != _CLOSE:
            raise refuse(StreamCondition.UNSUPPORTED_STANZA_TYPE, f"{element.tag!r:.80}")
        if (uri := element.get("see-other-uri")) is not None:
            raise StreamError(StreamCondition.SEE_OTHER_HOST, uri, uri=uri)
        self._ended = True
        return StreamFooter()


def _header(element: xml.Element) -> StreamHeader:
    version = element.get("version")
    if version is not None and not re.fullmatch(r"0*1(\.[0-9]+)?", version):
        raise refuse(StreamCondition.UNSUPPORTED_VERSION, f"version {version!r:.40}")
    return StreamHeader(
        to=element.get("to"),
        from_=element.get("from"),
        id=element.get("id"),
        version=version,
        lang=element.get(_LANG),
    )


def open_(*, to: str | None, from_: str | None = None, lang: str | None = "en", id: str | None = None) -> bytes:
    """Write ``<open/>`` (RFC 7395 §3.4).

    What is None is left out; `id` is for servers. Raises ValueError for characters that XML cannot carry.
    """
    given = (("to", to), ("from", from_), ("id", id), ("version", "1.0"), ("xml:lang", lang))
    attributes = "".join(f" {name}='{xml.escape_attr(value)}'" for name, value in given if value is not None)
    return f"<open xmlns='{ns.FRAMING}'{attributes}/>".encode()


def document(element: bytes, *, lang: str | None = None) -> bytes:
    """Make a document of what was written to stand in a stream: an element, or its `FOOTER`, which is ``<close/>``.

    What it would inherit there is declared: the namespace, if it has none of its own, the prefix of stream errors,
    and for stanzas `lang`, the language of the stream (RFC 7395 §3.3.3). ValueError if it is no element.
    """
    head = element[: element.find(b">")]
    end = max(head.find(b" "), 0)
    # A stanza as we write them: if the quotation marks are in pairs, its tag ends there, and it declares nothing.
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
    """What a stanza that declares nothing inherits from a stream."""
    return f" xmlns='{ns.CLIENT}'".encode() + (b"" if lang is None else _language(lang))


def _language(lang: str) -> bytes:
    return f" xml:lang='{xml.escape_attr(lang)}'".encode()
