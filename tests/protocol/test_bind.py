"""Binding a resource, the session of old, and ping: what is written, and what is read."""

from __future__ import annotations

import pytest

from trioxmpp import xml
from trioxmpp.errors import ElementError
from trioxmpp.jid import JID
from trioxmpp.protocol import ns
from trioxmpp.protocol.bind import Bind, Bound, LegacySession
from trioxmpp.protocol.elements.ping import Ping
from trioxmpp.protocol.stanza import IQ, IQType


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (Bind(), f"<bind xmlns='{ns.BIND}'/>"),
        (Bind(resource="balcony"), f"<bind xmlns='{ns.BIND}'><resource>balcony</resource></bind>"),
        (Bind(resource="<&"), f"<bind xmlns='{ns.BIND}'><resource>&lt;&amp;</resource></bind>"),
        (LegacySession(), f"<session xmlns='{ns.SESSION}'/>"),
        (Ping(), "<ping xmlns='urn:xmpp:ping'/>"),
    ],
)
def test_what_is_written(payload: object, expected: str) -> None:
    assert xml.equal(xml.fromstring(xml.serialise(payload)), xml.fromstring(expected))


@pytest.mark.parametrize("payload", [Bind(), LegacySession()])
def test_they_go_out_in_a_set(payload: object) -> None:
    stanza = xml.fromstring(IQ(type=IQType.SET, payload=payload, id="1").serialise())
    assert stanza.get("type") == "set"
    assert stanza[0].tag == xml.tag_of(type(payload))


def bound(inner: str) -> JID:
    return xml.parse(Bound, xml.fromstring(f"<bind xmlns='{ns.BIND}'>{inner}</bind>")).jid


def test_the_jid_is_what_the_server_says() -> None:
    assert bound("<jid>juliet@im.example.com/4db06f06</jid>") == JID.parse("juliet@im.example.com/4db06f06")


@pytest.mark.parametrize(
    "inner", ["", "<jid/>", "<jid>@x</jid>", "<resource>x</resource>", "<jid xmlns='u:x'>a@b/c</jid>"]
)
def test_a_server_that_does_not_say_it(inner: str) -> None:
    with pytest.raises(ElementError):
        bound(inner)
