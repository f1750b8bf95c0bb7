"""A stream, a WebSocket, a bulk read, a store and a pickle read the same documents, and forward the same bytes."""

from __future__ import annotations

import pickle

import pytest

from trioxmpp import xml
from trioxmpp.errors import ElementError, StreamError
from trioxmpp.protocol.framing import Framing
from trioxmpp.protocol.stanza import Message, parse_stanza

HEADER = (
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:extra='urn:extra'"
    b" id='1' from='example.org' version='1.0'>"
)
NS = "urn:example:ways"

ACCEPTED = [
    "<x xmlns='foo bar'/>",
    "<x xmlns='é'/>",
    "<x xmlns='urn:x' xml:id='1'/>",
    "<x xmlns='urn:x' xml:id='a'><y xml:id='a'/></x>",
    "<p:x xmlns:p='a b'><p:y p:z='1'/></p:x>",
    "<x xmlns='urn:x' xmlns:unused='urn:unused'/>",
    "<x xmlns='%zz'/>",
    "<x xmlns='http://[bad'/>",
    "<x xmlns='urn:x'>text &lt; <y/> more</x>",
    "<x xmlns='urn:x' xml:space='preserve' xml:base='::'> </x>",
]
REFUSED = [
    "<p:x/>",
    "<x p:y='1'/>",
    "<x xmlns:p='u' xmlns:q='u' p:a='1' q:a='2'/>",
    "<x xmlns:xml='urn:x'/>",
    "<x>&e;</x>",
]


@xml.element(NS, "holder")
class Holder:
    others: tuple[xml.Element, ...] = xml.rest()


def stanzas(*payloads: str, pieces: int, filler: int = 0) -> list[Message]:
    """Return messages with these payloads, read from a stream in pieces of this size; `filler` causes a bulk read."""
    data = b"".join(f"<message id='{n}'>{payload}</message>".encode() for n, payload in enumerate(payloads))
    data += f"<message id='filler'><body>{'x' * filler}</body></message>".encode() if filler else b""
    framing = Framing()
    framing.feed(HEADER)
    read = []
    for start in range(0, len(data), pieces):
        events, error = framing.feed(data[start : start + pieces])
        if error is not None:
            raise error
        read += [event for event in events if isinstance(event, xml.Element)]
    made = [parse_stanza(element) for element in read]
    return [stanza for stanza in made if isinstance(stanza, Message) and stanza.id != "filler"]


@pytest.mark.parametrize("payload", ACCEPTED)
def test_every_way_of_reading_accepts_what_the_stream_accepts(payload: str) -> None:
    (by_stream,) = stanzas(payload, pieces=1 << 20)
    (element,) = by_stream.payloads
    alone = xml.fromstring(payload)
    assert xml.equal(element, alone)
    holder = Holder(others=(element,))
    assert pickle.loads(pickle.dumps(holder)) == holder
    stored = xml.fromstring(by_stream.serialise())
    assert xml.equal(stored[0], alone)


@pytest.mark.parametrize("payload", REFUSED)
def test_no_way_of_reading_accepts_a_broken_namespace(payload: str) -> None:
    with pytest.raises(ElementError, match=r"not well-formed|not allowed"):
        xml.fromstring(payload)
    with pytest.raises(StreamError):
        stanzas(payload, pieces=1 << 20)


NOTED = "<n xmlns='a b'/>" * 500


@pytest.mark.parametrize(
    "inner",
    ["<p:x/>", "<x p:y='1'/>", "<x></y>", "<x>", "&e;", "<x a='1' a='2'/>", "<!--c-->", "<?p i?>", "\0", "</a><b>"],
)
def test_an_error_behind_many_harmless_notes_is_found(inner: str) -> None:
    assert len(xml.fromstring(f"<a xmlns='c d'>{NOTED}</a>")) == 500
    with pytest.raises(ElementError, match=r"not well-formed|not allowed"):
        xml.fromstring(f"<a xmlns='c d'>{NOTED}{inner}</a>")
    with pytest.raises(ElementError, match=r"not well-formed|not allowed"):
        xml.fromstring(f"<!DOCTYPE a [<!ENTITY e 'x'>]><a xmlns='c d'>{NOTED}</a>")


def test_a_forwarded_payload_has_the_same_bytes_whichever_way_it_was_read() -> None:
    payloads = [
        *ACCEPTED,
        "<extra:x a='1'/>",
        "<x xmlns='urn:x' extra:a='1'><extra:y/></x>",
        "<x xmlns='urn:x'>xmlns:stream='no' and xmlns:stream=\"no\" stream: extra:</x>",
        "<stream:x/>",
    ]
    by_bulk = stanzas(*payloads, pieces=1 << 20, filler=4000)
    by_stanza = stanzas(*payloads, pieces=1 << 20)
    by_octet = stanzas(*payloads, pieces=1)
    assert len(by_bulk) == len(by_stanza) == len(by_octet) == len(payloads)
    for payload, *messages in zip(payloads, by_bulk, by_stanza, by_octet, strict=True):
        texts = {message.serialise() for message in messages}
        assert len(texts) == 1, (payload, texts)
        if "stream:" not in payload:
            assert "xmlns:stream" not in texts.pop()


MIXED = "<p xmlns='urn:example:ways'>Hello <b>big</b> world<i/>!</p>"


@xml.element(NS, "b")
class Bold:
    text: str = xml.text()


@xml.element(NS, "p")
class Paragraph:
    text: str = xml.text()
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "p")
class Known:
    bolds: tuple[Bold, ...] = xml.children()
    text: str = xml.text(default="")
    is_italic: bool = xml.flag("i")


@xml.element(NS, "p")
class Open:
    text: str = xml.text()
    payloads: xml.Payloads = xml.any_children()

    def __post_init__(self) -> None:
        pass


@pytest.mark.parametrize("cls", [Paragraph, Known, Open])
def test_words_and_elements_keep_their_order(cls: type[Paragraph]) -> None:
    paragraph = xml.parse(cls, xml.fromstring(MIXED))
    assert paragraph.text == "Hello  world!"
    for again in (paragraph, pickle.loads(pickle.dumps(paragraph)), xml.replace(paragraph)):
        for ns in ("", NS):
            parent = xml.fromstring(f"<parent xmlns='{ns}'>{xml.serialise(again, ns)}</parent>")
            assert xml.equal(parent[0], xml.fromstring(MIXED))
    changed = xml.replace(paragraph, text="Bye")
    assert xml.serialise(changed, NS).startswith("<p>Bye<b")
    leading = xml.parse(cls, xml.fromstring(f"<p xmlns='{NS}'>Hello <b>big</b></p>"))
    assert xml.serialise(leading, NS).startswith("<p>Hello <b")
