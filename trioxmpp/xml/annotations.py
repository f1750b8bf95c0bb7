"""The meaning of the annotations of a class, as far as their names exist yet.

An annotation may name a class that comes later in the file, or a type variable that only a derived class replaces. Such
an annotation is `Unresolved`, and is evaluated again when the class is first used.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from typing import Any

__all__ = ["Scope", "Unresolved", "alternatives", "annotations_of", "type_arguments"]


class Unresolved(Exception):
    """An annotation names something that does not exist, or not yet."""


class Scope:
    """The names that the annotations of one class can use."""

    def __init__(self, cls: type[Any], global_names: dict[str, Any], local_names: dict[str, Any]) -> None:
        self.cls = cls
        self._globals = global_names
        # A class can use its own name before the name is bound.
        self._locals = {**local_names, cls.__name__: cls}

    def evaluate(self, hint: Any) -> Any:
        """Return the object that an annotation, or a string in it, stands for. Raises Unresolved."""
        while True:
            if isinstance(hint, typing.ForwardRef):
                hint = hint.__forward_arg__
            if not isinstance(hint, str):
                return hint
            try:
                hint = eval(hint, self._globals, self._locals)
            except (NameError, AttributeError) as exc:
                raise Unresolved(str(exc)) from None


def annotations_of(cls: type[Any]) -> dict[str, Any]:
    """Return the annotations in the body of `cls` itself, in order; those that cannot be evaluated yet as strings."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(cls)


def type_arguments(cls: type[Any], scope: Scope) -> dict[Any, Any]:
    """Return the arguments of the generic classes above `cls` by type variable: ``class Places(Listing[Place])``."""
    bound: dict[Any, Any] = {}
    for ancestor in cls.__mro__:
        for base in ancestor.__dict__.get("__orig_bases__", ()):
            variables = getattr(typing.get_origin(base), "__parameters__", ())
            for variable, argument in zip(variables, typing.get_args(base), strict=False):
                if not isinstance(argument, typing.TypeVar):
                    bound.setdefault(variable, (scope, argument))
                elif argument in bound:
                    bound.setdefault(variable, bound[argument])
    return bound


def alternatives(hint: Any, scope: Scope, bound: dict[Any, Any], cls: type[Any], *, is_many: bool) -> tuple[Any, ...]:
    """Return the classes in ``X``, ``X | None``, ``X | Y`` and, for many, ``tuple[X, ...]`` or the like.

    ``Self`` is `cls`; type variables are looked up in `bound`. None is among them if the annotation says so.
    """
    hint = scope.evaluate(hint)
    if isinstance(hint, typing.TypeVar):
        if hint not in bound:
            raise Unresolved(f"{hint} stands for no class: subclass it, and say for which")
        where, argument = bound[hint]
        return alternatives(argument, where, bound, cls, is_many=is_many)
    if hint is typing.Self:
        return (cls,)
    if hint is None:
        return (type(None),)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return tuple(
            found for option in arguments for found in alternatives(option, scope, bound, cls, is_many=is_many)
        )
    if is_many and hint is not type(None):
        if not arguments:
            raise TypeError(f"{hint!r} does not say of what: annotate children with tuple[Item, ...]")
        return alternatives(arguments[0], scope, bound, cls, is_many=False)
    return (hint,)
