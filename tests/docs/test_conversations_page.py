"""The programs of the page about conversations, on the embedded server."""

from __future__ import annotations

import trio

import trioxmpp
from tests.docs.test_pages import load, programs
from trioxmpp import Message, MessageType, Presence
from trioxmpp.testing import open_server
from trioxmpp.xep.muc import open_room

PAGE = "docs/conversations.md"


async def test_the_program_talks(autojump_clock, capsys):
    source = programs(PAGE)[0].replace("example.org", "example.test")
    async with open_server(accounts={"romeo": "secret", "juliet": "secret"}, archive=True) as server:
        options = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("juliet@example.test/b", "secret", **options) as juliet,
            juliet.messages.subscribe(MessageType.CHAT) as inbox,
            trio.open_nursery() as nursery,
        ):
            await juliet.send(Presence())
            nursery.start_soon(lambda: load(source, PAGE)["main"](**options))
            assert [(await inbox.receive()).body for _ in range(2)] == ["Art thou not Romeoo?", "Art thou not Romeo?"]
            await juliet.send(Message(to="romeo@example.test", type=MessageType.CHAT, body="Neither, fair maid"))
    assert capsys.readouterr().out == "Neither, fair maid\n"


async def test_the_program_greets_a_room(autojump_clock):
    greet = load(programs(PAGE)[1], PAGE)["greet"]
    address = "hall@conference.example.test"
    async with open_server(accounts={"romeo": "secret", "juliet": "secret"}, rooms=True) as server:
        options = {"endpoint": server.endpoint, "allow_plaintext": True}
        async with (
            trioxmpp.connect("juliet@example.test/b", "secret", **options) as juliet,
            open_room(juliet, address, "Juliet", create=True),
            trioxmpp.connect("romeo@example.test/o", "secret", **options) as romeo,
        ):
            assert (await greet(romeo, address)).text == "Good morrow, all!"
