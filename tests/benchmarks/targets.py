"""The figures that are to be reached."""

from __future__ import annotations

from dataclasses import dataclass

from .results import Spread

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """One line of what is to be reached; `measured` is None if something that it takes is missing."""

    title: str
    measured: Spread | None
    limit: float
    strict: bool = False
    digits: int = 2
    unit: str = ""

    @property
    def reached(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured.median < self.limit or (not self.strict and self.measured.median == self.limit)

    def row(self) -> list[str]:
        measured = "not measured" if self.measured is None else self.measured.text(self.digits) + self.unit
        verdict = {None: "-", True: "reached", False: "NOT reached"}[self.reached]
        return [self.title, f"{'<' if self.strict else '<='} {self.limit:g}{self.unit}", measured, verdict]
