"""Which Pythons are here: those that `newer.sh` has unpacked, those of the PATH, and those that pyenv has built."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.sources import ROOT

BUILD = ROOT / "build" / "pythons"

#: The oldest minor version of Python 3 that the library supports, and one that will not be there soon.
OLDEST, NEWEST = 11, 30

_ASK = """
import json, ssl, sys
print(json.dumps([sys.version_info[:3], ssl.OPENSSL_VERSION, sys.version_info.releaselevel]))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python: its program, its version such as ``(3, 14, 0)``, and the version of its OpenSSL such as ``3.5.1``."""

    program: Path
    version: tuple[int, ...]
    openssl: str

    @property
    def minor(self) -> str:
        """Its version without the last number, such as ``3.14``."""
        return ".".join(map(str, self.version[:2]))

    @property
    def origin(self) -> str:
        """Where it is from, in words."""
        if self.program.is_relative_to(BUILD):
            return f"Debian {self.program.relative_to(BUILD).parts[0].partition('-')[2]}"
        return "pyenv" if "versions" in self.program.parts else "this machine"


def candidates() -> Iterator[Path]:
    """Give the programs that may be Pythons, those first that are to be preferred."""
    names = [f"python3.{minor}" for minor in range(OLDEST, NEWEST)]
    yield from sorted(path for name in names for path in BUILD.glob(f"{name}-*/usr/bin/{name}"))
    yield from (Path(folder) / name for name in names for folder in os.get_exec_path())
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(path for name in names for path in pyenv.glob(f"versions/*/bin/{name}"))


def ask(program: Path) -> Interpreter | None:
    """Return what the program is; None unless it is a released Python that the library supports."""
    try:
        asked = subprocess.run([program, "-c", _ASK], capture_output=True, text=True, timeout=60, check=False)
        version, openssl, level = json.loads(asked.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if level != "final" or tuple(version) < (3, OLDEST):
        return None
    return Interpreter(program, tuple(version), openssl.split()[1])


def interpreters(wanted: Iterable[str] = ()) -> list[Interpreter]:
    """Return one Python of each minor version that is here, oldest first.

    With `wanted`, return these: minor versions such as ``3.14``, or programs. Raises LookupError if one is not here.
    """
    found: dict[str, Interpreter] = {}
    for program in candidates():
        if program.exists() and (interpreter := ask(program)) is not None:
            found.setdefault(interpreter.minor, interpreter)
    chosen = []
    for each in wanted:
        interpreter = found.get(each) or ask(Path(each))
        if interpreter is None:
            raise LookupError(f"{each} is no Python that is here; there are {', '.join(found)}")
        chosen.append(interpreter)
    return sorted(chosen or found.values(), key=lambda interpreter: interpreter.version)
