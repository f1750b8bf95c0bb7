"""Tokens: the mechanism HT-SHA-256 in its four kinds, which of them is chosen, and what is said around it."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

import pytest

from trioxmpp import xml
from trioxmpp.errors import AuthenticationFailure
from trioxmpp.protocol import ns
from trioxmpp.protocol.fast import Fast, FastOffer, RequestToken, Token
from trioxmpp.protocol.sasl.ht import choose_ht, ht

LINK = {"tls-server-end-point": b"certificate", "tls-unique": b"finished", "tls-exporter": b"exported"}
BOUND_TO = {"ENDP": b"certificate", "UNIQ": b"finished", "EXPR": b"exported", "NONE": b""}


def answer(key: bytes, binding: bytes, who: bytes = b"Responder") -> bytes:
    return hmac.digest(key, who + binding, "sha256")


@pytest.mark.parametrize("kind", BOUND_TO)
def test_both_sides_prove_the_token_on_this_link(kind: str) -> None:
    mechanism = ht(f"HT-SHA-256-{kind}", "juliet", "secret-token:fast-xyz", LINK)
    said = next(mechanism)
    assert said == b"juliet\0" + answer(b"secret-token:fast-xyz", BOUND_TO[kind], b"Initiator")
    with pytest.raises(StopIteration):
        mechanism.send(answer(b"secret-token:fast-xyz", BOUND_TO[kind]))


def test_as_ejabberd_and_prosody_computed_it() -> None:
    """Recorded with ejabberd 26.07: our message and its answer, for one token."""
    mechanism = ht("HT-SHA-256-NONE", "user1", "D+zk+AMI2SIgkHWKGA6ihbBvuz3oopf3WNQ3LucJ428=", {})
    assert next(mechanism) == base64.b64decode("dXNlcjEA2WaMCx5rFrZ4O2iF6ojtSLxBJv33pPDVQVanhL1QomU=")
    with pytest.raises(StopIteration):
        mechanism.send(base64.b64decode("CWiMCkq25D+x1BtCrMzFExiDoRrEi0WJHipht9iPyx0="))


@pytest.mark.parametrize(
    "said", [None, b"", b"nonsense", answer(b"token", b"other"), answer(b"token", b"certificate", b"Initiator")]
)
def test_a_server_without_the_token_is_refused(said: bytes | None) -> None:
    mechanism = ht("HT-SHA-256-ENDP", "juliet", "token", LINK)
    next(mechanism)
    with pytest.raises(AuthenticationFailure, match="could not prove that it gave us the token"):
        mechanism.send(said)


def test_a_user_name_is_prepared_as_for_a_password() -> None:
    assert next(ht("HT-SHA-256-NONE", "I\u00adX", "token", {})).startswith(b"IX\0")  # type: ignore[union-attr]
    with pytest.raises(AuthenticationFailure, match="user name"):
        next(ht("HT-SHA-256-NONE", "a\0b", "token", {}))


@pytest.mark.parametrize(
    ("offered", "own", "bound", "chosen"),
    [
        ("NONE EXPR ENDP UNIQ", "tls-exporter tls-server-end-point", False, "EXPR"),
        ("NONE EXPR ENDP UNIQ", "tls-unique tls-server-end-point", False, "UNIQ"),
        ("NONE EXPR ENDP UNIQ", "tls-server-end-point", True, "ENDP"),
        ("NONE EXPR", "tls-server-end-point", False, "NONE"),
        ("NONE EXPR", "tls-server-end-point", True, None),
        ("NONE", "", False, "NONE"),
        ("ENDP", "", False, None),
        ("", "tls-exporter", False, None),
    ],
)
def test_the_best_is_bound_to_the_link(offered: str, own: str, bound: bool, chosen: str | None) -> None:
    names = [f"HT-SHA-256-{kind}" for kind in offered.split()]
    found = choose_ht(names, own.split(), bound=bound)
    assert found == (None if chosen is None else f"HT-SHA-256-{chosen}")


def test_the_offer_is_read() -> None:
    offer = xml.parse(
        FastOffer,
        xml.fromstring(
            f"<fast xmlns='{ns.FAST}' tls-0rtt='true'><mechanism> HT-SHA-256-ENDP\n</mechanism><mechanism/></fast>"
        ),
    )
    assert offer.mechanisms == ("HT-SHA-256-ENDP",)
    assert offer.tls_0rtt
    assert not xml.parse(FastOffer, xml.fromstring(f"<fast xmlns='{ns.FAST}' tls-0rtt='0'/>")).tls_0rtt


def test_the_requests_are_written() -> None:
    assert xml.serialise(RequestToken(mechanism="M")) == f"<request-token xmlns='{ns.FAST}' mechanism='M'/>"
    assert xml.serialise(Fast()) == f"<fast xmlns='{ns.FAST}'/>"
    counted = xml.fromstring(xml.serialise(Fast(count=7, invalidate=True)))
    assert dict(counted.attrib) == {"count": "7", "invalidate": "true"}


def test_a_token() -> None:
    said = xml.fromstring(f"<token xmlns='{ns.FAST}' token='se+cret==' expiry='2020-03-12T14:36:15Z'/>")
    token = xml.parse(Token, said)
    assert token.token == "se+cret=="
    assert token.expiry == datetime(2020, 3, 12, 14, 36, 15, tzinfo=UTC)
    assert "se+cret" not in repr(token)


def test_a_malformed_expiry_does_not_count() -> None:
    assert xml.parse(Token, xml.fromstring(f"<token xmlns='{ns.FAST}' token='t' expiry='soon'/>")).expiry is None
