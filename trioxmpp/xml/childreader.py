"""Writes the lines that read the children of an element.

Children that all belong to one field of one class are found by lxml itself. Otherwise one loop looks at each child and
gives it to the field that knows most about it: by its tag and fixed attributes, by its tag, by its name or namespace
alone, and last to the field that takes the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..errors import ElementError
from .codegen import Source
from .declaration import Declaration, tag_from
from .decoding import Decoder
from .fields import Kind
from .malformed import Malformed, set_aside
from .markup import XML_NS, Element, copied
from .plan import Node, PlannedField

__all__ = ["ChildrenReader", "attribute_name", "blame", "inside", "salvage"]

_LANG: Final = f"{{{XML_NS}}}lang"
# The raw value of a field without children.
_BY_CHILDREN: Final = {
    Kind.CHILD: "None",
    Kind.CHILD_TEXT: "None",
    Kind.CHILD_NAME: "None",
    Kind.ANY_CHILD: "None",
    Kind.CHILDREN: "[]",
    Kind.CHILD_TEXTS: "[]",
    Kind.ANY_CHILDREN: "[]",
    Kind.LANG_TEXT: "[]",
    Kind.REST: "[]",
    Kind.FLAG: "False",
}
# The class of the value that is made of a list of raw values.
_MANY: Final = {
    Kind.CHILDREN: "tuple",
    Kind.CHILD_TEXTS: "tuple",
    Kind.ANY_CHILDREN: "Payloads",
    Kind.LANG_TEXT: "Texts",
    Kind.REST: "Elements",
}

_Aside = dict[str, list[Malformed]] | None


def inside(exc: ElementError, parent: str, child: Element | None, number: int = 0) -> None:
    """See the error from the parent; a `child` that is one of many gets its number, which is counted if it is 0."""
    name, slash, below = exc.path.partition("/")
    if child is not None:
        name += f"[{number or 1 + len(list(child.itersiblings(str(child.tag), preceding=True)))}]"
    exc.path = f"{parent}/{name}{slash}{below}"


def blame(parent: Element, nested: Declaration, name: str) -> None:
    """Raise the error of the first malformed child, seen from the parent."""
    for child in parent.iterchildren(nested.tag):
        try:
            if nested.matches(child):
                nested.load(child)
        except ElementError as exc:
            inside(exc, name, child)
            raise


def salvage(
    found: Iterable[Element], nested: Declaration, parent: str, field: str, unread: _Aside, declaration: Declaration
) -> tuple[tuple[Any, ...], _Aside]:
    """Read the children one by one, and set the malformed ones aside."""
    made = []
    for number, child in enumerate(found, 1):
        try:
            made.append(nested.load(child))
        except ElementError as exc:
            inside(exc, parent, child, number)
            unread = set_aside(unread, declaration, field, copied(child), exc, exc.path)
    return tuple(made), unread


def attribute_name(name: str) -> str | bytes:
    """Return the name of an attribute as lxml is quickest with it."""
    return name.encode() if name.isascii() else name


class ChildrenReader:
    """Writes into the function of one class."""

    def __init__(self, source: Source, decoder: Decoder) -> None:
        self._source = source
        self._decoder = decoder

    def read(self, node: Node) -> None:
        """Write the lines for all children of a node; they find its wrappers, whose children are read elsewhere."""
        fields = [field for field in node.fields if field.kind in _BY_CHILDREN]
        is_alike = all(field.kind is Kind.CHILDREN and len(field.nested) == 1 for field in fields)
        if is_alike and not node.wrappers:
            for field in fields:
                self._read_alike(field, node)
            return
        for field in fields:
            self._source.add(1, f"v_{field.field} = {_BY_CHILDREN[field.kind]}")
        for wrapper in node.wrappers:
            self._source.add(1, f"{wrapper.variable} = nothing")
        self._read_mixed(fields, node)
        for field in fields:
            self._finish(field, node)

    def _read_alike(self, field: PlannedField, node: Node) -> None:
        """Read all children of one class: lxml finds them faster than a comparison of tags in Python."""
        add, (nested,) = self._source.add, field.nested
        name, found = self._source.bind(nested), f"{node.variable}.iterchildren({field.keys[0]!r})"
        if nested.fixed:
            found = f"[child for child in {found} if {_is_one(nested)}]"
        add(1, "try:")
        if nested.sole_attribute is None:
            add(2, f"v_{field.field} = tuple(map({name}.load, {found}))")
        else:
            texts = f"map(attribute, children, repeat({attribute_name(nested.sole_attribute)!r}))"
            add(2, f"children = [*{found}]")
            add(2, f"v_{field.field} = tuple(map({self._source.bind(nested.recalled)}.get, {texts}))")
            add(2, f"if not all(v_{field.field}):")
            add(3, f"v_{field.field} = tuple(map({name}.load, children))")
        add(1, "except ElementError:")
        if field.is_lenient:
            arguments = f"{found}, {name}, {node.path!r}, {field.field!r}, unread, declaration"
            add(2, f"v_{field.field}, unread = salvage({arguments})")
        else:
            add(2, f"blame({node.variable}, {name}, {node.path!r})")
            add(2, "raise")

    def _read_mixed(self, fields: list[PlannedField], node: Node) -> None:
        if any(field.kind is Kind.LANG_TEXT for field in fields):
            self._source.add(1, "inherited = None")
        self._source.add(1, f"for child in {node.variable}:")
        self._source.add(2, "tag = child.tag")
        keyword = "if"
        for condition, field, index in self._cases(fields, node):
            self._source.add(2, f"{keyword} {condition}:")
            if isinstance(field, Node):
                self._refuse_second(f"{field.variable} is not nothing", field.path)
                self._source.add(3, f"{field.variable} = child")
            else:
                self._read_child(field, index, node)
            keyword = "elif"

    def _cases(self, fields: list[PlannedField], node: Node) -> list[tuple[str, PlannedField | Node, int]]:
        """Return the condition of each field for taking a child, those first that say most about it."""
        cases: list[tuple[int, str, PlannedField | Node, int]] = []
        for field in fields:
            for index, key in enumerate(field.keys):
                fixed = field.nested[index].fixed if field.nested else {}
                if field.kind is Kind.CHILD_NAME:
                    names = {f"{{{field.ns}}}{name}" if field.ns else name: name for name in field.names}
                    values = self._source.bind({tag: field.names[name] for tag, name in names.items()})
                    cases.append((2, f"tag in {values}", field, 0))
                    if field.is_open:
                        unknown = f"v_{field.field} is None and {_of_kind(key)}"
                        cases.append((3, unknown, field, 1))
                elif field.kind in (Kind.REST, Kind.ANY_CHILD, Kind.ANY_CHILDREN):
                    key = "{*}*" if field.kind is Kind.REST else key
                    rank = 4 + (key.startswith("{*}")) + 2 * key.endswith("}*") + 4 * (field.kind is Kind.REST)
                    cases.append((rank, _of_kind(key), field, 0))
                else:
                    condition = f"tag == {key!r}" + (f" and {_is_one(field.nested[index])}" if fixed else "")
                    cases.append((-len(fixed), condition, field, index))
        cases += [(0, f"tag == {wrapper.tag!r}", wrapper, 0) for wrapper in node.wrappers]
        return [case[1:] for case in sorted(cases, key=lambda case: case[0])]

    def _read_child(self, field: PlannedField, index: int, node: Node) -> None:
        add, target, parent = self._source.add, f"v_{field.field}", node.path
        path = f"{parent}/{field.name}"
        match field.kind:
            case Kind.CHILD | Kind.CHILDREN:
                self._read_nested(field, index, parent)
            case Kind.CHILD_TEXT:
                self._refuse_second(f"{target} is not None", path)
                add(3, f"{target} = text_of(child)")
            case Kind.CHILD_TEXTS:
                add(3, f"{target}.append(text_of(child))")
            case Kind.CHILD_NAME:
                self._read_name(field, node, is_unknown=bool(index))
            case Kind.FLAG:
                self._refuse_second(target, path)
                add(3, f"{target} = True")
            case Kind.ANY_CHILD:
                self._refuse_second(f"{target} is not None", f"{parent}/*")
                add(3, f"{target} = Payload(copied(child))")
            case Kind.ANY_CHILDREN | Kind.REST:
                add(3, f"{target}.append(copied(child))")
            case _:
                add(3, f"lang = child.get({_LANG!r})")
                add(3, "if lang is None:")
                add(4, "if inherited is None:")
                add(5, "inherited = language_of(element)")
                add(4, "lang = inherited")
                add(3, f"{target}.append((lang, text_of(child)))")

    def _read_nested(self, field: PlannedField, index: int, parent: str) -> None:
        add, target, nested = self._source.add, f"v_{field.field}", self._source.bind(field.nested[index])
        is_many = field.kind is Kind.CHILDREN
        path = f"{parent}/{field.keys[index].rpartition('}')[2]}"
        add(3, "try:")
        if not is_many:
            add(4, f"if {target} is not None:")
            add(5, f"raise ElementError('more than one', {path.removeprefix(f'{parent}/')!r})")
        add(4, f"{target}.append({nested}.load(child))" if is_many else f"{target} = {nested}.load(child)")
        add(3, "except ElementError as exc:")
        if not field.is_lenient:
            add(4, f"inside(exc, {parent!r}, {'child' if is_many else None})")
            add(4, "raise")
            return
        # To count the children in front of each malformed one would take time quadratic in their number.
        number = f"len({target}) + 1 + (len(unread.get({field.field!r}, ())) if unread else 0)"
        add(4, f"inside(exc, {parent!r}, child, {number})" if is_many else f"inside(exc, {parent!r}, None)")
        add(4, f"unread = aside(unread, declaration, {field.field!r}, copied(child), exc, exc.path)")

    def _read_name(self, field: PlannedField, node: Node, *, is_unknown: bool) -> None:
        """Take the name of a child. A known name replaces an unknown one in front of it, which goes to the rest."""
        add, target = self._source.add, f"v_{field.field}"
        if is_unknown:
            add(3, f"{target}, unknown = tag.rpartition('}}')[2], child")
            return
        self._refuse_second(f"{target} is not None and {target}.__class__ is not str", f"{node.path}/{field.name}")
        for rest in [other for other in node.fields if other.kind is Kind.REST and field.is_open]:
            add(3, f"if {target} is not None:")
            add(4, f"v_{rest.field}.append(copied(unknown))")
        names = {tag_from(field.ns, name): value for name, value in field.names.items()}
        add(3, f"{target} = {self._source.bind(names)}[tag]")

    def _refuse_second(self, condition: str, path: str) -> None:
        self._source.add(3, f"if {condition}:")
        self._source.add(4, f"raise ElementError('more than one', {path!r})")

    def _finish(self, field: PlannedField, node: Node) -> None:
        """Turn the raw values of children into the value of the field."""
        add, target, path = self._source.add, f"v_{field.field}", f"{node.path}/{field.name}"
        match field.kind:
            case Kind.CHILD_TEXTS:
                self._decoder.decode_many(field, path)
                if field.default is None:
                    absent = f"{node.variable} is nothing" if not node.is_root else f"not {target}"
                    add(1, f"{target} = None if {absent} else tuple({target})")
                else:
                    add(1, f"{target} = tuple({target})")
            case Kind.CHILDREN | Kind.REST | Kind.ANY_CHILDREN | Kind.LANG_TEXT:
                add(1, f"{target} = {_MANY[field.kind]}({target})")
            case Kind.CHILD_TEXT:
                self._decoder.decode(field, path)
            case Kind.CHILD | Kind.CHILD_NAME | Kind.ANY_CHILD if field.is_required or field.default is not None:
                add(1, f"if {target} is None:")
                self._decoder.default(field, path if field.kind is Kind.CHILD else f"{node.path}/*")
                if field.bit and self._decoder.is_plain:
                    add(1, "else:")
                    add(2, f"given |= {field.bit}")


def _is_one(nested: Declaration) -> str:
    return " and ".join(f"child.get({key!r}) == {value!r}" for key, value in nested.fixed.items())


def _of_kind(key: str) -> str:
    """Return the condition that the tag is one of ``{ns}*``, ``{*}name`` or ``{*}*``; a comment has no such tag."""
    ns, _, name = key[1:].rpartition("}")
    conditions = ["tag.__class__ is str"]
    if ns:
        conditions += [] if ns == "*" else [f"tag.startswith({f'{{{ns}}}'!r})"]
    else:
        conditions.append("not tag.startswith('{')")
    if name != "*":
        conditions.append(f"tag.rpartition('}}')[2] == {name!r}")
    return " and ".join(conditions)
