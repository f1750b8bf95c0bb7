"""Plant each mutant in a copy of the library and run its tests: `make mutants`, or `python -m tests.mutants [word]`.

With a word only the mutants with it in their names are tried. Exits with 1 if one survives or cannot be planted; a
mutant that makes its tests hang counts as found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.everything import MUTANTS
from tests.mutants.planting import Mutant, NotPlanted
from tests.sources import ROOT

WORKERS = max(1, min(4, os.cpu_count() or 1))
PATIENCE = 70
"""Seconds after which the tests of a mutant hang."""


def copy(place: Path) -> Path:
    for name in ("trioxmpp", "tests", "docs"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, place)
    return place


def passes(tree: Path, tests: Iterable[str], patience: float = PATIENCE) -> bool:
    """Whether these tests pass in this copy. Raises ImportError if they cannot run."""
    paths = [f"tests/{test}" for test in tests]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *paths]
    environ = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "CI": "true"}
    try:
        ran = subprocess.run(
            command, cwd=tree, env=environ, capture_output=True, text=True, check=False, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return False
    if ran.returncode in (4, 5):
        raise ImportError(ran.stdout + ran.stderr)
    return ran.returncode == 0


def verdict(mutant: Mutant, trees: SimpleQueue[Path]) -> str:
    """The fate of a mutant, in one line."""
    tree, before = trees.get(), {}
    try:
        before = mutant.plant(tree)
        if passes(tree, mutant.tests):
            return f"SURVIVES: {mutant.name} ({', '.join(mutant.tests)})"
        return f"found: {mutant.name}"
    except NotPlanted as exc:
        return f"NOT PLANTED: {exc}"
    except ImportError:
        return f"NOT PLANTED: {mutant.name}: the library cannot be imported with it"
    finally:
        for path, text in before.items():
            path.write_text(text)
        trees.put(tree)


def main() -> int:
    word = " ".join(sys.argv[1:])
    mutants = [mutant for mutant in MUTANTS if word in mutant.name]
    verdicts = []
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(WORKERS) as pool:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(WORKERS):
            trees.put(copy(Path(place, str(number))))
        named = sorted({test for mutant in mutants for test in mutant.tests})
        if not passes(Path(place, "0"), named, 10 * PATIENCE):
            print("these tests fail without any mutant:", *named)
            return 1
        for line in pool.map(lambda mutant: verdict(mutant, trees), mutants):
            verdicts.append(line)
            print(line, flush=True)
    bad = [line for line in verdicts if not line.startswith("found")]
    print(f"{len(verdicts) - len(bad)} of {len(verdicts)} mutants were found", *bad, sep="\n")
    return bool(bad) or not verdicts


if __name__ == "__main__":
    sys.exit(main())
