"""What JSON said, if it is what was written there; else ValueError, which does not repeat it: it may be a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["counter", "flag", "listed", "optional", "real", "text", "whole"]

T = TypeVar("T")


def text(said: Any) -> str:
    """A text that can be written again."""
    try:
        if isinstance(said, str):
            said.encode()
            return said
    except UnicodeEncodeError:
        pass  # half a character: JSON can say it, and nothing else can
    raise ValueError("what should be a text is none")


def whole(said: Any) -> int:
    """A number of something."""
    if type(said) is not int or not 0 <= said < 2**53:  # True is an int, too; and JSON has no larger ones
        raise ValueError("what should be a whole number is none")
    return said


def counter(said: Any) -> int:
    """One that begins at 0 again behind 2**32 - 1."""
    if whole(said) >= 2**32:
        raise ValueError("what should be a counter is none")
    return int(said)


def real(said: Any) -> float:
    """A number."""
    if type(said) not in (int, float) or not -(2**53) < said < 2**53:  # nor is NaN
        raise ValueError("what should be a number is none")
    return float(said)


def flag(said: Any) -> bool:
    """Yes or no."""
    if not isinstance(said, bool):
        raise ValueError("what should be true or false is neither")
    return said


def listed(read: Callable[[Any], T], said: Any) -> tuple[T, ...]:
    """A list of the same."""
    if not isinstance(said, list):
        raise ValueError("what should be a list is none")
    return tuple(map(read, said))


def optional(read: Callable[[Any], T], said: Any) -> T | None:
    """It, or nothing."""
    return None if said is None else read(said)
