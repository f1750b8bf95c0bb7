"""The output of commands: in colour at a terminal, in plain lines of 80 columns anywhere else."""

from __future__ import annotations

import abc
import importlib.util
import io
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

from .errors import OutputClosed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

__all__ = ["Output", "Plain", "Silent", "Tone", "escape_unprintable", "open_output", "print_line"]

Tone: TypeAlias = Literal["normal", "quiet", "good", "bad", "harm"]

#: The columns of plain lines.
WIDTH = 80

#: The styles of rich for our tones.
STYLES: dict[Tone, str] = {
    "normal": "",
    "quiet": "dim",
    "good": "bold green",
    "bad": "bold red",
    "harm": "bold yellow",
}


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once, to standard output by default. Raises OutputClosed if its reader has closed it.

    BrokenPipeError would be taken for an error of the link to the server.
    """
    try:
        print(text, file=stream or sys.stdout, flush=True)
    except BrokenPipeError as exc:
        raise OutputClosed from exc


def escape_unprintable() -> None:
    """Write characters that the terminal does not know as escapes: names and texts may be in any script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Output(abc.ABC):
    """A place for the output of a command."""

    @abc.abstractmethod
    def line(self, when: float, who: str, text: str, tone: Tone = "normal") -> None:
        """Write one line of a log: the time in seconds, the actor, and the event."""

    @abc.abstractmethod
    def text(self, text: str = "", tone: Tone = "normal") -> None:
        """Write a paragraph."""

    @abc.abstractmethod
    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a small table; its first column holds words, the others figures."""

    @abc.abstractmethod
    def status(self, text: str) -> None:
        """Show the present state; each call replaces the one before. Does nothing without a terminal."""

    @abc.abstractmethod
    def progress(self, text: str) -> None:
        """Tell what is being done now: as the status at a terminal, as a paragraph anywhere else."""


class Silent(Output):
    """Writes nothing."""

    def line(self, when: float, who: str, text: str, tone: Tone = "normal") -> None:
        """See `Output.line`."""

    def text(self, text: str = "", tone: Tone = "normal") -> None:
        """See `Output.text`."""

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """See `Output.table`."""

    def status(self, text: str) -> None:
        """See `Output.status`."""

    def progress(self, text: str) -> None:
        """See `Output.progress`."""


class Plain(Output):
    """Lines for a pipe, a log file or a screen reader."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, when: float, who: str, text: str, tone: Tone = "normal") -> None:
        """See `Output.line`."""
        self._wrap(f"{when:5.1f} s  {who:<7} {text}", indent=" " * 17)

    def text(self, text: str = "", tone: Tone = "normal") -> None:
        """See `Output.text`. Lines after the first one are indented by two columns more."""
        self._wrap(text, indent=" " * (len(text) - len(text.lstrip()) + 2))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """See `Output.table`."""
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for row in (header, ["-" * width for width in widths], *rows):
            first, *others = zip(row, widths, strict=True)
            self._print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]))

    def status(self, text: str) -> None:
        """See `Output.status`: it would fill a log."""

    def progress(self, text: str) -> None:
        """See `Output.progress`."""
        self.text(text)

    def _wrap(self, text: str, indent: str) -> None:
        lines = textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
        for line in lines or [""]:
            self._print(line)

    def _print(self, text: str) -> None:
        print_line(text, self._stream)


class _Coloured(Output):
    """Output by rich: columns that wrap, colours, and a status below."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live

    def line(self, when: float, who: str, text: str, tone: Tone = "normal") -> None:
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        row.add_column(width=8)
        row.add_column(width=8)
        row.add_column()
        row.add_row(Text(f"{when:5.1f} s", "dim"), Text(who, "cyan"), Text(text, STYLES[tone]))
        self._console.print(row)

    def text(self, text: str = "", tone: Tone = "normal") -> None:
        from rich.text import Text

        self._console.print(Text(text, STYLES[tone]))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for index, name in enumerate(header):
            table.add_column(name, justify="right" if index else "left")
        for row in rows:
            table.add_row(*map(Text, row))
        self._console.print(table)

    def status(self, text: str) -> None:
        from rich.text import Text

        self._live.update(Text(text, "reverse"), refresh=True)

    def progress(self, text: str) -> None:
        self.status(text)


@contextmanager
def open_output(*, plain: bool = False) -> Iterator[Output]:
    """Open an `Output` on stdout: plain if `plain` is True, without a terminal, or without rich."""
    if plain or not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        yield Plain(sys.stdout)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    # Only we refresh it: there is no thread that could write between two lines.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _Coloured(console, live)
