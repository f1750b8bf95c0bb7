"""Three rooms, five clients, and everything that goes wrong: in the end each client knows what the server knows.

A client is a program as a user would write it: it is in its rooms, and enters them again when it was put out. The
events are random, and all time is virtual. With ``TRIOXMPP_PROOF=1`` there are ``TRIOXMPP_CHAOS_RUNS`` runs; a run is
told by its seed.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from dataclasses import replace

import trio
import trio.testing

import trioxmpp
from tests.xep.muc.rooms import be_in
from trioxmpp import Client, MemoryStore
from trioxmpp.errors import StanzaError
from trioxmpp.testing import Dialect, Server, open_server
from trioxmpp.xep.muc import JoinRefused, Rejoin, Room, RoomGone, destroy, open_room

CLIENTS, ROOMS, EVENTS = 5, 3, 200
RUNS = int(os.environ.get("TRIOXMPP_CHAOS_RUNS", "1000")) if os.environ.get("TRIOXMPP_PROOF") else 3

#: Seconds in which all is as the server says, after the last event. Rooms are asked after 300 seconds of silence, and
#: for all occupants after 600: this server forgets occupants without a word to the others.
BOUND = 3_000
REJOIN = Rejoin(silence=300, maximum=60, undecided=(60,), resync=600)

#: The events, and how often they are drawn.
WEIGHTS = {"cut": 4, "lose": 3, "kill": 2, "kick": 2, "ban": 1, "technical": 2, "take": 2, "destroy": 1, "restart": 1}
WEIGHTS |= {"evict": 3, "talk": 4, "subject": 3, "nick": 3}

DIALECTS = (
    replace(Dialect.PROSODY_13, remembers_destroyed=False),
    Dialect.EJABBERD_26,
    Dialect.EJABBERD_24,
)


class Program:
    """One client, with a store, that is in all rooms."""

    def __init__(self, chaos: Chaos, number: int) -> None:
        self.name = f"user{number}"
        self.jid = f"{self.name}@example.test/r"
        self.rooms: dict[str, Room] = {}
        self.client: Client | None = None
        self.kill = trio.Event()
        self._chaos = chaos
        self._store = MemoryStore()

    async def run(self) -> None:
        """Run one process after the other."""
        while True:
            self.kill = trio.Event()
            async with trioxmpp.connect(
                self.jid,
                "secret",
                endpoint=self._chaos.server.endpoint,
                allow_plaintext=True,
                store=self._store,
            ) as client:
                self.client = client
                async with trio.open_nursery() as nursery:
                    for jid in self._chaos.rooms:
                        nursery.start_soon(self._be_in, client, jid)
                    await self.kill.wait()
                    await client.suspend()
                    nursery.cancel_scope.cancel()
            self.client = None

    async def _be_in(self, client: Client, jid: str) -> None:
        await be_in(client, jid, self.name, self.rooms, rejoin=REJOIN, pause=10)


class Chaos:
    """The server, the programs, and the events."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.rng = random.Random(seed)
        self.rooms = [f"room{number}@conference.example.test" for number in range(ROOMS)]
        self.programs = [Program(self, number) for number in range(CLIENTS)]
        self.log: list[str] = []

    async def event(self, nursery: trio.Nursery) -> None:
        program, jid = self.rng.choice(self.programs), self.rng.choice(self.rooms)
        room = self.server.rooms.room(jid)
        inside = [] if room is None else [*room.occupants]
        nick = self.rng.choice(inside) if inside else None
        what = self.rng.choices(
            [*WEIGHTS],
            [*WEIGHTS.values()],
        )[0]
        self.log.append(f"{trio.current_time():.0f} {what} {program.name} {jid} {nick}")
        session = self.server.sessions.get(program.jid)
        match what:
            case "cut" if session is not None and session.link is not None:
                session.link.reset()
            case "lose" if session is not None:
                self.server.forget(program.jid)
            case "kill":
                program.kill.set()
            case "restart":
                self.server.rooms.restart()
            case "kick" | "technical" | "ban" if nick is not None and room is not None:
                if what == "ban":
                    room.affiliations[room.occupants[nick].account] = ("outcast", None)
                codes = {"kick": ("307",), "technical": ("307", "333"), "ban": ("301",)}[what]
                self.server.rooms.remove(jid, nick, *codes)
            case "evict" if nick is not None:
                self.server.rooms.evict(jid, nick)
            case "take" if nick is not None:
                self.server.rooms.evict(jid, nick)
                nursery.start_soon(self._take, jid, nick)
            case "destroy" | "talk" | "subject" | "nick" if jid in program.rooms:
                nursery.start_soon(self._act, what, program, program.rooms[jid])

    async def _take(self, jid: str, nick: str) -> None:
        """Another account has the nick for a while."""
        options = {"endpoint": self.server.endpoint, "allow_plaintext": True}
        with suppress(JoinRefused, RoomGone, ConnectionError):
            async with (
                trioxmpp.connect("thief@example.test", "secret", **options) as client,  # type: ignore[arg-type]
                open_room(client, jid, nick),
            ):
                await trio.sleep(self.rng.uniform(1, 300))

    async def _act(self, what: str, program: Program, room: Room) -> None:
        number = self.rng.randrange(1000)
        with trio.move_on_after(60), suppress(StanzaError, ConnectionError, TimeoutError, RuntimeError):
            if what == "destroy":
                assert program.client is not None
                await destroy(program.client, room.jid)
            elif what == "talk":
                await room.say(f"text {number}")
            elif what == "subject":
                await room.set_subject(f"subject {number}")
            else:
                await room.change_nick(f"{program.name}-{number}")

    def disagreements(self) -> list[str]:
        """The mistakes of a client."""
        found = []
        for jid in self.rooms:
            held = self.server.rooms.room(jid)
            assert held is not None, f"no client has recreated {jid}"
            subject = "" if held.subject is None else held.subject.text
            shown = {nick: (each.role, held.affiliation(each.account)) for nick, each in held.occupants.items()}
            for program in self.programs:
                room = program.rooms.get(jid)
                own = [nick for nick, each in held.occupants.items() if program.jid in each.clients]
                if room is None or not room.joined or own != [room.nick]:
                    found.append(f"{program.name} in {jid}: {room}, the server has it as {own}")
                    continue
                known = {each.nick: (str(each.role), str(each.affiliation)) for each in room.occupants}
                if known != shown:
                    found.append(f"{program.name} in {jid}: occupants {known}, the server has {shown}")
                if room.subject != subject:
                    found.append(f"{program.name} in {jid}: subject {room.subject!r}, the server has {subject!r}")
        return found


