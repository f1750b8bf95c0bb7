"""The files of a server: those of the system, or a folder into which its packages were unpacked."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import ServerError

__all__ = ["SYSTEM", "Tree", "version_in"]


class Tree:
    """The files below `root`. If it is not the system's, it has all that the server needs, even the C library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_system: bool = root == Path("/")

    def find(self, pattern: str) -> Path | None:
        """Return the last path that matches, in the order of names, or None."""
        return max(self.root.glob(pattern), default=None)

    def get(self, pattern: str) -> Path:
        """Return the last path that matches. Raises ServerError if there is none."""
        found = self.find(pattern)
        if found is None:
            raise ServerError(f"there is no {pattern} in {self.root}")
        return found

    def program(self, path: Path) -> list[str]:
        """Return the command that runs a program of the tree with the libraries of the tree."""
        if self.is_system:
            return [str(path)]
        # Debian has two folders for libraries; a newer release merges one into the other.
        libraries = [*self.root.glob("usr/lib/*-linux-gnu*"), *self.root.glob("lib/*-linux-gnu*")]
        loader = next((found for folder in libraries for found in folder.glob("ld-linux*.so.*")), None)
        if loader is None:
            raise ServerError(f"there is no C library in {self.root}")
        return [str(loader), "--library-path", ":".join(map(str, libraries)), str(path)]


SYSTEM = Tree(Path("/"))


def version_in(text: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version."""
    found = re.match(r"\d+(\.\d+)*", text.strip())
    return tuple(map(int, found[0].split("."))) if found else ()
