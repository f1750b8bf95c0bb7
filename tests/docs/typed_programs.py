"""mypy over the programs of README.md and docs: ``python -m tests.docs.typed_programs``.

Each program of a page is written to a file of its own in build/pages, at the lines that it has on the page, so that
mypy says where on the page a mistake is. Programs need no annotations: mypy checks the bodies of their functions, too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.sources import ROOT

__all__ = ["complaints", "written"]

PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLDER = ROOT / "build" / "pages"

#: Pages that show lines of another library beside ours, which are no programs.
WITHOUT_PROGRAMS = {"seed.md"}

#: The names by which a page says to save its programs, since one imports the other.
SAVED_AS = {("extending.md", 1): "weather.py"}

#: The rules for the library that do not hold for a page. The cache of mypy is the same, which halves the time.
OPTIONS = (
    "--allow-untyped-defs",
    "--allow-incomplete-defs",
    "--allow-untyped-calls",
    "--check-untyped-defs",
    "--disable-error-code=var-annotated",
)


def written(pages: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Write each program of `pages` to a file in `folder`; return the page of each file."""
    files = {}
    for page in pages:
        text = page.read_text()
        for number, found in enumerate(PROGRAM.finditer(text), 1):
            name = SAVED_AS.get((page.name, number), f"{page.stem.lower().replace('-', '_')}_{number}.py")
            (folder / name).write_text("\n" * text.count("\n", 0, found.start(1)) + found[1])
            files[name] = page
    return files


def complaints(output: str, pages: Mapping[str, Path]) -> Iterator[str]:
    """Yield the lines of mypy, with the page in place of the file that was written for it."""
    for line in output.splitlines():
        file, _, rest = line.partition(":")
        page = pages.get(Path(file).name)
        yield line if page is None else f"{page.relative_to(ROOT)}:{rest}"


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    docs = [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in WITHOUT_PROGRAMS]
    pages = written([ROOT / "README.md", *docs], FOLDER)
    status = 0
    for folder in (FOLDER, ROOT / "docs" / "examples"):  # one after the other: both have a module `weather`
        command = [sys.executable, "-m", "mypy", *OPTIONS, *map(str, sorted(folder.glob("*.py")))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        print(*complaints(done.stdout + done.stderr, pages if folder == FOLDER else {}), sep="\n")
        status = status or done.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