async def chaos(seed: int) -> tuple[list[str], list[str]]:
    """One run; return what is wrong in the end, and what happened."""
    accounts = {f"user{number}": "secret" for number in range(CLIENTS)} | {"thief": "secret"}
    dialect = DIALECTS[seed % len(DIALECTS)]
    async with (
        open_server(accounts=accounts, rooms=True, dialect=dialect) as server,
        trio.open_nursery() as nursery,
    ):
        run = Chaos(server, seed)
        for program in run.programs:
            nursery.start_soon(program.run)
        await trio.sleep(100)
        async with trio.open_nursery() as actions:
            for _ in range(EVENTS):
                await run.event(actions)
                await trio.sleep(run.rng.choice((0, 0.01, 1, 5, 30, 120)))
        for jid in run.rooms:
            room = server.rooms.room(jid)
            for account in [] if room is None else [*room.affiliations]:
                if room is not None and room.affiliation(account) == "outcast":
                    del room.affiliations[account]
        await trio.sleep(BOUND)
        nursery.cancel_scope.cancel()
        return run.disagreements(), run.log


def test_in_the_end_each_client_knows_what_the_server_knows() -> None:
    wrong = []
    for seed in range(RUNS):
        found, log = trio.run(chaos, seed, clock=trio.testing.MockClock(autojump_threshold=0))
        if found:
            wrong.append("\n".join([f"seed {seed}:", *found, "after", *log[-30:]]))
    assert not wrong, "\n\n".join(wrong)
