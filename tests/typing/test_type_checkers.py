"""That mypy and pyright know what a declaration means."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SAMPLE = Path(__file__).parent / "declared.py"
EXPECTED = re.compile(r"# (?:is: (?P<type>.+)|(?P<wrong>wrong))$")

# What is said of a line: its number, and the type that was revealed or "wrong".
Said = set[tuple[int, str]]


def expected() -> Said:
    lines = enumerate(SAMPLE.read_text().splitlines(), 1)
    return {(number, match["type"] or "wrong") for number, line in lines if (match := EXPECTED.search(line))}


def plain(revealed: str) -> str:
    """A type as people write it: without its module, in one spelling."""
    revealed = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", revealed)
    return re.sub(r"\bUnion\[(.+)\]$", lambda match: match[1].replace(", ", " | "), revealed)


def run(*command: str, cwd: Path = ROOT) -> str:
    ran = subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr  # 1: it found errors, as it should
    return ran.stdout


def mypy(cache: Path) -> Iterator[tuple[int, str]]:
    said = run("mypy", "--strict", "--follow-imports=silent", f"--cache-dir={cache}", str(SAMPLE))
    for line in said.splitlines():
        if match := re.search(r"declared\.py:(\d+): (error|note): (.*)", line):
            revealed = re.search(r'Revealed type is "(.*)"', match[3])
            if revealed is not None:
                yield int(match[1]), plain(revealed[1])
            elif match[2] == "error":
                yield int(match[1]), "wrong"


def pyright(elsewhere: Path) -> Iterator[tuple[int, str]]:
    said = run("pyright", "--outputjson", "--pythonpath", sys.executable, str(SAMPLE), cwd=elsewhere)
    for diagnostic in json.loads(said)["generalDiagnostics"]:
        number = diagnostic["range"]["start"]["line"] + 1
        revealed = re.search(r'Type of ".*" is "(.*)"', diagnostic["message"])
        if revealed is not None:
            yield number, plain(revealed[1])
        elif diagnostic["severity"] == "error":
            yield number, "wrong"


def test_mypy(tmp_path: Path) -> None:
    assert set(mypy(tmp_path)) == expected()


def test_pyright(tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    assert set(pyright(tmp_path)) == expected()
