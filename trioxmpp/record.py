"""Small values: frozen classes with slots, as ``@dataclass(frozen=True, slots=True)`` makes them, but cheap to import.

For each dataclass the standard library writes and compiles up to ten functions when the module is imported, which takes
about a millisecond. Here all classes share the methods, and ``__init__`` is written when the first object is made.
Records share them with the elements of `trioxmpp.xml`: `value_methods` asks a class for its fields and nothing else.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import operator
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, field
from typing import Any, Final, NoReturn, TypeVar, cast, dataclass_transform

__all__ = ["FIELDS", "field", "lazy_init", "record", "replace", "value_methods"]

T = TypeVar("T")

#: The attribute of a class of values that maps the names of its fields to `dataclasses.Field`, in order.
FIELDS: Final = "__record_fields__"


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make `cls` a class of values: frozen and slotted, compared and hashed by its fields, in order.

    Declare fields as in a dataclass; to the standard library the class is one. Methods in the body of the class take
    precedence. A record that extends another one has the fields of that one first, and its methods.
    """
    names = {key: value for key, value in cls.__dict__.items() if key not in ("__dict__", "__weakref__")}
    inherited: dict[str, Field[Any]] = getattr(cls, FIELDS, {})
    fields = {}
    for name, annotation in inspect.get_annotations(cls).items():
        if not str(annotation).startswith("ClassVar"):
            given = names.pop(name, MISSING)
            fields[name] = named(given if isinstance(given, Field) else field(default=given), name, annotation)
    every = inherited | fields
    own = {"__slots__": tuple(fields), "__match_args__": tuple(every), FIELDS: every}
    if names.get("__hash__", MISSING) is None:  # as Python leaves it where only __eq__ is defined
        del names["__hash__"]
    make: Callable[..., type[T]] = type(cls)
    made = make(cls.__name__, cls.__bases__, {**({} if hasattr(cls, FIELDS) else _METHODS), **own, **names})
    made.__qualname__ = cls.__qualname__
    if "__init__" not in names:
        lazy_init(made, _constructor)
    return made


def replace(value: T, /, **changes: Any) -> T:
    """Return a copy of a record or an element with these fields changed."""
    return cast(T, cast(Any, value).__replace__(**changes))


def named(described: Field[Any], name: str, annotation: Any) -> Field[Any]:
    """Tell a field its name and annotation, as the standard library does."""
    described.name, described.type = name, annotation
    return described


def lazy_init(cls: Any, constructor: Callable[[type[Any]], Callable[..., None]]) -> None:
    """Give `cls` an ``__init__`` that calls `constructor` for the real one when the first object is made."""

    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = constructor(cls)
        cls.__init__(self, *args, **kwargs)

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = __init__
    cls.__lazy_init__ = __init__


def _constructor(cls: Any) -> Callable[..., None]:
    names: dict[str, Any] = {"missing": MISSING}
    parameters, lines = [], []
    for name, described in _fields(cls).items():
        names[f"_set_{name}"] = getattr(cls, name).__set__
        value = name
        if described.default_factory is not MISSING:
            names[f"_make_{name}"] = described.default_factory
            parameters.append(f"{name}=missing")
            value = f"_make_{name}() if {name} is missing else {name}"
        elif described.default is not MISSING:
            names[f"_default_{name}"] = described.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f"    _set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()")
    head = f"def __init__(self{''.join(', ' + parameter for parameter in parameters)}):"
    exec("\n".join([head, *lines, "    pass"]), names)
    made: Callable[..., None] = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


# The shared methods. A class may say more about its objects in two names: `__hidden__` are slots that are copied and
# pickled but not compared, and `__stated__()` are the names of the fields that its repr shows and `replace` keeps.


def _fields(cls: Any) -> dict[str, Field[Any]]:
    return cast(dict[str, "Field[Any]"], cls.__record_fields__)


def _setattr(self: Any, name: str, value: Any) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


