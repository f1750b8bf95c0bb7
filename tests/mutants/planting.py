"""Small defects that are planted in a copy of the library, to see that the tests which are named for them fail.

A mutant names no file: its snippet is found wherever it stands, so that code may move. White space at the ends of
lines and how deep they are indented do not matter.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Mutant", "NotPlanted"]


class NotPlanted(LookupError):
    """The snippet is nowhere, or in more than one place, or what comes of it is no Python."""


class Mutant(NamedTuple):
    """Puts `new` in the place of `old`, which stands in exactly one place of the library."""

    name: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    """Files below ``tests``, or tests in them: at least one of these tests has to fail."""
    also: tuple[tuple[str, str], ...] = ()
    """Further replacements, for behaviour that more than one line sees to."""

    def planted(self, sources: Mapping[Path, str]) -> dict[Path, str]:
        """The files that change, with their new texts. Raises NotPlanted."""
        changed: dict[Path, str] = {}
        for old, new in ((self.old, self.new), *self.also):
            path, text = self._replaced({**sources, **changed}, old, new)
            changed[path] = text
        for path, text in changed.items():
            try:
                compile(text, str(path), "exec")
            except SyntaxError as exc:
                raise NotPlanted(f"{self.name}: {exc}") from None
        return changed

    def plant(self, tree: Path) -> dict[Path, str]:
        """Make the change in a copy of the repository; return what was in the files. Raises NotPlanted."""
        sources = {path: path.read_text() for path in sorted((tree / "trioxmpp").rglob("*.py"))}
        changed = self.planted(sources)
        for path, text in changed.items():
            path.write_text(text)
        return {path: sources[path] for path in changed}

    def _replaced(self, sources: Mapping[Path, str], old: str, new: str) -> tuple[Path, str]:
        places = [(path, match) for path, source in sources.items() for match in _places(source, old)]
        if len(places) != 1:
            raise NotPlanted(f"{self.name}: the snippet stands in {len(places)} places: {old.strip()!r}")
        ((path, match),) = places
        source = sources[path]
        line = source[source.rfind("\n", 0, match.start()) + 1 : match.start()]
        indent = line if not line.strip() else line[: len(line) - len(line.lstrip())]
        text = textwrap.dedent(new).strip("\n").replace("\n", f"\n{indent}")
        return path, source[: match.start()] + text.rstrip() + source[match.end() :]


def _places(source: str, snippet: str) -> Iterator[re.Match[str]]:
    lines = [re.escape(line.strip()) for line in snippet.strip().splitlines()]
    return re.finditer(r"[ \t]*\n[ \t]*".join(lines), source)
