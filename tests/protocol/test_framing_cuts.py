"""How the network cuts the bytes of a stream makes no difference to what comes out."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from trioxmpp.errors import StreamCondition
from trioxmpp.protocol.framing import FOOTER, Framing, Limits, header

HEADER = header(to="example.org", from_="romeo@example.org", id="x1")
GOOD = b"<presence/>"
SMALL = Limits(header=300, stanza=100, depth=5, attributes=5, children=4, name=60)

Outcome = tuple[list[str], StreamCondition | None]


def canonical(events: Iterable[object]) -> list[str]:
    """Events in a form that compares by structure, and does not show what the tree around an element declares."""
    return [
        etree.tostring(copy.copy(event), encoding="unicode") if isinstance(event, etree._Element) else repr(event)
        for event in events
    ]


def read(chunks: Iterable[bytes], limits: Limits | None = None) -> Outcome:
    framing, events, error = Framing(limits), [], None
    for chunk in chunks:
        new, error = framing.feed(chunk)
        events += canonical(new)
    return events, error and error.condition


def read_one_by_one(data: bytes, limits: Limits | None = None) -> Outcome:
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


NASTY = st.sampled_from(
    [b"<", b">", b"/", b"'", b'"', b"<message>", b"</message>", b"<message/>", b"<iq id='", b"'/>", b"<iq><a b=\"",
     b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?", b"?>", b"&amp;", b"&lt", b"&x;", b"\xc3\xbc", b"\xc3", b"\0", b" ",
     b"\n", b"text", b"</iq>", b"<body>", b"</body>", b" xmlns='urn:x'", b" xmlns:x='urn:x'", b"<x:y", b"=", b"x:",
     b"</stream:stream>", b"<a/>", b"x" * 5000, HEADER]
)  # fmt: skip


@given(st.lists(NASTY, max_size=12).map(b"".join), st.data())
@settings(max_examples=150, deadline=None)
def test_how_the_bytes_are_cut_makes_no_difference(data: bytes, draw: st.DataObject) -> None:
    stream = HEADER + GOOD + data
    limits = draw.draw(st.sampled_from([Limits(), Limits(stanza=200), Limits(stanza=4500), SMALL]))
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(stream)), max_size=20)))
    outcome = read([stream], limits)
    assert len(outcome[0]) >= 2
    assert read([stream[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)], limits) == outcome
    assert read_one_by_one(stream, limits) == outcome


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_bytes(data: bytes) -> None:
    assert read([data]) == read([bytes([byte]) for byte in data])
    assert read([HEADER + data]) == read([HEADER, *(bytes([byte]) for byte in data)])


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_what_was_written_is_read(stanzas: list[tuple[str, str]], size: int) -> None:
    written = []
    for identifier, text in stanzas:
        message = etree.Element("{jabber:client}message", {"id": identifier}, {None: "jabber:client"})
        etree.SubElement(message, "{jabber:client}body").text = text
        written.append(message)
    stream = HEADER + b"\n".join(etree.tostring(message, encoding="utf-8") for message in written) + FOOTER
    framing, events = Framing(), []
    for i in range(0, len(stream), size):
        new, error = framing.feed(stream[i : i + size])
        assert error is None
        events += new
    messages = [event for event in events if isinstance(event, etree._Element)]
    assert [(m.get("id"), m[0].text or "") for m in messages] == stanzas
