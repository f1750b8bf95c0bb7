"""A first-level element that cannot be taken is passed over, and what stands around it is read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioxmpp import xml
from trioxmpp.errors import StreamCondition
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import Framing, Limits, Skipped, StreamHeader, header
from trioxmpp.protocol.skipping import LONGEST_TAG
from trioxmpp.protocol.websocket import DocumentFraming

C = StreamCondition
HEADER = header(to="example.org", from_="romeo@example.org", id="x1")
SMALL = Limits(stanza=3000, ceiling=20_000, depth=20, attributes=10, children=40, name=200)

#: Stanzas that exceed one limit of SMALL each; the text that names it.
TOO_MUCH = {
    b"<message from='a@b' id='m1'>" + b"<a>" * 40 + b"</a>" * 40 + b"</message>": "within each other",
    b"<message from='a@b' id='m1'><x " + b" ".join(b"a%d=''" % n for n in range(11)) + b"/></message>": "attributes",
    b"<message from='a@b' id='m1'>" + b"<a b='>'/>" * 50 + b"</message>": "elements in it",
    b"<message from='a@b' id='m1'><" + b"n" * 300 + b"/></message>": "characters",
    b"<message from='a@b' id='m1'><x xmlns='" + b"n" * 300 + b"'/></message>": "characters",
    b"<message from='a@b' id='m1'><body>" + b"b" * 4000 + b"</body></message>": "3000 octets",
    b"<message from='a@b' id='m1'><body><![CDATA[" + b"</message>" * 400 + b"]]></body></message>": "3000 octets",
    b"<message from='a@b' id='m1' c='" + b"b>" * 2000 + b"'/>": "3000 octets",
    b"<x xmlns='urn:example:x' from='a@b' id='m1'><message xmlns='jabber:client'/></x>": "do not know",
    b"<iq xmlns='jabber:server' from='a@b' id='m1'><iq/></iq>": "do not know",
    b"<s:x xmlns:s='urn:example:x' from='a@b' id='m1'/>": "do not know",
    b"<message from='a@b' id='m1'><message>"
    + b"<message></message>" * 50
    + b"</message></message\n>": "elements in it",
}
GOOD = (
    b"<message id='1'><body>hi &amp; ho</body></message>",
    b"<presence/>",
    b"<iq id='2' type='result'><q xmlns='urn:q'><message xmlns='jabber:client'/></q></iq>",
    b"\n",
    b"<message id='3'><body>" + b"x" * 2000 + b"</body></message>",
)


def read(chunks: Iterable[bytes], limits: Limits | None = None) -> tuple[list[object], StreamCondition | None]:
    framing, events, error = Framing(limits), [], None
    framing.feed(HEADER + b"<message/><presence/><iq/>")  # now their tags are known: most may go the fast ways
    for chunk in chunks:
        new, error = framing.feed(chunk)
        events += [event if isinstance(event, Skipped) else xml.serialise(event) for event in new]
    return events, error and error.condition


def one_skipped(chunks: Iterable[bytes], limits: Limits | None = None) -> Skipped:
    """The one event that comes of it, before a presence is read."""
    (skipped, last), condition = read([*chunks, b"<presence id='last'/>"], limits)
    assert condition is None
    assert "last" in last
    assert isinstance(skipped, Skipped)
    return skipped


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def test_each_limit_is_named_and_the_sender_is_known():
    for stanza, reason in TOO_MUCH.items():
        for size in (1, 7, 1000, len(stanza)):
            skipped = one_skipped(pieces(stanza, size), SMALL)
            assert reason in skipped.reason, (stanza, size)
            assert (skipped.from_, skipped.id, skipped.octets) == ("a@b", "m1", len(stanza)), stanza
            assert skipped.is_stanza == stanza.startswith(b"<message")


@given(
    st.lists(st.sampled_from([*TOO_MUCH, *GOOD]), max_size=30),
    st.lists(st.integers(0, 60_000), max_size=12),
    st.integers(1, 3000),
)
@settings(max_examples=60, deadline=None)
def test_every_good_stanza_arrives_once_and_in_order_however_the_bytes_are_cut(stanzas, cuts, size):
    data = b"".join(stanzas)
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    cut = [data[a:b] for a, b in zip([0, *places], [*places, None], strict=True)]
    events, condition = read([data], SMALL)
    assert condition is None
    assert read(cut, SMALL) == read(pieces(data, size), SMALL) == (events, None)
    written = [stanza for stanza in stanzas if stanza.strip()]
    assert [isinstance(event, Skipped) for event in events] == [stanza in TOO_MUCH for stanza in written]
    alone = [read([stanza], SMALL)[0][0] for stanza in written]
    assert events == alone


@given(st.lists(st.sampled_from([*TOO_MUCH, *GOOD]), max_size=8))
@settings(max_examples=60, deadline=None)
def test_a_websocket_skips_what_a_stream_of_bytes_skips(stanzas):
    framing, events = DocumentFraming(SMALL), []
    for stanza in stanzas:
        new, error = framing.feed(stanza)
        assert error is None
        events += [event if isinstance(event, Skipped) else xml.serialise(event) for event in new]
    assert events == read([b"".join(stanzas)], SMALL)[0]


BITS = [
    b"<a>",
    b"</a>",
    b"<b/>",
    b"<a x='1'>",
    b"</iq>",
    b"<iq>",
    b"<c xmlns='urn:c'>",
    b"</c>",
    b"<p:d xmlns:p='urn:p'>",
]
BITS += [b"</p:d>", b"<p:e/>", b"text", b"&amp;", b"&lt;", b"&#65;", b"&#x41;", b"&#0;", b"&nbsp;", b"& ", b"&", b";"]
BITS += [b"]]>", b"]]", b">", b"<![CDATA[", b"<!--", b"-->", b"<?x?>", b"'", b'"', b" y='>'", b' y="<"', b"/>", b"<"]
BITS += [b"=", b"\xc3\xbc", b"\xc3", b"\xff", b"\x0b", b" ", b"\n", b"<q z = \"a'b\" w='&quot;'/>", b"<q z='1' z='2'/>"]
BITS += [b"<q z='1'w='2'/>", b"<xml:a/>", b"<a p:x='1'/>", b"<p:a:b/>", b"<1/>", b"<a.b-c_d/>", b"\xef\xbf\xbe", b"<a"]
BITS += [b"<message xmlns='jabber:client'>", b"</message>", b"x" * 300]


@given(st.lists(st.sampled_from(BITS), max_size=9), st.lists(st.integers(1, 2000), max_size=6))
@settings(max_examples=400, deadline=None)
def test_it_is_read_as_the_parser_reads_it(bits, cuts):
    """An element that lxml takes is skipped; one that it refuses ends the stream, or is followed all the same."""
    data = b"<iq>" + b"".join(bits) + b"</iq><presence id='last'/>"
    taken, condition = read([data])
    tiny = Limits(children=1)
    skipped, offence = read([data], tiny)
    places = sorted({cut % len(data) for cut in cuts})
    assert read([data[a:b] for a, b in zip([0, *places], [*places, None], strict=True)], tiny) == (skipped, offence)
    assert read(pieces(data, 1), tiny) == (skipped, offence)
    if condition is None and taken and "last" in taken[-1]:
        assert offence is None
        assert len(skipped) == len(taken)
        assert skipped[-1] == taken[-1]


def test_malformed_xml_in_an_element_that_is_skipped_ends_the_stream():
    for data, condition in (
        (b"<b></a>", C.NOT_WELL_FORMED),
        (b"rock & roll", C.NOT_WELL_FORMED),
        (b"&#0;", C.NOT_WELL_FORMED),
        (b"]]>", C.NOT_WELL_FORMED),
        (b"<b c='<'>", C.NOT_WELL_FORMED),
        (b"<b c='1' c='2'/>", C.NOT_WELL_FORMED),
        (b"<1/>", C.NOT_WELL_FORMED),
        ("<\u00d7/>".encode(), C.NOT_WELL_FORMED),
        ("<a\u037e/>".encode(), C.NOT_WELL_FORMED),
        ("<a \u00b7=''/>".encode(), C.NOT_WELL_FORMED),
        (b"\x0b", C.NOT_WELL_FORMED),
        (b"\0", C.NOT_WELL_FORMED),
        (b"\xff", C.UNSUPPORTED_ENCODING),
        (b"&nbsp;", C.RESTRICTED_XML),
        (b"<!-- ", C.RESTRICTED_XML),
        (b"<?php ", C.RESTRICTED_XML),
        (b"<!DOCTYPE", C.RESTRICTED_XML),
        (b"<x:b/>", C.BAD_NAMESPACE_PREFIX),
        (b"<b x:c=''/>", C.BAD_NAMESPACE_PREFIX),
        (b"<b xmlns:x=''/>", C.BAD_NAMESPACE_PREFIX),
        (b"<x:b xmlns:x='urn:x'/><x:b/>", C.BAD_NAMESPACE_PREFIX),
    ):
        stream = b"<message>" + b"<a/>" * 50 + data + b"</message>"
        assert read([stream], SMALL) == ([], condition), data
        assert read(pieces(stream, 1), SMALL) == ([], condition), data


def test_an_element_above_the_ceiling_ends_the_stream():
    fits = b"<message><body>" + b"x" * (20_000 - 32) + b"</body></message>"
    assert one_skipped([fits], SMALL).octets == len(fits) == 20_000
    for stanza in (fits.replace(b"<body>", b"<body>x"), b"<message><body>" + b"x" * 30_000):
        assert read([stanza], SMALL) == ([], C.POLICY_VIOLATION)
        assert read(pieces(stanza, 999), SMALL) == ([], C.POLICY_VIOLATION)


def test_the_octets_after_an_element_are_not_judged_with_it():
    stream = b"<message>" + b"<a/>" * 50 + b"</message><presence id='last'/>"
    for wrong, condition in ((b"\xff", C.UNSUPPORTED_ENCODING), (b"<a>&</a>", None), (b"x", C.BAD_FORMAT)):
        events, error = read([stream + wrong], SMALL)
        assert len(events) == 2
        if condition is not None:
            assert error in (condition, C.BAD_FORMAT)


def test_attributes_are_unescaped_and_long_ones_are_left_out():
    attributes = b"from='&lt;&#x41;&quot;' to=\"o'b@c\" id='" + b"i" * 4000 + b"' type = 'get'"
    skipped = one_skipped([b"<iq " + attributes + b">" + b"<a/>" * 300_000 + b"</iq>"])
    assert (skipped.from_, skipped.to, skipped.id, skipped.type) == ('<A"', "o'b@c", None, "get")
    assert skipped.tag == f"{{{ns.CLIENT}}}iq"


def test_the_header_may_bind_any_prefix():
    stream = f"<s:stream xmlns:s='{ns.STREAM}' xmlns='{ns.CLIENT}' xmlns:y='urn:y' version='1.0'>".encode()
    framing = Framing(SMALL)
    (head, skipped), error = framing.feed(stream + b"<y:message>" + b"<y:a/><s:b/>" * 50 + b"</y:message>")
    assert isinstance(head, StreamHeader)
    assert error is None
    assert isinstance(skipped, Skipped)
    assert skipped.tag == "{urn:y}message"


#: Beginnings and ends of elements, and what stands between them, so often.
HUGE = {
    "text": (b"<message id='m1'><body>", b"lorem ipsum ", 600_000, b"</body></message>"),
    "markup characters": (b"<message id='m1'><body>", b"&amp;]]&gt; > ' ", 150_000, b"</body></message>"),
    "character data": (b"<message id='m1'><body><![CDATA[", b"<a>&]] ", 800_000, b"]]></body></message>"),
    "children": (b"<message id='m1'>", b"<a/>", 300_000, b"</message>"),
    "attributes": (b"<message id='m1'><x ", b"a='1' ", 1_000_000, b"/></message>"),
    "a value": (b"<message id='m1'><x y='", b">/>/", 1_000_000, b"'/></message>"),
    "a name": (b"<message id='m1'><", b"n", 5_000_000, b" /></message>"),
    "namespaces": (b"<message id='m1'>", b"<a xmlns='urn:x' xmlns:p='urn:p' p:q=''></a>", 50_000, b"</message>"),
}


@pytest.mark.parametrize("kind", HUGE)
def test_memory_is_bounded(kind):
    start, middle, times, end = HUGE[kind]
    limits = Limits(stanza=65536)
    framing = Framing(limits)
    framing.feed(HEADER)
    framing.feed(start)
    many = middle * (16384 // len(middle) + 1)
    tracemalloc.start()
    try:
        for chunk in repeat(many, times * len(middle) // len(many)):
            assert framing.feed(chunk) == ([], None)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (skipped, _presence), error = framing.feed(end + b"<presence/>")
    assert error is None
    assert isinstance(skipped, Skipped)
    assert skipped.octets > 1_000_000
    assert kept < 65536 + 2 * LONGEST_TAG
    assert peak < 65536 + 8 * LONGEST_TAG


def test_many_elements_within_each_other_cost_as_much_as_their_names():
    framing, depth = Framing(), 300_000
    framing.feed(HEADER + b"<message id='m1'>")
    tracemalloc.start()
    try:
        for _ in range(depth // 10_000):
            assert framing.feed(b"<a>" * 10_000) == ([], None)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 3 * depth  # b"<a" for each, and some room to grow
    (skipped,), error = framing.feed(b"</a>" * depth + b"</message>")
    assert error is None
    assert skipped.reason == "more than 256 elements within each other"


def test_elements_that_are_huge_in_each_way_pass_by_with_the_usual_limits():
    for stanza in (
        b"<message id='m1'>" + b"<a>" * 10_000 + b"</a>" * 10_000 + b"</message>",
        b"<message id='m1'><x " + b" ".join(b"a%d='1'" % n for n in range(100_000)) + b"/></message>",
        b"<message id='m1' " + b" ".join(b"a%d='1'" % n for n in range(100_000)) + b"></message>",
        b"<message id='m1'><" + b"n" * 100_000 + b"></" + b"n" * 100_000 + b"></message>",
        b"<message id='m1'><" + b"n" * 1_000_000 + b"></" + b"n" * 1_000_000 + b"></message>",
        b"<message id='m1'><x xmlns='" + b"n" * 1_000_000 + b"'/></message>",
        b"<message id='m1'><x xmlns:p='" + b"n" * 1_000_000 + b"'><p:y/></x></message>",
        b"<message id='m1'>" + b"<a></a>" * 300_000 + b"</message>",
    ):
        skipped = one_skipped(pieces(stanza, 65536))
        assert skipped.octets == len(stanza)


def test_ten_megabytes_are_not_too_much():
    """A roster of 90,000 contacts, and one text of ten million characters."""
    item = b"<item jid='juliet%05d@example.org' subscription='both' name='Juliet Capulet'><group>Friends</group></item>"
    roster = b"<iq type='result' id='1'><query xmlns='jabber:iq:roster'>" + item * 90_000 + b"</query></iq>"
    photo = b"<iq type='result' id='2'><data xmlns='urn:x'>" + b"QUJD" * 3_000_000 + b"</data></iq>"
    framing = Framing()
    framing.feed(HEADER)
    events = []
    for data in pieces(roster + photo, 65536):
        new, error = framing.feed(data)
        assert error is None
        events += new
    first, second = events
    assert len(first[0]) == 90_000
    assert len(second[0].text) == 12_000_000


def test_limits_that_make_no_sense_are_refused():
    for wrong in ({"stanza": 0}, {"depth": 257}, {"ceiling": 1000}, {"name": -1}):
        with pytest.raises(ValueError, match="limit"):
            Limits(**wrong)
