"""Persons at the chat program of docs/examples, each with a keyboard and a screen."""

from __future__ import annotations

import runpy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import trio

from trioxmpp import FileStore

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def example(name: str) -> dict[str, Any]:
    """The names of an example. It imports others from its own folder, as a program that runs does."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return runpy.run_path(str(EXAMPLES / name))
    finally:
        sys.path.remove(str(EXAMPLES))
        sys.modules.pop("history", None)


class Person:
    """A person at the program."""

    def __init__(self) -> None:
        self.screen: list[str] = []
        self.keyboard, self.lines = trio.open_memory_channel[str](0)

    async def types(self, *lines: str, wait: float = 1.0) -> None:
        """Type lines; after each one look at the screen for a second."""
        for line in lines:
            self.screen.append(f"> {line}")
            await self.keyboard.send(line + "\n")
            await trio.sleep(wait)

    async def until(self, line: str, patience: float = 20.0) -> None:
        """Wait, in real time, until the screen shows a line."""
        with trio.move_on_after(patience):
            while line not in self.screen:  # noqa: ASYNC110  # a screen sends no events
                await trio.sleep(0.02)
        assert line in self.screen, self.screen

    @property
    def settled(self) -> list[str]:
        """The screen without receipts that a displayed mark follows at once: it may as well overtake them."""
        after = [*self.screen[1:], ""]
        return [line for line, next in zip(self.screen, after, strict=True) if not _is_receipt(line, next)]


def _is_receipt(line: str, next: str) -> bool:
    return line.startswith("* received: ") and next == line.replace("received", "displayed", 1)


@asynccontextmanager
async def at_the_program(
    user: str, directory: Path, *, domain: str = "example.test", password: str = "secret", **options: Any
) -> AsyncIterator[Person]:
    """A block with a person at the program; what it keeps is in `directory`. It ends with the block."""
    program, person = example("chat.py"), Person()
    async with trio.open_nursery() as nursery:
        with closing(program["History"](directory / "history.db")) as history:

            async def run() -> None:
                address, store = f"{user}@{domain}/{user}", FileStore(directory / "session")
                keyboard, screen = person.lines, person.screen.append
                await program["chat"](address, password, history, keyboard, screen, store=store, **options)

            nursery.start_soon(run)
            await trio.sleep(1)
            yield person
            nursery.cancel_scope.cancel()
