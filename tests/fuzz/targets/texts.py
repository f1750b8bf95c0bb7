"""Texts of strangers: bodies (XEP-0245, XEP-0393, XEP-0428), and links (RFC 5122, XEP-0363, XEP-0454)."""

from __future__ import annotations

import contextlib

from trioxmpp.im.text import MAX_DEPTH, Span, me_action, styled, without_fallback
from trioxmpp.protocol.elements.fallback import Body, Fallback
from trioxmpp.xep.uris import XMPPURI, parse_encrypted_file

__all__ = ["body_text", "links"]


def body_text(data: bytes) -> None:
    """Style a body, and leave parts of it out that the first octets choose. A span lies within its body."""
    text = data.decode("utf-8", "replace")
    spans = styled(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert _depth(spans) <= MAX_DEPTH + 1
    me_action(text)
    numbers = [*data[:6], *bytes(6)][:6]
    parts = tuple(Body(start=start, end=end) for start, end in zip(numbers[::2], numbers[1::2], strict=True))
    kept = without_fallback(text, [Fallback(for_="urn:fuzz", bodies=parts)], ["urn:fuzz"])
    assert len(kept) <= len(text)
    assert without_fallback(text, [Fallback(for_="urn:fuzz", bodies=parts)], ["urn:other"]) == text


def _depth(spans: tuple[Span, ...]) -> int:
    """Return how many spans lie around one place at most."""
    deepest, ends = 0, list[int]()
    for span in spans:
        while ends and ends[-1] <= span.start:
            ends.pop()
        ends.append(span.end)
        deepest = max(deepest, len(ends))
    return deepest


def links(data: bytes) -> None:
    """Read an ``xmpp:`` URI and an ``aesgcm:`` link. A URI that is written again means the same."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(ValueError):
        uri = XMPPURI.parse(text)
        repr(uri)
        again = XMPPURI.parse(str(uri))
        assert again == uri, f"{uri!r} was written and read as {again!r}"
    with contextlib.suppress(ValueError):
        file = parse_encrypted_file(text)
        assert len(file.key) == 32
        assert len(file.iv) in (12, 16)
        assert "#" not in file.url
        assert repr(file.key) not in repr(file)
