"""How lxml's pull parser is kept from trusting what a peer wrote (RFC 6120 §11).

By itself the parser obeys the declared encoding, lets undeclared entities pass, and writes violations of XML namespaces
to a log. It also waits: for the ``;`` of a reference and for the end of a comment, and tells of nothing until then. So
the encoding is fixed, the log is read, and `find_offence` looks at every piece before the parser gets it.

The limits of libxml2 itself are switched off (`huge_tree`), because they end the stream, and cannot be set: a text of
10 MB, a depth of 256. `limits` has ours. The threats that its other limits guard against need a document type
declaration, which is refused.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from lxml import etree

from .. import xml
from ..errors import StreamCondition, StreamError
from ..xml.markup import ILLEGAL
from .shown import shown

__all__ = [
    "DOCUMENTS",
    "LIMIT_ERRORS",
    "LimitExceeded",
    "Parser",
    "check_declaration",
    "check_log",
    "check_references",
    "copy_of",
    "find_offence",
    "has_markup",
    "let_go",
    "may_offend",
    "moved",
    "new_parser",
    "refuse",
    "syntax_error",
]

Parser: TypeAlias = "etree.XMLPullParser[xml.Element]"

_EVENTS: Final[tuple[Literal["start", "end", "comment", "pi"], ...]] = ("start", "end", "comment", "pi")

#: Reads a whole document that has no document type declaration, so that it can declare no entities.
DOCUMENTS: Final[etree.XMLParser[xml.Element]] = etree.XMLParser(
    encoding="utf-8", resolve_entities="internal", no_network=True, huge_tree=False, collect_ids=False
)

_NAMESPACE_ERRORS: Final[dict[int, StreamCondition]] = {
    etree.ErrorTypes.NS_ERR_XML_NAMESPACE: StreamCondition.BAD_NAMESPACE_PREFIX,
    etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE: StreamCondition.BAD_NAMESPACE_PREFIX,
    etree.ErrorTypes.NS_ERR_QNAME: StreamCondition.BAD_NAMESPACE_PREFIX,
    etree.ErrorTypes.NS_ERR_ATTRIBUTE_REDEFINED: StreamCondition.NOT_WELL_FORMED,
}
_SYNTAX_ERRORS: Final[dict[int, StreamCondition]] = {
    etree.ErrorTypes.ERR_UNDECLARED_ENTITY: StreamCondition.RESTRICTED_XML,
    etree.ErrorTypes.WAR_UNDECLARED_ENTITY: StreamCondition.RESTRICTED_XML,
    etree.ErrorTypes.ERR_INVALID_ENCODING: StreamCondition.UNSUPPORTED_ENCODING,
}

#: Errors of libxml2 that say that a limit of its own was exceeded: ERR_NAME_TOO_LONG and ERR_RESOURCE_LIMIT.
LIMIT_ERRORS: Final = frozenset({110, 116})

_DECLARATION: Final = re.compile(
    rb"""<\?xml [ \t\r\n]+ version [ \t\r\n]*=[ \t\r\n]* (?:'1\.0'|"1\.0")
    (?: [ \t\r\n]+ encoding [ \t\r\n]*=[ \t\r\n]* (['"]) (?P<encoding>[A-Za-z][A-Za-z0-9._-]*) \1 )?
    (?: [ \t\r\n]+ standalone [ \t\r\n]*=[ \t\r\n]* (['"]) (?:yes|no) \3 )? [ \t\r\n]* \?>""",
    re.VERBOSE,
)

_CDATA: Final = b"<![CDATA["
_MARKUP: Final = re.compile(rb"<!\[CDATA\[|<[!?]|&")
_BANG: Final = re.compile(rb"<[!?]")
_REFERENCE: Final = re.compile(
    rb"&(?:#(?:0{0,55}([0-9]{1,7})|x0{0,55}([0-9a-fA-F]{1,6}))|([A-Za-z_:\x80-\xff][A-Za-z0-9_.:\x80-\xff-]{0,62}));"
)
_PREDEFINED: Final = (b"amp", b"lt", b"gt", b"quot", b"apos")


#: Makes a deep copy of an element, with its tail, as `copy.copy` does in a third more time.
copy_of: Final[Callable[[xml.Element], xml.Element]] = etree._Element.__copy__  # type: ignore[attr-defined]


def moved(element: xml.Element) -> xml.Element:
    """Return what `copy_of` returns, and leave the element without children.

    A copy of 10,000 items of a roster holds the loop for 9 ms, and for 4 ms more until what was copied is free again.
    To move them takes 5 ms.
    """
    children = element[:]
    del element[:]
    root = copy_of(element)
    root.extend(children)
    return root


class LimitExceeded(Exception):
    """A first-level element exceeds a limit, or is not one that we know. Its text says why, in words."""


def new_parser() -> Parser:
    """Make a pull parser for UTF-8."""
    return etree.XMLPullParser(
        _EVENTS,
        encoding="utf-8",  # whatever the peer declares
        resolve_entities="internal",  # False would let undeclared entities pass
        no_network=True,
        huge_tree=True,
        collect_ids=False,
    )


def let_go(parser: Parser, footer: bytes) -> None:
    """Make a parser forget its tree. `footer` closes it, if only the root is open.

    A parser, the elements that are open in it, and the events that were not read form a cycle. The garbage collector
    counts it as a few objects, and would let thousands of them come together.
    """
    with suppress(etree.XMLSyntaxError):
        parser.feed(footer)
    deque(parser.read_events(), maxlen=0)
    with suppress(etree.XMLSyntaxError):
        parser.close()


def refuse(condition: StreamCondition, text: str) -> StreamError:
    """Make the stream error with which we end a stream (RFC 6120 §4.9)."""
    return StreamError(condition, text, by_us=True)


def syntax_error(code: int | None, message: str | None) -> StreamError:
    """Translate an error of libxml2."""
    condition = _SYNTAX_ERRORS.get(code or 0, StreamCondition.NOT_WELL_FORMED)
    return refuse(condition, shown(message or "not well-formed", 200))


def check_declaration(piece: bytes) -> None:
    """Refuse an XML declaration of anything but XML 1.0 in UTF-8 (RFC 6120 §11.5, §11.6)."""
    declaration = _DECLARATION.fullmatch(piece)
    if declaration is None:
        raise refuse(StreamCondition.NOT_WELL_FORMED, "not an XML 1.0 declaration")
    encoding: bytes = declaration["encoding"] or b"UTF-8"
    if encoding.upper() != b"UTF-8":
        raise refuse(StreamCondition.UNSUPPORTED_ENCODING, f"the encoding {encoding.decode()!r:.40}")


def find_offence(piece: bytes, in_cdata: bool) -> tuple[int, StreamError | None, bool]:
    """Find the first comment, processing instruction, declaration, or ``&`` that begins no reference.

    `in_cdata` tells whether `piece` begins within character data (``<![CDATA[``). Return where the offence is, its
    error, and whether the piece ends within character data.
    """
    position = 0
    while True:
        if in_cdata:
            end = piece.find(b"]]>", position)
            if end < 0:
                return len(piece), None, True
            position, in_cdata = end + 3, False
        mark = _MARKUP.search(piece, position)
        if mark is None:
            return len(piece), None, False
        if mark[0] == _CDATA:
            in_cdata = True
        elif mark[0] != b"&":
            what = "a comment, processing instruction or declaration"
            return mark.start(), refuse(StreamCondition.RESTRICTED_XML, what), False
        elif not _REFERENCE.match(piece, mark.start()):
            return mark.start(), refuse(StreamCondition.NOT_WELL_FORMED, "an & that begins no reference"), False
        position = mark.end()


def has_markup(data: bytes) -> bool:
    """Tell whether there is a comment, processing instruction, declaration or character data, or what looks like it."""
    # To look for one octet first is much faster, and most texts have none of them.
    return (b"!" in data or b"?" in data) and _BANG.search(data) is not None


def may_offend(piece: bytes) -> bool:
    """Tell whether `find_offence` may find something in a piece."""
    return b"&" in piece or has_markup(piece)


def check_references(text: bytes) -> None:
    """Refuse an ``&`` that begins no reference, a reference to no character, and an entity that is not predefined."""
    position = text.find(b"&")
    while position >= 0:
        reference = _REFERENCE.match(text, position)
        if reference is None:
            raise refuse(StreamCondition.NOT_WELL_FORMED, "an & that begins no reference")
        decimal, hexadecimal, entity = reference.groups()
        if entity is not None:
            if entity not in _PREDEFINED:
                raise refuse(StreamCondition.RESTRICTED_XML, f"the entity {entity.decode(errors='replace')!r:.80}")
        else:
            code = int(decimal) if decimal else int(hexadecimal, 16)
            if code > 0x10FFFF or ILLEGAL.match(chr(code)):
                raise refuse(StreamCondition.NOT_WELL_FORMED, "a reference to a character that is not allowed in XML")
        position = text.find(b"&", reference.end())


def check_log(parser: Parser, seen: int) -> int:
    """Refuse what libxml2 noted after the first `seen` entries, and did not raise; return the number of entries."""
    log = parser.feed_error_log
    if len(log) == seen:
        return seen
    for entry in list(log)[seen:]:
        if entry.level == etree.ErrorLevels.FATAL:
            raise syntax_error(entry.type, entry.message)
        if entry.type in _NAMESPACE_ERRORS:
            raise refuse(_NAMESPACE_ERRORS[entry.type], f"{entry.message!r:.80}")
    return len(log)
