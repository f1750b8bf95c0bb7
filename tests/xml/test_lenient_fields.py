"""Malformed values are skipped, logged once, kept, and written again; given values are written, others are not."""

from __future__ import annotations

import copy
import dataclasses
import enum
import gc
import inspect
import logging
import pickle
import weakref
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest

from trioxmpp import JID, xml
from trioxmpp.errors import ElementError

NS = "urn:example:lenient"


class Kind(enum.StrEnum):
    CHAT = "chat"
    ROOM = "room"


@xml.element(NS, "item")
class Item:
    jid: JID = xml.attr()
    name: str | None = xml.attr(default=None)


@xml.element(NS, "feature")
class Feature:
    var: int = xml.attr()


@xml.element(NS, "list")
class Listing:
    """All children are of one class."""

    items: tuple[Item, ...] = xml.children(lenient=True)


@xml.element(NS, "features")
class Features:
    each: tuple[Feature, ...] = xml.children(lenient=True)


@xml.element(NS, "mixture")
class Mixture:
    items: tuple[Item | Feature, ...] = xml.children(lenient=True)
    first: Item | None = xml.child(inside="first", default=None, lenient=True)
    jids: tuple[JID, ...] = xml.child_texts("jid", lenient=True)
    kind: Kind | None = xml.attr(default=None, codec=xml.lenient(Kind))
    size: Annotated[int, xml.lenient(xml.integer(0, 9))] | None = xml.child_text(default=None)
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "checked")
class Checked:
    """Made by its constructor."""

    items: tuple[Item, ...] = xml.children(lenient=True)
    size: int | None = xml.text(default=None, codec=xml.lenient(int))

    def __post_init__(self) -> None:
        if len(self.items) > 3:
            raise ValueError("too many")


def read(cls: type[Any], inner: str, attributes: str = "") -> Any:
    name = xml.tag_of(cls).rpartition("}")[2]
    return xml.parse(cls, xml.fromstring(f"<{name} xmlns='{NS}'{attributes}>{inner}</{name}>"))


GOOD, BAD = "<item jid='a@b'/>", "<item jid='@b' name='kept &amp; sound'><x xmlns='urn:x'/></item>"
ROMEO = Item(jid=JID.parse("a@b"))


@pytest.mark.parametrize("cls", [Listing, Mixture, Checked])
def test_a_bad_item_does_not_take_the_others_with_it(cls: Any) -> None:
    listing = read(cls, f"{GOOD}{BAD}{GOOD}")
    assert listing.items == (ROMEO, ROMEO)
    (bad,) = xml.malformed(listing)
    assert (bad.field, bad.raw.get("name"), bad.raw[0].tag) == ("items", "kept & sound", "{urn:x}x")
    assert isinstance(bad.error, ElementError)
    assert bad.error.path.endswith("/item[2]/@jid")
    assert bad.raw.getparent() is None
    assert xml.malformed(read(cls, GOOD)) == ()
    assert xml.malformed(cls()) == ()


@pytest.mark.parametrize("cls", [Listing, Mixture, Checked])
def test_a_bad_item_is_written_again(cls: Any) -> None:
    listing = read(cls, f"{GOOD}{BAD}")
    name = xml.tag_of(cls).rpartition("}")[2]
    for again in (listing, pickle.loads(pickle.dumps(listing)), copy.deepcopy(listing), xml.replace(listing)):
        for ns in ("", NS, "jabber:client"):
            parent = xml.fromstring(f"<parent xmlns='{ns}'>{xml.serialise(again, ns)}</parent>")
            assert xml.equal(parent[0], xml.fromstring(f"<{name} xmlns='{NS}'>{GOOD}{BAD}</{name}>"))
    assert xml.malformed(xml.replace(listing, items=())) == ()


def test_a_second_child_is_set_aside_where_the_field_is_lenient() -> None:
    mixture = read(Mixture, f"<first>{GOOD}<item jid='c@d'/></first>")
    assert mixture.first == ROMEO
    assert [str(bad.error) for bad in xml.malformed(mixture)] == ["mixture/first/item: more than one"]
    assert "c@d" in xml.serialise(mixture)


def test_items_with_a_sole_attribute_are_set_aside_too() -> None:
    for _ in range(2):  # the second time from those that were read before
        features = read(Features, "<feature var='1'/><feature var='x'/><feature/><feature var='2'/>")
        assert features.each == (Feature(var=1), Feature(var=2))
        assert [bad.error.path for bad in xml.malformed(features)] == [
            "features/feature[2]/@var",
            "features/feature[3]/@var",
        ]


