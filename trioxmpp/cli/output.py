"""What commands say, and how: in colour to a person at a terminal, in plain lines to everybody else."""

from __future__ import annotations

import abc
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

__all__ = ["Output", "Plain", "Silent", "Tone", "open_output"]

Tone: TypeAlias = Literal["normal", "quiet", "good", "bad", "harm"]

#: Rich's words for our tones.
STYLES: dict[Tone, str] = {
    "normal": "",
    "quiet": "dim",
    "good": "bold green",
    "bad": "bold red",
    "harm": "bold yellow",
}


class Output(abc.ABC):
    """Where a command's words go."""

    @abc.abstractmethod
    def line(self, when: float, who: str, text: str, tone: Tone = "normal") -> None:
        """One line of a log: when in seconds, who, and what."""

    @abc.abstractmethod
    def text(self, text: str = "", tone: Tone = "normal") -> None:
        """A sentence of its own."""

    @abc.abstractmethod
    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A small table; its first column holds words, the others figures."""

    @abc.abstractmethod
    def status(self, text: str) -> None:
        """How things stand just now; each call takes the place of the one before. Only at a terminal."""


class Silent(Output):
    """Says nothing."""

    def line(self, when: float, who: str, text: str, tone: Tone = "normal") -> None:
        """See `Output.line`."""

    def text(self, text: str = "", tone: Tone = "normal") -> None:
        """See `Output.text`."""

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """See `Output.table`."""

    def status(self, text: str) -> None:
        """See `Output.status`."""


class Plain(Output):
    """Lines that a pipe, a log file and a screen reader can do with."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, when: float, who: str, text: str, tone: Tone = "normal") -> None:
        """See `Output.line`."""
        self._print(f"{when:5.1f} s  {who:<7} {text}")

    def text(self, text: str = "", tone: Tone = "normal") -> None:
        """See `Output.text`."""
        self._print(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """See `Output.table`."""
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for row in (header, ["-" * width for width in widths], *rows):
            first, *others = zip(row, widths, strict=True)
            self._print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]))

    def status(self, text: str) -> None:
        """See `Output.status`: there is no place for it here."""

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class _Coloured(Output):
    """The same with rich: columns that wrap, colours, and a status below that is always up to date."""

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


@contextmanager
def open_output(*, plain: bool = False) -> Iterator[Output]:
    """A block with an `Output` on stdout: plain if wanted so, without a terminal, or without rich."""
    if plain or not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        yield Plain(sys.stdout)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    # Refreshed by us alone: no thread, and nothing that could write between two lines.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _Coloured(console, live)
