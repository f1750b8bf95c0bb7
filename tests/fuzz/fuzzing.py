"""Runs of a target: try an input, make a failing one smaller, and write it down."""

from __future__ import annotations

import hashlib
import sys
import time
import traceback
from typing import TYPE_CHECKING

from tests.sources import ROOT

if TYPE_CHECKING:
    from tests.fuzz.targets.everything import Target

__all__ = ["FOUND", "Findings", "failure_of", "kind_of", "smaller"]

#: Seconds for one input, beyond which it is reported as slow.
SLOW = 2.0
FOUND = ROOT / "build" / "fuzz"


class Findings:
    """The inputs that were tried on one target, and what came of them; each different failure is printed once."""

    def __init__(self, name: str, target: Target) -> None:
        self.tried = 0
        self._name = name
        self._target = target
        self._kinds: set[tuple[str, str, int] | None] = set()

    @property
    def failures(self) -> int:
        """The number of different failures."""
        return len(self._kinds)

    def take(self, data: bytes) -> None:
        """Try one input."""
        began = time.monotonic()
        failure = failure_of(self._target, data)
        self.tried += 1
        if (took := time.monotonic() - began) > SLOW:
            print(f"{self._name}: {took:.1f} seconds for {self._keep(data)}", flush=True)
        if failure is not None and kind_of(failure) not in self._kinds:
            self._kinds.add(kind_of(failure))
            print(f"{self._name}: {self._keep(smaller(self._target, data))}")
            traceback.print_exception(failure, limit=-4, file=sys.stdout)

    def tell(self) -> None:
        """Print how many inputs were tried."""
        print(f"{self._name}: {self.tried} inputs, {self.failures} failures", flush=True)

    def _keep(self, data: bytes) -> str:
        """Write an input down, and return where."""
        path = FOUND / self._name / hashlib.sha256(data).hexdigest()[:12]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path.relative_to(ROOT))


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
