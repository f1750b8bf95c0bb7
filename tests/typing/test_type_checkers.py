"""mypy and pyright know what a declaration means, and find the mistakes of a newcomer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SAMPLES = [Path(__file__).parent / name for name in ("declared.py", "declared_forms.py", "newcomer.py", "owners.py")]
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


def mypy(samples: list[Path], cache: Path) -> Iterator[tuple[str, int, str]]:
    output = run("mypy", "--strict", "--follow-imports=silent", f"--cache-dir={cache}", *map(str, samples))
    for line in output.splitlines():
        if match := re.search(r"(\w+)\.py:(\d+): (error|note): (.*)", line):
            revealed = re.search(r'Revealed type is "(.*)"', match[4])
            if revealed is not None:
                yield match[1], int(match[2]), plain(revealed[1])
            elif match[3] == "error":
                yield match[1], int(match[2]), "wrong"


def pyright(samples: list[Path], elsewhere: Path) -> Iterator[tuple[str, int, str]]:
    (elsewhere / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    output = run("pyright", "--outputjson", "--pythonpath", sys.executable, *map(str, samples), cwd=elsewhere)
    for diagnostic in json.loads(output)["generalDiagnostics"]:
        name, number = Path(diagnostic["file"]).stem, diagnostic["range"]["start"]["line"] + 1
        revealed = re.search(r'Type of ".*" is "(.*)"', diagnostic["message"])
        if revealed is not None:
            yield name, number, plain(revealed[1])
        elif diagnostic["severity"] == "error":
            yield name, number, "wrong"


def compare(found: Iterable[tuple[str, int, str]]) -> None:
    """Report each line of the samples that means something else than its comment says."""
    found_all = set(found)
    expected_all = {(sample.stem, *finding) for sample in SAMPLES for finding in expected(sample)}
    missed = [f"{name}.py:{number}: not {what}" for name, number, what in sorted(expected_all - found_all)]
    beyond = [f"{name}.py:{number}: {what}" for name, number, what in sorted(found_all - expected_all)]
    assert not missed + beyond, "\n".join(missed + beyond)


def test_mypy(tmp_path: Path) -> None:
    compare(mypy(SAMPLES, tmp_path))


def test_pyright(tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    compare(pyright(SAMPLES, tmp_path))
