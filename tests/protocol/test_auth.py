"""The elements around SASL, and what the three ways of saying success mean."""

from __future__ import annotations

import base64
import html
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import xml
from trioxmpp.errors import AuthenticationFailure
from trioxmpp.protocol import ns
from trioxmpp.protocol.auth import SASLExchange
from trioxmpp.protocol.sasl import Channel, Credentials, MechanismOffer, choose

NONCE = "fyko+d2lbbFgONRv9qkxdawL"
SERVER_FIRST = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
CLIENT_FINAL = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
SERVER_FINAL = b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="


def element(name: str, data: bytes | None = None, inner: str = "") -> xml.Element:
    text = "" if data is None else base64.b64encode(data).decode() or "="
    return xml.fromstring(f"<{name} xmlns='{ns.SASL}'>{text}{inner}</{name}>")


def said(exchange: SASLExchange) -> tuple[str, bytes]:
    """The element that the client is about to write: its name and its data."""
    assert exchange.outgoing is not None
    spoken = xml.fromstring(exchange.outgoing)
    text = spoken.text or ""
    return str(spoken.tag).removeprefix(f"{{{ns.SASL}}}"), b"" if text == "=" else base64.b64decode(text)


def new(name: str = "SCRAM-SHA-1") -> SASLExchange:
    credentials = Credentials("user", "pencil", allow_plain=True)
    return SASLExchange(choose(MechanismOffer((name,)), credentials, Channel(secure=True), nonce=NONCE))


def proved() -> SASLExchange:
    """A exchange in which the client has proved itself, and the server has not yet."""
    exchange = new()
    assert said(exchange) == ("auth", b"n,,n=user,r=" + NONCE.encode())
    assert not exchange.receive(element("challenge", SERVER_FIRST))
    assert exchange.outgoing is None
    assert exchange.derivation is not None
    exchange.derived(exchange.derivation.compute())
    assert said(exchange) == ("response", CLIENT_FINAL)
    return exchange


@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
def test_auth_names_the_mechanism(name: str) -> None:
    assert xml.fromstring(new(name).outgoing or "").get("mechanism") == name


def test_success_with_data() -> None:
    exchange = proved()
    assert exchange.receive(element("success", SERVER_FINAL))
    assert exchange.outgoing is None


def test_the_last_message_as_a_challenge_and_then_an_empty_success() -> None:
    exchange = proved()
    assert not exchange.receive(element("challenge", SERVER_FINAL))
    assert said(exchange) == ("response", b"")
    assert exchange.receive(element("success"))


def test_after_the_last_message_success_may_say_that_it_is_empty() -> None:
    exchange = proved()
    exchange.receive(element("challenge", SERVER_FINAL))
    assert exchange.receive(element("success", b""))


@pytest.mark.parametrize("data", [None, b"", b"v=AAAA", SERVER_FIRST, SERVER_FINAL])
def test_success_before_anything_was_proved(data: bytes | None) -> None:
    with pytest.raises(AuthenticationFailure):
        new().receive(element("success", data))


@pytest.mark.parametrize("data", [None, b"", b"v=", b"v=AAAA", SERVER_FINAL[:-1], b"e=invalid-proof"])
def test_success_without_a_proof_is_a_failure(data: bytes | None) -> None:
    with pytest.raises(AuthenticationFailure) as caught:
        proved().receive(element("success", data))
    assert caught.value.condition is None
    assert "pencil" not in str(caught.value)


def test_a_success_without_data_is_explained() -> None:
    with pytest.raises(AuthenticationFailure, match="let us in before it had proved who it is"):
        proved().receive(element("success"))
    with pytest.raises(AuthenticationFailure, match="let us in before it had proved who it is"):
        new().receive(element("success"))


@pytest.mark.parametrize("bad", [b"garbage", b"e=unknown-user", b""])
def test_no_success_after_a_failure(bad: bytes) -> None:
    """An ended generator must not look like one that is satisfied."""
    exchange = new()
    with pytest.raises(AuthenticationFailure):
        exchange.receive(element("challenge", bad))
    with pytest.raises(RuntimeError):
        exchange.receive(element("success"))


