"""What all objects of declared classes have in common: they are frozen, slotted values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final, cast

from ..errors import ElementError
from ..record import FROZEN
from .fields import REQUIRED, Field, Kind
from .markup import Element, equal, fromstring, serialise_element
from .plan import declaration_of
from .source import Source, label

__all__ = ["METHODS", "constructor", "mould"]

_MISSING: Final = object()
_MAX_SHOWN: Final = 200


def constructor(cls: type[Any]) -> Callable[..., None]:
    """The ``__init__`` of a declared class."""
    source = Source(missing=_MISSING, checked=_checked)
    arguments, lines = [], []
    name = declaration_of(cls).tag.rpartition("}")[2]
    for field, (said, _, _) in declaration_of(cls).fields.items():
        setter, value = source.bind(getattr(cls, field).__set__), field
        if said.factory is not None:
            arguments.append(f"{field}=missing")
            value = f"{source.bind(said.factory)}() if {field} is missing else {field}"
        elif said.is_required:
            arguments.append(field)
        else:
            arguments.append(f"{field}={source.bind(said.default)}")
        if said.validate is not None:
            unless = "" if said.is_required else f"if {field} is not {source.bind(said.default)}: "
            lines.append(f"{unless}checked({source.bind(said.validate)}, {field}, {_path(name, field, said)!r})")
        lines.append(f"{setter}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    source.add(0, f"def __init__(self{', *, ' if arguments else ''}{', '.join(arguments)}):")
    for line in lines or ["pass"]:
        source.add(1, line)
    made: Callable[..., None] = source.compile(label("constructor", cls))["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _path(name: str, field: str, said: Field) -> str:
    if said.kind is Kind.TEXT:
        return f"{name}/text()"
    return f"{name}/{'@' if said.kind is Kind.ATTR else ''}{said.xml_name(field)}"


def _checked(validate: Callable[[Any], object], value: Any, path: str) -> None:
    try:
        validate(value)
    except ValueError as exc:
        raise ElementError(str(exc), path) from exc


def mould(cls: type[Any]) -> type[Any]:
    """A twin of the class whose objects can be filled, and then turned into objects of the class."""
    own = cls.__dict__
    names = {"__slots__": own["__slots__"], "__module__": cls.__module__}
    names |= {"__init__": object.__init__, "__setattr__": object.__setattr__}
    if "__orig_bases__" in own:
        names["__orig_bases__"] = own["__orig_bases__"]
    make: Callable[..., type[Any]] = type(cls)
    return make(cls.__name__, cls.__bases__, names)


def _fields(payload: Any) -> dict[str, Field]:
    return {name: said for name, (said, _, _) in type(payload).__xml__.fields.items()}


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    for name, said in _fields(self).items():
        one, another = getattr(self, name), getattr(other, name)
        if said.kind is Kind.REST:
            if len(one) != len(another) or not all(map(equal, one, another)):
                return False
        elif one != another:
            return False
    return True


def _hash(self: Any) -> int:
    return hash(tuple([getattr(self, name) for name, said in _fields(self).items() if said.is_hashed]))


def _repr(self: Any) -> str:
    """What it was made with, but for what has its default value."""
    shown = []
    for name, said in _fields(self).items():
        value = getattr(self, name)
        if said.is_required or value != (said.default if said.factory is None else said.factory()):
            shown.append(f"{name}={_shown(value) if said.is_shown else '...'}")
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))}{',' if len(value) == 1 else ''})"
    if not isinstance(value, Element):
        return repr(value)
    text = serialise_element(value, "")
    return f"<{text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + '...'}>"


class _Pickled(str):
    """An element: lxml's own cannot be pickled."""

    __slots__ = ()


def _reduce(self: Any) -> tuple[Any, ...]:
    values = {}
    for name in _fields(self):
        value = getattr(self, name)
        if isinstance(value, tuple):
            value = tuple([_Pickled(serialise_element(v, "")) if isinstance(v, Element) else v for v in value])
        values[name] = value
    return _restored, (type(self), values)


def _restored(cls: type[Any], values: dict[str, Any]) -> Any:
    made = object.__new__(cls)
    for name, value in values.items():
        if isinstance(value, tuple):
            value = tuple([fromstring(v) if isinstance(v, _Pickled) else v for v in value])
        object.__setattr__(made, name, value)
    return made


def _replace(self: Any, /, **changes: Any) -> Any:
    """The same but for these fields: what ``copy.replace`` of Python 3.13 calls."""
    return type(self)(**{name: getattr(self, name) for name in _fields(self)} | changes)


class _DataclassFields:
    """What makes a declared class a dataclass to the standard library, when it asks."""

    def __get__(self, instance: object, owner: type[Any]) -> dict[str, Any]:
        described = []
        for name, (said, hint, _) in declaration_of(owner).fields.items():
            default = {} if said.default is REQUIRED else {"default": said.default}
            if said.factory is not None:
                default = {"default_factory": said.factory}
            described.append((name, hint, dataclasses.field(**default, repr=said.is_shown, hash=said.is_hashed)))
        twin: Any = dataclasses.make_dataclass(owner.__name__, described, kw_only=True)
        return cast(dict[str, Any], twin.__dataclass_fields__)


class _Signature:
    """What ``inspect.signature`` finds."""

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        import inspect

        signature = inspect.signature(constructor(declaration_of(owner).cls))
        return signature.replace(parameters=list(signature.parameters.values())[1:])


#: What is put in the dictionary of a declared class, unless its body has it.
METHODS: Final[dict[str, Any]] = {
    **FROZEN,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__reduce__": _reduce,
    "__replace__": _replace,
    "__dataclass_fields__": _DataclassFields(),
    "__signature__": _Signature(),
}
