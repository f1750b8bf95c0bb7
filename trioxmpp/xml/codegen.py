"""Functions that the library writes, as a person would have written them by hand."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Source", "label"]


class Source:
    """The lines of some functions, and the values that they refer to by name."""

    def __init__(self, **names: Any) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = names
        self._depth = 0

    def bind(self, value: Any) -> str:
        """Return how to refer to `value`: its literal for None and booleans, or else a new name."""
        if value is None or value is True or value is False:
            return repr(value)
        name = f"_{len(self.names)}"
        self.names[name] = value
        return name

    def add(self, depth: int, line: str) -> None:
        """Add a line at this depth of indentation."""
        self.lines.append("    " * (depth + self._depth) + line)

    @contextmanager
    def indented(self, by: int) -> Iterator[None]:
        """Add lines deeper by `levels` within this block."""
        self._depth += by
        yield
        self._depth -= by

    def compile(self, what: str) -> dict[str, Any]:
        """Return the names that the lines define; debuggers and tracebacks show their source."""
        text = "\n".join(self.lines) + "\n"
        entry = (len(text), None, text.splitlines(keepends=True))
        filename, number = f"<{what}>", 1
        # Two classes of the same name, made in a function, get different file names unless their source is the same.
        while linecache.cache.setdefault(filename, (*entry, filename))[2:3] != entry[2:]:
            number += 1
            filename = f"<{what} #{number}>"
        exec(compile(text, filename, "exec"), self.names)
        return self.names


def label(what: str, cls: type[Any]) -> str:
    """Return what the generated source is called in a traceback."""
    return f"xml {what} of {cls.__module__}.{cls.__qualname__}"
