"""Upgrade tasks (XEP-0480): what is given to whom."""

from __future__ import annotations

import hashlib

import pytest

from trioxmpp import xml
from trioxmpp.errors import AuthenticationFailure
from trioxmpp.protocol.sasl import Credentials, Strength
from trioxmpp.protocol.sasl.upgrade import Hash, Salt, Upgrade, choose_upgrade, derivation

PENCIL = Credentials("user", "pencil")
BOUND = Strength.BOUND
OFFERED = ["UPGR-SCRAM-SHA-256", "UPGR-BLOOP2", "UPGR-SCRAM-SHA-512"]


def test_the_best_task_is_chosen() -> None:
    assert choose_upgrade(OFFERED, PENCIL, BOUND) == "UPGR-SCRAM-SHA-512"
    assert choose_upgrade(OFFERED[:2], PENCIL, BOUND) == "UPGR-SCRAM-SHA-256"
    assert choose_upgrade(["UPGR-BLOOP2", "UPGR-SCRAM-SHA-512-PLUS"], PENCIL, BOUND) is None


@pytest.mark.parametrize("strength", [Strength.PROVED, Strength.DISCLOSED])
def test_nothing_is_given_where_somebody_may_be_in_between(strength: Strength) -> None:
    assert choose_upgrade(OFFERED, PENCIL, strength) is None


@pytest.mark.parametrize("credentials", [Credentials.external(), Credentials.oauth("t"), Credentials.anonymous()])
def test_nothing_is_given_by_who_has_no_password(credentials: Credentials) -> None:
    assert choose_upgrade(OFFERED, credentials, BOUND) is None


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
def test_what_a_server_may_not_ask_for(iterations: int, salt: bytes, why: str) -> None:
    with pytest.raises(AuthenticationFailure, match=why):
        derivation("UPGR-SCRAM-SHA-256", PENCIL, Salt(iterations=iterations, salt=salt))


def test_a_password_that_cannot_be_prepared() -> None:
    with pytest.raises(AuthenticationFailure, match="the password cannot be used") as failure:
        derivation("UPGR-SCRAM-SHA-256", Credentials("u", "s3cret\0"), Salt(iterations=4096, salt=b"salt"))
    assert "s3cret" not in str(failure.value)
