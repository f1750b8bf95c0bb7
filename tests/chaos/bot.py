"""The bot that is killed: it writes numbered messages to its peer, and enters each one that it gets into a ledger.

The ledger is what an application has of its own: here the numbers that it has got, by the ids of their messages, and
how many it has written. Nothing in it is of the library.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import trio

import trioxmpp
from tests.soak.poison import LIMITS
from trioxmpp import (
    Client,
    Destroyed,
    DurableMessage,
    FileStore,
    Message,
    MessageType,
    Presence,
    ReconnectPolicy,
    StanzaRefused,
)
from trioxmpp.im.timeline import Timeline, open_timeline
from trioxmpp.protocol.limits import Limits

#: The id of the message that is larger than the server takes.
TOO_LARGE = "bot-too-large"


class Ledger:
    """The part of the bot that survives; a block that closes the database at its end."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(
            "CREATE TABLE IF NOT EXISTS got (entry INTEGER PRIMARY KEY, id TEXT UNIQUE, body TEXT);"
            "CREATE TABLE IF NOT EXISTS repeated (id TEXT);"
            "CREATE TABLE IF NOT EXISTS written (number INTEGER PRIMARY KEY);"
            "CREATE TABLE IF NOT EXISTS passed_over (line TEXT);"
            "CREATE TABLE IF NOT EXISTS refused (id TEXT, error TEXT);"
            "CREATE TABLE IF NOT EXISTS lost (reason TEXT);"
        )

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def enter(self, message: Message) -> None:
        """Enter a message, unless it is there already: that is all it takes to handle none twice."""
        entered = self._database.execute(
            "INSERT OR IGNORE INTO got (id, body) VALUES (?, ?)", (message.id, message.body)
        )
        if not entered.rowcount:
            self._database.execute("INSERT INTO repeated VALUES (?)", (message.id,))

    def wrote(self, number: int) -> None:
        """The message of this number is the library's business now."""
        self._database.execute("INSERT OR IGNORE INTO written VALUES (?)", (number,))

    def passes_over(self, line: str) -> None:
        """The library has logged that it passed over a stanza."""
        self._database.execute("INSERT INTO passed_over VALUES (?)", (line,))

    def refuse(self, id: str, error: Exception) -> None:
        """The library has said that it cannot deliver the message with this id."""
        self._database.execute("INSERT INTO refused VALUES (?, ?)", (id, repr(error)))

    def lose(self, reason: object) -> None:
        """A session was lost: one of this process, or the one that it found in its store."""
        self._database.execute("INSERT INTO lost VALUES (?)", (repr(reason),))

    @property
    def lost(self) -> list[str]:
        """Why sessions were lost."""
        return [reason for (reason,) in self._database.execute("SELECT reason FROM lost")]

    @property
    def passed_over(self) -> list[str]:
        """The lines of the library's log about stanzas that it passed over."""
        return [line for (line,) in self._database.execute("SELECT line FROM passed_over")]

    @property
    def refused(self) -> list[tuple[str, str]]:
        """The ids of the messages that could not be delivered, and the errors."""
        return [*self._database.execute("SELECT id, error FROM refused")]

    @property
    def written(self) -> int:
        """How many were written."""
        return int(self._database.execute("SELECT count(*) FROM written").fetchone()[0])

    @property
    def got(self) -> list[str]:
        """The messages that were received, in order."""
        return [body for (body,) in self._database.execute("SELECT body FROM got ORDER BY entry")]

    @property
    def repeated(self) -> int:
        """How many the library handed out that were in the ledger already."""
        return int(self._database.execute("SELECT count(*) FROM repeated").fetchone()[0])


class PassedOver(logging.Handler):
    """Enters into the ledger what the library says about poison."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(logging.WARNING)
        self._ledger = ledger

    def emit(self, record: logging.LogRecord) -> None:
        """Enter a line, if it is one of these."""
        if (line := record.getMessage()).startswith("passed over"):
            self._ledger.passes_over(line[:200])


async def follow(message: DurableMessage, ledger: Ledger) -> None:
    """Wait until the message that is too large for the server has failed."""
    try:
        await message
    except StanzaRefused as error:
        ledger.refuse(TOO_LARGE, error)


async def write(client: Client, ledger: Ledger, plan: dict[str, Any], nursery: trio.Nursery) -> None:
    large = [posted for posted in client.posted if posted.stanza.id == TOO_LARGE]
    for posted in large:
        nursery.start_soon(follow, posted, ledger)
    for number in range(ledger.written, plan["count"]):
        if plan["large"] and number == plan["count"] // 2 and not large and not ledger.refused:
            message = Message(to=plan["peer"], type=MessageType.CHAT, body="x" * 400_000, id=TOO_LARGE)
            nursery.start_soon(follow, await client.post(message), ledger)
        # Killed between the two lines, the bot will post it once more; with the same id, so it is the same message.
        await client.post(Message(to=plan["peer"], type=MessageType.CHAT, body=str(number), id=f"bot-{number}"))
        ledger.wrote(number)
        await trio.sleep(plan["pause"])


async def appear(client: Client) -> None:
    """Become available in each new session: only then the server delivers what it kept when the last one was lost."""
    client.enqueue(Presence())


async def read_timeline(timeline: Timeline, ledger: Ledger, plan: dict[str, Any]) -> None:
    """Enter what the timeline gives; an entry is done when the next one is asked for."""
    while len(ledger.got) < plan["count"]:
        entry = await anext(timeline)
        if not entry.by_us and entry.message.body is not None:
            ledger.enter(entry.message)


async def read(client: Client, ledger: Ledger, plan: dict[str, Any]) -> None:
    async with client.messages.subscribe(MessageType.CHAT, ack="manual") as inbox:
        while len(ledger.got) < plan["count"]:
            message = await anext(inbox)
            ledger.enter(message)
            inbox.done(message)


async def main(directory: Path) -> None:
    plan = json.loads((directory / "plan.json").read_text())
    with Ledger(directory / "ledger.db") as ledger:
        logging.getLogger("trioxmpp").addHandler(PassedOver(ledger))
        async with trioxmpp.connect(
            plan["jid"],
            plan["password"],
            endpoint=plan["endpoint"],
            tls=ssl.create_default_context(cafile=plan["ca_file"]),
            reconnect=ReconnectPolicy(initial=0.1, maximum=0.5),
            store=FileStore(directory / "session"),
            limits=LIMITS if plan["poison"] else Limits(),
        ) as client:
            restored = client.restored
            client.on_event.connect(lambda event: ledger.lose(event.reason) if isinstance(event, Destroyed) else None)
            if restored is not None and not restored.resumed:
                ledger.lose("the server did not resume the session of the process before")
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(client.maintain(appear))
                timeline = await stack.enter_async_context(open_timeline(client)) if plan["timeline"] else None
                # From now on no message is before the place at which the timeline begins.
                print("new" if restored is None else "resumed" if restored.resumed else "replaced", flush=True)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(write, client, ledger, plan, nursery)
                    if timeline is None:
                        nursery.start_soon(read, client, ledger, plan)
                    else:
                        nursery.start_soon(read_timeline, timeline, ledger, plan)
            for posted in client.posted:
                await posted
    print("done", flush=True)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
