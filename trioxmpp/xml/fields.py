"""The kinds of field that an element may have, as they are written in the body of its class.

Each function returns a `Field`. To type checkers it returns Any, so that it can stand where the annotation announces
another type. Parameters that many of them have:

`name`, `ns`: what the attribute or child is called in XML. By default it is called like the field, with ``-`` for ``_``
and without a ``_`` at the end: ``from_`` is ``from``. A child is in the namespace of the element around it.

`default`: the value if the XML does not have one; without a default it must have one. A value that was given to the
constructor, or read, is written even if it equals the default; a value that was left out is not.

`codec`: how the value is written; by default the annotation chooses it. `validate` is called with every value except
the default, read or given: if it raises ValueError or returns False, the value is refused.

`inside`: the path of wrapper elements around the attribute or child, as in ``inside="always"`` or ``inside="a/b"``. A
wrapper needs no class; it is written if there is something in it. A step may be ``{namespace}name``.

`lenient`: a malformed value does not take the element with it. It is skipped, logged, written again as it was, and
`malformed` returns it.

`repr`: False for a secret, which the repr does not show.

An optional attribute or text that is empty, where an empty value makes no sense, counts as absent.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final, TypeVar

from .codec import Codec

__all__ = [
    "REQUIRED",
    "Field",
    "Kind",
    "any_child",
    "any_children",
    "attr",
    "child",
    "child_name",
    "child_text",
    "child_texts",
    "children",
    "flag",
    "lang_text",
    "rest",
    "rest_attrs",
    "text",
]


D = TypeVar("D")


class Kind(enum.Enum):
    """The kinds of field."""

    ATTR = "attr"
    TEXT = "text"
    CHILD = "child"
    CHILDREN = "children"
    CHILD_TEXT = "child_text"
    CHILD_TEXTS = "child_texts"
    CHILD_NAME = "child_name"
    FLAG = "flag"
    LANG_TEXT = "lang_text"
    ANY_CHILD = "any_child"
    ANY_CHILDREN = "any_children"
    REST = "rest"
    REST_ATTRS = "rest_attrs"


class _Required(enum.Enum):
    """The absence of a default: a type of its own, since None can be a default."""

    REQUIRED = enum.auto()

    def __repr__(self) -> str:
        return self.name


REQUIRED: Final = _Required.REQUIRED


def _raising(validate: Callable[[Any], object]) -> Callable[[Any], None]:
    """Return a check that refuses a value by ValueError only."""

    def check(value: Any) -> None:
        if validate(value) is False:
            raise ValueError(f"{value!r:.200} is not allowed")

    return check


class Field:
    """One field as it was declared.

    `kind`, its name in XML (`name`, `ns`) and the path of its wrappers (`inside`), how its values are written (`codec`)
    and checked (`validate`), and its value if the XML has none: `default`, or a new object of `factory`. `cls` is the
    class of child elements, if it was given as an argument. `is_lenient` is true if a malformed value is set aside,
    `is_shown` if the repr may show the value, `is_hashed` if the hash takes it into account.
    """

    __slots__ = (
        "cls",
        "codec",
        "default",
        "factory",
        "inside",
        "is_hashed",
        "is_lenient",
        "is_shown",
        "kind",
        "name",
        "ns",
        "validate",
    )

    def __init__(
        self,
        kind: Kind,
        name: str | None = None,
        ns: str | None = None,
        *,
        inside: str | None = None,
        default: Any = REQUIRED,
        factory: Callable[[], Any] | None = None,
        codec: Codec[Any] | None = None,
        cls: type[Any] | None = None,
        validate: Callable[[Any], object] | None = None,
        is_lenient: bool = False,
        is_shown: bool = True,
        is_hashed: bool = True,
    ) -> None:
        self.kind: Kind = kind
        self.name: str | None = name
        self.ns: str | None = ns
        self.inside: str | None = inside
        self.default: Any = default
        self.factory: Callable[[], Any] | None = factory
        self.codec: Codec[Any] | None = codec
        self.cls: type[Any] | None = cls
        self.validate: Callable[[Any], object] | None = None if validate is None else _raising(validate)
        self.is_lenient: bool = is_lenient or (codec is not None and codec.strict is not None)
        self.is_shown: bool = is_shown
        self.is_hashed: bool = is_hashed

    def xml_name(self, field: str) -> str:
        """Return what the field called `field` is called in XML."""
        return self.name or field.removesuffix("_").replace("_", "-")

    @property
    def is_required(self) -> bool:
        """Whether there must be a value."""
        return self.default is REQUIRED and self.factory is None

    @property
    def has_simple_default(self) -> bool:
        """Whether nothing but its value says if the field was given: it is required, or absent if None or empty."""
        return self.default is REQUIRED or self.default is None or self.default is False or self.default == ()


#: The default of a field that has none, for parameters whose type is that of the field.
_ABSENT: Final[Any] = REQUIRED


def _specified(default: D, kind: Kind, name: str | None = None, ns: str | None = None, **more: Any) -> D:
    """Return a field. To a type checker it is the default, so that one of another type than the field's is refused."""
    field: Any = Field(kind, name, ns, default=default, **more)
    shown: D = field
    return shown


def attr(
    name: str | None = None,
    *,
    inside: str | None = None,
    default: D = _ABSENT,
    codec: Codec[Any] | None = None,
    validate: Callable[[Any], object] | None = None,
    repr: bool = True,
) -> D:
    """An attribute. A `name` may also be ``xml:lang`` or ``{namespace}name``.

    With `inside` it is an attribute of that child: ``index: int | None = xml.attr(inside="first", default=None)``.
    """
    return _specified(default, Kind.ATTR, name, inside=inside, codec=codec, validate=validate, is_shown=repr)


