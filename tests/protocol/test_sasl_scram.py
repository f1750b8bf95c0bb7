"""SCRAM against the vectors of its RFCs, against a server of our own, and against servers that mean ill."""

from __future__ import annotations

import base64
import hashlib
import hmac
import traceback
from dataclasses import dataclass

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from trioxmpp.errors import AuthenticationFailure
from trioxmpp.protocol.sasl import Credentials, Derivation, Mechanism
from trioxmpp.protocol.sasl.saslprep import prepare_password, saslprep
from trioxmpp.protocol.sasl.scram import scram

ALGORITHMS = ["sha1", "sha256", "sha512"]
NONCE = "fyko+d2lbbFgONRv9qkxdawL"
PENCIL = Credentials("user", "pencil")

VECTORS = {
    "RFC 5802 §5": (
        "sha1",
        "fyko+d2lbbFgONRv9qkxdawL",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "RFC 7677 §3": (
        "sha256",
        "rOprNGfwEbeRWgbNEkqO",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


def say(mechanism: Mechanism, message: bytes | None) -> bytes | None:
    """The client's answer, with its arithmetic done; None once the client is satisfied."""
    try:
        answer = mechanism.send(message)
        while isinstance(answer, Derivation):
            answer = mechanism.send(answer.compute())
    except StopIteration:
        return None
    return answer


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_rfcs(name: str) -> None:
    algorithm, nonce, client_first, server_first, client_final, server_final = VECTORS[name]
    mechanism = scram(algorithm, PENCIL, nonce)
    assert next(mechanism) == client_first
    assert say(mechanism, server_first) == client_final
    assert say(mechanism, server_final) is None


@dataclass
class Server:
    """The server's side of RFC 5802 §3, written from its formulas."""

    algorithm: str
    password: str
    salt: bytes = b"salt"
    iterations: int = 4096
    suffix: bytes = b"3rfcNHYJ"
    extensions: bytes = b""

    def mac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self.algorithm)

    def first(self, client_first: bytes) -> bytes:
        self.gs2, self.bare = client_first[: client_first.index(b",n=") + 1], client_first.split(b",", 2)[2]
        self.nonce = self.bare.split(b",r=")[1] + self.suffix
        salt = base64.b64encode(self.salt)
        self.said = b"r=%s,s=%s,i=%d%s" % (self.nonce, salt, self.iterations, self.extensions)
        return self.said

    def final(self, client_final: bytes) -> bytes:
        unproven, _, proof = client_final.rpartition(b",p=")
        assert unproven == b"c=%s,r=%s" % (base64.b64encode(self.gs2), self.nonce)
        exchange = b",".join([self.bare, self.said, unproven])
        salted = hashlib.pbkdf2_hmac(self.algorithm, self.password.encode(), self.salt, self.iterations)
        stored_key = hashlib.new(self.algorithm, self.mac(salted, b"Client Key")).digest()
        signature = self.mac(stored_key, exchange)
        client_key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.new(self.algorithm, client_key).digest() != stored_key:
            return b"e=invalid-proof"
        return b"v=" + base64.b64encode(self.mac(self.mac(salted, b"Server Key"), exchange))


def passwords() -> st.SearchStrategy[str]:
    """Texts that SASLprep can prepare."""

    def preparable(text: str) -> bool:
        try:
            saslprep(text, stored=True)
        except ValueError:
            return False
        return True

    return st.text(min_size=1, max_size=20).filter(preparable)


@given(
    algorithm=st.sampled_from(ALGORITHMS),
    authcid=st.text("abcxyz019.,=-", min_size=1, max_size=12),
    authzid=st.none() | st.text("abc,=@.", min_size=1, max_size=12),
    password=passwords(),
    salt=st.binary(min_size=1, max_size=40),
    iterations=st.integers(1, 40),
    extensions=st.sampled_from([b"", b",x=1", b",d=abc,h=QUJD", b",t=\xff\xfe"]),
)
def test_server_and_client_convince_each_other(
    algorithm: str,
    authcid: str,
    authzid: str | None,
    password: str,
    salt: bytes,
    iterations: int,
    extensions: bytes,
) -> None:
    mechanism = scram(algorithm, Credentials(authcid, password, authzid), NONCE, min_iterations=1)
    server = Server(algorithm, saslprep(password), salt, iterations, extensions=extensions)
    client_first = next(mechanism)
    assert isinstance(client_first, bytes)
    client_final = say(mechanism, server.first(client_first))
    assert client_final is not None
    assert say(mechanism, server.final(client_final)) is None


def after_first(**changes: bytes | int) -> tuple[Mechanism, Server, bytes]:
    """A client that has sent its first message, a server with these peculiarities, and the server's answer."""
    mechanism, server = scram("sha1", PENCIL, NONCE), Server("sha1", "pencil", **changes)  # type: ignore[arg-type]
    client_first = next(mechanism)
    assert isinstance(client_first, bytes)
    return mechanism, server, server.first(client_first)


def after_final() -> tuple[Mechanism, bytes]:
    """A client that has proved itself, and what an honest server says to that."""
    mechanism, server, server_first = after_first()
    client_final = say(mechanism, server_first)
    assert client_final is not None
    return mechanism, server.final(client_final)


def test_a_wrong_password_proves_nothing() -> None:
    mechanism, server = scram("sha1", Credentials("user", "pen"), NONCE), Server("sha1", "pencil")
    client_first = next(mechanism)
    assert isinstance(client_first, bytes)
    client_final = say(mechanism, server.first(client_first))
    assert client_final is not None
    with pytest.raises(AuthenticationFailure, match="invalid-proof"):
        say(mechanism, server.final(client_final))


def test_authzid_and_names_are_escaped_and_bound() -> None:
    mechanism = scram("sha1", Credentials("a=b,c", "p", authzid="d,e=f"), NONCE)
    assert next(mechanism) == b"n,a=d=2Ce=3Df,n=a=3Db=2Cc,r=" + NONCE.encode()


@pytest.mark.parametrize("iterations", [4096, 10_000_000])
def test_the_bounds_of_the_iteration_count_are_inside(iterations: int) -> None:
    mechanism, _, server_first = after_first(iterations=iterations)
    derivation = mechanism.send(server_first)
    assert isinstance(derivation, Derivation)
    assert derivation.iterations == iterations


@pytest.mark.parametrize("iterations", [1, 4095, 10_000_001, 2**31, 9_999_999_999])
def test_too_few_or_too_many_iterations_are_not_computed(iterations: int) -> None:
    mechanism, _, server_first = after_first(iterations=iterations)
    with pytest.raises(AuthenticationFailure, match="we accept 4096 to 10000000"):
        mechanism.send(server_first)


def test_the_bounds_are_arguments() -> None:
    mechanism = scram("sha1", PENCIL, NONCE, min_iterations=10_000, max_iterations=20_000)
    next(mechanism)
    with pytest.raises(AuthenticationFailure, match="we accept 10000 to 20000"):
        mechanism.send(f"r={NONCE}x,s=QUJD,i=4096".encode())


@pytest.mark.parametrize(
    ("server_first", "why"),
    [
        (b"", "malformed"),
        (b"r=%(n)sx,s=QUJD", "malformed"),
        (b"s=QUJD,r=%(n)sx,i=4096", "malformed"),
        (b"r=%(n)sx,s=QUJD,i=04096", "malformed"),
        (b"r=%(n)sx,s=QUJD,i=0", "malformed"),
        (b"r=%(n)sx,s=QUJD,i=-4096", "malformed"),
        (b"r=%(n)sx,s=QUJD,i=+4096", "malformed"),
        (b"r=%(n)sx,s=QUJD,i=4_096", "malformed"),
        (b"r=%(n)sx,s=QUJD,i=4096 ", "malformed"),
        (b"r=%(n)sx,s=QUJD,i=4096\n", "malformed"),
        (b"r=%(n)sx,s=QUJD,i=99999999999", "malformed"),
        (b"r=%(n)sx,s=,i=4096", "malformed"),
        (b"r=%(n)sx,s=Q\nUJD,i=4096", "malformed"),
        (b"r=%(n)sx,s=QUJ,i=4096", "not base64"),
        (b"r=%(n)sx,s====,i=4096", "not base64"),
        (b"r=%(n)sx,s=QQ==QQ==,i=4096", "not base64"),
        (b"r=%(n)s\x7f,s=QUJD,i=4096", "malformed"),
        (b"r=%(n)s,s=QUJD,i=4096", "did not extend"),
        (b"r=x%(n)s,s=QUJD,i=4096", "did not extend"),
        (b"r=other,s=QUJD,i=4096", "did not extend"),
        (b"m=x,r=%(n)sx,s=QUJD,i=4096", "extension"),
        (b"r=%(n)sx,s=QUJD,i=4096,m=x", "extension"),
        (b"e=unknown-user", "unknown-user"),
        (b"e=unknown-user,x=1", r"\(unknown-user\)"),
        (b"e=\x1b[2J\x07", r"\( ?\[2J\)"),
    ],
)
def test_a_bad_first_message_is_refused(server_first: bytes, why: str) -> None:
    mechanism = scram("sha1", PENCIL, NONCE)
    next(mechanism)
    with pytest.raises(AuthenticationFailure, match=why) as caught:
        mechanism.send(server_first % {b"n": NONCE.encode()} if b"%(" in server_first else server_first)
    assert caught.value.condition is None
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda good: b"",
        lambda good: b"v=",
        lambda good: good[2:],
        lambda good: b"x=1," + good,
        lambda good: good[:-2],
        lambda good: good + b"=",
        lambda good: good + b" ",
        lambda good: b"v=" + base64.b64encode(b"\0" * 20),
        lambda good: b"V" + good[1:],
        lambda good: good.swapcase(),
        lambda good: good + b",m=x",
        lambda good: b"e=other-error",
        lambda good: None,
    ],
)
def test_a_server_that_cannot_prove_itself_is_refused(change: object) -> None:
    mechanism, good = after_final()
    with pytest.raises(AuthenticationFailure):
        say(mechanism, change(good))  # type: ignore[operator]


