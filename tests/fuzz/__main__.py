"""``make fuzz``: ever new hostile input for all that reads what a peer, a proxy or a disk gives.

python -m tests.fuzz [--seconds N] [--seed N] [target ...]

The inputs are changed copies of those in ``tests/fuzz/corpus``. An input that fails is made smaller and written to
``build/fuzz``; once the fault is mended, it belongs into the corpus. With `atheris` installed and ``--guided TARGET``,
that chooses the inputs of one target, by what code they reach, and runs until it is stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
import sys
import time
import traceback

from tests.fuzz.fuzzing import failure_of, kind_of, smaller
from tests.fuzz.mutation import Mutator
from tests.fuzz.targets.everything import CORPUS, TARGETS, corpus_of
from tests.sources import ROOT

#: Seconds for one input, beyond which it is reported as slow.
SLOW = 2.0
FOUND = ROOT / "build" / "fuzz"


def fuzz(name: str, seconds: float, chance: random.Random) -> int:
    """Try inputs of a target for a time. Return the number of different failures."""
    target, mutator = TARGETS[name], Mutator(corpus_of(name), chance)
    found, tried, until = set(), 0, time.monotonic() + seconds
    while (began := time.monotonic()) < until:
        data = mutator.next()
        failure = failure_of(target, data)
        tried += 1
        if (took := time.monotonic() - began) > SLOW:
            print(f"{name}: {took:.1f} seconds for {keep(name, data)}")
        if failure is not None and kind_of(failure) not in found:
            found.add(kind_of(failure))
            print(f"{name}: {keep(name, smaller(target, data))}")
            traceback.print_exception(failure, limit=-4)
    print(f"{name}: {tried} inputs, {len(found)} failures", flush=True)
    return len(found)


def keep(name: str, data: bytes) -> str:
    """Write an input down, and return where."""
    path = FOUND / name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path.relative_to(ROOT))


def guided(name: str) -> None:
    """Let atheris choose the inputs. Does not return."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: without it the inputs are chosen by chance, without --guided")
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Read hostile input.")
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=600, help="for all targets together")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--guided", choices=list(TARGETS), metavar="TARGET", help="have atheris choose the inputs")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    logging.disable()
    if options.guided:
        guided(options.guided)
    names = options.targets or list(TARGETS)
    print(f"seed {options.seed}, {options.seconds / len(names):.0f} seconds for each of {len(names)} targets")
    chance = random.Random(options.seed)
    failures = sum(fuzz(name, options.seconds / len(names), chance) for name in names)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
