"""A child process that ends with its parent, and that can be stopped and killed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

__all__ = ["Child", "unprivileged"]

#: The id of the user without rights (Linux Standard Base).
UNPRIVILEGED = 65534


class Child:
    """A command in a directory of its own, running or not; as `owner`, if the parent is root."""

    def __init__(self, directory: Path, owner: pwd.struct_passwd | None) -> None:
        self._directory = directory
        self._owner = owner
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process exists, running or paused."""
        return self._process is not None and self._process.poll() is None

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a command; its output goes to ``stdout.log``."""
        if shutil.which("setpriv"):
            # The kernel kills it when the parent ends, in any way (util-linux). Elsewhere only `kill` does.
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        owner = self._owner
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
                user=None if owner is None else owner.pw_uid,
                group=None if owner is None else owner.pw_gid,
                extra_groups=None if owner is None else [],
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and to its children. Does nothing if it has ended."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, number)

    async def wait(self) -> None:
        """Wait until the process has ended. Cancelling stops the waiting only."""
        if self._process is not None:
            await trio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)

    def kill(self) -> None:
        """Kill the process."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None


def unprivileged() -> pwd.struct_passwd | None:
    """Return the user to run servers as instead of root; None if the parent is not root."""
    return pwd.getpwuid(UNPRIVILEGED) if os.geteuid() == 0 else None
