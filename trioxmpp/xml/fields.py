"""The kinds of field that an element may have, as they are written in the body of its class."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

from .codec import Codec

__all__ = [
    "REQUIRED",
    "Field",
    "Kind",
    "attr",
    "child",
    "child_text",
    "children",
    "flag",
    "lang_text",
    "rest",
    "rest_attrs",
    "text",
]


class Kind(enum.Enum):
    """The kinds of field."""

    ATTR = "attr"
    TEXT = "text"
    CHILD = "child"
    CHILDREN = "children"
    CHILD_TEXT = "child_text"
    FLAG = "flag"
    LANG_TEXT = "lang_text"
    REST = "rest"
    REST_ATTRS = "rest_attrs"


class _Required(enum.Enum):
    """No default: a type of its own, so that None can be one."""

    REQUIRED = enum.auto()

    def __repr__(self) -> str:
        return self.name


REQUIRED: Final = _Required.REQUIRED


def _raising(validate: Callable[[Any], object]) -> Callable[[Any], None]:
    """A check that says no in one way only."""

    def check(value: Any) -> None:
        if validate(value) is False:
            raise ValueError(f"{value!r} is not allowed")

    return check


class Field:
    """What was said of a field where it was declared.

    `kind`, what it is called in XML (`name`, `ns`), how its values are written (`codec`) and checked (`validate`),
    and what it is without one: `default`, or a new object of `factory`. `cls` is the class of child elements, if it
    was said aside. `is_shown` is whether the repr may show it, `is_hashed` whether the hash takes it into account.
    """

    __slots__ = ("cls", "codec", "default", "factory", "is_hashed", "is_shown", "kind", "name", "ns", "validate")

    def __init__(
        self,
        kind: Kind,
        name: str | None = None,
        ns: str | None = None,
        *,
        default: Any = REQUIRED,
        factory: Callable[[], Any] | None = None,
        codec: Codec[Any] | None = None,
        cls: type[Any] | None = None,
        validate: Callable[[Any], object] | None = None,
        is_shown: bool = True,
        is_hashed: bool = True,
    ) -> None:
        self.kind = kind
        self.name = name
        self.ns = ns
        self.default = default
        self.factory = factory
        self.codec = codec
        self.cls = cls
        self.validate = None if validate is None else _raising(validate)
        self.is_shown = is_shown
        self.is_hashed = is_hashed

    def xml_name(self, field: str) -> str:
        """What the field of this name is called in XML."""
        return self.name or field.removesuffix("_").replace("_", "-")

    @property
    def is_required(self) -> bool:
        """Whether there must be a value."""
        return self.default is REQUIRED and self.factory is None


def attr(
    name: str | None = None,
    *,
    default: Any = REQUIRED,
    codec: Codec[Any] | None = None,
    validate: Callable[[Any], object] | None = None,
    repr: bool = True,
) -> Any:
    """An attribute, called like the field unless `name` says otherwise.

    In the name of a field ``_`` stands for ``-``, and one ``_`` at its end for nothing: ``from_`` is ``from``. A
    `name` may also be ``xml:lang`` or ``{namespace}name``. The codec is chosen by the annotation unless one is given.
    An attribute that has its default value is not written.

    `validate` is called with every value but the default, read or given; if it raises ValueError or returns False,
    the value is refused. A field with ``repr=False`` is a secret: the repr does not show its value.
    """
    return Field(Kind.ATTR, name, default=default, codec=codec, validate=validate, is_shown=repr)


def text(
    *,
    default: Any = REQUIRED,
    codec: Codec[Any] | None = None,
    validate: Callable[[Any], object] | None = None,
    repr: bool = True,
) -> Any:
    """The text of the element itself; `validate` and `repr` as in `attr`.

    XML cannot tell no text from empty text. A field with the default None reads both as None; one with another default
    reads both as the empty value, if its codec has one.
    """
    return Field(Kind.TEXT, default=default, codec=codec, validate=validate, is_shown=repr)


def child(cls: type[Any] | None = None, *, default: Any = REQUIRED) -> Any:
    """One child element, of the class that the annotation names: ``Item``, ``Item | None``, ``This | That``."""
    return Field(Kind.CHILD, default=default, cls=cls)


def child_text(
    name: str | None = None,
    *,
    ns: str | None = None,
    default: Any = REQUIRED,
    codec: Codec[Any] | None = None,
    validate: Callable[[Any], object] | None = None,
    repr: bool = True,
) -> Any:
    """The text of one child element, in the namespace of the element unless `ns` says otherwise.

    `validate` and `repr` are as in `attr`.
    """
    return Field(Kind.CHILD_TEXT, name, ns, default=default, codec=codec, validate=validate, is_shown=repr)


# The kinds from here on are no field specifiers: to a type checker a call is their default value, which they have.


def children(cls: type[Any] | None = None) -> Any:
    """All child elements of the class, or one of the classes, that the annotation names: ``tuple[Item, ...]``."""
    return Field(Kind.CHILDREN, default=(), cls=cls)


def flag(name: str | None = None, *, ns: str | None = None) -> Any:
    """Whether there is a child element of this name."""
    return Field(Kind.FLAG, name, ns, default=False)


def lang_text(name: str | None = None, *, ns: str | None = None) -> Any:
    """The texts of all child elements of this name, ``Mapping[str, str]`` by their language.

    That is the child's own xml:lang, else the one that it inherits from the nearest element around it that has one,
    as far up as the stanza (XML 1.0 §2.12); ``""`` stands for a text of which nobody says the language. Two texts in
    one language are one too many. A text under ``""`` is written without xml:lang, and so in the language of
    whatever it is put into.

    The field takes part in comparing objects, but not in their hash.
    """
    return Field(Kind.LANG_TEXT, name, ns, factory=dict, is_hashed=False)


def rest() -> Any:
    """All child elements that no other field takes, ``tuple[xml.Element, ...]``; they survive a round trip.

    They are copies: they do not keep what they were read from. Objects are compared by what these elements say
    (`equal`), in their order. The field has no part in the hash.
    """
    return Field(Kind.REST, default=(), is_hashed=False)


def rest_attrs() -> Any:
    """All attributes that no other field takes, ``Mapping[str, str]`` by ``name`` or ``{namespace}name``.

    They survive a round trip. The field takes part in comparing objects, but not in their hash.
    """
    return Field(Kind.REST_ATTRS, factory=dict, is_hashed=False)
