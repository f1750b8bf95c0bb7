"""XML streams (RFC 6120 §4): bytes in, stream header, first-level elements and stream footer out.

The parser below is lxml's pull parser, which trusts its input more than a network client may; how it is kept in check
is told in `livetree`. Here is decided what it is fed, so that what comes out depends on the bytes alone, never on how
the network cut them: pieces that end with ``>`` and nothing else. No tag, and so no event, is complete before its
``>``; hence an event always belongs to the last byte fed, and we know at every moment whether we stand *between* two
first-level elements. There, nothing reaches the parser but the next tag: whitespace is dropped and costs nothing;
text, comments, DTDs and their kin are refused by looking at the bytes.
"""

from __future__ import annotations

import re
from typing import Final

from .. import xml
from ..errors import StreamCondition, StreamError
from . import ns
from .livetree import Event, Limits, LiveTree, StreamFooter, StreamHeader
from .pullparser import check_declaration, refuse
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

_NOT_SPACE: Final = re.compile(rb"[^ \t\r\n]")
_NAME: Final = re.compile(rb"[^ \t\r\n/>]+")
# An opening tag that ends where it seems to: no ">" in its attributes.
_OPENING: Final = re.compile(
    rb"""<([^ \t\r\n=<>'"/!?]+) (?:[ \t\r\n]+ [^ \t\r\n=<>'"/]+ = (?:'[^'<>]*'|"[^"<>]*"))* [ \t\r\n]* (/?)>""",
    re.VERBOSE,
)
_PIECE: Final = 4096  # octets; from here on any ">" ends a piece
_LESS_THAN: Final = 0x3C


