"""The page about the examples: it has all of them, and its lines are counted."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.code_lines import code_lines
from tests.failures import check_each

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "examples.md").read_text()
ROW = re.compile(r"^\| (\[.*?) \| (\d*) ?\| (\d*) ?\| (\d+) \| (.+) \|$", re.MULTILINE)

#: Programs that have no counterpart in another library.
LARGER = {"chat.py", "gateway.py", "history.py", "low_level.py", "older_omemo.py"}


def programs(cell: str) -> list[str]:
    return re.findall(r"\[`(\w+\.py)`\]", cell)


def test_each_program_is_in_the_table_or_among_the_larger_ones() -> None:
    listed = [name for cell, *_ in ROW.findall(PAGE) for name in programs(cell)]
    assert sorted([*listed, *LARGER]) == sorted(path.name for path in (DOCS / "examples").glob("*.py"))
    assert [name for name in LARGER if f"- `{name}`: " not in PAGE] == []
    assert sorted(re.findall(r"\{literalinclude\} examples/(\w+\.py)", PAGE)) == sorted(listed)


def test_each_number_of_lines_is_counted_and_none_exceeds_that_of_another_library() -> None:
    def row(found: tuple[str, ...]) -> None:
        cell, *others, ours, _ = found
        assert sum(code_lines(DOCS / "examples" / name) for name in programs(cell)) == int(ours)
        assert int(ours) <= min(int(number) for number in others if number)

    check_each([(found[0], found) for found in ROW.findall(PAGE)], row)


def test_in_sum_the_programs_have_at_most_seven_tenths_of_the_lines() -> None:
    """Where both libraries have a program, the shorter one counts."""
    rows = ROW.findall(PAGE)
    theirs = sum(min(int(number) for number in (slixmpp, aioxmpp) if number) for _, slixmpp, aioxmpp, _, _ in rows)
    ours = sum(int(number) for _, _, _, number, _ in rows)
    assert ours <= 0.7 * theirs, (ours, theirs)


def test_each_program_of_the_table_runs_in_a_test() -> None:
    tests = [(DOCS.parent / "tests" / "e2e" / name).read_text() for name in ("test_programs.py", "test_examples.py")]
    listed = [name for cell, *_ in ROW.findall(PAGE) for name in programs(cell)]
    assert [name for name in listed if name != "weather.py" and not any(f'"{name}"' in test for test in tests)] == []


def test_blank_lines_comments_and_docstrings_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    text = [
        *('"""Text,', "", 'of three lines."""', "", "# a comment", "x = (", "    1,  # one", ")", ""),
        *("def f():", '    """Text."""', '    return """two', 'lines"""', ""),
    ]
    path.write_text("\n".join(text))
    assert code_lines(path) == 6