def test_unknown_extensions_of_the_last_message_are_ignored() -> None:
    mechanism, good = after_final()
    assert say(mechanism, good + b",x=1") is None


@given(st.binary(max_size=60))
@example(b"v=")
def test_garbage_at_the_end_is_an_authentication_failure(garbage: bytes) -> None:
    mechanism, good = after_final()
    assume(garbage.partition(b",")[0] != good)
    with pytest.raises(AuthenticationFailure):
        say(mechanism, garbage)


_NEARLY = st.lists(
    st.sampled_from([b"r=", b"s=", b"i=", b"m=", b"e=", b"v=", b",", b"=", NONCE.encode(), b"QUJD", b"4096", b"0"])
    | st.binary(max_size=3),
    max_size=12,
).map(b"".join)


@given(st.binary(max_size=80) | _NEARLY)
@settings(max_examples=200)
def test_garbage_at_the_start_is_an_authentication_failure_or_a_bounded_derivation(garbage: bytes) -> None:
    mechanism = scram("sha256", PENCIL, NONCE)
    next(mechanism)
    try:
        answer = mechanism.send(garbage)
    except AuthenticationFailure:
        return
    assert isinstance(answer, Derivation)
    assert garbage.startswith(b"r=" + NONCE.encode())
    assert 4096 <= answer.iterations <= 10_000_000


