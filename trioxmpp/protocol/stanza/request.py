"""Which payload asks for which: ``Get[Report]`` is answered with a ``Report``."""

from __future__ import annotations

import types
import typing
from typing import Any, ClassVar, Generic, TypeVar

from .types import IQType

__all__ = ["Get", "Set", "response_type"]

R = TypeVar("R")


class Get(Generic[R]):
    """Base of payloads that are requested with an IQ of type get, and answered with an ``R``."""

    __slots__ = ()
    IQ_TYPE: ClassVar[IQType] = IQType.GET


class Set(Generic[R]):
    """Base of payloads that are requested with an IQ of type set, and answered with an ``R``."""

    __slots__ = ()
    IQ_TYPE: ClassVar[IQType] = IQType.SET


_known: dict[type[Any], tuple[type[Any] | None, bool]] = {}


def response_type(payload_cls: type[Any]) -> tuple[type[Any] | None, bool]:
    """What answers a request of this class: the payload class (None: nothing), and whether it may be absent."""
    if payload_cls not in _known:
        _known[payload_cls] = _response_type(payload_cls)
    return _known[payload_cls]


def _response_type(payload_cls: type[Any]) -> tuple[type[Any] | None, bool]:
    for base in getattr(payload_cls, "__orig_bases__", ()):
        if typing.get_origin(base) in (Get, Set):
            (answer,) = typing.get_args(base)
            if answer is None or answer is type(None):
                return None, True
            if typing.get_origin(answer) in (typing.Union, types.UnionType):
                options = [option for option in typing.get_args(answer) if option is not type(None)]
                return options[0], len(options) < len(typing.get_args(answer))
            return answer, False
    raise TypeError(f"{payload_cls.__name__} is not a request: it derives neither from Get[...] nor from Set[...]")
