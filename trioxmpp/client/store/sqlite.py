"""A session and its login in an SQLite database, of its own or beside other tables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import StoreError
from ...record import replace
from .diskstore import DiskStore
from .jsonvalues import optional, text, whole
from .lines import check_own
from .login import Login
from .storedsession import VERSION, Change, StoredSession, StoredStanza, dumps

if TYPE_CHECKING:
    import sqlite3

__all__ = ["SQLiteStore"]

# The ticket is in three tables, for its parts change at different times. Version 1 had neither the third nor doubts.
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS trioxmpp_session (
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, ticket TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS trioxmpp_stanza (
    number INTEGER PRIMARY KEY, xml TEXT NOT NULL, sent INTEGER, durable INTEGER NOT NULL,
    doubtful INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS trioxmpp_note (
    kind TEXT NOT NULL, key TEXT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (kind, key))""",
    """CREATE TABLE IF NOT EXISTS trioxmpp_login (
    one INTEGER PRIMARY KEY CHECK (one = 1), login TEXT NOT NULL)""",
)


class SQLiteStore(DiskStore):
    """Keeps a session in the database at `path`, which one process has at a time, and no other user may read.

    Each change is one transaction, in a thread. It survives the death of the process and of the machine.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import sqlite3  # takes its time, and few need it

        # ValueError is what sqlite3 has for a message of SQLite that repeats what is no UTF-8 any more. MemoryError
        # comes where a damaged page tells of more than SQLite can have.
        super().__init__(path, (OSError, sqlite3.Error, ValueError, MemoryError))
        self._sqlite3 = sqlite3
        self._open: sqlite3.Connection | None = None
        self._ticket: StoredSession | None = None

    def _load(self) -> StoredSession | None:
        self._close()
        _create(self.path)
        self._open = self._sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        self._open.text_factory = bytes  # or else an error of sqlite3 would repeat what is no UTF-8 any more
        try:
            self._open.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._open.execute("PRAGMA journal_mode=WAL")
            self._open.execute("PRAGMA synchronous=FULL")
            self._open.execute("PRAGMA secure_delete=ON")
            with self._transaction() as connection:  # the lock is ours from now on
                _prepare(connection)
                ticket = self._ticket = _read(connection)
                if ticket is not None:
                    self._write_head(connection, ticket)  # in our version, whatever it was
        except self._sqlite3.OperationalError as exc:
            self._close()
            if "locked" not in str(exc):
                raise
            raise StoreError("the stored session is in use by another process") from exc
        except BaseException:
            self._close()
            raise
        return ticket

    def _connection(self) -> sqlite3.Connection:
        """Return the open database. Open it, and check all that is in it, if no session was loaded."""
        if self._open is None:
            self._load()
            assert self._open is not None
        return self._open

    def _save(self, ticket: StoredSession) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM trioxmpp_stanza")
            connection.executemany("INSERT INTO trioxmpp_stanza VALUES (?, ?, ?, ?, ?)", map(_row, ticket.stanzas))
            self._write_login(connection, ticket.login)
            self._write_head(connection, ticket)

    def _update(self, change: Change) -> None:
        if self._ticket is None:
            raise StoreError(f"no session is stored in {self.path} that could change")
        requests = self._ticket.requests if change.requests is None else change.requests
        setbacks = self._ticket.setbacks if change.setbacks is None else change.setbacks
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO trioxmpp_stanza VALUES (?, ?, ?, ?, ?)", map(_row, change.put)
            )
            connection.executemany("DELETE FROM trioxmpp_stanza WHERE number = ?", ((each,) for each in change.drop))
            if change.login is not None:
                self._write_login(connection, change.login)
            saved, handled, base = change.saved, change.handled, change.base
            counts = {"saved": saved, "handled": handled, "base": base}
            head = replace(self._ticket, **counts, requests=requests, setbacks=setbacks)
            self._write_head(connection, head)

    def _write_head(self, connection: sqlite3.Connection, ticket: StoredSession) -> None:
        head = replace(ticket, stanzas=(), login=Login())
        connection.execute("INSERT OR REPLACE INTO trioxmpp_session VALUES (1, ?, ?)", (VERSION, dumps(head.to_json())))
        self._ticket = head

    def _write_login(self, connection: sqlite3.Connection, login: Login) -> None:
        connection.execute("INSERT OR REPLACE INTO trioxmpp_login VALUES (1, ?)", (dumps(login.to_json()),))

    def _clear(self) -> None:
        self._ticket = None
        with self._transaction() as connection:
            connection.execute("DELETE FROM trioxmpp_session")
            connection.execute("DELETE FROM trioxmpp_stanza")
            connection.execute("DELETE FROM trioxmpp_login")

    def _read_notes(self, kind: str) -> dict[str, str]:
        rows = self._connection().execute("SELECT key, note FROM trioxmpp_note WHERE kind = ?", (kind,))
        # A note that is no text any more is left out: the others are of use without it.
        return {key.decode(): note.decode() for key, note in rows if _is_text(key) and _is_text(note)}

    def _write_notes(self, kind: str, changes: Mapping[str, str | None]) -> None:
        with self._transaction() as connection:
            for key, note in changes.items():
                if note is None:
                    connection.execute("DELETE FROM trioxmpp_note WHERE kind = ? AND key = ?", (kind, key))
                else:
                    connection.execute("INSERT OR REPLACE INTO trioxmpp_note VALUES (?, ?, ?)", (kind, key, note))

    def _close(self) -> None:
        connection, self._open, self._ticket = self._open, None, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _create(path: Path) -> None:
    """Make an empty file if there is none. SQLite gives the files beside it the mode of the database.

    Raises StoreError if it, or one of these, is not a regular file of our user: what another user planted would be sent
    in our name.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600)
    try:
        check_own(os.fstat(fd), path)
    finally:
        os.close(fd)
    for suffix in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            check_own(beside.stat(), beside)


