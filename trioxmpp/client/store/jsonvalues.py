"""Checked reads of stored JSON. Errors never quote the value, which may be a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["counter", "flag", "is_text", "listed", "optional", "real", "text", "whole"]

T = TypeVar("T")


def text(value: Any) -> str:
    """Return a text that can be written again. Raises ValueError otherwise, as all of these functions do."""
    try:
        if isinstance(value, str):
            value.encode()
            return value
    except UnicodeEncodeError:
        pass  # half a surrogate pair: JSON can carry it, and UTF-8 cannot
    raise ValueError("a text was expected")


def is_text(value: Any) -> bool:
    """Return whether `text` takes a value."""
    try:
        text(value)
    except ValueError:
        return False
    return True


def whole(value: Any) -> int:
    """Return a whole number of 0 or more."""
    if type(value) is not int or not 0 <= value < 2**53:  # True is an int, too; and JSON has no larger ones
        raise ValueError("a whole number was expected")
    return value


def counter(value: Any) -> int:
    """Return a count that begins at 0 again behind 2**32 - 1."""
    if whole(value) >= 2**32:
        raise ValueError("a counter was expected")
    return int(value)


def real(value: Any) -> float:
    """Return a number."""
    if type(value) not in (int, float) or not -(2**53) < value < 2**53:  # NaN is not, either
        raise ValueError("a number was expected")
    return float(value)


def flag(value: Any) -> bool:
    """Return a boolean."""
    if not isinstance(value, bool):
        raise ValueError("true or false was expected")
    return value


def listed(read: Callable[[Any], T], value: Any) -> tuple[T, ...]:
    """Return the items of a list, each read by `read`."""
    if not isinstance(value, list):
        raise ValueError("a list was expected")
    return tuple(map(read, value))


def optional(read: Callable[[Any], T], value: Any) -> T | None:
    """Return the value, read by `read`, or None."""
    return None if value is None else read(value)
