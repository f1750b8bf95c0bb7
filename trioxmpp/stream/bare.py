"""Errors come out bare: what our own nurseries wrap, we unwrap."""

from __future__ import annotations

from types import TracebackType
from typing import NoReturn

import trio

__all__ = ["bare", "reraise"]


def reraise(exc: BaseException) -> NoReturn:
    """Raise `exc` as it is, without what is being handled just now as its context."""
    context = exc.__context__
    try:
        raise exc
    finally:
        exc.__context__ = context
        del exc, context


class Inside:
    """``with`` block in a nursery that notes what it raised, before the nursery can take a group of it apart."""

    __slots__ = ("raised",)

    def __init__(self) -> None:
        self.raised: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.raised = exc


class bare:
    """``with`` block that lets the one exception that a nursery of ours can have come out of it alone, the same object.

    To be used right around nurseries whose background tasks raise nothing of their own. The group then holds what the
    block itself raised, a cancellation, or a KeyboardInterrupt that struck in one of the tasks; two errors would be a
    mistake of ours, which RuntimeError says. A group that the block itself raised is left as it is, as the same object
    if it passed through the `Inside` that this gives.
    """

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        self._inside = Inside()

    def __enter__(self) -> Inside:
        return self._inside

    def __exit__(
        self, exc_type: type[BaseException] | None, group: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(group, BaseExceptionGroup):
            return
        urgent = [exc for exc in group.exceptions if isinstance(exc, (KeyboardInterrupt, SystemExit))]
        errors = [exc for exc in group.exceptions if not _is_cancellation(exc)]
        if len(errors) > 1 and not urgent:
            raise RuntimeError("trioxmpp bug: more than one background task raised") from group
        if isinstance(self._inside.raised, BaseExceptionGroup) and not urgent:
            reraise(self._inside.raised)
        reraise((urgent or errors or group.exceptions)[0])


def _is_cancellation(exc: BaseException) -> bool:
    if isinstance(exc, BaseExceptionGroup):
        return all(_is_cancellation(inner) for inner in exc.exceptions)
    return isinstance(exc, trio.Cancelled)
