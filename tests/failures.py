"""Many cases in one test: each is checked, and the test reports all that failed.

A table of hundreds of rows is one statement about the library, so it is one test. A loop with a bare ``assert`` would
stop at the first bad row; `Failures` goes on, and names each bad row at the end.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

__all__ = ["SHOWN", "Failures", "check_each"]

SHOWN = 25
"""How many failures are shown in full; the others are named."""

_Case = TypeVar("_Case")


class Failures:
    """Collects what fails in the blocks of `case`; leaving the block of the object itself raises it all at once."""

    def __init__(self) -> None:
        self._cases = 0
        self._failed: list[tuple[str, str]] = []

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """Check one case in this block. An error is kept, not raised; a skip or an interrupt passes through."""
        self._cases += 1
        try:
            yield
        except Exception as error:
            self._failed.append((name, _in_words(error)))

    def report(self) -> None:
        """Raise AssertionError if a case failed, or if there was no case at all: then nothing was checked."""
        __tracebackhide__ = True
        assert self._cases, "there was no case to check"
        shown = [f"{name}: {text}" for name, text in self._failed[:SHOWN]]
        rest = [name for name, _ in self._failed[SHOWN:]]
        if rest:
            shown.append(f"and {len(rest)} more: {', '.join(rest)}")
        assert not self._failed, f"{len(self._failed)} of {self._cases} cases failed\n" + "\n".join(shown)

    def __enter__(self) -> Failures:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        __tracebackhide__ = True
        if kind is None:
            self.report()


def check_each(cases: Iterable[tuple[str, _Case]], check: Callable[[_Case], None]) -> None:
    """Call `check` with each case, given with its name; raise AssertionError that reports all that failed."""
    __tracebackhide__ = True
    with Failures() as failures:
        for name, case in cases:
            with failures.case(name):
                check(case)


def _in_words(error: Exception) -> str:
    """The error, and the line that raised it."""
    *_, last = traceback.extract_tb(error.__traceback__)
    text = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return f"{text or 'assertion failed'} (at {Path(last.filename).name}:{last.lineno})"
