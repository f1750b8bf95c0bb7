"""A server with an archive, processes of clients that can be killed, and what their timelines have given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

import trioxmpp
from trioxmpp import JID, Client, MemoryStore, Message, MessageType, Presence, xml
from trioxmpp.im.timeline import CaughtUp, Entry, RoomTimeline, Timeline, TimelineEvent, open_timeline
from trioxmpp.testing import Server

ROMEO, JULIET = "romeo@example.test", "juliet@example.test"
ACCOUNTS = {"romeo": "secret", "juliet": "secret", "nurse": "secret"}


class Disk(MemoryStore):
    """A store with notes, of which a killed process leaves a copy as it was at that moment."""

    def __init__(self, ticket: Any = None, notes: dict[str, dict[str, str]] | None = None) -> None:
        super().__init__(ticket)
        self.notes = {} if notes is None else notes

    async def read_notes(self, kind: str) -> dict[str, str]:
        await trio.lowlevel.checkpoint()
        return dict(self.notes.get(kind, {}))

    async def write_notes(self, kind: str, changes: Any) -> None:
        await trio.lowlevel.checkpoint()
        for key, text in changes.items():
            if text is None:
                self.notes.get(kind, {}).pop(key, None)
            else:
                self.notes.setdefault(kind, {})[key] = text

    def copy(self) -> Disk:
        return Disk(self.ticket, {kind: dict(notes) for kind, notes in self.notes.items()})


class TimelineReader:
    """A timeline of an account or a room that is read all the time: its entries, and its events."""

    def __init__(self, timeline: Timeline | RoomTimeline) -> None:
        self.entries: list[Entry] = []
        self.events: list[TimelineEvent] = []
        self._timeline = timeline
        timeline.on_event.connect(self.events.append)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Read during the block. At its end, take in what has arrived."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            await settle()
            yield
            await settle()
            nursery.cancel_scope.cancel()

    async def _read(self) -> None:
        async for entry in self._timeline:
            self.entries.append(entry)

    @property
    def bodies(self) -> list[str | None]:
        return [entry.message.body for entry in self.entries]


class Reader(TimelineReader):
    """A process: a client with a timeline that is read all the time."""

    def __init__(self, client: Client, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.client = client
        self.timeline = timeline

    async def wait_caught_up(self) -> None:
        async with self.timeline.events() as events:
            if not self.caught_up:
                async for event in events:
                    if isinstance(event, CaughtUp):
                        return

    @property
    def caught_up(self) -> bool:
        return any(isinstance(event, CaughtUp) for event in self.events)


def options(server: Server, **more: Any) -> dict[str, Any]:
    return {"endpoint": server.endpoint, "allow_plaintext": True, **more}


def connect(server: Server, jid: str, **more: Any) -> Any:
    return trioxmpp.connect(jid, "secret", **options(server, **more))


@asynccontextmanager
async def reading(
    server: Server, jid: str = f"{ROMEO}/orchard", *, timeline: Any = None, **more: Any
) -> AsyncIterator[Reader]:
    """A process that reads its timeline during the block."""
    async with (
        connect(server, jid, **more) as client,
        client.maintain(lambda client: client.send(Presence())),
        open_timeline(client, **(timeline or {})) as line,
    ):
        reader = Reader(client, line)
        async with reader.at_work():
            yield reader


async def settle(seconds: float = 0.01) -> None:
    await trio.testing.wait_all_tasks_blocked(seconds)


def chat(body: object, to: str = ROMEO, **more: Any) -> Message:
    return Message(to=to, type=MessageType.CHAT, body=str(body), **more)


def keep(
    server: Server, body: object, *, from_: str = f"{JULIET}/balcony", id: str | None = None, owner: str = "romeo"
) -> str:
    """Put a message into the archive of an account, that it has not got otherwise; return its archive id."""
    account = server.accounts[owner]
    own_id = "" if id is None else f" id='{id}'"
    addresses = f"from='{from_}' to='{account.jid}'"
    element = xml.fromstring(
        f"<message xmlns='jabber:client' {addresses}{own_id} type='chat'><body>{body}</body></message>"
    )
    account.archive.keep(element, JID.parse(from_), account.jid, server.dialect)
    return account.archive.items[-1].id


def deliver(server: Server, text: str, jid: str = f"{ROMEO}/orchard") -> None:
    """Have the server write this to a client."""
    server.sessions[jid].deliver(xml.fromstring(text))
