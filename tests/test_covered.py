"""The plugin that counts the lines of the library which tests reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources import PACKAGE, ROOT

pytest.importorskip("slipcover", reason="there is none for Python 3.15")

PROGRAM = """
from trioxmpp.text import printable

def test_printable():
    assert printable("a\\tb") == "a b"
"""


def test_a_run_that_reaches_too_little_fails_and_lists_the_lines(tmp_path: Path) -> None:
    """In a process of pytest-xdist, whose figures the plugin adds up; `make test` is a run in one process."""
    program = tmp_path / "test_printable.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider", "-n", "1"]
    command += ["-p", "tests.covered", "--reach-at-least", "99", str(program)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    *_, figure, last = ran.stdout.splitlines()
    assert figure.endswith("% of the lines of the library (at least 99.0 %)")
    assert "1 passed" in last
    source = (PACKAGE / "text.py").read_text().splitlines()
    (line,) = [number for number, text in enumerate(source, 1) if "words = printable(" in text]
    assert f"not reached: trioxmpp/text.py: {line}-{line + 1}" in ran.stdout.splitlines()
