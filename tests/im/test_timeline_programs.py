"""Random programs: three clients of two accounts, and all that can happen to them; their timelines miss nothing.

The reference is the server's own archive. For each client, over all its processes: each message that was archived since
its first start is given; in one process it is given once; in the order of the archive, unless that is written late.
Only a process that was killed may be followed by one that gives some messages again, and those have the same id in the
archive. In half of the programs a stranger forges: copies, archived messages, ids in the archive, and the ids of
others.

`make test` tries 50 programs; with ``TRIOXMPP_PROOF=1`` there are ``TRIOXMPP_PROGRAMS`` of them, some with bursts of
5,000 messages.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.im.world import ACCOUNTS, Disk, Reader, chat, connect, reading, settle
from trioxmpp import Message, MessageType, xml
from trioxmpp.im.timeline import Entry, Gap, Source, TimelineEvent
from trioxmpp.im.timeline.duplicates import WRITTEN
from trioxmpp.testing import Dialect, Server, open_server

PROOF = bool(os.environ.get("TRIOXMPP_PROOF"))
#: The archive of the server keeps all messages of a program; only the program purges it. So the books are complete.
HISTORY = 1_000_000
EXAMPLES = int(os.environ.get("TRIOXMPP_PROGRAMS", "2000")) if PROOF else 50

FORGER = "nurse@example.test/1"
CLOCKS = (timedelta(), timedelta(days=1), timedelta(hours=-1), timedelta(days=-2))

NAMES = ("romeo/orchard", "romeo/garden", "juliet/balcony")
DIALECTS = {
    dialect.name: replace(dialect, archive_page=4)
    for dialect in (
        Dialect.PROSODY_0_12,
        Dialect.PROSODY_13_0_1,
        Dialect.PROSODY_13,
        Dialect.EJABBERD_26,
        replace(Dialect.EJABBERD_26, name="an archive that is written late", archive_lag=0.5),
    )
}

who = st.sampled_from(NAMES)
acts = st.one_of(
    st.tuples(st.just("say"), who, st.integers(1, 3)),
    st.tuples(st.just("post"), who, st.integers(1, 2)),
    st.tuples(st.just("repeat an id"), who, st.integers(1, 2)),
    st.tuples(st.just("say"), who, st.sampled_from([9] * 40 + [450, 5_000] if PROOF else [9])),
    st.tuples(st.just("break"), who, st.just(0)),
    st.tuples(st.just("lose"), who, st.just(0)),
    st.tuples(st.just("expire"), who, st.just(0)),
    st.tuples(st.just("kill"), who, st.just(0)),
    st.tuples(st.just("kill and wipe"), who, st.just(0)),
    st.tuples(st.just("stop"), who, st.just(0)),
    st.tuples(st.just("start"), who, st.just(0)),
    st.tuples(st.just("purge"), who, st.sampled_from([*range(1, 9), HISTORY])),
    st.tuples(st.just("wait"), who, st.sampled_from([0, 0, 1, 20, 400])),
    st.tuples(st.just("clock"), who, st.integers(0, len(CLOCKS) - 1)),
)
forgeries = st.tuples(
    st.sampled_from(["forge a copy", "forge an archived message", "forge an id", "repeat an id of others"]),
    who,
    st.integers(0, 3),
)


@dataclass
class Life:
    """One client with one store: what its processes have given, and how many messages there were when it began."""

    began: int
    disk: Disk
    ready: int = -1
    """How many messages there were when its first timeline was open."""
    processes: list[list[Entry]] = field(default_factory=list)
    events: list[list[TimelineEvent]] = field(default_factory=list)
    killed: list[bool] = field(default_factory=list)
    """For each process, whether it was killed."""


class Story:
    """A program that runs, and the books about it."""

    def __init__(self, server: Server, nursery: trio.Nursery, held: int) -> None:
        self.server = server
        self.held = held
        """The number of live messages that may wait while a client catches up."""
        self.nursery = nursery
        self.lives: dict[str, list[Life]] = {name: [] for name in NAMES}
        self.readers: dict[str, tuple[Reader, trio.CancelScope, trio.Event, trio.Event]] = {}
        self.archived: dict[str, list[str]] = {"romeo": [], "juliet": []}
        """All messages that each archive ever had, in its order."""
        self.purged: set[tuple[str, str]] = set()
        self.ids: dict[str, str] = {}
        self.count = 0
        self.wrong_clocks: set[str] = set()
        """The accounts in whose archives some messages have a wrong time."""

    def note_archives(self) -> None:
        """Bring the books about the archives up to date: the server only adds at the end."""
        for name, known in self.archived.items():
            new: list[str] = []
            for item in reversed(self.server.accounts[name].archive.items):
                if item.id in self.ids:
                    break
                new.append(item.id)
                self.ids[item.id] = item.stanza.findtext("{*}body") or ""
            known.extend(reversed(new))

    async def start(self, name: str, disk: Disk | None = None) -> None:
        if name in self.readers:
            return
        account = name.partition("/")[0]
        self.note_archives()
        lives = self.lives[name]
        if disk is not None or not lives:
            lives.append(Life(len(self.archived[account]), disk or Disk()))
        life = lives[-1]
        done, ended = trio.Event(), trio.Event()
        ready: list[Any] = []

        async def run(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            with trio.CancelScope() as scope:
                try:
                    jid = f"{account}@example.test/{name.partition('/')[2]}"
                    async with reading(self.server, jid, store=life.disk, timeline={"held": self.held}) as reader:
                        life.processes.append(reader.entries)
                        life.killed.append(False)
                        life.events.append(reader.events)
                        ready.append((reader, scope))
                        task_status.started()
                        await done.wait()
                finally:
                    ended.set()

        await self.nursery.start(run)
        if life.ready < 0:
            self.note_archives()
            life.ready = len(self.archived[account])
        reader, scope = ready[0]
        self.readers[name] = reader, scope, done, ended
        with trio.move_on_after(60):
            await reader.wait_caught_up()

    async def stop(self, name: str) -> None:
        if name in self.readers:
            _, _, done, ended = self.readers.pop(name)
            done.set()
            await ended.wait()

    async def kill(self, name: str, *, wipe: bool = False) -> None:
        if name not in self.readers:
            return
        _, scope, _, ended = self.readers.pop(name)
        life = self.lives[name][-1]
        left = life.disk.copy()
        session = self.server.sessions.get(self.jid(name))
        if session is not None and session.link is not None:
            session.link.reset()
        scope.cancel()
        await ended.wait()
        life.disk, life.killed[-1] = left, True
        if wipe:
            await self.start(name, Disk())

    def jid(self, name: str) -> str:
        return name.replace("/", "@example.test/")

    async def say(self, name: str, count: int, how: str) -> None:
        if name not in self.readers:
            return
        client = self.readers[name][0].client
        to = "juliet@example.test" if name.startswith("romeo") else "romeo@example.test"
        for _ in range(count):
            self.count += 1
            message = chat(self.count, to)
            if how == "repeat an id":
                message.id = "the same"
            if how == "post":
                await client.post(message)
            elif client.established:
                client.enqueue(message)

    async def act(self, what: str, name: str, number: int) -> None:
        session = self.server.sessions.get(self.jid(name))
        match what:
            case "say" | "post" | "repeat an id":
                await self.say(name, number, what)
            case "break" if session is not None and session.link is not None:
                session.link.reset()
            case "lose" if session is not None:
                self.server.forget(session.jid)
            case "expire" if session is not None:
                self.server.expire(session.jid)
            case "kill" | "kill and wipe":
                await self.kill(name, wipe=what != "kill")
            case "stop":
                await self.stop(name)
            case "start":
                await self.start(name)
            case "purge":
                account = name.partition("/")[0]
                self.note_archives()
                items = self.server.accounts[account].archive.items
                for _ in range(min(number, len(items))):
                    self.purged.add((account, items.popleft().id))
            case "clock":
                self.set_clock(name.partition("/")[0], CLOCKS[number])
            case "forge a copy" | "forge an archived message" | "forge an id" | "repeat an id of others":
                await self.forge(what, name.partition("/")[0], number)
            case "wait":
                await trio.sleep(number)
                await settle()
        self.note_archives()

    def set_clock(self, account: str, error: timedelta) -> None:
        """From now on the archive has a wrong time."""
        self.wrong_clocks.add(account)
        self.server.accounts[account].archive.clock_error = error

    async def forge(self, what: str, account: str, number: int) -> None:
        """A stranger sends something that looks like a message of another, or has ids that are not its own."""
        to, jid = f"{account}@example.test", f"{account}@example.test/{'orchard' if account == 'romeo' else 'balcony'}"
        other = "juliet" if account == "romeo" else "romeo"
        inner = f"<message xmlns='jabber:client' from='{other}@example.test/x' to='{jid}' type='chat' id='f{number}'>"
        inner = f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}<body>forged</body></message></forwarded>"
        known = self.archived[account]
        id = known[-1 - number % len(known)] if known else "unknown"
        if what == "forge a copy":
            kind = ("received", "sent")[number % 2]
            forged = Message(to=jid, type=MessageType.CHAT)
            forged.payloads.append(xml.fromstring(f"<{kind} xmlns='urn:xmpp:carbons:2'>{inner}</{kind}>"))
        elif what == "forge an archived message":
            forged = Message(to=jid)
            forged.payloads.append(xml.fromstring(f"<result xmlns='urn:xmpp:mam:2' id='{id}'>{inner}</result>"))
        else:
            self.count += 1
            forged = chat(self.count, to, id="the same" if what == "repeat an id of others" else None)
            for _ in range(1 + number % 2):
                forged.payloads.append(xml.fromstring(f"<stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='{to}'/>"))
        async with connect(self.server, FORGER) as forger:
            await forger.send(forged)
        await settle()

    async def finish(self) -> None:
        """Bring all clients back, and give them time."""
        for name in NAMES:
            await self.start(name)
        await trio.sleep(1000)
        self.note_archives()
        for name in NAMES:
            await self.stop(name)

    # --- what must be so

    def check(self) -> None:
        for name, lives in self.lives.items():
            account = name.partition("/")[0]
            for number, life in enumerate(lives):
                self.check_life(account, life, is_last=number == len(lives) - 1)

    def check_life(self, account: str, life: Life, *, is_last: bool) -> None:
        given: dict[str, None] = {}
        ids: dict[str, set[str]] = {}
        may_repeat: set[str] = set()
        for entries, killed in zip(life.processes, life.killed, strict=True):
            bodies = [entry.message.body or "" for entry in entries]
            assert len(bodies) == len(set(bodies)), f"{bodies}: one process gave a message twice"
            again = given.keys() & bodies
            assert again <= may_repeat, f"{again} were given again though no process was killed"
            may_repeat = (may_repeat | set(bodies)) if killed else self.unwritten(bodies)
            given.update(dict.fromkeys(bodies))
            for entry in entries:
                if entry.archive_id is not None:
                    ids.setdefault(entry.message.body or "", set()).add(entry.archive_id)
            if not self.server.dialect.archive_lag:
                self.check_order(account, entries, life.began)
        twice = self.archived_twice(account)
        assert all(len(each) == 1 for body, each in ids.items() if body not in twice), f"{ids}: the id has changed"
        if is_last:
            archived = self.archived[account][self.first_due(account, life) :]
            due = [self.ids[id] for id in archived if (account, id) not in self.purged]
            missing = [body for body in due if body not in given]
            if missing and account in self.wrong_clocks and self.server.dialect.archive_lag:
                return  # how late a message may be is told by the clock of the archive
            if missing and account in self.wrong_clocks and any(owner == account for owner, _ in self.purged):
                # The place is lost, and the times are wrong: all that can be done is to say so.
                assert any(isinstance(event, Gap) for told in life.events for event in told), (
                    f"missing {missing}, and nothing tells"
                )
                return
            assert not missing, f"missing {missing} of {due}; given {[*given]}"

    def unwritten(self, bodies: list[str]) -> set[str]:
        """Return which messages may be given once more although their process was stopped in peace.

        If the archive did not have them yet, they have no place in it. Then they are known by the keys that were
        written down, two for each message: those of the newest.
        """
        return set(bodies[: -WRITTEN // 2]) if self.server.dialect.archive_lag else set()

    def first_due(self, account: str, life: Life) -> int:
        """Return the place of the first message that the client must have: what follows the first one that it got.

        If messages come while it logs in for the first time, those are not due that were there before it could get any.
        """
        twice, began = self.archived_twice(account), life.began
        if life.ready == began:
            return began
        places = {self.ids[id]: place for place, id in enumerate(self.archived[account])}
        for entry in (entry for entries in life.processes for entry in entries):
            body = entry.message.body or ""
            if body not in twice and entry.source not in (Source.OWN, Source.OFFLINE) and body in places:
                return max(began, min(life.ready, places[body]))
        return life.ready

    def archived_twice(self, account: str) -> set[str]:
        times = Counter(self.ids[id] for id in self.archived[account])
        return {body for body, number in times.items() if number > 1}

    def check_order(self, account: str, entries: list[Entry], began: int) -> None:
        """Three kinds have no place in the order of the archive.

        Our own messages are given when they are written, which may be before the server has earlier ones. A
        message that was purged on its way has no place either, nor has one that the server kept from the time before
        the first start.
        """
        purged = {self.ids[id] for owner, id in self.purged if owner == account}
        twice = self.archived_twice(account) | purged
        places = {self.ids[id]: place for place, id in enumerate(self.archived[account])}
        bodies = [entry.message.body or "" for entry in entries if entry.source is not Source.OWN]
        assert all(body in places for body in bodies), f"{bodies}: not all of them were ever sent"
        kept = {entry.message.body for entry in entries if entry.source is Source.OFFLINE}
        order = [places[body] for body in bodies if body not in twice and not (body in kept and places[body] < began)]
        assert order == sorted(order), f"{bodies} are not in the order of the archive"


def run(dialect: Dialect, program: list[tuple[str, str, int]], held: int) -> None:
    async def main() -> None:
        with trio.fail_after(1_000_000):
            async with (
                open_server(accounts=ACCOUNTS, archive=True, dialect=dialect, history=HISTORY) as server,
                trio.open_nursery() as nursery,
            ):
                story = Story(server, nursery, held)
                for name in NAMES:
                    await story.start(name)
                for act in program:
                    await story.act(*act)
                await story.finish()
                story.check()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.item("B2.9", "B2.12", "B2.14")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not os.environ.get("TRIOXMPP_PROOF"),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    database=None,
)
@given(
    st.sampled_from([*DIALECTS]),
    st.lists(acts, min_size=3, max_size=25) | st.lists(acts | forgeries, min_size=3, max_size=25),
    st.sampled_from([10_000, 3]),
)
def test_timelines_miss_nothing_and_double_nothing(
    dialect: str, program: list[tuple[str, str, int]], held: int
) -> None:
    run(DIALECTS[dialect], program, held)
