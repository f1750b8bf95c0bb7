"""The page about security states the numbers and the rules of the code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from trioxmpp.im.provenance import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
BOUND = re.compile(r"^\| (.+) \| ([0-9,]+)( KiB| MiB)? \| `(trioxmpp\.[\w.]+)` \|$", re.MULTILINE)
CLAIM = re.compile(r"^\| ([A-Z_]+) \| .+ \| ([A-Z]+) \| (XEP-.+) \|$", re.MULTILINE)
UNITS = {"": 1, " KiB": 1 << 10, " MiB": 1 << 20}


def value_of(path: str) -> Any:
    """The constant of a module, or the default of a field of a class in it."""
    place, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(place), name)
    except ModuleNotFoundError:
        return getattr(value_of(place)(), name)


def table_below(heading: str) -> list[str]:
    lines = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    return [line for line in lines if line.startswith("|")][2:]


def test_each_number_is_that_of_the_code() -> None:
    bounds = BOUND.findall(PAGE)
    stated = {path: int(number.replace(",", "")) * UNITS[unit] for _, number, unit, path in bounds}
    assert stated == {path: value_of(path) for path in stated}
    rows = table_below("What is bounded, and by which number")
    assert len(rows) == len(bounds) == len(stated) > 40, "a row has another form, or there are two for one constant"


def test_each_claim_is_a_rule_and_each_rule_is_there() -> None:
    stated = {name: (otherwise, section) for name, otherwise, section in CLAIM.findall(PAGE)}
    assert stated == {claim.name: (rule.otherwise.name, rule.section) for claim, rule in RULES.items()}
    assert len(table_below("What is believed from whom")) == len(RULES)
