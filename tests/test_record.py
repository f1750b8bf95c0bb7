"""Records behave as frozen dataclasses with slots do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import ClassVar, Generic, TypeVar

import pytest

from trioxmpp import JID, Liveness, ReconnectPolicy
from trioxmpp.record import field, record, replace

T = TypeVar("T")


@record
class Point:
    """A place."""

    ORIGIN: ClassVar[str] = "0,0"

    x: int
    y: int = 0
    names: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)

    @property
    def sum(self) -> int:
        return self.x + self.y


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """A place."""

    ORIGIN: ClassVar[str] = "0,0"

    x: int
    y: int = 0
    names: list[str] = dataclasses.field(default_factory=list)
    secret: str = dataclasses.field(default="", repr=False)

    @property
    def sum(self) -> int:
        return self.x + self.y


@record
class Place(Point):
    """A point with a height."""

    z: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class PlaceTwin(Twin):
    """A point with a height."""

    z: int = 0


@record
class Checked(Generic[T]):
    value: T

    def __post_init__(self) -> None:
        if not self.value:
            raise ValueError("empty")


@record
class Empty:
    pass


@record
class Odd:
    """With methods of its own."""

    value: int

    def __init__(self, value: int, other: int) -> None:
        object.__setattr__(self, "value", value + other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and self.value % 2 == other.value % 2

    def __hash__(self) -> int:
        return self.value % 2

    def __repr__(self) -> str:
        return "odd"


BOTH = pytest.mark.parametrize("cls", [Point, Twin])


@BOTH
def test_a_record_is_made_by_position_and_by_name(cls: type[Point]) -> None:
    point = cls(1, names=["a"])
    assert (point.x, point.y, point.names, point.secret, point.sum, cls.ORIGIN) == (1, 0, ["a"], "", 1, "0,0")
    assert cls(1).names is not cls(1).names


@BOTH
@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, [], "", 5), {}), ((1,), {"x": 1}), ((1,), {"z": 1})])
def test_wrong_arguments_are_type_errors(cls: type[Point], args: tuple[int, ...], kwargs: dict[str, int]) -> None:
    for _ in "before the first object", "and after it":
        with pytest.raises(TypeError, match=r"__init__\(\)"):
            cls(*args, **kwargs)
        cls(1)


@BOTH
def test_a_record_cannot_be_changed(cls: type[Point]) -> None:
    point = cls(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    with pytest.raises((AttributeError, TypeError)):  # the latter from a dataclass, which stumbles over itself there
        point.z = 2
    assert not hasattr(point, "__dict__")


@BOTH
def test_a_record_is_compared_and_hashed_by_its_fields(cls: type[Point]) -> None:
    assert cls(1, 2) == cls(1, 2) != cls(1, 3)
    assert cls(1, 2) != (1, 2, [], "")
    assert hash(cls(1, 2, (), "s")) == hash(cls(1, 2, (), "s"))
    with pytest.raises(TypeError, match="unhashable"):
        hash(cls(1, 2))


def test_a_record_may_have_no_fields() -> None:
    assert Empty() == Empty()
    assert repr(Empty()) == "Empty()"


def test_two_records_with_the_same_fields_differ() -> None:
    assert Point(1) != Twin(1)
    assert Checked(1) != Odd(1, 0)


@BOTH
def test_the_repr_hides_secret_fields(cls: type[Point]) -> None:
    assert repr(cls(1, secret="pencil")) == f"{cls.__name__}(x=1, y=0, names=[])"


@BOTH
def test_a_record_can_be_copied_pickled_and_matched(cls: type[Point]) -> None:
    point = cls(1, 2, ["a"], "pencil")
    assert pickle.loads(pickle.dumps(point)) == copy.copy(point) == copy.deepcopy(point) == point
    assert copy.deepcopy(point).names is not point.names
    match point:
        case cls(x, y):
            assert (x, y) == (1, 2)
        case _:
            raise AssertionError


@BOTH
def test_the_standard_library_takes_a_record_for_a_dataclass(cls: type[Point]) -> None:
    point = cls(1, 2, ["a"])
    assert dataclasses.is_dataclass(cls)
    assert [described.name for described in dataclasses.fields(point)] == ["x", "y", "names", "secret"]
    assert dataclasses.replace(point, y=3) == cls(1, 3, ["a"])
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "names": ["a"], "secret": ""}
    parameters = inspect.signature(cls).parameters
    assert list(parameters) == ["x", "y", "names", "secret"]
    assert [name for name, parameter in parameters.items() if parameter.default is parameter.empty] == ["x"]


def test_some_fields_can_be_replaced() -> None:
    point = Point(1, 2, ["a"], "pencil")
    assert replace(point, y=3) == Point(1, 3, ["a"], "pencil")
    assert replace(point, secret="").names is point.names
    with pytest.raises(TypeError, match="unexpected keyword"):
        replace(point, z=3)


def test_each_new_object_is_checked() -> None:
    for _ in "the first", "the second":
        assert Checked("a").value == "a"
        with pytest.raises(ValueError, match="empty"):
            Checked("")
    with pytest.raises(ValueError, match="empty"):
        replace(Checked("a"), value="")


def test_methods_in_the_body_of_the_class_take_precedence() -> None:
    assert Odd(1, 2).value == 3
    assert Odd(1, 0) == Odd(3, 0) != Odd(2, 0)
    assert {Odd(1, 0), Odd(3, 0)} == {Odd(5, 0)}
    assert repr(Odd(1, 1)) == "odd"
    assert list(inspect.signature(Odd).parameters) == ["value", "other"]


@pytest.mark.parametrize(("base", "extended"), [(Point, Place), (Twin, PlaceTwin)])
def test_a_record_extends_another_as_a_dataclass_does(base: type[Point], extended: type[Place]) -> None:
    place = extended(1, 2, ["a"], "pencil", z=3)
    assert (place.x, place.y, place.names, place.secret, place.z, place.sum) == (1, 2, ["a"], "pencil", 3, 3)
    assert isinstance(place, base)
    assert place != base(1, 2, ["a"], "pencil") != extended(1, 2, ["a"], "pencil")
    assert place != extended(1, 2, ["a"], "pencil", z=4)
    assert repr(place) == f"{extended.__name__}(x=1, y=2, names=['a'], z=3)"
    assert pickle.loads(pickle.dumps(place)) == copy.copy(place) == place
    assert [described.name for described in dataclasses.fields(place)] == ["x", "y", "names", "secret", "z"]
    assert [described.name for described in dataclasses.fields(base)] == ["x", "y", "names", "secret"]
    assert list(inspect.signature(extended).parameters) == ["x", "y", "names", "secret", "z"]
    assert dataclasses.replace(place, z=5).z == 5
    assert not hasattr(place, "__dict__")
    match place:
        case extended(x, _, _, _, z):
            assert (x, z) == (1, 3)
        case _:
            raise AssertionError
    assert base(7).x == 7


def test_a_record_has_the_methods_of_the_one_that_it_extends() -> None:
    @record
    class Noted(Odd):
        note: str = ""

        def __init__(self, value: int) -> None:
            object.__setattr__(self, "value", value)
            object.__setattr__(self, "note", "a")

    assert repr(Noted(1)) == "odd"
    assert Noted(1) == Odd(3, 0)


def test_a_field_may_be_left_out_of_the_comparison_as_in_a_dataclass() -> None:
    @record
    class Ours:
        x: int
        note: object = field(default=None, compare=False)

    @dataclasses.dataclass(frozen=True)
    class Theirs:
        x: int
        note: object = dataclasses.field(default=None, compare=False)

    for cls in (Ours, Theirs):
        assert cls(1, ["not hashable"]) == cls(1) != cls(2)
        assert hash(cls(1, ["not hashable"])) == hash(cls(1))
        assert [each.compare for each in dataclasses.fields(cls)] == [True, False]


def test_public_values_are_records() -> None:
    assert repr(Liveness(1.0)) == "Liveness(soft_timeout=1.0, round_trip_time=60.0)"
    assert dataclasses.replace(ReconnectPolicy(), initial=2.0).initial == 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        JID.parse("a@example.org").local = "b"
    match JID.parse("a@example.org/c"):
        case JID(local, domain, resource):
            assert (local, domain, resource) == ("a", "example.org", "c")
