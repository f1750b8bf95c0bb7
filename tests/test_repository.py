"""The repository holds the places that the design names, and nothing of the machine on which it was written."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.pythons.release import REPOSITORY

ROOT = Path(__file__).parent.parent
TOP = {
    "pyproject.toml",
    "trioxmpp",
    "tests",
    "docs",
    "Makefile",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "changes",
    ".ci",
    ".gitignore",
}
HOME = re.compile(rb"(?<![\w.])/(?:home|root|work|Users|mnt)/[\w.]+")


def tracked() -> list[Path]:
    """Every file that git keeps, or would with the next commit."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a clone")
    # A container may well see files of another user; git would not speak to us.
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(git, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    return [path for name in names if name and (path := ROOT / name.decode()).is_file()]


def test_each_package_that_a_user_may_install_with_us_is_used() -> None:
    """F52: a dependency is imported by the library, or by a program on a page."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = [*project["dependencies"]]
    for extra, names in project["optional-dependencies"].items():
        packages += [] if extra in REPOSITORY else names
    sources = [*(ROOT / "trioxmpp").rglob("*.py"), *(ROOT / "docs").glob("*.md")]
    text = "\n".join(path.read_text() for path in sources)
    # Without pytest-trio, the plugin for pytest refuses to run.
    modules = {"dnspython": "dns", "pyopenssl": "OpenSSL", "pytest-trio": "pytest"}
    unused = []
    for package in packages:
        name = re.match(r"[A-Za-z0-9-]+", package)
        assert name is not None
        module = modules.get(name[0], name[0].replace("-", "_"))
        if not re.search(rf"^ *(?:import|from) {module}\b", text, re.MULTILINE):
            unused.append(package)
    assert unused == []


def test_the_top_level_is_what_the_design_says() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP


def test_changes_are_files_that_the_next_release_collects() -> None:
    names = [path.name for path in tracked() if path.parent == ROOT / "changes"]
    wrong = [name for name in names if not re.fullmatch(r"\+[a-z0-9-]+\.(added|changed|removed|fixed)\.md", name)]
    assert wrong == ["README.md"]


def test_no_file_names_a_place_of_one_machine() -> None:
    found = [f"{path.relative_to(ROOT)}: {match}" for path in tracked() for match in HOME.findall(path.read_bytes())]
    assert not found, "\n".join(found)


# The assertions of a test must hold on a machine of any load. Benchmarks measure, and `make chaos` reports.
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "time", "time_ns"}


def clocks_read(source: str) -> list[int]:
    """The lines that read a real clock, of `time` or of trio's own making."""
    tree = ast.parse(source)
    bare = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in CLOCKS
    }
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=name) if name in CLOCKS:
                found.append(node.lineno)
            case ast.Name(id=name, ctx=ast.Load()) if name in bare or name == "SystemClock":
                found.append(node.lineno)
    return found


def test_no_test_reads_a_real_clock() -> None:
    tests = [path for path in tracked() if path.name.startswith(("test_", "conftest")) and path.suffix == ".py"]
    found = [f"{path.relative_to(ROOT)}:{line}" for path in tests for line in clocks_read(path.read_text())]
    assert not found, "a test that asserts a time fails on a busy machine: " + ", ".join(found)


@pytest.mark.parametrize(
    "source",
    ["import time\nbegan = time.monotonic()", "from time import perf_counter as now\nnow()", "time.time() < 3"],
)
def test_a_clock_that_is_read_is_found(source: str) -> None:
    assert clocks_read(source)


def test_test_files_have_names_of_their_own() -> None:
    """pytest imports them by path, but a person finds them by name."""
    names = [path.name for path in tracked() if path.name.startswith("test_") and path.suffix == ".py"]
    assert sorted(names) == sorted(set(names))
