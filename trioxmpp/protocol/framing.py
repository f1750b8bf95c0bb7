"""XML streams (RFC 6120 §4): bytes in, stream header, first-level elements and stream footer out.

The parser below is lxml's pull parser, which trusts its input more than a network client may. Three decisions
keep it safe, and make what comes out depend on the bytes alone, never on how the network cut them:

- It is fed pieces that end with ``>`` and nothing else. No tag, and so no event, is complete before its ``>``;
  hence an event always belongs to the last byte fed, and we know at every moment whether we stand *between* two
  first-level elements. There, nothing reaches the parser but the next tag: whitespace is dropped and costs nothing,
  text, comments, DTDs and their kin are refused by looking at the bytes.
- What it hands out are copies. A first-level element stays in the live tree until the next one has begun, since
  libxml2 goes on writing behind the element that ended last: to remove it earlier corrupts the heap.
- What libxml2 only notes, and XML namespaces forbid, is looked up: unbound prefixes in the names themselves, all
  else in the error log, once per first-level element. The log takes 100 entries and then no more, so the
  parser is renewed, between two elements, long before that.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from lxml import etree

from .. import xml
from ..errors import StreamCondition, StreamError
from . import ns
from .pullparser import check_declaration, check_log, new_parser, refuse, syntax_error
from .streamerror import parse_stream_error, stream_error

__all__ = [
    "FIRST_LEVEL_NAMESPACES",
    "FOOTER",
    "Event",
    "Framing",
    "Limits",
    "StreamFooter",
    "StreamHeader",
    "header",
    "parse_stream_error",
    "stream_error",
]

FOOTER: Final = b"</stream:stream>"

#: Whose elements may stand directly below the stream: what we speak, and what may come before and around it.
FIRST_LEVEL_NAMESPACES: Final = frozenset(
    {
        ns.STREAM,
        ns.CLIENT,
        ns.TLS,
        ns.SASL,
        ns.SM,
        "urn:xmpp:sasl:2",
        "urn:xmpp:csi:0",
        "http://jabber.org/protocol/compress",
    }
)

_STANZAS: Final = frozenset(f"{{{ns.CLIENT}}}{name}" for name in ("message", "presence", "iq"))
_NAMES: Final = {ns.STREAM: {"features", "error"}, ns.CLIENT: {"message", "presence", "iq"}}
_LANG: Final = f"{{{ns.XML}}}lang"

_NOT_SPACE: Final = re.compile(rb"[^ \t\r\n]")
_NAME: Final = re.compile(rb"[^ \t\r\n/>]+")
_KNOWN_NAMES: Final = 1024  # how many names are remembered to be good, before they are forgotten
_PIECE: Final = 4096  # octets; from here on any ">" ends a piece
_LOG_ENTRIES: Final = 50  # of 100; when the log is this long, the parser is renewed
_HEAVY: Final = 65536  # octets; behind an element this big the parser is renewed, so that its tree is freed at once


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of what a peer may send; beyond, the stream ends with *policy-violation* (RFC 6120 §13.12).

    Names and namespaces live in lxml's memory as long as the thread does, one octet for each octet of new names.
    """

    header: int = 16384
    """Octets of the stream header, the XML declaration included."""
    stanza: int = 1 << 20
    """Octets of a first-level element, complete or not."""
    depth: int = 100
    """Elements within each other, the stream itself being the first. libxml2 has its own limit of 256."""
    attributes: int = 256
    """Attributes of one element, namespace declarations not counted."""
    children: int = 50_000
    """Elements within one first-level element, at all depths."""
    name: int = 1024
    """Characters of the name of an element or attribute, its namespace included."""


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """The opening tag of a stream (RFC 6120 §4.7); an attribute that was not sent is None.

    If there is a version, its major number is 1.
    """

    to: str | None
    from_: str | None
    id: str | None
    version: str | None
    lang: str | None


@dataclass(frozen=True, slots=True)
class StreamFooter:
    """The closing tag of a stream (RFC 6120 §4.4)."""


