"""A plugin of pytest that runs the tests of services on real servers only, and writes down what became of each.

TRIOXMPP_BENCHES=servers python -m pytest -p tests.e2e.record_services --record build/services.json tests/im tests/xep
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench import NOT_ON_REAL_SERVERS, Kind
from tests.e2e.kinds import KINDS
from tests.e2e.service_rows import row_of

OUTCOMES = pytest.StashKey[list[dict[str, Any]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, required=True, help="the file to write down the outcomes in")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    elsewhere = [item for item in items if _server_of(item) is None]
    config.hook.pytest_deselected(items=elsewhere)
    items[:] = [item for item in items if _server_of(item) is not None]


def _server_of(item: pytest.Item) -> str | None:
    """Return the label of the real server that a test runs on; None for the embedded one, and for other tests."""
    kind = item.callspec.params.get("bench_kind") if hasattr(item, "callspec") else None
    return kind.label if isinstance(kind, Kind) and not kind.virtual else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    assert isinstance(item, pytest.Function)
    server = _server_of(item)
    if server is not None and (report.when == "call" or not report.passed):
        path = str(item.path.relative_to(item.config.rootpath / "tests"))
        reason = report.longrepr[2].removeprefix("Skipped: ") if report.skipped else ""
        # A test that plans faults is about the library, and says nothing of the server.
        if not any(reason.endswith(each) for each in NOT_ON_REAL_SERVERS.values()):
            item.config.stash[OUTCOMES].append(
                {
                    "row": row_of(path),
                    "server": KINDS[server].title,
                    "test": f"{path}::{item.originalname}",
                    "outcome": "passed" if report.passed else "skipped" if report.skipped else "failed",
                    "reason": reason,
                }
            )
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("record")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(session.config.stash[OUTCOMES], indent=1) + "\n")
