"""What a class declares, worked out once: annotations resolved, names made, contradictions refused."""

from __future__ import annotations

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Final

from .codec import Codec, codec_for
from .text import XML_NS, Element

__all__ = ["DECLARATION", "Declaration", "Kind", "Options", "Plan", "PlannedField", "check_name", "declaration_of"]

# The attribute of a declared class, and the key of the metadata of its fields.
DECLARATION: Final = "__xml__"

# NCName of Namespaces in XML, but for some letters of no living script.
_NAME: Final = re.compile(r"[^\W\d][\w.\-\u00b7]*")
_KEY: Final = re.compile(r"(?:xml:|\{([^{}]+)\})?([^{}:]+)")


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


VALUES: Final = frozenset({Kind.ATTR, Kind.TEXT, Kind.CHILD_TEXT})
ELEMENTS: Final = frozenset({Kind.CHILD, Kind.CHILDREN})
SINGLE: Final = frozenset({Kind.TEXT, Kind.REST})


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What was said of a field where it was declared."""

    kind: Kind
    name: str | None = None
    ns: str | None = None
    codec: Codec[Any] | None = None
    cls: type[Any] | None = None


@dataclasses.dataclass(slots=True)
class Declaration:
    """What `element` keeps of a class: its tag and, once they are needed, the functions generated for it."""

    tag: str
    read: Callable[[Element], Any]
    write: Callable[[Any, str], str]


def declaration_of(cls: type[Any]) -> Declaration:
    """What was declared of this very class. TypeError if nothing was."""
    try:
        declaration: Declaration = cls.__dict__[DECLARATION]
    except (KeyError, AttributeError):
        name = getattr(cls, "__qualname__", cls)
        raise TypeError(f"{name} does not describe an element: it is not declared with @xml.element") from None
    return declaration


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedField:
    """One field, as the generated code needs to know it.

    `keys` are what it is found by: the name of an attribute, the tags of children. `classes` are those of the
    children, in the same order. `ns` and `name` are what a child of text is written as.
    """

    field: str
    kind: Kind
    name: str
    ns: str
    keys: tuple[str, ...]
    is_required: bool
    default: Any
    codec: Codec[Any] | None
    classes: tuple[type[Any], ...]

    @property
    def takes_empty(self) -> bool:
        """Whether an element without text means an empty value, and not the default.

        There is no third way to write it; where None is the default, it is the more useful answer.
        """
        if self.is_required:
            return True
        if self.default is None or self.codec is None:
            return False
        try:
            self.codec.decode("")
        except ValueError:
            return False
        return True


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """One class."""

    ns: str
    name: str
    tag: str
    fields: tuple[PlannedField, ...]

    @classmethod
    def of(cls, described: type[Any]) -> Plan:
        """What `described` declares. Raises TypeError if that makes no sense."""
        tag = declaration_of(described).tag
        ns, _, name = tag.rpartition("}")
        hints = typing.get_type_hints(described)
        fields: list[PlannedField] = []
        for field in dataclasses.fields(described):
            options = field.metadata.get(DECLARATION)
            where = f"{described.__qualname__}.{field.name}"
            if options is None:
                raise TypeError(f"{where} is not a field of an element: give it xml.attr(), xml.text(), ...")
            fields.append(_planned(field, options, hints[field.name], ns[1:], where))
        _refuse_doubles(fields, described.__qualname__)
        return cls(ns[1:], name, tag, tuple(fields))

    def only(self, *kinds: Kind) -> list[PlannedField]:
        """The fields of these kinds, in order."""
        return [field for field in self.fields if field.kind in kinds]


def check_name(name: str, where: str) -> str:
    """`name`, if an element or attribute can have it; ValueError if not."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where}: {name!r} is not an XML name")
    return name


def _planned(field: dataclasses.Field[Any], options: Options, hint: Any, own_ns: str, where: str) -> PlannedField:
    name = options.name or field.name.removesuffix("_").replace("_", "-")
    ns = own_ns if options.ns is None else options.ns
    classes: tuple[type[Any], ...] = ()
    codec = options.codec
    keys: tuple[str, ...]
    if options.kind in ELEMENTS:
        classes = (options.cls,) if options.cls else _alternatives(hint, options.kind is Kind.CHILDREN)
        keys = tuple(declaration_of(cls).tag for cls in classes)
        name = keys[0].rpartition("}")[2]
    elif options.kind is Kind.ATTR:
        keys = (_attribute_key(name, where),)
    elif options.kind in SINGLE:
        keys = (f"{options.kind.value}()",)
    else:
        keys = (_tag(ns, check_name(name, where)),)
    if options.kind in VALUES and codec is None:
        alternatives = _alternatives(hint, False)
        codec = codec_for(alternatives[0] if len(alternatives) == 1 else hint)
    missing = dataclasses.MISSING
    return PlannedField(
        field=field.name,
        kind=options.kind,
        name=name,
        ns=ns,
        keys=keys,
        is_required=field.default is missing and field.default_factory is missing,
        default=None if field.default is missing else field.default,
        codec=codec,
        classes=classes,
    )


def _tag(ns: str, name: str) -> str:
    return f"{{{ns}}}{name}" if ns else name


def _attribute_key(name: str, where: str) -> str:
    """The name of an attribute as lxml has it. ``xml:lang`` may be written as everybody does."""
    match = _KEY.fullmatch(name)
    if match is None:
        raise ValueError(f"{where}: {name!r} is not the name of an attribute: name, xml:name or {{namespace}}name")
    check_name(match[2], where)
    return f"{{{XML_NS}}}{match[2]}" if name.startswith("xml:") else name


def _alternatives(hint: Any, is_many: bool) -> tuple[type[Any], ...]:
    """The classes in ``X``, ``X | None``, ``X | Y`` and, for many, ``tuple[X, ...]`` or the like."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return tuple(cls for option in arguments if option is not type(None) for cls in _alternatives(option, is_many))
    if is_many:
        if not arguments:
            raise TypeError(f"{hint!r} does not say of what: annotate children with tuple[Item, ...]")
        return _alternatives(arguments[0], False)
    return (hint,)


def _refuse_doubles(fields: list[PlannedField], where: str) -> None:
    seen: dict[tuple[bool, str], str] = {}
    for field in fields:
        for key in field.keys:
            other = seen.setdefault((field.kind is Kind.ATTR, key), field.field)
            if other != field.field:
                raise TypeError(f"{where}: {other} and {field.field} both take {key}")