Event: TypeAlias = StreamHeader | xml.Element | StreamFooter


class Framing:
    """The inbound half of one XML stream; a stream restart (RFC 6120 §4.3.3) makes a new one.

    It serves both sides: a header may come from a server or from a client. `namespaces` says whose elements may
    stand directly below the stream; any other ends it with *unsupported-stanza-type*.

    After a stream error nothing more is read, and every call returns that same error. After the footer nothing more
    is read either.
    """

    def __init__(self, limits: Limits | None = None, *, namespaces: frozenset[str] = FIRST_LEVEL_NAMESPACES) -> None:
        self._limits = limits or Limits()
        self._namespaces = namespaces
        self._stanzas = _STANZAS if ns.CLIENT in namespaces else frozenset()
        self._parser = new_parser()
        self._root: xml.Element | None = None
        self._last: xml.Element | None = None  # the first-level element that ended last, still in the live tree
        self._header = b""  # the opening tag, as it came
        self._declared = False  # whether there was an XML declaration
        self._events: list[Event] = []
        self._error: StreamError | None = None
        self._ended = False
        self._rest = bytearray()  # the piece that is not complete yet
        self._between = True  # not inside of any first-level element, nor of any tag
        self._opening = b""  # how the first-level element began that we are inside of
        self._closing = b""  # how its closing tag will begin
        self._quote = b""  # that is open in an opening tag which is not complete
        self._size = 0  # octets of the current first-level element, or of the header, so far
        self._depth = 0
        self._children = 0
        self._known: set[str] = set()  # names that were checked
        self._logged = 0

    def feed(self, data: bytes) -> tuple[list[Event], StreamError | None]:
        """Read `data`: everything that it completes, in order, and the stream error that stopped us, if one did.

        What was complete before the error is delivered. The elements are copies and belong to the caller.
        """
        self._read(data, all_of_it=True)
        events, self._events = self._events, []
        return events, self._error

    def feed_one(self, data: bytes) -> tuple[Event | None, bytes, StreamError | None]:
        """Read `data` up to the ``>`` that completes one event; return it, and the rest of the bytes, untouched.

        For negotiation: what follows ``<proceed/>`` is TLS and no longer XML, what follows ``<success/>`` is another
        stream. An error that comes after the event is returned by the next call.
        """
        rest = data if self._events else self._read(data, all_of_it=False)
        if self._events:
            return self._events.pop(0), rest, None
        return None, b"", self._error

    def _read(self, data: bytes, all_of_it: bool) -> bytes:
        """Read piece after piece, until one completed an event or to the end; return what is left."""
        if self._error is not None or self._ended:
            return b""
        data, nul, beyond = data.partition(b"\0")  # when libxml2 minds it, depends on how the bytes are cut
        if self._rest and b">" in data:
            self._size -= len(self._rest)
            data = bytes(self._rest + data)
            self._rest.clear()
        position, end = 0, len(data)
        try:
            while position < end and not self._ended and (all_of_it or not self._events):
                position = self._step(data, position)
            if nul and position == end and not self._ended and (all_of_it or not self._events):
                condition = StreamCondition.NOT_WELL_FORMED if self._depth else StreamCondition.UNSUPPORTED_ENCODING
                raise refuse(condition, "a NUL")
        except StreamError as exc:
            self._error = exc.with_traceback(None)  # it is kept, and should keep nothing else
        return data[position:] + nul + beyond

    def _step(self, data: bytes, position: int) -> int:
        """Feed one piece, or keep what there is of it; return the position of the next."""
        if self._between and not self._rest and data[position] != 0x3C:
            if (match := _NOT_SPACE.search(data, position)) is None:
                return len(data)
            position = match.start()
            if data[position] != 0x3C:
                raise self._stray(data[position])
        end = self._end_of_piece(data, position)
        limit = self._limits.stanza if self._depth else self._limits.header
        allowed = position + limit - self._size
        if (end or len(data)) > allowed:
            if self._closing and (end := data.rfind(b">", position, allowed) + 1):
                self._parse(data[position:end])  # it may hold a worse offence
            what = "first-level element" if self._depth else "stream header"
            raise refuse(StreamCondition.POLICY_VIOLATION, f"a {what} of more than {limit} octets")
        self._size += (end or len(data)) - position
        if not end:
            self._rest += data[position:]
            return len(data)
        piece = data[position:end]
        if self._between:
            if piece[1] in b"!?":
                self._refuse_markup(piece)
                return end
            self._between = False
            self._opening = piece
        if not self._depth:
            self._header += piece
        self._parse(piece)
        self._quote = b"" if self._between or self._closing else _unclosed(piece, self._quote)
        return end

    def _end_of_piece(self, data: bytes, position: int) -> int:
        """Find the end of the piece that begins at `position`; 0 if it has not come yet.

        A first-level element can only end with its closing tag. All that came can be fed up to there at once, but
        not too much of it, for each element costs some memory before it is counted.
        """
        if not self._closing:
            # In an attribute ">" ends nothing, and feeding up to each of them would be slow.
            value = data.find(self._quote, position)
            return data.find(b">", value) + 1 if value >= 0 else 0
        far = position + _PIECE
        closing = data.find(self._closing, position, far)
        return (data.find(b">", far if closing < 0 else closing) + 1) or (data.rfind(b">", position) + 1)

    def _stray(self, byte: int) -> StreamError:
        """The error for something other than ``<`` where only a tag may stand."""
        if self._depth:
            return refuse(StreamCondition.BAD_FORMAT, "text between first-level elements")
        if byte >= 0x80:
            return refuse(StreamCondition.UNSUPPORTED_ENCODING, "a byte order mark, or not UTF-8")
        return refuse(StreamCondition.NOT_WELL_FORMED, "this is not XML")

    def _refuse_markup(self, piece: bytes) -> None:
        """Refuse what is no tag but stands where only a tag may; let pass one XML declaration before the header."""
        if piece.startswith(b"<![CDATA["):
            raise refuse(StreamCondition.BAD_FORMAT, "text between first-level elements")
        if not re.match(rb"<\?xml[ \t\r\n]", piece):
            what = "a processing instruction" if piece[1] == 0x3F else "a comment or document type declaration"
            raise refuse(StreamCondition.RESTRICTED_XML, what)
        if self._depth or self._declared:
            raise refuse(StreamCondition.NOT_WELL_FORMED, "an XML declaration in the wrong place")
        check_declaration(piece)
        self._declared = True

    def _parse(self, piece: bytes) -> None:
        failure: etree.XMLSyntaxError | None = None
        try:
            self._parser.feed(piece)
        except etree.XMLSyntaxError as exc:
            failure = exc
        depth, known, limits = self._depth, self._known, self._limits
        for kind, element in self._parser.read_events():
            if kind == "start":
                depth += 1
                self._children += 1
                names = element.keys()
                if element.tag not in known or not known.issuperset(names):
                    self._check_names(element)
                if depth > limits.depth or self._children > limits.children or len(names) > limits.attributes:
                    raise refuse(StreamCondition.POLICY_VIOLATION, "too many elements or attributes, or too deep")
                if depth < 3:
                    self._begin(element, depth)
            elif kind == "end":
                depth -= 1
                if depth < 2:
                    self._end(element, depth)
            else:
                raise refuse(StreamCondition.RESTRICTED_XML, "a comment or processing instruction")
        self._depth = depth
        if failure is not None:
            raise syntax_error(failure.code, failure.msg)

    def _begin(self, element: xml.Element, depth: int) -> None:
        """Take the opening tag of the stream, or of a first-level element."""
        if depth == 1:
            self._open(element)
            return
        if element.tag not in self._stanzas:
            self._check_first_level(str(element.tag))
        name = _NAME.match(self._opening, 1)
        assert name is not None
        self._closing = b"</" + name[0]
        if self._last is not None:
            # Only now is it safe: the parser writes behind the new element, no longer behind the old one.
            assert self._root is not None
            self._root.remove(self._last)
            self._last = None

    def _end(self, element: xml.Element, depth: int) -> None:
        """Take the closing tag of the stream, or of a first-level element."""
        self._logged = check_log(self._parser, self._logged)
        self._between = True
        self._closing = b""
        if not depth:
            self._ended = True
            self._events.append(StreamFooter())
            return
        self._events.append(copy.copy(element))  # a deep one; that is what lxml does
        if self._size > _HEAVY or self._logged > _LOG_ENTRIES:
            self._renew()
        else:
            self._last = element
        self._size = self._children = 0

    def _open(self, root: xml.Element) -> None:
        """Take the stream header (RFC 6120 §4.7, §4.8)."""
        name = etree.QName(root)
        if name.namespace != ns.STREAM:
            raise refuse(StreamCondition.INVALID_NAMESPACE, f"the stream namespace is {name.namespace!r:.80}")
        if name.localname != "stream":
            raise refuse(StreamCondition.BAD_FORMAT, f"the stream begins with {name.localname!r:.80}")
        if (content := root.nsmap.get(None)) != ns.CLIENT:
            raise refuse(StreamCondition.INVALID_NAMESPACE, f"the content namespace is {content!r:.80}")
        self._logged = check_log(self._parser, self._logged)
        version = root.get("version")
        if version is not None and not re.fullmatch(r"0*1(\.[0-9]+)?", version):
            raise refuse(StreamCondition.UNSUPPORTED_VERSION, f"version {version!r:.40}")
        self._events.append(
            StreamHeader(
                to=root.get("to"), from_=root.get("from"), id=root.get("id"), version=version, lang=root.get(_LANG)
            )
        )
        self._root = root
        self._between = True
        self._size = self._children = 0

    def _check_names(self, element: xml.Element) -> None:
        """Refuse a name that is over-long, or whose prefix is bound to nothing: lxml reports it as ``x:name``."""
        if len(self._known) > _KNOWN_NAMES:
            self._known.clear()
        for name in map(str, (element.tag, *element.keys())):
            if len(name) > self._limits.name:
                raise refuse(StreamCondition.POLICY_VIOLATION, f"a name of more than {self._limits.name} characters")
            if ":" in name.rpartition("}")[2]:
                raise refuse(StreamCondition.BAD_NAMESPACE_PREFIX, f"the name {name!r:.80}")
            self._known.add(name)

    def _check_first_level(self, tag: str) -> None:
        """Refuse what nobody is going to understand (RFC 6120 §4.9.3.24)."""
        namespace, _, name = tag[1:].rpartition("}")
        if namespace not in self._namespaces or name not in _NAMES.get(namespace, (name,)):
            raise refuse(StreamCondition.UNSUPPORTED_STANZA_TYPE, f"{tag!r:.80}")

    def _renew(self) -> None:
        """Go on with a fresh parser, which has read the header and nothing else."""
        self._parser = new_parser()
        self._parser.feed(self._header)
        for _, root in self._parser.read_events():
            self._root = root
        self._last = None
        self._logged = len(self._parser.feed_error_log)


def _unclosed(piece: bytes, quote: bytes) -> bytes:
    """Tell which quotation mark is open at the end of a piece of a tag, if `quote` was at its beginning."""
    for mark in re.findall(rb"['\"]", piece):
        if not quote:
            quote = mark
        elif mark == quote:
            quote = b""
    return quote


def header(*, to: str | None, from_: str | None = None, lang: str | None = "en", id: str | None = None) -> bytes:
    """Write the XML declaration and the opening tag of a stream (RFC 6120 §4.7).

    What is None is left out; `id` is for servers. Raises ValueError for characters that XML cannot carry.
    """
    given = (("to", to), ("from", from_), ("id", id), ("version", "1.0"), ("xml:lang", lang))
    attributes = "".join(f" {name}='{xml.escape_attr(value)}'" for name, value in given if value is not None)
    tag = f"<stream:stream{attributes} xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'>"
    return f"<?xml version='1.0'?>{tag}".encode()