def text(
    *,
    inside: str | None = None,
    default: D = _ABSENT,
    codec: Codec[Any] | None = None,
    validate: Callable[[Any], object] | None = None,
    repr: bool = True,
) -> D:
    """The text of the element itself, or with `inside` that of a child.

    XML cannot distinguish no text from empty text. A field with the default None reads both as None; one with another
    default reads both as the empty value, if its codec has one.

    The text is written before the children. Where words and children alternated when the element was read, the object
    is written as it was read, so that they keep their order; a changed copy has its text first.
    """
    return _specified(default, Kind.TEXT, inside=inside, codec=codec, validate=validate, is_shown=repr)


def child(cls: type[Any] | None = None, *, inside: str | None = None, default: D = _ABSENT, lenient: bool = False) -> D:
    """One child element, of the class that the annotation names: ``Item``, ``Item | None``, ``This | That``.

    A `lenient` one needs a default.
    """
    return _specified(default, Kind.CHILD, inside=inside, cls=cls, is_lenient=lenient)


def child_text(
    name: str | None = None,
    *,
    ns: str | None = None,
    inside: str | None = None,
    default: D = _ABSENT,
    codec: Codec[Any] | None = None,
    validate: Callable[[Any], object] | None = None,
    repr: bool = True,
) -> D:
    """The text of one child element. Its attributes can be fields as well: see `attr`."""
    return _specified(default, Kind.CHILD_TEXT, name, ns, inside=inside, codec=codec, validate=validate, is_shown=repr)


def child_name(*, ns: str | None = None, inside: str | None = None, default: D = _ABSENT) -> D:
    """The name of an empty child, as an enum: a reason, a mood, a condition.

    The annotation names an enum with the names as its values. ``Reason | str`` keeps an unknown name as a string;
    without ``str`` an unknown child is no value of the field. It takes children in the namespace `ns`, by default that
    of the element, which no other field takes.
    """
    return _specified(default, Kind.CHILD_NAME, None, ns, inside=inside)


def any_child(name: str | None = None, *, ns: str | None = None, inside: str | None = None, default: D = _ABSENT) -> D:
    """One child of any kind that no other field takes: annotate ``xml.Payload`` or ``xml.Payload | None``.

    With `name` it takes the child with this name in any namespace (a ``<description/>`` of Jingle), with `ns` a child
    with any name in this namespace. The value is asked for an object of a class: ``item.payload.get(Nick)``.
    """
    return _specified(default, Kind.ANY_CHILD, name, ns, inside=inside)


# The functions from here on are no field specifiers: to a type checker a call is a default value, and each has one.


def any_children(name: str | None = None, *, ns: str | None = None, inside: str | None = None) -> Any:
    """All children of any kind that no other field takes, as `any_child` does: annotate ``xml.Payloads``.

    ``payloads.get(Nick)`` is the first one that the class describes.
    """
    return Field(Kind.ANY_CHILDREN, name, ns, inside=inside, default=())


def children(cls: type[Any] | None = None, *, inside: str | None = None, lenient: bool = False) -> Any:
    """All child elements of the class, or one of the classes, that the annotation names: ``tuple[Item, ...]``."""
    return Field(Kind.CHILDREN, inside=inside, default=(), cls=cls, is_lenient=lenient)


def child_texts(
    name: str | None = None,
    *,
    ns: str | None = None,
    inside: str | None = None,
    default: tuple[Any, ...] | None = (),
    codec: Codec[Any] | None = None,
    validate: Callable[[Any], object] | None = None,
    lenient: bool = False,
) -> Any:
    """The texts of all child elements of this name: ``tuple[str, ...]``, ``tuple[JID, ...]``.

    The codec is that of one text. With ``tuple[JID, ...] | None``, the default None, and `inside`, None means that
    there is no wrapper, and ``()`` that it is empty.
    """
    return Field(
        Kind.CHILD_TEXTS,
        name,
        ns,
        inside=inside,
        default=default,
        codec=codec,
        validate=validate,
        is_lenient=lenient,
    )


def flag(name: str | None = None, *, ns: str | None = None, inside: str | None = None) -> Any:
    """Whether there is a child element of this name."""
    return Field(Kind.FLAG, name, ns, inside=inside, default=False)


def lang_text(name: str | None = None, *, ns: str | None = None, inside: str | None = None) -> Any:
    """The texts of all child elements of this name by their language: ``xml.Texts``, or ``Mapping[str, str]``.

    The language is the child's own xml:lang, else the one that it inherits from the nearest element around it that has
    one, up to the stanza (XML 1.0 §2.12); ``""`` is the key of a text without a known language. Keys are compared
    without regard to case, and ``texts.lookup("de-AT", "en")`` chooses one (RFC 4647 §3.4). Of two texts in one
    language the first one counts, and both are written again. A text under ``""`` is written without xml:lang, and so
    in the language of the element that it is put into.
    """
    return Field(Kind.LANG_TEXT, name, ns, inside=inside, factory=dict, is_hashed=False)


def rest() -> Any:
    """All child elements that no other field takes, ``tuple[xml.Element, ...]``; they survive a round trip.

    They are copies, which do not keep the tree that they were read from. Objects are compared by what these elements
    mean (`equal`), in their order. The field has no part in the hash.
    """
    return Field(Kind.REST, default=(), is_hashed=False)


def rest_attrs() -> Any:
    """All attributes that no other field takes, ``Mapping[str, str]`` by ``name`` or ``{namespace}name``.

    They survive a round trip. The field takes part in comparing objects, but not in their hash.
    """
    return Field(Kind.REST_ATTRS, factory=dict, is_hashed=False)
