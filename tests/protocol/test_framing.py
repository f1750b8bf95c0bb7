"""RFC 6120 §4 and §11: what comes out of the bytes of a stream, and what is refused."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from lxml import etree

from tests.protocol.framings import HEADER, Outcome, read, read_one_by_one
from trioxmpp import xml
from trioxmpp.errors import StreamCondition
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import (
    FOOTER,
    Framing,
    Limits,
    Skipped,
    StreamFooter,
    StreamHeader,
    header,
)

TAG = HEADER.partition(b"?>")[2]
GOOD = b"<presence/>"
MORE = b"<message><body>hi</body></message>"
C = StreamCondition


def body(data: bytes, limits: Limits | None = None) -> Outcome:
    """The events after the header if `data` comes; the same however it is cut."""
    outcome = read([HEADER + data], limits)
    for cut in range(len(HEADER), len(HEADER + data)):
        assert read([(HEADER + data)[:cut], (HEADER + data)[cut:]], limits) == outcome
    assert read([HEADER, *(data[i : i + 1] for i in range(len(data)))], limits) == outcome
    assert read_one_by_one(HEADER + data, limits) == outcome
    assert outcome[0][0].startswith("StreamHeader(")
    return outcome[0][1:], outcome[1]


def refused(data: bytes, limits: Limits | None = None) -> StreamCondition | None:
    """The error that `data` is between two good stanzas, the first of which is delivered and the second is not."""
    events, condition = body(GOOD + data + MORE, limits)
    assert events == ['<presence xmlns="jabber:client"/>']
    return condition


def start(data: bytes) -> StreamCondition | None:
    """The error with which a stream that begins with `data` fails before there is any event."""
    outcome = read([data])
    assert read(data[i : i + 1] for i in range(len(data))) == outcome
    assert read_one_by_one(data) == outcome
    assert outcome[0] == []
    return outcome[1]


def test_a_stream_from_header_to_footer() -> None:
    framing = Framing()
    events, error = framing.feed(HEADER + b" \r\n" + MORE + b"\t<r xmlns='urn:xmpp:sm:3'/>" + FOOTER + b"junk <")
    assert error is None
    head, message, request, footer = events
    assert head == StreamHeader(to="example.org", from_="romeo@example.org", id="x1", version="1.0", lang=None)
    assert isinstance(message, etree._Element)
    assert message.tag == "{jabber:client}message"
    assert message.findtext("{jabber:client}body") == "hi"
    assert message.tail is None
    assert isinstance(request, etree._Element)
    assert request.tag == "{urn:xmpp:sm:3}r"
    assert footer == StreamFooter()
    assert framing.feed(MORE) == ([], None)
    assert framing.feed_one(MORE) == (None, b"", None)


def test_attributes_that_the_header_lacks_have_no_value() -> None:
    bare = header(to=None, lang=None).partition(b"?>")[2].replace(b" version='1.0'", b"")
    nothing = StreamHeader(to=None, from_=None, id=None, version=None, lang=None)
    assert read([bare]) == ([repr(nothing)], None)


def test_the_header_is_escaped() -> None:
    (head,), error = Framing().feed(header(to="a'b<c>&\"", lang="de"))
    assert error is None
    assert isinstance(head, StreamHeader)
    assert (head.to, head.lang) == ("a'b<c>&\"", "de")
    with pytest.raises(ValueError, match="XML"):
        header(to="a\0b")


@pytest.mark.parametrize("data", [b"", b" \r\n\t", b"<?xml version=\"1.0\" encoding='utf-8' standalone='yes' ?>\n"])
def test_before_the_header(data: bytes) -> None:
    assert len(read([data + TAG])[0]) == 1
    assert len(read([bytes([byte]) for byte in data + TAG])[0]) == 1


def test_a_stream_that_is_empty() -> None:
    data = TAG[:-1] + b"/>"
    assert len(read([data])[0]) == 2
    assert read_one_by_one(data) == read([data])


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", C.NOT_WELL_FORMED),
        (b"<html><body>", C.INVALID_NAMESPACE),
        (b"<stream:stream>", C.BAD_NAMESPACE_PREFIX),
        (TAG.replace(b"etherx.jabber.org/streams", b"etherx.jabber.org/stream"), C.INVALID_NAMESPACE),
        (TAG.replace(b"<stream:stream", b"<stream:flow"), C.BAD_FORMAT),
        (TAG.replace(b"jabber:client", b"jabber:server"), C.INVALID_NAMESPACE),
        (TAG.replace(b"xmlns=", b"xmlns:c="), C.INVALID_NAMESPACE),
        (TAG.replace(b"version=", b"xmlns:x='' version="), C.BAD_NAMESPACE_PREFIX),
        (TAG.replace(b"1.0", b"2.0"), C.UNSUPPORTED_VERSION),
        (TAG.replace(b"1.0", b"0.9"), C.UNSUPPORTED_VERSION),
        (TAG.replace(b"1.0", b"x"), C.UNSUPPORTED_VERSION),
        (b"<!DOCTYPE s [<!ENTITY x 'y'>]>" + TAG, C.RESTRICTED_XML),
        (b"<!-- > -->" + TAG, C.RESTRICTED_XML),
        (b"<?php >?>" + TAG, C.RESTRICTED_XML),
        (b"<?xml version='1.1'?>" + TAG, C.NOT_WELL_FORMED),
        (b"<?xml version='1.0'?><?xml version='1.0'?>" + TAG, C.NOT_WELL_FORMED),
        (b"<?xml version='1.0' encoding='iso-8859-1'?>" + TAG, C.UNSUPPORTED_ENCODING),
        (HEADER.decode().encode("utf-16"), C.UNSUPPORTED_ENCODING),
        (HEADER.decode().encode("utf-16-le"), C.UNSUPPORTED_ENCODING),
        (HEADER.decode().encode("utf-16-be"), C.UNSUPPORTED_ENCODING),
        (b"\xef\xbb\xbf" + HEADER, C.UNSUPPORTED_ENCODING),
        (TAG.replace(b"example", b"ex\xe4mple"), C.UNSUPPORTED_ENCODING),
    ],
)
def test_headers_that_are_refused(data: bytes, condition: StreamCondition) -> None:
    assert start(data) is condition


@pytest.mark.parametrize("version", ["1.0", "1.10", "1", "01.0"])
def test_versions(version: str) -> None:
    assert len(read([TAG.replace(b"1.0", version.encode())])[0]) == 1


@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (b"<message><a></message>", C.NOT_WELL_FORMED),
        (b"</message>", C.NOT_WELL_FORMED),
        (b"<message a='1' a='2'/>", C.NOT_WELL_FORMED),
        (b"<message>\0</message>", C.NOT_WELL_FORMED),
        (b"<message>\x0b</message>", C.NOT_WELL_FORMED),
        (b"<message><![CDATA[\0 >", C.NOT_WELL_FORMED),
        (b"<message>&#0;</message>", C.NOT_WELL_FORMED),
        (b"<message>\xef\xbf\xbe</message>", C.NOT_WELL_FORMED),
        (b"<message>]]></message>", C.NOT_WELL_FORMED),
        (b"<?xml version='1.0'?>", C.NOT_WELL_FORMED),
        (b"<message>\xff</message>", C.UNSUPPORTED_ENCODING),
        (b"<message>\xed\xa0\x80</message>", C.UNSUPPORTED_ENCODING),
        (b"<message>\xc0\xaf</message>", C.UNSUPPORTED_ENCODING),
        (b"hello", C.BAD_FORMAT),
        (b"&#32;", C.BAD_FORMAT),
        (b"<![CDATA[ ]]>", C.BAD_FORMAT),
        (b"<?php >?>", C.RESTRICTED_XML),
        (b"<!-- > -->", C.RESTRICTED_XML),
        (b"<!DOCTYPE message>", C.RESTRICTED_XML),
        (b"<message>EV<!-- > -->IL</message>", C.RESTRICTED_XML),
        (b"<message>EV<?php >?>IL</message>", C.RESTRICTED_XML),
        (b"<message>&nbsp;</message>", C.RESTRICTED_XML),
        (b"<message id='&nbsp;'/>", C.RESTRICTED_XML),
        (TAG, C.UNSUPPORTED_STANZA_TYPE),
    ],
)
def test_stanzas_that_are_refused(data: bytes, condition: StreamCondition) -> None:
    assert refused(data) is condition


@pytest.mark.parametrize(
    "data",
    [
        b"<x:message/>",
        b"<message x:from='admin@example.org'/>",
        b"<message><x:body>hi</x:body></message>",
        b"<message><body x:y=''/></message>",
        b"<message xmlns:x=''/>",
        b"<message xmlns:xml='urn:evil' xml:lang='en'/>",
        b"<message xmlns:x='http://www.w3.org/XML/1998/namespace' x:lang='en'/>",
        b"<message xmlns:xmlns='urn:evil'/>",
        b"<message xmlns='http://www.w3.org/2000/xmlns/'/>",
        b"<message><a:b:c xmlns:a='urn:a'/></message>",
        b"<message><:a/></message>",
        b"<message><a: xmlns:a='urn:a'/></message>",
    ],
)
def test_namespaces_that_do_not_add_up(data: bytes) -> None:
    assert refused(data) is C.BAD_NAMESPACE_PREFIX


def test_the_same_attribute_by_two_prefixes() -> None:
    assert refused(b"<message xmlns:a='urn:a' xmlns:b='urn:a' a:x='1' b:x='2'/>") is C.NOT_WELL_FORMED


def test_namespaces_are_seen_even_when_the_log_of_the_parser_is_full() -> None:
    # Either kind of note is normal: a namespace that is a relative URI, and one that is no URI.
    notes = b"<message><a xmlns='vcard-temp'/><a xmlns='not a uri'/></message>" * 300
    outcome = read([HEADER + notes + b"<message xmlns:x=''/>" + MORE])
    assert len(outcome[0]) == 301
    assert outcome[1] is C.BAD_NAMESPACE_PREFIX


def test_text_that_only_looks_like_an_end() -> None:
    odd = (
        b"<message a='>\">' b=\"'>\"><message/><message>x</message><![CDATA[</message>]]>"
        b"<messages></messages><a b='>'/>>></message\r\n>"
    )
    events, condition = body(GOOD + odd + MORE)
    assert condition is None
    assert len(events) == 3
    message = etree.fromstring(events[1])
    assert [child.tag.rpartition("}")[2] for child in message] == ["message", "message", "messages", "a"]
    assert message.get("a") == '>">'
    assert message[1].tail == "</message>"
    assert message[3].tail == ">>"


def test_prefixes_are_allowed() -> None:
    events, condition = body(b"<c:iq xmlns:c='jabber:client'><x:a xmlns:x='urn:x' x:y='1'/></c:iq>")
    assert condition is None
    assert etree.fromstring(events[0]).tag == "{jabber:client}iq"


def test_predefined_entities_and_character_references() -> None:
    events, condition = body("<message a='&apos;&quot;'>&lt;&amp;&gt;&#x1F600;ü\ufeff</message>".encode())
    assert condition is None
    message = etree.fromstring(events[0])
    assert message.text == "<&>\U0001f600ü\ufeff"
    assert message.get("a") == "'\""


def test_other_namespaces_can_be_accepted() -> None:
    framing = Framing(namespaces=frozenset({"urn:example:x"}))
    events, error = framing.feed(HEADER + b"<x xmlns='urn:example:x'/><message/>")
    assert error is None
    assert isinstance(events[1], etree._Element)
    assert isinstance(events[2], Skipped)
    assert events[2].tag == "{jabber:client}message"


def test_nothing_is_read_after_an_error() -> None:
    framing = Framing()
    events, error = framing.feed(HEADER + GOOD + b"<message></iq>" + GOOD)
    assert len(events) == 2
    assert error is not None
    assert framing.feed(GOOD) == ([], error)
    assert framing.feed_one(GOOD) == (None, b"", error)
    assert framing.feed(b"") == ([], error)


def test_feed_one_leaves_the_rest_alone() -> None:
    framing = Framing()
    event, rest, error = framing.feed_one(HEADER + b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n\x16\x03\0>")
    assert isinstance(event, StreamHeader)
    assert error is None
    assert framing.feed_one(rest[:20]) == (None, b"", None)
    event, rest, error = framing.feed_one(rest[20:])
    assert isinstance(event, etree._Element)
    assert event.tag == f"{{{ns.TLS}}}proceed"
    assert (rest, error) == (b"\n\x16\x03\0>", None)


def test_feed_after_feed_one() -> None:
    framing = Framing()
    event, rest, _ = framing.feed_one(TAG[:-1] + b"/>")
    assert isinstance(event, StreamHeader)
    assert framing.feed(rest) == ([StreamFooter()], None)


SMALL = Limits(header=300, stanza=100, depth=5, attributes=5, children=4, name=60)


@pytest.mark.parametrize(
    ("fits", "too_much", "limit"),
    [
        (b"<message>" + b"x" * 81 + b"</message>", b"<message>" + b"x" * 82 + b"</message>", "100 octets"),
        (b"<message a='" + b"x" * 85 + b"'/>", b"<message a='" + b"x" * 86 + b"'/>", "100 octets"),
        (b"<message a='" + b">" * 85 + b"'/>", b"<message a='" + b">" * 89 + b"'/>", "100 octets"),
        (
            b"<message><![CDATA[" + b"x" * 69 + b"]]></message>",
            b"<message><![CDATA[" + b"x" * 83 + b"]]></message>",
            "100 octets",
        ),
        (b" \n" * 200, b"<" + b"y" * 100 + b"/>", "60 characters"),
        (b"<iq><a><b><c/></b></a></iq>", b"<iq><a><b><c><d/></c></b></a></iq>", "5 elements within each other"),
        (b"<iq><a b='' c='' d='' e='' f=''/></iq>", b"<iq><a b='' c='' d='' e='' f='' g=''/></iq>", "5 attributes"),
        (b"<iq><a/><a/><a/></iq>", b"<iq><a/><a/><a/><a/></iq>", "4 elements"),
        (b"<iq><" + b"a" * 45 + b"/></iq>", b"<iq><" + b"a" * 46 + b"/></iq>", "60 characters"),
        (b"<iq><a " + b"b" * 60 + b"=''/></iq>", b"<iq><a " + b"b" * 61 + b"=''/></iq>", "60 characters"),
    ],
)
def test_limits(fits: bytes, too_much: bytes, limit: str) -> None:
    """A stanza that exceeds a limit is passed over, with the limit as the reason; the next one is read."""
    events, condition = body(GOOD + fits + MORE, SMALL)
    assert condition is None
    assert len(events) == 2 + bool(fits.strip())
    assert not any(event.startswith("Skipped") for event in events)
    (_, skipped, last), condition = body(GOOD + too_much + MORE, SMALL)
    assert condition is None
    assert skipped.startswith("Skipped(")
    if b"<y" not in too_much:  # a name of more than 60 and an element of more than 100: the first one counts
        assert f"more than {limit}" in skipped
    assert f"octets={len(too_much)})" in skipped
    assert last.startswith("<message")


def test_an_element_that_would_never_end_is_refused_at_once() -> None:
    for data, expected in (
        (b"<!-- ", C.RESTRICTED_XML),
        (b"<!DOCTYPE x [", C.RESTRICTED_XML),
        (b"<?php echo", C.RESTRICTED_XML),
        (b"<message><!-- >", C.RESTRICTED_XML),
        (b"<message><?php >", C.RESTRICTED_XML),
        (b"<message><body>rock & roll</body>", C.NOT_WELL_FORMED),
        (b"<message><body>&#x;</body>", C.NOT_WELL_FORMED),
        (b"<message><body>&amp</body>", C.NOT_WELL_FORMED),
    ):
        events, error = Framing().feed(HEADER + GOOD + data + b"    ")
        assert len(events) == 2
        assert error is not None, data
        assert error.condition is expected, data
        assert refused(data + b" " * 20) is expected


def test_an_ampersand_in_character_data_is_one() -> None:
    data = b"<message><body><![CDATA[a > b & <? <!-- ]] > & c]]>&amp;<![CDATA[&]]></body></message>"
    events, condition = body(GOOD + data + MORE)
    assert condition is None
    assert etree.fromstring(events[1])[0].text == "a > b & <? <!-- ]] > & c&&"


@pytest.mark.parametrize("data", [b"<iq><!-- -->", b"<iq></message>", b"<iq><x:a>", b"<iq>&x;</a>"])
def test_an_offence_is_seen_before_the_stanza_is_complete(data: bytes) -> None:
    events, condition = body(data)
    assert events == []
    assert condition not in (None, C.POLICY_VIOLATION)
    assert body(data + b"x" * 200, SMALL) == (events, condition)


def test_the_limit_of_the_header() -> None:
    longest = TAG.replace(b"x1", b"x" * (302 - len(TAG)))
    assert len(longest) == 300
    assert len(read([longest], SMALL)[0]) == 1
    assert read([b" " * 1000 + longest], SMALL)[1] is None
    longer = longest.replace(b"xx", b"xxx", 1)
    assert read([longer], SMALL) == read([bytes([byte]) for byte in longer], SMALL) == ([], C.POLICY_VIOLATION)


def test_keepalives_cost_nothing() -> None:
    framing = Framing()
    framing.feed(HEADER + MORE)
    tracemalloc.start()
    try:
        for _ in range(64):
            assert framing.feed(b" " * 65536) == ([], None)
        assert tracemalloc.get_traced_memory()[0] < 65536
    finally:
        tracemalloc.stop()
    assert len(framing.feed(MORE)[0]) == 1


def test_handing_out_copies_does_not_corrupt_the_heap() -> None:
    # With removal at the closing tag this aborts the process within a few hundred rounds.
    for n in range(1000, 40000, 61):
        framing = Framing()
        count = 0
        for chunk in (
            HEADER + b" ",
            b"<message><body>t</body></message>" + b" " * n,
            b" " * (3 * n),
            *(b" " * (n // 2),) * 3,
            b"<message/>",
        ):
            events, error = framing.feed(chunk)
            assert error is None
            count += len(events)
        assert count == 3


def test_elements_outlive_the_framing() -> None:
    framing = Framing()
    kept = [event for i in range(200) for event in framing.feed((HEADER if i == 0 else b"") + MORE * i)[0]]
    del framing
    assert all(e.findtext("{jabber:client}body") == "hi" for e in kept if isinstance(e, etree._Element))
    assert len(kept) == 1 + sum(range(200))


def test_stanzas_that_came_together_outlive_their_parser() -> None:
    chat = b"<message><body>hi</body><x xmlns='urn:example:x'><y z='1'>t</y></x></message>"
    framing, kept = Framing(), []
    framing.feed(HEADER + chat)
    for _ in range(300):
        events, error = framing.feed(chat * 100 + chat[:40])
        assert error is None
        kept.append(events[7])
        more, error = framing.feed(chat[40:])
        assert error is None
        assert len(events) + len(more) == 101
        if len(kept) % 50 == 0:
            gc.collect()
    assert {xml.serialise(e) for e in kept if isinstance(e, etree._Element)} == {
        '<message xmlns="jabber:client"><body>hi</body><x xmlns="urn:example:x"><y z="1">t</y></x></message>'
    }


@pytest.mark.parametrize("together", [1, 300])
def test_a_parser_that_has_read_waits_for_no_garbage_collector(together: int) -> None:
    """Or the memory of thousands of parsers would come together: they are large, and the collector counts objects."""
    chat = b"<message><body>hi</body></message>" * together
    framing = Framing()
    framing.feed(HEADER + chat)
    gc.collect()
    gc.disable()
    try:
        for _ in range(6000 // together):
            events, error = framing.feed(chat)
            assert (len(events), error) == (together, None)
        del events
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_heavy_stanza_among_light_ones() -> None:
    heavy = b"<message><body>" + b"x>" * 200_000 + b"</body></message>"
    stream = HEADER + (GOOD + heavy + MORE) * 3 + FOOTER
    events, condition = read(stream[i : i + 1460] for i in range(0, len(stream), 1460))
    assert condition is None
    assert len(events) == 11
    assert len(etree.fromstring(events[2])[0].text or "") == 400_000


def test_elements_of_one_name_within_each_other_after_an_odd_one() -> None:
    odd = b"<presence a='>'/>"
    forwarded = b"<message><x xmlns='urn:x'><message xmlns='jabber:client'/></x></message>"
    nested = b"<message><x xmlns='urn:x'><message xmlns='jabber:client'></message></x></message>"
    for inner in (forwarded, nested):
        framing = Framing()
        events, error = framing.feed(HEADER + odd + inner + b"\n" + inner + b"<!-- -->")
        assert error is not None
        assert error.condition is C.RESTRICTED_XML
        assert [event.tail for event in events if isinstance(event, etree._Element)] == [None, None, None]
