"""The programs in docs/examples, run as they are, in this process: on the embedded server and on real ones.

    @on_every_server
    async def test_a_message_arrives(place):
        await place.run("send.py", place.jid(0), place.jid(1), "Hello")

A program runs as ``python send.py ARGUMENTS`` would, up to its ``trioxmpp.run(main)``: its `main` is awaited here, with
the arguments of that command line, and the server of the test as additional options. So each program takes
``**options``, those of `connect`.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.bench import Bench
from trioxmpp.program.commandline import arguments as program_arguments

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"

COMPONENT = "echo.example.test"
SECRET = "s3cret"

#: Seconds that a program may take to print what a test waits for.
PATIENCE = 30.0


class Printed:
    """The lines that a program has printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = trio.lowlevel.ParkingLot()

    def print(self, *values: object, sep: str = " ") -> None:
        """Take the place of `print`."""
        self.lines += sep.join(map(str, values)).splitlines()
        self._changed.unpark_all()

    async def shows(self, *texts: str, within: float) -> bool:
        """Wait until each text is part of a line, for `within` seconds; return whether each one was found."""
        with trio.move_on_after(within):
            while any(not any(text in line for line in self.lines) for text in texts):
                await self._changed.park()
            return True
        return False

    async def until(self, *texts: str) -> None:
        """Wait until each text is part of a line."""
        assert await self.shows(*texts, within=PATIENCE), (texts, self.lines)


@contextmanager
def _as_if_started(arguments: list[Any], secret: str) -> Iterator[list[tuple[Any, ...]]]:
    """The surroundings of a program that was started, in which `trioxmpp.run` only takes note of what it would call."""
    taken: list[tuple[Any, ...]] = []

    def run(main: Callable[..., Any]) -> None:
        taken.append((main, *program_arguments(main, sys.argv, os.environ)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trioxmpp, "run", run)
        patch.setattr(sys, "argv", arguments)
        patch.syspath_prepend(str(EXAMPLES))
        for name in ("XMPP_PASSWORD", "XMPP_SECRET"):
            patch.setitem(os.environ, name, secret)
        yield taken


def load(path: Path, arguments: list[Any], printed: Printed, secret: str) -> tuple[Any, ...]:
    """Start a program; return the function that it gives to `trioxmpp.run`, and the arguments for that."""
    with _as_if_started([str(path), *arguments], secret) as taken:
        runpy.run_path(str(path), init_globals={"print": printed.print}, run_name="__main__")
    (call,) = taken
    return call


class Place:
    """A server, its accounts, and programs that run there."""

    def __init__(self, bench: Bench, component_endpoint: Any, folder: Path, nursery: trio.Nursery) -> None:
        self.bench = bench
        self.component_endpoint = component_endpoint
        """Where a component connects to."""
        self.names = bench.names
        self.domain = bench.domain
        self.options: dict[str, Any] = {"endpoint": bench.endpoint, "tls": bench.tls}
        self.folder = folder
        """An empty folder."""
        self._nursery = nursery

    def jid(self, number: int, resource: str = "") -> str:
        """The JID of an account."""
        return self.bench.jid(number) + (f"/{resource}" if resource else "")

    def connect(self, number: int, resource: str = "test") -> AbstractAsyncContextManager[Any]:
        """`trioxmpp.connect` for an account."""
        return self.bench.connect(number, resource)

    async def run(self, program: str, *arguments: Any, **more: Any) -> list[str]:
        """Run a program to its end; return the lines that it has printed, the message of `sys.exit` included."""
        printed = Printed()
        await self._run(program, arguments, more, printed)
        return printed.lines

    def begin(self, program: str, *arguments: Any, **more: Any) -> Printed:
        """Run a program until the test ends; return what it prints."""
        printed = Printed()
        self._nursery.start_soon(self._run, program, arguments, more, printed)
        return printed

    async def _run(self, program: str, arguments: tuple[Any, ...], more: dict[str, Any], printed: Printed) -> None:
        user = arguments[0].partition("@")[0]
        secret = self.bench.accounts.get(user, SECRET)
        main, *taken = load(EXAMPLES / program, list(arguments), printed, secret)
        options = {} if arguments[0] == COMPONENT else self.options
        try:
            await main(*taken, **{**options, **more})
        except SystemExit as end:
            printed.print(end.code)


Test = Callable[[Place], Awaitable[None]]


@asynccontextmanager
async def open_place(bench: Bench, component_endpoint: Any, folder: Path) -> AsyncIterator[Place]:
    """A block with a `Place`; its programs are cancelled at the end."""
    async with trio.open_nursery() as nursery:
        yield Place(bench, component_endpoint, folder, nursery)
        nursery.cancel_scope.cancel()
