"""Where passwords come from: a file, the environment, a keyring, or a person at a terminal.

There is no option for a password itself: any user of the machine can list the arguments of all processes, and a shell
writes them into its history.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..jid import JID
from ..text import because
from .errors import UsageError

__all__ = ["ENVIRONMENT", "KEYRING_SERVICE", "find_password", "read_password_file"]

#: The environment variable with the password.
ENVIRONMENT = "TRIOXMPP_PASSWORD"

#: The name of our entries in a keyring: ``keyring set trioxmpp romeo@example.org``.
KEYRING_SERVICE = "trioxmpp"

#: Octets of the longest line that can be a password.
MAX_PASSWORD = 4096


def find_password(jid: JID, file: str | None = None, settled: Path | None = None) -> str:
    """Return the password of the account of `jid`.

    `file` is the ``--password-file`` of the command line (``-`` is the standard input), `settled` the file that the
    configuration names. The order is: `file`, the environment, `settled`, the keyring, and a prompt if there is a
    terminal. Raises UsageError if there is no password, or its file cannot be used.
    """
    if file == "-":
        return _first_line(sys.stdin.buffer, "the standard input")
    if file is not None:
        return read_password_file(Path(file))
    if password := os.environ.get(ENVIRONMENT):
        return password
    if settled is not None:
        return read_password_file(settled)
    complaint = None
    try:
        if (password := _from_keyring(jid)) is not None:
            return password
    except UsageError as exc:
        complaint = exc
    if _has_terminal():
        try:
            return getpass.getpass(f"Password of {jid.bare}: ")
        except (OSError, EOFError) as exc:
            raise UsageError(because("there is no password", exc)) from exc
    ways = f"use --password-file, {ENVIRONMENT} or a keyring (keyring set {KEYRING_SERVICE} {jid.bare})"
    raise UsageError(f"there is no password for {jid.bare}: {complaint or ways}") from complaint


def read_password_file(path: Path) -> str:
    """Return the first line of a file that only its owner can read.

    Raises UsageError if it cannot be read, is empty, or other users may read or write it.
    """
    try:
        with path.expanduser().open("rb") as file:
            _check_permissions(path, os.fstat(file.fileno()))
            return _first_line(file, str(path))
    except (OSError, RuntimeError) as exc:  # RuntimeError: the home of a user is not known
        raise UsageError(because("there is no password", exc)) from exc


def _check_permissions(path: Path, status: os.stat_result) -> None:
    """Raise UsageError if others may read or write the file, or own it. Windows has no such permissions."""
    if os.name != "posix":
        return
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = stat.filemode(status.st_mode)
        raise UsageError(f"other users may read or write the password in {path} ({mode}): chmod 600 {path}")
    if status.st_uid not in (0, os.geteuid()):
        raise UsageError(f"the password file {path} belongs to another user")


def _first_line(file: BinaryIO, name: str) -> str:
    line = file.readline(MAX_PASSWORD + 1)
    if len(line) > MAX_PASSWORD:
        raise UsageError(f"the first line of {name} is too long to be a password")
    try:
        password = line.decode().rstrip("\r\n")
    except UnicodeDecodeError as exc:
        raise UsageError(f"the password in {name} is not UTF-8") from exc
    if not password:
        raise UsageError(f"there is no password in {name}: its first line is empty")
    return password


def _from_keyring(jid: JID) -> str | None:
    """Return what the keyring has for the account; None without the package, a keyring or an entry.

    Raises UsageError if there is a keyring, and it does not answer.
    """
    if importlib.util.find_spec("keyring") is None:
        return None
    import keyring  # pyright: ignore[reportMissingImports]
    import keyring.errors  # pyright: ignore[reportMissingImports]

    try:
        password: str | None = keyring.get_password(KEYRING_SERVICE, str(jid.bare))
    except keyring.errors.NoKeyringError:
        return None
    except keyring.errors.KeyringError as exc:
        raise UsageError(because("the keyring does not give it", exc)) from exc
    return password


def _has_terminal() -> bool:
    """Whether a person can be asked, which getpass does at the terminal of the process, not at the standard input."""
    return any(_terminals())


def _terminals() -> Iterator[bool]:
    yield sys.stdin is not None and sys.stdin.isatty()
    if os.name == "posix":
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return
        yield True
