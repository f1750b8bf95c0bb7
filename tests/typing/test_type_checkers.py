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
SAMPLES = [Path(__file__).parent / name for name in ("declared.py", "declared_forms.py")]
EXPECTED = re.compile(r"# (?:is: (?P<type>.+)|(?P<wrong>wrong))$")

# The number of a line, and the type that was revealed there, or "wrong".
Findings = set[tuple[int, str]]


def expected(sample: Path) -> Findings:
    lines = enumerate(sample.read_text().splitlines(), 1)
    return {(number, match["type"] or "wrong") for number, line in lines if (match := EXPECTED.search(line))}


def plain(revealed: str) -> str:
    """Return a type as people write it: without its module, in one spelling."""
    revealed = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", revealed)
    return re.sub(r"\bUnion\[(.+)\]$", lambda match: match[1].replace(", ", " | "), revealed)


def run(*command: str, cwd: Path = ROOT) -> str:
    ran = subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr  # 1: it found errors, as it should
    return ran.stdout


def mypy(sample: Path, cache: Path) -> Iterator[tuple[int, str]]:
    output = run("mypy", "--strict", "--follow-imports=silent", f"--cache-dir={cache}", str(sample))
    for line in output.splitlines():
        if match := re.search(r"declared\w*\.py:(\d+): (error|note): (.*)", line):
            revealed = re.search(r'Revealed type is "(.*)"', match[3])
            if revealed is not None:
                yield int(match[1]), plain(revealed[1])
            elif match[2] == "error":
                yield int(match[1]), "wrong"


def pyright(sample: Path, elsewhere: Path) -> Iterator[tuple[int, str]]:
    (elsewhere / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    output = run("pyright", "--outputjson", "--pythonpath", sys.executable, str(sample), cwd=elsewhere)
    for diagnostic in json.loads(output)["generalDiagnostics"]:
        number = diagnostic["range"]["start"]["line"] + 1
        revealed = re.search(r'Type of ".*" is "(.*)"', diagnostic["message"])
        if revealed is not None:
            yield number, plain(revealed[1])
        elif diagnostic["severity"] == "error":
            yield number, "wrong"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_mypy(sample: Path, tmp_path: Path) -> None:
    assert set(mypy(sample, tmp_path)) == expected(sample)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_pyright(sample: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    assert set(pyright(sample, tmp_path)) == expected(sample)
