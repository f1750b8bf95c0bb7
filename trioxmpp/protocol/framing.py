"""XML streams (RFC 6120 §4): bytes in; stream header, first-level elements and stream footer out.

The parser below is lxml's pull parser (`streamparser`). This module decides what it is fed, so that the events depend
on the bytes alone, and not on how the network cut them: it is fed pieces that end with ``>``. No tag, and so no event,
is complete before its ``>``. Hence an event always belongs to the last byte that was fed, and we know at every moment
whether we stand *between* two first-level elements. There, only the next tag reaches the parser: whitespace is dropped
and costs nothing; text, comments, declarations and the like are refused by looking at the bytes.

A first-level element that exceeds a limit is passed over (`skipping`). The octets of it that the parser was fed are
therefore kept until the element ends: the skipper begins at the first octet of the element. So it makes no difference
to the skipper how the bytes were cut, and how far the parser had come.
"""

from __future__ import annotations

import re
from typing import Final

from .. import xml
from ..errors import StreamCondition, StreamError
from . import ns
from .bulk import BULK
from .limits import Limits
from .pullparser import LimitExceeded, check_declaration, find_offence, has_markup, refuse
from .skipping import Skipper
from .streamerror import parse_stream_error, stream_error
from .streamevents import Event, Skipped, StreamFooter, StreamHeader
from .streamparser import StreamParser

__all__ = [
    "FIRST_LEVEL_NAMESPACES",
    "FOOTER",
    "Event",
    "Framing",
    "Limits",
    "Skipped",
    "StreamFooter",
    "StreamHeader",
    "header",
    "parse_stream_error",
    "stream_error",
]

FOOTER: Final = b"</stream:stream>"

#: The namespaces whose elements may stand directly below the stream. `Framing` passes over all others.
FIRST_LEVEL_NAMESPACES: Final = frozenset({ns.STREAM, ns.CLIENT, ns.TLS, ns.SASL, ns.SM, ns.SASL2, ns.CSI, ns.COMPRESS})

_NOT_SPACE: Final = re.compile(rb"[^ \t\r\n]")
_NAME: Final = re.compile(rb"[^ \t\r\n/>]+")
# An opening tag that ends where it seems to: no ">" in its attributes.
_OPENING: Final = re.compile(
    rb"""<([^ \t\r\n=<>'"/!?]+) (?:[ \t\r\n]+ [^ \t\r\n=<>'"/]+ = (?:'[^'<>]*'|"[^"<>]*"))* [ \t\r\n]* (/?)>""",
    re.VERBOSE,
)
_PIECE: Final = 4096  # octets; from here on any ">" ends a piece
_MARKUP: Final = len(b"<![CDATA[")  # octets that tell what markup it is
_LESS_THAN: Final = 0x3C


