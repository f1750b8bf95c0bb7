"""Passing over a first-level element while it streams by.

A server delivers a stanza again and again until we count it as handled (XEP-0198 §5). So a stanza that exceeds one of
our limits must not end the stream, and its end has to be found. A parser that builds a tree cannot do that: the tree is
what the limits protect us from. expat builds no tree, but keeps every new name, and some hundred octets for each open
element. So `Skipper` reads by itself, with one regular expression for tags.

All that it keeps is:

- the names of the open elements, and the prefixes that they declare, as one array of octets. It cannot be longer than
  what has been read of the element;
- the beginning of a tag that is not complete, `LONGEST_TAG` octets at most. Of a longer tag the rest is followed to
  its end, but its attributes are not checked, and prefixes are not checked any more;
- type, id, from and to of the first-level element.

Malformed XML, an unbound prefix and restricted XML still end the stream (RFC 6120 §4.9.3, §11.1). One rare offence is
not looked for: one attribute by two prefixes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..errors import ElementError, StreamCondition, StreamError
from ..xml.markup import ILLEGAL, read_document
from .pullparser import DOCUMENTS, check_references, find_offence, refuse
from .streamevents import Skipped

__all__ = ["LONGEST_TAG", "Skipper"]

#: Octets of a tag that is read as a whole.
LONGEST_TAG: Final = 1 << 18

_LONGEST_NAME: Final = LONGEST_TAG // 2  # octets of a name; the rest of a longer one is not compared
_KEPT: Final = 3071  # octets of an attribute: the longest address has as many (RFC 7622 §3.1)
_PREFIXES: Final = 10_000  # that may be declared at one time; beyond that, they are not checked any more

_NAME: Final = rb"[A-Za-z_:\x80-\xff][A-Za-z0-9_:.\x80-\xff-]*+"
_ATTRIBUTE: Final = rb"""[ \t\r\n]++(%b)[ \t\r\n]*+=[ \t\r\n]*+('[^'<]*+'|"[^"<]*+")""" % _NAME
# In some releases of Python 3.11 a possessive group also takes the part of its last turn that failed. A greedy group
# finds the same, but needs 40 times the memory of the tag for the way back.
_IS_SOUND: Final = re.fullmatch(r"(?:ab+c)*+(?:ab)?", "abcab") is not None
_ATTRIBUTES: Final = rb"(?:%b)*%b" % (_ATTRIBUTE.replace(b"(", b"(?:"), b"+" if _IS_SOUND else b"")
# Text, and an opening or a closing tag.
_TOKEN: Final = re.compile(
    rb"([^<]*+)<(?:(%b)(%b)[ \t\r\n]*+(/?)>|/(%b)[ \t\r\n]*+>)" % (_NAME, _ATTRIBUTES, _NAME), re.DOTALL
)
_VALUES: Final = re.compile(rb"""'[^']*+'|"[^"]*+\"""")
_LETTERS: Final = (
    ":A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
# A letter that begins no name, and one that stands in none (XML 1.0 §2.3).
_NO_NAME: Final = re.compile(
    rf"(?:^|[\s=])[^{_LETTERS}\s=]|[^{_LETTERS}.0-9\u00b7\u0300-\u036f\u203f\u2040\s=-]", re.ASCII
)
_FIND_ATTRIBUTES: Final = re.compile(_ATTRIBUTE)
_NAME_AT: Final = re.compile(_NAME)
_BEGINS_TAG: Final = re.compile(rb"<[A-Za-z_:/\x80-\xff]")
_QUOTE_OR_END: Final = re.compile(rb"""['"<>]""")
_OPEN_REFERENCE: Final = re.compile(rb"(?:&#?[A-Za-z0-9_.:\x80-\xff-]{0,64}|\]\]?)\Z")
_CDATA: Final = b"<![CDATA["


class OpenElements:
    """The names of the elements that are open, and the prefixes that they and the stream header declare.

    `prefixes` are those of the header. All is one array of octets: for each element ``<`` and its name, and for each
    prefix that it declares a space and the prefix.
    """

    def __init__(self, prefixes: Iterable[bytes]) -> None:
        self._names = bytearray()
        self._declared: dict[bytes, int] | None = dict.fromkeys((*prefixes, b"xml"), 1)  # how often; None: unknown

    def __bool__(self) -> bool:
        return bool(self._names)

    def begin(self, name: bytes, attributes: Sequence[tuple[bytes, bytes]], *, is_empty: bool) -> None:
        """An element begins, and ends at once if it `is_empty`. Raises StreamError for an unbound prefix."""
        name = name[:_LONGEST_NAME]
        declared = self._declare(attributes) if attributes else []
        if b":" in name:
            self._check(name)
        for key, _ in attributes:
            if b":" in key and not key.startswith(b"xmlns:"):
                self._check(key)
        if is_empty:
            self._undeclare(declared)
        else:
            self._names += b" ".join([b"<" + name, *declared])

    def end(self, name: bytes) -> None:
        """An element ends. Raises StreamError if it is not the one that began last."""
        start = self._names.rfind(b"<")
        if start < 0:
            raise _malformed()
        opened, *declared = bytes(self._names[start + 1 :]).split(b" ")
        if opened != name[:_LONGEST_NAME]:
            raise _malformed()
        del self._names[start:]
        if declared:
            self._undeclare(declared)

    def forget_prefixes(self) -> None:
        """Check no prefix any more: a declaration was not read, or there are too many."""
        self._declared = None

    def _declare(self, attributes: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Note the prefixes that an element declares, and return them."""
        prefixes = []
        for key, value in attributes:
            if not key.startswith(b"xmlns:"):
                continue
            prefix = key[6:]
            if value in (b"''", b'""') or prefix == b"xmlns" or b":" in prefix:
                raise _bad_prefix(key)
            prefixes.append(prefix)
            if self._declared is not None:
                self._declared[prefix] = self._declared.get(prefix, 0) + 1
                if len(self._declared) > _PREFIXES:
                    self.forget_prefixes()
        return prefixes

    def _undeclare(self, prefixes: list[bytes]) -> None:
        if self._declared is None:
            return
        for prefix in prefixes:
            self._declared[prefix] -= 1
            if not self._declared[prefix]:
                del self._declared[prefix]

    def _check(self, name: bytes) -> None:
        prefix, _, local = name.partition(b":")
        if self._declared is not None and (prefix not in self._declared or not local or b":" in local):
            raise _bad_prefix(name)


class Skipper:
    """Reads one first-level element to its end. `namespaces` are those that the stream header declares, by prefix."""

    def __init__(self, namespaces: Mapping[str | None, str]) -> None:
        self._namespaces = namespaces
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._open = OpenElements(prefix.encode() for prefix in namespaces if prefix is not None)
        self._tail = b""  # the end of the text, if more text could change what it means
        self._tag = bytearray()  # a tag that is not complete
        self._cut = False  # whether some of that tag was not kept
        self._last = b""  # the last octet of that tag so far
        self._quote = b""  # the quotation mark that is open in it
        self._sound = 0  # octets of that tag in which there is no offence
        self._in_cdata = False
        self._look = False  # whether text has to be looked at
        self._first: tuple[str, dict[str, str]] | None = None

    def feed(self, data: bytes) -> int | None:
        """Read `data`; return the number of its octets up to the end of the element, or None if it goes on.

        Raises StreamError for what must not be in a stream at all.
        """
        sound, offence = self._check_characters(data)
        end = self._follow(data if offence is None else data[:sound])
        if end is None and offence is not None:
            raise offence
        return end

    def is_sound(self) -> bool:
        """Return whether there is no offence so far in a tag that is not complete.

        In `feed` one shows when the tag ends. To a parser, which gets all up to the last ``>``, it shows before.
        """
        end = self._tag.rfind(b">") + 1
        if end > self._sound:
            offence = find_offence(bytes(self._tag[self._sound : end]), in_cdata=False)[1]
            self._sound = end
            return offence is None
        return True

    def skipped(self, reason: str, octets: int) -> Skipped:
        """Return what is known of the element when it has ended."""
        tag, attributes = self._first or ("", {})
        get = attributes.get
        return Skipped(tag, get("type"), get("id"), get("from"), get("to"), reason, octets)

    def _check_characters(self, data: bytes) -> tuple[int, StreamError | None]:
        """Return the number of octets before the first that is not UTF-8, or not allowed in XML, and its error."""
        begun = len(self._decoder.getstate()[0])  # octets of a character that is not complete
        error: StreamError | None = None
        try:
            text = self._decoder.decode(data)
        except UnicodeDecodeError as exc:
            error = refuse(StreamCondition.UNSUPPORTED_ENCODING, "this is not UTF-8")
            text, sound = exc.object[: exc.start].decode(), max(exc.start - begun, 0)
        else:
            sound = len(data)
        illegal = ILLEGAL.search(text)
        if illegal is None:
            return sound, error
        error = refuse(StreamCondition.NOT_WELL_FORMED, "a character that is not allowed in XML")
        return max(len(text[: illegal.start()].encode()) - begun, 0), error

    def _follow(self, data: bytes) -> int | None:
        """Read `data`, whose characters are sound, as `feed` does."""
        self._look = b"&" in data or b"]]" in data
        position, size = 0, len(data)
        while position < size:
            if self._tag:
                position = self._go_on(data, position)
            elif self._in_cdata:
                position = self._go_on_in_cdata(data, position)
                continue
            else:
                position = self._read(data, position)
            if self._first is not None and not self._open and not self._tag:
                return position
        return None

    def _read(self, data: bytes, position: int) -> int:
        """Read text and whole tags; return the position of what is not whole."""
        look = self._look
        match = _TOKEN.match
        while (token := match(data, position)) is not None:
            text, name, attributes, empty, closed = token.groups()
            if self._tail or (look and text):
                self._check_text(text)
            position = token.end()
            if closed is not None:
                self._open.end(closed)
            else:
                self._begin(name, attributes, is_empty=bool(empty))
            if not self._open:
                return position
        start = data.find(b"<", position)
        text = data[position:] if start < 0 else data[position:start]
        self._check_text(text, is_whole=start >= 0)
        if start < 0:
            return len(data)
        self._tag += b"<"
        return start + 1

    def _go_on(self, data: bytes, position: int) -> int:
        """Read more of a tag that was not whole; return the position behind what was read."""
        while len(self._tag) < 2 or (self._tag[1:2] == b"!" and len(self._tag) < len(_CDATA)):
            if position == len(data):
                return position
            self._tag += data[position : position + 1]
            position += 1
            if self._tag[1:2] == b"?" or (self._tag[1:2] == b"!" and not _CDATA.startswith(self._tag)):
                raise refuse(StreamCondition.RESTRICTED_XML, "a comment, processing instruction or declaration")
        if self._tag == _CDATA:
            self._tag.clear()
            self._in_cdata = True
            return position
        if not _BEGINS_TAG.match(self._tag):
            raise _malformed()  # it might never end
        end = self._end_of_tag(data, position)
        piece = data[position:end]
        room = LONGEST_TAG - len(self._tag)
        self._cut = self._cut or len(piece) > room
        self._tag += piece[:room]
        if end is None:
            self._last = piece[-1:] or self._last
            return len(data)
        self._take_tag(is_empty=(piece[-2:-1] or self._last) == b"/")
        return end

    def _end_of_tag(self, data: bytes, position: int) -> int | None:
        """Find the ``>`` outside of quotation marks; return the position behind it. Raises StreamError."""
        while True:
            if self._quote:
                end = data.find(self._quote, position)
                if end < 0:
                    return None
                self._quote, position = b"", end + 1
            mark = _QUOTE_OR_END.search(data, position)
            if mark is None:
                return None
            if mark[0] == b">":
                return mark.end()
            if mark[0] == b"<" or self._tag[1:2] == b"/":
                raise _malformed()  # there are no attributes in a closing tag, and so no quotation marks
            self._quote, position = mark[0], mark.end()

    def _take_tag(self, *, is_empty: bool) -> None:
        """Take the tag that is whole now. Of one that was cut only the name is known, and whether it `is_empty`."""
        tag, cut = bytes(self._tag), self._cut
        self._tag.clear()
        self._cut, self._last, self._sound = False, b"", 0
        token = None if cut else _TOKEN.fullmatch(tag)
        name = _NAME_AT.match(tag, 2 if tag[1:2] == b"/" else 1)
        if (token is None and not cut) or name is None:
            raise _malformed()
        if tag[1:2] == b"/":
            self._open.end(name[0])
        elif token is None:
            self._open.forget_prefixes()
            self._begin(name[0], b"", is_empty=is_empty)
        else:
            self._begin(name[0], token[3], is_empty=is_empty)

    def _begin(self, name: bytes, attributes: bytes, *, is_empty: bool) -> None:
        """An element begins. `attributes` are as they were written."""
        pairs = _FIND_ATTRIBUTES.findall(attributes) if attributes else ()
        if len(pairs) > 1 and len({key for key, _ in pairs}) < len(pairs):
            raise _malformed()
        if b"&" in attributes:
            check_references(attributes)
        if not (name.isascii() and attributes.isascii()):
            _check_names(name + _VALUES.sub(b"", attributes))
        if self._first is None:
            self._first = self._name_and_attributes(name, pairs)
        self._open.begin(name, pairs if b":" in attributes else (), is_empty=is_empty)

    def _check_text(self, text: bytes, *, is_whole: bool = True) -> None:
        """Check text, of which more may come if it is not whole."""
        text = self._tail + text
        self._tail = b""
        if not is_whole and (match := _OPEN_REFERENCE.search(text, max(len(text) - 67, 0))) is not None:
            self._tail, text = match[0], text[: match.start()]
        text, wrong, _ = text.partition(b"]]>")
        if b"&" in text:
            check_references(text)
        if wrong:
            raise _malformed()

    def _go_on_in_cdata(self, data: bytes, position: int) -> int:
        """Pass over character data; return the position behind what was read."""
        if self._tail:
            before = len(self._tail)
            joint = self._tail + data[position : position + 2]
            if (end := joint.find(b"]]>")) >= 0:
                self._in_cdata, self._tail = False, b""
                return position + end + 3 - before
            self._tail = joint[-2:] if len(data) - position < 2 else b""
        end = data.find(b"]]>", position)
        if end >= 0:
            self._in_cdata, self._tail = False, b""
            return end + 3
        self._tail = self._tail or data[-2:]
        return len(data)

    def _name_and_attributes(self, name: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> tuple[str, dict[str, str]]:
        """Return the tag and the attributes of the first-level element, as far as they are sound and short."""
        prefix, colon, local = name.rpartition(b":")
        declaration = b"xmlns" + colon + prefix
        wanted = {b"type": b"type", b"id": b"id", b"from": b"from", b"to": b"to", declaration: b"ns"}
        written = [wanted[key] + b"=" + value for key, value in pairs if key in wanted and len(value) <= _KEPT + 2]
        try:
            attributes = dict(read_document(b"<a %b/>" % b" ".join(written), DOCUMENTS).attrib)
        except ElementError:  # an entity that is not declared; the caller has found it already
            attributes = {}
        values = {str(key): str(value) for key, value in attributes.items()}
        declared = any(key == declaration for key, _ in pairs)
        uri = values.pop("ns", None) if declared else self._namespaces.get(prefix.decode(errors="replace") or None)
        if uri is None or len(name) > _KEPT or len(uri) > _KEPT:
            return "", values
        return f"{{{uri}}}{local.decode(errors='replace')}", values


def _check_names(names: bytes) -> None:
    """Refuse a name with a letter that may not stand there. `names` are those of a tag and of its attributes."""
    if not names.isascii() and _NO_NAME.search(names.decode()):
        raise _malformed()


def _malformed() -> StreamError:
    return refuse(StreamCondition.NOT_WELL_FORMED, "not well-formed, in an element that was being passed over")


def _bad_prefix(name: bytes) -> StreamError:
    return refuse(StreamCondition.BAD_NAMESPACE_PREFIX, f"the name {name.decode(errors='replace')!r:.80}")
