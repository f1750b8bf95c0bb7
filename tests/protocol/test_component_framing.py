"""The stream of a component (XEP-0114): its stanzas come out in the namespace of those of clients."""

from __future__ import annotations

import pytest
from lxml import etree

from trioxmpp import xml
from trioxmpp.errors import StreamCondition
from trioxmpp.protocol import ns
from trioxmpp.protocol.framing import Framing, Skipped, StreamHeader, header
from trioxmpp.protocol.limits import Limits

OPENING = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.COMPONENT}' xmlns:stream='{ns.STREAM}' xmlns:x='urn:x&amp;y'"
    " from='irc.example.test' id='3BF96D32'>"
).encode()


def read(data: bytes, *, cut: int = 0, limits: Limits | None = None):
    framing = Framing(limits, content=ns.COMPONENT)
    events = []
    for piece in [data[at : at + cut] for at in range(0, len(data), cut)] if cut else [data]:
        more, error = framing.feed(piece)
        events += more
        assert error is None, error
    return events


@pytest.mark.parametrize("cut", [0, 1, 7], ids=["whole", "octet by octet", "in pieces"])
def test_stanzas_come_out_as_those_of_clients(cut):
    one = (
        "<message from='a@b' to='x@irc.example.test'>"
        "<body>jabber:component:accept xmlns='jabber:component:accept'</body>"
        "<x:e a='1'/><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body/></message></forwarded>"
        "</message>"
    )
    opened, *events = read(OPENING + one.encode() * 30, cut=cut)
    assert isinstance(opened, StreamHeader)
    assert opened.id == "3BF96D32"
    assert opened.version is None
    assert len(events) == 30
    for event in events:
        names = [element.tag for element in event.iter()]
        message, body = f"{{{ns.CLIENT}}}message", f"{{{ns.CLIENT}}}body"
        assert names == [message, body, "{urn:x&y}e", "{urn:xmpp:forward:0}forwarded", message, body]
        assert event[0].text == "jabber:component:accept xmlns='jabber:component:accept'"


def test_a_stanza_that_names_a_namespace_itself_is_understood():
    for namespace in (ns.COMPONENT, ns.CLIENT, "jabber:component:acc&#101;pt"):
        stanza = f"<message xmlns='{namespace}' id='1'><body>hi</body><error><gone xmlns='urn:g'/></error></message>"
        _, event = read(OPENING + stanza.encode())
        assert isinstance(event, etree._Element), (namespace, event)
        names = ["message", "body", "error"]
        assert [each.tag for each in event.iter()] == [*(f"{{{ns.CLIENT}}}{name}" for name in names), "{urn:g}gone"]


def test_a_stanza_that_is_passed_over_is_known_for_one():
    depth = "<a>" * 300 + "</a>" * 300
    for namespace in ("", f" xmlns='{ns.COMPONENT}'"):
        _, skipped, after = read(
            OPENING + f"<iq{namespace} type='get' id='7'>{depth}</iq><message/>".encode(), limits=Limits(depth=50)
        )
        assert isinstance(skipped, Skipped)
        assert skipped.is_stanza
        assert (skipped.type, skipped.id) == ("get", "7")
        assert after.tag == f"{{{ns.CLIENT}}}message"


def test_the_handshake_is_an_element_of_this_stream_alone():
    _, event = read(OPENING + b"<handshake/>")
    assert isinstance(event, xml.Element)
    assert event.tag == f"{{{ns.CLIENT}}}handshake"
    framing = Framing()
    (_, event), error = framing.feed(header(to=None, from_="example.test") + b"<handshake/>")
    assert error is None
    assert isinstance(event, Skipped)


def test_a_stream_of_the_other_kind_is_refused():
    for content, other in ((ns.COMPONENT, ns.CLIENT), (ns.CLIENT, ns.COMPONENT)):
        framing = Framing(content=content)
        _, error = framing.feed(header(to=None, from_="example.test", content=other))
        assert error is not None
        assert error.condition is StreamCondition.INVALID_NAMESPACE


def test_the_parser_can_rest_between_two_stanzas():
    framing = Framing(content=ns.COMPONENT)
    framing.feed(OPENING)
    for _ in range(3):
        framing.release_buffers()
        (event,), error = framing.feed(b"<presence from='a@b'/>")
        assert error is None
        assert event.tag == f"{{{ns.CLIENT}}}presence"
