"""Four devices of two accounts that are killed between any two steps: each reads each message, and no key serves twice.

A process is killed where it stands: before or after a write to its store, and after a stanza was handed to the stream.
The next one goes on with the disk as it was at that moment. The reference is what the archives hold in the end.

`make test` sends 60 messages; with ``TRIOXMPP_PROOF=1`` there are 1,000.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import pytest
import trio
import trio.lowlevel

from tests.im.omemo.devices import Phone, phone, serving
from tests.im.world import Disk
from trioxmpp import JID, Message, MessageType, xml
from trioxmpp.im.omemo import Encrypted, OwnMessage, Unreadable
from trioxmpp.protocol.elements import omemo as elements
from trioxmpp.testing import Server

MESSAGES = int(os.environ.get("TRIOXMPP_MESSAGES", "1000")) if os.environ.get("TRIOXMPP_PROOF") else 60
SEED = int(os.environ.get("TRIOXMPP_PROOF_SEED") or 14)

NAMES = ("romeo/desk", "romeo/phone", "juliet/desk", "juliet/phone")


class FreezingDisk(Disk):
    """A disk on which a process freezes before, or after, the write to which a countdown has come."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.countdown = -1
        self.after = False
        self.frozen = trio.Event()
        self.writes: Counter[str] = Counter()

    async def write_notes(self, kind: str, changes: Any) -> None:
        self.countdown -= 1
        is_here = self.countdown == 0
        if is_here and not self.after:
            await self.freeze()
        await super().write_notes(kind, changes)
        self.writes[kind] += 1
        if is_here:
            await self.freeze()

    async def freeze(self) -> None:
        self.frozen.set()
        await trio.sleep_forever()

    def copy(self) -> FreezingDisk:
        return FreezingDisk(self.ticket, {kind: dict(notes) for kind, notes in self.notes.items()})


class Life:
    """One device: its disk, and the process that runs now."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        account, _, resource = name.partition("/")
        self.jid = f"{account}@example.test/{resource}"
        self.disk = FreezingDisk()
        self.given: list[tuple[str | None, str | None, str]] = []
        """The entries that the application has got: the id, the text and the mark of each entry."""
        self.now: Phone | None = None
        self.kills = 0
        self.device: int | None = None
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live through one process."""
        self._ended = trio.Event()
        with trio.CancelScope() as self._scope:
            try:
                async with phone(self.server, self.jid, self.disk, reads=False) as self.now:
                    if self.device is None:
                        self.device = self.now.omemo.own.id
                    assert self.now.omemo.own.id == self.device
                    task_status.started()
                    async for entry in self.now.omemo.read(self.now.timeline):
                        mark = entry.encryption
                        kind = type(mark.error if isinstance(mark, Unreadable) else mark).__name__
                        self.given.append((entry.message.id, entry.message.body, kind))
            finally:
                self.now = None
                self._ended.set()

    async def kill(self) -> None:
        """End the process as it is, without a word to the server."""
        left = self.disk.copy()
        session = self.server.sessions.get(self.jid)
        if session is not None and session.link is not None:
            session.link.reset()
        self._scope.cancel()
        with trio.fail_after(100):
            await self._ended.wait()
        self.disk = left
        self.kills += 1


