"""EXTERNAL, ANONYMOUS and OAUTHBEARER; and what a client keeps in mind between logins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import xml
from trioxmpp.errors import AuthenticationFailure
from trioxmpp.jid import JID
from trioxmpp.protocol import ns
from trioxmpp.protocol.auth import SASLExchange
from trioxmpp.protocol.loginstate import LoginState
from trioxmpp.protocol.sasl import (
    Channel,
    Credentials,
    CredentialsKind,
    Derivation,
    MechanismOffer,
    SASLAttempt,
    Strength,
    choose,
)

OFFER = MechanismOffer(("EXTERNAL", "ANONYMOUS", "OAUTHBEARER", "PLAIN"))
TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="  # RFC 7628 §4.1


def attempt(credentials: Credentials) -> SASLAttempt:
    return choose(OFFER, credentials, Channel(True), nonce="n")


def said(credentials: Credentials) -> str:
    outgoing = SASLExchange(attempt(credentials)).outgoing
    assert outgoing is not None
    return xml.fromstring(outgoing).text or ""


def element(name: str, text: str) -> xml.Element:
    return xml.fromstring(f"<{name} xmlns='{ns.SASL}'>{text}</{name}>")


def test_external_sends_no_identity_unless_one_was_given() -> None:
    assert said(Credentials.external()) == "="  # XEP-0178 §3, as for one address
    assert said(Credentials.external("juliet@example.com")) == "anVsaWV0QGV4YW1wbGUuY29t"  # as for several
    assert said(Credentials.external(JID.parse("juliet@example.com"))) == "anVsaWV0QGV4YW1wbGUuY29t"


@pytest.mark.parametrize(("authzid", "advised"), [(None, True), ("juliet@example.com", False)])
def test_external_advises_to_give_an_identity_if_that_was_missing(authzid: str | None, advised: bool) -> None:
    exchange = SASLExchange(attempt(Credentials.external(authzid)))
    with pytest.raises(AuthenticationFailure) as failure:
        exchange.receive(element("failure", "<invalid-authzid/>"))
    assert failure.value.condition == "invalid-authzid"
    assert failure.value.tried == ("EXTERNAL",)
    assert failure.value.offered == OFFER.mechanisms
    assert ("which of the certificate's addresses" in str(failure.value)) is advised


@pytest.mark.parametrize("authzid", ["a\0b", "\ud800"])
def test_external_refuses_an_identity_that_is_no_address(authzid: str) -> None:
    with pytest.raises(AuthenticationFailure, match="an address cannot have"):
        said(Credentials.external(authzid))


def test_anonymous_leaves_no_trace() -> None:
    assert said(Credentials.anonymous()) == "="


@pytest.mark.parametrize("credentials", [Credentials.anonymous(), Credentials.external(), Credentials.oauth(TOKEN)])
def test_success_is_success(credentials: Credentials) -> None:
    assert SASLExchange(attempt(credentials)).receive(element("success", ""))


def test_oauthbearer() -> None:
    mechanism = attempt(Credentials.oauth(TOKEN, "user@example.com")).mechanism
    assert next(mechanism) == b"n,a=user@example.com,\x01auth=Bearer %s\x01\x01" % TOKEN.encode()
    assert next(attempt(Credentials.oauth(TOKEN)).mechanism) == b"n,,\x01auth=Bearer %s\x01\x01" % TOKEN.encode()
    assert next(attempt(Credentials.oauth("t", "a,b=c")).mechanism) == b"n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01"


@pytest.mark.parametrize("token", ["", "two words", "a\x01host=evil", "ä", "a=b", "\ud800"])
def test_text_that_cannot_be_a_token_is_not_sent(token: str) -> None:
    with pytest.raises(AuthenticationFailure, match="cannot be an access token") as failure:
        said(Credentials.oauth(token))
    assert not token or token not in str(failure.value)


def test_the_refusal_of_a_token_is_answered_and_told() -> None:
    exchange = SASLExchange(attempt(Credentials.oauth(TOKEN)))
    complaint = "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIn0="  # RFC 7628 §4.3, shortened
    assert not exchange.receive(element("challenge", complaint))
    assert exchange.outgoing is not None
    assert xml.fromstring(exchange.outgoing).text == "AQ=="
    with pytest.raises(AuthenticationFailure, match=r"\(not-authorized\).*; the token: invalid_token") as failure:
        exchange.receive(element("failure", "<not-authorized/>"))
    assert failure.value.condition == "not-authorized"
    assert failure.value.tried == ("OAUTHBEARER",)


@given(st.binary(max_size=60) | st.sampled_from([b"[]", b"{}", b"1", b'{"status": {}}', b"[" * 5000]))
def test_any_refusal_of_a_token_is_a_failure(complaint: bytes) -> None:
    mechanism = attempt(Credentials.oauth(TOKEN)).mechanism
    next(mechanism)
    assert mechanism.send(complaint) == b"\x01"
    with pytest.raises(AuthenticationFailure, match="and then accepted the login"):
        mechanism.send(None)


@pytest.mark.parametrize(
    ("credentials", "mechanism"), [(Credentials.oauth(TOKEN), "OAUTHBEARER"), (Credentials("u", TOKEN), "PLAIN")]
)
def test_a_server_that_repeats_the_secret_does_not_bring_it_into_a_log(
    credentials: Credentials, mechanism: str
) -> None:
    if credentials.kind is CredentialsKind.PASSWORD:
        credentials = Credentials("u", TOKEN, allow_plain=True)
    exchange = SASLExchange(attempt(credentials))
    with pytest.raises(AuthenticationFailure, match="who would take …!") as failure:
        exchange.receive(element("failure", f"<not-authorized/><text>who would take {TOKEN}!</text>"))
    assert failure.value.tried == (mechanism,)
    assert TOKEN not in repr(failure.value)
    assert TOKEN not in repr(credentials)
    assert TOKEN not in repr(attempt(credentials))


@pytest.mark.parametrize(
    ("condition", "retry"), [("temporary-auth-failure", True), ("not-authorized", False), ("account-disabled", False)]
)
def test_whether_trying_again_can_help_is_told(condition: str, retry: bool) -> None:
    exchange = SASLExchange(attempt(Credentials.anonymous()))
    with pytest.raises(AuthenticationFailure) as failure:
        exchange.receive(element("failure", f"<{condition}/>"))
    assert failure.value.retry is retry


# --- what is kept in mind


def derivation(salt: bytes, password: bytes = b"pencil") -> Derivation:
    return Derivation("sha1", password, salt, 4096)


def test_a_key_is_known_for_the_very_same_derivation_only() -> None:
    memory = LoginState()
    memory.record_success(Strength.PROVED, {derivation(b"salt"): b"key"})
    assert memory.key(derivation(b"salt")) == b"key"
    assert memory.key(derivation(b"pepper")) is None
    assert memory.key(derivation(b"salt", b"pen")) is None
    assert memory.key(Derivation("sha1", b"pencil", b"salt", 4097)) is None
    assert memory.key(Derivation("sha256", b"pencil", b"salt", 4096)) is None
    assert "key'" not in repr(memory)


def test_few_keys_are_kept_the_newest() -> None:
    memory = LoginState()
    for number in range(1000):
        memory.record_success(Strength.PROVED, {derivation(b"%d" % number): b"%d" % number})
    assert memory.key(derivation(b"999")) == b"999"
    assert sum(memory.key(derivation(b"%d" % number)) is not None for number in range(1000)) <= 4


def test_strength_is_remembered_and_does_not_fall() -> None:
    memory = LoginState()
    assert memory.strength is None
    for strength, best in [
        (Strength.DISCLOSED, Strength.DISCLOSED),
        (Strength.BOUND, Strength.BOUND),
        (Strength.PROVED, Strength.BOUND),
    ]:
        memory.record_success(strength)
        assert memory.strength is best
