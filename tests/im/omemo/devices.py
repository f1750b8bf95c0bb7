"""Devices that take part in OMEMO, with a disk each: they can be left, killed and begun again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from tests.im.world import Disk, connect, settle
from trioxmpp import Client, Message, MessageType, Presence
from trioxmpp.im.omemo import (
    Device,
    Omemo,
    OmemoEvent,
    TrustRule,
    blind_trust_before_verification,
    omemo_2,
    open_omemo,
)
from trioxmpp.im.timeline import CaughtUp, Entry, Timeline, open_timeline
from trioxmpp.testing import Server, open_server
from trioxmpp.xep.caps import open_caps
from trioxmpp.xep.pubsub import fetch_item

ROMEO, JULIET = "romeo@example.test", "juliet@example.test"
ACCOUNTS = {"romeo": "secret", "juliet": "secret", "nurse": "secret", "tybalt": "secret"}


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Server]:
    """A server with archives, rooms and nodes."""
    async with open_server(accounts=ACCOUNTS, **{"archive": True, "rooms": True, **settings}) as server:
        server.pubsub.serve()
        yield server


#: Seconds after which a new session is answered.
ANSWERED = 2.0


async def until(condition: Callable[[], object], seconds: float = 50) -> None:
    """Wait until something holds that has no event of its own."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  # as it says
            await trio.sleep(0.1)


class Phone:
    """A client that reads its timeline in plain text all the time."""

    def __init__(self, client: Client, omemo: Omemo, timeline: Timeline) -> None:
        self.client = client
        self.omemo = omemo
        self.timeline = timeline
        self.entries: list[Entry] = []
        self.events: list[OmemoEvent] = []
        self.caught_up = 0
        omemo.on_event.connect(self.events.append)
        timeline.on_event.connect(self._note)

    def _note(self, event: object) -> None:
        self.caught_up += isinstance(event, CaughtUp)

    async def read(self) -> None:
        async for entry in self.omemo.read(self.timeline):
            self.entries.append(entry)

    @property
    def heard(self) -> list[tuple[str | None, str]]:
        """The texts of others, and the marks that they came with."""
        return [(entry.message.body, type(entry.encryption).__name__) for entry in self.entries]

    @property
    def texts(self) -> list[str | None]:
        return [entry.message.body for entry in self.entries]

    async def say(self, text: str, to: str, **more: Any) -> Message:
        """Encrypt and send a message; return it as it was sent."""
        sealed = await self.omemo.encrypt(chat(text, to, **more))
        await self.client.send(sealed)
        await settle()
        return sealed

    async def wait(self, count: int) -> None:
        """Wait for this number of entries. Answers to new sessions are sent a moment later."""
        await until(lambda: len(self.entries) >= count)
        await trio.sleep(ANSWERED)


def chat(text: str, to: str, **more: Any) -> Message:
    return Message(to=to, type=MessageType.CHAT, body=text, **more)


@asynccontextmanager
async def taking_part(
    client: Client,
    *,
    trust: TrustRule = blind_trust_before_verification,
    reads: bool = True,
    save_after: float = 1.0,
    **options: Any,
) -> AsyncIterator[Phone]:
    """A device of a client that is connected: available, and caught up."""
    async with (
        open_caps(client, node="https://example.test/phone"),
        client.maintain(lambda client: client.send(Presence())),
        open_timeline(client, save_after=save_after) as timeline,
        open_omemo(client, timeline, trust=trust, **options) as omemo,
        trio.open_nursery() as nursery,
    ):
        one = Phone(client, omemo, timeline)
        if reads:
            nursery.start_soon(one.read)
        await until(lambda: not reads or one.caught_up)
        yield one
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def phone(server: Server, jid: str, disk: Disk | None = None, **options: Any) -> AsyncIterator[Phone]:
    """A device of an account of the embedded server."""
    async with (
        connect(server, jid, **({} if disk is None else {"store": disk})) as client,
        taking_part(client, **options) as one,
    ):
        yield one
        await settle()


async def the_device(one: Phone, account: str) -> Device:
    """The one device that an account has."""
    (device,) = await one.omemo.devices(account)
    return device


async def listed(client: Client, account: str | None = None) -> list[int]:
    """The ids of the devices that an account lists now."""
    item = await fetch_item(client, omemo_2.devices, owner=account)
    return [] if item is None or item.payload is None else sorted(each.id for each in item.payload.devices)
