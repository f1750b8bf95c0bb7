"""A program in a terminal of its own: keys go in, and the screen is read, as a person would (tmux)."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.interop.driver import eventually

#: The size of the terminal, in characters. Wide, so that a line of the program is a line of the screen.
WIDTH, HEIGHT = 170, 45


class Terminal:
    """A terminal in which a program runs."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", os.devnull, *arguments]
        done = await trio.run_process(command, capture_stdout=True, stdin=subprocess.DEVNULL)
        return done.stdout.decode()

    async def begin(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        settings = [f"{name}={value}" for name, value in environment.items()]
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        await self._tmux("new-session", "-d", *size, shlex.join(["env", *settings, *command]))

    async def end(self) -> None:
        """End the program, and the terminal with it."""
        command = ["tmux", "-S", str(self._socket), "kill-server"]
        await trio.run_process(command, check=False, capture_stderr=True)

    async def enter(self, line: str) -> None:
        """Type a line and press Enter."""
        await self.type(line)
        await self._tmux("send-keys", "Enter")

    async def type(self, text: str) -> None:
        """Type characters, without Enter."""
        if text:
            await self._tmux("send-keys", "-l", "--", text)

    async def screen(self) -> str:
        """Return what the screen shows now."""
        return await self._tmux("capture-pane", "-p")

    async def coloured_screen(self) -> str:
        """Return what the screen shows now, with escape sequences for its colours."""
        return await self._tmux("capture-pane", "-p", "-e")

    async def shows(self, *texts: str) -> str:
        """Wait until the screen shows all these texts, and return it."""
        return await self.screen_that(lambda screen: all(text in screen for text in texts), f"does not show {texts}")

    async def screen_that(self, fits: Callable[[str], object], complaint: str) -> str:
        """Wait until the screen fits, and return it."""
        try:
            return str(await eventually(self.screen, fits))
        except AssertionError:
            lines = [line.rstrip() for line in (await self.screen()).splitlines() if line.strip()]
            raise AssertionError("\n".join([f"the screen {complaint}", *lines])) from None


@asynccontextmanager
async def open_terminal(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Terminal]:
    """A terminal with a program, in a home of its own; both end with the block."""
    with tempfile.TemporaryDirectory(prefix="trioxmpp-") as name:
        home = {"HOME": name, "XDG_CONFIG_HOME": f"{name}/config", "XDG_DATA_HOME": f"{name}/data"}
        terminal = Terminal(Path(name) / "tmux")
        await terminal.begin(command, {**home, "LC_ALL": "C.UTF-8", "TERM": "screen-256color", **(environment or {})})
        try:
            yield terminal
        finally:
            with trio.move_on_after(10, shield=True):
                await terminal.end()
