"""The caller gets a stanza as a tree of its own, the same however it was read."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from pathlib import Path

from trioxmpp import xml
from trioxmpp.errors import StreamError
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import Framing, header
from trioxmpp.protocol.websocket import DocumentFraming

HEADER = header(to=None, from_="example.org")
PAYLOAD = (
    b"<x xmlns='urn:x' xml:lang='de'><a:b xmlns:a='urn:a' a:c='1'><d xmlns=''/></a:b>"
    b"<forwarded xmlns='urn:f'><message xmlns='jabber:client'><body>b</body></message></forwarded></x>"
)
OWN = b"""<e/><e a='"' b="'&lt;&amp;&gt;">'"&gt;<f xmlns=''>g</f></e>"""
CHAT = b"<message from='juliet@example.org' type='chat'><body>hi</body>" + OWN + PAYLOAD + b"</message>"
KNOWN = b"<message/><presence/><iq/>"


def of_a_stream(*chunks: bytes) -> list[xml.Element]:
    framing, elements = Framing(), []
    framing.feed(HEADER + KNOWN)
    for chunk in chunks:
        events, error = framing.feed(chunk)
        assert error is None
        elements += events
    return elements


def of_websocket(*messages: bytes) -> list[xml.Element]:
    framing, elements = DocumentFraming(), []
    for message in messages:
        events, error = framing.feed(message)
        assert error is None
        elements += events
    return elements


def declared(stanza: bytes) -> bytes:
    return stanza.replace(b"<message", f"<message xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'".encode(), 1)


def every_way() -> dict[str, list[xml.Element]]:
    long = CHAT.replace(b"hi", b"h" * 5000)
    return {
        "alone": of_a_stream(CHAT),
        "in bulk": of_a_stream(CHAT * 30),
        "some at once": of_a_stream(CHAT * 2, CHAT * 2),
        "piece by piece": of_a_stream(*(CHAT[i : i + 7] for i in range(0, len(CHAT), 7))),
        "with a long one": of_a_stream(CHAT + long + CHAT)[::2],
        "with an odd one": of_a_stream(CHAT + b"<message><![CDATA[x]]></message>" + CHAT)[::2],
        "by WebSocket": of_websocket(CHAT.replace(b"<message", b"<message xmlns='jabber:client'", 1)),
        "by WebSocket, with a prefix": of_websocket(declared(CHAT)),
    }


def test_a_stanza_says_the_same_however_it_was_read():
    """F73: so do its payloads when they are forwarded, without what the stream header declares."""
    outcomes = {
        way: {(xml.serialise(element), *(xml.serialise(child, ns.CLIENT) for child in element)) for element in elements}
        for way, elements in every_way().items()
    }
    expected = outcomes["alone"]
    assert len(expected) == 1
    assert "stream" not in str(expected)
    for way, outcome in outcomes.items():
        assert outcome == expected, way


def test_a_stanza_is_a_tree_of_its_own():
    for way, elements in every_way().items():
        for element in elements:
            assert element.getparent() is None, way
            assert element.getnext() is None, way
            assert element.getprevious() is None, way
            assert element.tail is None, way


def test_a_large_stanza_is_a_tree_of_its_own_and_says_the_same():
    """It is moved out of the tree of the stream, not copied."""
    items = b"".join(b"<item n='%d'>t<b xmlns='urn:b'>c</b>u</item>between" % number for number in range(3000))
    large = (
        b"<message type='chat' xmlns:a='urn:a'>text<x xmlns='urn:x' a:c='1'>" + items + b"</x>" + OWN + b"</message>"
    )
    chunks = [large[i : i + 65536] for i in range(0, len(large), 65536)]
    assert len(chunks) > 1
    first, element, last = of_a_stream(CHAT, *chunks[:-1], chunks[-1] + CHAT)
    (expected,) = of_websocket(large.replace(b"<message", b"<message xmlns='jabber:client'", 1))
    assert xml.serialise(element) == xml.serialise(expected)
    assert [(child.tag, child.text, child.tail) for child in element.iter()] == [
        (child.tag, child.text, child.tail) for child in expected.iter()
    ]
    assert xml.serialise(first) == xml.serialise(last)
    assert element.getparent() is None
    assert element.getroottree().getroot() is element
    assert (element.text, element.tail) == ("text", None)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_stanza_that_is_kept_keeps_no_other():
    """F10: 2,000 small messages, each out of a read of 35 kB."""
    framing, kept = Framing(), []
    framing.feed(HEADER + KNOWN)
    small = b"<message><body>small</body></message>"
    read = small + CHAT * 80
    for _ in range(50):
        framing.feed(read)
    gc.collect()
    before = resident()
    for _ in range(2000):
        events, error = framing.feed(read)
        assert error is None
        kept.append(events[0])
    del events
    assert [element[0].text for element in kept] == ["small"] * 2000
    assert resident() - before < 8_000_000  # 4 kB each; with the others it would be 300 MB


def headers() -> Iterable[bytes]:
    values = (
        "",
        "a}b",
        "{",
        "}",
        "{a}b",
        "a b",
        "&#10;",
        "%00",
        "é",
        "x" * 5000,
        "http://[",
        "jabber:client",
        ns.STREAM,
    )
    for value in values:
        for name in ("xmlns:stream", "xmlns", "to", "version", "xml:lang", "xmlns:x", "xmlns:xml", "x:y", "stream:y"):
            given = {"xmlns:stream": ns.STREAM, "xmlns": ns.CLIENT, "version": "1.0", name: value}
            yield f"<stream:stream {' '.join(f'{key}={value!r}' for key, value in given.items())}>".encode()
    for tag in ("stream", "x:stream", "stream:", ":stream", "stream:a:b", "stream:é", "stream:stream:"):
        yield f"<{tag} xmlns:stream='{ns.STREAM}' xmlns='{ns.CLIENT}' version='1.0'>".encode()


def test_no_header_raises_anything_but_a_stream_error():
    """F64: ``xmlns:stream='a}b'`` raised a ValueError out of the parser."""
    refused = 0
    for data in headers():
        for chunks in ([data], [data[i : i + 1] for i in range(len(data))]):
            framing, error = Framing(), None
            for chunk in chunks:
                _, error = framing.feed(chunk)
            assert error is None or isinstance(error, StreamError)
            refused += error is not None
            if error is not None:
                assert str(error).isprintable()
    assert refused > 50
    _, error = Framing().feed(b"<stream:stream xmlns:stream='a}b' xmlns='jabber:client'>")
    assert error is not None
    assert error.condition.value == "invalid-namespace"


def test_a_stanza_of_a_strange_namespace_is_one_of_the_two():
    for value in ("a}b", "{a}b", "jabber:client}message", " ", "a b", "é"):
        for tag in (f"<message xmlns='{value}'/>", f"<message><x xmlns='{value}'/></message>"):
            (event,) = of_a_stream(tag.encode())
            assert event.tag.startswith("{"), tag
