"""Runs of a target: try an input, and make a failing one smaller."""

from __future__ import annotations

from tests.fuzz.targets.everything import Target

__all__ = ["failure_of", "kind_of", "smaller"]


def failure_of(target: Target, data: bytes) -> Exception | None:
    """Return the exception that a target lets out for this input, or None."""
    try:
        target(data)
    except Exception as exc:
        return exc
    return None


def kind_of(failure: BaseException | None) -> tuple[str, str, int] | None:
    """Return what makes two failures the same one: the type, and where it was raised."""
    if failure is None:
        return None
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = ("", 0) if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return type(failure).__name__, *place


def smaller(target: Target, data: bytes, tries: int = 2000) -> bytes:
    """Return the shortest input found that fails in the same way, by leaving out ever shorter parts."""
    kind, size = kind_of(failure_of(target, data)), max(1, len(data) // 2)
    while size and tries > 0:
        position, before = 0, len(data)
        while position < len(data) and tries > 0:
            shorter = data[:position] + data[position + size :]
            tries -= 1
            if kind_of(failure_of(target, shorter)) == kind:
                data = shorter
            else:
                position += size
        if len(data) == before or size > 1:
            size //= 2
    return data
