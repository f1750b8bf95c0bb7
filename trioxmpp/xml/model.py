"""Saying what an element looks like: `element`, and the kinds of field it may have."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, cast, dataclass_transform

from .codec import Codec
from .compile import compile_reader, compile_writer
from .plan import DECLARATION, Declaration, Kind, Options, Plan, check_name, declaration_of
from .text import Element, equal, serialise_element

__all__ = [
    "attr",
    "child",
    "child_text",
    "children",
    "element",
    "find",
    "flag",
    "lang_text",
    "parse",
    "rest",
    "serialise",
    "tag_of",
    "text",
]

T = TypeVar("T")

_REQUIRED: Any = dataclasses.MISSING


def _field(options: Options, default: Any) -> Any:
    return dataclasses.field(default=default, metadata={DECLARATION: options})


def attr(name: str | None = None, *, default: Any = _REQUIRED, codec: Codec[Any] | None = None) -> Any:
    """An attribute, called like the field unless `name` says otherwise.

    In the name of a field ``_`` stands for ``-``, and one ``_`` at its end for nothing: ``from_`` is ``from``. A
    `name` may also be ``xml:lang`` or ``{namespace}name``. The codec is chosen by the annotation unless one is given.
    An attribute that has its default value is not written.
    """
    return _field(Options(Kind.ATTR, name=name, codec=codec), default)


def text(*, default: Any = _REQUIRED, codec: Codec[Any] | None = None) -> Any:
    """The text of the element itself.

    XML cannot tell no text from empty text. A field with the default None reads both as None; one with another default
    reads both as the empty value, if its codec has one.
    """
    return _field(Options(Kind.TEXT, codec=codec), default)


def child(cls: type[Any] | None = None, *, default: Any = _REQUIRED) -> Any:
    """One child element, of the class that the annotation names: ``Item``, ``Item | None``, ``This | That``."""
    return _field(Options(Kind.CHILD, cls=cls), default)


def child_text(
    name: str | None = None, *, ns: str | None = None, default: Any = _REQUIRED, codec: Codec[Any] | None = None
) -> Any:
    """The text of one child element, in the namespace of the element unless `ns` says otherwise."""
    return _field(Options(Kind.CHILD_TEXT, name=name, ns=ns, codec=codec), default)


# The kinds from here on are no field specifiers: to a type checker a call is their default value, which they have.


def children(cls: type[Any] | None = None) -> Any:
    """All child elements of the class, or one of the classes, that the annotation names: ``tuple[Item, ...]``."""
    return _field(Options(Kind.CHILDREN, cls=cls), ())


def flag(name: str | None = None, *, ns: str | None = None) -> Any:
    """Whether there is a child element of this name."""
    return _field(Options(Kind.FLAG, name=name, ns=ns), False)


def lang_text(name: str | None = None, *, ns: str | None = None) -> Any:
    """The texts of all child elements of this name, ``Mapping[str, str]`` by xml:lang; ``""`` stands for none.

    The field takes part in comparing objects, but not in their hash.
    """
    options = Options(Kind.LANG_TEXT, name=name, ns=ns)
    return dataclasses.field(default_factory=dict, hash=False, metadata={DECLARATION: options})


def rest() -> Any:
    """All child elements that no other field takes, ``tuple[xml.Element, ...]``; they survive a round trip.

    Objects are compared by what these elements say (`equal`), in their order. The field has no part in the hash.
    """
    # Not compared by the dataclass, which would ask whether they are the very same elements: see `_compare_rest`.
    return dataclasses.field(default=(), compare=False, metadata={DECLARATION: Options(Kind.REST)})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attr, text, child, child_text))
def element(ns: str, name: str) -> Callable[[type[T]], type[T]]:
    """Declare that the class describes the element `name` of the namespace `ns`.

    The class becomes a frozen, slotted, keyword-only dataclass; nothing is registered anywhere. The functions that read
    and write it are generated when they are first needed: that is when annotations are resolved, by the names of the
    module that the class is defined in, and when a declaration that makes no sense raises TypeError or ValueError.

    The one thing that is checked at once is `name`: ValueError if no element can be called so.
    """
    check_name(name, "an element")
    tag = f"{{{ns}}}{name}" if ns else name

    def declare(cls: type[T]) -> type[T]:
        made = dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)

        # Both replace themselves by what they generate.
        def read(source: Element) -> T:
            declaration.read = compile_reader(made, Plan.of(made))
            return cast(T, declaration.read(source))

        def write(payload: T, default: str) -> str:
            declaration.write = compile_writer(made, Plan.of(made), serialise)
            return declaration.write(payload, default)

        declaration = Declaration(tag, read, write)
        setattr(made, DECLARATION, declaration)
        _compare_rest(made)
        return made

    return declare


def _compare_rest(cls: type[Any]) -> None:
    """Let equality look into the elements that a `rest` field keeps."""
    names = [
        field.name
        for field in dataclasses.fields(cls)
        if (options := field.metadata.get(DECLARATION)) is not None and options.kind is Kind.REST
    ]
    if not names:
        return
    others_equal: Callable[[Any, object], Any] = cls.__dict__["__eq__"]

    def __eq__(self: Any, other: object) -> Any:
        result = others_equal(self, other)
        if result is not True:
            return result
        pairs = [(getattr(self, name), getattr(other, name)) for name in names]
        return all(len(a) == len(b) and all(map(equal, a, b)) for a, b in pairs)

    __eq__.__qualname__ = f"{cls.__qualname__}.__eq__"
    cls.__eq__ = __eq__  # type: ignore[assignment]


def tag_of(cls: type[Any]) -> str:
    """The tag of the elements that `cls` describes: ``{namespace}name``. TypeError if it describes none."""
    return declaration_of(cls).tag


def parse(cls: type[T], element: Element) -> T:
    """`element` as an object of class `cls`.

    Raises ElementError, whose `path` says where, if the element is another one, if something required is missing, a
    value is none of its kind, or there are two of what there may be one of. Attributes and children that the class
    does not know are ignored, and so is white space between children. TypeError if `cls` describes no element.
    """
    return cast(T, declaration_of(cls).read(element))


def serialise(payload: Any, ns: str = "jabber:client") -> str:
    """An object of a declared class, or an element, as XML to be written where `ns` is the default namespace.

    Raises ValueError if it holds what XML or XMPP cannot carry, TypeError if it, or a value in it, is of the wrong
    class.
    """
    if isinstance(payload, Element):
        return serialise_element(payload, ns)
    return declaration_of(type(payload)).write(payload, ns)


def find(parent: Element, cls: type[T]) -> T | None:
    """The first child of `parent` that `cls` describes, or None. Raises ElementError if it is malformed."""
    found = next(parent.iterchildren(tag_of(cls)), None)
    return None if found is None else parse(cls, found)
