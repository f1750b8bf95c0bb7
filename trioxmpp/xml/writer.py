"""Writes the function that writes an object of one class as XML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .codec import identity
from .fields import Kind
from .markup import attribute, escape, escape_attr, is_plain
from .plan import Plan, PlannedField, attribute_key
from .source import Source, label

__all__ = ["compile_writer"]

_TEXTS = (Kind.ATTR, Kind.TEXT, Kind.CHILD_TEXT)


def compile_writer(plan: Plan, serialise: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    """The function that writes an object where a namespace is the default one."""
    return _Writer(plan, serialise).function()


def _other_attributes(others: Mapping[str, str], known: frozenset[str], index: int) -> str:
    """Attributes of whose names nobody knew before."""
    text = ""
    for number, (key, value) in enumerate(others.items(), index):
        if key == "xmlns" or attribute_key(key, "an attribute") in known:
            raise ValueError(f"the attribute {key} is written already, or cannot be")
        text += f"{attribute(key, number)}='{escape_attr(value)}'"
    return text


class _Writer:
    """The lines of the function, and what stands in between: the text that waits to be put in one literal."""

    def __init__(self, plan: Plan, serialise: Callable[[Any, str], str]) -> None:
        self._plan = plan
        self._source = Source(
            escape=escape, escape_attr=escape_attr, is_plain=is_plain, others=_other_attributes, serialise=serialise
        )
        self._waiting: list[str] = []
        self._escaped: set[str] = set()
        self._begun = False

    def function(self) -> Callable[[Any, str], str]:
        plan, add = self._plan, self._source.add
        add(0, "def write(self, ns):")
        self._escape_together()
        self._start()
        inner = [field for field in plan.fields if field.kind not in (Kind.ATTR, Kind.REST_ATTRS)]
        if not inner:
            self._waiting.append(repr("/>"))
            self._flush(is_last=True)
        elif any(field.is_required and field.kind in (Kind.CHILD, Kind.CHILD_TEXT) for field in inner):
            # With a child that is always there, nobody needs to ask whether there is any.
            self._waiting.append(repr(">"))
            for field in inner:
                self._inner(field)
            self._waiting.append(repr(f"</{plan.name}>"))
            self._flush(is_last=True)
        else:
            self._flush()
            add(1, "start, text = text, ''")
            for field in inner:
                self._inner(field)
            self._flush()
            add(1, "if text:")
            add(2, f"return f'{{start}}>{{text}}</{plan.name}>'")
            add(1, "return start + '/>'")
        write: Callable[[Any, str], str] = self._source.compile(label("writer", plan.declaration.cls))["write"]
        return write

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
        """The start tag, but for its end."""
        plan, fixed = self._plan, self._plan.declaration.fixed
        said = "".join(f"{attribute(key, i)}='{escape_attr(value)}'" for i, (key, value) in enumerate(fixed.items()))
        short, long = f"<{plan.name}{said}", f"<{plan.name} xmlns='{escape_attr(plan.ns)}'{said}"
        self._source.add(1, f"start = {short!r} if ns == {plan.ns!r} else {long!r}")
        self._waiting.append("f'{start}'")
        attributes = plan.only(Kind.ATTR)
        for index, field in enumerate(attributes, len(fixed)):
            self._value(field, f"{attribute(field.keys[0], index)}='", "'")
        for field in plan.only(Kind.REST_ATTRS):
            known = frozenset({*fixed, *(other.keys[0] for other in attributes)})
            self._when(
                f"self.{field.field}",
                f"others(self.{field.field}, {self._source.bind(known)}, {len(fixed) + len(attributes)})",
            )

    def _inner(self, field: PlannedField) -> None:
        add, value, own_ns = self._source.add, f"self.{field.field}", self._plan.ns
        start = f"<{field.name}" if field.ns == own_ns else f"<{field.name} xmlns='{escape_attr(field.ns)}'"
        end = f"</{field.name}>"
        match field.kind:
            case Kind.TEXT:
                self._value(field, "", "")
            case Kind.CHILD_TEXT:
                self._value(field, f"{start}>", end)
            case Kind.CHILD if field.is_required:
                self._waiting.append(f"f'{{serialise({value}, {self._source.bind(own_ns)})}}'")
            case Kind.CHILD:
                self._when(self._unlike_default(field), f"serialise({value}, {own_ns!r})")
            case Kind.FLAG:
                self._when(value, repr(f"{start}/>"))
            case Kind.LANG_TEXT:
                self._flush()
                add(1, f"for lang, item in {value}.items():")
                add(2, "attribute = \" xml:lang='\" + escape_attr(lang) + \"'\" if lang else ''")
                add(2, f"text += {start!r} + attribute + '>' + escape(item) + {end!r}")
            case Kind.CHILDREN if len(field.nested) == 1:
                (nested,) = field.nested
                self._flush()
                add(1, f"if {value}:")
                add(2, f"write_child = {self._source.bind(nested)}.write")
                # Anything else that somebody has put there finds its own way, or is refused.
                usual = f"write_child(item, {own_ns!r}) if item.__class__ is {self._source.bind(nested.cls)}"
                add(2, f"text += ''.join([{usual} else serialise(item, {own_ns!r}) for item in {value}])")
            case _:
                self._flush()
                add(1, f"for item in {value}:")
                add(2, f"text += serialise(item, {own_ns!r})")

    def _value(self, field: PlannedField, before: str, after: str) -> None:
        """Write the value of a field between two constant texts."""
        expression = f"t_{field.field}"
        if field.field not in self._escaped:
            function = "escape_attr" if field.kind is Kind.ATTR else "escape"
            encoded = self._encoded(field)
            expression = encoded if _codec(field).is_plain else f"{function}({encoded})"
        pieces = [repr(before), f"f'{{{expression}}}'", repr(after)]
        if self._is_always(field):
            self._waiting += pieces
        else:
            self._when(self._unlike_default(field), " ".join(pieces))

    def _is_always(self, field: PlannedField) -> bool:
        return field.is_required or (field.kind is Kind.TEXT and field.takes_empty)

    def _unlike_default(self, field: PlannedField) -> str:
        """The condition under which reading would not give the same without it."""
        value = f"self.{field.field}"
        return f"{value} is not None" if field.default is None else f"{value} != {self._source.bind(field.default)}"

    def _encoded(self, field: PlannedField) -> str:
        value, codec = f"self.{field.field}", _codec(field)
        return value if codec.encode is identity else f"{self._source.bind(codec.encode)}({value})"

    def _when(self, condition: str, expression: str) -> None:
        self._flush()
        self._source.add(1, f"if {condition}:")
        self._source.add(2, f"text += {expression}")

    def _flush(self, *, is_last: bool = False) -> None:
        """Add what waits, as one literal."""
        before = "return text + " if is_last else "text += "
        if not self._begun:
            before = "return " if is_last else "text = "
        if self._waiting:
            self._source.add(1, before + " ".join(self._waiting))
            self._begun = True
        self._waiting = []


def _codec(field: PlannedField) -> Any:
    assert field.codec is not None
    return field.codec
