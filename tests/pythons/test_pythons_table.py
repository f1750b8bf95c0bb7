"""The table of Pythons in README.md, and how it is made."""

from __future__ import annotations

import ssl
import sys
import tomllib
from pathlib import Path

import pytest

from tests.pythons.interpreters import ask, interpreters
from tests.pythons.table import BEGIN, END, Result, counted, minors, rewritten
from tests.sources import ROOT

OLD = Result("3.11.2", "3.0.20", "Debian bookworm", 5728, 0, 8)
NEW = Result("3.14.8", "3.6.5", "Debian forky", 5727, 1, 0)


def test_the_readme_and_the_package_name_the_same_pythons() -> None:
    named = minors((ROOT / "README.md").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert named == [each.rpartition(" ")[2] for each in project["classifiers"] if ":: Python :: 3." in each]
    assert project["requires-python"] == f">={named[0]}"


def test_a_report_is_counted() -> None:
    report = '<testsuites><testsuite errors="1" failures="2" skipped="3" tests="10" /></testsuites>'
    assert counted(report) == (4, 3, 3)


def test_the_table_of_a_page_is_rewritten() -> None:
    page = rewritten(f"before\n{BEGIN}old\n{END}after\n", [OLD, NEW])
    assert page == (
        f"before\n{BEGIN}| Python | OpenSSL | from | unit tests |\n|---|---|---|---|\n"
        "| 3.11.2 | 3.0.20 | Debian bookworm | 5,728 passed, 8 skipped |\n"
        f"| 3.14.8 | 3.6.5 | Debian forky | 5,727 passed, 1 failed |\n{END}after\n"
    )
    assert minors(page) == ["3.11", "3.14"]


def test_a_page_without_a_place_for_the_table_is_not_touched() -> None:
    with pytest.raises(ValueError, match="no place"):
        rewritten("a page", [OLD])


def test_a_run_without_tests_is_no_success() -> None:
    assert OLD.is_good
    assert not NEW.is_good
    assert not Result("3.13.5", "3.5.9", "Debian trixie", 0, 0, 0).is_good


def test_a_python_is_asked_for_its_version_and_its_openssl(tmp_path) -> None:
    found = ask(Path(sys.executable))
    assert found is not None
    assert found.version == sys.version_info[:3]
    assert found.openssl in ssl.OPENSSL_VERSION
    program = tmp_path / "python3.99"
    program.write_text("#!/bin/sh\necho this is no Python\n")
    program.chmod(0o755)
    assert ask(program) is None
    with pytest.raises(LookupError, match=r"3\.99"):
        interpreters([str(program)])
