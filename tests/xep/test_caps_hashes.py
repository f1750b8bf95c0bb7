"""The hashes of what an entity is and offers (XEP-0115 §5, XEP-0390 §4)."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from trioxmpp import xml
from trioxmpp.protocol.elements.disco import Identity, Info
from trioxmpp.protocol.elements.forms import DataForm, Field, FieldType, FormType
from trioxmpp.xep.caps import NotHashable, hash_115, hash_390
from trioxmpp.xep.caps.hashing import ALGORITHMS, hashed_115, hashed_390
from trioxmpp.xep.caps.verified import Announced, dump, load

VECTORS = Path(__file__).parent.parent / "protocol" / "vectors"
PC = Identity(category="client", type="pc", name="Balcony")


def info_of(case: dict[str, Any], shuffle: random.Random) -> Info:
    """The answer of a vector, in an order of no meaning."""
    forms = []
    for fields in case["forms"]:
        made = [
            Field(var=each["var"], type=each["type"] and FieldType(each["type"]), values=tuple(each["values"]))
            for each in fields
        ]
        shuffle.shuffle(made)
        forms.append(DataForm(type=FormType.RESULT, fields=tuple(made)))
    identities = [Identity(**each) for each in case["identities"]]
    features = [*case["features"]]
    for each in (identities, features, forms):
        shuffle.shuffle(each)
    return Info.of(features, identities, node="x", forms=forms)


def form(*fields: tuple[str, list[str]], type_: FieldType | None = FieldType.HIDDEN, **more: Any) -> DataForm:
    made = [Field(var=var, type=type_ if var == "FORM_TYPE" else None, values=tuple(values)) for var, values in fields]
    return DataForm(type=FormType.RESULT, fields=tuple(made), **more)


@pytest.mark.item("D3.2")
@pytest.mark.parametrize(("file", "hash_of"), [("caps115", hash_115), ("caps390", hash_390)])
def test_the_hashes_are_those_of_the_vectors_in_whatever_order(file, hash_of) -> None:
    shuffle, wrong = random.Random(1), []
    cases = json.loads((VECTORS / f"{file}.json").read_text())["cases"]
    assert cases
    for case in cases:
        for algo, expected in case["hashes"].items():
            for _ in range(5):
                info = info_of(case, shuffle)
                if hash_of(info, algo) != expected:
                    wrong.append((case["name"], algo))
    assert not wrong


def test_every_function_but_md5_is_known() -> None:
    assert "md5" not in ALGORITHMS
    found = {algo: hash_390(Info.of(["a"], [PC]), algo) for algo in ALGORITHMS}
    assert len(set(found.values())) == len(ALGORITHMS)
    with pytest.raises(KeyError):
        hash_115(Info.of(["a"], [PC]), "md5")


@pytest.mark.item("D3.12")
def test_an_answer_that_allows_another_one_with_the_same_hash_has_none() -> None:
    typed = form(("FORM_TYPE", ["urn:x"]), ("a", ["b"]))
    ill_formed = {
        "no identity": Info.of(["a"]),
        "identity twice": Info.of(["a"], [PC, PC]),
        "feature twice": Info.of(["a", "a"], [PC]),
        "form twice": Info.of(["a"], [PC], forms=[typed, form(("FORM_TYPE", ["urn:x"]), ("c", ["d"]))]),
        "two form types": Info.of(["a"], [PC], forms=[form(("FORM_TYPE", ["urn:x", "urn:y"]))]),
        "field twice": Info.of(["a"], [PC], forms=[form(("FORM_TYPE", ["urn:x"]), ("a", ["b"]), ("a", ["c"]))]),
    }
    only_115 = {
        "< in a feature": Info.of(["a<b"], [PC]),
        "< in a name": Info.of(["a"], [Identity(category="client", type="pc", name="Balcony<a")]),
        "< in a value": Info.of(["a"], [PC], forms=[form(("FORM_TYPE", ["urn:x"]), ("a", ["b<c"]))]),
        "identity as a feature": Info.of(["client/pc//Other"], [PC]),
    }
    only_390 = {
        "no form type": Info.of(["a"], [PC], forms=[form(("a", ["b"]))]),
        "form type not hidden": Info.of(["a"], [PC], forms=[form(("FORM_TYPE", ["urn:x"]), type_=None)]),
    }
    accepted = []
    for hash_of, proven, cases in (
        (hash_115, hashed_115, {**ill_formed, **only_115}),
        (hash_390, hashed_390, {**ill_formed, **only_390}),
    ):
        for name, info in cases.items():
            try:
                hash_of(info)
                proven(info)
            except NotHashable:
                continue
            accepted.append((hash_of.__name__, name))
    assert not accepted
    assert hash_115(only_390["no form type"]) == hash_115(Info.of(["a"], [PC]))


def test_an_answer_keeps_only_what_its_hash_proves() -> None:
    fields = (
        Field(var="FORM_TYPE", type=FieldType.HIDDEN, values=("urn:x",)),
        Field(var="os", type=FieldType.JID_SINGLE, label="evil", values=("Mac",)),
    )
    told = DataForm(type=FormType.FORM, title="evil", instructions=("evil",), fields=fields)
    untyped = form(("os", ["evil"]))
    info = Info.of(["b", "a"], [PC], node="evil", forms=[told, untyped])
    for protocol, hash_of, answer in (
        ("115", hash_115, info),
        ("390", hash_390, Info.of(["b", "a"], [PC], node="evil", forms=[told])),
    ):
        proven = Announced(protocol, "sha-256", hash_of(answer, "sha-256"), "").verify(answer)
        assert proven is not None
        assert "evil" not in xml.serialise(proven)
        assert proven.features == {"a", "b"}
        assert hash_of(proven, "sha-256") == hash_of(answer, "sha-256")
        assert load(dump(proven)) == proven


def test_damaged_values_of_notes_are_no_answer() -> None:
    for values in (
        None,
        [],
        {},
        {"identities": [["a"]], "features": [], "forms": []},
        {"identities": 1, "features": 2},
    ):
        assert load(values) is None
    for key in ("", "115", "115 md5 x", "116 sha-1 x"):
        assert Announced.of_key(key) is None
