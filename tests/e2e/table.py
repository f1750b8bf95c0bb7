"""Writes the table of docs/servers.md, out of what `record.py` has written down of a run: `make servers-table`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.e2e.ways import DEFECT, NOT_OFFERED, WAYS

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
BEGIN, END = "<!-- make servers-table -->\n", "<!-- until here -->\n"
SECTIONS = ("Ways in", "SASL", "SASL2", "FAST", "Sessions", "Coming back")

# By row: by server and way, the outcomes; and the tests.
Rows = dict[tuple[str, str], dict[tuple[str, str], set[str]]]


def main(record: Path) -> str | None:
    """Rewrite the page; return what stands against it."""
    cells = json.loads(record.read_text())
    for cell in cells:
        if cell["outcome"] not in ("yes", NOT_OFFERED, DEFECT):
            return f"{cell['test']} with {cell['server']} by {cell['way']}: {cell['outcome']}"
    rewrite(BEGIN, table(cells), END)
    return None


def rewrite(begin: str, text: str, end: str) -> None:
    """Put `text` between two lines of the page."""
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(before + begin + text + end + after)


def table(cells: list[dict[str, str]]) -> str:
    servers = sorted({cell["server"] for cell in cells}, key=order)
    rows: Rows = {}
    tests: dict[tuple[str, str], set[str]] = {}
    for cell in cells:
        row = cell["section"], cell["row"]
        rows.setdefault(row, {}).setdefault((cell["server"], cell["way"]), set()).add(cell["outcome"])
        tests.setdefault(row, set()).add(cell["test"])
    text = ""
    for section in SECTIONS:
        text += f"\n## {section}\n\n| | {' | '.join(servers)} | shown by |\n|---|{'---|' * len(servers)}---|\n"
        for row in (row for row in rows if row[0] == section):  # in the order of the tests
            shown = ", ".join(f"`{test}`" for test in sorted(tests[row]))
            outcomes = [_cell(rows[row], server) for server in servers]
            text += f"| {row[1]} | {' | '.join(outcomes)} | {shown} |\n"
    return text + "\n"


def _cell(outcomes: dict[tuple[str, str], set[str]], server: str) -> str:
    """The ways in on which it was tested and works; "all", if they are all there are."""
    ways = {way for name, way in outcomes if name == server}
    # Of the kinds that a row has, one may not be offered: it is about the others, then.
    said_of = {way: outcomes.get((server, way), set()) for way in WAYS}
    works = [way for way in WAYS if "yes" in said_of[way] and DEFECT not in said_of[way]]
    defects = [way for way in WAYS if DEFECT in said_of[way]]
    said = "all" if len(works) == len(WAYS) else ", ".join(works)
    if defects:
        said += f" (*{', '.join(defects)}*)"
    assert ways, f"nothing is known of {server}"
    return said.strip() or "-"


def order(title: str) -> tuple[bool, list[int]]:
    return title.startswith("ejabberd"), [int(number) for number in re.findall(r"\d+", title)]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
