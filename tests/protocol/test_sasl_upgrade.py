"""Upgrade tasks (XEP-0480): what is given to whom."""

from __future__ import annotations

import hashlib

import pytest

from trioxmpp import xml
from trioxmpp.errors import AuthenticationFailure
from trioxmpp.protocol.sasl import Credentials, Mechanism, SASLAttempt, Strength
from trioxmpp.protocol.sasl.upgrade import Hash, Salt, Upgrade, choose_upgrade, derivation

PENCIL = Credentials("user", "pencil")
OFFERED = ["UPGR-SCRAM-SHA-256", "UPGR-BLOOP2", "UPGR-SCRAM-SHA-512"]


def attempt(name: str = "SCRAM-SHA-1-PLUS", credentials: Credentials = PENCIL, strength: Strength = Strength.BOUND):
    def says_nothing() -> Mechanism:
        yield b""

    return SASLAttempt(name, says_nothing(), credentials, strength)


@pytest.mark.parametrize(
    ("offered", "used", "chosen"),
    [
        (OFFERED, "SCRAM-SHA-1-PLUS", "UPGR-SCRAM-SHA-512"),
        (OFFERED, "SCRAM-SHA-256-PLUS", "UPGR-SCRAM-SHA-512"),
        (OFFERED[:2], "SCRAM-SHA-1-PLUS", "UPGR-SCRAM-SHA-256"),
        (OFFERED[:2], "SCRAM-SHA-256-PLUS", None),  # it has that key
        (OFFERED, "SCRAM-SHA-512-PLUS", None),
        (["UPGR-SCRAM-SHA-1", "UPGR-BLOOP2", "UPGR-SCRAM-SHA-512-PLUS"], "SCRAM-SHA-1-PLUS", None),
        ([], "SCRAM-SHA-1-PLUS", None),
    ],
)
def test_the_best_task_that_makes_the_next_login_better(offered: list[str], used: str, chosen: str | None) -> None:
    assert choose_upgrade(offered, attempt(used)) == chosen


@pytest.mark.parametrize(
    ("used", "strength"), [("SCRAM-SHA-1", Strength.PROVED), ("PLAIN", Strength.DISCLOSED), ("X-OTHER", Strength.BOUND)]
)
def test_no_key_is_given_where_a_man_in_the_middle_is_possible(used: str, strength: Strength) -> None:
    assert choose_upgrade(OFFERED, attempt(used, strength=strength)) is None


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials.external(),
        Credentials.oauth("t"),
        Credentials.anonymous(),
        Credentials("user", "pencil", authzid="other@example.org"),
    ],
)
def test_no_key_is_given_without_the_password_of_that_account(credentials: Credentials) -> None:
    assert choose_upgrade(OFFERED, attempt(credentials=credentials)) is None


def test_the_elements() -> None:
    salt = xml.parse(
        Salt, xml.fromstring("<salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'>QSXCR+Q6sek8bf92</salt>")
    )
    assert salt == Salt(iterations=4096, salt=b"A%\xc2G\xe4:\xb1\xe9<m\xffv")
    key = derivation("UPGR-SCRAM-SHA-256", PENCIL, salt).compute()
    assert key == hashlib.pbkdf2_hmac("sha256", b"pencil", salt.salt, 4096)
    written = xml.fromstring(xml.serialise(Hash(key=key)))
    assert written.tag == "{urn:xmpp:scram-upgrade:0}hash"
    assert xml.parse(Hash, written) == Hash(key=key)
    assert "s3cret" not in repr(Hash(key=b"s3cret"))
    assert xml.serialise(Upgrade(task=OFFERED[0])) == (
        "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>"
    )


@pytest.mark.parametrize(
    ("iterations", "salt", "why"), [(1, b"salt", "we accept"), (10**9, b"salt", "we accept"), (4096, b"", "salt")]
)
def test_a_demand_that_is_no_task_of_ours_is_refused(iterations: int, salt: bytes, why: str) -> None:
    with pytest.raises(AuthenticationFailure, match=why):
        derivation("UPGR-SCRAM-SHA-256", PENCIL, Salt(iterations=iterations, salt=salt))


def test_a_password_that_cannot_be_prepared() -> None:
    with pytest.raises(AuthenticationFailure, match="the password cannot be used") as failure:
        derivation("UPGR-SCRAM-SHA-256", Credentials("u", "s3cret\0"), Salt(iterations=4096, salt=b"salt"))
    assert "s3cret" not in str(failure.value)