class Story:
    """The devices, and what they say."""

    def __init__(self, server: Server, nursery: trio.Nursery, dice: random.Random) -> None:
        self.nursery = nursery
        self.dice = dice
        self.lives = [Life(server, name) for name in NAMES]
        self.texts: dict[str, str] = {}
        self.server = server

    async def start(self, life: Life) -> None:
        if life.now is None:
            with trio.move_on_after(100):
                await self.nursery.start(life.run)

    async def say(self, life: Life, number: int) -> None:
        """Have a device say something, and be killed while it does, now and then."""
        await self.start(life)
        one = life.now
        if one is None:  # it froze while it began
            await life.kill()
            return
        peer = "juliet@example.test" if life.name.startswith("romeo") else "romeo@example.test"
        id = f"m{number}"
        self.texts[id] = f"text {number}"
        disk = life.disk
        if self.dice.random() < 0.25:
            disk.countdown, disk.after = self.dice.choice((1, 1, 2, 2, 3, 5)), self.dice.random() < 0.5
        message = Message(to=peer, type=MessageType.CHAT, body=self.texts[id], id=id)

        async def speak() -> None:
            sealed = await one.omemo.encrypt(message)
            if self.dice.random() < 0.5:
                await one.client.post(sealed)
            else:
                await one.client.send(sealed)

        async with trio.open_nursery() as nursery:

            async def until_frozen() -> None:
                await disk.frozen.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_frozen)
            with trio.move_on_after(100):
                await speak()
            if self.dice.random() < 0.1:
                disk.frozen.set()
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    async def bury(self) -> None:
        """Kill each process that is frozen: as long as it stands still, all that follows waits."""
        for life in self.lives:
            if life.disk.frozen.is_set():
                await life.kill()

    async def go(self) -> None:
        for life in self.lives:
            await self.start(life)
        await trio.sleep(5)  # until each has heard of the others of its account
        for number in range(MESSAGES):
            life = self.dice.choice(self.lives)
            await self.say(life, number)
            if self.dice.random() < 0.5:
                await trio.sleep(self.dice.choice((0.01, 0.1, 1, 3)))
            await self.bury()
            if self.dice.random() < 0.05:
                sleeper = self.dice.choice(self.lives)
                if sleeper.now is not None:
                    await sleeper.kill()  # it misses what comes, and reads it from the archive
            if self.dice.random() < 0.3:
                await self.start(self.dice.choice(self.lives))
        for life in self.lives:
            life.disk.countdown = -1
            if life.disk.frozen.is_set():
                await life.kill()
            await self.start(life)
        await trio.sleep(60)

    # --- what must be so

    def archived(self) -> dict[str, Message]:
        """All encrypted messages that the archives hold, by id."""
        found: dict[str, Message] = {}
        for account in ("romeo", "juliet"):
            for number, item in enumerate(self.server.accounts[account].archive.items):
                encrypted = item.stanza.find(f"{{{elements.NS}}}encrypted")
                if encrypted is not None:
                    id = item.stanza.get("id") or f"{account} {number}"
                    found[id] = Message(id=id, payloads=[encrypted], type=MessageType.CHAT)
        return found

    def check(self) -> None:
        archived = self.archived()
        due = {id for id in archived if id in self.texts}
        assert len(due) > MESSAGES * 0.5
        for life in self.lives:
            read = [(id, text) for id, text, kind in life.given if kind == Encrypted.__name__]
            wrong = {id: text for id, text in read if self.texts.get(id or "") != text}
            assert not wrong, f"{life.name}: {wrong}"
            odd = [(id, kind) for id, _, kind in life.given if kind not in (Encrypted.__name__, OwnMessage.__name__)]
            assert not odd, f"{life.name} could not read {odd}"
            own = {id for id in due if self.sender(archived[id]) == life.device}
            missing = sorted(due - own - {id for id, _ in read})
            assert not missing, f"{life.name} has not got {missing} of {len(due)}"
            if not life.kills:
                assert len({id for id, _ in read}) == len(read)
        self.check_keys(archived)

    def sender(self, message: Message) -> int:
        encrypted = message.get(elements.Encrypted)
        assert encrypted is not None
        return encrypted.header.sid

    def check_keys(self, archived: dict[str, Message]) -> None:
        """The place of a key in its chain says which key it is: two texts with one place were encrypted by one key."""
        used: dict[tuple[Any, ...], bytes] = {}
        for message in archived.values():
            encrypted = message.get(elements.Encrypted)
            assert encrypted is not None
            for keys in encrypted.header.keys:
                for key in keys.keys:
                    place = (encrypted.header.sid, str(keys.jid), key.rid, *place_of(key))
                    data = used.setdefault(place, key.data)
                    assert data == key.data, f"the key {place} was used twice"
        assert len(used) > MESSAGES


