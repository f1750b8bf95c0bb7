"""``make fuzz``: ever new hostile input for all that reads what a peer, a proxy or a disk gives.

python -m tests.fuzz [--seconds N] [--seed N] [--by-chance] [target ...]

The inputs are changed copies of those in ``tests/fuzz/corpus``. An input that fails is made smaller and written to
``build/fuzz``; once the fault is mended, it belongs into the corpus. With `atheris` installed (``pip install atheris``,
for Python 3.11 to 3.13 on Linux), that chooses the inputs by what code they reach; without, or with ``--by-chance``,
they are chosen by chance.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import random
import subprocess
import sys
import time

from tests.fuzz.fuzzing import FOUND, Findings
from tests.fuzz.mutation import Mutator
from tests.fuzz.targets.everything import TARGETS, corpus_of
from tests.sources import ROOT


def by_chance(name: str, seconds: float, seed: int) -> bool:
    """Try inputs of a target for a time. Return whether none failed."""
    findings, mutator = Findings(name, TARGETS[name]), Mutator(corpus_of(name), random.Random(f"{seed} {name}"))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        findings.take(mutator.next())
    findings.tell()
    return not findings.failures


def guided(name: str, seconds: float, seed: int) -> bool:
    """Do the same in a process of its own, in which atheris sees what code an input reaches."""
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(seconds), str(seed)]
    FOUND.mkdir(parents=True, exist_ok=True)
    with (FOUND / f"{name}.log").open("wb") as log:  # libFuzzer tells much
        return subprocess.run(command, cwd=ROOT, check=False, stderr=log).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Read hostile input.")
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=600, help="for all targets together")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--by-chance", action="store_true", help="without atheris, though it is installed")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    logging.disable()
    names = options.targets or list(TARGETS)
    fuzz = by_chance if options.by_chance or importlib.util.find_spec("atheris") is None else guided
    share = options.seconds / len(names)
    print(f"seed {options.seed}, {share:.0f} seconds for each of {len(names)} targets, {fuzz.__name__}", flush=True)
    good = [fuzz(name, share, options.seed) for name in names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
