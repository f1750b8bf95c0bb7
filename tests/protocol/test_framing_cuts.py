"""How the network cuts the bytes of a stream makes no difference to what comes out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.protocol.framings import HEADER, canonical, read, read_one_by_one
from trioxmpp.errors import StreamCondition
from trioxmpp.protocol.framing import FOOTER, Framing, Limits

GOOD = b"<presence/>"
SMALL = Limits(header=300, stanza=100, depth=5, attributes=5, children=4, name=60)

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


CHAT = b"<message from='juliet@example.org'><body>hi? &amp; ho!</body></message>"
FORWARDED = b"<message><result xmlns='urn:x'><message xmlns='jabber:client'><body/></message></result></message>"
MANY = st.lists(
    st.sampled_from([CHAT, FORWARDED, GOOD, b"\n", b"<r xmlns='urn:xmpp:sm:3'/>"]), min_size=60, max_size=75
)


@given(MANY.map(b"".join), st.lists(NASTY, max_size=6).map(b"".join), st.data())
@settings(max_examples=100, deadline=None)
def test_many_stanzas_at_once_are_read_like_one_after_the_other(many: bytes, data: bytes, draw: st.DataObject) -> None:
    where = draw.draw(st.integers(0, len(many)))
    stream = HEADER + many[:where] + data + many[where:]
    cut = draw.draw(st.integers(len(HEADER), len(stream)))
    outcome = read([HEADER + GOOD + CHAT, *(stream[i : i + 1] for i in range(len(HEADER), len(stream)))])
    assert read([HEADER + GOOD + CHAT, stream[len(HEADER) : cut], stream[cut:]]) == outcome


@given(MANY.map(b"".join), st.lists(NASTY, max_size=6).map(b"".join), st.data())
@settings(max_examples=100, deadline=None)
def test_the_beginning_of_an_element_may_wait_for_the_rest_of_it(many: bytes, data: bytes, draw: st.DataObject) -> None:
    """It is read with whatever comes next, even if that is nothing, and the same comes of it."""
    where = draw.draw(st.integers(0, len(many)))
    stream = HEADER + GOOD + CHAT + many[:where] + data + many[where:]
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(stream)), max_size=8)))
    limits = draw.draw(st.sampled_from([Limits(), Limits(stanza=200), SMALL]))
    framing, events = Framing(limits), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        new, error = framing.feed(stream[start:end], goes_on=draw.draw(st.booleans()))
        events += canonical(new)
        if error is None:
            assert bool(framing.incomplete) is not framing.between
    new, error = framing.feed(b"")
    assert (events + canonical(new), error and error.condition) == read([stream], limits)


@given(st.lists(NASTY, max_size=12).map(b"".join), st.data())
@settings(max_examples=100, deadline=None)
def test_resting_makes_no_difference(data: bytes, draw: st.DataObject) -> None:
    stream = HEADER + GOOD + CHAT + data
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(stream)), max_size=20)))
    framing, events, error = Framing(), [], None
    for start, end in zip([0, *cuts], [*cuts, None], strict=True):
        new, error = framing.feed(stream[start:end])
        events += canonical(new)
        framing.release_buffers()
    assert (events, error and error.condition) == read([stream])


@given(st.integers(1, 9000), st.integers(0, 100))
@settings(max_examples=100, deadline=None)
def test_the_end_of_many_stanzas_may_be_anywhere(size: int, name: int) -> None:
    nested = b"<message><message/><m:message xmlns:m='jabber:client'/><messages/><x a='message'>message</x>"
    stream = HEADER + (CHAT + FORWARDED) * 30 + nested + b"<a/>" * name + b"</message>" + CHAT * 70 + FOOTER
    framing, events = Framing(), []
    for i in range(0, len(stream), size):
        new, error = framing.feed(stream[i : i + size])
        assert error is None
        events += canonical(new)
    assert len(events) == 1 + 60 + 1 + 70 + 1
    assert events == read([stream])[0]


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_bytes(data: bytes) -> None:
    assert read([data]) == read([bytes([byte]) for byte in data])
    assert read([HEADER + data]) == read([HEADER, *(bytes([byte]) for byte in data)])


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_the_written_form_is_read(stanzas: list[tuple[str, str]], size: int) -> None:
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


def test_an_element_that_waits_counts_as_begun_and_costs_no_event() -> None:
    framing = Framing()
    framing.feed(HEADER + GOOD + CHAT)
    events, error = framing.feed(CHAT * 5 + CHAT[:20], goes_on=True)
    assert (len(events), error) == (5, None)
    assert framing.incomplete == 20
    assert not framing.between
    events, error = framing.feed(CHAT[20:])
    assert (canonical(events), error) == (read([HEADER + CHAT])[0][1:], None)
    assert framing.incomplete == 0


def test_the_beginning_of_a_large_element_does_not_wait() -> None:
    """So an error in it shows at once, and no read costs more than its length."""
    framing = Framing()
    framing.feed(HEADER + GOOD)
    begun = b"<message><body>" + b"x" * framing.fast_path_limit + b"</nobody>"
    _, error = framing.feed(CHAT + begun, goes_on=True)
    assert error is not None
    assert error.condition is StreamCondition.NOT_WELL_FORMED


def test_an_error_before_a_nul_does_not_wait() -> None:
    """A NUL is an error of its own, and the one that comes first counts."""
    data = CHAT + b"<message><x:y/>\0"
    framing = Framing()
    framing.feed(HEADER + GOOD)
    _, error = framing.feed(data, goes_on=True)
    assert error is not None
    assert error.condition is read([HEADER + GOOD + data])[1] is StreamCondition.BAD_NAMESPACE_PREFIX
