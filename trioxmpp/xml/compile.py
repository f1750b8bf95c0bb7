"""Writes and compiles the straight-line functions that a person would have written by hand for one class."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

from ..errors import ElementError
from .codec import identity
from .plan import Kind, Plan, PlannedField, declaration_of
from .text import XML_NS, Element, attribute, escape, escape_attr, text_of

__all__ = ["compile_reader", "compile_writer"]

_LANG = f"{{{XML_NS}}}lang"
_BY_CHILDREN = {
    Kind.CHILD: "None",
    Kind.CHILD_TEXT: "None",
    Kind.CHILDREN: "[]",
    Kind.REST: "[]",
    Kind.FLAG: "False",
    Kind.LANG_TEXT: "{}",
}


def _wrong_tag(element: Element, plan: Plan) -> ElementError:
    return ElementError(f"expected {plan.tag}, got {str(element.tag)[:200]}", plan.name)


def _inside(exc: ElementError, parent: str, child: Element | None) -> ElementError:
    """The same error, seen from the parent; `child` is given if it is one of many, and so has a number."""
    message = str(exc).removeprefix(f"{exc.path}: ")
    name, slash, below = exc.path.partition("/")
    if child is not None:
        before = [other for other in child.itersiblings(preceding=True) if other.tag == child.tag]
        name += f"[{len(before) + 1}]"
    return ElementError(message, f"{parent}/{name}{slash}{below}")


class _Source:
    """Lines of a function, and the values that they refer to by name."""

    def __init__(self, **names: Any) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = names

    def bind(self, value: Any) -> str:
        """How to refer to `value`: by itself if that is as good, or by a new name."""
        if value is None or value is True or value is False:
            return repr(value)
        name = f"_{len(self.names)}"
        self.names[name] = value
        return name

    def add(self, depth: int, line: str) -> None:
        """A line at this depth of indentation."""
        self.lines.append("    " * depth + line)

    def compile(self, function: str, label: str) -> Any:
        """The function, its source visible to debuggers and in tracebacks."""
        text = "\n".join(self.lines) + "\n"
        entry = (len(text), None, text.splitlines(keepends=True))
        filename, number = f"<{label}>", 1
        # Two classes of one name, made in a function, are told apart unless they are the same.
        while linecache.cache.setdefault(filename, (*entry, filename))[2:3] != entry[2:]:
            number += 1
            filename = f"<{label} #{number}>"
        exec(compile(text, filename, "exec"), self.names)
        return self.names[function]


def _label(what: str, cls: type[Any]) -> str:
    return f"xml {what} of {cls.__module__}.{cls.__qualname__}"


def compile_reader(cls: type[Any], plan: Plan) -> Callable[[Element], Any]:
    """The function that reads an element as a `cls`."""
    source = _Source(
        cls=cls, plan=plan, ElementError=ElementError, text_of=text_of, inside=_inside, wrong_tag=_wrong_tag
    )
    source.add(0, "def read(element):")
    source.add(1, f"if element.tag != {plan.tag!r}:")
    source.add(2, "raise wrong_tag(element, plan)")
    for field in plan.only(Kind.ATTR):
        source.add(1, f"v_{field.field} = element.get({field.keys[0]!r})")
        _decode(source, field, f"{plan.name}/@{field.name}")
    for field in plan.only(Kind.TEXT):
        source.add(1, f"v_{field.field} = text_of(element){'' if field.takes_empty else ' or None'}")
        _decode(source, field, f"{plan.name}/text()")
    _read_children(source, plan)
    arguments = ", ".join(f"{field.field}=v_{field.field}" for field in plan.fields)
    source.add(1, f"return cls({arguments})")
    read: Callable[[Element], Any] = source.compile("read", _label("reader", cls))
    return read


def _decode(source: _Source, field: PlannedField, path: str) -> None:
    """Turn the text, or None, in the variable of a field into its value."""
    target, codec = f"v_{field.field}", field.codec
    assert codec is not None
    is_text = codec.decode is identity
    if is_text and not field.is_required and field.default is None:
        return
    source.add(1, f"if {target} is None:")
    _absent(source, field, path)
    if not is_text:
        source.add(1, "else:")
        source.add(2, "try:")
        source.add(3, f"{target} = {source.bind(codec.decode)}({target})")
        source.add(2, "except ValueError as exc:")
        source.add(3, f"raise ElementError(str(exc), {path!r}) from exc")


def _absent(source: _Source, field: PlannedField, path: str) -> None:
    if field.is_required:
        source.add(2, f"raise ElementError('missing', {path!r})")
    else:
        source.add(2, f"v_{field.field} = {source.bind(field.default)}")


def _read_children(source: _Source, plan: Plan) -> None:
    fields = plan.only(*_BY_CHILDREN)
    if not fields:
        return
    for field in fields:
        source.add(1, f"v_{field.field} = {_BY_CHILDREN[field.kind]}")
    source.add(1, "for child in element:")
    source.add(2, "tag = child.tag")
    keyword = "if"
    for field in fields:
        if field.kind is Kind.REST:
            continue
        for index, key in enumerate(field.keys):
            source.add(2, f"{keyword} tag == {key!r}:")
            _read_child(source, field, index, plan.name)
            keyword = "elif"
    for field in plan.only(Kind.REST):
        # What has no tag is a comment or the like.
        source.add(2, f"{keyword} type(tag) is str:")
        source.add(3, f"v_{field.field}.append(child)")
    for field in fields:
        _finish_child(source, field, f"{plan.name}/{field.name}")


def _read_child(source: _Source, field: PlannedField, index: int, parent: str) -> None:
    add, target, path = source.add, f"v_{field.field}", f"{parent}/{field.name}"
    match field.kind:
        case Kind.CHILD | Kind.CHILDREN:
            nested = source.bind(declaration_of(field.classes[index]))
            is_many = field.kind is Kind.CHILDREN
            if not is_many:
                _refuse_second(source, f"{target} is not None", f"{parent}/{field.keys[index].rpartition('}')[2]}")
            add(3, "try:")
            add(4, f"{target}.append({nested}.read(child))" if is_many else f"{target} = {nested}.read(child)")
            add(3, "except ElementError as exc:")
            add(4, f"raise inside(exc, {parent!r}, {'child' if is_many else None}) from exc.__cause__")
        case Kind.CHILD_TEXT:
            _refuse_second(source, f"{target} is not None", path)
            add(3, f"{target} = text_of(child)")
        case Kind.FLAG:
            _refuse_second(source, target, path)
            add(3, f"{target} = True")
        case _:
            add(3, f"lang = child.get({_LANG!r}, '')")
            _refuse_second(source, f"lang in {target}", path)
            add(3, f"{target}[lang] = text_of(child)")


def _refuse_second(source: _Source, condition: str, path: str) -> None:
    source.add(3, f"if {condition}:")
    source.add(4, f"raise ElementError('more than one', {path!r})")


def _finish_child(source: _Source, field: PlannedField, path: str) -> None:
    target = f"v_{field.field}"
    match field.kind:
        case Kind.CHILDREN | Kind.REST:
            source.add(1, f"{target} = tuple({target})")
        case Kind.CHILD_TEXT:
            _decode(source, field, path)
        case Kind.CHILD if field.is_required or field.default is not None:
            source.add(1, f"if {target} is None:")
            _absent(source, field, path)


def compile_writer(cls: type[Any], plan: Plan, serialise: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    """The function that writes a `cls` where a namespace is the default one."""
    source = _Source(escape=escape, escape_attr=escape_attr, serialise=serialise)
    bare, declared = f"<{plan.name}", f"<{plan.name} xmlns='{escape_attr(plan.ns)}'"
    source.add(0, "def write(self, ns):")
    source.add(1, f"start = {bare!r} if ns == {plan.ns!r} else {declared!r}")
    for index, field in enumerate(plan.only(Kind.ATTR)):
        before = f"{attribute(field.keys[0], index)}='"
        _unless_default(source, field, f'start += {before!r} + escape_attr({_encoded(source, field)}) + "\'"')
    inner = [field for field in plan.fields if field.kind is not Kind.ATTR]
    if inner:
        source.add(1, "inner = ''")
        for field in inner:
            _write_inner(source, field, plan.ns)
        source.add(1, "if inner:")
        source.add(2, f"return start + '>' + inner + {f'</{plan.name}>'!r}")
    source.add(1, "return start + '/>'")
    write: Callable[[Any, str], str] = source.compile("write", _label("writer", cls))
    return write


def _encoded(source: _Source, field: PlannedField) -> str:
    value, codec = f"self.{field.field}", field.codec
    assert codec is not None
    return value if codec.encode is identity else f"{source.bind(codec.encode)}({value})"


def _unless_default(source: _Source, field: PlannedField, statement: str) -> None:
    """A statement that writes a field, skipped where reading would give the same without it."""
    value = f"self.{field.field}"
    if field.is_required or (field.kind is Kind.TEXT and field.takes_empty):
        source.add(1, statement)
        return
    condition = f"{value} is not None" if field.default is None else f"{value} != {source.bind(field.default)}"
    source.add(1, f"if {condition}:")
    source.add(2, statement)


def _write_inner(source: _Source, field: PlannedField, own_ns: str) -> None:
    add, value = source.add, f"self.{field.field}"
    start = f"<{field.name}" if field.ns == own_ns else f"<{field.name} xmlns='{escape_attr(field.ns)}'"
    end = f"</{field.name}>"
    match field.kind:
        case Kind.TEXT:
            _unless_default(source, field, f"inner += escape({_encoded(source, field)})")
        case Kind.CHILD_TEXT:
            encoded = _encoded(source, field)
            _unless_default(source, field, f"inner += {start + '>'!r} + escape({encoded}) + {end!r}")
        case Kind.CHILD:
            _unless_default(source, field, f"inner += serialise({value}, {own_ns!r})")
        case Kind.FLAG:
            add(1, f"if {value}:")
            add(2, f"inner += {start + '/>'!r}")
        case Kind.LANG_TEXT:
            add(1, f"for lang, item in {value}.items():")
            add(2, "attribute = \" xml:lang='\" + escape_attr(lang) + \"'\" if lang else ''")
            add(2, f"inner += {start!r} + attribute + '>' + escape(item) + {end!r}")
        case _:
            add(1, f"for item in {value}:")
            add(2, f"inner += serialise(item, {own_ns!r})")
