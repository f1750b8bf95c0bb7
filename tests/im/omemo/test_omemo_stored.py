"""A store of an earlier version can be read, and its sessions go on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.im.omemo.devices import JULIET, ROMEO, phone, serving
from tests.im.world import Disk, connect
from trioxmpp import FileStore, Message, MessageType, SQLiteStore, StoreError, xml
from trioxmpp.im.omemo import AlreadyDecrypted, Trust, open_omemo, undecided
from trioxmpp.im.omemo.storage import FORMAT, PART, NoteStorage
from trioxmpp.protocol.elements import omemo as elements

FILES = sorted(Path(__file__).parent.glob("stored_*.json"))
STORED = {path: json.loads(path.read_text()) for path in FILES}


def disk_of(notes: dict[str, str]) -> Disk:
    return Disk(notes={"omemo": dict(notes)})


def test_there_is_a_file_for_the_format_of_now() -> None:
    assert f"stored_{FORMAT}.json" in [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_sessions_of_an_earlier_version_go_on(path: Path, autojump_clock: Any) -> None:
    stored = STORED[path]
    element = xml.fromstring(stored["late"].replace("<message", "<message xmlns='jabber:client'", 1))
    late = Message(
        to=JULIET, from_=f"{ROMEO}/a", type=MessageType.CHAT, payloads=[element.find(f"{{{elements.NS}}}encrypted")]
    )
    async with (
        serving() as server,
        phone(server, f"{ROMEO}/a", disk_of(stored["romeo"])) as a,
        phone(server, f"{JULIET}/b", disk_of(stored["juliet"])) as b,
    ):
        assert json.loads(stored["romeo"]["self"])["v"]["device"] == a.omemo.own.id
        opened, mark = await b.omemo.decrypt(late)
        assert opened.body == "late"
        assert mark.device.trust is Trust.VERIFIED
        with pytest.raises(AlreadyDecrypted):
            await b.omemo.decrypt(late)
        sealed = await a.say("after years", JULIET)
        assert not any(key.kex for keys in sealed.get(elements.Encrypted).header.keys for key in keys.keys)
        await b.say("as ever", ROMEO)
        await a.wait(1)
        await b.wait(1)
        assert (a.texts, b.texts) == (["as ever"], ["after years"])


@pytest.mark.parametrize("kind", [FileStore, SQLiteStore])
async def test_each_store_keeps_the_sessions(kind: Any, tmp_path: Path, autojump_clock: Any) -> None:
    path = tmp_path / "store"
    async with serving() as server, phone(server, f"{JULIET}/b") as b:
        async with phone(server, f"{ROMEO}/a", kind(path)) as a:
            own = a.omemo.own
            await a.say("one", JULIET)
            await b.wait(1)
            await b.say("two", ROMEO)
            await a.wait(1)
        async with phone(server, f"{ROMEO}/a", kind(path)) as a:
            assert a.omemo.own == own
            sealed = await a.say("three", JULIET)
            assert not any(key.kex for keys in sealed.get(elements.Encrypted).header.keys for key in keys.keys)
            await b.wait(2)
            assert b.texts == ["one", "three"]


async def test_notes_of_a_later_format_and_of_another_account_are_refused(autojump_clock: Any) -> None:
    async with serving() as server:
        disk = Disk()
        async with phone(server, f"{ROMEO}/a", disk):
            pass
        for name, value, words in (
            ("format", "99", "format 99"),
            ("self", '{"v": {"account": "nurse@example.test", "device": 5}}', "nurse@example.test"),
        ):
            changed = disk_of({**disk.notes["omemo"], name: value})
            async with connect(server, f"{ROMEO}/a", store=changed) as client:
                with pytest.raises(StoreError, match=words):
                    async with open_omemo(client, trust=undecided):
                        pass


class Notebook:
    """Notes as the store has them."""

    def __init__(self) -> None:
        self.notes: dict[str, Any] = {}

    async def read(self) -> dict[str, Any]:
        return dict(self.notes)

    async def write(self, changes: Any) -> None:
        for name, value in changes.items():
            assert len(json.dumps(value)) < 64 << 10
            if value is None:
                self.notes.pop(name, None)
            else:
                self.notes[name] = value


async def test_a_long_value_is_kept_in_parts_that_go_when_it_is_short_again(autojump_clock: Any) -> None:
    notes = Notebook()
    storage = NoteStorage(notes, ("urn:example",))  # type: ignore[arg-type]
    await storage.open()
    key = ("urn:example", "juliet@example.test", 5)
    storage.make_record(key)
    prefix = "/urn:example/juliet@example.test/5"
    dice = random.Random(1)
    long = [dice.randbytes(32).hex() for _ in range(6_000)]
    await storage.store(f"{prefix}/ratchet", long)
    await storage.store(f"{prefix}/confirmed", True)
    await storage.store("/urn:example/bare_jids", ["an index of the library"])
    await storage.flush()
    assert len(notes.notes) > 3
    assert max(len(json.dumps(value)) for value in notes.notes.values()) < PART + 1_000
    again = NoteStorage(notes, ("urn:example",))  # type: ignore[arg-type]
    await again.open()
    assert (await again.load(f"{prefix}/ratchet")).from_just() == long
    assert (await again.load_primitive(f"{prefix}/confirmed", bool)).from_just() is True
    assert (await again.load("/urn:example/bare_jids")).is_nothing
    await again.store(f"{prefix}/ratchet", ["short"])
    await again.flush()
    assert sorted(notes.notes) == ["format", "session urn:example juliet@example.test 5"]


async def test_a_write_that_fails_is_repeated_with_the_next_one(autojump_clock: Any) -> None:
    notes = Notebook()
    storage = NoteStorage(notes, ())  # type: ignore[arg-type]
    storage.put("one", 1)
    write = notes.write

    async def fail(changes: Any) -> None:
        raise StoreError("the disk is full")

    notes.write = fail  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        await storage.flush()
    notes.write = write  # type: ignore[method-assign]
    storage.put("two", 2)
    await storage.flush()
    assert notes.notes == {"format": FORMAT, "one": {"v": 1}, "two": {"v": 2}}
    await storage.flush()
