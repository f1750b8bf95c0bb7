"""Stream features as real servers send them, and as odd ones do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import xml
from trioxmpp.protocol import ns, starttls
from trioxmpp.protocol.features import StreamFeatures, parse_features


def features(inner: str) -> StreamFeatures:
    return parse_features(xml.fromstring(f"<stream:features xmlns:stream='{ns.STREAM}'>{inner}</stream:features>"))


def test_nothing_is_offered() -> None:
    assert features("") == StreamFeatures()


@pytest.mark.parametrize(
    ("inner", "required"), [("", False), ("<required/>", True), ("<required xmlns='u:x'/>", False)]
)
def test_starttls(inner: str, required: bool) -> None:
    found = features(f"<starttls xmlns='{ns.TLS}'>{inner}</starttls>")
    assert (found.starttls, found.starttls_required) == (True, required)


def test_no_types_of_channel_binding_are_something_else_than_none_at_all() -> None:
    assert features("").channel_bindings is None
    assert features("<sasl-channel-binding xmlns='u:x'/>").channel_bindings is None
    announced = "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>{}</sasl-channel-binding>"
    assert features(announced.format("")).channel_bindings == ()
    types = "<channel-binding type='b'/><channel-binding/><x type='c'/><channel-binding type='a'/>"
    assert features(announced.format(types)).channel_bindings == ("b", "a")


def test_mechanisms_in_the_order_of_the_server() -> None:
    found = features(
        f"<mechanisms xmlns='{ns.SASL}'><mechanism>PLAIN</mechanism><mechanism/><mechanism>\n SCRAM-SHA-1\n</mechanism>"
        "<hostname xmlns='urn:xmpp:domain-based-name:1'>h</hostname></mechanisms>"
        "<mechanisms xmlns='urn:x'><mechanism>ANONYMOUS</mechanism></mechanisms>"
    )
    assert found.mechanisms == ("PLAIN", "SCRAM-SHA-1")


@pytest.mark.parametrize(
    ("inner", "required"),
    [
        ("", False),
        (f"<session xmlns='{ns.SESSION}'/>", True),
        (f"<session xmlns='{ns.SESSION}'><required/></session>", True),
        (f"<session xmlns='{ns.SESSION}'><optional/></session>", False),
    ],
)
def test_the_legacy_session(inner: str, required: bool) -> None:
    assert features(inner).session_required is required


@pytest.mark.parametrize(("namespace", "sm"), [("urn:xmpp:sm:3", True), ("urn:xmpp:sm:2", False)])
def test_stream_management(namespace: str, sm: bool) -> None:
    assert features(f"<sm xmlns='{namespace}'/>").sm is sm


def test_after_the_login() -> None:
    """As ejabberd 26.07 and Prosody 13 send them."""
    found = features(
        f"<bind xmlns='{ns.BIND}'><required/></bind><session xmlns='{ns.SESSION}'><optional/></session>"
        "<csi xmlns='urn:xmpp:csi:0'/><sm xmlns='urn:xmpp:sm:2'/><sm xmlns='urn:xmpp:sm:3'/>"
        "<ver xmlns='urn:xmpp:features:rosterver'/>"
    )
    assert found.bind
    assert found.sm
    assert not found.session_required
    assert not found.starttls
    assert found.has("{urn:xmpp:csi:0}csi")
    assert found.has("{urn:xmpp:features:rosterver}ver")
    assert not found.has("{urn:xmpp:csi:0}ver")


OFFERS = [
    f"<starttls xmlns='{ns.TLS}'><required/></starttls>",
    f"<mechanisms xmlns='{ns.SASL}'><mechanism>PLAIN</mechanism></mechanisms>",
    f"<bind xmlns='{ns.BIND}'/>",
    f"<session xmlns='{ns.SESSION}'/>",
    f"<sm xmlns='{ns.SM}'/>",
    "<whatever xmlns='urn:x'><deep><bind/></deep>text</whatever>",
    " ",
]


@given(st.permutations(OFFERS))
def test_their_order_means_nothing(offers: list[str]) -> None:
    assert features("".join(offers)) == features("".join(OFFERS))


def test_the_nonzas_of_starttls() -> None:
    assert xml.fromstring(starttls.REQUEST).tag == f"{{{ns.TLS}}}starttls"
    assert xml.fromstring(f"<proceed xmlns='{ns.TLS}'/>").tag == starttls.PROCEED
    assert xml.fromstring(f"<failure xmlns='{ns.TLS}'/>").tag == starttls.FAILURE
