"""The parser of one XML stream: it is fed pieces of XML, and hands out first-level elements.

Four decisions keep it safe and fast:

- **No element leaves the tree that is being built.** libxml2 keeps writing behind the first-level element that ended
  last; moving or freeing that element corrupts the heap. So each one is copied when it ends. The copy is a tree of its
  own: an application that keeps it keeps nothing else. The parser is renewed when its tree has become large, and when
  the stream is quiet.
- **XML namespaces are checked here.** libxml2 only notes a violation. An unbound prefix shows in the name; all else is
  in the error log, which is read once for each first-level element. The log takes 100 entries and then no more, so the
  parser is renewed, between two elements, long before.
- **Most stanzas need no look at their content.** One that is whole and shorter than `fast_path_limit` cannot exceed any
  limit. `feed_stanza` takes it as it is, if its tag is among the checked ones; `feed_bulk` takes many at once.
- **Stanzas come out in one namespace.** On the stream of a component it is another one (XEP-0114). Then the header that
  each parser gets declares the namespace of clients instead, so that everything below it is in that. Only an element
  that names the other namespace itself has to be renamed.
- **A limit is not an error of the stream.** What exceeds one raises `LimitExceeded`. Then the caller calls `abandon`,
  and passes over the element in another way (`skipping`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from lxml import etree

from .. import xml
from ..errors import StreamCondition
from ..record import replace
from . import ns
from .bulk import BULK, read_bulk
from .limits import MAX_DEPTH, Limits
from .pullparser import (
    LIMIT_ERRORS,
    LimitExceeded,
    Parser,
    check_log,
    copy_of,
    find_offence,
    let_go,
    may_offend,
    moved,
    new_parser,
    refuse,
    syntax_error,
)
from .streamevents import Event, Skipped, StreamFooter, read_header

__all__ = ["StreamParser"]

_STREAM_TAG: Final = f"{{{ns.STREAM}}}stream"
_HANDSHAKE: Final = frozenset({*ns.STANZA_NAMES, "handshake"})  # on the stream of a component
_NAMES: Final = {
    ns.STREAM: frozenset({"features", "error"}),
    ns.CLIENT: frozenset(ns.STANZA_NAMES),
    ns.COMPONENT: _HANDSHAKE,
}
_KNOWN_NAMES: Final = 1024  # names that are remembered to be sound, before they are forgotten
_LOG_ENTRIES: Final = 50  # of 100; when the log is this long, the parser is renewed
_HEAVY: Final = 65536  # octets; when as many are in the tree, the parser is renewed, so that they are freed


class StreamParser:
    """Reads one XML stream in pieces that end with ``>``.

    `namespaces` are those whose elements may stand directly below the stream. `content` is the content namespace that
    the header has to declare (RFC 6120 §4.8.2); what is in it comes out in that of clients.
    """

    def __init__(self, limits: Limits, namespaces: frozenset[str], content: str = ns.CLIENT) -> None:
        self.events: list[Event] = []
        """The elements that are complete. The caller takes them out, and then they belong to it."""
        self.depth: int = 0
        """The number of open elements, the stream being the first."""
        self.ended: bool = False
        """Whether the stream was closed."""
        self.fast_path_limit: int = 0
        """Octets of a first-level element that is too short to exceed any limit; 0 before the header."""
        self.declared: Mapping[str | None, str] = {}
        """The namespaces that the header declares, by prefix."""
        self._longest_tag = 0  # octets of a tag that is too short to exceed any limit
        self._limits = limits
        self._namespaces = namespaces if content == ns.CLIENT else namespaces | {content}
        self._content = content
        self._parser: Parser | None = None
        self._root: xml.Element | None = None
        self._weight = 0  # octets of the first-level elements in the tree
        self._size = 0  # octets of the one that is open
        self._children = 0  # elements in it
        self._in_cdata = False  # whether the last piece ended within character data
        self._header = b""
        self._binding = b""  # a header that declares the same namespaces, and has nothing else to be read
        self._footer = b""
        self._logged = 0
        self._known_names: set[str] = set()
        self._checked_tags: set[str] = set()  # of first-level elements that may be here

    def feed(self, piece: bytes) -> None:
        """Read a piece. Elements that were complete before an error are among the `events`.

        Raises StreamError, and LimitExceeded for a first-level element that cannot be taken.
        """
        self._size += len(piece)
        fed, offence = piece, None
        if self._in_cdata or may_offend(piece):
            end, offence, self._in_cdata = find_offence(piece, self._in_cdata)
            piece = piece[:end]  # something before the offence may be worse
        events, failure = self._parse(piece)
        if not self.depth:
            self._header += fed
        self._walk(events, failure)
        if offence is not None:
            raise offence

    def feed_stanza(self, piece: bytes) -> None:
        """Like `feed`, for a piece that probably is a whole first-level element of at most `fast_path_limit` octets.

        To be called between two first-level elements only, and for a piece without ``&``, ``<!`` and ``<?``, unless
        each ``&`` begins a reference.
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
            if kind == "end" and element.tag in self._checked_tags and element.getparent() is self._root:
                self._end(element)
                return
        self._walk(events, failure)

    def feed_bulk(self, data: bytes) -> int:
        """Read the first-level elements that `data` begins with, if all are beyond doubt; return their octets, or 0.

        To be called between two first-level elements only.
        """
        limits = self._limits
        if len(data) > min(limits.stanza, 4 * limits.children) or len(data) < BULK or limits.depth < MAX_DEPTH:
            return 0
        bulk = read_bulk(self._binding, self._footer, data, longest=self._longest_tag, allowed=self._checked_tags)
        if bulk is None:
            return 0
        elements, end = bulk
        if self._content == ns.CLIENT:
            self.events += elements
        else:
            self.events += [_renamed(element, self._content) for element in elements]
        return end

    def add(self, event: xml.Element | Skipped) -> None:
        """Add a first-level element to the `events`."""
        self.events.append(event if self._content == ns.CLIENT else _renamed(event, self._content))

    def release_buffers(self) -> None:
        """Have no parser until there is more to read. To be called between two first-level elements only."""
        if self.depth == 1:
            self.abandon()
            self._known_names = set()

    def abandon(self) -> None:
        """Forget the tree, with the first-level element that is open in it. The next piece begins another one."""
        if self._parser is not None:
            let_go(self._parser, self._footer)
        self._parser = self._root = None
        self._weight = self._size = self._children = 0
        self._in_cdata = False
        self.depth = 1

    def _parse(self, piece: bytes) -> tuple[list[tuple[str, xml.Element]], etree.XMLSyntaxError | None]:
        """Have lxml read a piece; return its events, and the error behind them."""
        parser = self._parser or self._new_parser()
        failure: etree.XMLSyntaxError | None = None
        try:
            parser.feed(piece)
        except etree.XMLSyntaxError as exc:
            failure = exc
        return [*parser.read_events()], failure

    def _new_parser(self) -> Parser:
        """Make a parser that has read the header, as far as there was one, and nothing else."""
        self._parser = parser = new_parser()
        if self._header:
            parser.feed(self._header)
            for _, root in parser.read_events():
                self._root = root
        self._logged = len(parser.feed_error_log)
        return parser

    def _walk(self, events: list[tuple[str, xml.Element]], failure: etree.XMLSyntaxError | None) -> None:
        """Look at each element that began or ended, and then raise the `failure`, if there is one."""
        depth, known, limits = self.depth, self._known_names, self._limits
        for kind, element in events:
            if kind == "start":
                depth += 1
                self._children += 1
                names = element.keys()
                if element.tag not in known or not known.issuperset(names):
                    self._check_names(element)
                if depth > limits.depth or self._children > limits.children or len(names) > limits.attributes:
                    raise LimitExceeded(self._exceeded(depth, len(names)))
                if depth == 1:
                    self._open(element)
                elif depth == 2:
                    self._check_first_level(str(element.tag))
            elif kind == "end":
                depth -= 1
                if depth == 1:
                    self._end(element)
                elif depth == 0:
                    self._close()
            else:
                raise refuse(StreamCondition.RESTRICTED_XML, "a comment or processing instruction")
        self.depth = depth
        if failure is not None:
            if failure.code in LIMIT_ERRORS:
                raise LimitExceeded(f"a limit of libxml2: {failure.msg:.80}")
            raise syntax_error(failure.code, failure.msg)

    def _exceeded(self, depth: int, attributes: int) -> str:
        """Name the limit that is exceeded."""
        limits = self._limits
        if depth > limits.depth:
            return f"more than {limits.depth} elements within each other"
        if attributes > limits.attributes:
            return f"more than {limits.attributes} attributes of one element"
        return f"more than {limits.children} elements in it"

    def _open(self, root: xml.Element) -> None:
        """Take the stream header (RFC 6120 §4.7, §4.8)."""
        namespace, _, name = str(root.tag).rpartition("}")
        if namespace[1:] != ns.STREAM:
            raise refuse(StreamCondition.INVALID_NAMESPACE, f"the stream namespace is {namespace[1:]!r:.80}")
        if name != "stream":
            raise refuse(StreamCondition.BAD_FORMAT, f"the stream begins with {name!r:.80}")
        self.declared = declared = dict(root.nsmap)
        if (content := declared.get(None)) != self._content:
            raise refuse(StreamCondition.INVALID_NAMESPACE, f"the content namespace is {content!r:.80}")
        self._check_log()
        self.events.append(read_header(root))
        self._root = root
        self._footer = f"</{root.prefix}:stream>".encode() if root.prefix else b"</stream>"
        self._size = self._children = 0
        # <a></a> for each level, <a/> for each child, a='' for each attribute; or all of it may be one name.
        limits, longest = self._limits, max(len(uri) for uri in declared.values())
        self.fast_path_limit = min(
            limits.stanza, 7 * limits.depth, 4 * limits.children, 5 * limits.attributes, limits.name - longest
        )
        # One tag may declare a namespace, and another one have the rest of the name.
        self._longest_tag = min(5 * limits.attributes, limits.name // 2, limits.name - longest)
        if self._content != ns.CLIENT:
            declared[None] = ns.CLIENT
        self._binding = _header(root.prefix, declared)
        if self._content != ns.CLIENT:
            self._header = self._binding
            self.abandon()

    def _end(self, element: xml.Element) -> None:
        """Take the closing tag of a first-level element."""
        assert self._parser is not None
        if len(self._parser.feed_error_log) != self._logged:
            self._check_log()
        self.add(moved(element) if self._size > _HEAVY else copy_of(element))
        self._weight += self._size
        self._size = self._children = 0
        if self._weight > _HEAVY or self._logged > _LOG_ENTRIES:
            self.abandon()

    def _check_log(self) -> None:
        assert self._parser is not None
        if len(self._parser.feed_error_log) != self._logged:
            self._logged = check_log(self._parser, self._logged)

    def _close(self) -> None:
        """Take the closing tag of the stream."""
        self._check_log()
        self.ended = True
        self.events.append(StreamFooter())

    def _check_names(self, element: xml.Element) -> None:
        """Check the names of an element. lxml reports one with an unbound prefix as ``x:name``."""
        if len(self._known_names) > _KNOWN_NAMES:
            self._known_names.clear()
        for name in map(str, (element.tag, *element.keys())):
            if len(name) > self._limits.name:
                raise LimitExceeded(f"a name of more than {self._limits.name} characters")
            if ":" in name.rpartition("}")[2]:
                raise refuse(StreamCondition.BAD_NAMESPACE_PREFIX, f"the name {name!r:.80}")
            self._known_names.add(name)

    def _check_first_level(self, tag: str) -> None:
        """Check that a first-level element is one that we know."""
        if tag in self._checked_tags:
            return
        namespace, _, name = tag[1:].rpartition("}")
        if tag == _STREAM_TAG:
            raise refuse(StreamCondition.UNSUPPORTED_STANZA_TYPE, "a second stream header")
        if namespace not in self._namespaces or name not in self._names_of(namespace, name):
            raise LimitExceeded(f"we do not know the element {tag!r:.200}")
        if len(self._checked_tags) < _KNOWN_NAMES:
            self._checked_tags.add(tag)

    def _names_of(self, namespace: str, name: str) -> Collection[str]:
        """Return the names that are known in `namespace`; `name` is among them if all are."""
        if namespace == ns.CLIENT and self._content != ns.CLIENT:
            namespace = self._content
        return _NAMES.get(namespace, (name,))


def _header(prefix: str | None, declared: Mapping[str | None, str]) -> bytes:
    """Write a stream header for a parser, with these namespaces by prefix and no attributes."""
    bindings = "".join(
        f" {'xmlns' if name is None else f'xmlns:{name}'}='{xml.escape_attr(uri)}'" for name, uri in declared.items()
    )
    return f"<{prefix}:stream{bindings}>".encode()


def _renamed(event: xml.Element | Skipped, content: str) -> xml.Element | Skipped:
    """Put what is in the namespace `content`, since the peer named it, into that of clients."""
    own = f"{{{content}}}"
    if isinstance(event, Skipped):
        return replace(event, tag=event.tag.replace(own, f"{{{ns.CLIENT}}}", 1))
    for element in event.iter(f"{own}*"):
        element.tag = f"{{{ns.CLIENT}}}{str(element.tag)[len(own) :]}"
    return event
