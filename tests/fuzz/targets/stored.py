"""Stores: the session with its outbox, and the notes. Each line of a file gets the right checksum, too."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import zlib
from functools import partial
from pathlib import Path

import trio

from trioxmpp.client.journal.outbox import OutboxJournal
from trioxmpp.client.notes import Notebook
from trioxmpp.client.store.file import FileStore
from trioxmpp.client.store.sqlite import SQLiteStore
from trioxmpp.client.store.storedsession import Change
from trioxmpp.errors import StoreError

__all__ = ["damaged_database", "stored_database", "stored_notes", "stored_session"]


def _checked(data: bytes) -> bytes:
    return b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in data.split(b"\n"))


def stored_session(data: bytes) -> None:
    """Load a session, as it is and with right checksums; restore its outbox; save it, and load the same again."""
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate((data, _checked(data))):
            path = Path(folder, f"session{number}")
            path.write_bytes(content)
            trio.run(_load_twice, FileStore(path, sync=False))


async def _load_twice(store: FileStore | SQLiteStore) -> None:
    try:
        ticket = await store.load()
    except StoreError:
        await store.aclose()
        return
    if ticket is not None:
        OutboxJournal().restore(ticket.stanzas, None)
        await store.save(ticket)
    await store.aclose()
    assert await store.load() == ticket, "the session is another one when it was saved and loaded"
    await store.aclose()


def stored_database(data: bytes) -> None:
    """Load a session from a row of a database, with its notes; write one more, save it, and load the same again."""
    with tempfile.TemporaryDirectory() as folder:
        trio.run(_load_row, Path(folder, "session.db"), data)


async def _load_row(path: Path, data: bytes) -> None:
    ticket, *stanzas = data.split(b"\n")
    store = SQLiteStore(path)
    await store.load()
    await store.aclose()
    # As a text in SQLite, whatever the octets are.
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO trioxmpp_session VALUES (1, 1, CAST(? AS TEXT))", [ticket])
        for number, markup in enumerate(stanzas):
            row = [number, markup, 1, 0, 0]
            database.execute("INSERT INTO trioxmpp_stanza VALUES (?, CAST(? AS TEXT), ?, ?, ?)", row)
        database.execute("INSERT INTO trioxmpp_note VALUES ('kind', CAST(? AS TEXT), CAST(? AS TEXT))", [data, ticket])
        database.commit()
    await _load_twice(store)
    with contextlib.suppress(StoreError):
        await store.load()
        notes = Notebook(store).of_kind("kind")
        await notes.read()
        await notes.write({"fuzz": 1})
    await store.aclose()


def damaged_database(data: bytes) -> None:
    """Use these octets as a database, and as the log of changes beside a good one, in which a session may be.

    Each call that needs a damaged page raises `StoreError`.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in ("session.db", "session.db-wal"):
            database = Path(folder, "session.db")
            if name != database.name:
                _make_small(database)
            Path(folder, name).write_bytes(data)
            trio.run(_load_damaged, SQLiteStore(database))
            for path in Path(folder).iterdir():
                path.unlink()


async def _load_damaged(store: SQLiteStore) -> None:
    with contextlib.suppress(StoreError):
        ticket = await store.load()
        if ticket is not None:
            OutboxJournal().restore(ticket.stanzas, None)
            await store.save(ticket)
            await store.update(Change(saved=1.0, handled=0, base=0, drop=(1,)))
    for call in (partial(store.read_notes, "kind"), partial(store.write_notes, "kind", {"a": "1", "b": None})):
        with contextlib.suppress(StoreError):
            await call()
    with contextlib.suppress(StoreError):
        await store.clear()
    await store.aclose()


def _make_small(path: Path) -> None:
    """Make a database of small pages, so that inputs with several of them are short."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA page_size=512")
        database.execute("PRAGMA journal_mode=WAL")


def stored_notes(data: bytes) -> None:
    """Read notes, as they are and with right checksums; write one more, and read them all again."""
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate((data, _checked(data))):
            path = Path(folder, f"session{number}")
            path.with_name(f"{path.name}.notes").write_bytes(content)
            trio.run(_note_twice, path)


async def _note_twice(path: Path) -> None:
    store = FileStore(path, sync=False)
    notes = Notebook(store).of_kind("kind")
    found = await notes.read()
    for number in range(4):
        with contextlib.suppress(StoreError):
            # Large ones, so that the file is rewritten, too.
            await notes.write({"fuzz": "x" * 40_000 + str(number)})
            found["fuzz"] = "x" * 40_000 + str(number)
    await store.aclose()
    again = await Notebook(store).of_kind("kind").read()
    assert repr(again) == repr(found), "the notes are other ones when they were written and read"
    await store.aclose()
