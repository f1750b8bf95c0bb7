"""Three rooms of a real server, five clients that are hurt, and one that keeps the rooms.

The reference is what a client sees that enters afterwards: the server has sent it all occupants, and the subject.
Links are cut by a relay for each client. A session is lost when its link is down for longer than `SM_TIMEOUT`.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import trio

import trioxmpp
from tests.xep.muc.rooms import be_in
from trioxmpp import JID, Client, MemoryStore, ReconnectPolicy
from trioxmpp.errors import StanzaError
from trioxmpp.testing.servers import RealServer, Relay, open_relay
from trioxmpp.xep.muc import (
    Affiliation,
    JoinRefused,
    Rejoin,
    Role,
    Room,
    RoomGone,
    destroy,
    open_room,
    set_affiliation,
)

__all__ = ["ACCOUNTS", "SM_TIMEOUT", "play"]

CLIENTS, ROOMS = 5, 3
NAMES = [*(f"user{number}" for number in range(CLIENTS)), "keeper"]
ACCOUNTS = dict.fromkeys([*NAMES, "thief", "witness"], "secret")

#: Seconds for which the server keeps a session whose link is down.
SM_TIMEOUT = 2
#: Seconds after the last event in which all has to be as the server says.
BOUND = 120.0
#: Seconds that a verb may take.
PATIENCE = 20.0

REJOIN = Rejoin(initial=0.2, maximum=3, stable=5, silence=5, ping_timeout=5, undecided=(2,), resync=15, long_break=2)

#: The events, and how often they are drawn.
WEIGHTS = {"cut": 40, "lose": 20, "kill": 20, "kick": 20, "ban": 10, "take": 20, "destroy": 10, "restart": 2}
WEIGHTS |= {"talk": 40, "subject": 30, "nick": 30}


#: Prosody keeps a destroyed persistent room as a tombstone, and lets no client create it anew for a month.
TOMBSTONES = ("prosody",)


class Program:
    """One client, with a store, that is in all rooms, and enters them again when it was put out."""

    def __init__(self, server: RealServer, relay: Relay, name: str, rooms: list[JID]) -> None:
        self.name = name
        self.jid = JID.parse(f"{name}@{server.domain}/chaos")
        self.relay = relay
        self.rooms: dict[JID, Room] = {}
        self.client: Client | None = None
        self.kill = trio.Event()
        self._server = server
        self._all_rooms = rooms
        self._store = MemoryStore()

    async def run(self) -> None:
        """Run one process after the other."""
        while True:
            self.kill = trio.Event()
            with suppress(ConnectionError):
                await self._process()
            await trio.sleep(0.5)

    async def _process(self) -> None:
        async with trioxmpp.connect(
            self.jid,
            "secret",
            endpoint=self.relay.endpoint,
            tls=self._server.ssl_context(),
            store=self._store,
            reconnect=ReconnectPolicy(initial=0.1, maximum=1),
        ) as client:
            self.client = client
            try:
                async with trio.open_nursery() as nursery:
                    for jid in self._all_rooms:
                        nursery.start_soon(self._be_in, client, jid)
                    await self.kill.wait()
                    await client.suspend()
                    nursery.cancel_scope.cancel()
            finally:
                self.client = None

    async def _be_in(self, client: Client, jid: JID) -> None:
        await be_in(client, jid, self.name, self.rooms, rejoin=REJOIN, pause=0.5)


class Chaos:
    """The programs, and the events."""

    def __init__(self, server: RealServer, seed: int) -> None:
        self.server = server
        self.rng = random.Random(seed)
        self.rooms = [JID.parse(f"room{seed}-{number}@conference.{server.domain}") for number in range(ROOMS)]
        self.programs: list[Program] = []
        self.weights = {what: often for what, often in WEIGHTS.items() if what != "destroy" or self._can_destroy}
        self.banned: set[tuple[JID, str]] = set()
        self.log: list[str] = []
        self._began = trio.current_time()

    @property
    def _can_destroy(self) -> bool:
        return self.server.name not in TOMBSTONES

    async def event(self, nursery: trio.Nursery) -> None:
        """Let one thing happen. A verb that takes a while goes on in `nursery`."""
        program, jid = self.rng.choice(self.programs[:CLIENTS]), self.rng.choice(self.rooms)
        what = self.rng.choices([*self.weights], [*self.weights.values()])[0]
        self.log.append(f"{trio.current_time() - self._began:.1f} {what} {program.name} {jid}")
        match what:
            case "cut":
                with suppress(RuntimeError, ConnectionError, AssertionError):
                    program.relay.reset()
            case "lose":
                nursery.start_soon(self._lose, program)
            case "kill":
                program.kill.set()
            case "restart":
                await self.server.restart()
            case _ if (room := program.rooms.get(jid)) is not None:
                verb: Callable[[Program, Room], Awaitable[None]] = getattr(self, f"_{what}")
                nursery.start_soon(self._patiently, verb, program, room)

    async def _patiently(self, verb: Callable[[Program, Room], Awaitable[None]], program: Program, room: Room) -> None:
        with trio.move_on_after(PATIENCE), suppress(StanzaError, ConnectionError, TimeoutError, RuntimeError):
            await verb(program, room)

    async def _lose(self, program: Program) -> None:
        program.relay.blocked = True
        with suppress(RuntimeError, ConnectionError, AssertionError):
            program.relay.reset()
        await trio.sleep(SM_TIMEOUT + 1.5)
        program.relay.blocked = False

    async def _talk(self, program: Program, room: Room) -> None:
        await room.say(f"text {self.rng.randrange(1000)}")

    async def _subject(self, program: Program, room: Room) -> None:
        await room.set_subject(f"subject {self.rng.randrange(1000)}")

    async def _nick(self, program: Program, room: Room) -> None:
        await room.change_nick(f"{program.name}-{self.rng.randrange(1000)}")

    async def _kick(self, program: Program, room: Room) -> None:
        owner = self._owner(room.jid)
        found = None if owner is None else owner.rooms[room.jid].occupant(room.nick)
        if owner is not None and found is not None:
            await owner.rooms[room.jid].set_role(found, Role.NONE)

    async def _ban(self, program: Program, room: Room) -> None:
        owner = self._owner(room.jid)
        if owner is not None and owner is not program and owner.client is not None:
            self.banned.add((room.jid, program.name))
            await set_affiliation(owner.client, room.jid, program.jid.bare, Affiliation.OUTCAST)

    async def _take(self, program: Program, room: Room) -> None:
        """Put a client out, and let another account have its nick for a while."""
        nick = room.nick
        await self._kick(program, room)
        options = {"endpoint": self.server.endpoint, "tls": self.server.ssl_context()}
        with suppress(JoinRefused, RoomGone):
            async with (
                trioxmpp.connect(f"thief@{self.server.domain}", "secret", **options) as client,  # type: ignore[arg-type]
                open_room(client, room.jid, nick),
            ):
                await trio.sleep(self.rng.uniform(0.1, 5))

    async def _destroy(self, program: Program, room: Room) -> None:
        owner = self._owner(room.jid)
        if owner is not None and owner.client is not None:
            await destroy(owner.client, room.jid)

    def _owner(self, jid: JID) -> Program | None:
        """Return a program that owns a room now: each that creates it anew does."""
        for program in self.programs:
            me = None if (room := program.rooms.get(jid)) is None else room.me
            if me is not None and me.affiliation is Affiliation.OWNER:
                return program
        return None

    async def forgive(self) -> None:
        """Take all bans back; a room that was created anew has none."""
        for jid, name in [*self.banned]:
            owner = self._owner(jid)
            if owner is not None and owner.client is not None:
                with trio.move_on_after(PATIENCE), suppress(StanzaError, ConnectionError, TimeoutError):
                    bare = JID.parse(f"{name}@{self.server.domain}")
                    await set_affiliation(owner.client, jid, bare, Affiliation.NONE)
                    self.banned.discard((jid, name))


def disagreements(programs: list[Program], room: Room) -> list[str]:
    """Return the mistakes of programs about a room, which a witness has just entered."""
    found = []
    shown = {each.nick: (each.role, each.affiliation) for each in room.occupants}
    for program in programs:
        known = program.rooms.get(room.jid)
        if known is None or not known.joined or known.nick not in shown:
            found.append(f"{program.name} in {room.jid}: {known}, the server has {[*shown]}")
            continue
        occupants = {each.nick: (each.role, each.affiliation) for each in known.occupants}
        if occupants != shown:
            found.append(f"{program.name} in {room.jid}: occupants {occupants}, the server has {shown}")
        if (known.subject or "") != (room.subject or ""):
            found.append(f"{program.name} in {room.jid}: subject {known.subject!r}, the server has {room.subject!r}")
    return found


async def agreed(chaos: Chaos) -> list[str]:
    """Wait until each program knows what a witness sees; return what is wrong when the time is over."""
    options = {"endpoint": chaos.server.endpoint, "tls": chaos.server.ssl_context()}
    found = ["no witness could enter"]
    with trio.move_on_after(BOUND):
        while found:
            await chaos.forgive()
            try:
                async with (
                    trioxmpp.connect(f"witness@{chaos.server.domain}", "secret", **options) as client,  # type: ignore[arg-type]
                    AsyncExitStack() as stack,
                ):
                    rooms = [await stack.enter_async_context(open_room(client, jid, "witness")) for jid in chaos.rooms]
                    for _ in range(20):
                        await trio.sleep(0.5)
                        found = [line for room in rooms for line in disagreements(chaos.programs, room)]
                        if not found:
                            break
            except (JoinRefused, RoomGone, ConnectionError, StanzaError) as exc:
                found = [f"no witness could enter: {exc!r}"]
                await trio.sleep(1)
    return found


async def play(server: RealServer, seed: int, events: int) -> tuple[list[str], list[str]]:
    """Run one story; return what is wrong in the end, and what happened."""
    host, _, port = server.endpoint.removeprefix("xmpp://").rpartition(":")
    chaos = Chaos(server, seed)
    async with AsyncExitStack() as stack:
        for name in NAMES:
            relay = await stack.enter_async_context(open_relay(host, int(port)))
            chaos.programs.append(Program(server, relay, name, chaos.rooms))
        nursery = await stack.enter_async_context(trio.open_nursery())
        for program in reversed(chaos.programs):  # the keeper creates the rooms
            nursery.start_soon(program.run)
            await trio.sleep(1)
        async with trio.open_nursery() as actions:
            for _ in range(events):
                await chaos.event(actions)
                await trio.sleep(chaos.rng.choice((0, 0.01, 0.1, 0.3, 1)))
        found = await agreed(chaos)
        nursery.cancel_scope.cancel()
    return found, chaos.log
