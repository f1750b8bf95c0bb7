"""The kinds of field that extensions need: open children, names as values, wrappers, many texts, shared structures."""

from __future__ import annotations

import copy
import enum
import pickle
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import pytest

from trioxmpp import JID, xml
from trioxmpp.errors import ElementError

NS = "urn:example:kinds"


class Reason(enum.StrEnum):
    SUCCESS = "success"
    BUSY = "busy"
    TIMEOUT = "timeout"


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


@xml.element("urn:example:nick", "nick")
class Nick:
    name: str = xml.text()


@xml.element("urn:example:avatar", "data")
class Avatar:
    data: bytes = xml.text()


@xml.element(NS, "item")
class Item:
    id: str | None = xml.attr(default=None)
    payload: xml.Payload | None = xml.any_child(default=None)


@xml.element(NS, "content")
class Content:
    creator: str = xml.attr()
    description: xml.Payload = xml.any_child("description")
    transport: xml.Payload | None = xml.any_child("transport", default=None)
    hints: xml.Payloads = xml.any_children(ns="urn:example:hints")
    nick: Nick | None = xml.child(default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "bare")
class Bare:
    payloads: xml.Payloads = xml.any_children(ns="")


@xml.element(NS, "reason")
class ReasonElement:
    reason: Reason | str = xml.child_name()
    text: str | None = xml.child_text(default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "closed")
class Closed:
    reason: Reason | None = xml.child_name(default=None)
    mode: Mode = xml.child_name(ns="urn:example:mode", default=Mode.FAST)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "open-attribute")
class OpenAttribute:
    mode: Mode | str = xml.attr()
    level: Literal["low", "high"] | str | None = xml.child_text(default=None)


@xml.element(NS, "prefs")
class Prefs:
    default: str = xml.attr()
    always: tuple[JID, ...] = xml.child_texts("jid", inside="always")
    never: tuple[JID, ...] | None = xml.child_texts("jid", inside="never", default=None)


@xml.element(NS, "page")
class Page:
    first: str | None = xml.child_text(default=None)
    index: int | None = xml.attr(inside="first", default=None)
    last: str | None = xml.child_text(default=None)
    count: int | None = xml.child_text(default=None)


@xml.element(NS, "deep")
class Deep:
    before: str = xml.child_text()
    value: int = xml.child_text(inside="a/b", default=0)
    kind: str | None = xml.attr(inside="a/b", default=None)
    foreign: str | None = xml.text(inside="a/{urn:other}c", default=None)
    flagged: bool = xml.flag(inside="a")
    nick: Nick | None = xml.child(inside="a/{urn:other}d", default=None)
    names: xml.Texts = xml.lang_text("name", inside="names")
    reason: Reason | str | None = xml.child_name(inside="reasons", default=None)
    after: str = xml.child_text()


@xml.element(NS, "must")
class Must:
    key: bytes = xml.text(inside="keys/key")
    rid: int = xml.attr(inside="keys/key")


@xml.element(NS, "roster-item")
class RosterItem:
    jid: JID = xml.attr()
    groups: tuple[str, ...] = xml.child_texts("group")
    sizes: tuple[int, ...] = xml.child_texts("size", ns="urn:other", validate=lambda size: size >= 0)


def read(cls: type[Any], inner: str, attributes: str = "") -> Any:
    name = xml.tag_of(cls).rpartition("}")[2]
    return xml.parse(cls, xml.fromstring(f"<{name} xmlns='{NS}'{attributes}>{inner}</{name}>"))


def survives(payload: Any) -> bool:
    """Whether it means the same after a round trip in any namespace, a copy, and pickling."""
    for ns in ("", NS, "jabber:client"):
        parent = xml.fromstring(f"<parent xmlns='{ns}'>{xml.serialise(payload, ns)}</parent>")
        assert xml.parse(type(payload), parent[0]) == payload
    assert pickle.loads(pickle.dumps(payload)) == copy.copy(payload) == copy.deepcopy(payload) == payload
    return hash(pickle.loads(pickle.dumps(payload))) == hash(payload)


NICK = "<nick xmlns='urn:example:nick'>Romeo</nick>"


def test_an_open_child_gives_the_element_or_an_object_of_a_class_asked_for_later() -> None:
    item = read(Item, f" {NICK} ", " id='1'")
    assert item.payload.tag == "{urn:example:nick}nick"
    assert item.payload.get(Nick) == Nick(name="Romeo")
    assert item.payload.get(Nick) is item.payload.get(Nick)
    assert item.payload.get(Avatar) is None
    assert item.payload.element.text == "Romeo"
    assert item.payload.element.getparent() is None
    assert survives(item)
    assert read(Item, "").payload is None


