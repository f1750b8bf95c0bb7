"""Notes of services: small values that outlive the process, in every store, crash-safe and bounded."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib

import pytest
import trio

from trioxmpp import FileStore, MemoryStore, SQLiteStore, StoreError
from trioxmpp.client.notes import MAX_ACCOUNT, MAX_NOTE, Notebook


@pytest.fixture(params=["memory", "file", "sqlite"])
def reopen(request, tmp_path):
    """Return the same store as another process would open it."""
    memory = MemoryStore()

    def opened():
        match request.param:
            case "memory":
                return memory
            case "file":
                return FileStore(tmp_path / "session")
        return SQLiteStore(tmp_path / "session.db")

    return opened


async def test_notes_outlive_the_process_and_the_session(reopen):
    store = reopen()
    await store.load()
    await store.write_notes("roster", {"ver": "7", "gone": "x"})
    await store.write_notes("roster", {"gone": None, "é": "ü"})
    await store.write_notes("caps", {"hash": "{}"})
    await store.clear()  # the session is over
    await store.aclose()
    store = reopen()
    await store.load()
    assert await store.read_notes("roster") == {"ver": "7", "é": "ü"}
    assert await store.read_notes("caps") == {"hash": "{}"}
    assert await store.read_notes("nothing") == {}
    await store.aclose()


async def test_notes_can_be_read_and_written_before_a_session_is_loaded(reopen):
    store = reopen()
    assert await store.read_notes("roster") == {}
    await store.write_notes("roster", {"ver": "7"})
    assert await store.load() is None
    assert await store.read_notes("roster") == {"ver": "7"}
    await store.aclose()
    store = reopen()
    assert await store.read_notes("roster") == {"ver": "7"}
    await store.aclose()


async def test_a_note_that_is_no_text_any_more_is_left_out(tmp_path):
    store = SQLiteStore(tmp_path / "session.db")
    await store.write_notes("kind", {"sound": "1", "damaged": "2", "other": "3"})
    await store.aclose()
    with contextlib.closing(sqlite3.connect(tmp_path / "session.db")) as database:
        for key, note in (("damaged", b"\xff"), ("other", 4), (5, "6"), (b"\xfe", "7")):
            database.execute("INSERT OR REPLACE INTO trioxmpp_note VALUES ('kind', ?, ?)", [key, note])
        database.execute("PRAGMA writable_schema=ON")
        database.execute("UPDATE sqlite_master SET sql = replace(sql, ' TEXT', '') WHERE name = 'trioxmpp_note'")
        database.commit()
    with contextlib.closing(sqlite3.connect(tmp_path / "session.db")) as database:
        database.execute("INSERT INTO trioxmpp_note VALUES ('kind', 8, 9)")  # a number, since no column is a text now
        database.commit()
    store = SQLiteStore(tmp_path / "session.db")
    found = await store.read_notes("kind")
    await store.aclose()
    assert found == {"sound": "1", "other": "4", "5": "6"}


async def test_a_client_keeps_notes_between_connections(autojump_clock, road):
    store = MemoryStore()
    async with road.connect(store=store) as client:
        await client.notes("roster").write({"ver": {"n": [1, "two"]}, "old": 1})
        await client.notes("roster").write({"old": None})
    async with road.connect(store=store) as client:
        assert await client.notes("roster").read() == {"ver": {"n": [1, "two"]}}


async def test_without_a_store_notes_last_as_long_as_the_client(autojump_clock, road):
    async with road.connect() as client:
        await client.notes("roster").write({"ver": 7})
        assert await client.notes("roster").read() == {"ver": 7}
    async with road.connect() as client:
        assert await client.notes("roster").read() == {}


async def test_a_note_too_large_is_refused_and_nothing_of_it_is_written():
    notes = Notebook(None).of_kind("kind")
    await notes.write({"a": 1})
    with pytest.raises(StoreError, match=f"more than {MAX_NOTE} octets"):
        await notes.write({"a": 2, "b": "x" * MAX_NOTE})
    assert await notes.read() == {"a": 1}


async def test_a_key_that_cannot_be_written_is_refused_and_the_store_goes_on(reopen):
    store = reopen()
    await store.load()
    notes = Notebook(store).of_kind("any")
    for value in (1, None):
        with pytest.raises(StoreError, match="not a text that can be written"):
            await notes.write({"sound": 1, "half of a pair \ud800": value})
    await notes.write({"sound": 2})
    assert await notes.read() == {"sound": 2}
    await store.aclose()


async def test_the_key_of_a_note_counts_by_its_octets():
    notes = Notebook(MemoryStore()).of_kind("any")
    with pytest.raises(StoreError, match="more than 65536 octets"):
        await notes.write({"ü" * (MAX_NOTE // 2): 1})
    await notes.write({"ü" * (MAX_NOTE // 2 - 1): 1})


async def test_a_note_in_a_file_that_cannot_be_written_again_is_left_out(tmp_path):
    """JSON can carry half of a surrogate pair, and UTF-8 cannot: rewriting the file would fail for ever."""
    lines = [
        b'{"kind":"any","notes":{"a":"\\ud800","\\ud800":"1","b":"2"}}',
        b'{"kind":"\\ud800","notes":{"a":"1"}}',
        b'{"kind":["any"],"notes":{"a":"1"}}',
    ]
    text = b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines)
    (tmp_path / "session.notes").write_bytes(text)
    store = FileStore(tmp_path / "session")
    notes = Notebook(store).of_kind("any")
    assert await notes.read() == {"b": 2}
    for number in range(4):
        await notes.write({"large": "x" * 40_000 + str(number)})  # so that the file is rewritten
    assert sorted(await notes.read()) == ["b", "large"]
    await store.aclose()


async def test_the_notes_of_an_account_are_bounded():
    book = Notebook(None)
    size = MAX_NOTE - 100
    with pytest.raises(StoreError, match="the notes of this account"):
        for number in range(MAX_ACCOUNT // size + 2):
            await book.of_kind(f"kind {number % 3}").write({str(number): "x" * size})
    await book.of_kind("kind 0").write({"0": None})
    await book.of_kind("kind 0").write({"0": "fits"})


async def test_a_line_that_a_crash_left_is_cut_off_and_a_damaged_one_is_set_aside(tmp_path):
    path = tmp_path / "session"
    store = FileStore(path)
    await store.load()
    for number in range(3):
        await store.write_notes("kind", {str(number): "x"})
    await store.aclose()
    notes = tmp_path / "session.notes"
    lines = notes.read_bytes().split(b"\n")
    notes.write_bytes(lines[0] + b"\n" + b"0" * len(lines[1]) + b"\n" + lines[2] + b"\n" + lines[2][:10])
    store = FileStore(path)
    await store.load()
    assert await store.read_notes("kind") == {"0": "x", "2": "x"}
    await store.write_notes("kind", {"3": "x"})
    await store.aclose()
    store = FileStore(path)
    await store.load()
    assert await store.read_notes("kind") == {"0": "x", "2": "x", "3": "x"}
    await store.aclose()


async def test_the_file_of_notes_does_not_grow_for_ever(tmp_path):
    store = FileStore(tmp_path / "session", sync=False)
    await store.load()
    for number in range(3000):
        await store.write_notes("kind", {"key": f"{number} {'x' * 100}"})
    assert (tmp_path / "session.notes").stat().st_size < 100_000
    assert (await store.read_notes("kind"))["key"].startswith("2999 ")
    await store.aclose()


@pytest.mark.parametrize("kind", [FileStore, SQLiteStore])
async def test_a_store_refuses_what_is_no_regular_file_of_its_own(tmp_path, kind):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with trio.fail_after(5), pytest.raises(StoreError, match="not a regular file"):
        await kind(fifo).load()
    with pytest.raises(StoreError, match="not a regular file"):
        await kind("/dev/zero").load()
    if os.geteuid() == 0:
        theirs = tmp_path / "theirs"
        theirs.write_bytes(b"")
        os.chown(theirs, 65534, 65534)
        with pytest.raises(StoreError, match="another user"):
            await kind(theirs).load()
        beside = tmp_path / ("ours-wal" if kind is SQLiteStore else "ours.notes")
        beside.write_bytes(b"")
        os.chown(beside, 65534, 65534)
        with pytest.raises(StoreError, match="another user"):
            await kind(tmp_path / "ours").read_notes("kind")


async def test_a_file_that_is_too_large_for_a_session_is_refused(tmp_path):
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(StoreError, match="octets"):
        await FileStore(huge).load()