class Framing:
    """The inbound half of one XML stream. A stream restart (RFC 6120 §4.3.3) makes a new one.

    It serves both sides: the header may come from a server or from a client. `namespaces` are those whose elements may
    stand directly below the stream; an element of another one is passed over. `content` is the content namespace of the
    stream, that of components, say; its stanzas come out in that of clients.

    After a stream error nothing more is read, and every call returns that same error. After the footer nothing more is
    read either.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        namespaces: frozenset[str] = FIRST_LEVEL_NAMESPACES,
        content: str = ns.CLIENT,
    ) -> None:
        self._limits = limits or Limits()
        self._parser = StreamParser(self._limits, namespaces, content)
        self._error: StreamError | None = None
        self._isolated = False
        self._in_bulk = False  # whether to try to read much at once
        self._more_comes = False  # whether the beginning of an element may wait for the rest of it
        self._waits = False  # whether one does
        self._declared = False  # whether there was an XML declaration
        self._rest = bytearray()  # the piece that is not complete yet
        self._between = True  # whether we stand outside of any first-level element, and of any tag
        self._opening = b""  # the beginning of the first-level element that is open
        self._closing = b""  # the beginning of its closing tag
        self._quote = b""  # the quotation mark that is open in an opening tag which is not complete
        self._size = 0  # octets of the current first-level element, or of the header, so far
        self._fed: list[bytes] = []  # what the parser was fed of the first-level element that is open
        self._skipper: Skipper | None = None  # reads that element, if it is passed over
        self._reason = ""  # why it is passed over
        self._watch: Skipper | None = None  # in isolation: sees where the element ends that is to be read again
        self.incomplete: int = 0
        """The octets of the first-level element, or the header, that has begun and not ended; 0 if none has."""

    @property
    def between(self) -> bool:
        """Whether what was fed so far ends where a first-level element may begin, or the header."""
        return self._between and not self._rest

    @property
    def fast_path_limit(self) -> int:
        """Octets of a first-level element that is too short to exceed any limit; 0 before the header."""
        return self._parser.fast_path_limit

    def feed(self, data: bytes, *more: bytes, goes_on: bool = False) -> tuple[list[Event], StreamError | None]:
        """Read `data`, and then `more`. Return all that they complete, in order, and the error that stopped us, if any.

        The elements that were complete before the error are returned. The elements belong to the caller.

        `goes_on` tells that more will probably be fed at once. Then the beginning of a short element waits for the rest
        of it, since an element costs several times as much in two pieces as among others (`bulk`). So does an error in
        that beginning. Whatever is fed next, even if it is nothing, has it read.
        """
        self._more_comes = goes_on
        self._read(b"".join((data, *more)) if more else data, all_of_it=True)
        events = self._parser.events.copy()
        self._parser.events.clear()
        return events, self._error

    def feed_one(self, data: bytes) -> tuple[Event | None, bytes, StreamError | None]:
        """Read `data` up to the ``>`` that completes one event. Return the event, and the rest of the bytes, untouched.

        For negotiation: what follows ``<proceed/>`` is TLS and no longer XML; what follows ``<success/>`` is another
        stream. The next call returns an error that comes after the event.
        """
        events = self._parser.events
        rest = data if events else self._read(data, all_of_it=False)
        if events:
            return events.pop(0), rest, None
        return None, b"", self._error

    def isolate(self) -> None:
        """From now on keep no parser from one call to the next, and use none that others use, too.

        So each call can be made in a thread of its own, and what libxml2 keeps for that thread goes with it.
        """
        self._isolated = True
        self._rewind()

    def _rewind(self) -> None:
        """Have the first-level element that is open read again from its first octet, by another parser.

        The part of an element that lxml has read belongs to the dictionary of one thread. Another thread that went on
        with it would free names that are not its own. It is read again when its end has come: with each call, a large
        element in small pieces would cost the square of its length.
        """
        if self._between or self._skipper is not None or not self._parser.depth or self._parser.ended:
            return
        self._parser.abandon()
        begun = b"".join(self._fed) + self._rest
        self._end_element()
        self._rest, self._size = bytearray(begun), len(begun)
        watch = Skipper(self._parser.declared)
        self._watch = watch if _goes_on(watch, begun) else None

    def release_buffers(self) -> None:
        """Free some 10 kB of memory that can be had again. For a stream on which nothing has come for a while."""
        if self.between:
            self._parser.release_buffers()

    def _read(self, data: bytes, all_of_it: bool) -> bytes:
        """Read piece after piece, until one completed an event or to the end; return the bytes that were not read."""
        parser = self._parser
        if self._error is not None or parser.ended:
            return b""
        data, nul, beyond = data.partition(b"\0")  # when libxml2 minds a NUL depends on how the bytes are cut
        watch, self._watch = self._watch, None
        fits = not nul and self._size + len(data) <= self._limits.stanza
        if watch is not None and fits and _goes_on(watch, data):
            self._watch, self._size = watch, self._size + len(data)
            self._rest += data
            self.incomplete = self._size
            return b""
        if self._rest and (self._waits or b">" in data):
            self._size -= len(self._rest)
            data = bytes(self._rest + data)
            self._rest.clear()
            self._waits = False
        self._more_comes = self._more_comes and all_of_it and not nul and not self._isolated
        position, end = 0, len(data)
        self._in_bulk = all_of_it and not self._isolated
        if self._isolated:
            self.release_buffers()
        try:
            while position < end and not parser.ended and (all_of_it or not parser.events):
                position = self._step(data, position, all_of_it)
            if nul and position == end and not parser.ended and (all_of_it or not parser.events):
                condition = StreamCondition.NOT_WELL_FORMED if parser.depth else StreamCondition.UNSUPPORTED_ENCODING
                raise refuse(condition, "a NUL")
        except StreamError as exc:
            self._error = exc.with_traceback(None)  # it is kept, and its traceback would keep frames
            self._fed.clear()
        if self._isolated:
            if self._error is None:
                self._rewind()
            self.release_buffers()
        self.incomplete = 0 if self._between and not self._rest else self._size
        return data[position:] + nul + beyond

    def _step(self, data: bytes, position: int, all_of_it: bool) -> int:
        """Read one piece or more, or keep the beginning of one; return the position of the next."""
        if self._skipper is not None:
            return self._skip(self._skipper, data, position)
        if self._between and not self._rest:
            if data[position] != _LESS_THAN:
                if (match := _NOT_SPACE.search(data, position)) is None:
                    return len(data)
                position = match.start()
                if data[position] != _LESS_THAN:
                    raise _stray(data[position], in_stream=bool(self._parser.depth))
            if self._parser.depth:
                if (end := self._feed_whole(data, position, all_of_it)) > position:
                    return end
                if self._more_comes and _is_begun(data, position, self._parser.fast_path_limit):
                    self._waits, self._size = True, len(data) - position
                    self._rest += data[position:]
                    return len(data)
        if self._between and self._parser.depth:
            beginning = bytes(self._rest[:_MARKUP]) + data[position : position + _MARKUP]
            if len(beginning) >= _MARKUP and beginning[1] in b"!?":
                _check_markup(beginning, is_first=False)  # it might never end
        end = _end_of_piece(data, position, self._closing, self._quote)
        limit = self._limits.stanza if self._parser.depth else self._limits.header
        allowed = position + limit - self._size
        if (end or len(data)) > allowed:
            return self._too_long(data, position, allowed)
        self._size += (end or len(data)) - position
        if not end:
            self._rest += data[position:]
            return len(data)
        self._feed(data[position:end])
        return end

    def _too_long(self, data: bytes, position: int, allowed: int) -> int:
        """Deal with a first-level element, or a header, that goes on beyond the position `allowed`."""
        if not self._parser.depth:
            raise refuse(StreamCondition.POLICY_VIOLATION, f"a stream header of more than {self._limits.header} octets")
        if self._closing and (end := data.rfind(b">", position, allowed) + 1):
            self._size += end - position
            self._feed(data[position:end])  # it may exceed another limit, or be an error
            position = end
        if self._skipper is None:
            self._begin_to_skip(f"more than {self._limits.stanza} octets")
        return position

    def _feed_whole(self, data: bytes, position: int, all_of_it: bool) -> int:
        """Read first-level elements that are whole, if there is a fast way; return the position of the rest."""
        if self._in_bulk:
            self._in_bulk = False  # one attempt for each read: more would be slow
            if len(data) - position >= BULK and (octets := self._parser.feed_bulk(data[position:])):
                return position + octets
        return self._feed_stanzas(data, position, all_of_it)

    def _feed_stanzas(self, data: bytes, position: int, all_of_it: bool) -> int:
        """Read first-level elements, as long as they are whole and short; return the position of the rest."""
        parser, limit = self._parser, self._parser.fast_path_limit
        while (opening := _OPENING.match(data, position)) is not None:
            end = opening.end()
            name, is_empty = opening.groups()
            if not is_empty:
                closing = data.find(b"</" + name, end, position + limit)
                end = data.find(b">", closing) + 1 if closing >= 0 else 0
            if not 0 < end - position <= limit:
                break
            piece = data[position:end]
            # Most stanzas have none of these octets, and to look for one is fast.
            if (b"&" in piece or b"!" in piece or b"?" in piece) and _is_offensive(piece):
                break
            position = end
            try:
                parser.feed_stanza(piece)
            except LimitExceeded as exc:
                self._size, self._between = len(piece), False
                self._fed.append(piece)
                self._begin_to_skip(str(exc))
                break
            if parser.depth > 1:  # what ended was an element of the same name in the first-level element
                self._between, self._closing, self._size = False, b"</" + name, len(piece)
                self._fed.append(piece)
                break
            if not all_of_it:
                break
        return position

    def _feed(self, piece: bytes) -> None:
        """Feed one piece, and see where we stand then."""
        parser = self._parser
        if self._between:
            if piece[1] in b"!?":
                _check_markup(piece, is_first=not (parser.depth or self._declared))
                self._declared = True
                return
            self._between = False
            self._opening = piece
        before = len(parser.events)
        if parser.depth:
            self._fed.append(piece)
        try:
            parser.feed(piece)
        except LimitExceeded as exc:
            self._begin_to_skip(str(exc))
            return
        if len(parser.events) > before:
            self._end_element()
        elif parser.depth > 1:
            if not self._closing:
                name = _NAME.match(self._opening, 1)
                assert name is not None
                self._closing = b"</" + name[0]
        else:
            self._quote = _unclosed(piece, self._quote)

    def _end_element(self) -> None:
        """Stand between two first-level elements again."""
        self._between, self._closing, self._quote, self._size = True, b"", b"", 0
        self._fed.clear()

    def _begin_to_skip(self, reason: str) -> None:
        """Pass over the first-level element that is open, from its first octet on."""
        parser = self._parser
        if not parser.depth:
            raise refuse(StreamCondition.POLICY_VIOLATION, f"a stream header with {reason}")
        parser.abandon()
        self._skipper, self._reason, self._between = Skipper(parser.declared), reason, False
        begun, self._fed = [*self._fed, bytes(self._rest)], []
        self._rest.clear()
        for piece in begun:
            if self._skipper.feed(piece) is not None:  # a piece never goes on behind the end of an element
                self._end_skipping(self._skipper)
                break

    def _skip(self, skipper: Skipper, data: bytes, position: int) -> int:
        """Pass over more of a first-level element; return the position behind what was read."""
        stop = min(len(data), position + self._limits.ceiling - self._size)
        octets = skipper.feed(data[position:stop])
        if octets is not None:
            self._size += octets
            self._end_skipping(skipper)
            return position + octets
        self._size += stop - position
        if stop < len(data):
            text = f"a first-level element of more than {self._limits.ceiling} octets"
            raise refuse(StreamCondition.POLICY_VIOLATION, text)
        return stop

    def _end_skipping(self, skipper: Skipper) -> None:
        """The element that was passed over has ended."""
        self._parser.add(skipper.skipped(self._reason, self._size))
        self._skipper = None
        self._end_element()


def _check_markup(piece: bytes, *, is_first: bool) -> None:
    """Refuse what is not a tag where only a tag may stand, but for an XML declaration that comes first."""
    if piece.startswith(b"<![CDATA["):
        raise refuse(StreamCondition.BAD_FORMAT, "text between first-level elements")
    if not re.match(rb"<\?xml[ \t\r\n]", piece):
        what = "a processing instruction" if piece[1] == 0x3F else "a comment or document type declaration"
        raise refuse(StreamCondition.RESTRICTED_XML, what)
    if not is_first:
        raise refuse(StreamCondition.NOT_WELL_FORMED, "an XML declaration in the wrong place")
    check_declaration(piece)


def _is_begun(data: bytes, position: int, limit: int) -> bool:
    """Return whether `data` has, from `position` on, the beginning of an element, and less of it than `limit`."""
    return len(data) - position < limit and data[position + 1 : position + 2] not in b"!?"


def _is_offensive(piece: bytes) -> bool:
    """Return whether the parser needs to be kept from a part of `piece`, or whether that is in doubt."""
    return has_markup(piece) or find_offence(piece, in_cdata=False)[1] is not None


def _goes_on(watch: Skipper, data: bytes) -> bool:
    """Return whether the element that `watch` reads neither ends within `data`, nor is damaged by it."""
    try:
        return watch.feed(data) is None and watch.is_sound()
    except StreamError:
        return False


def _end_of_piece(data: bytes, position: int, closing: bytes, quote: bytes) -> int:
    """Find the end of the piece that begins at `position`; 0 if it has not come yet.

    `closing` is the beginning of the closing tag of the first-level element that is open, `quote` the quotation mark
    that is open. A first-level element can only end with its closing tag. All that came can be fed up to there at once,
    but not too much of it: each element costs some memory before it is counted.
    """
    if not closing:
        # In an attribute ">" ends nothing, and feeding up to each of them would be slow.
        value = data.find(quote, position)
        return data.find(b">", value) + 1 if value >= 0 else 0
    far = position + _PIECE
    end = data.find(closing, position, far)
    return (data.find(b">", far if end < 0 else end) + 1) or (data.rfind(b">", position) + 1)


def _stray(byte: int, *, in_stream: bool) -> StreamError:
    """Return the error for something other than ``<`` where only a tag may stand."""
    if in_stream:
        return refuse(StreamCondition.BAD_FORMAT, "text between first-level elements")
    if byte >= 0x80:
        return refuse(StreamCondition.UNSUPPORTED_ENCODING, "a byte order mark, or not UTF-8")
    return refuse(StreamCondition.NOT_WELL_FORMED, "this is not XML")


def _unclosed(piece: bytes, quote: bytes) -> bytes:
    """Return the quotation mark that is open at the end of a piece of a tag; `quote` was open at its beginning."""
    for mark in re.findall(rb"['\"]", piece):
        if not quote:
            quote = mark
        elif mark == quote:
            quote = b""
    return quote


def header(
    *,
    to: str | None,
    from_: str | None = None,
    lang: str | None = None,
    id: str | None = None,
    content: str = ns.CLIENT,
) -> bytes:
    """Write the XML declaration and the opening tag of a stream (RFC 6120 §4.7).

    A value that is None is left out; `id` is for servers. `content` is the content namespace (§4.8.2).
    Raises ValueError for characters that XML cannot carry.
    """
    given = (("to", to), ("from", from_), ("id", id), ("version", "1.0"), ("xml:lang", lang))
    attributes = "".join(f" {name}='{xml.escape_attr(value)}'" for name, value in given if value is not None)
    tag = f"<stream:stream{attributes} xmlns='{content}' xmlns:stream='{ns.STREAM}'>"
    return f"<?xml version='1.0'?>{tag}".encode()