def test_no_secret_is_shown() -> None:
    credentials = Credentials("user", "s3cret")
    mechanism = scram("sha1", credentials, NONCE)
    next(mechanism)
    derivation = mechanism.send(f"r={NONCE}x,s=QUJD,i=4096".encode())
    assert isinstance(derivation, Derivation)
    mechanism.send(derivation.compute())
    with pytest.raises(AuthenticationFailure) as caught:
        mechanism.send(b"v=AAAA")
    shown = f"{credentials!r} {credentials} {derivation!r} {mechanism!r}" + "".join(
        traceback.format_exception(caught.value)
    )
    assert "s3cret" not in shown
    assert "QUJD" not in repr(derivation)


@pytest.mark.parametrize(
    ("credentials", "why"),
    [
        (Credentials("", "p"), "empty"),
        (Credentials("\u00ad", "p"), "empty"),
        (Credentials("user", "s3cret\x07"), "prohibited"),
        (Credentials("user", "s3cret\ud800"), "prohibited"),
        (Credentials("user\ud800", "s3cret"), "prohibited"),
        (Credentials("user", "s3cret", authzid="\ud800"), "cannot be used"),
    ],
)
def test_credentials_that_cannot_be_prepared(credentials: Credentials, why: str) -> None:
    with pytest.raises(AuthenticationFailure, match=why) as caught:
        next(scram("sha1", credentials, NONCE))
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__context__)


PASSWORDS = {
    "s3cret": "s3cret",
    "I\u00adX": "IX",
    "s3cret\U0001f600": "s3cret\U0001f600",
    "\u00a0\U0001f600": " \U0001f600",  # RFC 8265 §4.2.2: a space for each space, and NFC
    "e\u0301\U0001f600": "\u00e9\U0001f600",
    "\u0221": "\u0221",
    "\u1e9e": "\u1e9e",  # of Unicode 5.1
    "\U0001f468\u200d\U0001f469": "\U0001f468\U0001f469",  # a joiner, which OpaqueString refuses here
    "\u05d0a": "\u05d0a",  # two directions, which only SASLprep minds
}


def test_a_password_that_saslprep_does_not_know_is_prepared_by_its_successor() -> None:
    assert {password: prepare_password(password) for password in PASSWORDS} == PASSWORDS


@pytest.mark.parametrize("password", ["p\U0001f600", "\U0001f468\u200d\U0001f469"])
def test_a_password_with_an_emoji_logs_in(password: str) -> None:
    server = Server("sha256", PASSWORDS.get(password, password))
    mechanism = scram("sha256", Credentials("user", password), NONCE)
    client_first = next(mechanism)
    assert isinstance(client_first, bytes)
    client_final = say(mechanism, server.first(client_first))
    assert isinstance(client_final, bytes)
    assert say(mechanism, server.final(client_final)) is None


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("", ""),
        ("a\u00a0b", "a b"),
        ("\u00bd", "1\u20442"),
        ("\ufb01", "fi"),
        ("\uff21", "A"),
        ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),
    ],
)
def test_saslprep(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "a\u0627", "\u007f", "\ue000", "\ufffd", "\U000e0001"])
def test_saslprep_prohibits(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 4013"):
        saslprep(text)


def test_saslprep_treats_unassigned_code_points_by_use() -> None:
    assert saslprep("\u0221") == "\u0221"
    with pytest.raises(ValueError, match=r"§2\.5"):
        saslprep("\u0221", stored=True)


@given(st.text(max_size=20))
def test_saslprep_prepares_once(text: str) -> None:
    try:
        prepared = saslprep(text)
    except ValueError:
        return
    assert saslprep(prepared) == prepared
    prepared.encode()
