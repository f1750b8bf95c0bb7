"""The measurements, round by round, and their medians and ratios."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sources import ROOT


@dataclass(frozen=True)
class Spread:
    """A median, and what it lies between."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def scaled(self, factor: float) -> Spread:
        """Return it in another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor)

    def text(self, digits: int = 1) -> str:
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


@dataclass
class Results:
    """Numbers by scenario, client and quantity (``cpu``: microseconds of CPU time per stanza, ``wall``, ...), in the
    order of the rounds: what has the same index was measured within a second or so of each other."""

    numbers: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, scenario: str, client: str, **quantities: float) -> None:
        for quantity, value in quantities.items():
            self.numbers.setdefault(scenario, {}).setdefault(client, {}).setdefault(quantity, []).append(value)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def values(self, scenario: str, client: str, quantity: str = "cpu") -> list[float]:
        return self.numbers.get(scenario, {}).get(client, {}).get(quantity, [])

    def spread(self, scenario: str, client: str, quantity: str = "cpu") -> Spread | None:
        values = self.values(scenario, client, quantity)
        return Spread.of(values) if values else None

    def ratio(
        self, scenario: str, client: str, other: str, quantity: str = "cpu", other_scenario: str | None = None
    ) -> Spread | None:
        """How many times as much `client` takes as `other`: the median of the ratios, round by round."""
        mine, theirs = self.values(scenario, client, quantity), self.values(other_scenario or scenario, other, quantity)
        ratios = [a / b for a, b in zip(mine, theirs, strict=False) if b > 0]
        return Spread.of(ratios) if ratios else None

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Results:
        """Return what `json` has written."""
        return cls(found["rounds"], found["notes"], found["versions"])

    def json(self) -> dict[str, Any]:
        medians = {
            scenario: {
                client: {quantity: vars(Spread.of(values)) for quantity, values in quantities.items()}
                for client, quantities in clients.items()
            }
            for scenario, clients in self.numbers.items()
        }
        return {"versions": self.versions, "notes": self.notes, "medians": medians, "rounds": self.numbers}


def parse_with_results(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Results]:
    """Read the command line; return the options, and the results of the file that it names.

    Without a name that is the file of the last ``make bench``. Ends the process if there is none.
    """
    parser.add_argument("results", nargs="?", type=Path, default=ROOT / "build" / "bench.json")
    options = parser.parse_args()
    if not options.results.exists():
        sys.exit(f"there is no {options.results}: make bench writes it")
    return options, Results.of_json(json.loads(options.results.read_text()))
