"""go-sendxmpp, a program for scripts: it sends and prints messages, and uploads files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import trio

from tests.interop.conftest import Stage
from tests.interop.driver import eventually
from trioxmpp import JID, Client, Message, MessageType
from trioxmpp.im.presence import appear
from trioxmpp.xep.muc import OccupantJoined, RoomMessage, open_room
from trioxmpp.xep.upload import file_message, shared_url, upload


def command(stage: Stage, user: str, *arguments: str) -> dict[str, Any]:
    """Return the arguments of `trio.run_process` for a go-sendxmpp of this user."""
    account = ["-u", stage.jid(user), "-p", stage.server.accounts[user], "-j", f"127.0.0.1:{stage.server.port}"]
    return {
        "command": ["go-sendxmpp", *account, *arguments],
        "env": {**os.environ, "SSL_CERT_FILE": str(stage.server.ca_file), "HOME": "/nonexistent"},
    }


async def send(stage: Stage, user: str, text: str, *arguments: str) -> None:
    """Have go-sendxmpp send a text."""
    with trio.fail_after(30):
        await trio.run_process(**command(stage, user, *arguments), stdin=text.encode())


@asynccontextmanager
async def listening(stage: Stage, user: str, *arguments: str) -> AsyncIterator[list[str]]:
    """A go-sendxmpp that prints what it hears; gives the lines."""
    lines: list[str] = []

    async def read(process: trio.Process) -> None:
        rest = b""
        assert process.stdout is not None
        async for data in process.stdout:
            *whole, rest = (rest + data).split(b"\n")
            lines.extend(line.decode() for line in whole)

    async with trio.open_nursery() as nursery:
        options = command(stage, user, "-l", *arguments)
        process = await trio.lowlevel.open_process(
            options["command"], env=options["env"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        try:
            nursery.start_soon(read, process)
            yield lines
        finally:
            process.kill()
            with trio.move_on_after(10, shield=True):
                await process.wait()
        nursery.cancel_scope.cancel()


async def fetched(stage: Stage, url: str) -> bytes:
    async with httpx2.AsyncClient(verify=stage.server.ssl_context()) as http:
        return (await http.get(url)).content


async def test_a_message_of_go_sendxmpp_is_read_by_us(stage: Stage) -> None:
    user = stage.user()
    async with stage.ours(stage.user()) as client, client.messages.subscribe() as inbox:
        await send(stage, user, "But soft! <what> & 🌹\n", str(client.jid))
        message = await anext(inbox)
        assert message.from_ is not None
        assert (str(message.from_.bare), message.type) == (stage.jid(user), MessageType.CHAT)
        assert message.body is not None
        assert message.body.strip() == "But soft! <what> & 🌹"


async def test_a_message_of_ours_is_printed_by_go_sendxmpp(stage: Stage) -> None:
    user = stage.user()
    async with stage.ours(stage.user()) as client, listening(stage, user) as lines:
        await is_listening(client, JID.parse(stage.jid(user)), lines)
        await client.send(Message(to=stage.jid(user), type=MessageType.CHAT, body="Ay me!"))
        await eventually(lambda: any(line.endswith("Ay me!") and str(client.jid.bare) in line for line in lines))


async def is_listening(client: Client, to: JID, lines: list[str]) -> None:
    """Knock until the program prints it: it may lose a message that comes while it logs in."""

    async def knock() -> bool:
        await client.send(Message(to=to, type=MessageType.CHAT, body="knock"))
        return any("knock" in line for line in lines)

    await eventually(knock)


async def test_go_sendxmpp_speaks_in_our_room(stage: Stage) -> None:
    user = stage.user()
    async with (
        stage.ours(stage.user()) as client,
        open_room(client, stage.room(), "Romeo", create=True) as room,
        room.events() as events,
    ):
        await send(stage, user, "Ay me!\n", "-c", "-a", "Juliet", str(room.jid))
        joined, said = None, None
        async for event in events:
            if isinstance(event, OccupantJoined):
                joined = event.who
            if isinstance(event, RoomMessage):
                said = event.entry
                break
        assert said is not None
        assert joined is not None
        assert said.text is not None
        assert (said.nick, said.text.strip(), said.occupant) == ("Juliet", "Ay me!", joined)


async def test_go_sendxmpp_prints_what_we_say_in_a_room(stage: Stage) -> None:
    user = stage.user()
    async with (
        stage.ours(stage.user()) as client,
        open_room(client, stage.room(), "Romeo", create=True) as room,
        room.events() as events,
        listening(stage, user, "-c", "-a", "Juliet", str(room.jid)) as lines,
    ):
        async for event in events:
            if isinstance(event, OccupantJoined):
                break
        await room.say("But soft!")
        await eventually(lambda: [line for line in lines if "But soft!" in line and "Romeo" in line])


async def test_a_file_of_go_sendxmpp_is_found_in_its_message(stage: Stage, tmp_path: Path) -> None:
    user, file = stage.user(), tmp_path / "sun.txt"
    file.write_bytes(b"Arise, fair sun\n" * 1000)
    async with stage.ours(stage.user()) as client, client.messages.subscribe() as inbox:
        await send(stage, user, "", "-h", str(file), str(client.jid))
        url = shared_url(await anext(inbox))
        assert url is not None
        assert await fetched(stage, url) == file.read_bytes()


async def test_a_file_of_ours_is_printed_as_its_address(stage: Stage) -> None:
    user, content = stage.user(), b"Arise, fair sun\n" * 1000
    async with stage.ours(stage.user()) as client, appear(client), listening(stage, user) as lines:
        await is_listening(client, JID.parse(stage.jid(user)), lines)
        url = await upload(client, content, name="sun.txt", tls=stage.server.ssl_context(), allow_private=True)
        await client.send(file_message(url, to=stage.jid(user)))
        await eventually(lambda: any(url in line for line in lines))
        assert await fetched(stage, url) == content
