"""That the page for people who come from aioxmpp is complete, and that what it refers to exists."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

from tests.failures import check_each

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "seed.md"
ROW = re.compile(r"^\| ([SXC]\d+) \| (.*) \| (.*) \|(.*)\|$", re.MULTILINE)
REFERENCE = re.compile(r"`([\w/]+\.py)::(\w+)`")
NAMES = (
    [f"S{number:03}" for number in range(1, 225)]
    + [f"X{number:02}" for number in range(1, 15)]
    + [f"C{number:02}" for number in range(1, 12)]
)


def rows() -> dict[str, tuple[str, str, str]]:
    """Each row by its number: what it is in aioxmpp, what it is here, and what shows it."""
    return {
        name: (there.strip(), here.strip(), shown.strip()) for name, there, here, shown in ROW.findall(PAGE.read_text())
    }


@functools.cache
def names_in(path: str) -> frozenset[str]:
    """The names of the test functions in a file below ``tests``; hypothesis makes some of assignments."""
    file = TESTS / path
    assert file.is_file(), f"there is no {path}"
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(name for name in names if name.lower().startswith("test"))


def test_every_item_has_one_row_and_in_order() -> None:
    found = [name for name, *_ in ROW.findall(PAGE.read_text())]
    assert sorted(found) == sorted(NAMES)
    for letter in "SXC":
        mine = [name for name in found if name.startswith(letter)]
        assert mine == sorted(mine)


def names_tests_or_a_reason(row: tuple[str, str, str]) -> None:
    there, here, shown = row
    assert there
    assert here
    references = REFERENCE.findall(shown)
    assert shown == ", ".join(f"`{path}::{test}`" for path, test in references), "something else than tests is there"
    for path, test in references:
        assert test in names_in(path), f"there is no {test} in {path}"
    if not references:
        assert re.match(r"absent: \w.{10,}", here), "absent without a reason, or present without a test"


def test_each_row_says_what_shows_it_or_why_there_is_nothing_to_show() -> None:
    check_each(rows().items(), names_tests_or_a_reason)
