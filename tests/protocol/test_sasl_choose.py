"""Which mechanism is taken, and which never."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp.errors import AuthenticationFailure
from trioxmpp.jid import JID
from trioxmpp.protocol.sasl import Channel, Credentials, MechanismOffer, SASLAttempt, Strength, choose
from trioxmpp.protocol.sasl.simple import plain

STRICT = Credentials("user", "s3cret")
LAX = Credentials("user", "s3cret", allow_plain=True)
NAMES = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
FOREIGN = ["ANONYMOUS", "EXTERNAL", "DIGEST-MD5", "CRAM-MD5", "SCRAM-SHA-1-PLUS", "X-OAUTH2", "scram-sha-1", ""]


def chosen(
    offered: Iterable[str], credentials: Credentials, *, secure: bool = True, pinned_strength: Strength | None = None
) -> SASLAttempt:
    return choose(
        MechanismOffer(tuple(offered)), credentials, Channel(secure), nonce="n", pinned_strength=pinned_strength
    )


@pytest.mark.parametrize(
    ("offered", "credentials", "secure", "name"),
    [
        (["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-512", "SCRAM-SHA-256"], LAX, True, "SCRAM-SHA-512"),
        (["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"], LAX, True, "SCRAM-SHA-256"),
        (["PLAIN", "SCRAM-SHA-1"], LAX, True, "SCRAM-SHA-1"),
        (["PLAIN", "ANONYMOUS", "EXTERNAL"], LAX, True, "PLAIN"),
        (["SCRAM-SHA-1"], STRICT, False, "SCRAM-SHA-1"),
        (["SCRAM-SHA-1", "EXTERNAL", "PLAIN"], Credentials.external(), True, "EXTERNAL"),
        (["SCRAM-SHA-1", "ANONYMOUS"], Credentials.anonymous(), True, "ANONYMOUS"),
        (["ANONYMOUS"], Credentials.anonymous(), False, "ANONYMOUS"),
        (["SCRAM-SHA-1", "OAUTHBEARER", "PLAIN"], Credentials.oauth("token"), True, "OAUTHBEARER"),
    ],
)
def test_the_choice_is_ours(offered: list[str], credentials: Credentials, secure: bool, name: str) -> None:
    assert chosen(offered, credentials, secure=secure).name == name
    assert chosen(offered[::-1], credentials, secure=secure).name == name


@pytest.mark.parametrize(
    ("offered", "credentials", "secure", "why"),
    [
        (["PLAIN"], STRICT, True, r"allow_plain=True"),
        (["PLAIN"], LAX, False, "never used without TLS"),
        (["ANONYMOUS", "DIGEST-MD5"], LAX, True, "offers ANONYMOUS, DIGEST-MD5.*enable SCRAM"),
        (["EXTERNAL"], LAX, False, "may want TLS first"),
        ([], LAX, True, "offers nothing"),
        (["X\x1b[2J" + "Y" * 10_000], LAX, True, "offers X "),
        (["PLAIN", "SCRAM-SHA-1"], Credentials.external(), True, "these credentials are for EXTERNAL"),
        (["PLAIN", "SCRAM-SHA-1", "EXTERNAL"], Credentials.anonymous(), True, "these credentials are for ANONYMOUS"),
        (["PLAIN", "X-OAUTH2"], Credentials.oauth("token"), True, "these credentials are for OAUTHBEARER"),
        (["OAUTHBEARER"], Credentials.oauth("token"), False, "OAUTHBEARER is never used without TLS"),
        (["EXTERNAL"], Credentials.external(), False, "EXTERNAL is never used without TLS"),
    ],
)
def test_nothing_acceptable(offered: list[str], credentials: Credentials, secure: bool, why: str) -> None:
    with pytest.raises(AuthenticationFailure, match=why) as caught:
        chosen(offered, credentials, secure=secure)
    assert caught.value.condition is None  # it was us who refused
    assert caught.value.offered == tuple(offered)
    assert caught.value.tried == ()
    assert not caught.value.retry
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_once_a_password_was_not_given_away_it_never_is() -> None:
    assert chosen(["PLAIN"], LAX, pinned_strength=Strength.DISCLOSED).name == "PLAIN"
    for pinned_strength in (Strength.PROVED, Strength.BOUND):
        with pytest.raises(AuthenticationFailure, match="earlier logins did not give the password away"):
            chosen(["PLAIN"], LAX, pinned_strength=pinned_strength)
    assert chosen(["PLAIN", "SCRAM-SHA-1"], LAX, pinned_strength=Strength.PROVED).name == "SCRAM-SHA-1"


def test_require_binding_excludes_plain() -> None:
    credentials = Credentials("user", "s3cret", allow_plain=True, require_binding=True)
    with pytest.raises(AuthenticationFailure, match="require_binding"):
        chosen(["PLAIN"], credentials)


@given(
    offered=st.lists(st.sampled_from(NAMES + FOREIGN) | st.text(max_size=8)),
    secure=st.booleans(),
    allow_plain=st.booleans(),
    pinned_strength=st.none() | st.sampled_from(Strength),
)
def test_the_choice_was_offered_and_is_allowed(
    offered: list[str], secure: bool, allow_plain: bool, pinned_strength: Strength | None
) -> None:
    credentials = Credentials("user", "s3cret", allow_plain=allow_plain)
    try:
        attempt = chosen(offered, credentials, secure=secure, pinned_strength=pinned_strength)
    except AuthenticationFailure:
        scram = {name for name in offered if name in NAMES[:-1]}
        assert not scram
        # A server that offers SCRAM only as we cannot do it here: PLAIN is no way out of that.
        only_bound = any(f"{name}-PLUS" in offered for name in NAMES[:-1])
        assert "PLAIN" not in offered or not secure or not allow_plain or pinned_strength or only_bound
        return
    assert attempt.name in offered
    assert attempt.name in NAMES
    assert attempt.name != "PLAIN" or (secure and allow_plain and not pinned_strength)
    assert attempt.offered == tuple(offered)


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
def test_plain_refuses_characters_that_it_cannot_carry(credentials: Credentials) -> None:
    with pytest.raises(AuthenticationFailure, match="PLAIN") as caught:
        next(plain(credentials))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None  # a UnicodeEncodeError would hold the password
    assert "\ud800" not in "".join(traceback.format_exception(caught.value))


def test_credentials_of_an_address() -> None:
    for address in (JID.parse("romeo@example.org/x"), "romeo@example.org", "Romeo@example.org/x"):
        assert Credentials.of(address, "s3cret") == Credentials("romeo", "s3cret")
    for jid, password in [("example.org", "s3cret"), ("romeo@example.org", None)]:
        with pytest.raises(ValueError, match="local part"):
            Credentials.of(JID.parse(jid), password)
