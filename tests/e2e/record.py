"""A plugin of pytest that writes down what became of each cell of the table in docs/servers.md.

python -m pytest -m cell -p tests.e2e.record --record build/servers.json tests/e2e
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.kinds import KINDS
from tests.e2e.ways import DEFECT, NOT_OFFERED, skipped

CELLS = pytest.StashKey[list[dict[str, Any]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, help="the file to write down each cell's outcome in")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CELLS] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    assert isinstance(item, pytest.Function)
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if (report.when == "call" or not report.passed) and "server_kind" in parameters:
        cells = item.config.stash[CELLS]
        for marker in item.iter_markers("cell"):
            section, row = (text.format(**parameters) for text in marker.args)
            path = item.path.relative_to(item.config.rootpath / "tests")
            cells.append(
                {
                    "section": section,
                    "row": row,
                    "server": KINDS[parameters["server_kind"]].title,
                    "way": parameters["way"],
                    "test": f"{path}::{item.originalname}",
                    "outcome": outcome_of(report),
                }
            )
    return report


def outcome_of(report: pytest.TestReport) -> str:
    if not report.skipped:
        return "yes" if report.passed else "failed"
    reason = skipped.get(report.nodeid, str(report.longrepr))
    known = [outcome for outcome in (NOT_OFFERED, DEFECT) if reason.startswith(outcome)]
    return known[0] if known else f"not tried: {reason}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("record")
    if path is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(session.config.stash[CELLS], indent=1) + "\n")
