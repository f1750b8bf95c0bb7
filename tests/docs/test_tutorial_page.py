"""The six bots of the tutorial, as they are on the page."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trioxmpp
from tests.docs.test_pages import load, programs, run
from tests.xep.webserver import InMemory
from trioxmpp import Message, MessageType, Presence, PresenceType
from trioxmpp.im.roster import open_roster
from trioxmpp.testing import Server, open_server
from trioxmpp.xep.muc import RoomMessage, open_room
from trioxmpp.xep.upload import shared_url

PAGE = "docs/tutorial.md"
NURSE = "nurse@example.test"

Ask = Callable[..., Awaitable[Message]]


def bot(step: int) -> Callable[..., Awaitable[None]]:
    main = load(programs(PAGE)[step - 1], PAGE)["main"]
    assert callable(main)
    return main


class Stage:
    """A server where one bot runs, and a person who talks to it."""

    def __init__(self, server: Server, options: dict[str, Any], nursery: trio.Nursery) -> None:
        self.server = server
        self.options = options
        self._nursery = nursery
        self._bots: list[trio.CancelScope] = []

    async def begins(self, step: int, *args: Any, **options: Any) -> None:
        """Run the bot of a step, until it has appeared or is idle."""
        scope = trio.CancelScope()

        async def live() -> None:
            with scope:
                await bot(step)(NURSE, "secret", *args, **self.options, **options)

        self._nursery.start_soon(live)
        self._bots.append(scope)
        await trio.testing.wait_all_tasks_blocked()

    async def ends(self) -> None:
        self._bots.pop().cancel()
        await trio.sleep(10)

    @asynccontextmanager
    async def juliet(self):
        """A client, its inbox, and a function that says something to the bot and returns what it answers."""
        async with (
            trioxmpp.connect("juliet@example.test/balcony", "secret", **self.options) as juliet,
            juliet.messages.subscribe(MessageType.CHAT) as inbox,
        ):

            async def ask(text: str) -> Message:
                await juliet.send(Message(to=NURSE, type=MessageType.CHAT, body=text))
                return await heard(inbox)

            await juliet.send(Presence())
            yield juliet, inbox, ask


async def heard(inbox: Any) -> Message:
    async for message in inbox:
        if message.body:
            return message
    raise AssertionError("no message")


@asynccontextmanager
async def stage():
    accounts = {"nurse": "secret", "juliet": "secret"}
    async with open_server(accounts=accounts, rooms=True, archive=True) as server, trio.open_nursery() as nursery:
        server.upload.serve()
        yield Stage(server, {"endpoint": server.endpoint, "allow_plaintext": True}, nursery)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("step", [1, 2])
def test_it_answers_and_comes_back_after_a_crash(step: int) -> None:
    async def main() -> None:
        async with stage() as scene:
            await scene.begins(step)
            async with scene.juliet() as (juliet, _, ask):
                await juliet.send(Message(to=NURSE, type=MessageType.CHAT))  # without a body
                assert (await ask("ping")).body == ("ping" if step == 1 else "pong")
                if step == 2:
                    assert (await ask("shout Ho")).body == "HO!"
                    assert "I know" in (await ask("What?")).body
                await scene.server.crash()
                await trio.sleep(100)
                await scene.server.restart()
                await trio.sleep(300)
                await juliet.wait_linked()
                await juliet.send(Presence())
                assert (await ask("shout Ho")).body == ("shout Ho" if step == 1 else "HO!")

    run(main)


def test_it_lets_contacts_in_and_greets_them_once() -> None:
    async def main() -> None:
        async with stage() as scene:
            await scene.begins(3)
            async with (
                trioxmpp.connect("juliet@example.test/balcony", "secret", **scene.options) as juliet,
                open_roster(juliet) as roster,
                juliet.messages.subscribe(MessageType.CHAT) as inbox,
                juliet.presences.subscribe(PresenceType.SUBSCRIBE) as requests,
            ):
                await juliet.send(Presence())
                await roster.subscribe(NURSE)
                await requests.receive()
                await roster.approve(NURSE)
                await roster.wait(NURSE, lambda contact: contact is not None and contact.subscription == "both")
                assert (await heard(inbox)).body == "Good morrow!"
                await juliet.send(Presence(status="still here"))
                await trio.sleep(60)
                with pytest.raises(trio.WouldBlock):
                    inbox.receive_nowait()

    run(main)


def test_it_sits_in_a_room_and_comes_back_after_a_kick() -> None:
    async def main() -> None:
        async with stage() as scene:
            await scene.begins(4)
            hall = "hall@conference.example.test"
            async with (
                trioxmpp.connect("juliet@example.test/balcony", "secret", **scene.options) as juliet,
                open_room(juliet, hall, "Juliet") as room,
                room.events() as events,
            ):

                async def until(text: str) -> None:
                    async for event in events:
                        if isinstance(event, RoomMessage) and event.entry.text == text:
                            return

                await until("Welcome, Juliet!")
                await room.say("Nurse?")
                await until("What is thy will?")
                scene.server.rooms.remove(hall, "Nurse", "307")
                await trio.sleep(100)
                await room.say("Nurse? Art thou back?")
                await until("What is thy will?")

    run(main)


def test_it_answers_what_was_said_while_it_was_away_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with stage() as scene, scene.juliet() as (juliet, inbox, ask):
            path = tmp_path / "bot.session"
            await scene.begins(5, path)
            assert (await ask("one")).body == "Thou saidst: one"
            await scene.ends()
            await juliet.send(Message(to=NURSE, type=MessageType.CHAT, body="two"))
            await trio.sleep(3600)
            await scene.begins(5, path)
            found = (await heard(inbox)).body or ""
            assert re.fullmatch(r"Thou saidst \(at \d\d:\d\d, I was away\): two", found)
            assert (await ask("three")).body == "Thou saidst: three"

    run(main)


def test_it_sends_notes_as_a_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with stage() as scene:
            web = InMemory(scene.server)
            await scene.begins(6, tmp_path / "bot.session", web={"transport": web})
            async with scene.juliet() as (_, _, ask):
                assert "I know" in (await ask("notes")).body
                assert (await ask("note buy wax")).body == "That makes 1."
                assert (await ask("note write to Romeo")).body == "That makes 2."
                url = shared_url(await ask("notes"))
                assert url is not None
                assert web.content(url) == b"- buy wax\n- write to Romeo\n"

    run(main)


def test_each_step_is_one_whole_program() -> None:
    text = (Path(__file__).parents[2] / PAGE).read_text()
    assert len(re.findall(r"^## Step \d:", text, re.MULTILINE)) == 6
    assert len(programs(PAGE)) == 6
