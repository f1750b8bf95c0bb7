"""``make release``: what was built is installed into empty environments of each Python that is here, and tried.

python -m tests.pythons.release [PYTHON ...]

Without extras, the command line shows its help and two clients talk. With all extras for users, every module can be
imported. An extra that a Python cannot have yet is left out there, and the output says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tests.pythons.interpreters import Interpreter, interpreters
from tests.sources import ROOT

DIST, BUILD = ROOT / "dist", ROOT / "build" / "release"
PROGRAM = Path(__file__).with_name("installed.py")

#: The extras that serve this repository, and not its users.
REPOSITORY = {"bench", "demo", "dev", "docs", "release", "unit"}

#: The extras that need a package without a wheel for a new Python, and our package for each. To build one takes a
#: compiler and the headers of that Python, which a user has no need of otherwise.
NO_WHEEL_YET = {"3.15": {"omemo": "trioxmpp.im.omemo"}}


def extras(minor: str) -> str:
    """Return the extras for users of this Python, as pip takes them."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return ",".join(sorted(known.keys() - REPOSITORY - NO_WHEEL_YET.get(minor, {}).keys()))


def empty_environment(interpreter: Interpreter) -> Path:
    """Make a virtual environment, and return its folder of programs."""
    venv = BUILD / f"venv-{interpreter.minor}"
    shutil.rmtree(venv, ignore_errors=True)
    python = f"{venv.relative_to(ROOT)}/bin/python"
    variables = [f"PYTHON={interpreter.program}", f"VENV={venv.relative_to(ROOT)}"]
    subprocess.run(["make", "--no-print-directory", *variables, python], cwd=ROOT, check=True)
    return venv / "bin"


def trouble_with(file: Path, programs: Path, minor: str) -> str | None:
    """Install `file` for a Python and try it. Return the output of the command that failed, or None."""
    python, pip = programs / "python", [programs / "python", "-m", "pip", "install", "--quiet"]
    commands = [
        [*pip, file],
        [programs / "trioxmpp", "--help"],
        [python, "-I", "-W", "error", PROGRAM, "talk"],
        [*pip, f"{file}[{extras(minor)}]"],
        [python, "-I", PROGRAM, "import", *NO_WHEEL_YET.get(minor, {}).values()],
    ]
    with tempfile.TemporaryDirectory() as elsewhere:
        for command in commands:
            done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
            if done.returncode != 0 or ("--help" in command and "usage: trioxmpp" not in done.stdout):
                return f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return None


def main() -> int:
    files = [*DIST.glob("*.whl"), *DIST.glob("*.tar.gz")]
    if len(files) != 2:
        print(f"{DIST} must hold one wheel and one sdist")
        return 1
    failed = False
    for interpreter in interpreters(sys.argv[1:]):
        for file in files:
            trouble = trouble_with(file, empty_environment(interpreter), interpreter.minor)
            left_out = "".join(f", without {extra}" for extra in NO_WHEEL_YET.get(interpreter.minor, ()))
            outcome = trouble or f"works{left_out}"
            print(f"{file.name} on Python {interpreter.minor}: {outcome}", flush=True)
            failed = failed or trouble is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
