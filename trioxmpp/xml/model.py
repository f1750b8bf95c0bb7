"""Declaring what an element looks like, and the ways from and to XML."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast, dataclass_transform

from ..errors import ElementError
from ..record import FIELDS, lazy_init
from .annotations import Scope, Unresolved, annotations_of
from .declaration import DECLARATION, Declaration, attribute_key, check_name, declaration_of, tag_from, tag_of
from .fields import Field, any_child, attr, child, child_name, child_text, text
from .markup import Element
from .plan import Plan
from .reader import compile_reader
from .values import GIVEN, HIDDEN, METHODS, constructor, describe_fields
from .writer import compile_writer

__all__ = ["element", "find", "parse", "parse_any", "structure"]

T = TypeVar("T")

#: The attribute of a class that `structure` made, with its fields.
_STRUCTURE = "__xml_structure__"


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(attr, text, child, child_text, child_name, any_child),
)
def element(ns: str, name: str, *, fixed: Mapping[str, str] | None = None) -> Callable[[type[T]], type[T]]:
    """Declare that the class describes the element `name` of the namespace `ns`.

    `fixed` are attributes that have the same value in each such element: they are written, and an element with other
    values is another element. So classes can share a tag: ``fixed={"type": "form"}``.

    The class becomes frozen, slotted and keyword-only, as a dataclass; nothing is registered anywhere. A declaration
    that contradicts itself raises ElementError, whose `path` is the field. The functions that read and write the
    element are generated when they are first needed. If an annotation names a class that does not exist yet, it is
    evaluated again then, and a mistake in it is a TypeError, which no caller takes for a malformed element.
    """
    check_name(name, "an element")
    tag = tag_from(ns, name)
    attributes = {attribute_key(key, f"fixed of {name}"): value for key, value in (fixed or {}).items()}

    def declare(cls: type[T]) -> type[T]:
        made, fields = _made(cls, sys._getframe(1))
        declaration = Declaration(made, tag, attributes, fields)
        declaration.has_own_init = "__init__" in cls.__dict__
        declaration.is_plain = not (
            declaration.has_own_init or made.__new__ is not object.__new__ or hasattr(made, "__post_init__")
        )
        setattr(made, DECLARATION, declaration)
        setattr(made, FIELDS, describe_fields(declaration))
        setattr(made, "__match_args__", tuple(fields))  # noqa: B010  (which no type knows)
        if "__init__" not in cls.__dict__:
            lazy_init(made, constructor)
        _compile_later(declaration)
        return made

    return declare


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(attr, text, child, child_text, child_name, any_child),
)
def structure(cls: type[T]) -> type[T]:
    """Declare fields that several elements have in common, without being an element.

    A structure that protocols use in several namespaces, such as the items of pubsub, is declared once; one short class
    for each namespace, declared with `element`, is derived from it. Where its children differ as well, it is generic:
    ``class Items(Generic[ItemT])`` with ``items: tuple[ItemT, ...] = xml.children()``. `isinstance` with the structure
    holds for the objects of all of them.
    """
    made, fields = _made(cls, sys._getframe(1))
    setattr(made, _STRUCTURE, fields)
    return made


def _made(cls: type[T], frame: Any) -> tuple[type[T], dict[str, tuple[Field, Any, Scope]]]:
    """Make the class again, frozen and with slots, which a class cannot get later; return all its fields, too."""
    names = {key: value for key, value in cls.__dict__.items() if key not in ("__dict__", "__weakref__")}
    annotations = annotations_of(cls)
    own = {}
    for field, annotation in annotations.items():
        if isinstance(names.get(field), Field):
            own[field] = names.pop(field)
        elif not _is_class_variable(annotation):
            where = f"{cls.__qualname__}.{field}"
            raise ElementError("not a field of an element: give it xml.attr(), xml.text(), ...", where)
    for name, value in names.items():
        if isinstance(value, Field):
            raise ElementError("a field needs an annotation", f"{cls.__qualname__}.{name}")
    hidden = () if hasattr(cls, GIVEN) else HIDDEN
    names = {**METHODS, **names, "__slots__": (*own, *hidden)}
    if names["__hash__"] is None:  # as Python leaves it where only __eq__ is defined
        names["__hash__"] = METHODS["__hash__"]
    make: Callable[..., type[T]] = type(cls)
    made = make(cls.__name__, cls.__bases__, names)
    made.__qualname__ = cls.__qualname__
    _rebind(cls, made)
    scope = Scope(made, frame.f_globals, {} if frame.f_locals is frame.f_globals else frame.f_locals)
    return made, _inherited(made) | {name: (field, annotations[name], scope) for name, field in own.items()}


def _rebind(old: type[Any], new: type[Any]) -> None:
    """Let ``super()`` in the methods mean the new class."""
    for value in old.__dict__.values():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        for cell in getattr(function, "__closure__", None) or ():
            if cell.cell_contents is old:
                cell.cell_contents = new


def _is_class_variable(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.removeprefix("typing.").startswith("ClassVar")
    return annotation is typing.ClassVar or typing.get_origin(annotation) is typing.ClassVar


def _inherited(cls: type[Any]) -> dict[str, tuple[Field, Any, Scope]]:
    fields: dict[str, tuple[Field, Any, Scope]] = {}
    for base in reversed(cls.__mro__[1:]):
        declaration = base.__dict__.get(DECLARATION)
        if declaration is not None:
            fields |= declaration.fields
        fields |= base.__dict__.get(_STRUCTURE, {})
    return fields


def _compile_later(declaration: Declaration) -> None:
    """Check what the class declares, and give it functions that compile the real ones when they are first called.

    A caller may keep such a function and call it again: the reader of a parent calls one for each of its children. So
    each of them compiles only if nothing has been compiled yet.
    """
    try:
        plan: Plan | None = Plan(declaration)
    except Unresolved:
        plan = None

    def planned() -> Plan:
        try:
            return plan or Plan(declaration)
        except (ElementError, Unresolved) as exc:
            raise TypeError(f"{declaration.cls.__qualname__} makes no sense: {exc}") from exc

    def compile_readers() -> None:
        if declaration.load is load:
            declaration.read, declaration.load = compile_reader(planned())

    def read(source: Element) -> Any:
        compile_readers()
        return declaration.read(source)

    def load(source: Element) -> Any:
        compile_readers()
        return declaration.load(source)

    def write(payload: Any, default: str) -> str:
        if declaration.write is write:
            declaration.write = compile_writer(planned())
        return declaration.write(payload, default)

    declaration.read, declaration.load, declaration.write = read, load, write


def parse(cls: type[T], element: Element) -> T:
    """Return `element` as an object of class `cls`.

    Raises ElementError, whose `path` says where, if the element is another one, if something required is missing, if a
    value is malformed, or if there are two of what there may be one of. Attributes and children that the class does not
    know are ignored, and so is white space between children. Raises TypeError if `cls` describes no element.
    """
    made: T = declaration_of(cls).read(element)
    return made


def parse_any(element: Element, *classes: type[T]) -> T:
    """Return `element` as an object of the one of `classes` that describes it.

    If several do, it is the one with most `fixed` attributes. Raises ElementError as `parse` does, or if none does.
    """
    found = [declaration for declaration in map(declaration_of, classes) if declaration.matches(element)]
    if not found:
        expected = " or ".join(dict.fromkeys(map(tag_of, classes)))
        raise ElementError(
            f"expected {expected}, got {str(element.tag)[:200]}", str(element.tag).rpartition("}")[2][:200]
        )
    return cast(T, max(found, key=lambda declaration: len(declaration.fixed)).load(element))


def find(parent: Element, cls: type[T]) -> T | None:
    """Return the first child of `parent` that `cls` describes, or None. Raises ElementError if it is malformed."""
    declaration = declaration_of(cls)
    for candidate in parent.iterchildren(declaration.tag):
        if declaration.matches(candidate):
            return cast(T, declaration.load(candidate))
    return None
