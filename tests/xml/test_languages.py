"""Texts by language: look-up, case, inheritance, and two texts in one language."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import pytest

from trioxmpp import xml

NS = "urn:example:languages"


@xml.element(NS, "dish")
class Dish:
    names: xml.Texts = xml.lang_text("name")
    notes: Mapping[str, str] = xml.lang_text("note")


def read(inner: str, attributes: str = "") -> Dish:
    return xml.parse(Dish, xml.fromstring(f"<dish xmlns='{NS}'{attributes}>{inner}</dish>"))


TEXTS = xml.Texts({"en": "color", "en-GB": "colour", "de-CH": "Farbe", "zh-Hant": "顏色", "": "?"})


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        (("en",), "color"),
        (("EN",), "color"),
        (("en-US",), "color"),
        (("en-gb-oed",), "colour"),
        (("de-CH-1996",), "Farbe"),
        (("de",), "?"),
        (("zh-Hant-TW",), "顏色"),
        (("zh-Hant-x-wadegile",), "顏色"),
        (("zh",), "?"),
        (("fr", "de-CH"), "Farbe"),
        (("*", "en"), "color"),
        (("",), "?"),
        ((), "?"),
    ],
)
def test_lookup(ranges: tuple[str, ...], text: str) -> None:
    assert TEXTS.lookup(*ranges) == text
    assert xml.lookup(dict(TEXTS), *ranges) == text


def test_lookup_falls_back_to_the_first_text() -> None:
    assert xml.Texts({"fr": "a", "de": "b"}).lookup("en") == "a"
    assert xml.Texts().lookup("en") is None


def test_the_first_text_in_a_language_counts_and_all_are_kept() -> None:
    inner = "<name xml:lang='EN'>a</name><name xml:lang='en'>b</name><name>c</name><name xml:lang='de'/>"
    dish = read(inner)
    assert (dish.names["en"], dish.names["EN"], dish.names[""], dish.names["de"]) == ("a", "a", "c", "")
    assert list(dish.names) == ["EN", "", "de"]
    assert dish.names.pairs == (("EN", "a"), ("en", "b"), ("", "c"), ("de", ""))
    assert xml.equal(xml.fromstring(xml.serialise(dish)), xml.fromstring(f"<dish xmlns='{NS}'>{inner}</dish>"))
    assert "En" in dish.names
    assert "fr" not in dish.names
    for again in (copy.deepcopy(dish), pickle.loads(pickle.dumps(dish))):
        assert again == dish
        assert again.names.pairs == dish.names.pairs


def test_the_language_is_inherited() -> None:
    dish = read("<name>a</name><name xml:lang='en'>b</name>", " xml:lang='de'")
    assert dish.names == {"de": "a", "EN": "b"}


def test_texts_are_compared_by_language_and_text() -> None:
    assert xml.Texts({"en": "a", "de": "b"}) == xml.Texts({"DE": "b", "EN": "a"}) == {"de": "b", "en": "a"}
    assert hash(xml.Texts({"en": "a", "de": "b"})) == hash(xml.Texts({"DE": "b", "EN": "a"}))
    assert xml.Texts({"en": "a"}) != xml.Texts([("en", "a"), ("en", "b")])
    assert xml.Texts([("en", "b"), ("en", "a")]) != xml.Texts([("en", "a"), ("en", "b")])
    assert repr(xml.Texts({"en": "a"})) == "{'en': 'a'}"
    assert xml.Texts({"en": "a"}) != 3


def test_a_field_takes_a_mapping() -> None:
    dish = Dish(names=xml.Texts({"en": "a"}), notes={"en": "b"})
    assert isinstance(dish.notes, xml.Texts)
    assert xml.serialise(dish, NS) == "<dish><name xml:lang='en'>a</name><note xml:lang='en'>b</note></dish>"
    assert repr(dish) == "Dish(names={'en': 'a'}, notes={'en': 'b'})"
    assert repr(Dish()) == "Dish()"
    with pytest.raises(TypeError, match="dish/note: expected a mapping, got str"):
        Dish(notes="text")  # type: ignore[arg-type]
