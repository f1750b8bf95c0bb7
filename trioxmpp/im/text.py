"""Texts of messages: what is shown in place of the bare body. Pure functions; a text may come from a stranger.

Offsets count code points, as in Python and in the XEPs. Nothing here changes a text: it is for the display only.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

from ..protocol.elements.fallback import Fallback
from ..record import record

__all__ = ["MAX_DEPTH", "Span", "Style", "me_action", "styled", "without_fallback"]

#: How deep blocks and spans may lie in each other. Text that lies deeper is plain.
MAX_DEPTH = 32

_FENCE = "```"


class Style(enum.Enum):
    """How a part of a text is shown (XEP-0393)."""

    STRONG = "*"
    EMPHASIS = "_"
    STRIKE = "~"
    PREFORMATTED = "`"
    QUOTE = ">"
    CODE_BLOCK = "```"


_DIRECTIVES = {style.value: style for style in (Style.STRONG, Style.EMPHASIS, Style.STRIKE, Style.PREFORMATTED)}


@record
class Span:
    """The part of a text from `start` to before `end`, with its directives, and how it is shown."""

    style: Style
    start: int
    end: int


def me_action(body: str) -> str | None:
    """Return what the sender does (XEP-0245): the text behind ``/me``; None if the body is no action."""
    return body[4:] if body.startswith("/me ") else None


def without_fallback(body: str, fallbacks: Iterable[Fallback], supported: Iterable[str]) -> str:
    """Return the body without the parts that are there for clients without an extension (XEP-0428).

    Only parts for extensions among `supported` are left out. Ranges of a stranger may overlap or lie outside; one that
    ends before it begins counts for nothing.
    """
    known, drop = set(supported), list[tuple[int, int]]()
    for fallback in fallbacks:
        if fallback.for_ not in known:
            continue
        if not fallback.bodies and not fallback.subjects:
            return ""
        for part in fallback.bodies:
            start, end = part.start or 0, len(body) if part.end is None else part.end
            if start < end:
                drop.append((start, end))
    kept, at = "", 0
    for start, end in sorted(drop):
        kept += body[at : max(start, at)]
        at = max(at, end)
    return kept + body[at:]


def styled(text: str) -> tuple[Span, ...]:
    """Return the parts of a body that are styled (XEP-0393), outer ones before those in them.

    A message with ``<unstyled/>`` is not to be given to this. Time and memory are linear in the text.
    """
    lines, start = list[tuple[int, int]](), 0
    for line in text.split("\n"):
        lines.append((start, start + len(line)))
        start += len(line) + 1
    return tuple(_blocks(text, lines, 0))


Lines = list[tuple[int, int]]


def _blocks(text: str, lines: Lines, depth: int) -> Iterator[Span]:
    """Yield the spans of lines that belong to one block."""
    at = 0
    while at < len(lines):
        start, end = lines[at]
        if text.startswith(_FENCE, start, end):
            after = at + 1
            while after < len(lines) and text[slice(*lines[after])] != _FENCE:
                after += 1
            after = min(after + 1, len(lines))
            yield Span(Style.CODE_BLOCK, start, lines[after - 1][1])
        elif text.startswith(">", start, end) and depth < MAX_DEPTH:
            after = at
            while after < len(lines) and text.startswith(">", *lines[after]):
                after += 1
            yield Span(Style.QUOTE, start, lines[after - 1][1])
            yield from _blocks(text, [_unquoted(text, *line) for line in lines[at:after]], depth + 1)
        else:
            after = at + 1
            yield from _spans(text, start, end, depth)
        at = after


def _unquoted(text: str, start: int, end: int) -> tuple[int, int]:
    start += 1
    while start < end and text[start].isspace():
        start += 1
    return start, end


def _spans(text: str, start: int, end: int, depth: int) -> Iterator[Span]:
    """Yield the spans in one line, or in a span. They are matched lazily, from the left."""
    closing = _Closings(text, start, end)
    at = start
    while at < end:
        style = _DIRECTIVES.get(text[at])
        close = None
        if style is not None and depth < MAX_DEPTH and _opens(text, at, start, end):
            close = closing.after(at)
        if style is None or close is None:
            at += 1
            continue
        yield Span(style, at, close + 1)
        if style is not Style.PREFORMATTED:
            yield from _spans(text, at + 1, close, depth + 1)
        at = close + 1


def _opens(text: str, at: int, start: int, end: int) -> bool:
    """Return whether the directive at `at` can open a span; `start` is right behind another opening one, or a line."""
    if at + 1 >= end or text[at + 1].isspace() or text[at + 1] == text[at]:
        return False
    return at == start or text[at - 1].isspace()


class _Closings:
    """The places in a line at which a span can end, by directive; each question moves forward only."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._places: dict[str, list[int]] = {directive: [] for directive in _DIRECTIVES}
        for at in range(end - 1, start, -1):
            if text[at] in _DIRECTIVES and not text[at - 1].isspace():
                self._places[text[at]].append(at)
        self._text = text

    def after(self, opening: int) -> int | None:
        """Return the first place behind `opening` at which its span ends."""
        places = self._places[self._text[opening]]
        while places and places[-1] <= opening + 1:
            places.pop()
        return places[-1] if places else None
