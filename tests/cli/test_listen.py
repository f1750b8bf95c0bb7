"""`trioxmpp listen`: each message is a line, once, in order, whatever becomes of the link."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.bench import Bench, on_every_bench
from tests.cli.commands import account
from trioxmpp import JID, Message, MessageType
from trioxmpp.cli.errors import CommandError, OutputClosed, RoomRefused, Unreachable
from trioxmpp.cli.listen import Wanted, listen
from trioxmpp.xep.muc import OccupantJoined, open_room

HERE = Path()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of a bench take no other fixtures: their folder is the current one."""
    monkeypatch.chdir(tmp_path)


class Ear:
    """The lines and words of one run of the command, which ends with the test."""

    def __init__(self, bench: Bench, nursery: trio.Nursery, **wanted: Any) -> None:
        self.lines: list[str] = []
        self.words: list[str] = []
        self.error: CommandError | OutputClosed | None = None
        self.ended = trio.Event()
        self._news = trio.lowlevel.ParkingLot()
        write = wanted.pop("write", self._note)
        who = wanted.pop("who", None) or account(bench, 0, HERE)
        self._wanted = Wanted(write=write, tell=self._tell, **wanted)
        nursery.start_soon(self._run, who)

    async def _run(self, who: Any) -> None:
        try:
            await listen(self._wanted, who)
        except (CommandError, OutputClosed) as exc:
            self.error = exc
        self.ended.set()

    def _note(self, line: str) -> None:
        self.lines.append(line)
        self._news.unpark_all()

    def _tell(self, words: str) -> None:
        self.words.append(words)
        self._news.unpark_all()

    async def until(self, condition: Any) -> None:
        while not condition():
            await self._news.park()


def chat(to: str, body: str) -> Message:
    return Message(to=to, type=MessageType.CHAT, body=body)


@on_every_bench(accounts=2)
async def test_messages_are_lines_of_text_which_cannot_harm_a_terminal(bench: Bench) -> None:
    juliet = bench.clients[1]
    async with trio.open_nursery() as nursery:
        ear = Ear(bench, nursery, count=2, senders=frozenset({JID.parse(bench.jid(1))}))
        await ear.until(lambda: ear.words)
        await bench.clients[0].send(chat(bench.jid(0), "from another sender"))
        await juliet.send(chat(bench.jid(0), "two\nlines \u009b31m\u202e"))
        await juliet.send(chat(bench.jid(0), "the end"))
        await ear.ended.wait()
    assert ear.error is None
    first, second = ear.lines
    assert first.endswith(f"Z {juliet.jid}: two\\nlines \\x9b31m\\u202e")
    assert second.endswith(f"{juliet.jid}: the end")
    assert ear.words[0].startswith(f"connected as {bench.jid(0)}/")


@on_every_bench(accounts=2)
async def test_messages_are_objects_in_lines_of_json(bench: Bench) -> None:
    async with trio.open_nursery() as nursery:
        ear = Ear(bench, nursery, count=1, as_json=True)
        await ear.until(lambda: ear.words)
        await bench.clients[1].send(
            Message(to=bench.jid(0), type=MessageType.NORMAL, id="m1", body="Hä\n", subject="S", thread="T")
        )
        await ear.ended.wait()
    (line,) = ear.lines
    assert line.isascii()
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    told.pop("stamp")  # a server may deliver what came before our presence as if it were late
    assert told == {
        "from": str(bench.clients[1].jid),
        "to": bench.jid(0),
        "type": "normal",
        "id": "m1",
        "body": "Hä\n",
        "subject": "S",
        "thread": "T",
        "room": None,
        "nick": None,
    }


@on_every_bench(accounts=2)
async def test_a_message_that_has_waited_has_a_stamp(bench: Bench) -> None:
    await bench.clients[0].stream.aclose()
    await bench.clients[1].send(chat(bench.jid(0), "Hi"))
    async with trio.open_nursery() as nursery:
        ear = Ear(bench, nursery, count=1, as_json=True)
        await ear.ended.wait()
    assert json.loads(ear.lines[0])["stamp"].endswith("+00:00")


@on_every_bench(accounts=2)
async def test_a_message_in_a_room_is_heard(bench: Bench) -> None:
    place = bench.room()
    async with open_room(bench.clients[1], place, "juliet", create=True) as room, trio.open_nursery() as nursery:
        ear = Ear(bench, nursery, count=1, rooms=(JID.parse(place),), nick="ear", as_json=True)
        async with room.events() as events:
            while not isinstance(event := await events.receive(), OccupantJoined) or event.who.nick != "ear":
                pass
        await room.say("Hi")
        await ear.ended.wait()
    (line,) = ear.lines
    told = json.loads(line)
    assert (told["room"], told["nick"], told["body"]) == (place, "juliet", "Hi")


@on_every_bench(accounts=1)
async def test_a_room_that_does_not_let_us_in_ends_it(bench: Bench) -> None:
    async with trio.open_nursery() as nursery:
        ear = Ear(bench, nursery, rooms=(JID.parse(bench.room()),))
        await ear.ended.wait()
    assert type(ear.error) is RoomRefused


@on_every_bench(accounts=2)
async def test_a_broken_link_and_a_lost_session_lose_no_message(bench: Bench) -> None:
    server = bench.embedded()
    async with trio.open_nursery() as nursery:
        ear = Ear(bench, nursery, count=3)
        await ear.until(lambda: ear.words)
        jid = next(jid for jid in server.sessions if jid.startswith(bench.jid(0)) and not jid.endswith("/bench"))
        server.sessions[jid].link.reset()
        await bench.clients[1].send(chat(jid, "during the outage"))
        await ear.until(lambda: ear.lines)
        server.forget(jid)
        await ear.until(lambda: sum(words.startswith("connected") for words in ear.words) == 2)
        for body in ("afterwards", "the end"):
            await bench.clients[1].send(chat(bench.jid(0), body))
        await ear.ended.wait()
    assert [line.rpartition(": ")[2] for line in ear.lines] == ["during the outage", "afterwards", "the end"]
    assert any("without a link" in words for words in ear.words)


@on_every_bench(accounts=2)
async def test_a_reader_that_has_left_ends_it_and_what_was_not_written_is_sent_again(bench: Bench) -> None:
    bench.has("faults")

    def closed(line: str) -> None:
        raise OutputClosed

    await bench.clients[0].stream.aclose()  # so that the listener is the only resource
    async with trio.open_nursery() as nursery:
        ear = Ear(bench, nursery, write=closed)
        await ear.until(lambda: ear.words)
        await bench.clients[1].send(chat(bench.jid(0), "unread"))
        await ear.ended.wait()
        assert type(ear.error) is OutputClosed
        again = Ear(bench, nursery, count=1)
        with trio.move_on_after(3600):
            await again.ended.wait()
        nursery.cancel_scope.cancel()
    assert [line.rpartition(": ")[2] for line in again.lines] == ["unread"]


@on_every_bench(accounts=1)
async def test_another_client_with_the_same_resource_ends_it(bench: Bench) -> None:
    async with trio.open_nursery() as nursery:
        ear = Ear(bench, nursery, who=account(bench, 0, HERE, jid=JID.parse(bench.jid(0) + "/same")))
        await ear.until(lambda: ear.words)
        async with bench.connect(0, "same"):
            await ear.ended.wait()
    assert type(ear.error) is Unreachable
    assert "conflict" in str(ear.error)
