"""The tree that lxml builds of an XML stream while it is read: elements out of pieces of XML.

Three decisions keep it safe:

- libxml2 goes on writing behind the first-level element that ended last: who moves that, or hands it to somebody who
  may, corrupts the heap. So it is handed out as a copy, unless the parser goes. It goes when its tree has become
  large, and when the stream is quiet; the tree then belongs to those who have got something of it.
- What libxml2 only notes, and XML namespaces forbid, is looked up: unbound prefixes in the names themselves, all else
  in the error log, once per first-level element. The log takes 100 entries and then no more, so the parser goes,
  between two elements, long before that.
- Most stanzas are whole, plain, and too short to exceed any limit, whatever is in them. For those nobody looks at each
  single element (`LiveTree.feed_small`).
"""

from __future__ import annotations

import copy
import re
from typing import Final, TypeAlias

from lxml import etree

from .. import xml
from ..errors import StreamCondition
from ..record import record
from . import ns
from .bulk import BULK, read_bulk
from .pullparser import MAX_DEPTH, Parser, check_log, let_go, new_parser, refuse, syntax_error

__all__ = ["Event", "Limits", "LiveTree", "StreamFooter", "StreamHeader"]

_NAMES: Final = {ns.STREAM: {"features", "error"}, ns.CLIENT: {"message", "presence", "iq"}}
_LANG: Final = f"{{{ns.XML}}}lang"
_KNOWN_NAMES: Final = 1024  # how many names are remembered to be good, before they are forgotten
_LOG_ENTRIES: Final = 50  # of 100; when the log is this long, the parser is renewed
_HEAVY: Final = 65536  # octets; when so many are in the tree the parser is renewed, so that they can be freed


@record
class Limits:
    """How much of what a peer may send; beyond, the stream ends with *policy-violation* (RFC 6120 §13.12).

    Names and namespaces live in lxml's memory as long as the thread does, one octet for each octet of new names.
    """

    header: int = 16384
    """Octets of the stream header, the XML declaration included."""
    stanza: int = 1 << 20
    """Octets of a first-level element, complete or not."""
    depth: int = MAX_DEPTH
    """Elements within each other, the stream itself being the first. A lower limit makes reading slower."""
    attributes: int = 256
    """Attributes of one element, namespace declarations not counted."""
    children: int = 50_000
    """Elements within one first-level element, at all depths."""
    name: int = 2048
    """Characters of the name of an element or attribute, its namespace included."""


@record
class StreamHeader:
    """The opening tag of a stream (RFC 6120 §4.7); an attribute that was not sent is None.

    If there is a version, its major number is 1.
    """

    to: str | None
    from_: str | None
    id: str | None
    version: str | None
    lang: str | None


@record
class StreamFooter:
    """The closing tag of a stream (RFC 6120 §4.4)."""


Event: TypeAlias = StreamHeader | xml.Element | StreamFooter