def test_an_open_child_is_made_of_an_object_or_an_element() -> None:
    of_object, of_element = xml.Payload(Nick(name="Romeo")), xml.Payload(xml.fromstring(NICK))
    assert of_object == of_element
    assert hash(of_object) == hash(of_element)
    assert of_object != xml.Payload(Nick(name="Juliet"))
    assert of_object != xml.Payload(Avatar(data=b""))
    assert of_object.get(Nick) is of_object.content
    assert xml.equal(of_object.element, xml.fromstring(NICK))
    for payload in (of_object, of_element):
        assert xml.serialise(Item(id="1", payload=payload), NS).startswith("<item id='1'><nick xmlns=")
        assert survives(Item(payload=payload))
    assert xml.Payload(of_object) == of_object
    with pytest.raises(TypeError, match="does not describe an element"):
        xml.Payload("text")
    with pytest.raises(TypeError, match=r"item/payload: .*does not describe an element"):
        Item(payload="text")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        of_object.content = None


def test_a_malformed_open_child_is_told_from_another_one(caplog: pytest.LogCaptureFixture) -> None:
    payload = xml.Payload(xml.fromstring("<data xmlns='urn:example:avatar'>?</data>"))
    assert payload.get(Avatar) is None
    assert "not base64" in caplog.text
    with pytest.raises(ElementError, match="not base64"):
        payload.get(Avatar, strict=True)
    assert payload.get(Nick, strict=True) is None


def test_open_children_are_chosen_by_name_or_namespace_after_those_that_are_known() -> None:
    content = read(
        Content,
        "<description xmlns='urn:rtp' media='audio'/><x/><transport xmlns='urn:ice'/><store xmlns='urn:example:hints'/>"
        f"{NICK}<no-copy xmlns='urn:example:hints'/><y xmlns=''/>",
        " creator='initiator'",
    )
    assert content.description.tag == "{urn:rtp}description"
    assert content.transport.tag == "{urn:ice}transport"
    assert [hint.tag.rpartition("}")[2] for hint in content.hints] == ["store", "no-copy"]
    assert content.nick == Nick(name="Romeo")
    assert [element.tag for element in content.others] == [f"{{{NS}}}x", "y"]
    assert survives(content)
    bare = read(Bare, "<a xmlns=''/><b/>")
    assert [payload.tag for payload in bare.payloads] == ["a"]


def test_another_module_can_join_the_classes_of_an_open_child() -> None:
    content = read(Content, "<description xmlns='urn:new' size='3'/>", " creator='me'")

    @xml.element("urn:new", "description")
    class Joined:
        size: int = xml.attr()

    assert content.description.get(Joined) == Joined(size=3)


def test_payloads_are_found_by_their_class() -> None:
    payloads = xml.Payloads(
        [Nick(name="a"), xml.fromstring(NICK), xml.fromstring("<data xmlns='urn:example:avatar'>?</data>")]
    )
    assert payloads.get(Nick) == Nick(name="a")
    assert payloads.get_all(Nick) == [Nick(name="a"), Nick(name="Romeo")]
    assert payloads.get(Avatar) is None
    with pytest.raises(ElementError):
        payloads.get_all(Avatar, strict=True)
    assert pickle.loads(pickle.dumps(payloads)) == payloads
    assert type(pickle.loads(pickle.dumps(payloads))) is xml.Payloads


@pytest.mark.parametrize(
    ("inner", "message"),
    [("<a/><b/>", "missing"), ("<description/><description xmlns='x'/>", "more than one")],
)
def test_a_missing_or_a_second_open_child_is_refused(inner: str, message: str) -> None:
    with pytest.raises(ElementError, match=message):
        read(Content, inner, " creator='x'")


def test_the_name_of_an_empty_child_is_a_value() -> None:
    reason = read(ReasonElement, "<busy/><text>later</text>")
    assert (reason.reason, reason.text) == (Reason.BUSY, "later")
    assert xml.serialise(reason, NS) == "<reason><busy/><text>later</text></reason>"
    assert survives(reason)


def test_an_unknown_name_is_kept() -> None:
    unknown = read(ReasonElement, "<text>new</text><gone-fishing/><x xmlns='urn:x'/>")
    assert (unknown.reason, unknown.text) == ("gone-fishing", "new")
    assert [other.tag for other in unknown.others] == ["{urn:x}x"]
    assert survives(unknown)
    closed = read(Closed, "<gone-fishing/><slow xmlns='urn:example:mode'/>")
    assert (closed.reason, closed.mode) == (None, Mode.SLOW)
    assert [other.tag for other in closed.others] == [f"{{{NS}}}gone-fishing"]
    assert survives(closed)