def test_each_lenient_kind_keeps_what_it_cannot_read() -> None:
    inner = (
        "<feature var='x'/><item jid='a@b'/><first><item/></first><jid>a@b</jid><jid>@</jid><jid> c@d </jid>"
        "<size>10</size><z xmlns='urn:z'/>"
    )
    mixture = read(Mixture, inner, " kind='unheard of'")
    assert mixture.items == (ROMEO,)
    assert mixture.jids == (JID.parse("a@b"), JID.parse("c@d"))
    assert (mixture.first, mixture.kind, mixture.size) == (None, None, None)
    assert {(bad.field, bad.error.path) for bad in xml.malformed(mixture)} == {
        ("items", "mixture/feature[1]/@var"),
        ("first", "mixture/first/item/@jid"),
        ("jids", "mixture/jid[2]"),
        ("kind", "mixture/@kind"),
        ("size", "mixture/size"),
    }
    again = xml.parse(Mixture, xml.fromstring(xml.serialise(mixture)))
    assert again == mixture
    assert [(bad.field, str(bad.error)) for bad in xml.malformed(again)] == [
        (bad.field, str(bad.error).replace("feature[1]", "feature[2]").replace("jid[2]", "jid[3]"))
        for bad in xml.malformed(mixture)
    ]
    assert "kind='unheard of'" in xml.serialise(mixture, NS)
    assert "<size>10</size>" in xml.serialise(mixture, NS)
    known = xml.replace(mixture, kind=Kind.CHAT, size=3)
    assert "unheard" not in xml.serialise(known, NS)
    assert read(Mixture, "<size>3</size>", " kind='room'") == Mixture(kind=Kind.ROOM, size=3)


def test_the_first_bad_item_is_a_warning_and_later_ones_are_debug_lines(caplog: pytest.LogCaptureFixture) -> None:
    @xml.element(NS, "list")
    class Fresh:
        items: tuple[Item, ...] = xml.children(lenient=True)

    with caplog.at_level(logging.DEBUG, "trioxmpp"):
        for _ in range(2):
            read(Fresh, GOOD + BAD + "<item jid='@&#10;\x85x'/>")
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "DEBUG", "DEBUG"]
    assert "list/item[2]/@jid" in caplog.records[0].getMessage()
    assert all(record.getMessage().isprintable() and len(record.getMessage()) < 400 for record in caplog.records)


def test_the_last_of_many_bad_items_has_its_number() -> None:
    for cls, name in ((Listing, "list"), (Mixture, "mixture")):
        listing = xml.parse(cls, xml.fromstring(f"<{name} xmlns='{NS}'>{'<item/>' * 2000}</{name}>"))
        assert len(xml.malformed(listing)) == 2000
        assert xml.malformed(listing)[-1].error.path.endswith("/item[2000]/@jid")


def test_a_malformed_value_does_not_keep_the_tree_that_it_was_read_from() -> None:
    class Marked(ValueError):
        pass

    seen: list[weakref.ref[Marked]] = []

    def refuse(text: str) -> int:
        error = Marked(text)
        seen.append(weakref.ref(error))
        raise error

    @xml.element(NS, "list")
    class Fresh:
        sizes: tuple[int, ...] = xml.child_texts("size", codec=xml.Codec(refuse, str), lenient=True)

    listing = read(Fresh, "<size>1</size>")
    (bad,) = xml.malformed(listing)
    gc.collect()
    assert (bad.raw, bad.error.__traceback__, bad.error.__cause__) == ("1", None, None)
    assert seen[0]() is None


def test_a_strict_field_still_refuses() -> None:
    @xml.element(NS, "list")
    class Strict:
        items: tuple[Item, ...] = xml.children()

    with pytest.raises(ElementError) as caught:
        read(Strict, f"{GOOD}{BAD}")
    assert caught.value.path == "list/item[2]/@jid"


@xml.element("http://jabber.org/protocol/caps", "c")
class Caps:
    node: str = xml.attr()
    hash: str = xml.attr(default="sha-1")
    weight: int = xml.attr(default=1, validate=lambda weight: weight > 0)
    item: Item = xml.child(default=ROMEO)
    note: str = xml.child_text(default="x")
    level: int = xml.text(default=7)
    ext: str | None = xml.attr(default=None)


@xml.element("http://jabber.org/protocol/caps", "c")
class CheckedCaps(Caps):
    def __post_init__(self) -> None:
        if self.node == "bad":
            raise ValueError("bad node")


@xml.element("http://jabber.org/protocol/caps", "c")
class OwnCaps:
    node: str = xml.attr()
    hash: str = xml.attr(default="sha-1")

    def __init__(self, *, node: str, hash: str = "sha-1") -> None:
        object.__setattr__(self, "node", node)
        object.__setattr__(self, "hash", hash)


