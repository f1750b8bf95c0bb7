"""Stores: what was written is there again, whatever happens to the process that wrote it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trio

from trioxmpp import (
    JID,
    Change,
    FileStore,
    MemoryStore,
    PendingRequest,
    SQLiteStore,
    StoredSession,
    StoredStanza,
    StoreError,
)
from trioxmpp.client.store.storedsession import Setbacks, Suspect, SuspectStage

TICKET = StoredSession(
    jid=JID.parse("romeo@example.test/orchard"),
    saved=1000.5,
    id="some id; \"with\" 'quotes' and \u00e4\U0001f339",
    handled=7,
    base=2**32 - 1,
    max=300,
    location=("::1", 5222),
    stanzas=(
        StoredStanza(1, "<message id='a'><body>\u00e4\n&amp;</body></message>", sent=3),
        StoredStanza(2, "<message id='b'/>", sent=1_700_000_000_000_000, durable=True, doubtful=True),
    ),
    requests=(PendingRequest("c", JID.parse("juliet@example.test")), PendingRequest("d", None)),
    setbacks=Setbacks(1, 2, Suspect(2, 3, 5, SuspectStage.SENT_ALONE)),
)
CHANGE = Change(
    saved=1001.5,
    handled=8,
    base=0,
    put=(StoredStanza(2, "<message id='b' xml:lang='en'/>", sent=4, durable=True), StoredStanza(3, "<presence/>")),
    drop=(1,),
    requests=(PendingRequest("d", None),),
    setbacks=Setbacks(1, 0, None),
)
CHANGED = StoredSession(
    jid=TICKET.jid,
    saved=1001.5,
    id=TICKET.id,
    handled=8,
    base=0,
    max=300,
    location=TICKET.location,
    stanzas=CHANGE.put,
    requests=(PendingRequest("d", None),),
    setbacks=Setbacks(1, 0, None),
)

FILES = {"file": FileStore, "sqlite": SQLiteStore}


@pytest.fixture(params=list(FILES))
def kind(request):
    return FILES[request.param]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "session"


@pytest.fixture(params=["memory", *FILES])
def store(request, path):
    return MemoryStore() if request.param == "memory" else FILES[request.param](path)


async def test_a_session_that_was_written_is_there_again(store):
    assert await store.load() is None
    await store.save(TICKET)
    await store.aclose()
    assert await store.load() == TICKET
    await store.update(CHANGE)
    await store.aclose()
    assert await store.load() == CHANGED
    await store.save(TICKET)
    assert await store.load() == TICKET
    await store.aclose()


async def test_a_change_may_be_made_twice(store):
    await store.load()
    await store.save(TICKET)
    await store.update(CHANGE)
    await store.update(CHANGE)
    assert await store.load() == CHANGED
    await store.aclose()


async def test_a_session_that_was_cleared_is_gone(store):
    await store.load()
    await store.save(TICKET)
    await store.clear()
    await store.aclose()
    assert await store.load() is None
    await store.save(TICKET)
    assert await store.load() == TICKET
    await store.aclose()


async def test_only_its_owner_may_read_it(kind, path):
    store = kind(path)
    await store.load()
    await store.save(TICKET)
    await store.update(CHANGE)
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    await store.aclose()


async def test_one_process_has_it_at_a_time(kind, path):
    first, second = kind(path), kind(path)
    await first.load()
    await first.save(TICKET)
    with pytest.raises(StoreError, match="in use"):
        await second.load()
    await first.aclose()
    assert await second.load() == TICKET
    await second.aclose()


async def test_there_is_nothing_to_change_without_a_session(kind, path):
    for is_loaded in (False, True):
        store = kind(path)
        if is_loaded:
            await store.load()
        with pytest.raises(StoreError, match="no session is stored"):
            await store.update(CHANGE)
        await store.save(TICKET)
        await store.update(CHANGE)
        await store.clear()
        await store.aclose()


async def test_a_place_that_does_not_exist_is_an_error(kind, path):
    with pytest.raises(StoreError, match=r"nowhere"):
        await kind(path / "nowhere" / "session").load()


async def test_a_file_that_is_something_else_is_left_alone(kind, path):
    path.write_text("My diary\n\nDear diary, today I met a girl.\n" * 50)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        await kind(path).load()
    assert path.read_bytes() == before


async def test_a_cleared_file_does_not_stay_around(path):
    store = FileStore(path)
    await store.load()
    await store.save(TICKET)
    await store.clear()
    await store.aclose()
    assert not path.exists()


@pytest.mark.parametrize("sync", [True, False])
async def test_a_file_that_was_cut_anywhere_in_its_last_line_is_as_before_that_line(path, sync):
    store = FileStore(path, sync=sync)
    await store.load()
    await store.save(TICKET)
    first = path.stat().st_size
    await store.update(CHANGE)
    await store.aclose()
    whole = path.read_bytes()
    for end in range(first, len(whole)):
        path.write_bytes(whole[:end])
        assert await store.load() == TICKET
        await store.update(CHANGE)
        await store.aclose()
        assert path.read_bytes() == whole


async def test_a_file_that_is_damaged_in_the_middle_is_an_error(path):
    store = FileStore(path)
    await store.load()
    await store.save(TICKET)
    for _ in range(3):
        await store.update(CHANGE)
    await store.aclose()
    lines = path.read_bytes().splitlines(keepends=True)
    for number in range(3):
        damaged = [*lines]
        damaged[number] = damaged[number].replace(b"example", b"exanple").replace(b"saved", b"sawed")
        path.write_bytes(b"".join(damaged))
        with pytest.raises(StoreError, match=f"line {number + 1}"):
            await store.load()


async def test_a_file_does_not_grow_forever(path):
    store = FileStore(path, sync=False)
    await store.load()
    await store.save(TICKET)
    text = "<message><body>" + 1000 * "x" + "</body></message>"
    for number in range(3, 1000):
        change = Change(saved=0.0, handled=number, base=number, put=(StoredStanza(number, text),), drop=(number - 1,))
        await store.update(change)
        assert path.stat().st_size < 100_000
    ticket = await store.load()
    assert ticket is not None
    assert [stanza.number for stanza in ticket.stanzas] == [1, 999]
    assert ticket.handled == 999
    assert ticket.id == TICKET.id
    await store.aclose()


def test_a_later_version_is_named_in_the_error():
    said = {**TICKET.to_json(), "version": 3, "novelty": True}
    with pytest.raises(StoreError, match=r"version 3 .* knows 2"):
        StoredSession.from_json(said)


def test_a_ticket_of_a_process_that_wrote_no_setbacks_has_none():
    older = TICKET.to_json()
    del older["setbacks"]
    assert StoredSession.from_json(older).setbacks == Setbacks()


@pytest.mark.parametrize("name", sorted({*TICKET.to_json()} - {"setbacks"}))
def test_a_ticket_that_lacks_something_is_damaged(name):
    said = TICKET.to_json()
    del said[name]
    with pytest.raises(StoreError, match="damaged"):
        StoredSession.from_json(said)


@pytest.mark.parametrize("said", [None, [], 3, {}, {"version": "1"}, {"version": 0}, {"version": -1}])
def test_nonsense_is_damage(said):
    with pytest.raises(StoreError, match="damaged"):
        StoredSession.from_json(said)


def test_a_ticket_is_json():
    assert StoredSession.from_json(json.loads(json.dumps(TICKET.to_json()))) == TICKET
    assert Change.from_json(json.loads(json.dumps(CHANGE.to_json()))) == CHANGE


def test_a_ticket_tells_when_the_server_gives_up():
    assert TICKET.expires == 1300.5
    assert StoredSession(TICKET.jid, 0.0).expires is None


async def load(store):
    ticket = await store.load()
    await store.aclose()
    return ticket


WRITER = textwrap.dedent("""
    import sys, trio
    from trioxmpp import JID, Change, FileStore, SQLiteStore, StoredStanza, StoredSession

    async def main(kind, path):
        store = {"FileStore": FileStore, "SQLiteStore": SQLiteStore}[kind](path)
        ticket = await store.load()
        number = 0 if ticket is None else ticket.handled
        if ticket is None:
            await store.save(StoredSession(JID.parse("romeo@example.test/orchard"), 0.0, id="id"))
        while True:
            number += 1
            stanza = StoredStanza(number, f"<message id='{number}'><body>{'x' * 300}</body></message>")
            await store.update(Change(0.0, number, number, put=(stanza,), drop=(max(0, number - 20),)))
            print(number, flush=True)

    trio.run(main, *sys.argv[1:])
""")


def test_a_process_that_is_killed_at_any_moment_leaves_all_that_it_had_written(kind, path):
    """Each change that it reported as written is there, whole, in order; at most one more, which it had begun."""
    said = 0
    for round_ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, kind.__name__, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(20 + 37 * (round_ % 4))]
            os.kill(process.pid, signal.SIGKILL)
            lines += process.stdout.readlines()
        said = int([line for line in lines if line.endswith("\n")][-1])
        ticket = trio.run(load, kind(path))
        assert ticket is not None
        assert ticket.handled in (said, said + 1)
        numbers = [stanza.number for stanza in ticket.stanzas]
        assert numbers == list(range(max(1, ticket.handled - 19), ticket.handled + 1))
        assert ticket.base == ticket.handled
        assert all(stanza.xml.startswith(f"<message id='{stanza.number}'>") for stanza in ticket.stanzas)
    assert said > 300
