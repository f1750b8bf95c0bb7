"""``make test-pythons``: the unit tests on every Python that is here, and the table of README.md.

python -m tests.pythons [--pytest OPTIONS] [PYTHON ...]

PYTHON is a minor version, such as 3.14, or the path of a program. Each Python has a virtual environment in
``build/pythons``. The table is rewritten if the tests passed, and no Python of the table was left out.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.pythons.interpreters import BUILD, Interpreter, interpreters
from tests.pythons.table import Result, counted, minors, rewritten, table
from tests.sources import ROOT

README = ROOT / "README.md"

#: Not unit tests; or, as for type checkers, not about the Python that runs them.
LEFT_OUT = ("e2e", "proof", "benchmarks", "typing")


def prepared(interpreter: Interpreter, extra: str) -> Path:
    """Return the program of a virtual environment in which the library is installed with `extra`."""
    venv = BUILD / f"venv-{interpreter.minor}"
    made = f"{venv.relative_to(ROOT)}/.installed-{extra}"
    variables = [f"PYTHON={interpreter.program}", f"VENV={venv.relative_to(ROOT)}"]
    subprocess.run(["make", "--no-print-directory", *variables, made], cwd=ROOT, check=True)
    return venv / "bin" / "python"


def tried(interpreter: Interpreter, options: list[str]) -> Result:
    """Run the unit tests on one Python."""
    report = BUILD / f"{interpreter.minor}.xml"
    report.unlink(missing_ok=True)
    command = [prepared(interpreter, "unit"), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command += [f"--ignore=tests/{each}" for each in LEFT_OUT]
    subprocess.run([*command, *options, "tests"], cwd=ROOT, env={**os.environ, "CI": "true"}, check=False)
    counts = counted(report.read_text()) if report.exists() else (0, 1, 0)
    return Result(".".join(map(str, interpreter.version)), interpreter.openssl, interpreter.origin, *counts)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pythons", description="Run the unit tests on each Python.")
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", help="a minor version, or the path of a program")
    parser.add_argument("--pytest", default="", metavar="OPTIONS", help="more options for pytest")
    options = parser.parse_args()
    try:
        chosen = interpreters(options.pythons)
    except LookupError as exc:
        parser.error(str(exc))
    results = []
    for interpreter in chosen:
        print(f"--- Python {interpreter.minor} ({interpreter.program})", flush=True)
        results.append(tried(interpreter, shlex.split(options.pytest)))
    print(table(results), end="")
    if not all(each.is_good for each in results):
        return 1
    page = README.read_text()
    if missing := set(minors(page)) - {interpreter.minor for interpreter in chosen}:
        print(f"README.md is as it was: it also names {', '.join(sorted(missing))}")
    else:
        README.write_text(rewritten(page, results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
