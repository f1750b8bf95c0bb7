"""Which SCRAM, with which flag, bound to what: the rules of XEP-0440 and XEP-0474, one by one."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp.errors import AuthenticationFailure
from trioxmpp.protocol.sasl import Choice, MechanismOffer, Strength, choose_scram

PLUS = ("SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
BARE = ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1")
ALL = (*BARE, *PLUS, "PLAIN")
EXPORTER, UNIQUE, END_POINT = TYPES = ("tls-exporter", "tls-unique", "tls-server-end-point")


def chosen(
    mechanisms: tuple[str, ...],
    announced: tuple[str, ...] | None = None,
    own: tuple[str, ...] = (END_POINT,),
    *,
    sasl2: bool = False,
    pinned_strength: Strength | None = None,
    require: bool = False,
) -> Choice:
    choice = choose_scram(
        MechanismOffer(mechanisms, announced, sasl2), own, pinned_strength=pinned_strength, require_binding=require
    )
    assert choice is not None
    return choice


@pytest.mark.parametrize("sasl2", [True, False])
class TestWhatIsTheSameForBothProfiles:
    def test_without_an_own_binding_we_say_so(self, sasl2: bool) -> None:
        assert chosen(ALL, TYPES, (), sasl2=sasl2) == Choice("SCRAM-SHA-512", "n")
        assert chosen(BARE, None, (), sasl2=sasl2) == Choice("SCRAM-SHA-512", "n")

    def test_where_nothing_is_announced_we_say_that_we_could(self, sasl2: bool) -> None:
        assert chosen(BARE, None, sasl2=sasl2) == Choice("SCRAM-SHA-512", "y")
        assert chosen(BARE, (), sasl2=sasl2) == Choice("SCRAM-SHA-512", "y")

    def test_the_strongest_common_type_is_taken(self, sasl2: bool) -> None:
        for number, name in enumerate(TYPES):
            for announced in (TYPES[number:], ("tls-of-tomorrow", *TYPES[number:][::-1])):
                choice = chosen(ALL, announced, TYPES, sasl2=sasl2)
                assert choice == Choice("SCRAM-SHA-512-PLUS", f"p={name}", name)
            assert chosen(ALL, TYPES, TYPES[number:], sasl2=sasl2).binding == name

    def test_a_weaker_hash_that_binds_is_better_than_a_stronger_one(self, sasl2: bool) -> None:
        assert chosen((*BARE, "SCRAM-SHA-1-PLUS"), TYPES, sasl2=sasl2).mechanism == "SCRAM-SHA-1-PLUS"

    def test_no_common_type_is_fine_if_the_one_is_announced_that_a_server_must_have(self, sasl2: bool) -> None:
        assert chosen(ALL, TYPES, ("tls-of-yesterday",), sasl2=sasl2) == Choice("SCRAM-SHA-512", "n")

    def test_no_common_type_has_to_be_proved_if_not(self, sasl2: bool) -> None:
        choice = chosen(ALL, ("tls-of-tomorrow",), sasl2=sasl2)
        assert (choice.mechanism, choice.flag, choice.binding) == ("SCRAM-SHA-512", "n", None)
        assert "every server must know" in str(choice.unproven)

    def test_no_mechanism_that_we_know_has_to_be_proved(self, sasl2: bool) -> None:
        choice = chosen((*BARE, "SCRAM-SHA3-512-PLUS"), TYPES, sasl2=sasl2)
        assert (choice.mechanism, choice.flag) == ("SCRAM-SHA-512", "n")
        assert "by no mechanism that we know" in str(choice.unproven)

    def test_no_scram_is_no_choice(self, sasl2: bool) -> None:
        assert choose_scram(MechanismOffer(("PLAIN", "EXTERNAL"), None, sasl2), TYPES) is None

    def test_only_plus_and_no_way_to_bind(self, sasl2: bool) -> None:
        with pytest.raises(AuthenticationFailure, match="not possible on this link"):
            chosen(PLUS, TYPES, (), sasl2=sasl2)
        with pytest.raises(AuthenticationFailure, match="in a way that we do not know"):
            chosen(PLUS, ("tls-of-tomorrow",), sasl2=sasl2)

    def test_a_binding_that_is_required(self, sasl2: bool) -> None:
        assert chosen(ALL, TYPES, sasl2=sasl2, require=True).binding == END_POINT
        for mechanisms, announced, own, why in [
            (ALL, TYPES, (), "not possible on this link"),
            (BARE, None, TYPES, "which the server does not offer"),
            (ALL, ("tls-of-tomorrow",), TYPES, "which the server does not offer"),
        ]:
            with pytest.raises(AuthenticationFailure, match=f"require_binding.*{why}"):
                chosen(mechanisms, announced, own, sasl2=sasl2, require=True)

    def test_a_client_that_was_bound_needs_a_proof_to_log_in_unbound(self, sasl2: bool) -> None:
        for mechanisms, announced, own in [(ALL, TYPES, ()), (BARE, None, TYPES), (ALL, TYPES, ("tls-of-yesterday",))]:
            assert chosen(mechanisms, announced, own, sasl2=sasl2, pinned_strength=Strength.PROVED).unproven is None
            choice = chosen(mechanisms, announced, own, sasl2=sasl2, pinned_strength=Strength.BOUND)
            assert "earlier logins were bound" in str(choice.unproven)
        assert chosen(ALL, TYPES, sasl2=sasl2, pinned_strength=Strength.BOUND).unproven is None


def test_types_without_a_mechanism() -> None:
    with pytest.raises(AuthenticationFailure, match=r"types to bind .* but no mechanism for that"):
        chosen(BARE, TYPES, sasl2=True)
    choice = chosen(BARE, TYPES)
    assert (choice.mechanism, choice.flag) == ("SCRAM-SHA-512", "n")  # a server that can bind would refuse "y"
    assert "by no mechanism that we know" in str(choice.unproven)


@pytest.mark.parametrize("announced", [None, ()])
def test_a_mechanism_without_types(announced: tuple[str, ...] | None) -> None:
    with pytest.raises(AuthenticationFailure, match=r"a mechanism to bind .* but no type for that"):
        chosen(ALL, announced, TYPES, sasl2=True)
    assert chosen(ALL, announced, (UNIQUE, END_POINT)).flag == "p=tls-unique"
    for local_types in ((EXPORTER, END_POINT), (END_POINT,)):
        choice = chosen(ALL, announced, local_types)
        assert (choice.mechanism, choice.flag, choice.binding) == ("SCRAM-SHA-512", "n", None)
        assert "does not announce by what" in str(choice.unproven)
        assert not choice.must_prove  # a server from before XEP-0440 cannot


def test_a_mechanism_without_types_where_a_binding_must_be() -> None:
    for must in ({"require": True}, {"pinned_strength": Strength.BOUND}):
        assert chosen(ALL, None, (EXPORTER, END_POINT), **must).flag == "p=tls-exporter"
        assert chosen(ALL, None, (END_POINT,), **must).flag == "p=tls-server-end-point"


names = st.sampled_from([*ALL, "EXTERNAL", "SCRAM-SHA3-512-PLUS", "X"])
types = st.sampled_from([*TYPES, "tls-of-tomorrow"])


@given(
    mechanisms=st.lists(names, max_size=6).map(tuple),
    announced=st.none() | st.lists(types, max_size=4).map(tuple),
    own=st.frozensets(st.sampled_from(TYPES)),
    sasl2=st.booleans(),
    pinned_strength=st.none() | st.sampled_from(Strength),
    require=st.booleans(),
)
def test_the_flag_is_right_whatever_is_offered(
    mechanisms: tuple[str, ...],
    announced: tuple[str, ...] | None,
    own: frozenset[str],
    sasl2: bool,
    pinned_strength: Strength | None,
    require: bool,
) -> None:
    offer = MechanismOffer(mechanisms, announced, sasl2)
    binds = any(name.endswith("-PLUS") for name in mechanisms)
    try:
        choice = choose_scram(offer, own, pinned_strength=pinned_strength, require_binding=require)
    except AuthenticationFailure:
        return
    if choice is None:
        assert not set(mechanisms) & {*PLUS, *BARE}
        return
    assert choice.mechanism in mechanisms
    if choice.binding is not None:
        assert choice.flag == f"p={choice.binding}"
        assert choice.mechanism in PLUS
        assert choice.binding in own
        assert not announced or choice.binding in announced
        return
    assert choice.mechanism in BARE
    assert not require
    assert (choice.flag == "y") == (bool(own) and not binds and not announced)
    if choice.flag == "n":
        # We could have bound, and were offered to: then only for a reason.
        common = own & set(announced or ())
        assert not (common and set(mechanisms) & set(PLUS))
    if pinned_strength is Strength.BOUND:
        assert choice.unproven


# --- what a server proves


def test_the_digest_of_the_example_of_xep_0474() -> None:
    offer = MechanismOffer(("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"), (END_POINT, EXPORTER), sasl2=True)
    assert offer.digest("sha1") == b"G6k/rBLDqgOhRRaCuuatSDFkJ08="


def test_the_digest_is_of_octets_and_of_the_types_only_if_there_were_some() -> None:
    mechanisms = ("b", "ä", "B", "a\U00010000", "a\uffff")
    joined = b"\x1e".join(sorted(name.encode() for name in mechanisms))
    digest = base64.b64encode(hashlib.sha256(joined).digest())
    assert MechanismOffer(mechanisms).digest("sha256") == digest
    assert MechanismOffer(mechanisms[::-1]).digest("sha256") == digest
    assert MechanismOffer(mechanisms, ()).digest("sha256") == base64.b64encode(
        hashlib.sha256(joined + b"\x1f").digest()
    )
    assert MechanismOffer(mechanisms, ("x",)).digest("sha256") != digest