def test_no_success_after_the_server_said_failure() -> None:
    exchange = new("PLAIN")
    with pytest.raises(AuthenticationFailure):
        exchange.receive(element("failure"))
    with pytest.raises(RuntimeError):
        exchange.receive(element("success"))


def test_an_answer_is_never_taken_for_the_key() -> None:
    exchange = new()
    exchange.receive(element("challenge", SERVER_FIRST))
    with pytest.raises(RuntimeError):
        exchange.receive(element("challenge", b"\0" * 20))


def test_a_server_that_does_not_stop_challenging() -> None:
    exchange = proved()
    exchange.receive(element("challenge", SERVER_FINAL))
    with pytest.raises(AuthenticationFailure, match="another message after the last"):
        exchange.receive(element("challenge", b""))


def test_plain() -> None:
    exchange = new("PLAIN")
    assert said(exchange) == ("auth", b"\0user\0pencil")
    assert exchange.receive(element("success"))
    assert "pencil" not in repr(exchange)


@pytest.mark.parametrize("text", ["QUJ", "====", "QQ==QQ==", "é", "%", "==", "= ="])
def test_base64_is_strict(text: str) -> None:
    for name in ("challenge", "success"):
        with pytest.raises(AuthenticationFailure, match="base64") as caught:
            new().receive(xml.fromstring(f"<{name} xmlns='{ns.SASL}'>{text}</{name}>"))
        assert caught.value.condition is None


@pytest.mark.parametrize("around", ["{}", "\n  {}\n", " {}", "{}\t"])
def test_white_space_around_a_message_is_ignored(around: str) -> None:
    """As in SASL2, and as between the lines of long base64."""

    def spaced(name: str, data: bytes) -> xml.Element:
        text = around.format(base64.b64encode(data).decode() or "=")
        return xml.fromstring(f"<{name} xmlns='{ns.SASL}'>{text[:9]}\n{text[9:]}</{name}>")

    exchange = new()
    assert not exchange.receive(spaced("challenge", SERVER_FIRST))
    assert exchange.derivation is not None
    exchange.derived(exchange.derivation.compute())
    assert exchange.receive(spaced("success", SERVER_FINAL))
    for nothing in ("", " \n", "=", " =\n"):
        exchange = proved()
        exchange.receive(element("challenge", SERVER_FINAL))
        assert exchange.receive(xml.fromstring(f"<success xmlns='{ns.SASL}'>{nothing}</success>"))


SECRETS = ["pencil", "a", "ab", "abc", "r0m30 & <juliet>'s", "pass\U0001f600wort", "x" * 300, "100%+/="]


def repeated(user: str, secret: str) -> dict[str, str]:
    """Forms in which a server may repeat the secret, by the encoding."""
    message = f"\0{user}\0{secret}".encode()
    encoded = base64.b64encode(message).decode()
    return {
        "plain": secret,
        "the message": message.decode().replace("\0", " "),
        "the message in base64": encoded,
        "in base64 without padding": encoded.rstrip("="),
        "in base64 of URLs": base64.urlsafe_b64encode(message).decode(),
        "in lines": "\n".join(encoded[start : start + 19] for start in range(0, len(encoded), 19)),
        "the element": f"<auth mechanism='PLAIN'>{encoded}</auth>",
        "escaped": html.escape(secret),
    }


@pytest.mark.parametrize("secret", SECRETS)
def test_a_password_is_not_shown_in_any_encoding_that_a_server_repeats(secret: str) -> None:
    shown = []
    for user in ("user", "users", "a user"):
        for encoding, text in repeated(user, secret).items():
            credentials = Credentials(user, secret, allow_plain=True)
            attempt = choose(MechanismOffer(("PLAIN",)), credentials, Channel(secure=True), nonce=NONCE)
            exchange = SASLExchange(attempt)
            inner = f"<text>{xml.escape(f'you sent {text} :-(')}</text>"
            with pytest.raises(AuthenticationFailure) as caught:
                exchange.receive(element("failure", inner=inner))
            told = str(caught.value).partition("sent ")[2].rpartition(" :-(")[0]
            if text in told or "…" not in told:
                shown.append((user, encoding, told))
    assert not shown


