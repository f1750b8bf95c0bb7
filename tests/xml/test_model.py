"""Declared classes: reading, refusing and writing elements."""

from __future__ import annotations

import copy
import dataclasses
import enum
import linecache
import math
import pickle
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioxmpp import JID, xml
from trioxmpp.errors import ElementError
from trioxmpp.protocol.stanza import Get, response_type

NS = "https://example.org/weather"


class Sky(enum.Enum):
    CLEAR = "clear"
    CLOUDED = "clouded"


@xml.element(NS, "query")
class Query(Get["Report"]):
    """Asks a station for the weather at `place`."""

    place: str = xml.attr()


@xml.element(NS, "report")
class Report:
    measured: datetime = xml.attr()
    sky: Sky = xml.attr()
    celsius: float = xml.child_text()
    note: str | None = xml.child_text(default=None)


@xml.element(NS, "item")
class Item:
    jid: JID = xml.attr()
    items: tuple[Item, ...] = xml.children()  # of itself


@xml.element("urn:it's&", "odd")
class Odd:
    value: int = xml.text(default=7)


@xml.element("", "bare")
class Bare:
    name: str = xml.child_text(default="x")


@xml.element(NS, "everything")
class Everything:
    """All kinds of field, and all codecs."""

    from_: str | None = xml.attr(default=None)
    max_items: int = xml.attr(default=10)
    lang: Optional[str] = xml.attr("xml:lang", default=None)  # noqa: UP045  (that is what is tested)
    foreign: str | None = xml.attr("{urn:it's}foreign", default=None)
    is_on: bool = xml.attr("on")
    ratio: float = xml.attr(default=0.5)
    data: bytes = xml.child_text()
    at: datetime | None = xml.child_text(ns="urn:other", default=None)
    sky: Sky = xml.child_text(default=Sky.CLEAR)
    text: str = xml.text(default="")
    who: JID | None = xml.child_text(default=None)
    doubled: int = xml.child_text("twice", codec=xml.Codec(lambda text: int(text) // 2, lambda n: str(2 * n)))
    query: Query | None = xml.child(default=None)
    choice: Odd | Bare | None = xml.child(default=None)
    items: tuple[Item | Report, ...] = xml.children()
    flagged: bool = xml.flag()
    other_flag: bool = xml.flag("flagged", ns="urn:other")
    bodies: Mapping[str, str] = xml.lang_text("body")
    others: tuple[xml.Element, ...] = xml.rest()


def read(cls: type[Any], text: str) -> Any:
    return xml.parse(cls, xml.fromstring(text))


def test_an_element_is_read_as_an_object() -> None:
    report = read(
        Report,
        f"""<report xmlns='{NS}' measured='2002-09-10T23:08:25Z' sky='clouded' unknown='x'>
            <unknown xmlns='urn:unknown'><note>not this one</note></unknown>
            <note/>
            <celsius> -1.5 </celsius>
        </report>""",
    )
    assert report == Report(
        measured=datetime(2002, 9, 10, 23, 8, 25, tzinfo=UTC), sky=Sky.CLOUDED, celsius=-1.5, note=""
    )


@pytest.mark.parametrize(
    ("payload", "ns", "text"),
    [
        (Query(place="Ulm"), "", f"<query xmlns='{NS}' place='Ulm'/>"),
        (Query(place="Ulm"), NS, "<query place='Ulm'/>"),
        (Query(place="it's <&>\n"), NS, "<query place='it&apos;s &lt;&amp;&gt;&#10;'/>"),
        (
            Report(measured=datetime(2020, 1, 1, tzinfo=UTC), sky=Sky.CLEAR, celsius=1.5),
            NS,
            "<report measured='2020-01-01T00:00:00Z' sky='clear'><celsius>1.5</celsius></report>",
        ),
        (
            Item(jid=JID.parse("a@b"), items=(Item(jid=JID.parse("c")),)),
            NS,
            "<item jid='a@b'><item jid='c'/></item>",
        ),
        (Odd(), "", "<odd xmlns='urn:it&apos;s&amp;'/>"),
        (Odd(value=8), "", "<odd xmlns='urn:it&apos;s&amp;'>8</odd>"),
        (Bare(), "", "<bare/>"),
        (Bare(name=""), "jabber:client", "<bare xmlns=''><name></name></bare>"),
    ],
)
def test_an_object_is_written_as_an_element(payload: object, ns: str, text: str) -> None:
    assert xml.serialise(payload, ns) == text


def test_the_namespace_of_stanzas_is_the_default() -> None:
    @xml.element("jabber:client", "thread")
    class Thread:
        text: str = xml.text()

    assert xml.serialise(Thread(text="t")) == "<thread>t</thread>"
    assert xml.serialise(Query(place="Ulm")).startswith(f"<query xmlns='{NS}'")


def test_children_are_written_where_their_parent_is_the_default() -> None:
    everything = Everything(
        is_on=True, data=b"", doubled=1, choice=Bare(), other_flag=True, bodies={"": "a", "de": "b"}
    )
    assert xml.serialise(everything, NS) == (
        "<everything on='true'><data></data><twice>2</twice><bare xmlns=''/><flagged xmlns='urn:other'/>"
        "<body>a</body><body xml:lang='de'>b</body></everything>"
    )


EVERYTHING = f"<everything xmlns='{NS}' on='1'><data/><twice>2</twice>%s</everything>"


@pytest.mark.parametrize(
    ("cls", "text", "path", "message"),
    [
        (Query, f"<report xmlns='{NS}'/>", "query", f"expected {{{NS}}}query, got {{{NS}}}report"),
        (Query, "<query place='Ulm'/>", "query", f"expected {{{NS}}}query, got query"),
        (Query, f"<query xmlns='{NS}'/>", "query/@place", "missing"),
        (Report, f"<report xmlns='{NS}' measured='2020-01-01T00:00:00Z' sky='x'/>", "report/@sky", "not one of"),
        (
            Report,
            f"<report xmlns='{NS}' measured='2020-01-01T00:00:00Z' sky='clear'/>",
            "report/celsius",
            "missing",
        ),
        (
            Report,
            f"<report xmlns='{NS}' measured='2020-01-01T00:00:00Z' sky='clear'><celsius>warm</celsius></report>",
            "report/celsius",
            "not a number",
        ),
        (Odd, "<odd xmlns='urn:it&apos;s&amp;'>x</odd>", "odd/text()", "not an integer"),
        (Item, f"<item xmlns='{NS}' jid=''/>", "item/@jid", "empty"),
        (
            Item,
            f"<item xmlns='{NS}' jid='a'><item jid='b'/><x/><item jid='c'><item jid='d'/><item/></item></item>",
            "item/item[2]/item[2]/@jid",
            "missing",
        ),
        (Everything, EVERYTHING % "<twice>2</twice>", "everything/twice", "more than one"),
        (Everything, EVERYTHING % "<flagged/><flagged/>", "everything/flagged", "more than one"),
        (Everything, EVERYTHING % "<query/>", "everything/query/@place", "missing"),
        (Everything, EVERYTHING % ("<query place='a'/>" * 2), "everything/query", "more than one"),
        (
            Everything,
            EVERYTHING % "<bare xmlns=''/><odd xmlns='urn:it&apos;s&amp;'/>",
            "everything/odd",
            "more than one",
        ),
        (Everything, EVERYTHING % "<item jid='a'/><report/>", "everything/report[1]/@measured", "missing"),
    ],
)
def test_an_error_names_the_place(cls: type[Any], text: str, path: str, message: str) -> None:
    with pytest.raises(ElementError) as caught:
        read(cls, text)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert str(caught.value).count(f"{path}: ") == 1


LEGAL = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n\r<&'")
TEXTS = st.text(LEGAL, max_size=12)
# White space alone among children does not count as text.
TEXTS_AMONG_CHILDREN = TEXTS.filter(lambda text: not text or text.strip(" \t\r\n"))
# Only in UTC: other time zones are read as UTC.
TIMES = st.datetimes(timezones=st.just(UTC))
JIDS = st.sampled_from([JID.parse("romeo@example.org/orchard"), JID.parse("example.org")])
FLOATS = st.floats(allow_nan=False)
QUERIES = st.builds(Query, place=TEXTS)
REPORTS = st.builds(Report, measured=TIMES, sky=st.sampled_from(Sky), celsius=FLOATS, note=st.none() | TEXTS)
ITEMS = st.recursive(
    st.builds(Item, jid=JIDS),
    lambda inner: st.builds(Item, jid=JIDS, items=st.lists(inner, max_size=2).map(tuple)),
    max_leaves=4,
)
OTHERS = st.sampled_from(
    ["<x/>", "<x xmlns='urn:x' a='&#10;'>t<y xmlns=''/>&#13;</x>", f"<p:x xmlns:p='{NS}'><y/></p:x>"]
)
EVERYTHINGS = st.builds(
    Everything,
    from_=st.none() | TEXTS,
    max_items=st.integers(),
    lang=st.none() | st.just("fr"),
    foreign=st.none() | TEXTS,
    is_on=st.booleans(),
    ratio=FLOATS,
    data=st.binary(max_size=8),
    at=st.none() | TIMES,
    sky=st.sampled_from(Sky),
    text=TEXTS_AMONG_CHILDREN,
    who=st.none() | JIDS,
    doubled=st.integers(),
    query=st.none() | QUERIES,
    choice=st.none() | st.builds(Odd, value=st.integers()) | st.builds(Bare, name=TEXTS),
    items=st.lists(ITEMS | REPORTS, max_size=3).map(tuple),
    flagged=st.booleans(),
    other_flag=st.booleans(),
    bodies=st.dictionaries(st.sampled_from(["", "de", "en"]), TEXTS),
    others=st.lists(OTHERS.map(xml.fromstring), max_size=3).map(tuple),
)


@given(QUERIES | REPORTS | ITEMS | EVERYTHINGS, st.sampled_from(["", NS, "jabber:client"]))
def test_objects_survive(payload: Any, ns: str) -> None:
    parent = xml.fromstring(f"<parent xmlns='{ns}'>{xml.serialise(payload, ns)}</parent>")
    again = xml.parse(type(payload), parent[0])
    if isinstance(payload, Everything) and payload.lang is not None:
        # A text without a language is in that of the element.
        payload = dataclasses.replace(payload, bodies={lang or "fr": text for lang, text in payload.bodies.items()})
    assert again == payload
    assert hash(again) == hash(payload)


def texts_of(annotation: Any, **options: Any) -> type[Any]:
    cls = type("Text", (), {"__annotations__": {"text": annotation}, "text": xml.text(**options)})
    return xml.element(NS, "text")(cls)


@pytest.mark.parametrize(
    ("annotation", "options", "empty", "values"),
    [
        (str, {}, "", ["", " ", "a"]),
        (str | None, {"default": None}, None, [None, " ", "a"]),
        (str, {"default": "x"}, "", ["", "x", "a"]),
        (bytes, {}, b"", [b"", b"a"]),
        (bytes, {"default": b"x"}, b"", [b"", b"x", b"a"]),
        (bytes | None, {"default": None}, None, [None, b"a"]),
        (int, {"default": 7}, 7, [0, 7]),
        (int | None, {"default": None}, None, [None, 0]),
    ],
)
def test_empty_text_is_the_empty_value_or_the_default(
    annotation: Any, options: dict[str, Any], empty: object, values: list[object]
) -> None:
    cls = texts_of(annotation, **options)
    assert read(cls, f"<text xmlns='{NS}'/>").text == empty
    for value in values:
        assert read(cls, xml.serialise(cls(text=value))).text == value


def test_the_text_is_that_directly_in_the_element() -> None:
    cls = texts_of(str)
    assert read(cls, f"<text xmlns='{NS}'>a<b>c</b>d</text>").text == "ad"
    assert read(cls, f"<text xmlns='{NS}'>\n<b>c</b>\n</text>").text == ""
    assert read(Bare, "<bare><name>a<b>c</b>d</name></bare>").name == "ad"


def test_the_rest_is_all_that_no_field_takes() -> None:
    everything = read(Everything, EVERYTHING % "<y xmlns='urn:y'>t</y>  <flagged/><z/>")
    assert [element.tag for element in everything.others] == ["{urn:y}y", f"{{{NS}}}z"]
    assert everything == read(Everything, EVERYTHING % "<flagged/><y xmlns='urn:y'>t</y><z/>")
    assert everything != read(Everything, EVERYTHING % "<flagged/><y xmlns='urn:y'>u</y><z/>")
    assert everything != read(Everything, EVERYTHING % "<flagged/><y xmlns='urn:y'>t</y>")
    assert everything != read(Everything, EVERYTHING % "<y xmlns='urn:y'>t</y><z/>")
    assert everything != "something else"


@pytest.mark.parametrize(
    ("payload", "error", "message"),
    [
        (Query(place="\x00"), ValueError, r"U\+0000"),
        (Query(place=None), TypeError, "NoneType"),  # type: ignore[arg-type]
        (Query(place=JID.parse("a@b")), TypeError, "JID"),  # type: ignore[arg-type]
        (Item(jid="a@b"), TypeError, "expected a JID, got str"),  # type: ignore[arg-type]
        ("text", TypeError, "str does not describe an element"),
        (None, TypeError, "NoneType does not describe an element"),
    ],
)
def test_a_value_that_cannot_be_written_is_an_error(payload: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        xml.serialise(payload)


def test_a_request_knows_the_class_of_its_answer() -> None:
    @xml.element(NS, "ask")
    class Ask(Get[Report]):
        pass

    assert response_type(Ask) == (Report, False)
    assert issubclass(Ask, Get)
    assert xml.tag_of(Ask) == f"{{{NS}}}ask"
    assert xml.parse(Ask, xml.fromstring(xml.serialise(Ask()))) == Ask()


def test_objects_are_frozen_and_slotted_values() -> None:
    query = Query(place="Ulm")
    with pytest.raises(dataclasses.FrozenInstanceError):
        query.place = "Bonn"  # type: ignore[misc]
    assert not hasattr(query, "__dict__")
    assert pickle.loads(pickle.dumps(query)) == copy.deepcopy(query) == dataclasses.replace(query) == query
    assert {query: 1}[Query(place="Ulm")] == 1
    assert repr(query) == "Query(place='Ulm')"


def test_the_constructor_takes_keywords_only_and_demands_required_fields() -> None:
    with pytest.raises(TypeError):
        Query()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Query("Ulm")  # type: ignore[call-arg]


def test_a_subclass_describes_nothing_until_it_is_declared() -> None:
    class Undeclared(Query):
        pass

    with pytest.raises(TypeError, match=r"Undeclared does not describe an element"):
        xml.tag_of(Undeclared)
    with pytest.raises(TypeError, match="does not describe"):
        xml.parse(Undeclared, xml.fromstring("<a/>"))

    @xml.element(NS, "long-query")
    class LongQuery(Query):
        days: int = xml.attr(default=1)

    query = LongQuery(place="Ulm", days=3)
    assert xml.serialise(query, NS) == "<long-query place='Ulm' days='3'/>"
    assert read(LongQuery, xml.serialise(query)) == query


def test_find_returns_the_first_child_that_the_class_describes() -> None:
    parent = xml.fromstring(f"<a><query/><query xmlns='{NS}' place='Ulm'/><query xmlns='{NS}'/></a>")
    assert xml.find(parent, Query) == Query(place="Ulm")
    assert xml.find(parent, Report) is None
    parent.remove(parent[1])
    with pytest.raises(ElementError):
        xml.find(parent, Query)


def declare(**fields: tuple[Any, Any]) -> type[Any]:
    annotations = {name: annotation for name, (annotation, _) in fields.items() if annotation is not ...}
    values = {name: value for name, (_, value) in fields.items() if value is not ...}
    return xml.element(NS, "x", fixed={"type": "x"})(type("X", (), {"__annotations__": annotations, **values}))


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"a": (str, xml.attr()), "b": (str, xml.attr("a"))}, "X.b", "a and b both take a"),
        ({"a": (bool, xml.flag()), "b": (str, xml.child_text("a"))}, "X.b", "a and b both take"),
        ({"a": (str, xml.text()), "b": (str, xml.text())}, "X.b", r"a and b both take text\(\)"),
        ({"a": (tuple, xml.rest()), "b": (tuple, xml.rest())}, "X.b", "both take rest"),
        ({"a": (dict, xml.rest_attrs()), "b": (dict, xml.rest_attrs())}, "X.b", "both take rest_attrs"),
        ({"a": (str, xml.attr("type"))}, "X.a", "what is fixed and a both take type"),
        ({"a": (tuple[Item | Query, ...], xml.children()), "b": (Query, xml.child())}, "X.b", "both take"),
        ({"a": (str, ...)}, "X.a", "not a field of an element"),
        ({"a": (complex, xml.attr())}, "X.a", "no codec for <class 'complex'>"),
        ({"a": (int | str, xml.attr())}, "X.a", r"no codec for int \| str"),
        ({"a": (str, xml.child())}, "X.a", "str does not describe an element"),
        ({"a": (tuple, xml.children())}, "X.a", "does not say of what"),
        ({"a": (str, xml.attr("a b"))}, "X.a", "'a b' is not an XML name"),
        ({"a": (str, xml.attr("p:a"))}, "X.a", "'p:a' is not the name of an attribute"),
        ({"a": (str, xml.child_text("'"))}, "X.a", "is not an XML name"),
        ({"a": (str, xml.attr(default=None))}, "X.a", "its default is None, its annotation does not say so"),
        ({"a": (Item, xml.child(default=None))}, "X.a", "its default is None, its annotation does not say so"),
        ({"a": (..., xml.attr())}, "X.a", "needs an annotation"),
    ],
)
def test_a_contradictory_declaration_is_refused_at_once(fields: Any, path: str, message: str) -> None:
    with pytest.raises(ElementError, match=message) as caught:
        declare(**fields)
    assert caught.value.path == path


