"""The plan of a class: annotations resolved, names made, contradictions refused.

The functions that read and write an element are generated from a plan. A field may stand inside wrapper elements, which
have no class; so the plan is a small tree of `Node`s. The root is the element itself, every other node a wrapper.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from ..errors import ElementError
from ..record import FIELDS
from .annotations import Scope, alternatives, type_arguments
from .codec import Codec, codec_for, identity, open_codec_for
from .declaration import Declaration, attribute_key, check_name, declaration_of, tag_from
from .fields import REQUIRED, Field, Kind

__all__ = ["Node", "Plan", "PlannedField"]

VALUES: Final = frozenset({Kind.ATTR, Kind.TEXT, Kind.CHILD_TEXT, Kind.CHILD_TEXTS})
ELEMENTS: Final = frozenset({Kind.CHILD, Kind.CHILDREN})
OPEN: Final = frozenset({Kind.ANY_CHILD, Kind.ANY_CHILDREN})
SINGLE: Final = frozenset({Kind.TEXT, Kind.REST, Kind.REST_ATTRS})
MANY: Final = frozenset({Kind.CHILDREN, Kind.CHILD_TEXTS})

_STEP: Final = re.compile(r"(?:\{([^{}]*)\})?([^{}/]+)(?:/|\Z)")


class PlannedField:
    """One field, as the generated code needs to know it.

    `field` is its name in Python, `name` and `ns` are its name in XML. `keys` are the name of an attribute or the tags
    of children by which it is found. `nested` are the declarations of the children, in the same order. `bit` marks the
    field in the set of those that were given, or is 0 if its value says as much. `names` maps the names of empty
    children to their values.
    """

    __slots__ = (
        "bit",
        "codec",
        "default",
        "factory",
        "field",
        "is_lenient",
        "is_open",
        "is_required",
        "keys",
        "kind",
        "name",
        "names",
        "nested",
        "ns",
        "validate",
    )

    def __init__(self, field: str, declared: Field, ns: str, where: str) -> None:
        self.field: str = field
        self.kind: Kind = declared.kind
        self.name: str = declared.xml_name(field)
        self.ns: str = ns if declared.ns is None else declared.ns
        self.bit: int = 0
        self.is_required: bool = declared.is_required
        self.is_lenient: bool = declared.is_lenient
        self.is_open: bool = False
        self.default: Any = None if declared.default is REQUIRED else declared.default
        self.factory: Callable[[], Any] | None = declared.factory
        self.validate: Callable[[Any], object] | None = declared.validate
        self.codec: Codec[Any] | None = declared.codec
        self.nested: tuple[Declaration, ...] = ()
        self.names: dict[str, Any] = {}
        self.keys: tuple[str, ...] = ()
        if self.kind is Kind.ATTR:
            self.keys = (attribute_key(self.name, where),)
        elif self.kind in SINGLE:
            self.keys = (f"{self.kind.value}()",)
        elif self.kind in OPEN:
            ns = "*" if declared.ns is None else declared.ns
            self.keys = (f"{{{ns}}}{'*' if declared.name is None else check_name(declared.name, where)}",)
        elif self.kind is Kind.CHILD_NAME:
            self.keys = (f"{{{self.ns}}}*",)
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
        return self.codec is not None and self.codec.decode is identity

    @property
    def is_child(self) -> bool:
        """Whether its values are children, and not the attributes or the text of the element."""
        return self.kind not in (Kind.ATTR, Kind.REST_ATTRS, Kind.TEXT)


class Node:
    """The element, or a wrapper in it.

    `tag`, `name` and `ns` are what it is called, `path` is where it stands, for error messages. `variable` is what
    generated code calls it. `content` are its fields, and the wrappers in it, in the order of the declaration.
    """

    __slots__ = ("content", "name", "ns", "path", "tag", "variable")

    def __init__(self, tag: str, path: str, variable: str) -> None:
        self.tag: str = tag
        ns, name = split_tag(tag)
        self.ns: str = ns
        self.name: str = name
        self.path: str = path
        self.variable: str = variable
        self.content: list[PlannedField | Node] = []

    @property
    def is_root(self) -> bool:
        """Whether it is the element itself."""
        return self.variable == "element"

    @property
    def fields(self) -> list[PlannedField]:
        """The fields that stand directly in it."""
        return [item for item in self.content if isinstance(item, PlannedField)]

    @property
    def wrappers(self) -> list[Node]:
        """The wrappers that stand directly in it."""
        return [item for item in self.content if isinstance(item, Node)]

    @property
    def is_mixed(self) -> bool:
        """Whether it may have both text and children that are written again."""
        has_text = any(field.kind is Kind.TEXT for field in self.fields)
        return has_text and any(isinstance(item, Node) or item.is_child for item in self.content)

    def walk(self) -> Iterator[Node]:
        """Give this node and all below it."""
        yield self
        for wrapper in self.wrappers:
            yield from wrapper.walk()


class Plan:
    """One class: its declaration, and its fields in order and in their places."""

    __slots__ = ("declaration", "fields", "name", "root")

    def __init__(self, declaration: Declaration) -> None:
        """Raise ElementError if the declaration contradicts itself, Unresolved if that cannot be known yet."""
        cls = declaration.cls
        self.declaration: Declaration = declaration
        self.root: Node = Node(declaration.tag, split_tag(declaration.tag)[1], "element")
        self.name: str = self.root.name
        self.fields: list[PlannedField] = []
        bits = bits_of(declaration.fields)
        for field, (declared, hint, scope) in declaration.fields.items():
            where = f"{cls.__qualname__}.{field}"
            try:
                node = self._node(declared.inside, where)
                planned = PlannedField(field, declared, node.ns, where)
                planned.bit = 0 if declaration.has_own_init else bits.get(field, 0)
                self.fields.append(planned)
                node.content.append(planned)
                _plan_value(planned, declared, _Hint(hint, scope, cls))
            except TypeError as exc:
                raise ElementError(str(exc), where) from None
        declaration.handwritten = frozenset(
            [field.field for field in self.fields if any(not hasattr(nested.cls, FIELDS) for nested in field.nested)]
        )
        for node in self.root.walk():
            _merge_text(node)
        for node in self.root.walk():
            self._refuse_doubles(node, cls.__qualname__)

    def only(self, *kinds: Kind) -> list[PlannedField]:
        """The fields of these kinds, in order."""
        return [field for field in self.fields if field.kind in kinds]

    def _node(self, inside: str | None, where: str) -> Node:
        """Return the node at a path of wrappers, which is made if it is new."""
        node = self.root
        if inside is None:
            return node
        if "".join(match[0] for match in _STEP.finditer(inside)) != inside or not inside or inside.endswith("/"):
            raise ElementError(f"{inside!r} is not a path: name, {{namespace}}name, or several with / between", where)
        for match in _STEP.finditer(inside):
            ns = node.ns if match[1] is None else match[1]
            tag = tag_from(ns, check_name(match[2], where))
            found = next((wrapper for wrapper in node.wrappers if wrapper.tag == tag), None)
            if found is None:
                number = sum(1 for _ in self.root.walk())
                found = Node(tag, f"{node.path}/{match[2]}", f"w_{number}")
                node.content.append(found)
            node = found
        return node

    def _refuse_doubles(self, node: Node, where: str) -> None:
        fixed = self.declaration.fixed if node.is_root else {}
        taken = {(True, key, frozenset[Any]()): "what is fixed" for key in fixed}
        for wrapper in node.wrappers:
            taken[False, wrapper.tag, frozenset()] = f"the wrapper {wrapper.name}"
        for field in node.fields:
            for index, key in enumerate(field.keys):
                told_apart = frozenset(field.nested[index].fixed.items()) if field.nested else frozenset[Any]()
                mine = f"{field.field}{index or ''}"
                other = taken.setdefault((field.kind is Kind.ATTR, key, told_apart), mine)
                if other != mine:
                    raise ElementError(f"{other} and {field.field} both take {key}", f"{where}.{field.field}")


def bits_of(fields: dict[str, tuple[Field, Any, Scope]]) -> dict[str, int]:
    """Number the fields whose value does not say whether it was given."""
    asked = [name for name, (field, _, _) in fields.items() if field.factory is None and not field.has_simple_default]
    return {name: 1 << index for index, name in enumerate(asked)}


def split_tag(tag: str) -> tuple[str, str]:
    """Split a tag into namespace and name."""
    ns, _, name = tag.rpartition("}")
    return ns[1:], name


def _merge_text(node: Node) -> None:
    """A child whose text is one field and whose attributes are others is a wrapper with a text."""
    for field in node.fields:
        wrapper = next((wrapper for wrapper in node.wrappers if field.keys == (wrapper.tag,)), None)
        if field.kind is Kind.CHILD_TEXT and wrapper is not None:
            node.content.remove(field)
            field.kind, field.keys = Kind.TEXT, ("text()",)
            wrapper.content.insert(0, field)


class _Hint:
    """The annotation of one field."""

    def __init__(self, hint: Any, scope: Scope, cls: type[Any]) -> None:
        self._hint = hint
        self._scope = scope
        self._cls = cls
        self.has_none = False

    def alternatives(self, *, is_many: bool = False) -> list[Any]:
        """Return what it lists, without None."""
        variables = type_arguments(self._cls, self._scope)
        found = alternatives(self._hint, self._scope, variables, self._cls, is_many=is_many)
        self.has_none = type(None) in found or Any in found
        return [cls for cls in found if cls is not type(None)]


def _plan_value(field: PlannedField, declared: Field, hint: _Hint) -> None:
    if field.kind in ELEMENTS:
        classes = [declared.cls] if declared.cls is not None else hint.alternatives(is_many=field.kind in MANY)
        # Those with more fixed attributes are tried first.
        nested = sorted(map(declaration_of, classes), key=lambda declaration: -len(declaration.fixed))
        field.nested = tuple(nested)
        field.keys = tuple(declaration.tag for declaration in nested)
        field.name = split_tag(field.keys[0])[1]
        if field.kind is Kind.CHILD and field.is_lenient and field.is_required:
            raise TypeError("a lenient child needs a default: it may turn out to be malformed")
        if declared.cls is not None:
            return
    elif field.kind is Kind.CHILD_NAME:
        _plan_names(field, hint)
    elif field.kind in VALUES and field.codec is None:
        field.codec = _codec(hint.alternatives(is_many=field.kind in MANY))
        field.is_lenient = field.is_lenient or field.codec.strict is not None
    else:
        return
    is_optional = not field.is_required and field.default is None
    if field.kind is not Kind.CHILDREN and is_optional and not hint.has_none:
        raise TypeError("its default is None, its annotation does not say so")


def _codec(found: list[Any]) -> Codec[Any]:
    if len(found) == 1:
        return codec_for(found[0])
    if len(found) == 2 and str in found and (opened := open_codec_for(*[cls for cls in found if cls is not str])):
        return opened
    names = [getattr(cls, "__name__", str(cls)) for cls in found]
    raise TypeError(f"there is no codec for {' | '.join(names)}: give the field one")


def _plan_names(field: PlannedField, hint: _Hint) -> None:
    found = hint.alternatives()
    field.is_open = str in found
    enums = [cls for cls in found if isinstance(cls, type) and issubclass(cls, enum.Enum)]
    if len(enums) != 1 or len(found) != 1 + field.is_open:
        raise TypeError("the name of a child is an enum, or an enum | str")
    field.names = {check_name(str(member.value), "a member"): member for member in enums[0]}
