"""``make bench-guard``: what has become slower since the baseline was stored.

    python -m tests.benchmarks.guard [RESULTS.json] [--store]

It compares what ``make bench`` has measured with ``baseline.json``. No two machines, nor two hours of one, are alike.
So it compares ratios: what trioxmpp took, over what the bare limit took in the same round. It names each one that is
more than 10 % above that of the baseline, and fails then. A ratio whose rounds are far apart proves nothing: repeat the
run. With ``--store`` the results become the baseline; what was not measured keeps its old ratio.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .harness import BARE, HERE, OWN, ROOT
from .results import Results, Spread, parse_with_results
from .tables import table

BASELINE = HERE / "baseline.json"
#: How much slower is reported.
TOLERANCE = 1.10

#: The other side of a ratio where there is no bare limit.
REFERENCES = {
    "read-20-children": "lxml parser",
    "write-5-fields": "lxml tostring",
    "write-5-with-date": "lxml tostring",
}
QUANTITIES = ("cpu", "p50")
#: The ways to use the library.
WAYS = (OWN.name, "trioxmpp async for")


@dataclass(frozen=True)
class Change:
    """A ratio of now, and that of the baseline; None if it is new."""

    name: str
    now: Spread
    before: float | None

    @property
    def factor(self) -> float:
        """How many times as much it takes."""
        return 1.0 if self.before is None else self.now.median / self.before

    @property
    def is_slower(self) -> bool:
        """Whether it has become slower by more than what is tolerated."""
        return self.factor > TOLERANCE

    def row(self) -> list[str]:
        """Return the cells of a table."""
        before = "-" if self.before is None else f"{self.before:.2f}"
        return [self.name, before, self.now.text(2), f"{self.factor - 1:+.0%}", "SLOWER" if self.is_slower else ""]


def ratios(results: Results) -> Iterator[tuple[str, Spread]]:
    """Each ratio to the bare limit that can be made of the results, by name."""
    for scenario, clients in results.numbers.items():
        reference = REFERENCES.get(scenario, BARE.name)
        for way in WAYS:
            for quantity in QUANTITIES if way in clients else ():
                ratio = results.ratio(scenario, way, reference, quantity)
                if ratio is not None:
                    yield " ".join([scenario, *([] if way == OWN.name else [way]), quantity]), ratio


def compare(results: Results, baseline: dict[str, float]) -> list[Change]:
    """Compare each ratio with that of the baseline, the worst first."""
    changes = [Change(name, ratio, baseline.get(name)) for name, ratio in ratios(results)]
    return sorted(changes, key=lambda change: -change.factor)


def main() -> None:
    """Compare, or store."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.guard", description="What became slower.")
    parser.add_argument("--store", action="store_true", help="make these results the baseline")
    options, results = parse_with_results(parser)
    baseline: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if options.store:
        baseline |= {name: round(ratio.median, 3) for name, ratio in ratios(results)}
        BASELINE.write_text(json.dumps(dict(sorted(baseline.items())), indent=1) + "\n")
        print(f"stored {len(baseline)} ratios in {BASELINE.relative_to(ROOT)}")
        return
    changes = compare(results, baseline)
    headings = ["CPU or p50 over the bare limit", "baseline", "now", "change", ""]
    print(table("Since the baseline", headings, [change.row() for change in changes]))
    if missing := sorted(baseline.keys() - {change.name for change in changes}):
        print(f"\nnot measured: {', '.join(missing)}")
    if slower := [change.name for change in changes if change.is_slower]:
        sys.exit(f"\nslower by more than {TOLERANCE - 1:.0%}: {', '.join(slower)}")


if __name__ == "__main__":
    main()
