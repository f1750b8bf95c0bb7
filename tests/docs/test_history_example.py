"""The history in docs/examples, on the embedded server."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import trio

import trioxmpp
from tests.docs.chat_screens import example
from trioxmpp import FileStore, Message, MessageType
from trioxmpp.im.conversation import open_conversations
from trioxmpp.im.timeline import open_timeline
from trioxmpp.testing import open_server

ROMEO, JULIET = "romeo@example.test", "juliet@example.test"


def options(server):
    return {"endpoint": server.endpoint, "allow_plaintext": True}


async def juliet_says(server, *bodies):
    async with trioxmpp.connect(f"{JULIET}/balcony", "secret", **options(server)) as juliet:
        for body in bodies:
            await juliet.send(Message(to=ROMEO, type=MessageType.CHAT, body=body))


def rows(path, columns):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT {columns} FROM message ORDER BY position").fetchall()


async def test_the_program_adds_what_was_missed_and_prints_the_conversation(autojump_clock, tmp_path, capsys):
    main, path = example("history.py")["main"], tmp_path / "history.db"
    async with open_server(archive=True) as server:

        async def run(*peer):
            store = FileStore(tmp_path / "session")
            await main(f"{ROMEO}/orchard", "secret", path, *peer, store=store, **options(server))

        await juliet_says(server, "before the history began")
        await run()
        assert rows(path, "text") == []
        await juliet_says(server, *(f"line {n}" for n in range(50)))
        await run()
        assert [text for (text,) in rows(path, "text")] == [f"line {n}" for n in range(50)]
        await run(JULIET)
        await run(JULIET)
    bodies = ["before the history began", *(f"line {n}" for n in range(50))]
    assert capsys.readouterr().out.splitlines() == 2 * [f"{JULIET}: {body}" for body in bodies]
    assert [text for (text,) in rows(path, "text")] == bodies  # in order, and each once
    assert all(archive_id for (archive_id,) in rows(path, "archive_id"))


async def test_a_row_keeps_the_verified_sender_and_the_message_that_is_changed(autojump_clock, tmp_path):
    history = example("history.py")["History"](tmp_path / "history.db")
    async with open_server(archive=True) as server:
        async with (
            trioxmpp.connect(f"{JULIET}/balcony", "secret", **options(server)) as juliet,
            open_timeline(juliet) as timeline,
            open_conversations(juliet, timeline) as talks,
            trioxmpp.connect(f"{ROMEO}/orchard", "secret", **options(server)) as romeo,
            open_timeline(romeo) as his,
            trio.open_nursery() as nursery,
        ):

            async def keep():
                async for entry in his:
                    await history.keep(entry)

            nursery.start_soon(keep)
            await romeo.send(trioxmpp.Presence())
            line = await talks[ROMEO].say("Art thou Romeoo?")
            await talks[ROMEO].correct(line, "Art thou Romeo?")
            await talks[ROMEO].react(line, {"👍"})
            await talks[ROMEO].retract(line)
            await romeo.send(Message(to=JULIET, type=MessageType.CHAT, body="I am", id="answer"))
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        history.close()
    kept = rows(tmp_path / "history.db", "peer, sender_kind, sender, by_us, changes, text")
    names = JULIET, "account", JULIET, 0
    retracted = kept[3][-1]
    assert kept == [
        (*names, None, "Art thou Romeoo?"),
        (*names, line.id, "Art thou Romeo?"),
        (*names, line.id, None),
        (*names, line.id, retracted),
        (JULIET, "account", ROMEO, 1, None, "I am"),
    ]
    ids = [archive_id for (archive_id,) in rows(tmp_path / "history.db", "archive_id")]
    assert all(ids[:4])
    assert len({*ids[:4]}) == 4
    assert ids[4] is None  # until the archive gives it


async def test_our_own_message_gets_its_archive_id_when_the_archive_gives_it(autojump_clock, tmp_path):
    history = example("history.py")["History"](tmp_path / "history.db")
    async with (
        open_server(archive=True) as server,
        trioxmpp.connect(f"{ROMEO}/orchard", "secret", **options(server)) as romeo,
        open_timeline(romeo) as timeline,
    ):
        await romeo.send(Message(to=JULIET, type=MessageType.CHAT, body="I am", id="answer"))
        entry = await anext(timeline)
        assert await history.keep(entry)
        assert not await history.keep(entry)
        pages = [page async for page in timeline.before(JULIET)]
        (archived,) = pages[0]
        assert not await history.keep(archived)
        (kept,) = await history.stored(JULIET)
        assert (kept.archive_id, kept.message.body, kept.by_us) == (archived.archive_id, "I am", True)
    history.close()


async def test_an_entry_that_could_not_be_stored_is_given_again(autojump_clock, tmp_path):
    History = example("history.py")["History"]
    async with open_server(archive=True) as server:

        async def keep(history, count):
            async with (
                trioxmpp.connect(
                    f"{ROMEO}/orchard", "secret", store=FileStore(tmp_path / "session"), **options(server)
                ) as romeo,
                open_timeline(romeo) as timeline,
            ):
                for _ in range(count):
                    await history.keep(await anext(timeline))

        history = History(tmp_path / "history.db")
        await keep(history, 0)
        await juliet_says(server, "one", "two")
        await keep(history, 1)
        history.close()
        with pytest.raises(sqlite3.ProgrammingError):
            await keep(history, 1)  # "two" comes, and the database is closed
        history = History(tmp_path / "history.db")
        await keep(history, 1)
        history.close()
    assert rows(tmp_path / "history.db", "text") == [("one",), ("two",)]