def place_of(key: elements.Key) -> tuple[bytes, int]:
    """The public key and the number of a ratchet's message."""
    from twomemo.twomemo_pb2 import OMEMOAuthenticatedMessage, OMEMOKeyExchange, OMEMOMessage

    if key.kex:
        data = OMEMOKeyExchange.FromString(key.data).message.message
    else:
        data = OMEMOAuthenticatedMessage.FromString(key.data).message
    inner = OMEMOMessage.FromString(data)
    return inner.dh_pub, inner.n


@pytest.mark.item("D13.10", "B2.22")
async def test_each_device_reads_each_message_and_no_key_serves_twice_whenever_processes_are_killed(
    autojump_clock: Any,
) -> None:
    dice = random.Random(SEED)
    async with serving() as server, trio.open_nursery() as nursery:
        story = Story(server, nursery, dice)
        await story.go()
        story.check()
        assert sum(life.kills for life in story.lives) > MESSAGES / 20
        nursery.cancel_scope.cancel()


@pytest.mark.item("D13.10")
async def test_a_message_is_written_once_before_it_is_sent_and_once_before_it_is_read(autojump_clock: Any) -> None:
    async with serving() as server:
        mine, theirs = FreezingDisk(), FreezingDisk()
        async with (
            phone(server, "romeo@example.test/a", mine, save_after=1e6) as a,
            phone(server, "juliet@example.test/b", theirs, save_after=1e6) as b,
            phone(server, "juliet@example.test/c") as c,
        ):
            await a.say("begin", "juliet@example.test")
            await b.wait(1)
            await c.wait(1)
            await b.say("answer", "romeo@example.test")
            await a.wait(1)
            mine.writes.clear()
            theirs.writes.clear()
            for number in range(20):
                before = mine.writes["omemo"]
                sealed = await a.omemo.encrypt(
                    Message(to="juliet@example.test", type=MessageType.CHAT, body=str(number))
                )
                assert mine.writes["omemo"] == before + 1
                await a.client.send(sealed)
            await b.wait(21)
            assert mine.writes["omemo"] == 20
            assert theirs.writes["omemo"] == 20


async def test_messages_are_read_in_any_order(autojump_clock: Any) -> None:
    dice = random.Random(SEED)
    async with (
        serving() as server,
        phone(server, "romeo@example.test/a", reads=False) as a,
        phone(server, "juliet@example.test/b", reads=False) as b,
    ):
        sender = JID.parse("romeo@example.test/a")
        sealed = []
        for number in range(120):
            message = await a.omemo.encrypt(Message(to="juliet@example.test", type=MessageType.CHAT, body=str(number)))
            sealed.append((str(number), Message(to=b.client.jid, from_=sender, payloads=message.payloads)))
        dice.shuffle(sealed)
        for text, message in sealed:
            opened, _ = await b.omemo.decrypt(message)
            assert opened.body == text


def test_the_check_of_this_file_finds_a_key_that_serves_twice() -> None:
    key = xml.replace(some_key(b"one"), rid=1)
    other = xml.replace(some_key(b"two"), rid=1)
    assert place_of(key) == place_of(other)
    assert key.data != other.data
    story = Story.__new__(Story)
    with pytest.raises(AssertionError, match="used twice"):
        story.check_keys({"1": with_key(key), "2": with_key(other)})


def some_key(text: bytes) -> elements.Key:
    from twomemo.twomemo_pb2 import OMEMOAuthenticatedMessage, OMEMOMessage

    inner = OMEMOMessage(n=1, pn=0, dh_pub=bytes(32), ciphertext=text).SerializeToString()
    data = OMEMOAuthenticatedMessage(mac=b"", message=inner).SerializeToString()
    return elements.Key(rid=2, data=data)


def with_key(key: elements.Key) -> Message:
    keys = elements.Keys(jid=JID.parse("romeo@example.test"), keys=(key,))
    return Message(payloads=[elements.Encrypted(header=elements.Header(sid=5, keys=(keys,)))])
