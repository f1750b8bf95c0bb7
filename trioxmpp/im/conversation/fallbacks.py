"""XEP-0428: which part of a body is there for others, and XEP-0461: how a reply quotes. All counts are code points."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from ... import xml
from ...errors import ElementError
from ...protocol.elements import replies
from ...protocol.elements.fallback import Body, Fallback
from ...protocol.stanza import Message

__all__ = ["quote", "text_of"]

#: The extensions that we understand ourselves, so that the text that stands for them is cut out.
UNDERSTOOD: Final = frozenset({replies.NS})

_TAG: Final = xml.tag_of(Fallback)

#: Code points of the quoted text, at most.
MAX_QUOTED: Final = 1_000


def text_of(message: Message, understood: Collection[str] = UNDERSTOOD) -> str | None:
    """Return the body without what stands there for clients that do not know the extensions `understood`.

    A range that is not within the body, or ends before it begins, counts for nothing; ranges that overlap are one. If
    all of the body is such a fallback, there is no text.
    """
    body = message.body
    if body is None:
        return None
    ranges: list[tuple[int, int]] = []
    for fallback, is_whole in _fallbacks(message):
        if fallback.for_ not in understood:
            continue
        if is_whole:
            return None
        ranges += [found for part in fallback.bodies if (found := _range(part, len(body))) is not None]
    if not ranges:
        return body
    kept, position = [], 0
    for start, end in sorted(ranges):
        if start > position:
            kept.append(body[position:start])
        position = max(position, end)
    kept.append(body[position:])
    return "".join(kept) or None


def quote(text: str) -> str:
    """Return the lines of `text` as a quotation, each behind a ``>``, with a line break at the end (XEP-0393 §4.3)."""
    return "".join(f"> {line}\n" for line in text[:MAX_QUOTED].splitlines() or [""])


def _fallbacks(message: Message) -> Iterator[tuple[Fallback, bool]]:
    """Each fallback, and whether it is all of the message: it names no part, not even one that cannot be read."""
    for payload in message.payloads:
        if isinstance(payload, Fallback):
            yield payload, not (payload.bodies or payload.subjects)
        elif isinstance(payload, xml.Element) and payload.tag == _TAG:
            try:
                yield xml.parse(Fallback, payload), len(payload) == 0
            except ElementError:
                continue


def _range(part: Body, length: int) -> tuple[int, int] | None:
    start, end = part.start or 0, length if part.end is None else part.end
    return (start, end) if 0 <= start < end <= length else None
