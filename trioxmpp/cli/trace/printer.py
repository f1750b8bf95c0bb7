"""The lines of a trace: in colour at a terminal, plain anywhere else."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..output import print_line
from ..terminal import for_terminal

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Line", "Printer", "open_printer", "plain_line"]

#: ``"in"`` and ``"out"`` are XML from and to the server; ``"note"`` tells of the connection.
Line: TypeAlias = Literal["in", "out", "note"]

#: Called with each line: its kind, the seconds since the command began, and the text.
Printer: TypeAlias = Callable[[Line, float, str], object]

_ARROWS: dict[Line, str] = {"in": "<-", "out": "->", "note": "--"}
_COLOURS: dict[Line, str] = {"in": "green", "out": "cyan", "note": "yellow"}

#: Names of tags, names of attributes, and their values.
_XML = (
    (r"</?[^\s/>]+|/?>", "bold"),
    (r"(?<=\s)[\w:.-]+(?==['\"])", "italic"),
    (r"=(?:'[^']*'|\"[^\"]*\")", "dim"),
)


def plain_line(kind: Line, seconds: float, text: str) -> None:
    """Print a line without colours. Raises OutputClosed if the reader of the output has left."""
    print_line(f"{seconds:8.3f} {_ARROWS[kind]} {for_terminal(text, len(text))}")


def open_printer(*, plain: bool = False) -> Printer:
    """Return a printer for standard output: plain if `plain` is True, without a terminal, or without rich."""
    if plain or not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        return plain_line
    from rich.console import Console

    # A line is not cut at the width of the terminal: it can be copied as a whole.
    console = Console(highlight=False, soft_wrap=True)

    def print_coloured(kind: Line, seconds: float, text: str) -> None:
        console.print(coloured_line(kind, seconds, text))

    return print_coloured


def coloured_line(kind: Line, seconds: float, text: str) -> Text:
    """Return a line with colours: one for each direction, and the parts of the XML told apart."""
    from rich.text import Text

    shown = Text(for_terminal(text, len(text)), _COLOURS[kind])
    if kind != "note":
        for pattern, style in _XML:
            shown.highlight_regex(pattern, style)
    return Text.assemble((f"{seconds:8.3f} ", "dim"), (f"{_ARROWS[kind]} ", f"bold {_COLOURS[kind]}"), shown)
