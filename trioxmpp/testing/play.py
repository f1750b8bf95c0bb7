"""Talk to a bot that has no account yet: ``python -m trioxmpp.testing.play bot.py``.

The file defines ``async def main(jid, password, **options)``. It runs beside a server in the same process, and the
keyboard is the other user of that server. A line is said to the bot; a line that begins with a slash does something
else, see `HELP`. A `main` with an argument ``web`` gets options for `trioxmpp.xep.upload.upload`: files go to the
memory of the server then.
"""

from __future__ import annotations

import inspect
import runpy
import sys
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Final

import trio

from ..client.client import Client
from ..client.connect import connect
from ..errors import StanzaError
from ..im.presence import appear
from ..im.roster import Roster, open_roster
from ..program.interrupt import Interrupted, run_until_interrupted
from ..program.standardinput import StandardInput
from ..protocol.stanza import Message, MessageType, Presence, PresenceType
from ..stream.bare import bare
from ..stream.inbound.inbox import Inbox
from ..xep.muc import Room, RoomMessage, open_room
from .server import Server, ServerSession, open_server

__all__ = ["HELP", "play"]

#: The lines that are not said to the bot.
HELP: Final = """\
/add       ask to see the presence of the bot, and let it see ours
/join      enter the room hall
/say TEXT  say something in the room
/crash     crash the server, and start it again after two seconds
/help      this text"""

_BOT, _USER, _PASSWORD = "bot", "you", "secret"

#: Seconds for the bot to appear. A bot that reads its archive first may take an earlier line for one that it missed.
_PATIENCE: Final = 2.0


class _Player:
    """The user at the keyboard."""

    def __init__(self, server: Server, client: Client, roster: Roster, nursery: trio.Nursery) -> None:
        self._server = server
        self._client = client
        self._roster = roster
        self._nursery = nursery
        self._bot = f"{_BOT}@{server.domain}"
        self._room: Room | None = None
        self._is_here = False

    async def take(self, line: str) -> None:
        """Do what a line says. Raises StanzaError if the server refuses it, ConnectionError if the session is lost."""
        command, _, rest = line.strip().partition(" ")
        if command == "/add":
            await self._roster.subscribe(self._bot)
        elif command == "/join":
            await self._nursery.start(self.watch)
        elif command == "/say" and self._room is not None:
            await self._room.say(rest)
        elif command == "/crash":
            await self._server.crash()
            await trio.sleep(2)
            await self._server.restart()
            await self._server.until(lambda: len(self._server.sessions) == len(self._server.accounts))
            await self._client.wait_linked()
        elif command.startswith("/"):
            print(HELP)
        elif command:
            await self._client.send(Message(to=self._bot, type=MessageType.CHAT, body=line.strip()))

    async def take_all(self, lines: AsyncIterable[str]) -> None:
        """Do what each line says; print what the server refuses, and what was lost with a session."""
        async for line in lines:
            try:
                await self.take(line)
            except (StanzaError, ConnectionError) as error:
                print("*", error)

    async def hear(self, messages: Inbox[Message]) -> None:
        """Print what the bot says to us."""
        async for message in messages:
            if message.body:
                print(f"{_BOT}: {message.body}")

    async def see(self, presences: Inbox[Presence]) -> None:
        """Print how the presence of the bot changes, and let it see ours."""
        async for presence in presences:
            if presence.from_ is None or presence.from_.local != _BOT:
                continue
            gone = presence.type is PresenceType.UNAVAILABLE
            if self._is_here or not gone:  # the server says that of each contact that it does not know to be there
                print(f"* {_BOT}: {presence.type.name.lower()} {presence.status or ''}".rstrip())
            self._is_here = not gone and (self._is_here or presence.type is PresenceType.AVAILABLE)
            if presence.type is PresenceType.SUBSCRIBE:
                await self._roster.approve(presence.from_)

    async def watch(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Enter the room, and print what is said there."""
        hall = f"hall@conference.{self._server.domain}"
        async with open_room(self._client, hall, _USER, create=True) as room, room.events() as events:
            self._room = room
            print("* in the hall with", *(occupant.nick for occupant in room.occupants if occupant is not room.me))
            task_status.started()
            async for event in events:
                match event:
                    case RoomMessage(entry=entry) if not entry.by_us and entry.text:
                        print(f"{entry.nick} in the hall: {entry.text}")


def _web(server: Server) -> dict[str, Any]:
    """Return options of `upload` by which files go to the memory of a server."""
    import httpx2

    async def put(request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        print("* a file was uploaded:", *content.decode(errors="replace").splitlines(), sep="\n    ")
        return httpx2.Response(server.upload.put(str(request.url), request.headers, content))

    return {"transport": httpx2.MockTransport(put)}


async def play(bot: Callable[..., Awaitable[object]], lines: AsyncIterable[str]) -> None:
    """Run `bot` beside a server of its own, and say each of `lines` to it, or do what the line says.

    Ends a second after the last line. Raises what the bot raises. Cancelling ends all.
    """
    accounts = {_BOT: _PASSWORD, _USER: _PASSWORD}
    async with open_server(accounts=accounts, rooms=True, archive=True) as server:
        with bare():
            await _play(server, bot, lines)


def _is_available(session: ServerSession) -> bool:
    """Return whether it is a session of the bot, and the bot has appeared."""
    return session.presence is not None and session.account.jid.startswith(f"{_BOT}@")


async def _play(server: Server, bot: Callable[..., Awaitable[object]], lines: AsyncIterable[str]) -> None:
    async with trio.open_nursery() as nursery:
        server.upload.serve()
        options: dict[str, Any] = {"endpoint": server.endpoint, "allow_plaintext": True}
        more = {"web": _web(server)} if "web" in inspect.signature(bot).parameters else {}
        nursery.start_soon(lambda: bot(f"{_BOT}@{server.domain}", _PASSWORD, **options, **more))
        await server.until(lambda: bool(server.sessions))
        async with (
            connect(f"{_USER}@{server.domain}", _PASSWORD, **options) as client,
            open_roster(client) as roster,
            client.messages.subscribe(MessageType.CHAT) as messages,
            client.presences.subscribe() as presences,
            appear(client),
            trio.open_nursery() as inner,
        ):
            player = _Player(server, client, roster, inner)
            inner.start_soon(player.hear, messages)
            inner.start_soon(player.see, presences)
            with trio.move_on_after(_PATIENCE):  # some bots never appear
                await server.until(lambda: any(_is_available(session) for session in server.sessions.values()))
            await player.take_all(lines)
            await trio.sleep(1)
            inner.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


def main() -> None:
    """Run the program that the command line names, until its standard input ends."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m trioxmpp.testing.play bot.py")
    bot = runpy.run_path(sys.argv[1]).get("main")
    if bot is None:
        sys.exit(f"{sys.argv[1]} has no function main(jid, password, **options)")
    print("Each line is said to the bot; /help shows what else there is. Ctrl-D ends.")
    try:
        run_until_interrupted(lambda: play(bot, StandardInput()))
    except Interrupted as exc:
        sys.exit(exc.status)


if __name__ == "__main__":
    main()
