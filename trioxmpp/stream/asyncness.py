"""Whether a function is async: nothing awaits what the functions on the way of a stanza return."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

__all__ = ["is_async"]


def is_async(function: Callable[..., object]) -> bool:
    """Return whether calling `function` gives a coroutine, or an asynchronous iterator.

    That is so for an async function, for an object with an async ``__call__``, and for `functools.partial` of either.
    """
    while isinstance(function, functools.partial):
        function = function.func
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (function, getattr(type(function), "__call__", None))  # noqa: B004  (what it is, not whether)
    )
