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

from typing import Final

from .. import xml
from ..errors import ElementError
from ..xml.markup import read_document
from . import ns
from .pullparser import DOCUMENTS

__all__ = ["BULK", "read_bulk"]

#: The octets from which on a run is worth a document of its own.
BULK: Final = 512

_CLOSING: Final = tuple(f"</{name}>".encode() for name in ns.STANZA_NAMES)
_SPACE: Final = " \t\r\n"


def read_bulk(
    header: bytes, footer: bytes, data: bytes, *, longest: int, allowed: frozenset[str] | set[str]
) -> tuple[list[xml.Element], int] | None:
    """Return the elements that `data` begins with, and their octets; None if there is any doubt about them.

    `header` and `footer` are the tags of the stream. `data` begins between two first-level elements, with ``<``. No tag
    may have more than `longest` octets, so that none exceeds a limit. `allowed` are the tags of first-level elements
    that may be here.
    """
    end = _end_of_stanzas(data)
    run = data[:end]
    # Comments, processing instructions and CDATA; and character references, which may be white space in disguise.
    if not end or b"<!" in run or b"<?" in run or (b"&" in run and b"&#" in run) or not _has_short_tags(run, longest):
        return None
    try:
        root = read_document(header + run + footer, DOCUMENTS)
    except ElementError:
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


def _end_of_stanzas(data: bytes) -> int:
    """Return where the last stanza in `data` ends that no other end follows; 0 if there is none.

    An end that another one follows is that of a stanza within another, as an archive sends them. If the data end with
    it, that is not seen, and the footer does not fit.
    """
    end = len(data) + 1
    for _ in range(2):
        places = [(data.rfind(closing, 0, end - 1), closing) for closing in _CLOSING if closing in data]
        end = max([place + len(closing) for place, closing in places if place >= 0], default=0)
        if not end or not data.startswith(b"</", end):
            return end
    return 0


def _has_short_tags(data: bytes, longest: int) -> bool:
    """Tell whether each ``<`` is at most `longest` octets before the next one, or before the end. In long jumps."""
    position, last = 0, len(data) - longest
    while position < last:
        position_of_next = data.rfind(b"<", position + 1, position + longest + 1)
        if position_of_next < 0:
            return False
        position = position_of_next
    return True