def _prepare(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        connection.execute(statement)
    if not connection.execute("SELECT 1 FROM pragma_table_info('trioxmpp_stanza') WHERE name = 'doubtful'").fetchone():
        connection.execute("ALTER TABLE trioxmpp_stanza ADD COLUMN doubtful INTEGER NOT NULL DEFAULT 0")


def _read(connection: sqlite3.Connection) -> StoredSession | None:
    value = connection.execute("SELECT ticket FROM trioxmpp_session").fetchone()
    if value is None:
        return None
    head = StoredSession.from_json(_parse(value[0]))
    login = connection.execute("SELECT login FROM trioxmpp_login").fetchone()
    rows = connection.execute("SELECT number, xml, sent, durable, doubtful FROM trioxmpp_stanza ORDER BY number")
    try:
        return replace(
            head,
            stanzas=tuple(map(_stanza, rows)),
            login=Login() if login is None else Login.from_json(_parse(login[0])),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"the stored session is damaged: {exc!r}") from exc


def _parse(value: Any) -> Any:
    try:
        return json.loads(value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise StoreError(f"the stored session is damaged: {type(exc).__name__}") from None


def _row(stanza: StoredStanza) -> tuple[int, str, int | None, bool, bool]:
    return stanza.number, stanza.xml, stanza.sent, stanza.durable, stanza.doubtful


def _stanza(row: tuple[Any, ...]) -> StoredStanza:
    number, markup, sent, durable, doubtful = row
    return StoredStanza(whole(number), _text(markup), optional(whole, sent), bool(durable), bool(doubtful))


def _text(value: Any) -> str:
    try:
        return text(value.decode())
    except (AttributeError, UnicodeDecodeError):
        raise ValueError("a text was expected") from None


def _is_text(value: Any) -> bool:
    try:
        _text(value)
    except ValueError:
        return False
    return True
