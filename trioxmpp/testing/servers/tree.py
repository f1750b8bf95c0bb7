"""Where the files of a server are: those of the system, or a folder that its packages were unpacked into."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import ServerError

__all__ = ["SYSTEM", "Tree", "version_in"]


class Tree:
    """All that a server needs, below `root`; if that is not the system's, down to the C library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_system = root == Path("/")

    def find(self, pattern: str) -> Path | None:
        """The last of those that match, in the order of their names."""
        return max(self.root.glob(pattern), default=None)

    def get(self, pattern: str) -> Path:
        """The last of those that match. Raises ServerError if there is none."""
        found = self.find(pattern)
        if found is None:
            raise ServerError(f"there is no {pattern} in {self.root}")
        return found

    def program(self, path: Path) -> list[str]:
        """The command that runs a program of the tree, with the libraries that belong to it."""
        if self.is_system:
            return [str(path)]
        # Of Debian's two places for libraries, of which it merged one into the other.
        libraries = [*self.root.glob("usr/lib/*-linux-gnu*"), *self.root.glob("lib/*-linux-gnu*")]
        loader = next((found for folder in libraries for found in folder.glob("ld-linux*.so.*")), None)
        if loader is None:
            raise ServerError(f"there is no C library in {self.root}")
        return [str(loader), "--library-path", ":".join(map(str, libraries)), str(path)]


SYSTEM = Tree(Path("/"))


def version_in(text: str) -> tuple[int, ...]:
    """The numbers that a version begins with."""
    found = re.match(r"\d+(\.\d+)*", text.strip())
    return tuple(map(int, found[0].split("."))) if found else ()
