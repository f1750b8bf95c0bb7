"""Functions written by the library, as a person would have written them by hand."""

from __future__ import annotations

import linecache
from typing import Any

__all__ = ["Source", "label"]


class Source:
    """Lines of a function, and the values that they refer to by name."""

    def __init__(self, **names: Any) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = names

    def bind(self, value: Any) -> str:
        """How to refer to `value`: by itself if that is as good, or by a new name."""
        if value is None or value is True or value is False:
            return repr(value)
        name = f"_{len(self.names)}"
        self.names[name] = value
        return name

    def add(self, depth: int, line: str) -> None:
        """A line at this depth of indentation."""
        self.lines.append("    " * depth + line)

    def compile(self, what: str) -> dict[str, Any]:
        """The names that the lines define, their source visible to debuggers and in tracebacks."""
        text = "\n".join(self.lines) + "\n"
        entry = (len(text), None, text.splitlines(keepends=True))
        filename, number = f"<{what}>", 1
        # Two classes of one name, made in a function, are told apart unless they are the same.
        while linecache.cache.setdefault(filename, (*entry, filename))[2:3] != entry[2:]:
            number += 1
            filename = f"<{what} #{number}>"
        exec(compile(text, filename, "exec"), self.names)
        return self.names


def label(what: str, cls: type[Any]) -> str:
    """How the generated source is called in a traceback."""
    return f"xml {what} of {cls.__module__}.{cls.__qualname__}"