class Framing:
    """The inbound half of one XML stream; a stream restart (RFC 6120 §4.3.3) makes a new one.

    It serves both sides: a header may come from a server or from a client. `namespaces` says whose elements may
    stand directly below the stream; any other ends it with *unsupported-stanza-type*.

    After a stream error nothing more is read, and every call returns that same error. After the footer nothing more
    is read either.
    """

    def __init__(self, limits: Limits | None = None, *, namespaces: frozenset[str] = FIRST_LEVEL_NAMESPACES) -> None:
        self._limits = limits or Limits()
        self._tree = LiveTree(self._limits, namespaces)
        self._handed_out: list[Event] = []  # by the tree, but not by us
        self._error: StreamError | None = None
        self._in_bulk = False  # whether to try to read much at once
        self._declared = False  # whether there was an XML declaration
        self._rest = bytearray()  # the piece that is not complete yet
        self._between = True  # not inside of any first-level element, nor of any tag
        self._opening = b""  # how the first-level element began that we are inside of
        self._closing = b""  # how its closing tag will begin
        self._quote = b""  # that is open in an opening tag which is not complete
        self._size = 0  # octets of the current first-level element, or of the header, so far

    @property
    def between(self) -> bool:
        """Whether what was fed so far ends where a first-level element may begin, or the header."""
        return self._between and not self._rest

    @property
    def small(self) -> int:
        """Octets of a first-level element that is too short to exceed any limit; 0 before the header."""
        return self._tree.small

    def feed(self, data: bytes) -> tuple[list[Event], StreamError | None]:
        """Read `data`: everything that it completes, in order, and the stream error that stopped us, if one did.

        What was complete before the error is delivered. The elements belong to the caller.
        """
        self._read(data, all_of_it=True)
        events, self._handed_out = self._handed_out, []
        return events, self._error

    def feed_one(self, data: bytes) -> tuple[Event | None, bytes, StreamError | None]:
        """Read `data` up to the ``>`` that completes one event; return it, and the rest of the bytes, untouched.

        For negotiation: what follows ``<proceed/>`` is TLS and no longer XML, what follows ``<success/>`` is another
        stream. An error that comes after the event is returned by the next call.
        """
        rest = data if self._handed_out else self._read(data, all_of_it=False)
        if self._handed_out:
            return self._handed_out.pop(0), rest, None
        return None, b"", self._error

    def rest(self) -> None:
        """Nothing has come for a while: let go of what can be made again, some 10 kB."""
        if self._between and not self._rest:
            self._tree.rest()

    def _read(self, data: bytes, all_of_it: bool) -> bytes:
        """Read piece after piece, until one completed an event or to the end; return what is left."""
        tree = self._tree
        if self._error is not None or tree.ended:
            return b""
        data, nul, beyond = data.partition(b"\0")  # when libxml2 minds it, depends on how the bytes are cut
        if self._rest and b">" in data:
            self._size -= len(self._rest)
            data = bytes(self._rest + data)
            self._rest.clear()
        position, end = 0, len(data)
        self._in_bulk = all_of_it
        try:
            while position < end and not tree.ended and (all_of_it or not tree.events):
                position = self._step(data, position, all_of_it)
            if nul and position == end and not tree.ended and (all_of_it or not tree.events):
                condition = StreamCondition.NOT_WELL_FORMED if tree.depth else StreamCondition.UNSUPPORTED_ENCODING
                raise refuse(condition, "a NUL")
        except StreamError as exc:
            self._error = exc.with_traceback(None)  # it is kept, and should keep nothing else
        self._handed_out += tree.hand_out()
        return data[position:] + nul + beyond

    def _step(self, data: bytes, position: int, all_of_it: bool) -> int:
        """Feed one piece or more, or keep what there is of one; return the position of the next."""
        if self._between and not self._rest:
            if data[position] != _LESS_THAN:
                if (match := _NOT_SPACE.search(data, position)) is None:
                    return len(data)
                position = match.start()
                if data[position] != _LESS_THAN:
                    raise self._stray(data[position])
            if self._tree.depth and (end := self._feed_whole(data, position, all_of_it)) > position:
                return end
        end = self._end_of_piece(data, position)
        limit = self._limits.stanza if self._tree.depth else self._limits.header
        allowed = position + limit - self._size
        if (end or len(data)) > allowed:
            if self._closing and (end := data.rfind(b">", position, allowed) + 1):
                self._tree.feed(data[position:end])  # it may hold a worse offence
            what = "first-level element" if self._tree.depth else "stream header"
            raise refuse(StreamCondition.POLICY_VIOLATION, f"a {what} of more than {limit} octets")
        self._size += (end or len(data)) - position
        if not end:
            self._rest += data[position:]
            return len(data)
        self._feed(data[position:end])
        return end

    def _feed_whole(self, data: bytes, position: int, all_of_it: bool) -> int:
        """Read first-level elements that are whole, if that can be done in a fast way; return where the rest begins."""
        if self._in_bulk:
            self._in_bulk = False  # who tries again and again makes it slow
            if octets := self._tree.feed_bulk(data[position:]):
                return position + octets
        return self._feed_small(data, position, all_of_it)

    def _feed_small(self, data: bytes, position: int, all_of_it: bool) -> int:
        """Read first-level elements, as long as they are whole and small; return where the rest begins."""
        tree, small = self._tree, self._tree.small
        while (opening := _OPENING.match(data, position)) is not None:
            end = opening.end()
            name, is_empty = opening.groups()
            if not is_empty:
                closing = data.find(b"</" + name, end, position + small)
                end = data.find(b">", closing) + 1 if closing >= 0 else 0
            if not 0 < end - position <= small:
                break
            piece = data[position:end]
            # To look for one octet first is much faster.
            if (b"!" in piece and b"<!" in piece) or (b"?" in piece and b"<?" in piece):
                break
            tree.feed_small(piece)
            position = end
            if tree.depth > 1:  # what ended was an element of the same name in the first-level element
                self._between, self._closing, self._size = False, b"</" + name, len(piece)
                break
            if not all_of_it:
                break
        return position

    def _feed(self, piece: bytes) -> None:
        """Feed one piece, and see where we stand then."""
        tree = self._tree
        if self._between:
            if piece[1] in b"!?":
                self._refuse_markup(piece)
                return
            self._between = False
            self._opening = piece
        before = len(tree.events)
        tree.feed(piece)
        if len(tree.events) > before:
            self._between, self._closing, self._quote, self._size = True, b"", b"", 0
        elif tree.depth > 1:
            if not self._closing:
                name = _NAME.match(self._opening, 1)
                assert name is not None
                self._closing = b"</" + name[0]
        else:
            self._quote = _unclosed(piece, self._quote)

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
        if self._tree.depth:
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
        if self._tree.depth or self._declared:
            raise refuse(StreamCondition.NOT_WELL_FORMED, "an XML declaration in the wrong place")
        check_declaration(piece)
        self._declared = True


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
