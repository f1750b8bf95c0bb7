"""The chat program in docs/examples, on the embedded server: what persons type, and what their screens show."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import trio

import trioxmpp
from tests.docs.chat_screens import EXAMPLES, at_the_program
from trioxmpp import Message, MessageType
from trioxmpp.im.presence import appear
from trioxmpp.testing import open_server

PAGE = EXAMPLES.parent / "chat.md"
ROMEO, JULIET, ROOM = "romeo@example.test", "juliet@example.test", "orchard@conference.example.test"


def folder(path: Path, name: str) -> Path:
    (path / name).mkdir(exist_ok=True)
    return path / name


def options(server):
    return {"endpoint": server.endpoint, "allow_plaintext": True}


def a_server(**settings):
    return open_server(accounts={"romeo": "secret", "juliet": "secret"}, archive=True, rooms=True, **settings)


async def test_the_screens_show_what_the_page_shows(autojump_clock, tmp_path):
    async with (
        a_server() as server,
        at_the_program("juliet", folder(tmp_path, "juliet"), **options(server)) as juliet,
        at_the_program("romeo", folder(tmp_path, "romeo"), **options(server)) as romeo,
    ):
        await romeo.types(f"/add {JULIET}")
        await juliet.types(f"/accept {ROMEO}", f"/add {ROMEO}")
        await romeo.types(f"/accept {JULIET}", "/contacts", f"/open {JULIET}", "Art thou not Juliett?")
        await romeo.types("/correct Art thou not Juliet?")
        await juliet.types(f"/open {ROMEO}", "Neither, fair saint,\\", "if either thee dislike.")
        await romeo.types("/react ❤", "How camest thou hither?")
        await juliet.types("/retract", f"/join {ROOM}", "Here!")
        await romeo.types(f"/join {ROOM} Montague", "/who", "My lady!", "/leave", f"/open {JULIET}", "/quit")
        await juliet.types("/quit")
    shown = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert ["".join(f"{line}\n" for line in person.settled) for person in (romeo, juliet)] == shown


async def test_after_a_kill_the_history_is_back_and_nothing_is_doubled(autojump_clock, tmp_path):
    before, after = folder(tmp_path, "before"), tmp_path / "after"
    async with (
        a_server(contacts=[("romeo", "juliet")]) as server,
        at_the_program("juliet", folder(tmp_path, "juliet"), **options(server)) as juliet,
    ):
        async with at_the_program("romeo", before, **options(server)) as romeo:
            await romeo.types(f"/open {JULIET}", "one", "two")
            await juliet.types(f"/open {ROMEO}", "three", "four", "/correct five")
            await juliet.types("six", wait=0.1)  # the timeline has not written down yet that it was done
            assert "juliet: six" in romeo.screen
            shutil.copytree(before, after)  # the disk as a kill would leave it now
        await juliet.types("seven")
        async with at_the_program("romeo", after, **options(server)) as romeo:
            await romeo.types(f"/open {JULIET}", "/more", "eight")
            await juliet.types("nine")
    assert [line for line in romeo.settled if line != "* juliet@example.test is here"] == [
        "[juliet@example.test] juliet: seven (missed)",
        "> /open juliet@example.test",
        "--- juliet@example.test",
        "me: one",
        "me: two",
        "juliet: three",
        "juliet: five (corrected)",
        "juliet: six",
        "juliet: seven",
        "> /more",
        "--- there is nothing older",
        "> eight",
        "me: eight",
        "* displayed: eight",
        "juliet: nine",
    ]


async def test_another_computer_reads_the_archive_page_by_page(autojump_clock, tmp_path):
    async with a_server() as server:
        async with (
            trioxmpp.connect(f"{ROMEO}/phone", "secret", **options(server)) as phone,
            appear(phone),  # or else the server would keep the messages, and not only in the archive
            trioxmpp.connect(JULIET, "secret", **options(server)) as juliet,
        ):
            for number in range(30):
                await juliet.send(Message(to=ROMEO, type=MessageType.CHAT, body=str(number), id=f"id{number}"))
        async with at_the_program("romeo", folder(tmp_path, "romeo"), **options(server)) as romeo:
            await romeo.types(f"/open {JULIET}", "/more", "/more", "/quit")
        shown = [*(f"juliet: {n}" for n in range(10, 30)), *(f"juliet: {n}" for n in range(10))]
        assert [line for line in romeo.screen if line.startswith("juliet")] == shown
        async with at_the_program("romeo", tmp_path / "romeo", **options(server)) as romeo:
            await romeo.types(f"/open {JULIET}", "/more")
        assert [line for line in romeo.screen if line.startswith("juliet")] == shown


async def test_a_message_that_arrives_while_a_chat_is_opened_is_there_once(autojump_clock, tmp_path):
    for number in range(10):
        async with (
            a_server(contacts=[("romeo", "juliet")]) as server,
            at_the_program("juliet", folder(tmp_path, f"juliet{number}"), **options(server)) as juliet,
            at_the_program("romeo", folder(tmp_path, f"romeo{number}"), **options(server)) as romeo,
        ):
            await juliet.types(f"/open {ROMEO}")
            await juliet.types("Hello?", "/correct Hello!", wait=0)
            await romeo.types(f"/open {JULIET}")
            await romeo.types(f"/open {JULIET}")
            assert romeo.screen[-3:] == [f"> /open {JULIET}", f"--- {JULIET}", "juliet: Hello! (corrected)"]


async def test_a_server_without_an_archive_is_no_obstacle(autojump_clock, tmp_path):
    async with (
        open_server(contacts=[("romeo", "juliet")]) as server,
        at_the_program("juliet", folder(tmp_path, "juliet"), **options(server)) as juliet,
    ):
        async with at_the_program("romeo", folder(tmp_path, "romeo"), **options(server)) as romeo:
            await romeo.types(f"/open {JULIET}", "one")
            await juliet.types(f"/open {ROMEO}", "two")
            assert "juliet: two" in romeo.screen
        async with at_the_program("romeo", folder(tmp_path, "romeo"), **options(server)) as romeo:
            await romeo.types(f"/open {JULIET}")
        assert romeo.screen[-2:] == ["me: one", "juliet: two"]


async def test_a_stranger_can_neither_command_the_terminal_nor_forge_a_line(autojump_clock, tmp_path):
    async with (
        a_server() as server,
        at_the_program("romeo", folder(tmp_path, "romeo"), **options(server)) as romeo,
        trioxmpp.connect(JULIET, "secret", **options(server)) as juliet,
    ):
        body = "Hark!\nme: I yield\x9b2J\u202e"
        await juliet.send(Message(to=ROMEO, type=MessageType.CHAT, body=body))
        await trio.sleep(1)
    assert romeo.screen == ["[juliet@example.test] juliet: Hark!\n    me: I yield?2J?"]


async def test_the_screen_tells_of_each_failure(autojump_clock, tmp_path):
    async with (
        a_server() as server,
        at_the_program("romeo", folder(tmp_path, "romeo"), **options(server)) as romeo,
        at_the_program("juliet", folder(tmp_path, "juliet"), **options(server)) as juliet,
    ):
        await romeo.types("Ho!", "/open @", "/correct Ha!", "/open nobody@example.test", "Ho!", "/react x")
        await romeo.types(f"/join {ROOM} x", "/join nobody@nowhere.example.test", "/unknown")
        await juliet.types(f"/join {ROOM} x", "/quit")
    told = [line for line in romeo.screen if not line.startswith(">")]
    assert told[0] == "* open a chat: /open ADDRESS, or /join ROOM"
    assert told[1].startswith("* ")
    assert told[2] == told[0]
    assert "* there is no such message" in told
    assert any(line.startswith("* failed: Ho! (") for line in told)
    assert told[-1].startswith("/add ADDRESS")
    assert any(line.startswith("* nobody@nowhere.example.test: ") for line in told), told
    assert any(line.startswith(f"* {ROOM}: ") for line in juliet.screen), juliet.screen


def test_the_program_is_short_and_uses_public_names():
    program = (EXAMPLES / "chat.py").read_text()
    assert len([line for line in program.splitlines() if line.strip()]) <= 250
    for name in ("chat.py", "history.py"):
        for node in ast.walk(ast.parse((EXAMPLES / name).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("trioxmpp."):
                assert not any(part.startswith("_") for part in node.module.split("."))
                assert node.module.split(".")[1] in ("im", "program", "protocol", "xep"), node.module
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id != "self":
                assert not node.attr.startswith("_"), node.attr