@pytest.mark.parametrize("secret", [secret for secret in SECRETS if len(secret) > 2])
def test_a_password_is_not_shown_by_part_of_a_message(secret: str) -> None:
    """Whatever stands before and after it in what was encoded."""
    credentials, octets = Credentials("user", secret), secret.encode()
    for before in range(7):
        for after in range(4):
            message = b"-" * before + octets + b"+" * after
            for text in (base64.b64encode(message).decode(), message.hex(), message.hex(":").upper(), quote(message)):
                assert text not in credentials.hide(f"<{text}>"), text
                assert credentials.hide(f"<{text}>")[0] == "<"


def test_a_text_without_secrets_is_shown_unchanged() -> None:
    text = "You are banned until 2026-12-01T00:00:00Z because of spam; ask admin@example.org, ticket YWJjZGVmZ2hp"
    assert Credentials("user", "pencil").hide(text) == text


def test_a_long_text_does_not_take_long_to_clean() -> None:
    """One word of base64 with very many possible ends: the work must not be quadratic."""
    text = (base64.b64encode(b"pencil").decode()[:5] * 40_000) + " " * 100_000
    assert len(Credentials("user", "pencil").hide(text)) == len(text)


CONDITIONS = {
    "aborted": "given up",
    "account-disabled": "account is disabled",
    "credentials-expired": "expired",
    "encryption-required": "TLS first",
    "incorrect-encoding": "a bug",
    "invalid-authzid": "may not act as",
    "invalid-mechanism": "mechanism that it offered",
    "malformed-request": "a bug",
    "mechanism-too-weak": "stronger mechanism",
    "not-authorized": "check the address and the password",
    "temporary-auth-failure": "try again later",
    "bad-weather": "check the address and the password",
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_failure_has_its_condition_and_advice(condition: str) -> None:
    inner = f"<{condition}/><text xml:lang='en'>Sorry,\n\u009b31m Romeo</text>"
    with pytest.raises(AuthenticationFailure, match=CONDITIONS[condition]) as caught:
        new().receive(element("failure", inner=inner))
    assert caught.value.condition == condition
    assert f"({condition}: Sorry,  31m Romeo)" in str(caught.value)


@pytest.mark.parametrize(
    ("inner", "condition"),
    [
        ("", "not-authorized"),
        ("<text>no</text>", "not-authorized"),
        ("<text>no</text><aborted/>", "aborted"),
        ("<aborted/><more xmlns='urn:x'/>", "aborted"),
        ("<more xmlns='urn:x'/>", "not-authorized"),
        ("<aborted/><not-authorized/>", "aborted"),
    ],
)
def test_the_condition_is_an_element_of_sasl(inner: str, condition: str) -> None:
    with pytest.raises(AuthenticationFailure) as caught:
        new().receive(element("failure", inner=inner))
    assert caught.value.condition == condition


@pytest.mark.parametrize("text", ["<a xmlns='urn:x'/>", f"<proceed xmlns='{ns.TLS}'/>", "<success xmlns='urn:x'/>"])
def test_any_other_element_is_refused(text: str) -> None:
    with pytest.raises(AuthenticationFailure, match="answered the login with"):
        new().receive(xml.fromstring(text))


def test_credentials_that_cannot_be_used_fail_at_once() -> None:
    with pytest.raises(AuthenticationFailure, match="empty"):
        SASLExchange(choose(MechanismOffer(("SCRAM-SHA-1",)), Credentials("", "x"), Channel(), nonce=NONCE))


STEPS = st.tuples(
    st.sampled_from(["challenge", "success", "failure", "response", "auth"]),
    st.none() | st.binary(max_size=40) | st.sampled_from([SERVER_FIRST, SERVER_FINAL]),
)


@given(st.sampled_from(["SCRAM-SHA-1", "SCRAM-SHA-256"]), st.lists(STEPS, max_size=5))
def test_only_the_proof_of_a_server_makes_a_login_succeed(name: str, steps: list[tuple[str, bytes | None]]) -> None:
    exchange, answers = new(name), []
    try:
        for kind, data in steps:
            answers.append(data)
            if exchange.receive(element(kind, data)):
                break
            if exchange.derivation is not None:
                exchange.derived(exchange.derivation.compute())
        else:
            return
    except AuthenticationFailure:
        return
    assert answers[:2] == [SERVER_FIRST, SERVER_FINAL]
    assert name == "SCRAM-SHA-1"
