"""A child process that dies with us, and that can be hurt."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trio

__all__ = ["Child", "unprivileged"]


class Child:
    """A command that runs, or not, in a directory of its own; as `owner`, if we are root."""

    def __init__(self, directory: Path, owner: pwd.struct_passwd | None) -> None:
        self._directory = directory
        self._owner = owner
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it is there, be it paused."""
        return self._process is not None and self._process.poll() is None

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run this; what it prints goes to ``stdout.log``."""
        if shutil.which("setpriv"):
            # The kernel kills it when we die, however we die. (util-linux; elsewhere `kill` has to suffice.)
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        identity: dict[str, Any] = {}
        if self._owner is not None:
            identity = {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
        path = os.environ.get("PATH", os.defpath)
        with (self._directory / "stdout.log").open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self._directory,
                env={"PATH": path, "HOME": str(self._directory), "LC_ALL": "C.UTF-8", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **identity,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send this to it and to its children. Does nothing if it is gone."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, number)

    async def wait(self) -> None:
        """Wait until it has ended."""
        if self._process is not None:
            await trio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)

    def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None


def unprivileged() -> pwd.struct_passwd | None:
    """Whom to become instead of root; None if we are nobody special."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None
