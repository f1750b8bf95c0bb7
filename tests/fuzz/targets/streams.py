"""XML streams, whole and in pieces (RFC 6120 §4, RFC 7395), and stream management on them (XEP-0198)."""

from __future__ import annotations

import contextlib
import copy
import random
import zlib
from collections.abc import Iterable, Iterator

from lxml import etree

from trioxmpp import xml
from trioxmpp.errors import ElementError, ErroneousStanza, StreamError
from trioxmpp.protocol import ns, sm
from trioxmpp.protocol.framing import Framing, Limits, StreamHeader, header
from trioxmpp.protocol.stanza import parse_stanza
from trioxmpp.protocol.websocket import DocumentFraming, document
from trioxmpp.stream.tracing import Tracer
from trioxmpp.transport.frames import TextFrames

__all__ = ["frames", "sm_nonzas", "stream", "websocket"]

HEADER = header(to="example.org", from_="romeo@example.org", id="x1")
SMALL = Limits(header=300, stanza=200, depth=5, attributes=5, children=6, name=60)

Outcome = tuple[list[str], str | None]


def _shown(events: Iterable[object]) -> list[str]:
    """Events in a form that compares by structure, and does not show declarations that no name needs."""
    shown = []
    for event in events:
        if isinstance(event, etree._Element):
            alone = copy.deepcopy(event)
            etree.cleanup_namespaces(alone)
            shown.append(xml.serialise(alone))
        else:
            shown.append(repr(event))
    return shown


def _outcome(events: list[object], error: StreamError | None) -> Outcome:
    return _shown(events), None if error is None else error.condition.value


def _read(pieces: Iterable[bytes], limits: Limits | None, *, isolated: bool = False) -> Outcome:
    framing, events, error = Framing(limits), list[object](), None
    if isolated:
        framing.isolate()
    for piece in pieces:
        new, error = framing.feed(piece)
        events += new
    return _outcome(events, error)


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut `data` into short pieces. Where follows from the data alone, so that an input always does the same."""
    chance = random.Random(zlib.crc32(data))
    position = 0
    while position < len(data):
        end = position + chance.choice((1, 1, 2, 3, 5, 8, 40, 400))
        yield data[position:end]
        position = end


def _one_by_one(data: bytes, limits: Limits | None) -> Outcome:
    framing, events = Framing(limits), list[object]()
    while True:
        event, rest, error = framing.feed_one(data)
        assert data.endswith(rest)
        if event is None:
            return _outcome(events, error)
        events.append(event)
        data = rest


def _read_stanzas(framing: Framing | DocumentFraming, data: bytes) -> None:
    """Read the elements of a stream as stanzas. A stanza that is written again must be read again as a stanza."""
    events, _ = framing.feed(data)
    Tracer().received(events)
    for event in events:
        if isinstance(event, etree._Element):
            with contextlib.suppress(ErroneousStanza):
                stanza = parse_stanza(event)
                if stanza is not None:
                    text = stanza.serialise()
                    assert parse_stanza(xml.fromstring(f"<a xmlns='{ns.CLIENT}'>{text}</a>")[0]) is not None


def stream(data: bytes) -> None:
    """Read a stream on TCP, with our header before it and without, with both sizes of limits, and cut anywhere."""
    for whole in (data, HEADER + data):
        for limits in (None, SMALL):
            expected = _read([whole], limits)
            assert _read(_pieces(whole), limits) == expected, "the cuts make a difference"
            assert _read(_pieces(whole), limits, isolated=True) == expected, "a thread of its own makes a difference"
            assert _one_by_one(whole, limits) == expected, "one event at a time makes a difference"
    _read_stanzas(Framing(), HEADER + data)


def websocket(data: bytes) -> None:
    """Read WebSocket messages, which the octet 0x1E separates here, by the quick way and by the long one.

    The long way is that of a stream in a thread of its own. An element that we can write is written as a document.
    """
    messages = data.split(b"\x1e")
    for limits in (None, SMALL):
        quick, long = DocumentFraming(limits), DocumentFraming(limits)
        long.isolate()
        for message in messages:
            (event, rest, error), (other, _, problem) = quick.feed_one(message), long.feed_one(message)
            assert rest == b""
            assert _outcome([event], error) == _outcome([other], problem), "the two ways make a difference"
    _read_stanzas(DocumentFraming(), messages[0])
    element = DocumentFraming().feed_one(messages[0])[0]
    if isinstance(element, etree._Element):
        written = document(xml.serialise(element).encode())
        again = DocumentFraming().feed_one(written)[0]
        assert isinstance(again, etree._Element)
        assert xml.equal(again, element), "a document is not what it was made of"


def frames(data: bytes) -> None:
    """Read what a server sends on a WebSocket, whole and cut anywhere, with both sizes of messages."""
    for longest in (65535, 20):
        assert _taken(_pieces(data), longest) == _taken([data], longest), "the cuts make a difference"


def _taken(pieces: Iterable[bytes], longest: int) -> tuple[list[bytes | None], bytes]:
    """Return the messages that are taken out, and all octets that are passed on."""
    reader, messages, passed = TextFrames(longest), list[bytes | None](), b""
    for piece in pieces:
        reader.feed(piece)
        octets = piece
        while octets:
            new, octets = reader.read()
            messages += new
            passed += octets
    return messages, passed


def sm_nonzas(data: bytes) -> None:
    """Read the elements of stream management in a stream, and let them change a session of three stanzas."""
    session = sm.StreamManagement[int]()
    for number in range(3):
        session.sent(number)
    events, _ = Framing().feed(HEADER + data)
    for element in events:
        if isinstance(element, etree._Element) and not isinstance(element, StreamHeader):
            with contextlib.suppress(ElementError, sm.HandledCountTooHigh):
                _take(session, element)
        assert 0 <= len(session.unacked) <= 3
        assert 0 <= session.base < sm.MODULUS


def _take(session: sm.StreamManagement[int], element: xml.Element) -> None:
    match element.tag:
        case sm.TAG_ACK:
            session.acked(sm.parse_ack(element))
        case sm.TAG_RESUMED:
            session.acked(sm.parse_resumed(element)[1])
        case sm.TAG_ENABLED:
            granted = sm.parse_enabled(element)
            assert granted.max is None or granted.max >= 0
        case sm.TAG_FAILED:
            sm.parse_failed(element)
