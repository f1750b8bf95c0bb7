"""Many stanzas at once: when much has come, and nothing in it needs a closer look.

To feed the parser of a stream piece by piece (`framing`) and to look at each element (`livetree`) costs more than to
parse. So a long run of stanzas is read as a document of its own, and taken from there if it is beyond doubt. If it is
not, nothing has happened: the parser of the stream never saw a byte of it, and reads it again, piece by piece, to tell
exactly what is wrong, and where.
"""

from __future__ import annotations

from typing import Final

from .. import xml
from ..errors import ElementError
from ..xml.markup import read_document
from .pullparser import DOCUMENTS

__all__ = ["BULK", "read_bulk"]

#: Octets from which on it is worth the trouble.
BULK: Final = 1024

_CLOSING: Final = (b"</message>", b"</presence>", b"</iq>")
_SPACE: Final = " \t\r\n"


def read_bulk(
    header: bytes, footer: bytes, data: bytes, *, longest: int, allowed: frozenset[str] | set[str]
) -> tuple[list[xml.Element], int] | None:
    """The stanzas that `data` begins with, and how many octets they take; None if there is any doubt about them.

    `header` and `footer` are the tags of the stream, and `data` begins between two first-level elements, with ``<``.
    No tag may be longer than `longest` octets, so that it cannot exceed a limit; `allowed` are the first-level elements
    to expect.
    """
    # If that is the end of a stanza within another one, as in what an archive sends, the footer will not fit.
    end = max([data.rfind(closing) + len(closing) for closing in _CLOSING if closing in data], default=0)
    run = data[:end]
    # Comments, processing instructions and CDATA; and character references, which may be white space in disguise.
    if not end or b"<!" in run or b"<?" in run or (b"&" in run and b"&#" in run) or not _has_short_tags(run, longest):
        return None
    try:
        root = read_document(header + run + footer, DOCUMENTS)
    except ElementError:
        return None
    stanzas = [*root]
    for stanza in stanzas:
        tail = stanza.tail
        if tail is not None:
            if tail.strip(_SPACE):
                return None
            stanza.tail = None
        if stanza.tag not in allowed:
            return None
    return (stanzas, end) if stanzas else None


def _has_short_tags(data: bytes, longest: int) -> bool:
    """Whether from each ``<`` it is no more than `longest` octets to the next one, or to the end. In long jumps."""
    position, last = 0, len(data) - longest
    while position < last:
        position_of_next = data.rfind(b"<", position + 1, position + longest + 1)
        if position_of_next < 0:
            return False
        position = position_of_next
    return True
