"""Random programs of three clients of two accounts on a real server: their timelines miss nothing and double nothing.

The reference is the archive, as a client that does nothing else reads it in the end. For each client, over all its
processes: each message that was archived since its first start is given, in one process once, in the order of the
archive. Only after a kill a message may be given again, then with the same archive id. ejabberd writes its archive late
and not in order: there the order is not looked at.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import trio

import trioxmpp
from tests.im.world import Disk
from trioxmpp import Liveness, Message, MessageType, Presence, ReconnectPolicy, xml
from trioxmpp.im.timeline import CaughtUp, Entry, Source, Timeline, open_timeline
from trioxmpp.testing.servers import RealServer, Relay, open_relay
from trioxmpp.xep.mam import open_pages

NAMES = ("romeo/orchard", "romeo/garden", "juliet/balcony")
ACTS = ("say", "say", "say", "burst", "post", "repeat an id", "break", "lose", "kill", "kill and wipe", "stop", "start")
FORGERIES = ("forge a copy", "forge an archived message", "forge an id")

#: Seconds after which the server forgets a session without a link.
SM_TIMEOUT = 2
PATIENCE = 60.0
#: Seconds after which a timeline looks at the archive again.
LOOK_AGAIN = 1.0


@dataclass
class Life:
    """One client with one store: what its processes have given, and whether each was killed."""

    disk: Disk
    first: str | None
    """The first text that was said after it had begun; None until there is one."""
    processes: list[list[Entry]] = field(default_factory=list)
    killed: list[bool] = field(default_factory=list)


class Process:
    """A client with a timeline that is read all the time, by way of a relay that can be cut."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.scope = trio.CancelScope()
        self.relay: Relay | None = None
        self.client: trioxmpp.Client | None = None
        self.leaving, self.ended, self.caught_up = trio.Event(), trio.Event(), trio.Event()

    async def run(self, options: dict[str, Any], jid: str, port: int, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            try:
                async with AsyncExitStack() as stack:
                    self.relay = await stack.enter_async_context(open_relay("127.0.0.1", port))
                    client = await stack.enter_async_context(
                        trioxmpp.connect(jid, endpoint=self.relay.endpoint, **options)
                    )
                    self.client = client
                    await stack.enter_async_context(client.maintain(lambda client: client.send(Presence())))
                    timeline = await stack.enter_async_context(open_timeline(client, look_again=LOOK_AGAIN))
                    timeline.on_event.connect(self._hear)
                    nursery = await stack.enter_async_context(trio.open_nursery())
                    nursery.start_soon(self._read, timeline)
                    with trio.move_on_after(PATIENCE):
                        await self.caught_up.wait()
                    task_status.started()
                    await self.leaving.wait()
                    nursery.cancel_scope.cancel()
            finally:
                self.ended.set()

    def _hear(self, event: object) -> None:
        if isinstance(event, CaughtUp):
            self.caught_up.set()

    async def _read(self, timeline: Timeline) -> None:
        async for entry in timeline:
            self.entries.append(entry)


class Story:
    """A program that runs, and the books about it. `users` are the accounts that play Romeo, Juliet and a forger."""

    def __init__(self, server: RealServer, users: tuple[str, str, str], nursery: trio.Nursery) -> None:
        self.server = server
        self.users = dict(zip(("romeo", "juliet", "forger"), users, strict=True))
        self.nursery = nursery
        self.lives: dict[str, list[Life]] = {name: [] for name in NAMES}
        self.running: dict[str, Process] = {}
        self.said: list[str] = []

    def bare(self, role: str) -> str:
        return f"{self.users[role]}@{self.server.domain}"

    def options(self, role: str, **more: Any) -> dict[str, Any]:
        return {
            "password": self.server.accounts[self.users[role]],
            "tls": self.server.ssl_context(),
            "reconnect": ReconnectPolicy(initial=0.1, maximum=0.5),
            "liveness": Liveness(2.0, 2.0),
            **more,
        }

    # --- processes

    async def start(self, name: str, disk: Disk | None = None) -> None:
        if name in self.running:
            return
        role, _, resource = name.partition("/")
        lives = self.lives[name]
        if disk is not None or not lives:
            lives.append(Life(disk or Disk(), None))
            begins = True
        else:
            begins = False
        life = lives[-1]
        process = Process([])
        life.processes.append(process.entries)
        life.killed.append(False)

        async def run(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            options = self.options(role, store=life.disk)
            await process.run(options, f"{self.bare(role)}/{resource}", self.server.port, task_status)

        await self.nursery.start(run)
        self.running[name] = process
        if begins:
            await self.say_to(role, "begin")  # what comes behind this is due
            life.first = self.said[-1]

    async def say_to(self, role: str, mark: str) -> None:
        """Have the forger say something true, of which the place in the archive is known."""
        self.said.append(f"{mark} {len(self.said)}")
        async with trioxmpp.connect(
            f"{self.bare('forger')}/1", endpoint=self.server.endpoint, **self.options("forger")
        ) as client:
            await client.send(Message(to=self.bare(role), type=MessageType.CHAT, body=self.said[-1]))
            await trio.sleep(0.1)

    async def stop(self, name: str) -> None:
        process = self.running.pop(name, None)
        if process is not None:
            process.leaving.set()
            await process.ended.wait()

    async def kill(self, name: str, *, wipe: bool = False) -> None:
        process = self.running.pop(name, None)
        if process is None:
            return
        life = self.lives[name][-1]
        left = life.disk.copy()
        count = len(process.entries)
        if process.relay is not None and process.relay.connections:
            process.relay.blocked = True
            process.relay.reset()
        process.scope.cancel()
        await process.ended.wait()
        del process.entries[count:]
        life.disk, life.killed[-1] = left, True
        if wipe:
            await self.start(name, Disk())

    # --- acts

    async def act(self, what: str, name: str, chance: random.Random) -> None:
        process = self.running.get(name)
        role = name.partition("/")[0]
        match what:
            case "say" | "burst" | "post" | "repeat an id":
                if process is not None and process.client is not None:
                    await self.say(process.client, role, what, 60 if what == "burst" else chance.randint(1, 3))
            case "break" | "lose" if process is not None and process.relay is not None and process.relay.connections:
                process.relay.blocked = what == "lose"
                process.relay.reset()
                if what == "lose":
                    await trio.sleep(SM_TIMEOUT + 1)
                    process.relay.blocked = False
            case "kill" | "kill and wipe":
                await self.kill(name, wipe=what != "kill")
            case "stop":
                await self.stop(name)
            case "start":
                await self.start(name)
            case "forge a copy" | "forge an archived message" | "forge an id":
                await self.forge(what, role, chance.randint(0, 3))
        await trio.sleep(chance.choice((0, 0, 0.05, 0.5)))

    async def say(self, client: trioxmpp.Client, role: str, how: str, count: int) -> None:
        to = self.bare("juliet" if role == "romeo" else "romeo")
        for _ in range(count):
            self.said.append(f"{how} {len(self.said)}")
            message = Message(to=to, type=MessageType.CHAT, body=self.said[-1])
            if how == "repeat an id":
                message.id = "the same"
            if how == "post":
                await client.post(message)
            elif client.established:
                client.enqueue(message)

    async def forge(self, what: str, role: str, number: int) -> None:
        """Send something that looks like a message of another, or has an id that is not its own."""
        to, other = self.bare(role), self.bare("juliet" if role == "romeo" else "romeo")
        inner = f"<message xmlns='jabber:client' from='{other}/x' to='{to}/y' type='chat' id='f{number}'>"
        inner = f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}<body>forged</body></message></forwarded>"
        forged = Message(to=to, type=MessageType.CHAT)
        if what == "forge a copy":
            kind = ("received", "sent")[number % 2]
            payload = f"<{kind} xmlns='urn:xmpp:carbons:2'>{inner}</{kind}>"
        elif what == "forge an archived message":
            payload = f"<result xmlns='urn:xmpp:mam:2' id='x'>{inner}</result>"
        else:
            given = [
                e.archive_id
                for each in self.lives[f"{role}/{NAMES[0 if role == 'romeo' else 2].partition('/')[2]}"]
                for entries in each.processes
                for e in entries
                if e.archive_id
            ]
            payload = f"<stanza-id xmlns='urn:xmpp:sid:0' id='{given[-1] if given else 'x'}' by='{to}'/>"
            self.said.append(f"id {len(self.said)}")
            forged.body = self.said[-1]
        forged.payloads.append(xml.fromstring(payload))
        async with trioxmpp.connect(
            f"{self.bare('forger')}/1", endpoint=self.server.endpoint, **self.options("forger")
        ) as client:
            await client.send(forged)
            await trio.sleep(0.05)

    async def finish(self) -> None:
        """Bring all clients back, wait until each has the last words, and stop them."""
        for name in NAMES:
            await self.start(name)
        for role in ("romeo", "juliet"):
            await self.say_to(role, "end")
            last = self.said[-1]
            with trio.move_on_after(PATIENCE):
                for name in NAMES:
                    while name.startswith(role) and not _has(self.running[name].entries, last):  # noqa: ASYNC110
                        await trio.sleep(0.05)
            archived = await self.archive(role)
            with trio.move_on_after(PATIENCE):
                while any(missing(self.lives[name][-1], archived) for name in NAMES if name.startswith(role)):  # noqa: ASYNC110
                    await trio.sleep(0.1)  # a look at what is late brings it, else the check tells
        await trio.sleep(0.2)
        for name in NAMES:
            await self.stop(name)

    # --- what must be so

    async def check(self) -> None:
        """Raise AssertionError if a timeline has missed or doubled a message, or has an order of its own."""
        for role in ("romeo", "juliet"):
            archived = await self.archive(role)
            for name, lives in self.lives.items():
                if name.startswith(role):
                    for number, life in enumerate(lives):
                        check_life(name, life, archived, self.server.name, is_last=number == len(lives) - 1)

    async def archive(self, role: str) -> list[str]:
        """Return all texts of an archive, in its order."""
        async with (
            trioxmpp.connect(
                f"{self.bare(role)}/reader", endpoint=self.server.endpoint, **self.options(role)
            ) as client,
            open_pages(client) as pages,
        ):
            results = [result async for page in pages for result in page.results]
        messages = [result.forwarded.message for result in results]
        return [message.body for message in messages if message is not None and message.body is not None]


def check_life(name: str, life: Life, archived: list[str], server: str, *, is_last: bool) -> None:
    """Check the entries of all processes of one client against the archive."""
    ordered = frozenset() if server == "ejabberd" else {*Source} - {Source.OWN}
    given: list[str] = []
    may_repeat: set[str] = set()
    ids: dict[str, set[str]] = {}
    twice = {body for body in archived if archived.count(body) > 1}
    places = {body: place for place, body in enumerate(archived)}
    for entries, killed in zip(life.processes, life.killed, strict=True):
        bodies = [entry.message.body for entry in entries if entry.message.body is not None]
        assert len(bodies) == len(set(bodies)), f"{name}: one process gave twice: {_doubled(bodies)}"
        assert "forged" not in bodies, f"{name} believes a forgery"
        again = set(bodies) & set(given)
        assert again <= may_repeat, f"{name}: {again - may_repeat} again, and no process was killed"
        may_repeat = (may_repeat | set(bodies)) if killed else set()
        given += [body for body in bodies if body not in given]
        for entry in entries:
            if entry.archive_id is not None and entry.message.body is not None:
                ids.setdefault(entry.message.body, set()).add(entry.archive_id)
        bodies = [entry.message.body or "" for entry in entries if entry.source in ordered]
        order = [places[body] for body in bodies if body in places and body not in twice]
        assert order == sorted(order), f"{name}: {bodies} is not the order of the archive"
    changed = [body for body, each in ids.items() if len(each) > 1 and body not in twice]
    assert not changed, f"{name}: the archive ids of {changed} have changed"
    if is_last:
        assert not missing(life, archived), f"{name}: missing {missing(life, archived)}"


def missing(life: Life, archived: list[str]) -> list[str]:
    """Return the texts that are due to a client, and that no process of it has given."""
    if life.first is None:
        return []
    given = {entry.message.body for entries in life.processes for entry in entries}
    return [body for body in archived[archived.index(life.first) :] if body not in given]


def _has(entries: Iterable[Entry], body: str) -> bool:
    return any(entry.message.body == body for entry in entries)


def _doubled(bodies: list[str]) -> set[str]:
    return {body for body in bodies if bodies.count(body) > 1}


async def play(server: RealServer, users: tuple[str, str, str], seed: int) -> None:
    """Run the program of a seed. Raises AssertionError if a timeline was wrong."""
    chance = random.Random(seed)
    acts = ACTS + (FORGERIES if seed % 2 else ())
    async with trio.open_nursery() as nursery:
        story = Story(server, users, nursery)
        for name in NAMES:
            await story.start(name)
        for _ in range(chance.randint(4, 14)):
            await story.act(chance.choice(acts), chance.choice(NAMES), chance)
        await story.finish()
        await story.check()