@functools.cache
def _comparer(cls: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that gives what is compared of an object of `cls`: in C, since there are many comparisons."""
    names = [name for name, described in _fields(cls).items() if described.compare]
    if not names:
        return lambda _: ()
    if len(names) == 1:
        names *= 2  # for one name it would give the value itself
    return cast(Callable[[Any], tuple[Any, ...]], operator.attrgetter(*names))


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    kind: Any = type(self)
    compared = _comparer(kind)
    return compared(self) == compared(other)


def _hash(self: Any) -> int:
    # As in a dataclass: by default, what is compared.
    hashed = [
        getattr(self, name)
        for name, described in _fields(type(self)).items()
        if (described.compare if described.hash is None else described.hash)
    ]
    return hash(tuple(hashed))


def _stated(self: Any) -> Iterable[str]:
    return _fields(type(self))


def _repr(self: Any) -> str:
    fields, hides = _fields(type(self)), type(self).__secret__
    shown = [
        f"{name}={getattr(self, name)!r}" if fields[name].repr else hides.format(name)
        for name in self.__stated__()
        if fields[name].repr or hides
    ]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _reduce(self: Any) -> tuple[Any, ...]:
    names = (*_fields(type(self)), *type(self).__hidden__)
    return _restored, (type(self), {name: getattr(self, name) for name in names if hasattr(self, name)})


def _restored(cls: type[Any], values: dict[str, Any]) -> Any:
    made = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _replace(self: Any, /, **changes: Any) -> Any:
    """Return a copy with these fields changed: ``copy.replace`` of Python 3.13 calls this."""
    return type(self)(**{name: getattr(self, name) for name in self.__stated__()} | changes)


class _DataclassFields:
    """The attribute by which the standard library knows a dataclass; computed when it is first read."""

    def __init__(self, *, kw_only: bool) -> None:
        self._kw_only = kw_only

    def __get__(self, instance: object, owner: type[Any]) -> dict[str, Any]:
        fields = [
            (name, described.type, _twin_field(described, default=described.default))
            if described.default_factory is MISSING
            else (
                name,
                described.type,
                _twin_field(described, default_factory=described.default_factory),
            )
            for name, described in _fields(owner).items()
        ]
        twin: Any = dataclasses.make_dataclass(owner.__name__, fields, kw_only=self._kw_only)
        return cast(dict[str, Any], twin.__dataclass_fields__)


def _twin_field(described: Field[Any], **default: Any) -> Any:
    return field(**default, repr=described.repr, hash=described.hash, compare=described.compare)


class _Signature:
    """The signature of the constructor: the parameters are the fields, unless the class has its own ``__init__``."""

    def __init__(self, *, kw_only: bool) -> None:
        self._kind = inspect.Parameter.KEYWORD_ONLY if kw_only else inspect.Parameter.POSITIONAL_OR_KEYWORD

    def __get__(self, instance: object, owner: type[Any]) -> inspect.Signature:
        definer = next(cls for cls in owner.__mro__ if "__init__" in cls.__dict__)
        if "__lazy_init__" not in definer.__dict__:
            own = inspect.signature(cast(Callable[..., None], definer.__dict__["__init__"]))
            return own.replace(parameters=list(own.parameters.values())[1:])
        parameters = []
        for name, described in _fields(owner).items():
            default = described.default
            if described.default_factory is not MISSING:
                default = described.default_factory
            elif default is MISSING:
                default = inspect.Parameter.empty
            parameters.append(inspect.Parameter(name, self._kind, default=default))
        return inspect.Signature(parameters)


def value_methods(*, kw_only: bool, secret: str = "") -> dict[str, Any]:
    """Return the methods that make a class with `FIELDS` one of frozen values, by name.

    `kw_only` says that the constructor takes keywords only. `secret` is what the repr shows of a field that is not to
    be shown, with ``{}`` for its name; by default the repr leaves it out.
    """
    return {
        "__setattr__": _setattr,
        "__delattr__": _delattr,
        "__eq__": _eq,
        "__hash__": _hash,
        "__repr__": _repr,
        "__reduce__": _reduce,
        "__replace__": _replace,
        "__stated__": _stated,
        "__hidden__": (),
        "__secret__": secret,
        "__dataclass_fields__": _DataclassFields(kw_only=kw_only),
        "__signature__": _Signature(kw_only=kw_only),
    }


_METHODS: Final = value_methods(kw_only=False)
