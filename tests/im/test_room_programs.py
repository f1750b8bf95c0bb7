"""Random programs in a room: Juliet is kicked, cut off, forgotten, killed, and misses nothing of what Romeo says.

The reference is the room's own archive: each message that it got since her first start is given, in one process once,
in the order of the archive. Only after a kill a message may be given again, then with the same archive id.

`make test` tries 20 programs; with ``TRIOXMPP_PROOF=1`` there are ``TRIOXMPP_PROGRAMS`` of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.im.test_room_timeline import DIALECTS, Reader, juliet, owned, reading
from tests.im.world import Disk, settle
from tests.xep.muc.rooms import ROOM, forge, server_room
from trioxmpp import StanzaError
from trioxmpp.im.timeline import Entry
from trioxmpp.testing import Server
from trioxmpp.xep.muc import Room

PROOF = bool(os.environ.get("TRIOXMPP_PROOF"))
EXAMPLES = int(os.environ.get("TRIOXMPP_PROGRAMS", "2000")) if PROOF else 20
JID = "juliet@example.test/balcony"

acts = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 6)),
    st.tuples(st.just("answer"), st.integers(1, 2)),
    st.tuples(st.sampled_from(["kick", "evict", "break", "lose", "expire", "kill", "stop", "start"]), st.just(0)),
    st.tuples(st.just("purge"), st.integers(1, 6)),
    st.tuples(st.just("forge"), st.integers(0, 2)),
    st.tuples(st.just("wait"), st.sampled_from([0, 0, 1, 20, 2_000])),
)


@dataclass
class Story:
    """A program that runs, and the books about it."""

    server: Server
    room: Room
    nursery: trio.Nursery
    disk: Disk = field(default_factory=Disk)
    processes: list[list[Entry]] = field(default_factory=list)
    killed: list[bool] = field(default_factory=list)
    archived: dict[str, str] = field(default_factory=dict)
    """The texts by archive id, of all messages that the archive ever had, in its order."""
    purged: set[str] = field(default_factory=set)
    running: Any = None
    began: int = 0
    count: int = 0

    def note_archive(self) -> None:
        for item in server_room(self.server).archive.items:
            self.archived.setdefault(item.id, item.stanza.findtext("{*}body") or "")

    async def start(self) -> None:
        if self.running is not None:
            return
        self.note_archive()
        if not self.processes:
            self.began = len(self.archived)
        scope, leaving, ended = trio.CancelScope(), trio.Event(), trio.Event()

        async def run(task_status: trio.TaskStatus[Reader] = trio.TASK_STATUS_IGNORED) -> None:
            with scope:
                try:
                    async with juliet(self.server, self.disk) as client, reading(client) as reader:
                        self.processes.append(reader.entries)
                        self.killed.append(False)
                        task_status.started(reader)
                        await leaving.wait()
                finally:
                    ended.set()

        reader = await self.nursery.start(run)
        self.running = reader, scope, leaving, ended

    async def stop(self) -> None:
        if self.running is not None:
            _, _, leaving, ended = self.running
            self.running = None
            leaving.set()
            await ended.wait()

    async def kill(self) -> None:
        if self.running is None:
            return
        _, scope, _, ended = self.running
        self.running = None
        left = self.disk.copy()
        session = self.server.sessions.get(JID)
        if session is not None and session.link is not None:
            session.link.reset()
        scope.cancel()
        await ended.wait()
        self.disk, self.killed[-1] = left, True

    async def act(self, what: str, number: int) -> None:
        session = self.server.sessions.get(JID)
        occupant = server_room(self.server).occupants.get("juliet")
        match what:
            case "say":
                for _ in range(number):
                    self.count += 1
                    await self.room.say(str(self.count))
            case "answer" if self.running is not None and self.running[0].room.joined and session is not None:
                for _ in range(number):
                    self.count += 1
                    self.nursery.start_soon(self.answer, self.running[0].room, str(self.count))
            case "kick" if (seen := self.room.occupant("juliet")) is not None and occupant is not None:
                await self.room.kick(seen)
            case "evict" if occupant is not None:
                del server_room(self.server).occupants["juliet"]
            case "break" if session is not None and session.link is not None:
                session.link.reset()
            case "lose" if session is not None:
                self.server.forget(JID)
            case "expire" if session is not None:
                self.server.expire(JID)
            case "kill":
                await self.kill()
            case "stop":
                await self.stop()
            case "start":
                await self.start()
            case "purge":
                self.note_archive()
                items = server_room(self.server).archive.items
                for _ in range(min(number, len(items))):
                    self.purged.add(items.popleft().id)
            case "forge" if session is not None and self.running is not None:
                self.forge(number)
            case "wait":
                await trio.sleep(number)
        await settle()
        self.note_archive()

    async def answer(self, room: Room, text: str) -> None:
        # If she is put out meanwhile, the archive tells whether the room has it.
        with suppress(StanzaError, ConnectionError, TimeoutError, RuntimeError):
            await room.say(text, timeout=5)

    def forge(self, number: int) -> None:
        """Juliet's server lets something through that looks like the room's."""
        known = [*self.archived] or ["x"]
        sid = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='{known[-1]}'/>"
        start = f"<message xmlns='jabber:client' to='{JID}' id='f{number}'"
        inner = f"{start.replace(JID, ROOM)} from='{ROOM}/romeo' type='groupchat'><body>forged</body></message>"
        inner = f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded>"
        forge(self.server, self.running[0].room.client, (
            f"{start} from='{ROOM}/tybalt'><result xmlns='urn:xmpp:mam:2' id='x'>{inner}</result></message>",
            f"{start} from='tybalt@example.test' type='groupchat'><body>forged</body>{sid}</message>",
            f"{start} from='{ROOM}/romeo' type='groupchat'><subject>x</subject>{sid}</message>",
        )[number])  # fmt: skip

    async def finish(self) -> None:
        await self.start()
        await trio.sleep(5_000)
        await self.act("say", 1)
        await trio.sleep(100)
        await self.stop()

    def check(self) -> None:
        given: list[str] = []
        may_repeat: set[str] = set()
        places = {text: place for place, text in enumerate(self.archived.values())}
        ids: dict[str, set[str | None]] = {}
        for entries, killed in zip(self.processes, self.killed, strict=True):
            texts = [entry.message.body or "" for entry in entries]
            assert "forged" not in texts
            assert len(texts) == len(set(texts)), f"{texts}: one process gave a message twice"
            again = set(texts) & set(given)
            assert again <= may_repeat, f"{again} again, and no process was killed"
            may_repeat = (may_repeat | set(texts)) if killed else set()
            order = [places[text] for text in texts]
            assert order == sorted(order), f"{texts} is not the order of the archive"
            given += [text for text in texts if text not in given]
            for entry in entries:
                ids.setdefault(entry.message.body or "", set()).add(entry.archive_id)
        assert all(len(each) == 1 for each in ids.values()), ids
        due = [text for id, text in [*self.archived.items()][self.began :] if id not in self.purged]
        missing = [text for text in due if text not in given]
        assert not missing, f"missing {missing} of {due}; given {given}"


def run(dialect: str, program: list[tuple[str, int]]) -> None:
    chosen = {each.name: each for each in DIALECTS}[dialect]

    async def main() -> None:
        with trio.fail_after(1_000_000):
            async with owned(chosen) as (server, room), trio.open_nursery() as nursery:
                story = Story(server, room, nursery)
                await story.start()
                for act in program:
                    await story.act(*act)
                await story.finish()
                story.check()
                nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.item("D5.17")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not PROOF,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    database=None,
)
@given(st.sampled_from([each.name for each in DIALECTS]), st.lists(acts, min_size=3, max_size=20))
def test_the_timeline_of_a_room_misses_nothing_and_doubles_nothing(
    dialect: str, program: list[tuple[str, int]]
) -> None:
    run(dialect, program)
