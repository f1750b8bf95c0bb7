"""SASL2 as values: what is offered, what we say, and what of the answer counts."""

from __future__ import annotations

import base64

import pytest

from trioxmpp import JID, xml
from trioxmpp.errors import AuthenticationFailure, StreamNegotiationFailure
from trioxmpp.protocol import ns, sm
from trioxmpp.protocol.bind2 import Bind
from trioxmpp.protocol.fast import RequestToken
from trioxmpp.protocol.features import parse_features
from trioxmpp.protocol.sasl import Channel, Credentials, MechanismOffer, SASLAttempt, choose
from trioxmpp.protocol.sasl2 import LoginRequests, SASL2Exchange, SASL2Offer, UserAgent

NONCE = "fyko+d2lbbFgONRv9qkxdawL"
SERVER_FIRST = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
SERVER_FINAL = base64.b64encode(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").decode()
PROOF = f"<additional-data>{SERVER_FINAL}</additional-data>"
FULL = "<authorization-identifier>user@example.org/trioxmpp.1</authorization-identifier>"


def said(name: str, inner: str = "") -> xml.Element:
    return xml.fromstring(f"<{name} xmlns='{ns.SASL2}'>{inner}</{name}>")


def attempt() -> SASLAttempt:
    return choose(MechanismOffer(("SCRAM-SHA-1",)), Credentials("user", "pencil"), Channel(secure=True), nonce=NONCE)


def proved() -> SASL2Exchange:
    """A exchange in which the client has proved itself, and the server has not yet."""
    exchange = SASL2Exchange(attempt(), LoginRequests())
    assert not exchange.receive(said("challenge", base64.b64encode(SERVER_FIRST).decode()))
    assert exchange.derivation is not None
    exchange.derived(exchange.derivation.compute())
    assert str(xml.fromstring(exchange.outgoing or "").tag) == f"{{{ns.SASL2}}}response"
    return exchange


def offer(inner: str) -> SASL2Offer | None:
    text = f"<authentication xmlns='{ns.SASL2}'>{inner}</authentication>"
    return parse_features(xml.fromstring(f"<features xmlns='{ns.STREAM}'>{text}</features>")).sasl2


# --- what is offered


def test_an_offer_of_everything() -> None:
    """As Prosody 13 makes it, in this order."""
    found = offer(
        "<mechanism>PLAIN</mechanism><mechanism>SCRAM-SHA-1</mechanism><inline>"
        "<bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/>"
        "<feature var='urn:xmpp:sm:3'/></inline></bind>"
        "<sm xmlns='urn:xmpp:sm:3'/><fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism></fast>"
        "</inline>"
    )
    assert found is not None
    assert found.mechanisms == ("PLAIN", "SCRAM-SHA-1")
    assert found.inline.bind is not None
    assert found.inline.bind.features == {ns.SM, "urn:xmpp:carbons:2", "urn:xmpp:csi:0"}
    assert found.resumes
    assert found.fast == ("HT-SHA-256-NONE",)
    assert not found.counts


def test_an_offer_of_little() -> None:
    found = offer("<mechanism>EXTERNAL</mechanism><what xmlns='urn:x'/>")
    assert found is not None
    assert (found.mechanisms, found.fast, found.resumes, found.inline.bind) == (("EXTERNAL",), (), False, None)
    assert parse_features(xml.fromstring(f"<features xmlns='{ns.STREAM}'/>")).sasl2 is None


def test_a_malformed_offer_does_not_count() -> None:
    twice = "<inline/><inline/>"
    assert offer(twice) is None


# --- what we say


def test_all_requests_go_along() -> None:
    requests = LoginRequests(
        user_agent=UserAgent(id="d4565fa7-4d72-4749-b3d3-740edbf87770", software="trioxmpp"),
        resume=sm.Resume(h=3, previd="sm-1"),
        bind=Bind(tag="trioxmpp", enable=sm.Enable(resume=True, max=60)),
        request_token=RequestToken(mechanism="HT-SHA-256-ENDP"),
    )
    exchange = SASL2Exchange(attempt(), requests)
    first = base64.b64encode(f"n,,n=user,r={NONCE}".encode()).decode()
    expected = (
        f"<authenticate xmlns='{ns.SASL2}' mechanism='SCRAM-SHA-1'><initial-response>{first}</initial-response>"
        "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>trioxmpp</software></user-agent>"
        "<resume xmlns='urn:xmpp:sm:3' h='3' previd='sm-1'/>"
        "<bind xmlns='urn:xmpp:bind:0'><tag>trioxmpp</tag><enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/></bind>"
        "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-ENDP'/></authenticate>"
    )
    assert xml.equal(xml.fromstring(exchange.outgoing or ""), xml.fromstring(expected))


def test_data_of_no_length_is_an_empty_element() -> None:
    credentials = Credentials.external()
    external = choose(MechanismOffer(("EXTERNAL",)), credentials, Channel(secure=True), nonce=NONCE)
    element = xml.fromstring(SASL2Exchange(external, LoginRequests()).outgoing or "")
    initial = element.find(f"{{{ns.SASL2}}}initial-response")
    assert initial is not None
    assert not initial.text


# --- what counts


def test_success_is_believed_when_the_server_has_proved_itself() -> None:
    exchange = proved()
    assert exchange.receive(said("success", f"{PROOF}{FULL}"))
    assert exchange.success is not None
    assert exchange.results("example.org").jid is None  # nothing was bound


@pytest.mark.parametrize("proof", ["", "<additional-data/>", PROOF.replace("dj1ybU", "dj1ybV")])
def test_a_success_without_a_proof_is_refused(proof: str) -> None:
    with pytest.raises(AuthenticationFailure):
        proved().receive(said("success", f"{proof}{FULL}<resumed xmlns='{ns.SM}' h='0' previd='sm-1'/>"))


def test_line_breaks_in_data_do_not_matter() -> None:
    folded = f"<additional-data>\n  {SERVER_FINAL[:10]}\n  {SERVER_FINAL[10:]}\n</additional-data>"
    assert proved().receive(said("success", folded))


def test_bound_and_managed() -> None:
    exchange = proved()
    enabled = f"<enabled xmlns='{ns.SM}' id='sm-2' resume='1' max='2'/>"
    assert exchange.receive(said("success", f"{PROOF}<bound xmlns='{ns.BIND2}'>{enabled}</bound>{FULL}"))
    settled = exchange.results("example.org")
    assert settled.jid == JID.parse("user@example.org/trioxmpp.1")
    assert settled.managed == sm.Enabled(id="sm-2", resumable=True, max=2)
    assert settled.resumption is None


def test_management_refused_in_the_way_of_prosody() -> None:
    exchange = proved()
    failed = (
        f"<failed xmlns='{ns.SM}'><error type='wait'><resource-constraint xmlns='{ns.STANZA_ERRORS}'/></error></failed>"
    )
    exchange.receive(said("success", f"{PROOF}<bound xmlns='{ns.BIND2}'>{failed}</bound>{FULL}"))
    assert exchange.results("example.org").managed == sm.Failed("resource-constraint")


def test_a_failed_resumption_and_a_new_binding_come_together() -> None:
    exchange = proved()
    failed = f"<failed xmlns='{ns.SM}' h='2'><item-not-found xmlns='{ns.STANZA_ERRORS}'/></failed>"
    exchange.receive(said("success", f"{PROOF}{failed}<bound xmlns='{ns.BIND2}'/>{FULL}"))
    settled = exchange.results("example.org")
    assert settled.resumption is not None
    assert sm.parse_failed(settled.resumption) == sm.Failed("item-not-found", 2)
    assert settled.jid is not None
    assert settled.managed is None
    assert not settled.resumed


def test_a_resumed_session_keeps_its_address() -> None:
    """Whatever else the answer says."""
    exchange = proved()
    resumed = f"<resumed xmlns='{ns.SM}' h='2' previd='sm-1'/>"
    exchange.receive(said("success", f"{PROOF}{resumed}<bound xmlns='{ns.BIND2}'/>{FULL}"))
    assert exchange.results("example.org").resumed
    assert exchange.results("example.org").jid is None


@pytest.mark.parametrize(
    "identifier", ["", "user@example.org", "@", "user@exa mple/x", "user@other.example/x", "x" * 9999]
)
def test_an_address_that_cannot_be_ours(identifier: str) -> None:
    exchange = proved()
    inner = f"<authorization-identifier>{identifier}</authorization-identifier>" if identifier else ""
    exchange.receive(said("success", f"{PROOF}<bound xmlns='{ns.BIND2}'/>{inner}"))
    with pytest.raises(StreamNegotiationFailure, match=r"bound|of another domain") as failure:
        exchange.results("example.org")
    assert len(str(failure.value)) < 1000


@pytest.mark.parametrize("identifier", ["user@other.example", "user@other.example/x", "other.example", "@"])
@pytest.mark.parametrize("resumed", [f"<resumed xmlns='{ns.SM}' h='2' previd='sm-1'/>", ""])
def test_an_address_of_another_domain_is_refused_also_where_nothing_was_bound(identifier: str, resumed: str) -> None:
    exchange = proved()
    who = f"<authorization-identifier>{identifier}</authorization-identifier>"
    exchange.receive(said("success", f"{PROOF}{resumed}{who}"))
    with pytest.raises(StreamNegotiationFailure, match="address"):
        exchange.results("example.org")


@pytest.mark.parametrize(
    ("inner", "condition"),
    [
        (f"<bad-weather xmlns='{ns.SASL}'/>", "bad-weather"),
        ("<bad-weather/>", "bad-weather"),
        (f"<more xmlns='urn:x'/><bad-weather xmlns='{ns.SASL}'/>", "bad-weather"),
        (f"<text xmlns='{ns.SASL}'>no</text><aborted xmlns='{ns.SASL}'/>", "aborted"),
        (f"<text xmlns='{ns.SASL}'>no</text>", "not-authorized"),
        ("<more xmlns='urn:x'/>", "not-authorized"),
    ],
)
def test_the_condition_that_the_server_names_is_kept(inner: str, condition: str) -> None:
    with pytest.raises(AuthenticationFailure) as failure:
        proved().receive(said("failure", inner))
    assert failure.value.condition == condition
    assert f"({condition})" in str(failure.value)


def test_a_failure_has_its_condition_in_the_old_namespace() -> None:
    inner = f"<credentials-expired xmlns='{ns.SASL}'/><text>too pencil, too late</text>"
    with pytest.raises(AuthenticationFailure, match="the credentials have expired") as failure:
        proved().receive(said("failure", inner))
    assert failure.value.condition == "credentials-expired"
    assert failure.value.tried == ("SCRAM-SHA-1",)
    assert "pencil" not in str(failure.value)


@pytest.mark.parametrize("inner", ["<additional-data>???</additional-data>", PROOF * 2])
def test_a_malformed_answer(inner: str) -> None:
    with pytest.raises(AuthenticationFailure, match="malformed"):
        proved().receive(said("success", inner))


def test_an_answer_in_the_namespace_of_rfc_6120_is_refused() -> None:
    with pytest.raises(AuthenticationFailure, match="answered the login with"):
        proved().receive(xml.fromstring(f"<success xmlns='{ns.SASL}'>{SERVER_FINAL}</success>"))
