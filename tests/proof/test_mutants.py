"""The proof notices what it should: with a defect planted on purpose, it fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.planting import Mutant
from tests.proof.mutants import MUTANTS

ROOT = Path(__file__).parents[2]
PROVED = ["tests/proof/test_counters.py", "tests/proof/test_running_stream.py"]


def prove(tree: Path, programs: int) -> subprocess.CompletedProcess[str]:
    """Run the proof on the copy in `tree`, with the programs of `make test` first; they are always the same."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRIOXMPP_")}
    environ["TRIOXMPP_PROGRAMS"] = str(programs)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=planted", *PROVED]
    return subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, check=False, timeout=200)


@pytest.mark.skipif(not os.environ.get("TRIOXMPP_PROOF"), reason="runs the proof once for each defect: `make proof`")
@pytest.mark.parametrize("mutant", [None, *MUTANTS], ids=lambda mutant: mutant.name if mutant else "none")
def test_a_planted_defect_is_found(tmp_path, capsys, mutant: Mutant | None):
    """And without one the same copy passes, so that it is the defect which is found."""
    for name in ("trioxmpp", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if mutant is not None:
        mutant.plant(tmp_path)
    result = prove(tmp_path, 200 if mutant is None else 2000)
    assert result.returncode == (0 if mutant is None else 1), result.stdout + result.stderr
    found = re.findall(r"^(.*): .* programs.*first to fail was number (\d+)", result.stdout, re.MULTILINE)
    assert mutant is None or found, result.stdout
    with capsys.disabled():
        where = ", ".join(f"{machine} at program {number}" for machine, number in found) or "nothing found"
        print(f"\n  planted: {mutant.name if mutant else 'nothing'}: {where}")
