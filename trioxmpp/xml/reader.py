"""Writes the functions that read an element as an object of one class."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import repeat
from typing import Any

from ..errors import ElementError
from .fields import Kind
from .instance import mould
from .markup import XML_NS, Element, language_of, text_of
from .plan import Declaration, Plan, PlannedField
from .source import Source, label

__all__ = ["compile_reader"]

_LANG = f"{{{XML_NS}}}lang"
# How many objects of a class are kept to be used again, and how long the text may be that they are made of.
_MAX_RECALLED = 100
_BY_CHILDREN = {
    Kind.CHILD: "None",
    Kind.CHILD_TEXT: "None",
    Kind.CHILDREN: "[]",
    Kind.REST: "[]",
    Kind.FLAG: "False",
    Kind.LANG_TEXT: "{}",
}


def _wrong(element: Element, declaration: Declaration) -> ElementError:
    name = declaration.tag.rpartition("}")[2]
    if element.tag != declaration.tag:
        return ElementError(f"expected {declaration.tag}, got {str(element.tag)[:200]}", name)
    key = next(key for key, value in declaration.fixed.items() if element.get(key) != value)
    return ElementError(f"expected {declaration.fixed[key]!r}, got {str(element.get(key))[:200]!r}", f"{name}/@{key}")


def _inside(exc: ElementError, parent: str, child: Element | None) -> None:
    """See the error from the parent; `child` is given if it is one of many, and so has a number."""
    name, slash, below = exc.path.partition("/")
    if child is not None:
        name += f"[{1 + len(list(child.itersiblings(str(child.tag), preceding=True)))}]"
    exc.path = f"{parent}/{name}{slash}{below}"


def _blame(parent: Element, nested: Declaration, name: str) -> None:
    """Raise the error of the first child that is no good, seen from the parent."""
    for child in parent.iterchildren(nested.tag):
        try:
            if nested.matches(child):
                nested.load(child)
        except ElementError as exc:
            _inside(exc, name, child)
            raise


def _copied(element: Element) -> Element:
    """An element that does not keep the tree it came from."""
    alone = copy.deepcopy(element)
    alone.tail = None
    return alone


def compile_reader(plan: Plan) -> tuple[Callable[[Element], Any], Callable[[Element], Any]]:
    """The functions that read an element, and one that is known to be of the right kind."""
    cls, declaration = plan.declaration.cls, plan.declaration
    source = Source(
        cls=cls,
        declaration=declaration,
        ElementError=ElementError,
        text_of=text_of,
        language_of=language_of,
        copied=_copied,
        blame=_blame,
        inside=_inside,
        wrong=_wrong,
        attribute=Element.get,
        repeat=repeat,
    )
    checks = [f"element.tag != {plan.tag!r}"]
    checks += [f"element.get({key!r}) != {value!r}" for key, value in declaration.fixed.items()]
    source.add(0, "def read(element):")
    source.add(1, f"if {' or '.join(checks)}:")
    source.add(2, "raise wrong(element, declaration)")
    source.add(1, "return load(element)")
    is_recalled = declaration.sole_attribute is not None
    source.add(0, "")
    source.add(0, "def load(element):")
    for field in plan.only(Kind.ATTR):
        source.add(1, f"v_{field.field} = element.get({_key(field.keys[0])!r})")
        if is_recalled:
            _recall(source, field, declaration)
        _decode(source, field, f"{plan.name}/@{field.name}")
    for field in plan.only(Kind.TEXT):
        source.add(1, f"v_{field.field} = text_of(element){'' if field.takes_empty else ' or None'}")
        _decode(source, field, f"{plan.name}/text()")
    for field in plan.only(Kind.REST_ATTRS):
        known = {*declaration.fixed, *(attribute.keys[0] for attribute in plan.only(Kind.ATTR))}
        items = f"for key, value in element.items() if key not in {source.bind(frozenset(known))}"
        source.add(1, f"v_{field.field} = {{key: value {items}}}")
    _read_children(source, plan)
    _make(source, plan)
    if is_recalled:
        source.add(1, f"if text is not None and len(text) < {_MAX_RECALLED} and len(known) < {_MAX_RECALLED}:")
        source.add(2, "known[text] = made")
    source.add(1, "return made")
    names = source.compile(label("reader", cls))
    return names["read"], names["load"]


def _key(name: str) -> str | bytes:
    """The name of an attribute as lxml is quickest with it."""
    return name.encode() if name.isascii() else name


def _recall(source: Source, field: PlannedField, declaration: Declaration) -> None:
    """Do not make again what was made before of the same text.

    An element with a single attribute is all that this says, and the objects are frozen. Most lists in XMPP are of
    such elements, and most of them say the same as the last one: features, groups, addresses.
    """
    source.names["known"] = declaration.known
    source.add(1, f"text = v_{field.field}")
    source.add(1, "made = known.get(text)")
    source.add(1, "if made is not None:")
    source.add(2, "return made")


def _decode(source: Source, field: PlannedField, path: str) -> None:
    """Turn the text, or None, in the variable of a field into its value."""
    target, codec = f"v_{field.field}", field.codec
    assert codec is not None
    if field.is_text and field.validate is None and not field.is_required and field.default is None:
        return
    source.add(1, f"if {target} is None:")
    _absent(source, field, path)
    if field.is_text and field.validate is None:
        return
    source.add(1, "else:")
    source.add(2, "try:")
    if not field.is_text:
        source.add(3, f"{target} = {source.bind(codec.decode)}({target})")
    if field.validate is not None:
        source.add(3, f"{source.bind(field.validate)}({target})")
    source.add(2, "except ValueError as exc:")
    source.add(3, f"raise ElementError(str(exc), {path!r}) from exc")


def _absent(source: Source, field: PlannedField, path: str) -> None:
    if field.is_required:
        source.add(2, f"raise ElementError('missing', {path!r})")
    else:
        source.add(2, f"v_{field.field} = {source.bind(field.default)}")


def _read_children(source: Source, plan: Plan) -> None:
    fields = plan.only(*_BY_CHILDREN)
    if all(field.kind is Kind.CHILDREN and len(field.nested) == 1 for field in fields):
        for field in fields:
            _read_alike(source, field, plan.name)
        return
    for field in fields:
        source.add(1, f"v_{field.field} = {_BY_CHILDREN[field.kind]}")
    _read_mixed(source, fields, plan)
    for field in fields:
        _finish_child(source, field, f"{plan.name}/{field.name}")


def _read_alike(source: Source, field: PlannedField, parent: str) -> None:
    """All children of one class, which lxml finds faster than a comparison of tags in Python."""
    (nested,) = field.nested
    name, found = source.bind(nested), f"element.iterchildren({field.keys[0]!r})"
    if nested.fixed:
        found = f"[child for child in {found} if {_is_one(nested)}]"
    source.add(1, "try:")
    if nested.sole_attribute is None:
        source.add(2, f"v_{field.field} = tuple(map({name}.load, {found}))")
    else:
        texts = f"map(attribute, children, repeat({_key(nested.sole_attribute)!r}))"
        source.add(2, f"children = [*{found}]")
        source.add(2, f"v_{field.field} = tuple(map({source.bind(nested.known)}.get, {texts}))")
        source.add(2, f"if not all(v_{field.field}):")
        source.add(3, f"v_{field.field} = tuple(map({name}.load, children))")
    source.add(1, "except ElementError:")
    source.add(2, f"blame(element, {name}, {parent!r})")
    source.add(2, "raise")


def _is_one(nested: Declaration) -> str:
    return " and ".join(f"child.get({key!r}) == {value!r}" for key, value in nested.fixed.items())


def _read_mixed(source: Source, fields: list[PlannedField], plan: Plan) -> None:
    if any(field.kind is Kind.LANG_TEXT for field in fields):
        source.add(1, "inherited = None")
    source.add(1, "for child in element:")
    source.add(2, "tag = child.tag")
    # Those that more is known of come first: the others of their tag are what is left.
    known = [(field, index) for field in fields for index in range(len(field.keys)) if field.kind is not Kind.REST]
    known.sort(key=lambda one: -len(one[0].nested[one[1]].fixed) if one[0].nested else 0)
    keyword = "if"
    for field, index in known:
        fixed = field.nested and _is_one(field.nested[index])
        source.add(2, f"{keyword} tag == {field.keys[index]!r}{f' and {fixed}' if fixed else ''}:")
        _read_child(source, field, index, plan.name)
        keyword = "elif"
    for field in plan.only(Kind.REST):
        # What has no tag is a comment or the like.
        source.add(2, f"{keyword} type(tag) is str:")
        source.add(3, f"v_{field.field}.append(copied(child))")


def _read_child(source: Source, field: PlannedField, index: int, parent: str) -> None:
    add, target, path = source.add, f"v_{field.field}", f"{parent}/{field.name}"
    match field.kind:
        case Kind.CHILD | Kind.CHILDREN:
            nested = source.bind(field.nested[index])
            is_many = field.kind is Kind.CHILDREN
            if not is_many:
                _refuse_second(source, f"{target} is not None", f"{parent}/{field.keys[index].rpartition('}')[2]}")
            add(3, "try:")
            add(4, f"{target}.append({nested}.load(child))" if is_many else f"{target} = {nested}.load(child)")
            add(3, "except ElementError as exc:")
            add(4, f"inside(exc, {parent!r}, {'child' if is_many else None})")
            add(4, "raise")
        case Kind.CHILD_TEXT:
            _refuse_second(source, f"{target} is not None", path)
            add(3, f"{target} = text_of(child)")
        case Kind.FLAG:
            _refuse_second(source, target, path)
            add(3, f"{target} = True")
        case _:
            add(3, f"lang = child.get({_LANG!r})")
            add(3, "if lang is None:")
            add(4, "if inherited is None:")
            add(5, "inherited = language_of(element)")
            add(4, "lang = inherited")
            _refuse_second(source, f"lang in {target}", path)
            add(3, f"{target}[lang] = text_of(child)")


def _refuse_second(source: Source, condition: str, path: str) -> None:
    source.add(3, f"if {condition}:")
    source.add(4, f"raise ElementError('more than one', {path!r})")


def _finish_child(source: Source, field: PlannedField, path: str) -> None:
    target = f"v_{field.field}"
    match field.kind:
        case Kind.CHILDREN | Kind.REST:
            source.add(1, f"{target} = tuple({target})")
        case Kind.CHILD_TEXT:
            _decode(source, field, path)
        case Kind.CHILD if field.is_required or field.default is not None:
            source.add(1, f"if {target} is None:")
            _absent(source, field, path)


def _make(source: Source, plan: Plan) -> None:
    """Make the object of the values that were read."""
    if plan.declaration.is_plain:
        # It was all checked on the way: fill a twin that is not frozen yet, several times faster than the constructor.
        source.add(1, f"made = {source.bind(mould(plan.declaration.cls))}()")
        for field in plan.fields:
            source.add(1, f"made.{field.field} = v_{field.field}")
        source.add(1, "made.__class__ = cls")
        return
    arguments = ", ".join(f"{field.field}=v_{field.field}" for field in plan.fields)
    source.add(1, "try:")
    source.add(2, f"made = cls({arguments})")
    source.add(1, "except ElementError:")
    source.add(2, "raise")
    source.add(1, "except ValueError as exc:")
    source.add(2, f"raise ElementError(str(exc), {plan.name!r}) from exc")
