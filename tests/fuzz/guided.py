"""One target, with inputs that atheris chooses by what code of the library they reach.

python -m tests.fuzz.guided TARGET SECONDS SEED

Inputs that reach new code are kept in ``build/fuzz/reached``, for the next run. A failure does not end the run.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time

import atheris

from tests.fuzz.fuzzing import FOUND, Findings
from tests.fuzz.mutation import MAX_INPUT, Mutator

with atheris.instrument_imports(include=["trioxmpp"]):
    from tests.fuzz.targets.everything import CORPUS, TARGETS, corpus_of


def main(name: str, seconds: str, seed: str) -> None:
    """Fuzz one target. Ends the process: with 0 if nothing failed."""
    logging.disable()
    findings, chance = Findings(name, TARGETS[name]), random.Random(f"{seed} {name}")
    mutator = Mutator(corpus_of(name), chance)
    reached = FOUND / "reached" / name
    reached.mkdir(parents=True, exist_ok=True)

    def mutated(data: bytes, longest: int, seed: int) -> bytes:
        """Change an input, as libFuzzer does or as our own mutator does, which knows what parsers treat specially."""
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, longest))
        return mutator.changed(data)[:longest]

    until = time.monotonic() + float(seconds)

    def take(data: bytes) -> None:
        findings.take(data)
        if time.monotonic() > until:
            findings.tell()
            os._exit(1 if findings.failures else 0)  # libFuzzer ends a process in no other way

    quiet = ["-verbosity=0", f"-seed={seed}"]
    folders = [str(reached), str(CORPUS / name)]
    atheris.Setup([sys.argv[0], *quiet, f"-max_len={MAX_INPUT}", *folders], take, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
