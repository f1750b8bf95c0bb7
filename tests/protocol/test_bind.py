"""Binding a resource, the session of old, and ping: what is written, and what is read."""

from __future__ import annotations

import pytest

from trioxmpp import xml
from trioxmpp.errors import ElementError, StreamNegotiationFailure
from trioxmpp.jid import JID
from trioxmpp.protocol import ns
from trioxmpp.protocol.bind import Bind, Bound, LegacySession, check_bound, parse_bound
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
def test_the_requests_are_written(payload: object, expected: str) -> None:
    assert xml.equal(xml.fromstring(xml.serialise(payload)), xml.fromstring(expected))


@pytest.mark.parametrize("payload", [Bind(), LegacySession()])
def test_the_requests_go_out_in_a_set(payload: object) -> None:
    stanza = xml.fromstring(IQ(type=IQType.SET, payload=payload, id="1").serialise())
    assert stanza.get("type") == "set"
    assert stanza[0].tag == xml.tag_of(type(payload))


def bound(inner: str) -> JID:
    return xml.parse(Bound, xml.fromstring(f"<bind xmlns='{ns.BIND}'>{inner}</bind>")).jid


def test_the_jid_is_the_one_that_the_server_tells() -> None:
    assert bound("<jid>juliet@im.example.com/4db06f06</jid>") == JID.parse("juliet@im.example.com/4db06f06")


@pytest.mark.parametrize(
    "inner", ["", "<jid/>", "<jid>@x</jid>", "<resource>x</resource>", "<jid xmlns='u:x'>a@b/c</jid>"]
)
def test_an_answer_without_a_jid_is_refused(inner: str) -> None:
    with pytest.raises(ElementError):
        bound(inner)


def test_an_address_of_ours_is_taken() -> None:
    element = xml.fromstring(f"<bind xmlns='{ns.BIND}'><jid>romeo@example.test/my phone</jid></bind>")
    assert parse_bound(element, "example.test") == JID("romeo", "example.test", "my phone")
    assert check_bound("guest-7@EXAMPLE.test/x", "example.test") == JID("guest-7", "example.test", "x")


WRONG = {
    "romeo@other.test/x": "of another domain",
    "romeo@sub.example.test/x": "of another domain",
    "example.test.evil.test/x": "of another domain",
    "romeo@example.test": "without a resource",
    "example.test": "without a resource",
    "\n romeo@example.test/x\n": "white space around it",
    "romeo@example.test/x ": "white space around it",
    "romeo@example.test/\u00a0": "white space around it",
    "ro meo@example.test/x": "does not tell what it bound",
    "": "does not tell what it bound",
    "@" * 5000: "does not tell what it bound",
    "romeo@\U0001f600.test/\u202e" + "x" * 900: "does not tell what it bound",
}


@pytest.mark.parametrize("text", WRONG)
def test_an_address_that_is_not_ours_is_refused(text: str) -> None:
    element = xml.fromstring(f"<bind xmlns='{ns.BIND}'><jid>{text}</jid></bind>")
    for check in (lambda: check_bound(text, "example.test"), lambda: parse_bound(element, "example.test")):
        with pytest.raises(StreamNegotiationFailure, match=WRONG[text]) as failure:
            check()
        assert len(str(failure.value)) < 700
        assert str(failure.value).isprintable()


@pytest.mark.parametrize("inner", ["", "<jid/>", "<jid xmlns='u:x'>a@example.test/c</jid>", None])
def test_a_server_that_tells_no_address_is_refused(inner: str | None) -> None:
    element = None if inner is None else xml.fromstring(f"<bind xmlns='{ns.BIND}'>{inner}</bind>")
    with pytest.raises(StreamNegotiationFailure, match="does not tell what it bound"):
        parse_bound(element, "example.test")
