"""What a class declares, worked out once: annotations resolved, names made, contradictions refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from ..errors import ElementError
from .annotations import Scope, alternatives, type_arguments
from .codec import Codec, codec_for, identity
from .fields import REQUIRED, Field, Kind
from .markup import XML_NS, Element

__all__ = ["DECLARATION", "Declaration", "Plan", "PlannedField", "attribute_key", "check_name", "declaration_of"]

#: The attribute of a declared class that holds its `Declaration`.
DECLARATION: Final = "__xml__"

# NCName of Namespaces in XML, but for some letters of no living script.
_NAME: Final = re.compile(r"[^\W\d][\w.\-\u00b7]*")
_KEY: Final = re.compile(r"(?:xml:|\{([^{}]+)\})?([^{}:]+)")

VALUES: Final = frozenset({Kind.ATTR, Kind.TEXT, Kind.CHILD_TEXT})
ELEMENTS: Final = frozenset({Kind.CHILD, Kind.CHILDREN})
SINGLE: Final = frozenset({Kind.TEXT, Kind.REST, Kind.REST_ATTRS})


class Declaration:
    """What `element` keeps of a class.

    `fields` are all it has, those of the declared classes above it first, each with its annotation and the scope to
    read that in; `fixed` are the attributes that tell it from others of its tag. `read` checks that an element is
    one, `load` takes that for granted, `write` writes one where a namespace is the default; they are generated when
    they are first needed. `is_plain` says that nothing but the declaration has a say in how an object is made. `known`
    are objects that were read, by the text of their `sole_attribute`.
    """

    __slots__ = ("cls", "fields", "fixed", "is_plain", "known", "load", "read", "tag", "write")

    is_plain: bool
    read: Callable[[Element], Any]
    load: Callable[[Element], Any]
    write: Callable[[Any, str], str]

    def __init__(
        self, cls: type[Any], tag: str, fixed: dict[str, str], fields: dict[str, tuple[Field, Any, Scope]]
    ) -> None:
        self.cls = cls
        self.tag = tag
        self.fixed = fixed
        self.fields = fields
        self.known: dict[str | None, Any] = {}

    @property
    def sole_attribute(self) -> str | None:
        """The name of the attribute that is all such an element says, if there is one."""
        if not self.is_plain or len(self.fields) != 1:
            return None
        ((field, (said, _, _)),) = self.fields.items()
        return attribute_key(said.xml_name(field), field) if said.kind is Kind.ATTR else None

    def matches(self, element: Element) -> bool:
        """Whether an element is one of those that the class describes, well-formed or not."""
        return element.tag == self.tag and all(element.get(key) == value for key, value in self.fixed.items())


def declaration_of(cls: type[Any]) -> Declaration:
    """What was declared of this very class. TypeError if nothing was."""
    declaration: Declaration | None = getattr(cls, DECLARATION, None)
    if declaration is None or declaration.cls is not cls:
        name = getattr(cls, "__qualname__", cls)
        raise TypeError(f"{name} does not describe an element: it is not declared with @xml.element")
    return declaration


class PlannedField:
    """One field, as the generated code needs to know it.

    `field` is its name in Python, `name` and `ns` are what it is called in XML. `keys` are what it is found by: the
    name of an attribute, the tags of children. `nested` are the declarations of the children, in the same order.
    """

    __slots__ = (
        "codec",
        "default",
        "factory",
        "field",
        "is_required",
        "keys",
        "kind",
        "name",
        "nested",
        "ns",
        "validate",
    )

    def __init__(self, field: str, said: Field, own_ns: str, where: str) -> None:
        self.field = field
        self.kind = said.kind
        self.name = said.xml_name(field)
        self.ns = own_ns if said.ns is None else said.ns
        self.is_required = said.is_required
        self.default = None if said.default is REQUIRED else said.default
        self.factory = said.factory
        self.validate = said.validate
        self.codec: Codec[Any] | None = said.codec
        self.nested: tuple[Declaration, ...] = ()
        self.keys: tuple[str, ...] = ()
        if self.kind is Kind.ATTR:
            self.keys = (attribute_key(self.name, where),)
        elif self.kind in SINGLE:
            self.keys = (f"{self.kind.value}()",)
        elif self.kind not in ELEMENTS:
            self.keys = (tag_from(self.ns, check_name(self.name, where)),)

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

    @property
    def is_text(self) -> bool:
        """Whether its value is the text itself."""
        assert self.codec is not None
        return self.codec.decode is identity


class Plan:
    """One class: what it is called, and its fields in order."""

    __slots__ = ("declaration", "fields", "name", "ns", "tag")

    def __init__(self, declaration: Declaration) -> None:
        """Raises ElementError if what is declared makes no sense, Unresolved if that cannot be known yet."""
        cls, self.declaration, self.tag = declaration.cls, declaration, declaration.tag
        ns, _, self.name = self.tag.rpartition("}")
        self.ns = ns[1:]
        self.fields: list[PlannedField] = []
        for field, (said, hint, scope) in declaration.fields.items():
            where = f"{cls.__qualname__}.{field}"
            try:
                planned = PlannedField(field, said, self.ns, where)
                self.fields.append(planned)
                if said.kind in VALUES or said.kind in ELEMENTS:
                    _plan_value(planned, said, _Hint(hint, scope, cls))
            except TypeError as exc:
                raise ElementError(str(exc), where) from None
        self._refuse_doubles(cls.__qualname__)

    def only(self, *kinds: Kind) -> list[PlannedField]:
        """The fields of these kinds, in order."""
        return [field for field in self.fields if field.kind in kinds]

    def _refuse_doubles(self, where: str) -> None:
        taken = {(True, key, frozenset[Any]()): "what is fixed" for key in self.declaration.fixed}
        for field in self.fields:
            for index, key in enumerate(field.keys):
                told_apart = frozenset(field.nested[index].fixed.items()) if field.nested else frozenset[Any]()
                other = taken.setdefault((field.kind is Kind.ATTR, key, told_apart), f"{field.field}{index or ''}")
                if other != f"{field.field}{index or ''}":
                    raise ElementError(f"{other} and {field.field} both take {key}", f"{where}.{field.field}")


class _Hint:
    """The annotation of one field."""

    def __init__(self, hint: Any, scope: Scope, cls: type[Any]) -> None:
        self._hint = hint
        self._scope = scope
        self._cls = cls

    def alternatives(self, *, is_many: bool = False) -> list[Any]:
        """What it lists, without None."""
        known = type_arguments(self._cls, self._scope)
        found = alternatives(self._hint, self._scope, known, self._cls, is_many=is_many)
        self.has_none = type(None) in found or Any in found
        return [cls for cls in found if cls is not type(None)]


def _plan_value(field: PlannedField, said: Field, hint: _Hint) -> None:
    if field.kind in ELEMENTS:
        classes = [said.cls] if said.cls is not None else hint.alternatives(is_many=field.kind is Kind.CHILDREN)
        # Those that more is known of are tried first.
        nested = sorted(map(declaration_of, classes), key=lambda declaration: -len(declaration.fixed))
        field.nested = tuple(nested)
        field.keys = tuple(declaration.tag for declaration in nested)
        field.name = field.keys[0].rpartition("}")[2]
        if said.cls is not None:
            return
    elif field.codec is None:
        found = hint.alternatives()
        if len(found) != 1:
            names = [getattr(cls, "__name__", str(cls)) for cls in found]
            raise TypeError(f"there is no codec for {' | '.join(names)}: give the field one")
        field.codec = codec_for(found[0])
    else:
        return
    if field.kind is not Kind.CHILDREN and not field.is_required and field.default is None and not hint.has_none:
        raise TypeError("its default is None, its annotation does not say so")


def check_name(name: str, where: str) -> str:
    """`name`, if an element or attribute can have it; ElementError if not."""
    if not _NAME.fullmatch(name):
        raise ElementError(f"{name!r} is not an XML name", where)
    return name


def tag_from(ns: str, name: str) -> str:
    """The tag as lxml has it."""
    return f"{{{ns}}}{name}" if ns else name


def attribute_key(name: str, where: str) -> str:
    """The name of an attribute as lxml has it. ``xml:lang`` may be written as everybody does."""
    match = _KEY.fullmatch(name)
    if match is None:
        raise ElementError(f"{name!r} is not the name of an attribute: name, xml:name or {{namespace}}name", where)
    check_name(match[2], where)
    return f"{{{XML_NS}}}{match[2]}" if name.startswith("xml:") else name
