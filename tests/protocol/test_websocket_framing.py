"""RFC 7395 §3.3: elements as documents of their own, and what comes out of messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import JID, Message, MessageType, Presence, xml
from trioxmpp.errors import StreamCondition, StreamError
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import FOOTER, Framing, Limits, Skipped, StreamFooter, StreamHeader, header, stream_error
from trioxmpp.protocol.streamerror import parse_stream_error
from trioxmpp.protocol.websocket import CLOSE, DocumentFraming, document, open_

C = StreamCondition
OPEN = f"<open xmlns='{ns.FRAMING}' from='example.test' id='x1' version='1.0' xml:lang='en'/>".encode()
MESSAGE = b"<message xmlns='jabber:client'><body>hi</body></message>"

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
TEXT = st.text(CHARACTERS, max_size=40)
SAMPLES = [
    MESSAGE,
    b"<presence xmlns='jabber:client' a='&lt;&#xfc;'/>",
    b"<iq xmlns='jabber:client' xmlns:x='urn:x'><x:a x:b='1' xml:lang='de'>\xc3\xbc<b/></x:a></iq>",
    b"<message><body>hi</body></message>",
    b"<a xmlns='urn:xmpp:sm:3' h='1'/>",
]
BITS = [b"", b"<", b">", b"/", b"'", b'"', b":", b"&", b";", b" ", b"x", b"=", b"\0", b"\xff", b"\xef\xbb\xbf"]
BITS += [
    b"<!---->",
    b"<?a b?>",
    b"<![CDATA[a]]>",
    b"]]>",
    b"&amp;",
    b"&a;",
    b"&#0;",
    b"<x:b/>",
    b"</message>",
    b"<iq/>",
]
BITS += [
    b" xmlns=''",
    b" xmlns:y=''",
    b" xmlns:x='urn:y'",
    b" xmlns:xml='a'",
    b" x:b='2'",
    b" y:c='3'",
    b"\r\n",
    b"\x0b",
]


def read(*messages: bytes, limits: Limits | None = None) -> tuple[list[object], StreamError | None]:
    framing, events, error = DocumentFraming(limits), list[object](), None
    for message in messages:
        new, error = framing.feed(message)
        events += new
    return events, error


# --- what is written


def test_an_open_says_what_a_stream_header_says():
    written = open_(to="example.test", from_="romeo@example.test", lang="de")
    assert read(written) == ([StreamHeader("example.test", "romeo@example.test", None, "1.0", "de")], None)
    assert written.startswith(b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'")


def test_an_open_carries_any_value_that_xml_can():
    ((header,), _) = read(open_(to="<&'\">", id="\t", lang=None))
    assert (header.to, header.id, header.lang, header.from_) == ("<&'\">", "\t", None, None)
    with pytest.raises(ValueError, match="XML"):
        open_(to="\0")


@pytest.mark.parametrize(
    ("piece", "written"),
    [
        (b"<presence/>", b"<presence xmlns='jabber:client'/>"),
        (b"<iq id='1'><a xmlns='urn:a'/></iq>", b"<iq xmlns='jabber:client' id='1'><a xmlns='urn:a'/></iq>"),
        (b"<iq id=' xmlns='/>", b"<iq xmlns='jabber:client' id=' xmlns='/>"),
        (b"<iq a='>' b='c'/>", b"<iq xmlns='jabber:client' a='>' b='c'/>"),
        (b"<iq a='>' xmlns='jabber:client'/>", b"<iq a='>' xmlns='jabber:client'/>"),
        (b"<iq a=\"'\" b='>' xmlns='urn:b'/>", b"<iq a=\"'\" b='>' xmlns='urn:b'/>"),
        (b"<iq\tid='1'/>", b"<iq xmlns='jabber:client'\tid='1'/>"),
        (b"<iqs id='1'/>", b"<iqs xmlns='jabber:client' id='1'/>"),
        (b'<iq a=">" b="/"/>', b'<iq xmlns=\'jabber:client\' a=">" b="/"/>'),
        (b"<a xmlns='urn:xmpp:sm:3' h='1'/>", b"<a xmlns='urn:xmpp:sm:3' h='1'/>"),
        (MESSAGE, MESSAGE),
        (OPEN, OPEN),
        (FOOTER, CLOSE),
    ],
)
def test_a_document_declares_what_it_would_inherit(piece, written):
    assert document(piece) == written


@pytest.mark.parametrize("name", ["message", "presence", "iq"])
def test_the_language_of_the_stream_is_written_on_each_stanza(name):
    """RFC 6120 §4.7.4 lets stanzas inherit it; here there is nothing to inherit from."""
    assert document(f"<{name}/>".encode(), lang="de") == f"<{name} xmlns='jabber:client' xml:lang='de'/>".encode()
    own = f"<{name} xml:lang='fr'/>".encode()
    assert document(own, lang="de") == own.replace(b" xml:lang", b" xmlns='jabber:client' xml:lang")
    one = f"<{name} id='1'><a xml:lang='fr'/></{name}>".encode()
    assert document(one, lang="de") == one.replace(b" id", b" xmlns='jabber:client' xml:lang='de' id")
    assert document(one, lang="pt") == one.replace(b" id", b" xmlns='jabber:client' xml:lang='pt' id")


def test_only_a_stanza_has_a_language():
    piece = b"<r xmlns='urn:xmpp:sm:3'/>"
    assert document(piece, lang="de") == piece


def test_a_stream_error_declares_its_prefix():
    error = StreamError(C.POLICY_VIOLATION, "too <much>", by_us=True)
    written = document(stream_error(error), lang="en")
    ((element,), _) = read(written)
    assert xml.equal(element, xml.fromstring(written.decode()))  # it needs no stream around it
    read_again = parse_stream_error(element)
    assert (read_again.condition, read_again.text) == (C.POLICY_VIOLATION, "too <much>")


@pytest.mark.parametrize("piece", [b"", b" ", b"hello", b"</message>", b"<!-- -->", b"<?xml version='1.0'?>"])
def test_only_an_element_is_a_document(piece):
    with pytest.raises(ValueError, match="not an element"):
        document(piece)


@given(
    body=TEXT, thread=st.none() | TEXT.filter(bool), id=TEXT, resource=st.none() | st.sampled_from(["x", "a'b", "ü"])
)
def test_any_stanza_comes_out_of_its_document_as_it_comes_out_of_a_stream(body, thread, id, resource):
    stanza = Message(to=JID("juliet", "example.test", resource), type=MessageType.CHAT, body=body, id=id, thread=thread)
    piece = stanza.serialise().encode()
    stream = Framing()
    (_, expected), _ = stream.feed(header(to=None, lang=None) + piece)
    (element,), error = read(document(piece))
    assert error is None
    assert xml.equal(element, expected)
    assert xml.equal(element, xml.fromstring(document(piece).decode()))


# --- what is read


def test_each_message_is_an_event():
    events, error = read(
        OPEN,
        f"<stream:features xmlns:stream='{ns.STREAM}'><bind xmlns='{ns.BIND}'/></stream:features>".encode(),
        f"<features xmlns='{ns.STREAM}'/>".encode(),
        MESSAGE,
        f"<r xmlns='{ns.SM}'/>".encode(),
        CLOSE,
    )
    assert error is None
    assert events[0] == StreamHeader(None, "example.test", "x1", "1.0", "en")
    assert [event.tag for event in events[1:-1]] == [
        f"{{{ns.STREAM}}}features",
        f"{{{ns.STREAM}}}features",
        f"{{{ns.CLIENT}}}message",
        f"{{{ns.SM}}}r",
    ]
    assert events[-1] == StreamFooter()


def test_a_server_may_forget_to_declare_the_usual_namespaces():
    (features, presence), error = read(b"<stream:error><reset xmlns='urn:x'/></stream:error>", b"<presence/>")
    assert (features.tag, presence.tag) == (f"{{{ns.STREAM}}}error", f"{{{ns.CLIENT}}}presence")
    assert error is None


def test_white_space_around_an_element_is_dropped():
    events, error = read(b" \n" + MESSAGE + b"\r\n ", b" ", b"", b"\r\n\t ", b"\t" + OPEN, MESSAGE)
    assert error is None
    assert len(events) == 3


def test_an_element_that_cannot_be_taken_is_passed_over():
    deep = b"<message id='1'>" + b"<a>" * 300 + b"</a>" * 300 + b"</message>"
    events, error = read(
        b"<message xmlns='jabber:server'/>",
        f"<reopen xmlns='{ns.FRAMING}'/>".encode(),
        b" " + deep + b"\n",
        b"<x xmlns='urn:x'>" + b"&amp;" * 1000 + b"</x>",
        MESSAGE,
    )
    assert error is None
    *skipped, last = events
    assert [type(event) for event in skipped] == [Skipped] * 4
    assert skipped[0].tag == "{jabber:server}message"
    assert skipped[2].id == "1"
    assert skipped[2].octets == len(deep)
    assert last.tag == f"{{{ns.CLIENT}}}message"


@pytest.mark.parametrize(
    ("message", "condition"),
    [
        (b"hello", C.BAD_FORMAT),
        (b"\xef\xbb\xbf" + MESSAGE, C.BAD_FORMAT),
        (MESSAGE + b"hello", C.BAD_FORMAT),
        (MESSAGE + MESSAGE, C.BAD_FORMAT),
        (MESSAGE + b"<iq", C.BAD_FORMAT),
        (MESSAGE + b"<iq>", C.BAD_FORMAT),
        (MESSAGE[:-1], C.BAD_FORMAT),
        (b"<message><body>", C.BAD_FORMAT),
        (b"<", C.BAD_FORMAT),
        (FOOTER, C.BAD_FORMAT),
        (MESSAGE + FOOTER, C.BAD_FORMAT),
        (FOOTER + MESSAGE, C.BAD_FORMAT),
        (header(to="example.test"), C.NOT_WELL_FORMED),
        (header(to="example.test").partition(b"?>")[2], C.UNSUPPORTED_STANZA_TYPE),
        (b"<!-- comment -->", C.RESTRICTED_XML),
        (b"<!DOCTYPE a>" + MESSAGE, C.RESTRICTED_XML),
        (b"<message>&foo;</message>", C.RESTRICTED_XML),
        (b"<message></iq>", C.NOT_WELL_FORMED),
        (b"<x:message/>", C.BAD_NAMESPACE_PREFIX),
        (b"<message x:from='admin@example.test'/>", C.BAD_NAMESPACE_PREFIX),
        (b"<message>\xff</message>", C.UNSUPPORTED_ENCODING),
        (f"<open xmlns='{ns.FRAMING}' version='2.0'/>".encode(), C.UNSUPPORTED_VERSION),
    ],
)
def test_a_message_that_is_not_exactly_one_good_element_ends_the_stream(message, condition):
    framing = DocumentFraming()
    framing.feed(OPEN)
    events, error = framing.feed(message)
    assert events == []
    assert error.by_us
    assert error.condition is condition
    assert framing.feed(MESSAGE) == ([], error)
    assert framing.feed_one(MESSAGE) == (None, b"", error)


@given(data=st.data())
def test_an_element_read_as_a_document_equals_one_read_in_a_stream(data):
    """Whatever was done to its octets: most messages are read in another way than streams are."""
    message = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(message)))
        message[place : place + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(BITS))
    piece = bytes(message)
    stream = Framing()
    stream.feed(header(to=None, lang=None))
    expected, error = stream.feed(piece)
    is_good = error is None and len(expected) == 1 and stream.between
    events, error = read(piece)
    if not piece.strip(b" \t\r\n"):
        assert (events, error) == ([], None)
    elif is_good and isinstance(expected[0], Skipped):
        assert (events, error) == (expected, None)
    elif is_good and not isinstance(expected[0], StreamFooter):
        assert error is None
        assert xml.equal(events[0], expected[0])
        assert events[0].tail is None
    else:
        assert events == []
        assert isinstance(error, StreamError)


def shown(event: object) -> object:
    """An event in a form that compares by structure, with all that the tree around an element declares."""
    return (xml.serialise(event), event.nsmap, event.tail) if isinstance(event, xml.Element) else repr(event)


@given(data=st.data())
def test_messages_that_come_together_are_read_like_one_after_the_other(data):
    """Whatever was done to their octets, and wherever they were cut: none has to do with what another one opens."""
    messages = [bytearray(message) for message in data.draw(st.lists(st.sampled_from(SAMPLES), min_size=2, max_size=6))]
    for _ in range(data.draw(st.integers(0, 2))):
        message = data.draw(st.sampled_from(messages))
        place = data.draw(st.integers(0, len(message)))
        message[place : place + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(BITS))
    if data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(messages) - 2))
        both = messages[index] + messages[index + 1]
        place = data.draw(st.integers(0, len(both)))
        messages[index : index + 2] = both[:place], both[place:]
    alone, together = DocumentFraming(), DocumentFraming()
    expected, error = [], None
    for message in messages:
        new, error = alone.feed(bytes(message))
        expected += map(shown, new)
    found, failure = together.feed(*map(bytes, messages))
    assert ([*map(shown, found)], failure and failure.condition) == (expected, error and error.condition)


@pytest.mark.parametrize(
    "messages",
    [
        (b"<message xmlns='jabber:client'><x>", b"</x></message>"),
        (b"<message xmlns='jabber:client'><x>", b"</x></message><?_?><presence xmlns='jabber:client'/>"),
        (b"<message xmlns='jabber:client'><x>", b"</x></message><_></_><presence xmlns='jabber:client'/>"),
        (MESSAGE, MESSAGE + MESSAGE),
        (MESSAGE, MESSAGE + b"&#32;"),
        (MESSAGE, MESSAGE + b"text"),
        (MESSAGE, b"text" + MESSAGE),
        (b"text" + MESSAGE, MESSAGE),
        (MESSAGE, b"<presence xmlns='jabber:client' a='", b"'/>"),
        (MESSAGE, b"</_>", b"<_>"),
        (MESSAGE, b"<x:message xmlns:x='jabber:client'><x>", b"</x></x:message>"),
    ],
)
def test_no_message_has_to_do_with_what_another_one_opens(messages):
    alone = DocumentFraming()
    one_by_one = [alone.feed(message) for message in messages]
    events, error = DocumentFraming().feed(*messages)
    assert len(events) == sum(len(new) for new, _ in one_by_one)
    assert error is not None
    assert error.condition is one_by_one[-1][1].condition


def test_messages_that_came_together_do_not_keep_each_other():
    (first, second), error = DocumentFraming().feed(MESSAGE + b"\n", MESSAGE)
    assert error is None
    for element in (first, second):
        assert (element.getparent(), element.getnext(), element.getprevious(), element.tail) == (None,) * 4
        assert xml.serialise(element) == MESSAGE.decode().replace("'", '"')


def test_of_messages_that_came_together_none_declares_what_it_does_not_use():
    """It would go with each payload that is forwarded."""
    message = b"<message xmlns='jabber:client' xmlns:unused='urn:x'><body/></message>"
    events, _ = DocumentFraming().feed(message, MESSAGE, message)
    assert [event.nsmap for event in events] == [{None: "jabber:client"}] * 3


def test_a_message_may_be_as_large_as_a_stanza_may_be():
    limits = Limits(stanza=len(MESSAGE))
    assert len(read(MESSAGE, MESSAGE, limits=limits)[0]) == 2
    events, error = read(MESSAGE + b" " * 1000, MESSAGE.replace(b"hi", b"high"), limits=limits)
    assert error is None
    assert isinstance(events[1], Skipped)


def test_an_open_without_a_version_is_told():
    """A caller that wants XMPP 1.0 has to check."""
    ((header,), _) = read(f"<open xmlns='{ns.FRAMING}'/>".encode())
    assert header.version is None


def test_nothing_is_read_after_the_close():
    assert read(CLOSE, MESSAGE, b"junk") == ([StreamFooter()], None)


def test_a_close_that_sends_us_elsewhere_is_a_stream_error():
    """RFC 7395 §3.6.1."""
    uri = "wss://other.example.test/xmpp?a=b&c"
    close = f"<close xmlns='{ns.FRAMING}' see-other-uri='{xml.escape_attr(uri)}'/>".encode()
    events, error = read(close)
    assert events == []
    assert (error.condition, error.text, error.by_us) == (C.SEE_OTHER_HOST, uri, False)


def test_one_message_at_a_time_leaves_nothing():
    framing = DocumentFraming()
    event, rest, error = framing.feed_one(OPEN)
    assert isinstance(event, StreamHeader)
    assert (rest, error) == (b"", None)
    event, rest, error = framing.feed_one(document(Presence().serialise().encode()))
    assert (event.tag, rest, error) == (f"{{{ns.CLIENT}}}presence", b"", None)


def test_elements_belong_to_the_caller_that_got_them():
    """However many messages come later, and whatever was done to those before."""
    framing, elements = DocumentFraming(Limits()), []
    for n in range(2000):
        ((element,), _) = framing.feed(f"<message xmlns='jabber:client'><body>{n}</body></message>".encode())
        elements.append(element)
    assert [element[0].text for element in elements] == [str(n) for n in range(2000)]
