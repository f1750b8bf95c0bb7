"""Small values: frozen classes with slots, as ``@dataclass(frozen=True, slots=True)`` makes them, but cheap to import.

The standard library writes and compiles up to ten functions for each class when the module is imported, which takes
about a millisecond. For all the values of this library that was half of its import. Here the methods are shared, and
``__init__`` is written when the first object is made.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, field
from typing import Any, Final, NoReturn, TypeVar, cast, dataclass_transform

__all__ = ["FROZEN", "construct_later", "field", "record", "replace"]

T = TypeVar("T")

_FIELDS: Final = "__record_fields__"


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make the class one of values: frozen and slotted, compared and hashed by its fields, in order.

    A field is said as in a dataclass, and to the standard library the class is one, when it asks. What the body of
    the class defines itself is left alone. Records do not inherit from each other.
    """
    names = {key: value for key, value in cls.__dict__.items() if key not in ("__dict__", "__weakref__")}
    fields = {}
    for name, annotation in inspect.get_annotations(cls).items():
        if not str(annotation).startswith("ClassVar"):
            said = names.pop(name, MISSING)
            fields[name] = said if isinstance(said, Field) else field(default=said)
    given = {"__slots__": tuple(fields), "__match_args__": tuple(fields), _FIELDS: fields}
    if names.get("__hash__", MISSING) is None:  # as Python leaves it where only __eq__ is defined
        del names["__hash__"]
    make: Callable[..., type[T]] = type(cls)
    made = make(cls.__name__, cls.__bases__, {**_METHODS, **given, **names})
    made.__qualname__ = cls.__qualname__
    if "__init__" not in names:
        construct_later(made, _constructor)
    return made


def replace(value: T, /, **changes: Any) -> T:
    """The same but for these fields."""
    return cast(T, _replace(value, **changes))


def _fields(cls: Any) -> dict[str, Field[Any]]:
    return cast(dict[str, "Field[Any]"], cls.__record_fields__)


def construct_later(cls: Any, constructor: Callable[[type[Any]], Callable[..., None]]) -> None:
    """Have the ``__init__`` of the class made when the first object is."""

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = constructor(cls)
        cls.__init__(self, *args, **kwargs)

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = __init__


def _constructor(cls: Any) -> Callable[..., None]:
    known: dict[str, Any] = {"missing": MISSING}
    parameters, lines = [], []
    for name, said in _fields(cls).items():
        known[f"_set_{name}"] = getattr(cls, name).__set__
        value = name
        if said.default_factory is not MISSING:
            known[f"_make_{name}"] = said.default_factory
            parameters.append(f"{name}=missing")
            value = f"_make_{name}() if {name} is missing else {name}"
        elif said.default is not MISSING:
            known[f"_default_{name}"] = said.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f"    _set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()")
    head = f"def __init__(self{''.join(', ' + parameter for parameter in parameters)}):"
    exec("\n".join([head, *lines, "    pass"]), known)
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _setattr(self: Any, name: str, value: Any) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in _fields(type(self))])


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    shown = [f"{name}={getattr(self, name)!r}" for name, said in _fields(type(self)).items() if said.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _reduce(self: Any) -> tuple[Any, ...]:
    return _restored, (type(self), _values(self))


def _restored(cls: type[Any], values: tuple[Any, ...]) -> Any:
    made = object.__new__(cls)
    for name, value in zip(_fields(cls), values, strict=True):
        object.__setattr__(made, name, value)
    return made


def _replace(self: Any, /, **changes: Any) -> Any:
    """What ``copy.replace`` of Python 3.13 calls."""
    return type(self)(**{name: getattr(self, name) for name in _fields(type(self))} | changes)


class _DataclassFields:
    """What makes a record a dataclass to the standard library."""

    def __get__(self, instance: object, owner: type[Any]) -> dict[str, Any]:
        hints = inspect.get_annotations(owner)
        fields = [
            (name, hints[name], field(default=said.default, repr=said.repr))
            if said.default_factory is MISSING
            else (name, hints[name], field(default_factory=said.default_factory, repr=said.repr))
            for name, said in _fields(owner).items()
        ]
        twin: Any = dataclasses.make_dataclass(owner.__name__, fields)
        owner.__dataclass_fields__ = twin.__dataclass_fields__
        return cast(dict[str, Any], twin.__dataclass_fields__)


class _Signature:
    """What ``inspect.signature`` finds."""

    def __get__(self, instance: object, owner: type[Any]) -> inspect.Signature:
        own = cast(Callable[..., None], owner.__dict__["__init__"])
        signature = inspect.signature(own if own.__module__ == owner.__module__ else _constructor(owner))
        return signature.replace(parameters=list(signature.parameters.values())[1:])


#: What makes an object one that cannot be changed.
FROZEN: Final[dict[str, Any]] = {"__setattr__": _setattr, "__delattr__": _delattr}

_METHODS: Final[dict[str, Any]] = {
    **FROZEN,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__reduce__": _reduce,
    "__replace__": _replace,
    "__dataclass_fields__": _DataclassFields(),
    "__signature__": _Signature(),
}
