"""Many stanzas at once: when much has come, and nothing in it needs a closer look.

To feed the parser of a stream piece by piece (`framing`) and to look at each element (`livetree`) costs more than to
parse. So of a long run of stanzas a parser of its own first makes a tree, and the run is taken from there if it is
beyond doubt. If it is not, nothing has happened: the parser of the stream never saw a byte of it, and reads it again,
piece by piece, to tell exactly what is wrong, and where.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from .. import xml
from ..errors import StreamError
from . import ns
from .pullparser import Parser, check_log, let_go, new_parser

__all__ = ["BULK", "read_bulk"]

#: Octets from which on it is worth the trouble.
BULK: Final = 4096

_TAGS: Final = (
    f"{{{ns.STREAM}}}*",
    *(f"{{{ns.CLIENT}}}{name}" for name in ("message", "presence", "iq")),
    f"{{{ns.SM}}}*",
)
_SPACE: Final = " \t\r\n"
_MAX_LOG: Final = 100  # entries; then libxml2 notes nothing any more


def read_bulk(
    header: bytes, data: bytes, *, longest: int, allowed: frozenset[str] | set[str]
) -> tuple[list[xml.Element], int] | None:
    """The stanzas that `data` begins with, and how many octets they take; None if there is any doubt about them.

    `header` is what the stream began with, and `data` begins between two first-level elements, with ``<``. No tag may
    be longer than `longest` octets, so that it cannot exceed a limit; `allowed` are the first-level elements to expect.
    """
    # Comments, processing instructions and CDATA; and character references, which may be white space in disguise.
    if b"<!" in data or b"<?" in data or (b"&" in data and b"&#" in data) or not _has_short_tags(data, longest):
        return None
    parser = new_parser(("start", "end"), _TAGS)
    try:
        return _read(parser, header, data[: data.rfind(b">") + 1], allowed)
    except (etree.XMLSyntaxError, StreamError, ValueError):
        return None
    finally:
        let_go(parser)


def _read(
    parser: Parser, header: bytes, data: bytes, allowed: frozenset[str] | set[str]
) -> tuple[list[xml.Element], int] | None:
    parser.feed(header)
    ((_, root),) = parser.read_events()
    parser.feed(data)
    if check_log(parser, 0) >= _MAX_LOG:
        return None
    stanzas = []
    for kind, element in parser.read_events():
        if element is root:
            return None  # the footer
        if kind == "end" and element.getparent() is root:
            tail = element.tail
            if element.tag not in allowed or (tail is not None and tail.strip(_SPACE)):
                return None
            if tail is not None:
                element.tail = None
            stanzas.append(element)
    if not stanzas or len(root) > len(stanzas) + 1:
        return None  # too much of one, or something else among them
    return stanzas, len(data) if len(root) == len(stanzas) else _beginning_of(root[-1], data)


def _has_short_tags(data: bytes, longest: int) -> bool:
    """Whether from each ``<`` it is no more than `longest` octets to the next one, or to the end. In long jumps."""
    position, last = 0, len(data) - longest
    while position < last:
        position_of_next = data.rfind(b"<", position + 1, position + longest + 1)
        if position_of_next < 0:
            return False
        position = position_of_next
    return True


def _beginning_of(unfinished: xml.Element, data: bytes) -> int:
    """Where the element begins with which `data` ends.

    Every tag in `data` is one, not part of a comment or the like: so it is as many tags of this name before the end as
    the element contains, itself included.
    """
    name = etree.QName(unfinished).localname
    tag = f"<{unfinished.prefix}:{name}".encode() if unfinished.prefix else f"<{name}".encode()
    left, start = sum(each.prefix == unfinished.prefix for each in unfinished.iter(str(unfinished.tag))), len(data)
    while left:
        start = data.rindex(tag, 0, start)
        left -= data[start + len(tag)] in b" \t\r\n/>"
    return start