def test_a_known_name_counts_more_than_an_unknown_one() -> None:
    for inner in ("<busy/><later/>", "<later/><busy/>"):
        assert read(ReasonElement, inner).reason is Reason.BUSY
    with pytest.raises(ElementError, match="more than one"):
        read(ReasonElement, "<busy/><timeout/>")
    with pytest.raises(ElementError, match="missing"):
        read(ReasonElement, "<x xmlns='urn:x'/>")


def test_a_value_that_is_not_a_name_is_not_written() -> None:
    for wrong, error in (("a b", ElementError), ("><", ElementError), (3, TypeError), (Mode.FAST, TypeError)):
        with pytest.raises(error):
            xml.serialise(ReasonElement(reason=wrong))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        xml.serialise(Closed(reason="gone-fishing"))  # type: ignore[arg-type]
    with pytest.raises(ElementError, match="an enum"):

        @xml.element(NS, "x")
        class Wrong:
            reason: str = xml.child_name()


def test_an_unknown_attribute_value_is_kept_where_the_annotation_says_so() -> None:
    assert read(OpenAttribute, "<level>high</level>", " mode='fast'") == OpenAttribute(mode=Mode.FAST, level="high")
    other = read(OpenAttribute, "<level>medium</level>", " mode='turbo'")
    assert (other.mode, other.level) == ("turbo", "medium")
    assert survives(other)


def test_a_wrapper_needs_no_class() -> None:
    prefs = read(Prefs, "<always> <jid>a@b</jid><jid>c@d</jid></always><never/>", " default='roster'")
    assert prefs == Prefs(default="roster", always=(JID.parse("a@b"), JID.parse("c@d")), never=())
    assert xml.serialise(prefs, NS) == (
        "<prefs default='roster'><always><jid>a@b</jid><jid>c@d</jid></always><never/></prefs>"
    )
    assert survives(prefs)
    assert read(Prefs, "", " default='roster'") == Prefs(default="roster")
    assert xml.serialise(Prefs(default="roster"), NS) == "<prefs default='roster'/>"
    with pytest.raises(ElementError) as caught:
        read(Prefs, "<always><jid>a@b</jid><jid>@</jid></always>", " default='roster'")
    assert caught.value.path == "prefs/always/jid[2]"
    with pytest.raises(ElementError, match="more than one") as caught:
        read(Prefs, "<never/><never/>", " default='roster'")
    assert caught.value.path == "prefs/never"


def test_a_text_child_has_attributes() -> None:
    page = read(Page, "<first index='7'>id-1</first><last>id-9</last><count>20</count>")
    assert page == Page(first="id-1", index=7, last="id-9", count=20)
    assert xml.serialise(page, NS) == ("<page><first index='7'>id-1</first><last>id-9</last><count>20</count></page>")
    assert survives(page)
    assert read(Page, "<count>0</count>") == Page(count=0)
    assert read(Page, "<first>a</first>") == Page(first="a")


def test_wrappers_can_be_inside_wrappers() -> None:
    everything = Deep(
        before="1",
        value=3,
        kind="k",
        foreign="it's",
        flagged=True,
        nick=Nick(name="n"),
        names=xml.Texts({"de": "x"}),
        reason="new",
        after="2",
    )
    assert xml.serialise(everything, NS) == (
        "<deep><before>1</before><a><b kind='k'><value>3</value></b><c xmlns='urn:other'>it's</c><flagged/>"
        "<d xmlns='urn:other'><nick xmlns='urn:example:nick'>n</nick></d></a>"
        "<names><name xml:lang='de'>x</name></names><reasons><new/></reasons><after>2</after></deep>"
    )
    assert survives(everything)
    assert survives(Deep(before="", after=""))
    assert xml.serialise(Deep(before="1", after="2"), NS) == "<deep><before>1</before><after>2</after></deep>"
    assert survives(Must(key=b"abc", rid=1))
    for inner, path in (("", "must/keys/key/text()"), ("<keys><key>YQ==</key></keys>", "must/keys/key/@rid")):
        with pytest.raises(ElementError, match="missing") as caught:
            read(Must, inner)
        assert caught.value.path == path