CAPS_NS = "http://jabber.org/protocol/caps"


@pytest.mark.parametrize("cls", [Caps, CheckedCaps])
def test_a_given_value_is_written_even_if_it_is_the_default(cls: Any) -> None:
    given = cls(node="n", hash="sha-1", weight=1, item=ROMEO, note="x", level=7)
    text = f"<c node='n' hash='sha-1' weight='1'>7<item xmlns='{NS}' jid='a@b'/><note>x</note></c>"
    assert xml.serialise(given, CAPS_NS) == text
    left_out = cls(node="n")
    assert xml.serialise(left_out, CAPS_NS) == "<c node='n'/>"
    assert given == left_out
    assert hash(given) == hash(left_out)
    assert "hash='sha-1'" in repr(given)
    assert "hash" not in repr(left_out)
    for again in (
        xml.parse(cls, xml.fromstring(xml.serialise(given))),
        copy.deepcopy(given),
        pickle.loads(pickle.dumps(given)),
        xml.replace(given),
    ):
        assert xml.serialise(again, CAPS_NS) == text
    for again in (
        xml.parse(cls, xml.fromstring(xml.serialise(left_out))),
        copy.copy(left_out),
        pickle.loads(pickle.dumps(left_out)),
        xml.replace(left_out),
    ):
        assert xml.serialise(again, CAPS_NS) == "<c node='n'/>"
    assert xml.serialise(xml.replace(left_out, hash="sha-1"), CAPS_NS) == "<c node='n' hash='sha-1'/>"
    assert xml.serialise(xml.replace(given, node="m"), CAPS_NS) == text.replace("'n'", "'m'")
    assert dataclasses.replace(left_out, node="m") == cls(node="m")


def test_a_value_unlike_the_default_is_written_and_none_is_not() -> None:
    assert xml.serialise(Caps(node="n", hash="sha-256", ext=None), CAPS_NS) == "<c node='n' hash='sha-256'/>"
    with pytest.raises(ElementError, match="not allowed"):
        Caps(node="n", weight=0)
    with pytest.raises(ElementError, match="bad node"):
        xml.parse(CheckedCaps, xml.fromstring(f"<c xmlns='{CAPS_NS}' node='bad'/>"))
    assert xml.serialise(OwnCaps(node="n", hash="sha-256"), CAPS_NS) == "<c node='n' hash='sha-256'/>"
    assert xml.serialise(OwnCaps(node="n"), CAPS_NS) == "<c node='n'/>"
    assert xml.parse(OwnCaps, xml.fromstring(f"<c xmlns='{CAPS_NS}' node='n'/>")).hash == "sha-1"


def test_the_signature_shows_the_defaults() -> None:
    assert str(inspect.signature(Item)) == "(*, jid, name=None)"
    assert "hash='sha-1'" in str(inspect.signature(Caps))
    assert str(inspect.signature(OwnCaps)) == "(*, node: 'str', hash: 'str' = 'sha-1') -> 'None'"


@xml.element(NS, "optional")
class Optional:
    jid: JID | None = xml.attr(default=None)
    at: datetime | None = xml.attr(default=None)
    size: int = xml.attr(default=3)
    kind: Kind = xml.child_text(default=Kind.CHAT)
    until: datetime | None = xml.child_text(default=None)
    owner: str | None = xml.attr(default=None, validate=str.isidentifier)
    name: str | None = xml.attr(default=None)
    data: bytes | None = xml.child_text(default=None)


@xml.element(NS, "optional")
class CheckedOptional(Optional):
    def __post_init__(self) -> None:
        pass


@pytest.mark.parametrize("cls", [Optional, CheckedOptional])
def test_an_empty_attribute_does_not_refuse_the_whole_element(cls: Any) -> None:
    empty = read(cls, "<kind/><until> </until><data/>", " jid='' at=' ' size='' owner='' name=''")
    assert empty == cls(name="", data=b"")
    assert xml.serialise(empty, NS) == "<optional name=''><data></data></optional>"
    for attributes, path in (
        (" jid='@'", "@jid"),
        (" at='now'", "@at"),
        (" size='x'", "@size"),
        (" owner='?'", "@owner"),
    ):
        with pytest.raises(ElementError) as caught:
            read(cls, "", attributes)
        assert caught.value.path == f"optional/{path}"
    with pytest.raises(ElementError, match="empty"):
        read(Item, "", " jid=''")


def test_values_survive_beside_empty_ones() -> None:
    payload = Optional(at=datetime(2026, 1, 2, tzinfo=UTC), size=3, owner="me")
    assert xml.serialise(xml.parse(Optional, xml.fromstring(xml.serialise(payload)))) == xml.serialise(payload)
