"""The upper floors of this library, through its public API; see floors_task.py."""

from __future__ import annotations

import contextlib
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio
from floors_task import (
    CA,
    CLIENTS,
    COMPONENTS,
    FILE,
    HOST,
    NUMBER,
    PASSWORD,
    REST,
    SCENARIO,
    TICK,
    Usage,
    crowds,
    report,
)

import trioxmpp
from trioxmpp import Client, Component, Message, MessageType, Presence


def connect(resource: str) -> AbstractAsyncContextManager[Client]:
    endpoint = f"xmpp://{HOST}:{CLIENTS}"
    return trioxmpp.connect(f"{crowds.ME}/{resource}", PASSWORD, endpoint=endpoint, allow_plaintext=True)


class Control:
    """Has the peer do something, and waits for what comes behind it."""

    def __init__(self, client: Client, sender: str | None = None) -> None:
        self._client = client
        self._sender = sender
        self._ended = trio.Event()
        self._text = ""
        client.messages.register_callback(None, None, self._heard)

    def _heard(self, message: Message) -> None:
        if message.id == "end" and str(message.from_) == crowds.CONTROL:
            self._text = message.body or ""
            self._ended.set()

    async def ask(self, what: str) -> str:
        self._ended = trio.Event()
        to = crowds.CONTROL
        self._client.enqueue(Message(to=to, from_=self._sender, type=MessageType.CHAT, body=what))
        await self._ended.wait()
        return self._text.removeprefix("end ")


class Probe:
    """A task that wants its turn each `TICK` seconds, to see for how long the loop is held."""

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._begun = trio.Event()

    async def run(self) -> None:
        while True:
            await self._begun.wait()
            self._begun = trio.Event()
            while self._usage is not None:
                await trio.sleep(TICK)
                if self._usage is not None:
                    self._usage.ticked()

    @contextlib.contextmanager
    def watching(self) -> Iterator[Usage]:
        """A block of which the usage is measured."""
        self._usage = Usage()
        self._begun.set()
        yield self._usage
        self._usage = None

    def rest(self) -> None:
        """From here on the task waits, which is no time to look at the clock."""
        if self._usage is not None:
            self._usage.rest()
        self._usage = None


PROBE = Probe()


async def roster() -> None:
    from trioxmpp.im.roster import open_roster

    async with connect("roster") as client:
        measured = {}
        for name in ("roster_first", "roster_later"):
            with PROBE.watching() as usage:
                async with open_roster(client) as contacts:
                    assert len(contacts) == crowds.CONTACTS
                    measured[name] = usage.per(1) | usage.memory(crowds.CONTACTS)
    report(**measured)


async def disco() -> None:
    from trioxmpp.xep.caps.hashing import hash_115

    async with connect("disco") as client:
        info = await client.disco.info(crowds.SERVICE)
        assert len(info.features) == crowds.FEATURES
        usage = Usage()
        for _ in range(20):
            await client.disco.info(crowds.SERVICE, fresh=True)
        measured = usage.per(20)
    usage = Usage()
    for _ in range(20):
        hash_115(info)
    report(disco=measured, disco_hash=usage.per(20))


async def caps() -> None:
    from trioxmpp.im.presence import open_presence
    from trioxmpp.im.roster import open_roster
    from trioxmpp.xep.caps import open_caps

    async with (
        connect("caps") as client,
        open_roster(client) as contacts,
        open_caps(client, node="https://bench.example/") as known,
        open_presence(client, contacts) as presences,
    ):
        control = Control(client)
        with PROBE.watching() as usage:
            await control.ask("presences")
            PROBE.rest()
            while known.unknown:  # noqa: ASYNC110  (the questions have a rate, and there is no event to wait for)
                await trio.sleep(REST)
            measured = usage.per(crowds.PRESENT)
        assert len(presences) == crowds.PRESENT
        assert all(known.known(f"{crowds.contact(number)}/balcony") for number in range(crowds.PRESENT))
        report(caps=measured | {"questions": int(await control.ask("questions"))})


async def room() -> None:
    from trioxmpp.xep.caps import open_caps
    from trioxmpp.xep.muc import open_room

    async with connect("bench") as client, open_caps(client, node="https://bench.example/") as known:
        client.enqueue(Presence())
        control = Control(client)
        await control.ask("nothing")
        async with contextlib.AsyncExitStack() as stack:
            with PROBE.watching() as usage:
                joined = await stack.enter_async_context(open_room(client, crowds.ROOM, "romeo"))
                PROBE.rest()
                while known.unknown:  # noqa: ASYNC110  (as above)
                    await trio.sleep(REST)
                join = usage.per(crowds.OCCUPANTS)
            join |= usage.memory(crowds.OCCUPANTS)
            assert len(joined.occupants) == crowds.OCCUPANTS + 1
            with PROBE.watching() as usage:
                await control.ask("changes")
                changes = usage.per(crowds.OCCUPANTS)
            with PROBE.watching() as usage:
                await control.ask("churn")
                churn = usage.per(2 * crowds.OCCUPANTS)
            assert len(joined.occupants) == crowds.OCCUPANTS + 1
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        async with open_room(client, crowds.ROOM, "romeo"):
            join["objects"] = (tracemalloc.get_traced_memory()[0] - before) / crowds.OCCUPANTS
        tracemalloc.stop()
    report(room_join=join, room_changes=changes, room_churn=churn)


