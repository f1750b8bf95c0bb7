"""SCRAM that is bound to the TLS link, and SCRAM that notices a changed offer: XEP-0474 and XEP-0515."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp.errors import AuthenticationFailure
from trioxmpp.protocol.sasl import Channel, Credentials, Derivation, Mechanism, MechanismOffer, Strength, choose
from trioxmpp.protocol.sasl.scram import SCRAMParameters, scram

NONCE = "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6"
PENCIL = Credentials("user", "pencil")
DATA = b"THIS IS FAKE CB DATA"
OFFER = MechanismOffer(("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"), ("tls-server-end-point", "tls-exporter"), sasl2=True)
FIRST = b"r=" + NONCE.encode() + b"a09117a6-ac50-4f2f-93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096"
HASH = b"h=G6k/rBLDqgOhRRaCuuatSDFkJ08="


def begun(
    offer: MechanismOffer = OFFER,
    version: str | None = "TLSv1.3",
    bindings: dict[str, bytes] | None = None,
    *,
    credentials: Credentials = PENCIL,
    pinned_strength: Strength | None = None,
) -> Mechanism:
    """A mechanism that has said its first message."""
    channel = Channel(True, {"tls-exporter": DATA} if bindings is None else bindings, version)
    mechanism = choose(offer, credentials, channel, nonce=NONCE, pinned_strength=pinned_strength).mechanism
    assert isinstance(next(mechanism), bytes)
    return mechanism


def answer(mechanism: Mechanism, server_first: bytes) -> bytes:
    derivation = mechanism.send(server_first)
    assert isinstance(derivation, Derivation)
    said = mechanism.send(derivation.compute())
    assert isinstance(said, bytes)
    return said


def test_the_example_of_xep_0515() -> None:
    attempt = choose(OFFER, PENCIL, Channel(True, {"tls-exporter": DATA}, "TLSv1.3"), nonce=NONCE)
    assert attempt.name == "SCRAM-SHA-1-PLUS"
    assert attempt.strength is Strength.BOUND
    assert next(attempt.mechanism) == b"p=tls-exporter,,n=user,r=" + NONCE.encode()
    binding = b"c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB"
    nonce = FIRST.partition(b",")[0]
    assert answer(attempt.mechanism, FIRST + b"," + HASH + b",t=0304") == (
        binding + b"," + nonce + b",p=KHUfN8dSy1K95crT4D5y1ItLJfs="
    )
    with pytest.raises(StopIteration):
        attempt.mechanism.send(b"v=3w34ZIMVRkx2f2Ozb3/ecRPVdv4=")


@pytest.mark.parametrize(
    ("flag", "binding", "authzid", "expected"),
    [
        ("n", b"", None, b"n,,"),
        ("y", b"", None, b"y,,"),
        ("y", b"", "a,b", b"y,a=a=2Cb,"),
        ("p=tls-unique", b"\x00\xff", None, b"p=tls-unique,,\x00\xff"),
        ("p=tls-unique", b"\x00\xff", "x", b"p=tls-unique,a=x,\x00\xff"),
    ],
)
def test_the_flag_and_the_data_are_under_the_proof(
    flag: str, binding: bytes, authzid: str | None, expected: bytes
) -> None:
    mechanism = scram("sha256", Credentials("user", "pencil", authzid), NONCE, SCRAMParameters(flag, binding))
    assert next(mechanism) == expected.removesuffix(binding) + b"n=user,r=" + NONCE.encode()
    assert answer(mechanism, FIRST).startswith(b"c=" + base64.b64encode(expected) + b",r=")


@pytest.mark.parametrize(
    "offer",
    [
        MechanismOffer(("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "PLAIN"), OFFER.bindings),
        MechanismOffer(OFFER.mechanisms, ("tls-exporter",)),
        MechanismOffer(OFFER.mechanisms),
        MechanismOffer(("SCRAM-SHA-1",)),
        MechanismOffer((*OFFER.mechanisms, "SCRAM-SHA-1"), OFFER.bindings),
    ],
)
def test_another_offer_than_the_server_meant_is_refused_before_anything_is_derived(offer: MechanismOffer) -> None:
    mechanism = begun(offer)
    with pytest.raises(AuthenticationFailure, match="a man in the middle has changed them"):
        mechanism.send(FIRST + b"," + HASH)


@given(st.permutations(OFFER.mechanisms), st.permutations(OFFER.bindings or ()))
def test_the_order_of_the_offer_means_nothing(mechanisms: list[str], bindings: list[str]) -> None:
    mechanism = begun(MechanismOffer(tuple(mechanisms), tuple(bindings)))
    assert isinstance(mechanism.send(FIRST + b",x=1," + HASH), Derivation)


@pytest.mark.parametrize("extra", [b"h=", b"h=AAAA", HASH + b",h=AAAA", b"h=AAAA," + HASH, HASH + b"=", HASH.lower()])
def test_a_wrong_hash_anywhere_is_refused(extra: bytes) -> None:
    mechanism = begun()
    with pytest.raises(AuthenticationFailure, match="XEP-0474"):
        mechanism.send(FIRST + b"," + extra)


@pytest.mark.parametrize("version", [b"0303", b"0301", b"304", b"0304 ", b"", b"03040"])
def test_another_version_of_tls_is_refused(version: bytes) -> None:
    mechanism = begun()
    with pytest.raises(AuthenticationFailure, match=r"our link has TLSv1\.3, .*XEP-0515"):
        mechanism.send(FIRST + b"," + HASH + b",t=" + version)


def test_the_version_of_tls_is_not_compared_behind_a_proxy() -> None:
    mechanism = begun(MechanismOffer(("SCRAM-SHA-1",)), None, {})
    assert isinstance(mechanism.send(FIRST + b",t=0303"), Derivation)


def test_neither_is_missed_where_nothing_depends_on_it() -> None:
    assert isinstance(begun().send(FIRST), Derivation)
    assert isinstance(begun(MechanismOffer(("SCRAM-SHA-1",))).send(FIRST), Derivation)


@pytest.mark.parametrize(
    ("offer", "bindings", "pinned_strength", "why"),
    [
        (MechanismOffer(("SCRAM-SHA-1",)), None, Strength.BOUND, "earlier logins were bound"),
        (OFFER, {}, Strength.BOUND, "earlier logins were bound"),
        (MechanismOffer(("SCRAM-SHA-1",), ("tls-exporter",)), None, None, "by no mechanism that we know"),
        (MechanismOffer(OFFER.mechanisms, ("tls-of-tomorrow",)), None, None, "every server must know"),
    ],
)
def test_a_suspicious_offer_has_to_be_proved(
    offer: MechanismOffer, bindings: dict[str, bytes] | None, pinned_strength: Strength | None, why: str
) -> None:
    proof = b",h=" + offer.digest("sha1")
    assert isinstance(begun(offer, bindings=bindings, pinned_strength=pinned_strength).send(FIRST + proof), Derivation)
    for first in (FIRST, FIRST + b",d=" + proof[3:], FIRST + b",t=0304"):
        mechanism = begun(offer, bindings=bindings, pinned_strength=pinned_strength)
        with pytest.raises(AuthenticationFailure, match=f"{why}.*, and it does not prove"):
            mechanism.send(first)


@pytest.mark.parametrize(
    ("error", "advice", "retry"),
    [
        ("channel-bindings-dont-match", "a proxy or a man in the middle ends TLS", False),
        ("server-does-support-channel-binding", "did not offer it to us", False),
        ("channel-binding-not-supported", "does not bind logins", False),
        ("unsupported-channel-binding-type", "cannot bind", False),
        ("no-resources", "try again later", True),
        ("invalid-proof", "check the address and the password", False),
    ],
)
def test_an_error_about_channel_binding_is_explained(error: str, advice: str, retry: bool) -> None:
    mechanism = begun()
    answer(mechanism, FIRST)
    with pytest.raises(AuthenticationFailure, match=rf"\({error}\).*{advice}") as failure:
        mechanism.send(b"e=" + error.encode())
    assert failure.value.retry is retry


def test_the_data_of_the_binding_is_not_shown() -> None:
    assert "FAKE" not in repr(SCRAMParameters("p=tls-exporter", DATA))
