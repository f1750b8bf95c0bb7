"""Many stanzas at once: a long run of them is read as a document of its own.

To feed the parser of a stream piece by piece (`framing`), and to look at each element (`streamparser`), costs more than
to parse. So a run of stanzas that came with one read is put between the header and the footer of the stream, and parsed
as a whole. Its elements are taken if all are beyond doubt. Otherwise nothing has happened: the parser of the stream has
seen nothing of the run. It reads the run again, piece by piece, and finds what is wrong, and where.

Each element is taken out of the document, so that an application that keeps one does not keep all, nor what the header
of the stream declares. That costs a third of a copy. An element that inherited its namespace from the header gets a
prefix for it (`ns0`), which `xml.serialise` does not write.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from .. import xml
from . import ns
from .pullparser import DOCUMENTS

__all__ = ["BULK", "read_bulk"]

#: The octets from which on a run is worth a document of its own.
BULK: Final = 128

_STANZA: Final = f"(?:{'|'.join(ns.STANZA_NAMES)})"
# Up to the end of the last stanza, or of the last request or answer of stream management: `.*` jumps to the end of the
# data, and comes back from there. An end that another one follows is that of a stanza within another, as an archive
# sends them. It may be mistaken, since it knows neither attributes nor what is open: then the footer does not fit.
_EMPTY: Final = rf"{_STANZA}[ ][^<>]*/|[ra][ ]xmlns=['\"]{re.escape(ns.SM)}['\"][^<>]*/"
_RUN: Final = re.compile(rf".*<(?:/{_STANZA}|{_EMPTY})>(?!</)".encode(), re.DOTALL)
_MARKUP: Final = re.compile(rb"<[!?]")
_SPACE: Final = " \t\r\n"


def read_bulk(
    header: bytes, footer: bytes, data: bytes, *, longest: int, allowed: frozenset[str] | set[str]
) -> tuple[list[xml.Element], int] | None:
    """Return the elements that `data` begins with, and their octets; None if there is any doubt about them.

    `header` and `footer` are the tags of the stream. `data` begins between two first-level elements, with ``<``. No tag
    may have more than `longest` octets, so that none exceeds a limit. `allowed` are the tags of first-level elements
    that may be here.
    """
    found = _RUN.match(data)
    if found is None:
        return None
    end, run = found.end(), found[0]
    # Comments, processing instructions and CDATA; and character references, which may be white space in disguise.
    # To look for one octet first is much faster.
    if ((b"!" in run or b"?" in run) and _MARKUP.search(run)) or (b"&" in run and b"&#" in run):
        return None
    if not _has_short_tags(run, longest):
        return None
    try:
        root = etree.fromstring(header + run + footer, DOCUMENTS)
    except etree.XMLSyntaxError:
        return None
    if len(DOCUMENTS.error_log):  # of something that may be harmless
        return None
    elements = [*root]
    for element in elements:
        tail = element.tail
        if tail is not None:
            if tail.strip(_SPACE):
                return None
            element.tail = None
        if element.tag not in allowed:
            return None
    root.clear()  # now each element is a tree of its own
    return (elements, end) if elements else None


def _has_short_tags(data: bytes, longest: int) -> bool:
    """Tell whether each ``<`` is at most `longest` octets before the next one, or before the end. In long jumps."""
    position, last = 0, len(data) - longest
    while position < last:
        position_of_next = data.rfind(b"<", position + 1, position + longest + 1)
        if position_of_next < 0:
            return False
        position = position_of_next
    return True
