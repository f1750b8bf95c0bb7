"""Which payload asks for which: ``Get[Report]`` is answered with a ``Report``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from ...xml.annotations import Scope, Unresolved, alternatives, type_arguments
from .types import IQType

if TYPE_CHECKING:
    import dataclasses

__all__ = ["Get", "Question", "Set", "response_type"]

R = TypeVar("R")

R_co = TypeVar("R_co", covariant=True)


class Get(Generic[R_co]):
    """Base of payloads that are requested with an IQ of type get, and answered with an ``R_co``."""

    __slots__ = ()
    IQ_TYPE: ClassVar[Literal[IQType.GET]] = IQType.GET
    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
        __answer__: R_co


class Set(Generic[R_co]):
    """Base of payloads that are requested with an IQ of type set, and answered with an ``R_co``."""

    __slots__ = ()
    IQ_TYPE: ClassVar[Literal[IQType.SET]] = IQType.SET
    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
        __answer__: R_co


class Question(Protocol[R]):
    """A ``Get[R]`` or a ``Set[R]``, where the answer has to be an ``R`` and nothing else.

    A ``Get[Report]`` is a ``Get[object]``, too. So that a type checker would find an ``object`` that answers it.
    """

    IQ_TYPE: ClassVar[Any]
    __answer__: R


_known: dict[type[Any], tuple[type[Any] | None, bool]] = {}


def response_type(payload_cls: type[Any]) -> tuple[type[Any] | None, bool]:
    """Return the answer to a request of this class: the payload class (None: nothing), and whether it may be absent."""
    if payload_cls not in _known:
        _known[payload_cls] = _response_type(payload_cls)
    return _known[payload_cls]


def _response_type(payload_cls: type[Any]) -> tuple[type[Any] | None, bool]:
    scope = Scope(payload_cls, getattr(sys.modules.get(payload_cls.__module__), "__dict__", {}), {})
    known = type_arguments(payload_cls, scope)
    if R_co not in known:
        raise TypeError(f"{payload_cls.__name__} is not a request: it derives neither from Get[...] nor from Set[...]")
    try:
        options = alternatives(R_co, scope, known, payload_cls, is_many=False)
    except Unresolved as exc:
        raise TypeError(f"what answers a {payload_cls.__name__} is not known: {exc}") from exc
    answers = [option for option in options if option is not type(None)]
    return (answers[0] if answers else None), len(answers) < len(options)
