"""A session in a file: the ticket in its first line, and a line for each change since.

A change costs a line, however much is waiting, and one fsync. A line is good if its checksum is: what a crash left of
the last one is cut off, for nobody was told that it was written. The file is written anew, into another that takes its
place in one step, when the changes have become much longer than what they amount to.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import zlib
from pathlib import Path
from typing import Any

from ...errors import StoreError
from .diskstore import DiskStore
from .storedsession import VERSION, Change, StoredSession, StoredSessionState, dumps

__all__ = ["FileStore"]

#: The file is written anew when it has more octets than this, and than so many times what was in it at first.
COMPACT_FROM = 65536
COMPACT_RATIO = 4


class FileStore(DiskStore):
    """Keeps a session in the file at `path`, which nobody else may read, and which one process has at a time.

    What it has written survives the death of the process and, unless `sync` is False, that of the machine. A file that
    is empty in the end goes.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = True) -> None:
        super().__init__(path, (OSError,))
        self._sync = sync
        self._fd: int | None = None
        self._state: StoredSessionState | None = None
        self._size = 0
        self._first_size = 0

    def _load(self) -> StoredSession | None:
        self._close()
        self._fd = _open_and_lock(self.path)
        try:
            return self._read(self._fd)
        except BaseException:
            os.close(self._fd)
            self._fd = None
            raise

    def _read(self, fd: int) -> StoredSession | None:
        with open(fd, "rb", closefd=False) as file:
            data = file.read()
        lines = data.split(b"\n")
        good, version = 0, VERSION
        for number, line in enumerate(lines[:-1]):
            said = _parse(line)
            if said is None:
                if any(_parse(later) is not None for later in lines[number + 1 : -1]):
                    raise StoreError(f"{self.path} is damaged: line {number + 1} is not what was written")
                break
            if number == 0:
                self._state, version = StoredSessionState(StoredSession.from_json(said)), said["version"]
                self._first_size = len(line) + 1
            else:
                assert self._state is not None
                self._state.write(Change.from_json(said))
            good += len(line) + 1
        if good == 0 and data:
            raise StoreError(f"{self.path} is damaged, or no session at all")
        os.ftruncate(fd, good)  # what a crash left of a last line
        self._size = good
        if self._state is None:
            return None
        if version < VERSION:
            self._save(self._state.ticket)  # who knows only the old form must not take the new lines for it
        else:
            _hide(fd)
        return self._state.ticket

    def _save(self, ticket: StoredSession) -> None:
        self._state = StoredSessionState(ticket)
        line = _line(ticket.to_json())
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)  # of a process that was killed
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _CLOEXEC, 0o600)
        try:
            _lock(fd)
            _write(fd, line)
            self._flush(fd)
            os.replace(fresh, self.path)
        except BaseException:
            os.close(fd)
            raise
        if self._sync:
            _sync_directory(self.path.parent)
        old, self._fd = self._fd, fd
        self._size = self._first_size = len(line)
        if old is not None:
            os.close(old)

    def _update(self, change: Change) -> None:
        assert self._fd is not None
        assert self._state is not None
        self._state.write(change)
        if self._size > max(COMPACT_FROM, COMPACT_RATIO * self._first_size):
            self._save(self._state.ticket)
            return
        line = _line(change.to_json())
        try:
            _write(self._fd, line)
            self._flush(self._fd)
        except OSError:
            # Half a line in the middle would be damage; there must be none when the next one is written.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(line)

    def _clear(self) -> None:
        self._state = None
        self._size = self._first_size = 0
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            self._flush(self._fd)

    def _close(self) -> None:
        fd, self._fd, self._state = self._fd, None, None
        if fd is None:
            return
        if os.fstat(fd).st_size == 0:
            self.path.unlink(missing_ok=True)
        os.close(fd)

    def _flush(self, fd: int) -> None:
        if self._sync:
            os.fsync(fd)


_CLOEXEC = getattr(os, "O_CLOEXEC", 0)


def _open_and_lock(path: Path) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _CLOEXEC, 0o600)
        try:
            _lock(fd)
            if os.path.exists(path) and os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # somebody else has put another in its place meanwhile


def _hide(fd: int) -> None:
    """Keep other users out, should somebody have let them in meanwhile."""
    if os.name == "posix" and stat.S_IMODE(os.fstat(fd).st_mode) & 0o077:
        os.fchmod(fd, 0o600)


def _lock(fd: int) -> None:
    """Keep other processes out until `fd` is closed, be it by `kill -9`."""
    try:
        import fcntl
    except ImportError:
        return  # where there is none, nobody is kept out
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise StoreError("the stored session is in use by somebody else") from exc


def _line(fields: dict[str, Any]) -> bytes:
    text = dumps(fields).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> Any:
    """What a line says, or None if it is not as it was written."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _write(fd: int, data: bytes) -> None:
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