@pytest.mark.parametrize("inside", ["", "/a", "a/", "a//b", "a b", "{urn:x", "p:a"])
def test_a_path_is_made_of_names(inside: str) -> None:
    with pytest.raises(ElementError):
        xml.element(NS, "x")(type("X", (), {"__annotations__": {"a": str}, "a": xml.child_text(inside=inside)}))


def test_many_texts_of_one_name() -> None:
    item = read(
        RosterItem, "<group>Friends</group><size xmlns='urn:other'>3</size><group>A &amp; B</group>", " jid='a@b'"
    )
    assert item == RosterItem(jid=JID.parse("a@b"), groups=("Friends", "A & B"), sizes=(3,))
    assert xml.serialise(item, NS) == (
        "<roster-item jid='a@b'><group>Friends</group><group>A &amp; B</group>"
        "<size xmlns='urn:other'>3</size></roster-item>"
    )
    assert survives(item)
    assert RosterItem(jid=JID.parse("a@b"), groups=["x"]).groups == ("x",)  # type: ignore[arg-type]
    for wrong in (
        lambda: RosterItem(jid=JID.parse("a@b"), sizes=(1, -1)),
        lambda: RosterItem(jid=JID.parse("a@b"), sizes=5),
    ):
        with pytest.raises((ElementError, TypeError), match="roster-item/size"):
            wrong()
    with pytest.raises(ElementError) as caught:
        read(RosterItem, "<size xmlns='urn:other'>1</size><size xmlns='urn:other'>-1</size>", " jid='a@b'")
    assert caught.value.path == "roster-item/size[2]"


def test_a_sequence_is_not_made_of_a_string() -> None:
    with pytest.raises(TypeError, match="roster-item/group: expected a sequence, got str"):
        RosterItem(jid=JID.parse("a@b"), groups="Friends")  # type: ignore[arg-type]


@xml.structure
class Published:
    id: str | None = xml.attr(default=None)
    payload: xml.Payload | None = xml.any_child(default=None)
    note: str | None = xml.child_text(default=None)

    def is_empty(self) -> bool:
        return self.payload is None


@xml.element("urn:pubsub", "item")
class PubsubItem(Published):
    pass


@xml.element("urn:pubsub#event", "item")
class EventItem(Published):
    publisher: str | None = xml.attr(default=None)


ItemT = TypeVar("ItemT", bound=Published)


@xml.structure
class Items(Generic[ItemT]):
    node: str = xml.attr()
    items: tuple[ItemT, ...] = xml.children()


@xml.element("urn:pubsub", "items")
class PubsubItems(Items[PubsubItem]):
    pass


@xml.element("urn:pubsub#event", "items")
class EventItems(Items[EventItem]):
    retracted: tuple[str, ...] = xml.child_texts("retract")


def test_one_structure_in_several_namespaces() -> None:
    for cls, items, ns in ((PubsubItem, PubsubItems, "urn:pubsub"), (EventItem, EventItems, "urn:pubsub#event")):
        payload = items(node="n", items=(cls(id="1", payload=xml.Payload(Nick(name="x")), note="y"),))
        assert isinstance(payload.items[0], Published)
        assert not payload.items[0].is_empty()
        text = xml.serialise(payload, "")
        assert text.startswith(f"<items xmlns='{ns}' node='n'><item id='1'><nick")
        assert "<note>y</note>" in text
        assert survives(payload)
    assert PubsubItem(id="1") != EventItem(id="1")
    with pytest.raises(TypeError, match="does not describe an element"):
        xml.tag_of(Published)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"a": (xml.Payload, xml.any_child()), "b": (xml.Payload, xml.any_child())}, "both take"),
        ({"a": (Reason, xml.child_name()), "b": (Mode, xml.child_name())}, "both take"),
        ({"a": (str, xml.attr(inside="x")), "b": (bool, xml.flag("x"))}, "both take"),
        ({"a": (str, xml.attr(inside="x")), "b": (tuple[str, ...], xml.child_texts("x"))}, "both take"),
        ({"a": (str, xml.attr("x", inside="y")), "b": (str, xml.attr("x", inside="y"))}, "both take"),
        ({"a": (Nick, xml.child(lenient=True))}, "needs a default"),
        ({"a": (tuple[complex, ...], xml.child_texts())}, "no codec"),
        ({"a": (tuple[str, ...], xml.child_texts(default=None))}, "its default is None"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(fields: Mapping[str, Any], message: str) -> None:
    annotations = {name: annotation for name, (annotation, _) in fields.items()}
    values = {name: value for name, (_, value) in fields.items()}
    with pytest.raises(ElementError, match=message):
        xml.element(NS, "x")(type("X", (), {"__annotations__": annotations, **values}))
