"""A session in a file: the ticket in its first line, and a line for each change since.

A change costs a line, however many stanzas wait, and one fsync. A line is good if its checksum is: what a crash left of
the last one is cut off, since no caller was told that it was written. The file is rewritten, into another that takes
its place in one step, when the changes have become much longer than their sum.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from ...errors import StoreError
from .diskstore import DiskStore
from .lines import line_of, lock, open_regular, parse_line, replace_file, write_all
from .notefile import NoteFile
from .storedsession import VERSION, Change, StoredSession, StoredSessionState

__all__ = ["FileStore"]

#: The file is rewritten when it has more octets than this, and than this many times the octets of its first line.
COMPACT_FROM = 65536
COMPACT_RATIO = 4


class FileStore(DiskStore):
    """Keeps a session in the file at `path`, which no other user may read, and which one process has at a time.

    A change that was written survives the death of the process and, unless `sync` is False, that of the machine. A file
    that is empty in the end is deleted.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = True) -> None:
        super().__init__(path, (OSError,))
        self._sync = sync
        self._fd: int | None = None
        self._state: StoredSessionState | None = None
        self._size = 0
        self._first_size = 0
        self._notes = NoteFile(self.path.with_name(self.path.name + ".notes"), sync=sync)

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
            value = parse_line(line)
            if value is None:
                if any(parse_line(later) is not None for later in lines[number + 1 : -1]):
                    raise StoreError(f"{self.path} is damaged: line {number + 1} is not what was written")
                break
            if number == 0:
                self._state, version = StoredSessionState(StoredSession.from_json(value)), value["version"]
                self._first_size = len(line) + 1
            else:
                assert self._state is not None
                self._state.write(Change.from_json(value))
            good += len(line) + 1
        if good == 0 and data:
            raise StoreError(f"{self.path} is damaged, or no session at all")
        os.ftruncate(fd, good)  # what a crash left of a last line
        self._size = good
        if self._state is None:
            return None
        if version < VERSION:
            self._save(self._state.ticket)  # who knows only the old form must not take the new lines for it
        return self._state.ticket

    def _save(self, ticket: StoredSession) -> None:
        self._state = StoredSessionState(ticket)
        line = line_of(ticket.to_json())
        fd = replace_file(self.path, line, sync=self._sync, locked=True)
        old, self._fd = self._fd, fd
        self._size = self._first_size = len(line)
        if old is not None:
            os.close(old)

    def _update(self, change: Change) -> None:
        if self._fd is None or self._state is None:
            raise StoreError(f"no session is stored in {self.path} that could change")
        self._state.write(change)
        if self._size > max(COMPACT_FROM, COMPACT_RATIO * self._first_size):
            self._save(self._state.ticket)
            return
        line = line_of(change.to_json())
        try:
            write_all(self._fd, line)
            self._flush(self._fd)
        except OSError:
            # Half a line must not stand before the next one: in the middle it would be damage.
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

    def _read_notes(self, kind: str) -> dict[str, str]:
        return self._notes.read(kind)

    def _write_notes(self, kind: str, changes: Mapping[str, str | None]) -> None:
        self._notes.write(kind, changes)

    def _close(self) -> None:
        self._notes.close()
        fd, self._fd, self._state = self._fd, None, None
        if fd is None:
            return
        if os.fstat(fd).st_size == 0:
            self.path.unlink(missing_ok=True)
        os.close(fd)

    def _flush(self, fd: int) -> None:
        if self._sync:
            os.fsync(fd)


def _open_and_lock(path: Path) -> int:
    while True:
        fd = open_regular(path)
        try:
            lock(fd)
            if os.path.exists(path) and os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # another process has put another file in its place meanwhile
