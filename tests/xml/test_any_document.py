"""Any element of a peer is read, or refused with an ElementError; an object means the same when it is written."""

from __future__ import annotations

import copy
import enum
import pickle
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from trioxmpp import JID, Message, xml
from trioxmpp.errors import ElementError

NS, OTHER = "urn:a", "urn:b"


class Word(enum.Enum):
    A = "a"
    B = "b"


@xml.element(NS, "c")
class Leaf:
    jid: JID = xml.attr()
    text: int | None = xml.text(default=None, codec=xml.lenient(int))


@xml.element(NS, "d")
class Other:
    word: Word | str = xml.attr("jid", default=Word.A)


@xml.element(NS, "r")
class Lenient:
    leaves: tuple[Leaf | Other, ...] = xml.children(lenient=True)
    jids: tuple[JID, ...] = xml.child_texts("a", lenient=True)
    number: int = xml.attr("x", default=1)
    inner: Leaf | None = xml.child(inside="b", default=None, lenient=True)
    lasts: timedelta | None = xml.attr(inside="b", default=None)
    names: xml.Texts = xml.lang_text("e")
    word: Word | str | None = xml.child_name(ns=OTHER, default=None)
    others: tuple[xml.Element, ...] = xml.rest()
    attributes: Mapping[str, str] = xml.rest_attrs()


@xml.element(NS, "r")
class Strict:
    leaves: tuple[Leaf, ...] = xml.children()
    kind: str = xml.attr("x", default="k", validate=lambda kind: kind != "a")
    at: datetime | None = xml.child_text("e", default=None)


@xml.element(NS, "r")
class Open:
    text: str = xml.text(default="")
    first: xml.Payload | None = xml.any_child("a", default=None)
    second: xml.Payloads = xml.any_children(ns=OTHER)
    third: xml.Payloads = xml.any_children()


@xml.element(NS, "r")
class Wrapped:
    deep: str | None = xml.text(inside="b/a", default=None)
    index: int | None = xml.attr("x", inside="b/a", default=None)
    words: tuple[Word, ...] | None = xml.child_texts("c", inside="b", default=None)
    flagged: bool = xml.flag("d", inside="b")

    def __post_init__(self) -> None:
        if self.index == 13:
            raise ValueError("unlucky")


@xml.element(NS, "r")
class Holder:
    messages: tuple[Message, ...] = xml.children(lenient=True)


NAMES = st.sampled_from([*"abcde", "x"])
TEXTS = st.sampled_from(["", " ", "1", "a", "b", "13", "a@b", "@", "PT1S", "2026-01-01T00:00:00Z", "it's <&>", "\n"])
KEYS = st.sampled_from(["x", "jid", "{http://www.w3.org/XML/1998/namespace}lang", "{urn:z}y", "text"])


LANGUAGES = st.sampled_from(["de", "DE", "en-GB", " "])


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> xml.Element:
    element = etree.Element(f"{{{draw(st.sampled_from([NS, NS, NS, OTHER, 'jabber:client']))}}}{draw(NAMES)}")
    for key in draw(st.lists(KEYS, unique=True, max_size=2)):
        # A text without a language is in that of the element around it, so an empty xml:lang would not survive.
        element.set(key, draw(LANGUAGES if key.endswith("lang") else TEXTS))
    element.text = draw(TEXTS)
    for _ in range(draw(st.integers(0, 4)) if depth else 0):
        element.append(draw(trees(depth - 1)))
        element[-1].tail = draw(st.sampled_from([None, None, " ", "words"]))
    return element


@given(trees())
@settings(max_examples=150, deadline=None)
def test_any_element_is_read_or_refused_and_keeps_its_meaning(root: xml.Element) -> None:
    root.tag = f"{{{NS}}}r"
    before = etree.tostring(root)
    for cls in (Lenient, Strict, Open, Wrapped, Holder):
        try:
            payload: Any = xml.parse(cls, root)
        except ElementError:
            continue
        again = xml.parse(cls, xml.fromstring(xml.serialise(payload, "")))
        assert again == payload
        assert sorted(bad.field for bad in xml.malformed(again)) == sorted(bad.field for bad in xml.malformed(payload))
        assert xml.serialise(again, NS) == xml.serialise(xml.replace(again), NS)
        if cls is not Holder:
            assert pickle.loads(pickle.dumps(payload)) == copy.deepcopy(payload) == payload
            assert isinstance(hash(payload), int)
    assert etree.tostring(root) == before


@given(trees())
@settings(max_examples=100, deadline=None)
def test_a_lenient_class_with_a_rest_loses_nothing(root: xml.Element) -> None:
    root.tag = f"{{{NS}}}r"
    try:
        payload = xml.parse(Lenient, root)
    except ElementError:
        return
    written = xml.fromstring(xml.serialise(payload))
    for tag in {child.tag for child in root} - {f"{{{NS}}}b"}:
        assert len(written.findall(str(tag))) == len(root.findall(str(tag)))