class LiveTree:
    """What has been read of one XML stream. It is fed pieces of XML that end with ``>``.

    `namespaces` says whose elements may stand directly below the stream.
    """

    def __init__(self, limits: Limits, namespaces: frozenset[str]) -> None:
        self.events: list[Event] = []
        """What is complete and was not handed out."""
        self.depth = 0
        """How many elements are open, the stream being the first."""
        self.ended = False
        """Whether the stream was closed."""
        self.small = 0
        """Octets of a first-level element that is too short to exceed any limit."""
        self._longest_tag = 0  # octets of a tag that is too short to exceed any limit
        self._limits = limits
        self._namespaces = namespaces
        self._parser: Parser | None = None
        self._root: xml.Element | None = None
        self._last: xml.Element | None = None  # of the `events`, the one behind which the parser may write
        self._weight = 0  # octets of the first-level elements in the tree
        self._size = 0  # octets of the one that is open
        self._children = 0  # elements in it
        self._header = b""
        self._footer = b""
        self._logged = 0
        self._known: set[str] = set()  # names that were checked
        self._plain: set[str] = set()  # names of first-level elements that were checked

    def feed(self, piece: bytes) -> None:
        """Read some XML. Raises StreamError; what was complete before the error is among the `events`."""
        parser = self._parser or self._new_parser()
        if not self.depth:
            self._header += piece
        self._size += len(piece)
        failure: etree.XMLSyntaxError | None = None
        try:
            parser.feed(piece)
        except etree.XMLSyntaxError as exc:
            failure = exc
        self._walk([*parser.read_events()])
        if failure is not None:
            raise syntax_error(failure.code, failure.msg)

    def feed_small(self, piece: bytes) -> None:
        """Like `feed`, for what is probably a whole first-level element of at most `small` octets.

        To be called between two of them only, and only without comments, processing instructions and CDATA.
        """
        parser = self._parser or self._new_parser()
        self._size += len(piece)
        failure: etree.XMLSyntaxError | None = None
        try:
            parser.feed(piece)
        except etree.XMLSyntaxError as exc:
            failure = exc
        events = [*parser.read_events()]
        if failure is None and events:
            kind, element = events[-1]
            if kind == "end" and element.tag in self._plain and element.getparent() is self._root:
                self._end(element)
                return
        self._walk(events)
        if failure is not None:
            raise syntax_error(failure.code, failure.msg)

    def feed_bulk(self, data: bytes) -> int:
        """Read the first-level elements that `data` begins with, if they are beyond doubt; return their octets, or 0.

        To be called between two of them only.
        """
        limits = self._limits
        if len(data) > min(limits.stanza, 4 * limits.children) or len(data) < BULK or limits.depth < MAX_DEPTH:
            return 0
        bulk = read_bulk(self._header, self._footer, data, longest=self._longest_tag, allowed=self._plain)
        if bulk is None:
            return 0
        elements, end = bulk
        self._settle()
        self.events += elements
        return end

    def hand_out(self) -> list[Event]:
        """The `events`, which belong to the caller from now on."""
        self._settle()
        events, self.events = self.events, []
        return events

    def rest(self) -> None:
        """Have no parser until there is more to read. To be called between two first-level elements only."""
        if self.depth == 1:
            self._let_go()

    def _settle(self) -> None:
        """Have none of the `events` in the way of the parser."""
        if self._last is not None:
            index = -1 if self.events[-1] is self._last else -2  # behind it there can only be the footer
            self.events[index] = copy.copy(self._last)  # a deep one; that is what lxml does
            self._last = None

    def _let_go(self) -> None:
        """Have no parser, now that nothing is open but the stream."""
        if self._parser is not None:
            let_go(self._parser, self._footer)
        self._parser = self._root = self._last = None
        self._weight = 0

    def _new_parser(self) -> Parser:
        """A parser that has read the header, as far as there was one, and nothing else."""
        self._parser = parser = new_parser()
        if self._header:
            parser.feed(self._header)
            for _, root in parser.read_events():
                self._root = root
        self._logged = len(parser.feed_error_log)
        return parser

    def _walk(self, events: list[tuple[str, xml.Element]]) -> None:
        """Look at each element that began or ended."""
        depth, known, limits = self.depth, self._known, self._limits
        for kind, element in events:
            if kind == "start":
                depth += 1
                self._children += 1
                names = element.keys()
                if element.tag not in known or not known.issuperset(names):
                    self._check_names(element)
                if depth > limits.depth or self._children > limits.children or len(names) > limits.attributes:
                    raise refuse(StreamCondition.POLICY_VIOLATION, "too many elements or attributes, or too deep")
                if depth == 1:
                    self._open(element)
                elif depth == 2:
                    self._check_first_level(str(element.tag))
                    self._last = None
            elif kind == "end":
                depth -= 1
                if depth == 1:
                    self._end(element)
                elif depth == 0:
                    self._close()
            else:
                raise refuse(StreamCondition.RESTRICTED_XML, "a comment or processing instruction")
        self.depth = depth

    def _open(self, root: xml.Element) -> None:
        """Take the stream header (RFC 6120 §4.7, §4.8)."""
        name = etree.QName(root)
        if name.namespace != ns.STREAM:
            raise refuse(StreamCondition.INVALID_NAMESPACE, f"the stream namespace is {name.namespace!r:.80}")
        if name.localname != "stream":
            raise refuse(StreamCondition.BAD_FORMAT, f"the stream begins with {name.localname!r:.80}")
        if (content := root.nsmap.get(None)) != ns.CLIENT:
            raise refuse(StreamCondition.INVALID_NAMESPACE, f"the content namespace is {content!r:.80}")
        self._check_log()
        version = root.get("version")
        if version is not None and not re.fullmatch(r"0*1(\.[0-9]+)?", version):
            raise refuse(StreamCondition.UNSUPPORTED_VERSION, f"version {version!r:.40}")
        self.events.append(
            StreamHeader(
                to=root.get("to"), from_=root.get("from"), id=root.get("id"), version=version, lang=root.get(_LANG)
            )
        )
        self._root = root
        self._footer = f"</{root.prefix}:stream>".encode() if root.prefix else b"</stream>"
        self._size = self._children = 0
        # <a></a> for each level, <a/> for each child, a='' for each attribute; or all of it may be one name.
        limits, longest = self._limits, max(len(uri) for uri in root.nsmap.values())
        self.small = min(
            limits.stanza, 7 * limits.depth, 4 * limits.children, 5 * limits.attributes, limits.name - longest
        )
        # One tag may declare a namespace, and another one have the rest of the name.
        self._longest_tag = min(5 * limits.attributes, limits.name // 2, limits.name - longest)

    def _end(self, element: xml.Element) -> None:
        """Take the closing tag of a first-level element."""
        self._check_log()
        self.events.append(element)
        self._last = element
        self._weight += self._size
        if self._weight > _HEAVY or self._logged > _LOG_ENTRIES:
            self._let_go()
        self._size = self._children = 0

    def _check_log(self) -> None:
        assert self._parser is not None
        self._logged = check_log(self._parser, self._logged)

    def _close(self) -> None:
        """Take the closing tag of the stream."""
        self._check_log()
        self.ended = True
        self.events.append(StreamFooter())

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
        if tag in self._plain:
            return
        namespace, _, name = tag[1:].rpartition("}")
        if namespace not in self._namespaces or name not in _NAMES.get(namespace, (name,)):
            raise refuse(StreamCondition.UNSUPPORTED_STANZA_TYPE, f"{tag!r:.80}")
        if len(self._plain) < _KNOWN_NAMES:
            self._plain.add(tag)
