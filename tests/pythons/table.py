"""The table of README.md that says on which Pythons the unit tests passed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

BEGIN, END = "<!-- make test-pythons -->\n", "<!-- until here -->\n"


@dataclass(frozen=True)
class Result:
    """The result of the unit tests on one Python. `openssl` and `origin` are those of the Python."""

    python: str
    openssl: str
    origin: str
    passed: int
    failed: int
    skipped: int

    @property
    def is_good(self) -> bool:
        """Whether there were tests, and none of them failed."""
        return self.passed > 0 and self.failed == 0

    @property
    def cell(self) -> str:
        """The result in words."""
        parts = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        return ", ".join(f"{number:,} {word}" for word, number in parts.items() if number or word == "passed")


def counted(report: str) -> tuple[int, int, int]:
    """Return how many tests passed, failed and were skipped, by a report of pytest's in the form of JUnit."""
    suites = ElementTree.fromstring(report).iter("testsuite")
    counts = [[int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")] for suite in suites]
    tests, failures, errors, skipped = (sum(column) for column in zip(*counts, strict=True))
    return tests - failures - errors - skipped, failures + errors, skipped


def table(results: Sequence[Result]) -> str:
    """Return the results as a table."""
    text = "| Python | OpenSSL | from | unit tests |\n|---|---|---|---|\n"
    return text + "".join(f"| {each.python} | {each.openssl} | {each.origin} | {each.cell} |\n" for each in results)


def rewritten(page: str, results: Sequence[Result]) -> str:
    """Return the page with these results in its table."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page has no place for the table")
    return before + begin + table(results) + end + after


def minors(page: str) -> list[str]:
    """Return the Pythons that the table of a page names, without their last numbers."""
    rows = page.partition(BEGIN)[2].partition(END)[0]
    return re.findall(r"^\| (3\.\d+)", rows, re.MULTILINE)
