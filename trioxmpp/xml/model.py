"""Saying what an element looks like, and the way from and to XML."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast, dataclass_transform

from ..errors import ElementError
from ..record import construct_later
from .annotations import Scope, Unresolved, annotations_of
from .fields import Field, attr, child, child_text, text
from .instance import METHODS, constructor
from .markup import Element, serialise_element
from .plan import DECLARATION, Declaration, Plan, attribute_key, check_name, declaration_of, tag_from
from .reader import compile_reader
from .writer import compile_writer

__all__ = ["element", "find", "parse", "parse_any", "serialise", "tag_of"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attr, text, child, child_text))
def element(ns: str, name: str, *, fixed: Mapping[str, str] | None = None) -> Callable[[type[T]], type[T]]:
    """Declare that the class describes the element `name` of the namespace `ns`.

    `fixed` are attributes that have the same value in each such element: they are written, and what has others is
    another element. So classes can share a tag: ``fixed={"type": "form"}``.

    The class becomes frozen, slotted and keyword-only, as a dataclass; nothing is registered anywhere. A declaration
    that makes no sense raises ElementError, whose `path` is the field. The functions that read and write the element
    are generated when they are first needed. If an annotation names what is not there yet, that is also when it is
    looked up again, and what is wrong with it then is a TypeError, which nobody takes for a wrong element.
    """
    check_name(name, "an element")
    tag = tag_from(ns, name)
    attributes = {attribute_key(key, f"fixed of {name}"): value for key, value in (fixed or {}).items()}

    def declare(cls: type[T]) -> type[T]:
        frame = sys._getframe(1)
        local_names = {} if frame.f_locals is frame.f_globals else frame.f_locals
        made = _made(cls)
        declaration = Declaration(made, tag, attributes, _inherited(made))
        scope = Scope(made, frame.f_globals, local_names)
        for field in made.__dict__["__slots__"]:
            declaration.fields[field] = cls.__dict__[field], annotations_of(cls)[field], scope
        declaration.is_plain = made.__new__ is object.__new__ and not hasattr(made, "__post_init__")
        setattr(made, DECLARATION, declaration)
        setattr(made, "__match_args__", tuple(declaration.fields))  # noqa: B010  (which no type knows)
        if "__init__" in cls.__dict__:
            declaration.is_plain = False
        else:
            construct_later(made, constructor)
        _compile_later(declaration)
        return made

    return declare


def _made(cls: type[T]) -> type[T]:
    """The class again, frozen and with slots: they cannot be given to one that exists."""
    names = {key: value for key, value in cls.__dict__.items() if key not in ("__dict__", "__weakref__")}
    fields = []
    for field, annotation in annotations_of(cls).items():
        if isinstance(names.get(field), Field):
            fields.append(field)
            del names[field]
        elif not _is_class_variable(annotation):
            where = f"{cls.__qualname__}.{field}"
            raise ElementError("not a field of an element: give it xml.attr(), xml.text(), ...", where)
    for name, value in names.items():
        if isinstance(value, Field):
            raise ElementError("a field needs an annotation", f"{cls.__qualname__}.{name}")
    names = {**METHODS, **names, "__slots__": tuple(fields)}
    if names["__hash__"] is None:  # as Python leaves it where only __eq__ is defined
        names["__hash__"] = METHODS["__hash__"]
    make: Callable[..., type[T]] = type(cls)
    made = make(cls.__name__, cls.__bases__, names)
    made.__qualname__ = cls.__qualname__
    _rebind(cls, made)
    return made


def _rebind(old: type[Any], new: type[Any]) -> None:
    """Let ``super()`` in the methods mean the class that there is now."""
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
            declaration.write = compile_writer(planned(), serialise)
        return declaration.write(payload, default)

    declaration.read, declaration.load, declaration.write = read, load, write


def tag_of(cls: type[Any]) -> str:
    """The tag of the elements that `cls` describes: ``{namespace}name``. TypeError if it describes none."""
    return declaration_of(cls).tag


def parse(cls: type[T], element: Element) -> T:
    """`element` as an object of class `cls`.

    Raises ElementError, whose `path` says where, if the element is another one, if something required is missing, a
    value is none of its kind, or there are two of what there may be one of. Attributes and children that the class
    does not know are ignored, and so is white space between children. TypeError if `cls` describes no element.
    """
    made: T = declaration_of(cls).read(element)
    return made


def parse_any(element: Element, *classes: type[T]) -> T:
    """`element` as an object of that one of `classes` which describes such elements.

    If several do, it is the one with most `fixed` attributes. Raises ElementError as `parse` does, or if none does.
    """
    found = [declaration for declaration in map(declaration_of, classes) if declaration.matches(element)]
    if not found:
        expected = " or ".join(dict.fromkeys(map(tag_of, classes)))
        raise ElementError(
            f"expected {expected}, got {str(element.tag)[:200]}", str(element.tag).rpartition("}")[2][:200]
        )
    return cast(T, max(found, key=lambda declaration: len(declaration.fixed)).load(element))


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
    declaration = declaration_of(cls)
    for candidate in parent.iterchildren(declaration.tag):
        if declaration.matches(candidate):
            return cast(T, declaration.load(candidate))
    return None