def test_an_unknown_name_in_an_annotation_is_a_type_error_on_first_use() -> None:
    """An ElementError would blame the peer that sent the element."""
    for cls in (declare(a=("NoSuchClass", xml.child())), declare(a=("NoSuchClass | None", xml.child(default=None)))):
        for _ in range(2):  # the second time as well
            with pytest.raises(TypeError, match="X makes no sense: name 'NoSuchClass' is not defined"):
                xml.parse(cls, xml.fromstring(f"<x xmlns='{NS}' type='x'/>"))
        with pytest.raises(TypeError, match="NoSuchClass"):
            xml.serialise(cls(a=None))


@pytest.mark.parametrize("name", ["", "a b", "p:a", "1a", "-a", "<", "a'"])
def test_an_element_needs_an_xml_name(name: str) -> None:
    with pytest.raises(ElementError, match="is not an XML name"):
        xml.element(NS, name)


def test_the_class_of_children_can_be_an_argument() -> None:
    cls = declare(one=(Any, xml.child(Query)), many=(Any, xml.children(Item)))
    value = cls(one=Query(place="a"), many=(Item(jid=JID.parse("b")),))
    assert read(cls, xml.serialise(value)) == value


def test_nan_is_written() -> None:
    cls = declare(a=(float, xml.attr()))
    assert math.isnan(read(cls, xml.serialise(cls(a=math.nan))).a)


def test_generated_code_can_be_read() -> None:
    with pytest.raises(ElementError) as caught:
        read(Query, "<x/>")
    lines = traceback.extract_tb(caught.tb)
    generated = [frame for frame in lines if frame.filename == f"<xml reader of {__name__}.Query>"]
    assert [frame.line for frame in generated] == ["raise wrong(element, declaration)"]
    linecache.checkcache()
    assert linecache.getline(generated[0].filename, 1) == "def read(element):\n"


def test_classes_of_one_name_do_not_share_their_source() -> None:
    first, second = declare(a=(str, xml.attr())), declare(b=(str, xml.attr()))
    assert read(first, f"<x xmlns='{NS}' type='x' a='1'/>").a == "1"
    assert read(second, f"<x xmlns='{NS}' type='x' b='1'/>").b == "1"
    names = [name for name in linecache.cache if name.startswith("<xml reader of") and ".X" in name]
    sources = ["".join(linecache.getlines(name)) for name in names]
    assert any("element.get(b'a')" in source for source in sources)
    assert any("element.get(b'b')" in source for source in sources)
