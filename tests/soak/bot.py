"""The bot that is soaked: what it gets, what its log says, and how much memory its process has."""

from __future__ import annotations

import collections
import ctypes
import logging
import os
import re
from pathlib import Path

import trio

import trioxmpp
from trioxmpp import Client, Event, Message, MessageType, Presence

MIB = 1 << 20


class Got:
    """The good messages that came: whether each came once, and in order."""

    def __init__(self) -> None:
        self.next = 0
        """The number that has to come next."""
        self.doubled = 0
        self.lost = 0
        self.gaps: list[tuple[int, int]] = []
        """The messages that had to come, and those that came."""
        self.poison = 0
        """The number of messages that were no good ones, and that the application was given."""
        self._more = trio.lowlevel.ParkingLot()

    def enter(self, message: Message) -> None:
        """Note a message."""
        if message.body is None or not message.body.isdecimal():
            self.poison += 1
            return
        number = int(message.body)
        if number < self.next:
            self.doubled += 1
            self.gaps.append((self.next, number))
        else:
            if number > self.next:
                self.gaps.append((self.next, number))
            self.lost += number - self.next
            self.next = number + 1
        self._more.unpark_all()

    async def until(self, count: int) -> None:
        """Wait for the last of these messages."""
        while self.next < count:
            await self._more.park()


class Story:
    """The events of the client, counted by their names. The session with which it began is the first Established."""

    def __init__(self, client: Client) -> None:
        self.counts = collections.Counter({"Established": 1})
        self.reasons: list[str] = []
        """Why sessions ended."""
        client.on_event.connect(self._event)

    def _event(self, event: Event) -> None:
        self.counts[type(event).__name__] += 1
        if isinstance(event, trioxmpp.Destroyed):
            self.reasons.append(f"{event.reason!r:.200}")


class Lines(logging.Handler):
    """The lines of the library's log, counted by level and text without numbers."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.longest = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        text = record.getMessage()
        self.counts[record.levelname, re.sub("[0-9][0-9,]*", "N", text)[:100]] += 1
        self.longest = max(self.longest, len(text))


def resident() -> int:
    """Return the octets of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def trim() -> None:
    """Have the allocator give back what it keeps for later.

    glibc keeps an arena for each thread that ever ran beside others, as large as its largest load was. The reader uses
    a thread for each read of a stream with too many names (`stream/dictionary.py`). So the memory of the process grows
    in a few steps of some 7 MiB, one for each arena, though all of it is free: that tells nothing about the library.
    """
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other libraries of C do not have it
    if give_back is not None:
        give_back(0)


class Memory:
    """The resident memory of this process twice a second, without what the allocator keeps.

    The warm-up lasts for `warm_up` seconds at least, and until `warm` is called: only then all tables that are bounded
    are full, however slow the machine is.
    """

    def __init__(self, warm_up: float) -> None:
        self._warm = trio.current_time() + warm_up
        self._is_warm = False
        self.before = 0
        """The most during the warm-up, in octets."""
        self.after = 0
        """The most since then; 0 if nothing was measured."""
        self.kept = 0
        """The most with what the allocator keeps."""
        self.samples: list[int] = []

    def warm(self) -> None:
        """The bot has had one of each input, and all that fills its tables."""
        self._is_warm = True

    async def watch(self) -> None:
        """Take samples until cancelled."""
        while True:
            self.kept = max(self.kept, resident())
            trim()
            octets = resident()
            self.samples.append(octets)
            if not self._is_warm or trio.current_time() < self._warm:
                self.before = max(self.before, octets)
            else:
                self.after = max(self.after, octets)
            await trio.sleep(0.5)

    @property
    def course(self) -> list[float]:
        """The most in each tenth of the time, in MiB."""
        tenth = max(1, len(self.samples) // 10)
        parts = (self.samples[start : start + tenth] for start in range(0, len(self.samples), tenth))
        return [round(max(part) / MIB, 1) for part in parts]

    @property
    def growth(self) -> float:
        """The growth after the warm-up, in MiB."""
        return (self.after - self.before) / MIB


async def appear(client: Client) -> None:
    """Become available, in each new session."""
    client.enqueue(Presence())


async def run(
    client: Client, got: Got, *, echo: bool, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Do what the bot of the README does until cancelled, and note each message; answer them if it shall `echo`."""
    async with client.messages.subscribe(MessageType.CHAT) as inbox, client.maintain(appear):
        task_status.started()
        async for message in inbox:
            got.enter(message)
            if echo and message.body:
                client.enqueue(message.reply(message.body))
