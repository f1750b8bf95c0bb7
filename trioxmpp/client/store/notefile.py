"""The notes of services in a file beside that of the session: a line for each change, checksummed as there.

A note is small and the session's file is rewritten often, so the two are apart. The rest of a line that a crash cut is
dropped. A line that is damaged is set aside, since the other notes are of use without it. The file is rewritten, into
another that takes its place in one step, when the changes have become much longer than the notes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from .jsonvalues import is_text
from .lines import checked_lines, line_of, open_regular, replace_file, write_all

__all__ = ["NoteFile"]

#: The file is rewritten when it has more octets than this, and than this many times the octets of its notes.
COMPACT_FROM = 65536
COMPACT_RATIO = 4


class NoteFile:
    """All notes of one account, by kind and key. Blocks; the process that holds the session's file owns it."""

    def __init__(self, path: Path, *, sync: bool) -> None:
        self._path = path
        self._sync = sync
        self._fd: int | None = None
        self._kinds: dict[str, dict[str, str]] = {}
        self._size = 0

    def read(self, kind: str) -> dict[str, str]:
        """Return the notes of one kind."""
        self._open()
        return dict(self._kinds.get(kind, {}))

    def write(self, kind: str, changes: Mapping[str, str | None]) -> None:
        """Write these notes, all or none; None deletes one."""
        self._open()
        assert self._fd is not None
        line = line_of({"kind": kind, "notes": dict(changes)})
        try:
            write_all(self._fd, line)
            self._flush(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)  # half a line must not stand in the middle
            raise
        self._size += len(line)
        self._apply(kind, changes)
        if self._size > max(COMPACT_FROM, COMPACT_RATIO * self._octets()):
            self._rewrite()

    def close(self) -> None:
        """Close the file; delete it if there are no notes."""
        fd, self._fd, kinds, self._kinds = self._fd, None, self._kinds, {}
        if fd is not None:
            os.close(fd)
            if not any(kinds.values()):
                self._path.unlink(missing_ok=True)

    def _open(self) -> None:
        if self._fd is not None:
            return
        fd = open_regular(self._path)
        try:
            self._size = 0
            for fields, end in checked_lines(fd, self._path):
                self._size = end
                if isinstance(fields, dict) and is_text(fields.get("kind")):
                    notes = fields.get("notes")
                    self._apply(fields["kind"], notes if isinstance(notes, dict) else {})
            os.ftruncate(fd, self._size)
        except BaseException:
            os.close(fd)
            self._kinds = {}
            raise
        self._fd = fd

    def _apply(self, kind: str, changes: Mapping[str, str | None]) -> None:
        notes = self._kinds.setdefault(kind, {})
        for key, text in changes.items():
            if is_text(key) and is_text(text):  # or else the file could not be rewritten
                assert text is not None
                notes[key] = text
            else:
                notes.pop(key, None)

    def _octets(self) -> int:
        return sum(len(key) + len(text) for notes in self._kinds.values() for key, text in notes.items())

    def _rewrite(self) -> None:
        data = b"".join(line_of({"kind": kind, "notes": notes}) for kind, notes in self._kinds.items() if notes)
        fresh = replace_file(self._path, data, sync=self._sync)
        old, self._fd, self._size = self._fd, fresh, len(data)
        if old is not None:
            os.close(old)

    def _flush(self, fd: int) -> None:
        if self._sync:
            os.fsync(fd)
