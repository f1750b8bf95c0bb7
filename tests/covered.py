"""A plugin for pytest that counts the lines of the library which the tests reach: ``pytest -p tests.covered``.

    --reach-at-least PERCENT   fail if the tests reach fewer lines
    --unreached                list the lines that they do not reach

slipcover puts a probe in front of each line of the library when a module is imported. On Python 3.11 a tracer is called
for all code, that of trio and of the tests included, and doubles the time of these tests. Probes are met by the library
alone. Lines that only run in a process that a test starts do not count.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import Any

import pytest

from tests.sources import PACKAGE

#: Lines that no test can reach; bodies of protocols are among them.
EXCLUDED = ("@overload", "assert_never", r"^\s*\.\.\.$")

#: Files that only tests against real servers reach: the figure is to be the same where there is no real server.
OMITTED = (PACKAGE / "testing" / "servers" / "*",)

#: slipcover would remove probes that were met this often. For that it replaces the code of functions, and looks for
#: them in the variables of all frames, which keeps objects alive that tests expect to go. So it never happens.
NEVER = 10**9


def _started() -> Any:
    """Return the counter, which sees the modules that are imported from now on; None without slipcover."""
    if importlib.util.find_spec("slipcover") is None:
        return None
    import slipcover

    source, omit = [str(PACKAGE)], [str(pattern) for pattern in OMITTED]
    counter = slipcover.Slipcover(source=source, omit=omit, d_miss_threshold=NEVER, exclude_also=list(EXCLUDED))
    slipcover.ImportManager(counter, slipcover.FileMatcher(sources=source, omit=omit)).__enter__()
    return counter


# pytest loads this plugin before any other code that imports the library. `python -m` may have imported none either.
assert not any(name.startswith("trioxmpp.") for name in sys.modules)
COUNTER = _started()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("covered")
    group.addoption("--reach-at-least", type=float, default=0.0, metavar="PERCENT")
    group.addoption("--unreached", action="store_true")


def pytest_configure(config: pytest.Config) -> None:
    if COUNTER is not None:
        config.pluginmanager.register(Worker() if hasattr(config, "workeroutput") else Reached(config))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if COUNTER is None:
        terminalreporter.write_line("reached: not counted, since slipcover is not installed")


class Worker:
    """In a process of pytest-xdist: hands the figures to the process that reports."""

    def pytest_sessionfinish(self, session: Any) -> None:
        session.config.workeroutput["reached"] = json.dumps(COUNTER.get_coverage())


class Reached:
    """Adds the figure to the summary of pytest, and lets the run fail if it is too low."""

    def __init__(self, config: pytest.Config) -> None:
        self._limit = float(config.getoption("reach_at_least"))
        self._lists = bool(config.getoption("unreached"))
        self._of_workers: list[Any] = []
        self._figures: Any = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take the figures of a process of pytest-xdist."""
        self._of_workers.append(json.loads(node.workeroutput["reached"]))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Add up the figures, before the summary is written."""
        import slipcover

        self._figures = COUNTER.get_coverage()
        for figures in self._of_workers:
            slipcover.merge_coverage(self._figures, figures)
        if self._percent < self._limit and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._lists or self._percent < self._limit:
            for name, figures in sorted(self._figures["files"].items()):
                if lines := figures["missing_lines"]:
                    terminalreporter.write_line(f"not reached: {name}: {ranges(lines)}")
        limit = f" (at least {self._limit} %)" if self._limit else ""
        terminalreporter.write_line(f"reached: {self._percent:.2f} % of the lines of the library{limit}")

    @property
    def _percent(self) -> float:
        return float(self._figures["summary"]["percent_covered"])


def ranges(lines: list[int]) -> str:
    """Return sorted numbers in short, such as ``1, 3-5``."""
    found: list[list[int]] = []
    for line in lines:
        if found and found[-1][1] == line - 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)
