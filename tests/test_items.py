"""The list of acceptance and the marks of tests fit together."""

from __future__ import annotations

import pytest

from tests.items import items, marks, shown

MARKED = """
@pytest.mark.item("D1.1", "D1.2")
@on_every_bench(accounts=2)
async def test_one(bench): ...

@pytest.mark.item("D1.3")
def helper(): ...

@pytest.mark.parametrize("item", ["D1.4"])
def test_two(item): ...
"""


def test_each_mark_names_an_item_of_the_list() -> None:
    known = items()
    strange = {name: tests for name, tests in shown().items() if name not in known}
    assert not strange, f"not in tests/items.txt: {strange}"


def test_marks_are_those_of_tests() -> None:
    assert list(marks(MARKED)) == [("D1.1", "test_one"), ("D1.2", "test_one")]


def test_the_list_has_each_item_once_and_says_what_it_demands() -> None:
    assert items("# A title\n\nD1.1 a demand\nD1.2 another\n") == {"D1.1": "a demand", "D1.2": "another"}
    with pytest.raises(ValueError, match=r"D1\.1 is in the list twice"):
        items("D1.1 a\nD1.1 b")
    assert [name for name, demand in items().items() if not demand] == []