async def archive() -> None:
    """The timeline; SCENARIO may have a round trip behind a colon, in seconds."""
    from trioxmpp.im.timeline import open_timeline

    lag = SCENARIO.partition(":")[2]
    async with connect(f"archive-{NUMBER}") as client:
        if lag:
            await Control(client).ask(f"lag {lag}")
        with PROBE.watching() as usage:
            async with open_timeline(client, since=datetime(2026, 1, 1, tzinfo=UTC)) as timeline:
                for _ in range(NUMBER):
                    await anext(timeline)
                measured = usage.per(NUMBER)
            measured |= usage.memory(NUMBER)
    if lag:
        pages = NUMBER / crowds.PAGE
        report(archive_far={"trips": measured["wall"] * NUMBER / 1e6 / (pages * float(lag)), "held": measured["held"]})
    else:
        report(archive=measured)


async def upload() -> None:
    from trioxmpp.xep.upload import upload

    tls = ssl.create_default_context(cafile=CA)
    path = Path(FILE)
    size = path.stat().st_size  # noqa: ASYNC240  (nothing else is under way)
    async with connect("upload") as client:
        # Once in small, so that importing is not measured.
        await upload(client, b"small", name="small", service=crowds.DOMAIN, tls=tls, allow_private=True)
        # No probe looks here, as none looks at the limit.
        usage = Usage()
        await upload(client, path, service=crowds.DOMAIN, tls=tls, allow_private=True)
        measured = usage.per(1)
        measured |= usage.memory(1)
        begun = 0.0
        with trio.CancelScope() as scope, PROBE.watching() as usage:

            def progress(sent: int, size: int) -> None:
                nonlocal begun
                if sent > size // 4 and not begun:
                    measured.update({name: each for name, each in usage.per(1).items() if name.startswith("held")})
                    begun = time.perf_counter()
                    scope.cancel()

            await upload(client, path, service=crowds.DOMAIN, tls=tls, allow_private=True, progress=progress)
        assert scope.cancelled_caught
        measured["cancel"] = (time.perf_counter() - begun) * 1e3
    measured["speed"] = size / measured["wall"]
    report(upload=measured)


async def component() -> None:
    endpoint = f"xmpp://{HOST}:{COMPONENTS}"
    async with trioxmpp.connect_component(crowds.COMPONENT, PASSWORD, endpoint=endpoint) as gateway:
        control = Control(gateway, f"control@{crowds.COMPONENT}/bench")
        await control.ask("nothing")
        seen = [0] * crowds.USERS
        usage = Usage()
        with contextlib.ExitStack() as stack:
            for number in range(crowds.USERS):
                _claim(stack, gateway, number, seen)
            inbound = usage.memory(crowds.USERS)
            messages = NUMBER // (crowds.USERS // crowds.ROOMS)
            await control.ask("fan-out 200")
            with PROBE.watching() as usage:
                await control.ask(f"fan-out {messages}")
                inbound |= usage.per(NUMBER)
            assert sum(seen) == NUMBER + crowds.USERS, sum(seen)
            await control.ask("counted")
            with PROBE.watching() as usage:
                for index in range(NUMBER):
                    number = index * 7 % crowds.USERS
                    gateway.enqueue(
                        Message(
                            to=crowds.room_of(number),
                            from_=f"{crowds.user(number)}/gateway",
                            type=MessageType.GROUPCHAT,
                            body=f"message {index} of a user",
                        )
                    )
                    if not index % 64:
                        await trio.lowlevel.checkpoint()
                assert int(await control.ask("counted")) == NUMBER
                outbound = usage.per(NUMBER)
    report(component_in=inbound, component_out=outbound)


def _claim(stack: contextlib.ExitStack, gateway: Component, number: int, seen: list[int]) -> None:
    last: Any = None

    def heard(message: Any) -> None:
        nonlocal last
        last = (message.from_, message.id, message.body)
        seen[number] += 1

    stack.enter_context(gateway.claim(crowds.room_of(number), heard, heard, user=crowds.user(number)))


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(PROBE.run)
        await globals()[SCENARIO.partition(":")[0]]()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
