"""Writes the function that writes an object of one class as XML.

The generated function adds to a text, piece by piece; constant pieces that follow each other become one literal. It
does not write a value that was left out. It writes a wrapper into two texts of its own, the attributes and the content,
and adds them if there is anything in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .codec import identity
from .codegen import Source, label
from .declaration import attribute_key, check_name, serialise
from .fields import Kind
from .malformed import UNREAD, Unread
from .markup import attribute, escape, escape_attr, is_plain, serialise_element
from .plan import Node, Plan, PlannedField
from .values import GIVEN, MIXED

__all__ = ["compile_writer"]

_TEXTS = (Kind.ATTR, Kind.TEXT, Kind.CHILD_TEXT)


def compile_writer(plan: Plan) -> Callable[[Any, str], str]:
    """Return the function that writes an object where a namespace is the default one."""
    return _Writer(plan).function()


def _other_attributes(others: Mapping[str, str], taken: frozenset[str], index: int) -> str:
    """Write attributes whose names the class does not know."""
    text = ""
    for number, (key, value) in enumerate(others.items(), index):
        if key == "xmlns" or attribute_key(key, "an attribute") in taken:
            raise ValueError(f"the attribute {key:.200} is written already, or cannot be")
        text += f"{attribute(key, number)}='{escape_attr(value)}'"
    return text


def _unread(unread: Unread, field: str, start: str, end: str, ns: str) -> str:
    """Write again what a lenient field could not read: texts between two pieces of XML, elements as they are."""
    text, escaped = "", escape_attr if start.endswith("'") else escape
    for value in unread.get(field, ()):
        raw = value.raw
        if isinstance(raw, str):
            text += f"{start}{escaped(raw)}{end}"
        else:
            text += serialise_element(raw, ns)
    return text


def _named(value: Any, names: Mapping[Any, str], is_open: bool) -> str:
    """Return the name of the child that stands for a value."""
    name = names.get(value)
    if name is None or type(value) is str:
        if not (is_open and type(value) is str):
            raise TypeError(f"expected one of {', '.join(names.values())}, got {value!r:.200}")
        name = check_name(value, "the name of a child")
    return name


class _Text:
    """A text that the generated function builds: lines that add to it, and pieces that wait to become one literal.

    `target` is its variable; `begun` says that the variable has a value already.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._waiting: list[str] = []
        self.target = "text"
        self.begun = False

    def add(self, *pieces: str) -> None:
        """Add string literals, plain or formatted."""
        self._waiting += pieces

    def when(self, condition: str, expression: str) -> None:
        """Add the value of an expression if a condition holds."""
        self.flush()
        self._source.add(1, f"if {condition}:")
        self._source.add(2, f"{self.target} += {expression}")

    def flush(self, *, is_last: bool = False) -> None:
        """Write the line that adds the pieces which wait; the last one returns the text."""
        before = f"return {self.target} + " if is_last else f"{self.target} += "
        if not self.begun:
            before = "return " if is_last else f"{self.target} = "
        if self._waiting:
            self._source.add(1, before + " ".join(self._waiting))
            self.begun = True
        self._waiting = []


