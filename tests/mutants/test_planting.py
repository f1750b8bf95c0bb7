"""Mutants are found wherever their snippets stand, and only where it is clear what is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import everything
from tests.mutants.planting import Mutant, NotPlanted
from tests.sources import ROOT

ONE, TWO = Path("one.py"), Path("two.py")


def test_a_snippet_is_found_in_whichever_file_it_stands() -> None:
    sources = {ONE: "x = 1\n", TWO: "def f():\n    return a + b\n"}
    assert Mutant("m", "return a + b", "return a - b").planted(sources) == {TWO: "def f():\n    return a - b\n"}


def test_a_snippet_of_several_lines_is_found_at_any_depth() -> None:
    sources = {ONE: "class C:\n    def f(self):\n        if a:\n            b()\n        c()\n"}
    mutant = Mutant("m", "if a:\n    b()", "if not a:\n    b()")
    assert (
        mutant.planted(sources)[ONE] == "class C:\n    def f(self):\n        if not a:\n            b()\n        c()\n"
    )


@pytest.mark.parametrize("sources", [{ONE: "y = 2\n"}, {ONE: "x = 1\nx = 1\n"}, {ONE: "x = 1\n", TWO: "x = 1\n"}])
def test_a_snippet_that_stands_nowhere_or_twice_is_not_planted(sources: dict[Path, str]) -> None:
    with pytest.raises(NotPlanted, match=r"stands in [02] places"):
        Mutant("m", "x = 1", "x = 2").planted(sources)


def test_a_mutant_may_change_several_places() -> None:
    sources = {ONE: "x = 1\ny = 1\n", TWO: "z = 1\n"}
    mutant = Mutant("m", "x = 1", "x = 2", also=(("y = 1", "y = 2"), ("z = 1", "z = 2")))
    assert mutant.planted(sources) == {ONE: "x = 2\ny = 2\n", TWO: "z = 2\n"}


def test_a_change_that_is_not_python_any_more_is_not_planted() -> None:
    """Tests that cannot even be imported say nothing about what they test."""
    with pytest.raises(NotPlanted, match="invalid syntax"):
        Mutant("m", "x = 1", "x = = 1").planted({ONE: "x = 1\n"})


def test_planting_can_be_undone(tmp_path: Path) -> None:
    (tmp_path / "trioxmpp").mkdir()
    file = tmp_path / "trioxmpp" / "one.py"
    file.write_text("x = 1\n")
    before = Mutant("m", "x = 1", "x = 2").plant(tmp_path)
    assert file.read_text() == "x = 2\n"
    assert before == {file: "x = 1\n"}


def test_every_mutant_has_a_name_of_its_own_and_tests_that_exist() -> None:
    mutants = everything.MUTANTS
    assert len(mutants) >= 80
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert mutant.tests, mutant.name
        for test in mutant.tests:
            file, _, name = test.partition("::")
            assert (ROOT / "tests" / file).is_file(), f"{mutant.name}: there is no tests/{file}"
            assert not name or f"def {name}(" in (ROOT / "tests" / file).read_text(), f"{mutant.name}: no {test}"


def test_each_mutant_can_be_planted() -> None:
    """A mutant whose snippet was rewritten would try nothing, and a long run would say so late."""
    sources = {path: path.read_text() for path in (ROOT / "trioxmpp").rglob("*.py")}
    problems = []
    for mutant in everything.MUTANTS:
        try:
            mutant.planted(sources)
        except NotPlanted as exc:
            problems.append(str(exc))
    assert not problems
