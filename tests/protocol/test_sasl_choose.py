"""Which mechanism is taken, and which never."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp.errors import AuthenticationFailure
from trioxmpp.jid import JID
from trioxmpp.protocol.sasl import Credentials, choose
from trioxmpp.protocol.sasl.plain import plain

STRICT = Credentials("user", "s3cret")
LAX = Credentials("user", "s3cret", allow_plain=True)
NAMES = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
FOREIGN = ["ANONYMOUS", "EXTERNAL", "DIGEST-MD5", "CRAM-MD5", "SCRAM-SHA-1-PLUS", "X-OAUTH2", "scram-sha-1", ""]


@pytest.mark.parametrize(
    ("offered", "credentials", "secure", "chosen"),
    [
        (["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"], LAX, True, "SCRAM-SHA-256"),
        (["PLAIN", "SCRAM-SHA-1"], LAX, True, "SCRAM-SHA-1"),
        (["PLAIN", "ANONYMOUS"], LAX, True, "PLAIN"),
        (["SCRAM-SHA-1"], STRICT, False, "SCRAM-SHA-1"),
    ],
)
def test_the_choice_is_ours(offered: list[str], credentials: Credentials, secure: bool, chosen: str) -> None:
    assert choose(offered, credentials, secure=secure, nonce="n")[0] == chosen
    assert choose(iter(offered[::-1]), credentials, secure=secure, nonce="n")[0] == chosen


@pytest.mark.parametrize(
    ("offered", "credentials", "secure", "why"),
    [
        (["PLAIN"], STRICT, True, r"allow_plain=True"),
        (["PLAIN"], LAX, False, "never used without TLS"),
        (["ANONYMOUS", "DIGEST-MD5"], LAX, True, "offers ANONYMOUS, DIGEST-MD5.*enable SCRAM"),
        (["EXTERNAL"], LAX, False, "may want TLS first"),
        ([], LAX, True, "offers nothing"),
        (["X\x1b[2J" + "Y" * 10_000], LAX, True, "offers X "),
    ],
)
def test_nothing_acceptable(offered: list[str], credentials: Credentials, secure: bool, why: str) -> None:
    with pytest.raises(AuthenticationFailure, match=why) as caught:
        choose(offered, credentials, secure=secure, nonce="n")
    assert caught.value.condition is None  # it was us who refused
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("minimum", NAMES)
def test_a_pinned_minimum_is_the_weakest_that_will_do(minimum: str) -> None:
    for index, name in enumerate(NAMES):
        if index <= NAMES.index(minimum):
            assert choose([name], LAX, secure=True, nonce="n", minimum=minimum)[0] == name
        else:
            with pytest.raises(AuthenticationFailure, match=f"nothing weaker than {minimum}"):
                choose([name], LAX, secure=True, nonce="n", minimum=minimum)


def test_an_unknown_minimum_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="minimum"):
        choose(NAMES, LAX, secure=True, nonce="n", minimum="SCRAM-SHA-3")


@given(
    offered=st.lists(st.sampled_from(NAMES + FOREIGN) | st.text(max_size=8)),
    secure=st.booleans(),
    allow_plain=st.booleans(),
    minimum=st.none() | st.sampled_from(NAMES),
)
def test_what_is_chosen_was_offered_and_is_allowed(
    offered: list[str], secure: bool, allow_plain: bool, minimum: str | None
) -> None:
    credentials = Credentials("user", "s3cret", allow_plain=allow_plain)
    try:
        name, _ = choose(offered, credentials, secure=secure, nonce="n", minimum=minimum)
    except AuthenticationFailure:
        assert not secure or not set(offered) & set(NAMES) or minimum or not allow_plain
        return
    assert name in offered
    assert name in NAMES[: NAMES.index(minimum or "PLAIN") + 1]
    assert name != "PLAIN" or (secure and allow_plain)


def test_plain() -> None:
    assert list(plain(Credentials("tim", "tanstaaftanstaaf"))) == [b"\0tim\0tanstaaftanstaaf"]  # RFC 4616 §4
    assert list(plain(Credentials("Kurt", "xipj3plmq", "Ursel"))) == [b"Ursel\0Kurt\0xipj3plmq"]
    assert list(plain(Credentials("jürgen", "ß"))) == ["\0jürgen\0ß".encode()]


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials("", "s3cret"),
        Credentials("user", ""),
        Credentials("user", "s3cret\0"),
        Credentials("us\0er", "s3cret"),
        Credentials("user", "s3cret", "x\0"),
        Credentials("user", "s3cret\ud800"),
        Credentials("user\udfff", "s3cret"),
    ],
)
def test_what_plain_cannot_carry(credentials: Credentials) -> None:
    with pytest.raises(AuthenticationFailure, match="PLAIN") as caught:
        next(plain(credentials))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None  # a UnicodeEncodeError would hold the password
    assert "\ud800" not in "".join(traceback.format_exception(caught.value))


def test_credentials_of_an_address() -> None:
    assert Credentials.of(JID.parse("romeo@example.org/x"), "s3cret") == Credentials("romeo", "s3cret")
    for jid, password in [("example.org", "s3cret"), ("romeo@example.org", None)]:
        with pytest.raises(ValueError, match="local part"):
            Credentials.of(JID.parse(jid), password)
