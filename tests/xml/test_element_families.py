"""Classes that share a tag or a base, and objects as values: validated, copied, pickled, matched."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Mapping
from typing import Any, Generic, Self, TypeVar

import pytest

from trioxmpp import xml
from trioxmpp.errors import ElementError
from trioxmpp.protocol.stanza import Get, Set, response_type

NS = "https://example.org/shapes"
T = TypeVar("T")


@xml.element(NS, "shape")
class Shape:
    others: Mapping[str, str] = xml.rest_attrs()


@xml.element(NS, "shape", fixed={"type": "circle"})
class Circle:
    radius: float = xml.attr(validate=lambda radius: radius > 0)


@xml.element(NS, "shape", fixed={"type": "square"})
class Square:
    side: float = xml.attr()


@xml.element(NS, "drawing")
class Drawing:
    shapes: tuple[Shape | Circle | Square, ...] = xml.children()


@xml.element(NS, "circles")
class Circles:
    circles: tuple[Circle, ...] = xml.children()
    others: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "tree")
class Tree:
    trees: tuple[Self, ...] = xml.children()


@xml.element(NS, "fir")
class Fir(Tree):
    cones: int = xml.attr(default=0)

    def __post_init__(self) -> None:
        if self.cones > 9 and self.trees:
            raise ValueError("too heavy")

    def described(self) -> str:
        return f"{super().__repr__()}!"


@xml.element(NS, "listing")
class Listing(Generic[T]):
    items: tuple[T, ...] = xml.children()
    first: T | None = xml.child(Shape, default=None)


@xml.element(NS, "secret")
class Secret:
    token: str = xml.attr(repr=False)
    attributes: Mapping[str, str] = xml.rest_attrs()
    elements: tuple[xml.Element, ...] = xml.rest()


@xml.element(NS, "ask-later")
class AskLater(Get["Answer"]):
    pass


@xml.element(NS, "answer")
class Answer:
    pass


class Ask(Set[T], Generic[T]):
    __slots__ = ()


@xml.element(NS, "ask-shape")
class AskShape(Ask[Shape | None]):
    pass


def read(cls: type[Any], text: str) -> Any:
    return xml.parse(cls, xml.fromstring(text.replace(" ", f" xmlns='{NS}' ", 1)))


def test_fixed_attributes_choose_the_class() -> None:
    shapes = "<shape type='square' side='1'/><shape x='y'/><shape type='circle' radius='2'/>"
    drawing = read(Drawing, f"<drawing >{shapes}</drawing>")
    assert drawing.shapes == (Square(side=1.0), Shape(others={"x": "y"}), Circle(radius=2.0))
    assert xml.serialise(drawing, NS) == f"<drawing>{shapes.replace('1', '1.0').replace('2', '2.0')}</drawing>"


def test_an_element_outside_the_family_counts_as_unknown() -> None:
    circles = read(Circles, "<circles ><shape type='star'/><shape type='circle' radius='2'/></circles>")
    assert circles.circles == (Circle(radius=2.0),)
    assert [other.get("type") for other in circles.others] == ["star"]


def test_parse_any_chooses_the_class_of_an_element() -> None:
    element = xml.fromstring(f"<shape xmlns='{NS}' type='square' side='1'/>")
    assert xml.parse_any(element, Shape, Circle, Square) == Square(side=1.0)
    assert xml.parse_any(element, Circle, Shape) == Shape(others={"type": "square", "side": "1"})
    with pytest.raises(ElementError, match="expected"):
        xml.parse_any(element, Circle, Tree)
    with pytest.raises(ElementError, match="expected 'circle', got 'square'") as caught:
        xml.parse(Circle, element)
    assert caught.value.path == "shape/@type"


def test_self_means_the_declared_class() -> None:
    fir = read(Fir, "<fir ><fir cones='3'/><tree/></fir>")
    assert fir == Fir(trees=(Fir(cones=3),))
    assert fir.described() == f"{fir!r}!"


def test_the_class_checks_several_fields_together() -> None:
    with pytest.raises(ValueError, match="too heavy"):
        Fir(cones=10, trees=(Fir(),))
    with pytest.raises(ElementError, match="too heavy") as caught:
        read(Fir, "<fir ><fir cones='10'><fir/></fir></fir>")
    assert caught.value.path == "fir/fir[1]"


def test_a_generic_class_can_be_read_when_its_type_variable_is_known() -> None:
    @xml.element(NS, "circles")
    class Known(Listing[Circle]):
        pass

    known = read(Known, "<circles ><shape type='circle' radius='1'/></circles>")
    assert known.items == (Circle(radius=1.0),)
    with pytest.raises(TypeError, match="stands for no class"):
        read(Listing, "<listing />")


def test_the_response_type_is_found_by_name_and_through_generic_bases() -> None:
    assert response_type(AskLater) == (Answer, False)
    assert response_type(AskShape) == (Shape, True)


def test_validators_check_values_that_are_read_and_values_that_are_given() -> None:
    for wrong in (lambda: Circle(radius=-1.0), lambda: read(Circle, "<shape type='circle' radius='-1'/>")):
        with pytest.raises(ElementError, match=r"-1\.0 is not allowed") as caught:
            wrong()
        assert caught.value.path == "shape/@radius"


def test_objects_with_a_rest_field_are_values() -> None:
    secret = read(Secret, "<secret token='s3cret' a='b'><x xmlns='urn:x'>t</x></secret>")
    for again in (pickle.loads(pickle.dumps(secret)), copy.deepcopy(secret), copy.copy(secret)):
        assert again == secret
        assert hash(again) == hash(secret)
    assert secret.__replace__(token="x").attributes == {"a": "b"}
    assert "s3cret" not in repr(secret)
    assert "<x xmlns=" in repr(secret)
    assert str(inspect.signature(Circle)) == "(*, radius)"
    match secret:
        case Secret("s3cret", attributes):
            assert attributes == {"a": "b"}
        case _:
            pytest.fail("it does not match")


@pytest.mark.parametrize("attributes", [{"token": "x"}, {"xmlns": "x"}, {"a b": "x"}, {"a='' b": "x"}])
def test_an_attribute_is_not_written_twice_and_has_a_name(attributes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="attribute"):
        xml.serialise(Secret(token="x", attributes=attributes))


def test_an_object_does_not_keep_the_tree_that_it_was_read_from() -> None:
    root = xml.fromstring(f"<a><secret xmlns='{NS}' token='t'><x/></secret></a>")
    secret = xml.parse(Secret, root[0])
    (kept,) = secret.elements
    assert kept.getparent() is None
    assert kept.getroottree().getroot() is kept
    assert type(secret.token) is str


def test_languages_are_inherited() -> None:
    @xml.element(NS, "dish")
    class Dish:
        names: Mapping[str, str] = xml.lang_text("name")

    message = xml.fromstring(
        f"<message xml:lang='de'><dish xmlns='{NS}'><name>a</name><name xml:lang='en'>b</name>"
        f"<name xml:lang=''>c</name></dish><dish xmlns='{NS}'><name/><name xml:lang='de'/></dish></message>"
    )
    assert xml.parse(Dish, message[0]).names == {"de": "a", "en": "b", "": "c"}
    assert xml.parse(Dish, message[1]).names == xml.Texts([("de", ""), ("de", "")])


def test_an_error_and_its_path_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(ElementError("missing", "query/@place")))
    assert (str(error), error.path) == ("query/@place: missing", "query/@place")
