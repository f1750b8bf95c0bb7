"""Files of checksummed JSON lines: what the stores in files have in common.

A line is good if its checksum is: what a crash left of the last one is cut off, since no caller was told that it was
written. A file has to be a regular one of our own user, and of bounded size: a FIFO would hang the thread that opens
it, a device would never end, and a file that another user planted would be sent in our name.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import StoreError
from .storedsession import dumps

__all__ = [
    "check_own",
    "checked_lines",
    "hide",
    "line_of",
    "lock",
    "open_regular",
    "parse_line",
    "replace_file",
    "write_all",
]

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)

#: Octets of a file that is read.
MAX_FILE = 256 << 20


def line_of(fields: dict[str, Any]) -> bytes:
    """Return a line with its checksum."""
    text = dumps(fields).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def parse_line(line: bytes) -> Any:
    """Return the value in a line, or None if the line is not as it was written."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def checked_lines(fd: int, path: Path) -> Iterator[tuple[Any, int]]:
    """Return the value of each whole line, None for a damaged one, and the offset of its end."""
    with open(fd, "rb", closefd=False) as file:
        data = file.read()
    end = 0
    lines = data.split(b"\n")[:-1]
    good = [parse_line(line) for line in lines]
    while good and good[-1] is None:
        good.pop()  # a crash left it
    for line, value in zip(lines, good, strict=False):
        end += len(line) + 1
        yield value, end


def open_regular(path: Path) -> int:
    """Open a file for reading and appending, or create it. Raises StoreError if it is no regular file of our user."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _CLOEXEC | _NONBLOCK, 0o600)
    try:
        status = os.fstat(fd)
        check_own(status, path)
        if status.st_size > MAX_FILE:
            raise StoreError(f"{path} has more than {MAX_FILE} octets: it cannot be a stored session")
        hide(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_own(status: os.stat_result, path: Path) -> None:
    """Raise StoreError if the file at `path`, which has this `status`, is no regular file of our user."""
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{path} is not a regular file")
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise StoreError(f"{path} belongs to another user")


def hide(fd: int) -> None:
    """Keep other users out, should the file have let them in meanwhile."""
    if os.name == "posix" and stat.S_IMODE(os.fstat(fd).st_mode) & 0o077:
        os.fchmod(fd, 0o600)


def lock(fd: int) -> None:
    """Keep other processes out until `fd` is closed, also by `kill -9`. Raises StoreError if one has the file."""
    try:
        import fcntl
    except ImportError:
        return  # there is no such lock on this system
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise StoreError("the stored session is in use by another process") from exc


def replace_file(path: Path, data: bytes, *, sync: bool, locked: bool = False) -> int:
    """Put a new file with `data` in the place of `path` in one step; return it, open for appending."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)  # of a process that was killed
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _CLOEXEC, 0o600)
    try:
        if locked:
            lock(fd)
        write_all(fd, data)
        if sync:
            os.fsync(fd)
        os.replace(fresh, path)
    except BaseException:
        os.close(fd)
        raise
    if sync:
        _sync_directory(path.parent)
    return fd


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return  # there are systems where a directory cannot be opened; they need no such thing
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
