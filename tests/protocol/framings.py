"""Read the bytes of a stream in each of the ways that a framing has, in a form that compares."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from trioxmpp import xml
from trioxmpp.errors import StreamCondition
from trioxmpp.protocol.framing import Framing, Limits, header

HEADER = header(to="example.org", from_="romeo@example.org", id="x1")

#: The events, and the condition of the error that ended the stream.
Outcome = tuple[list[str], StreamCondition | None]


def canonical(events: Iterable[object]) -> list[str]:
    """Events in a form that compares by structure, and does not show what the tree around an element declares."""
    return [xml.serialise(event) if isinstance(event, etree._Element) else repr(event) for event in events]


def read(chunks: Iterable[bytes], limits: Limits | None = None) -> Outcome:
    """Read chunk by chunk."""
    framing, events, error = Framing(limits), [], None
    for chunk in chunks:
        new, error = framing.feed(chunk)
        events += canonical(new)
    assert error is None or error.by_us
    return events, error and error.condition


def read_one_by_one(data: bytes, limits: Limits | None = None) -> Outcome:
    """Read event by event."""
    framing, events = Framing(limits), []
    while True:
        event, rest, error = framing.feed_one(data)
        assert data.endswith(rest)
        if event is None:
            assert rest == b""
            return canonical(events), error and error.condition
        assert error is None
        assert data[: len(data) - len(rest)].endswith(b">") or data == rest
        events.append(event)
        data = rest
