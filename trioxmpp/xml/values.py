"""The objects of declared classes: frozen, slotted values.

Their methods are those of every record (`trioxmpp.record`). Three slots beside the fields remember what the values do
not tell. `GIVEN` is a set of fields with a default, as bits: those that were given or read, and so are written.
`UNREAD` holds what lenient fields could not read. `MIXED` holds the element itself if its words and its children
alternate, since their order is in no field.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable
from typing import Any, Final

from ..errors import ElementError
from ..record import named, value_methods
from .codegen import Source, label
from .content import Elements, Payload, Payloads
from .declaration import Declaration, declaration_of, serialise
from .fields import Field, Kind
from .languages import Texts
from .malformed import UNREAD
from .markup import equal, fromstring
from .plan import bits_of

__all__ = [
    "CONVERTERS",
    "GIVEN",
    "HIDDEN",
    "METHODS",
    "MISSING",
    "MIXED",
    "constructor",
    "describe_fields",
    "unfrozen_twin",
]

#: The argument for a field that was left out.
MISSING: Final = dataclasses.MISSING
#: The slot of the set of fields that were given.
GIVEN: Final = "_given"
#: The slot of the element as it was read, if its words and its children alternate.
MIXED: Final = "_mixed"
HIDDEN: Final = (GIVEN, UNREAD, MIXED)

#: The class of the values of a kind of field; the constructor makes one of what it is given.
CONVERTERS: Final[dict[Kind, type[Any]]] = {
    Kind.CHILDREN: tuple,
    Kind.CHILD_TEXTS: tuple,
    Kind.ANY_CHILD: Payload,
    Kind.ANY_CHILDREN: Payloads,
    Kind.LANG_TEXT: Texts,
    Kind.REST: Elements,
}


def constructor(cls: type[Any]) -> Callable[..., None]:
    """Return the ``__init__`` of a declared class."""
    declaration = declaration_of(cls)
    source = Source(missing=MISSING, checked=_checked, converted=_converted)
    bits = bits_of(declaration.fields)
    name = declaration.tag.rpartition("}")[2]
    arguments = []
    source.add(0, "")
    if bits:
        source.add(1, "given = 0")
    for field, (declared, _, _) in declaration.fields.items():
        has_sentinel = declared.factory is not None or field in bits
        default = "missing" if has_sentinel else source.bind(declared.default)
        arguments.append(field if declared.is_required else f"{field}={default}")
        _set_field(source, cls, field, declared, f"{name}/{_place(field, declared)}", bits.get(field, 0))
    if bits:
        source.add(1, f"{source.bind(getattr(cls, GIVEN).__set__)}(self, given)")
    if hasattr(cls, "__post_init__"):
        source.add(1, "self.__post_init__()")
    source.add(1, "pass")
    source.lines[0] = f"def __init__(self{', *, ' if arguments else ''}{', '.join(arguments)}):"
    made: Callable[..., None] = source.compile(label("constructor", cls))["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _set_field(source: Source, cls: type[Any], field: str, declared: Field, path: str, bit: int) -> None:
    """Write the lines that convert, check and keep one argument."""
    depth = 1
    if declared.factory is not None or bit:
        source.add(1, f"if {field} is missing:")
        made = f"{source.bind(declared.factory)}()" if declared.factory else source.bind(declared.default)
        source.add(2, f"{field} = {_convert(source, declared.kind, made) if declared.factory else made}")
        source.add(1, "else:")
        depth = 2
    elif not declared.is_required and (declared.validate is not None or declared.kind in CONVERTERS):
        source.add(1, f"if {field} is not {source.bind(declared.default)}:")
        depth = 2
    if bit:
        source.add(depth, f"given |= {bit}")
    if declared.kind in CONVERTERS:
        of = source.bind(CONVERTERS[declared.kind])
        source.add(depth, f"if {field}.__class__ is not {of}:")
        source.add(depth + 1, f"{field} = converted({of}, {field}, {path!r})")
    if declared.validate is not None:
        check = source.bind(declared.validate)
        if declared.kind is Kind.CHILD_TEXTS:
            source.add(depth, f"for item in {field}:")
            depth += 1
        value = "item" if declared.kind is Kind.CHILD_TEXTS else field
        source.add(depth, f"checked({check}, {value}, {path!r})")
    elif depth == 2 and not bit and declared.kind not in CONVERTERS:
        source.add(2, "pass")
    source.add(1, f"{source.bind(getattr(cls, field).__set__)}(self, {field})")


def _convert(source: Source, kind: Kind, value: str) -> str:
    return f"{source.bind(CONVERTERS[kind])}({value})" if kind in CONVERTERS else value


def _place(field: str, declared: Field) -> str:
    inside = f"{declared.inside}/" if declared.inside else ""
    if declared.kind is Kind.TEXT:
        return f"{inside}text()"
    return f"{inside}{'@' if declared.kind is Kind.ATTR else ''}{declared.xml_name(field)}"


def _checked(validate: Callable[[Any], object], value: Any, path: str) -> None:
    try:
        validate(value)
    except ValueError as exc:
        raise ElementError(str(exc), path) from exc


def _converted(cls: type[Any], value: Any, path: str) -> Any:
    """Make a value of this class. A string is not taken for the sequence of its characters."""
    try:
        if isinstance(value, str | bytes) and cls is not Payload:
            raise TypeError(f"expected a {'mapping' if cls is Texts else 'sequence'}, got {type(value).__name__}")
        return cls(value)
    except (TypeError, ValueError) as exc:
        raise TypeError(f"{path}: {exc}") from exc


def unfrozen_twin(cls: type[Any]) -> type[Any]:
    """Return a twin of the class: its objects can be filled, and then turned into objects of the class."""
    own = cls.__dict__
    names = {"__slots__": own["__slots__"], "__module__": cls.__module__}
    names |= {"__init__": object.__init__, "__setattr__": object.__setattr__}
    if "__orig_bases__" in own:
        names["__orig_bases__"] = own["__orig_bases__"]
    return types.new_class(cls.__name__, cls.__bases__, {"metaclass": type(cls)}, lambda body: body.update(names))


def describe_fields(declaration: Declaration) -> dict[str, dataclasses.Field[Any]]:
    """Return the fields as the standard library and `trioxmpp.record` describe them."""
    described = {}
    for name, (field, hint, _) in declaration.fields.items():
        shown: dict[str, Any] = {"repr": field.is_shown, "hash": None if field.is_hashed else False}
        if field.factory is not None:
            made: Any = dataclasses.field(default_factory=field.factory, **shown)
        elif field.is_required:
            made = dataclasses.field(**shown)
        else:
            made = dataclasses.field(default=field.default, **shown)
        described[name] = named(made, name, hint)
    return described


def _stated(self: Any) -> Iterable[str]:
    """Give the names of the fields that were given, as far as that makes a difference."""
    fields = type(self).__xml__.fields
    bits, given = bits_of(fields), getattr(self, GIVEN, 0)
    for name, (field, _, _) in fields.items():
        default = field.default if field.factory is None else field.factory()
        if field.is_required or given & bits.get(name, 0) or getattr(self, name) != default:
            yield name


_METHODS: Final = value_methods(kw_only=True, secret="{}=...")


def _eq(self: Any, other: Any) -> Any:
    """Compare field by field; objects of handwritten classes, which may change, by what they mean now."""
    handwritten = self.__xml__.handwritten
    if not handwritten or other.__class__ is not self.__class__:
        return _METHODS["__eq__"](self, other)
    for name in self.__xml__.fields:
        one, another = getattr(self, name), getattr(other, name)
        if not (_mean_the_same(one, another) if name in handwritten else one == another):
            return False
    return True


def _mean_the_same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_mean_the_same, one, other))
    if one is None or other is None:
        return one is other
    return equal(fromstring(serialise(one)), fromstring(serialise(other)))


def _hash(self: Any) -> int:
    declaration: Declaration = self.__xml__
    hashed = [name for name, (field, _, _) in declaration.fields.items() if field.is_hashed]
    return hash(tuple([getattr(self, name) for name in hashed if name not in declaration.handwritten]))


def _replace(self: Any, /, **changes: Any) -> Any:
    """Return a copy with these fields changed; fields that were left out stay left out, malformed values are kept."""
    made = _METHODS["__replace__"](self, **changes)
    unread = {name: values for name, values in (getattr(self, UNREAD, None) or {}).items() if name not in changes}
    if unread:
        object.__setattr__(made, UNREAD, unread)
    if not changes and hasattr(self, MIXED):
        object.__setattr__(made, MIXED, getattr(self, MIXED))
    return made


#: The attributes of every declared class, unless its body has them.
METHODS: Final[dict[str, Any]] = {
    **_METHODS,
    "__eq__": _eq,
    "__hash__": _hash,
    "__stated__": _stated,
    "__replace__": _replace,
    "__hidden__": HIDDEN,
}
