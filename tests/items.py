"""The items of acceptance, and the tests that are marked with each: `make items`, or `python -m tests.items`.

`items.txt` lists the items. A test shows one if it has `@pytest.mark.item("D4.12")`; a mark may name several items. The
marks are read from the source, so no test runs and none is skipped.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.sources import ROOT

__all__ = ["items", "marks", "report", "unmarked"]

LIST = ROOT / "tests" / "items.txt"
MARK = "pytest.mark.item"


def items(text: str | None = None) -> dict[str, str]:
    """Return the demand of each item, by its name, as the list has them. Raises ValueError for a second one."""
    found: dict[str, str] = {}
    for line in (LIST.read_text() if text is None else text).splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, demand = line.partition(" ")
        if name in found:
            raise ValueError(f"{name} is in the list twice")
        found[name] = demand
    return found


def marks(source: str) -> Iterator[tuple[str, str]]:
    """Return the items that tests of a file show, each with the name of its test."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == MARK:
                for name in decorator.args:
                    yield ast.literal_eval(name), node.name


def shown() -> dict[str, list[str]]:
    """Return the tests of the repository that are marked with each item."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, test in marks(path.read_text()):
            found.setdefault(name, []).append(f"{path.relative_to(ROOT)}::{test}")
    return found


def unmarked() -> list[str]:
    """Return the items that no test is marked with."""
    tests = shown()
    return [name for name in items() if name not in tests]


def report() -> str:
    """Return the items without a test, and how many of all these are."""
    demands, missing = items(), unmarked()
    lines = [f"{name:20} {demands[name]}" for name in missing]
    return "\n".join([*lines, f"{len(missing)} of {len(demands)} items have no test that is marked with them"])


if __name__ == "__main__":
    print(report())