class _Writer:
    """The lines of the function, as far as they are written."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._source = Source(
            escape=escape,
            escape_attr=escape_attr,
            is_plain=is_plain,
            others=_other_attributes,
            serialise=serialise,
            named=_named,
            written_unread=_unread,
        )
        self._text = _Text(self._source)
        self._escaped: set[str] = set()

    def function(self) -> Callable[[Any, str], str]:
        plan, add = self._plan, self._source.add
        add(0, "def write(self, ns):")
        if any(field.is_lenient for field in plan.fields):
            add(1, f"unread = getattr(self, {UNREAD!r}, None)")
        if any(node.is_mixed for node in plan.root.walk()):
            add(1, f"if hasattr(self, {MIXED!r}):")
            add(2, f"return serialise(self.{MIXED}.content, ns)")
        self._escape_together()
        self._start()
        inner = self._inner_of(plan.root)
        if not inner:
            self._text.add(repr("/>"))
            self._text.flush(is_last=True)
        elif any(self._is_certain(item) for item in inner):
            # With a child that is always there, the code need not ask whether there is any.
            self._text.add(repr(">"))
            for item in inner:
                self._inner(item, plan.root)
            self._text.add(repr(f"</{plan.name}>"))
            self._text.flush(is_last=True)
        else:
            self._text.flush()
            add(1, "start, text = text, ''")
            for item in inner:
                self._inner(item, plan.root)
            self._text.flush()
            add(1, "if text:")
            add(2, f"return f'{{start}}>{{text}}</{plan.name}>'")
            add(1, "return start + '/>'")
        write: Callable[[Any, str], str] = self._source.compile(label("writer", plan.declaration.cls))["write"]
        return write

    def _inner_of(self, node: Node) -> list[PlannedField | Node]:
        """Return what stands between the tags: the text first, so that it does not change its place."""
        inner = [
            item for item in node.content if isinstance(item, Node) or item.kind not in (Kind.ATTR, Kind.REST_ATTRS)
        ]
        return sorted(inner, key=lambda item: isinstance(item, Node) or item.kind is not Kind.TEXT)

    def _is_certain(self, item: PlannedField | Node) -> bool:
        """Whether there is always an element."""
        if isinstance(item, Node):
            return any(self._is_certain(inner) or _is_required_value(inner) for inner in item.content)
        kinds = (Kind.CHILD, Kind.CHILD_TEXT, Kind.CHILD_NAME, Kind.ANY_CHILD)
        return item.is_required and item.kind in kinds

    def _escape_together(self) -> None:
        """Look once for what has to be escaped in all texts that are always written: there seldom is anything."""
        together = [
            field for field in self._plan.only(*_TEXTS) if self._is_always(field) and not _codec(field).is_plain
        ]
        if len(together) < 2:
            return
        names = [f"t_{field.field}" for field in together]
        for name, field in zip(names, together, strict=True):
            self._source.add(1, f"{name} = {self._encoded(field)}")
        self._source.add(1, f"if not is_plain({' + '.join(names)}):")
        for name, field in zip(names, together, strict=True):
            self._source.add(2, f"{name} = {'escape_attr' if field.kind is Kind.ATTR else 'escape'}({name})")
        self._escaped = {field.field for field in together}

    def _start(self) -> None:
        """Write the start tag without its end."""
        plan, fixed = self._plan, self._plan.declaration.fixed
        root = plan.root
        always = "".join(f"{attribute(key, i)}='{escape_attr(value)}'" for i, (key, value) in enumerate(fixed.items()))
        short, long = f"<{plan.name}{always}", f"<{plan.name} xmlns='{escape_attr(root.ns)}'{always}"
        self._source.add(1, f"start = {short!r} if ns == {root.ns!r} else {long!r}")
        self._text.add("f'{start}'")
        attributes = [field for field in root.fields if field.kind is Kind.ATTR]
        self._attributes(attributes, len(fixed))
        for field in plan.only(Kind.REST_ATTRS):
            taken = frozenset({*fixed, *(other.keys[0] for other in attributes)})
            self._text.when(
                f"self.{field.field}",
                f"others(self.{field.field}, {self._source.bind(taken)}, {len(fixed) + len(attributes)})",
            )

    def _attributes(self, attributes: list[PlannedField], index: int) -> None:
        for number, field in enumerate(attributes, index):
            start = f"{attribute(field.keys[0], number)}='"
            self._value(field, start, "'")
            self._again(field, start, "'", "")

    def _inner(self, item: PlannedField | Node, parent: Node) -> None:
        if isinstance(item, Node):
            self._wrapper(item, parent)
            return
        start = f"<{item.name}" if item.ns == parent.ns else f"<{item.name} xmlns='{escape_attr(item.ns)}'"
        end = f"</{item.name}>"
        match item.kind:
            case Kind.TEXT:
                self._value(item, "", "")
                end = start = ""
            case Kind.CHILD_TEXT:
                self._value(item, f"{start}>", end)
            case Kind.FLAG:
                self._text.when(f"self.{item.field}", repr(f"{start}/>"))
            case Kind.CHILD | Kind.CHILDREN:
                self._nested(item, parent)
            case _:
                self._others(item, parent, start, end)
        self._again(item, f"{start}>" if start else "", end, parent.ns)

    def _nested(self, field: PlannedField, parent: Node) -> None:
        add, value, ns = self._source.add, f"self.{field.field}", parent.ns
        if field.kind is Kind.CHILD and field.is_required:
            self._text.add(f"f'{{serialise({value}, {self._source.bind(ns)})}}'")
        elif field.kind is Kind.CHILD:
            self._text.when(self._is_given(field), f"serialise({value}, {ns!r})")
        elif len(field.nested) == 1:
            (nested,) = field.nested
            self._text.flush()
            add(1, f"if {value}:")
            add(2, f"write_child = {self._source.bind(nested)}.write")
            # An object of another class is written by its own function, or refused.
            usual = f"write_child(item, {ns!r}) if item.__class__ is {self._source.bind(nested.cls)}"
            add(2, f"{self._text.target} += ''.join([{usual} else serialise(item, {ns!r}) for item in {value}])")
        else:
            self._text.flush()
            add(1, f"for item in {value}:")
            add(2, f"{self._text.target} += serialise(item, {ns!r})")

    def _others(self, field: PlannedField, parent: Node, start: str, end: str) -> None:
        add, value, ns = self._source.add, f"self.{field.field}", parent.ns
        match field.kind:
            case Kind.CHILD_NAME:
                names = {member: name for name, member in field.names.items()}
                name = f"named({value}, {self._source.bind(names)}, {field.is_open})"
                xmlns = "" if field.ns == parent.ns else f" xmlns='{escape_attr(field.ns)}'"
                self._optional(field, f"'<' + {name} + {f'{xmlns}/>'!r}")
            case Kind.ANY_CHILD:
                self._optional(field, f"serialise({value}.content, {ns!r})")
            case Kind.ANY_CHILDREN:
                self._text.flush()
                add(1, f"for item in {value}:")
                add(2, f"{self._text.target} += serialise(item.content, {ns!r})")
            case Kind.CHILD_TEXTS:
                self._text.flush()
                encoded = self._encoded(field, "item")
                escaped = encoded if _codec(field).is_plain else f"escape({encoded})"
                add(1, f"for item in {value}{' or ()' if field.default is None else ''}:")
                add(2, f"{self._text.target} += {f'{start}>'!r} + {escaped} + {end!r}")
            case Kind.LANG_TEXT:
                self._text.flush()
                add(1, f"for lang, item in {value}.pairs:")
                add(2, "attribute = \" xml:lang='\" + escape_attr(lang) + \"'\" if lang else ''")
                add(2, f"{self._text.target} += {start!r} + attribute + '>' + escape(item) + {end!r}")
            case _:
                self._text.flush()
                add(1, f"for item in {value}:")
                add(2, f"{self._text.target} += serialise(item, {ns!r})")

    def _wrapper(self, node: Node, parent: Node) -> None:
        """Write a wrapper, if there is anything in it."""
        self._text.flush()
        outer = self._text.target, self._text.begun
        attributes, content = f"a_{node.variable}", f"c_{node.variable}"
        self._text.begun = True
        self._text.target = attributes
        self._source.add(1, f"{attributes} = ''")
        self._attributes([field for field in node.fields if field.kind is Kind.ATTR], 0)
        self._text.flush()
        self._text.target = content
        self._source.add(1, f"{content} = ''")
        for item in self._inner_of(node):
            self._inner(item, node)
        self._text.flush()
        self._text.target, self._text.begun = outer
        start = f"<{node.name}" if node.ns == parent.ns else f"<{node.name} xmlns='{escape_attr(node.ns)}'"
        there = [attributes, content]
        for field in node.fields:
            if field.kind is Kind.TEXT or (field.kind is Kind.CHILD_TEXTS and field.default is None):
                there.append(f"self.{field.field} is not None" if field.default is None else self._is_given(field))
        condition = "True" if self._is_certain(node) else " or ".join(there)
        ends = f"'>' + {content} + {f'</{node.name}>'!r} if {content} else '/>'"
        self._text.when(condition, f"{start!r} + {attributes} + ({ends})")

    def _optional(self, field: PlannedField, expression: str) -> None:
        """Write a child, unless it may be absent and is."""
        if field.is_required:
            self._text.flush()
            self._source.add(1, f"{self._text.target} += {expression}")
        else:
            self._text.when(self._is_given(field), expression)

    def _value(self, field: PlannedField, before: str, after: str) -> None:
        """Write the value of a field between two constant texts."""
        expression = f"t_{field.field}"
        if field.field not in self._escaped:
            function = "escape_attr" if field.kind is Kind.ATTR else "escape"
            encoded = self._encoded(field)
            expression = encoded if _codec(field).is_plain else f"{function}({encoded})"
        pieces = [repr(before), f"f'{{{expression}}}'", repr(after)]
        if self._is_always(field):
            self._text.add(*pieces)
        else:
            self._text.when(self._is_given(field), " ".join(pieces))

    def _again(self, field: PlannedField, start: str, end: str, ns: str) -> None:
        """Write what a lenient field could not read."""
        if field.is_lenient:
            self._text.when("unread", f"written_unread(unread, {field.field!r}, {start!r}, {end!r}, {ns!r})")

    def _is_always(self, field: PlannedField) -> bool:
        return field.is_required or (
            field.kind is Kind.TEXT and field in self._plan.root.content and field.takes_empty and not field.is_lenient
        )

    def _is_given(self, field: PlannedField) -> str:
        """Return the condition under which a field is written: it was given, or is not what it is by default."""
        value = f"self.{field.field}"
        if field.default is None:
            return f"{value} is not None"
        differs = f"{value} != {self._source.bind(field.default)}"
        if field.is_lenient:
            differs = f"{value} is not None and {differs}"
        return f"self.{GIVEN} & {field.bit} or {differs}" if field.bit else differs

    def _encoded(self, field: PlannedField, value: str = "") -> str:
        value, codec = value or f"self.{field.field}", _codec(field)
        return value if codec.encode is identity else f"{self._source.bind(codec.encode)}({value})"


def _is_required_value(item: PlannedField | Node) -> bool:
    return isinstance(item, PlannedField) and item.is_required


def _codec(field: PlannedField) -> Any:
    assert field.codec is not None
    return field.codec
