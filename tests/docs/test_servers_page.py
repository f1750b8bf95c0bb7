"""That the table of servers is whole, and that each of its rows names tests which show that very row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.e2e import services_table
from tests.e2e.service_rows import ROWS as ROWS_OF_SERVICES
from tests.e2e.table import BEGIN, END, PAGE, SECTIONS
from tests.e2e.ways import WAYS
from tests.failures import check_each

TESTS = Path(__file__).parents[1]
REFERENCE = re.compile(r"`([\w/]+\.py)::(\w+)`")


def tables() -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Each section, with its head and its rows."""
    text = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    for section in text.split("\n## ")[1:]:
        title, _, lines = section.partition("\n")
        head, _, *rows = [re.split(r" ?\| ?", line)[1:-1] for line in lines.split("\n") if line.startswith("|")]
        yield title, head, rows


ROWS = [(title, head, row) for title, head, rows in tables() for row in rows]


def marks(path: str, test: str) -> list[tuple[str, str]]:
    """The cells that a test says it shows."""
    for node in ast.walk(ast.parse((TESTS / path).read_text())):
        if isinstance(node, ast.AsyncFunctionDef) and node.name == test:
            calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
            return [
                (ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1]))
                for call in calls
                if ast.unparse(call.func) == "pytest.mark.cell"
            ]
    return []


def fits(template: str, text: str) -> bool:
    return re.fullmatch(re.sub(r"\\{\w+\\}", ".+", re.escape(template)), text) is not None


def test_every_section_is_there_for_both_kinds_of_server_and_newer_ones() -> None:
    found = {title: head for title, head, _ in tables()}
    assert tuple(found) == SECTIONS
    heads = list(found.values())
    assert all(head == heads[0] for head in heads)
    versions = {name: [title for title in heads[0] if title.startswith(name)] for name in ("Prosody", "ejabberd")}
    assert all(len(each) > 1 for each in versions.values()), versions
    assert all(re.search(r"\d+\.\d+", title) for each in versions.values() for title in each)


def names_tests_that_show_it(case: tuple[str, list[str], list[str]]) -> None:
    section, head, row = case
    name, *cells, shown = row
    assert len(row) == len(head)
    references = REFERENCE.findall(shown)
    assert references
    assert shown == ", ".join(f"`{path}::{test}`" for path, test in references), "something else than tests is there"
    for path, test in references:
        said = marks(path, test)
        assert any(fits(s, section) and fits(r, name) for s, r in said), f"{path}::{test} shows {said}"
    for cell in cells:
        ways = re.split(", ", re.sub(r" ?\(\*.*\*\)$|^-$|^all$", "", cell))
        assert set(ways) <= {"", *WAYS}, cell


def test_each_row_names_the_tests_that_show_it() -> None:
    check_each([(f"{case[0]}: {case[2][0]}", case) for case in ROWS], names_tests_that_show_it)


def test_whatever_is_a_cell_is_in_the_table() -> None:
    """For each test that is marked, there is a row that names it."""
    named = {(path, test) for *_, row in ROWS for path, test in REFERENCE.findall(row[-1])}
    for file in sorted((TESTS / "e2e").glob("test_*.py")):
        path = f"e2e/{file.name}"
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.AsyncFunctionDef) and marks(path, node.name):
                assert (path, node.name) in named


# --- the tables of services


def services() -> tuple[list[list[str]], list[list[str]]]:
    """The rows of both tables, with their heads."""
    text = PAGE.read_text().partition(services_table.BEGIN)[2].partition(services_table.END)[0]
    first, second = text.strip().split("\n\n")
    found = [[re.split(r" ?\| ?", line)[1:-1] for line in each.split("\n")] for each in (first, second)]
    return found[0], found[1]


def files_on_real_servers() -> set[str]:
    """The files of which tests run on real servers by `tests.bench`."""
    files = [*(TESTS / "im").rglob("test_*.py"), *(TESTS / "xep").rglob("test_*.py")]
    return {str(file.relative_to(TESTS)) for file in files if "@on_every_bench" in file.read_text()}


def test_each_file_of_tests_on_real_servers_is_in_one_row_of_services() -> None:
    named = [path for paths in ROWS_OF_SERVICES.values() for path in paths]
    assert len(named) == len(set(named))
    assert set(named) == files_on_real_servers()


def test_the_table_of_services_has_each_row_and_the_servers_of_the_other_table() -> None:
    (head, _, *rows), _ = services()
    others = next(titles for _, titles, _ in tables())
    assert head == others
    assert [row[0] for row in rows] == [*ROWS_OF_SERVICES]
    for name, *cells, shown in rows:
        assert re.findall(r"`([\w/]+\.py)`", shown) == [*ROWS_OF_SERVICES[name]]
        assert len(cells) == len(head) - 2
        for cell in cells:
            assert re.fullmatch(r"(-|\d+)( \(\*\d+\*\))?", cell), (name, cell)


def test_the_tests_that_were_skipped_are_as_many_as_the_cells_say() -> None:
    (head, _, *rows), (_, _, *missing) = services()
    for place, server in enumerate(head[1:-1], 1):
        counted = sum(int(found[1]) for row in rows if (found := re.search(r"\(\*(\d+)\*\)", row[place])))
        assert counted == sum(server in where.split(", ") for _, where, _ in missing), server
    for test, _, reason in missing:
        path, name = test.strip("`").split("::")
        assert f"def {name}(" in (TESTS / path).read_text()
        assert reason
