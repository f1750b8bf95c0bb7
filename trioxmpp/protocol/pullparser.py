"""What has to be known about lxml's pull parser before it may read what a stranger wrote (RFC 6120 §11).

Left alone it obeys the encoding that is declared, lets undeclared entities pass, and notes violations of XML
namespaces in a log that nobody reads.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from lxml import etree

from .. import xml
from ..errors import StreamCondition, StreamError

__all__ = [
    "DOCUMENTS",
    "MAX_DEPTH",
    "Parser",
    "check_declaration",
    "check_log",
    "let_go",
    "new_parser",
    "refuse",
    "syntax_error",
]

Parser: TypeAlias = "etree.XMLPullParser[xml.Element]"

_EVENTS: Final[tuple[Literal["start", "end", "comment", "pi"], ...]] = ("start", "end", "comment", "pi")

#: Reads what comes as a whole: without a document type declaration, so that no entity means anything.
DOCUMENTS: Final[etree.XMLParser[xml.Element]] = etree.XMLParser(
    encoding="utf-8", resolve_entities="internal", no_network=True, huge_tree=False, collect_ids=False
)

#: How many elements may stand within each other; for more, libxml2 would have to be told to be careless.
MAX_DEPTH: Final = 256

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

_DECLARATION: Final = re.compile(
    rb"""<\?xml [ \t\r\n]+ version [ \t\r\n]*=[ \t\r\n]* (?:'1\.0'|"1\.0")
    (?: [ \t\r\n]+ encoding [ \t\r\n]*=[ \t\r\n]* (['"]) (?P<encoding>[A-Za-z][A-Za-z0-9._-]*) \1 )?
    (?: [ \t\r\n]+ standalone [ \t\r\n]*=[ \t\r\n]* (['"]) (?:yes|no) \3 )? [ \t\r\n]* \?>""",
    re.VERBOSE,
)


def new_parser() -> Parser:
    """Make a pull parser for UTF-8."""
    return etree.XMLPullParser(
        _EVENTS,
        encoding="utf-8",  # whatever the peer declares
        resolve_entities="internal",  # False would let undeclared entities pass
        no_network=True,
        huge_tree=False,
        collect_ids=False,
    )


def let_go(parser: Parser, footer: bytes) -> None:
    """Have a parser forget its tree, of which only the root is open; `footer` closes it.

    A parser is in a cycle with what it has open, and with what it has not told of. Both would wait for the garbage
    collector, which counts them as the few objects that they are in Python, and lets thousands of them come together.
    """
    with suppress(etree.XMLSyntaxError):
        parser.feed(footer)
        deque(parser.read_events(), maxlen=0)
        parser.close()


def refuse(condition: StreamCondition, text: str) -> StreamError:
    """Make the stream error with which we end a stream."""
    return StreamError(condition, text, by_us=True)


def syntax_error(code: int | None, message: str | None) -> StreamError:
    """Translate an error of libxml2."""
    condition = _SYNTAX_ERRORS.get(code or 0, StreamCondition.NOT_WELL_FORMED)
    return refuse(condition, f"{' '.join((message or 'not well-formed').split()):.200}")


def check_declaration(piece: bytes) -> None:
    """Refuse an XML declaration of anything but XML 1.0 in UTF-8 (RFC 6120 §11.5, §11.6)."""
    declaration = _DECLARATION.fullmatch(piece)
    if declaration is None:
        raise refuse(StreamCondition.NOT_WELL_FORMED, "not an XML 1.0 declaration")
    encoding: bytes = declaration["encoding"] or b"UTF-8"
    if encoding.upper() != b"UTF-8":
        raise refuse(StreamCondition.UNSUPPORTED_ENCODING, f"the encoding {encoding.decode()!r:.40}")


def check_log(parser: Parser, seen: int) -> int:
    """Refuse what libxml2 noted, beyond the first `seen` entries, without raising an exception; return their number."""
    log = parser.feed_error_log
    if len(log) == seen:
        return seen
    for entry in list(log)[seen:]:
        if entry.level == etree.ErrorLevels.FATAL:
            raise syntax_error(entry.type, entry.message)
        if entry.type in _NAMESPACE_ERRORS:
            raise refuse(_NAMESPACE_ERRORS[entry.type], f"{entry.message!r:.80}")
    return len(log)
